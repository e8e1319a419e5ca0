//! The text of a file → its documents.

/// A document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// Which one it is, from 1. Empty documents are not counted.
    pub(super) number: usize,
    /// The line of the file with which it starts, from 1.
    pub(super) line: u64,
    pub(super) text: &'a str,
}

/// Splits a file at the lines that start with `---` or `...`.
///
/// YAML lets no document hold such a line, not even inside a quoted string, so the split is exact. It is made before
/// anything is parsed: the documents after a broken one would be lost otherwise.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let mut push = |line: u64, start: usize, end: usize| {
        if let Some(text) = text.get(start..end).filter(|text| text.lines().any(is_content)) {
            documents.push(Document { number: documents.len() + 1, line, text });
        }
    };
    let (mut start, mut start_line) = (0, 1);
    let (mut offset, mut state) = (0, Between::Head);
    for (line, number) in text.split_inclusive('\n').zip(1_u64..) {
        let end = offset + line.len();
        if is_marker(line, "...") {
            push(start_line, start, offset);
            (start, start_line, state) = (end, number + 1, Between::Head);
        } else if is_marker(line, "---") && state == Between::Body {
            push(start_line, start, offset);
            (start, start_line) = (offset, number);
        } else if is_marker(line, "---") || is_content(line) {
            // What comes before the first marker may be directives and comments, which belong to what follows.
            state = Between::Body;
        }
        offset = end;
    }
    push(start_line, start, text.len());
    documents
}

/// Where in a document a line is.
#[derive(PartialEq)]
enum Between {
    /// Before its marker and its content.
    Head,
    /// After either.
    Body,
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether a line is more than a comment, a directive or a bare marker.
fn is_content(line: &str) -> bool {
    let line = if is_marker(line, "---") { line.get(3..).unwrap_or_default() } else { line };
    let line = line.trim_matches([' ', '\t', '\r', '\n']);
    !line.is_empty() && !line.starts_with(['#', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, u64, &str)]) {
        let found: Vec<_> = documents(text).iter().map(|d| (d.number, d.line, d.text)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn documents_are_split_at_markers_and_keep_their_lines() {
        check("", &[]);
        check("a: 1", &[(1, 1, "a: 1")]);
        check("---\na: 1\n---\nb: 2\n", &[(1, 1, "---\na: 1\n"), (2, 3, "---\nb: 2\n")]);
        check("a: 1\r\n---\r\nb: 2\r\n", &[(1, 1, "a: 1\r\n"), (2, 2, "---\r\nb: 2\r\n")]);
        check("--- {a: 1}\n--- # two\nb: 2", &[(1, 1, "--- {a: 1}\n"), (2, 2, "--- # two\nb: 2")]);
        check("a: ---\nb: |\n  ---\n----\n", &[(1, 1, "a: ---\nb: |\n  ---\n----\n")]);
    }

    #[test]
    fn empty_documents_are_left_out_and_heads_belong_to_what_follows() {
        check("# only\n---\n# comments\n---\n\n", &[]);
        check("---\n---\n# x\n---\na: 1\n", &[(1, 4, "---\na: 1\n")]);
        check(
            "%YAML 1.2\n---\na: 1\n...\n# next\nb: 2\n",
            &[(1, 1, "%YAML 1.2\n---\na: 1\n"), (2, 5, "# next\nb: 2\n")],
        );
        check("\u{feff}a: 1", &[(1, 1, "a: 1")]);
    }
}
