//! A Markdown page → its examples.

/// An example: the fenced blocks under one heading. What they do ends with the next heading.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// Text of the heading.
    pub(crate) heading: String,
    pub(crate) blocks: Vec<Block>,
}

/// A fenced block that is run.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// Line of the opening fence, from 1.
    pub(crate) line: usize,
    /// The text between the fences.
    pub(crate) text: String,
}

/// What a block is, by the words behind its opening fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Kubernetes objects, in place of the page's first such block.
    Manifest,
    /// Annotations for the Ingress.
    Annotations,
    /// Data of the ConfigMap.
    Settings,
    /// Requests and what becomes of them.
    Requests,
}

impl Block {
    /// The lines of the text with their numbers in the page.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, text)| (self.line + 1 + at, text))
    }
}

/// The examples of a page. Blocks of other kinds are for people only.
pub(crate) fn examples(markdown: &str) -> Vec<Example> {
    let mut examples = vec![Example { heading: String::new(), blocks: Vec::new() }];
    let mut fence: Option<Option<Block>> = None;
    for (at, line) in markdown.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            fence = match fence {
                None => Some(kind(info).map(|kind| Block { kind, line: at + 1, text: String::new() })),
                Some(block) => {
                    let current = examples.last_mut().unwrap();
                    current.blocks.extend(block);
                    None
                }
            };
        } else if let Some(block) = &mut fence {
            if let Some(block) = block {
                block.text.push_str(line);
                block.text.push('\n');
            }
        } else if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim().to_owned();
            examples.push(Example { heading, blocks: Vec::new() });
        }
    }
    assert!(fence.is_none(), "a block has no end");
    examples.retain(|example| !example.blocks.is_empty());
    examples
}

fn kind(info: &str) -> Option<Kind> {
    match info.trim() {
        "yaml manifest" => Some(Kind::Manifest),
        "yaml annotations" => Some(Kind::Annotations),
        "yaml settings" => Some(Kind::Settings),
        "requests" => Some(Kind::Requests),
        _ => None,
    }
}
