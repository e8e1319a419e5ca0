//! The text of a downward API file → annotations.
//!
//! The kubelet writes one `key="value"` a line, sorted by key, the value as Go's `%q` has it (`FormatMap` in
//! `pkg/fieldpath` of Kubernetes, `strconv.Quote` of Go). What it never writes is a mistake here: then the file is from
//! somebody else, or half of one, and half of the limits is none at all.

use std::collections::BTreeMap;
use std::fmt;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What was expected there, and what was found.
    pub expected: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.expected)
    }
}

/// Reads a file as the kubelet writes it: annotations, or labels.
///
/// Bytes that are no UTF-8, which `%q` writes as `\xNN`, become U+FFFD, and so does nothing that any annotation of ours
/// could hold.
///
/// # Errors
/// All lines that are wrong, [`MOST_MISTAKES`] of them at most.
pub fn parse(text: &[u8]) -> Result<BTreeMap<String, String>, Vec<Mistake>> {
    let mut annotations = BTreeMap::new();
    let mut mistakes = Vec::new();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n').zip(1..);
    for (content, line) in lines.filter(|_| !text.is_empty()) {
        let read = entry(content).and_then(|(key, value)| match annotations.insert(key, value) {
            None => Ok(()),
            Some(_) => Err("expected each key once, found one that was there before".to_owned()),
        });
        if let Err(expected) = read {
            mistakes.push(Mistake { line, expected });
            if mistakes.len() == MOST_MISTAKES {
                break;
            }
        }
    }
    if mistakes.is_empty() { Ok(annotations) } else { Err(mistakes) }
}

/// `key="value"`
fn entry(line: &[u8]) -> Result<(String, String), String> {
    let line = std::str::from_utf8(line).map_err(|error| {
        format!("expected UTF-8, found another byte at column {}", error.valid_up_to() + 1)
    })?;
    let (key, quoted) = line.split_once('=').ok_or(EXPECTED)?;
    if key.is_empty() || key.len() > MOST_KEY_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("expected the key of an annotation before `=`".to_owned());
    }
    let quoted = quoted.strip_prefix('"').ok_or(EXPECTED)?;
    unquote(quoted).map(|value| (key.to_owned(), value)).map_err(|expected| format!("{expected} (in {key})"))
}

/// What is behind the first quote, up to the last.
fn unquote(quoted: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    loop {
        match rest.next() {
            None => {
                return Err("expected a quote at the end of the value, found the end of the line".to_owned());
            }
            Some('"') if rest.as_str().is_empty() => break,
            Some('"') => return Err("expected the end of the line behind the second quote".to_owned()),
            Some('\\') => escape(&mut rest, &mut bytes)?,
            Some(letter) if letter.is_control() => {
                return Err(format!("expected an escape, found the character U+{:04X}", u32::from(letter)));
            }
            Some(letter) => push(letter, &mut bytes),
        }
    }
    Ok(match String::from_utf8(bytes) {
        Ok(value) => value,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// What stands behind a backslash.
fn escape(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Result<(), String> {
    let letter = rest.next();
    let byte = match letter {
        Some('a') => 0x07,
        Some('b') => 0x08,
        Some('f') => 0x0c,
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('v') => 0x0b,
        Some('\\') => b'\\',
        Some('"') => b'"',
        Some('x') => {
            return number(rest, 2).and_then(|n| u8::try_from(n).ok()).map(|n| bytes.push(n)).ok_or_else(hex);
        }
        Some(long @ ('u' | 'U')) => {
            let digits = if long == 'u' { 4 } else { 8 };
            let letter = number(rest, digits).and_then(char::from_u32).ok_or_else(hex)?;
            push(letter, bytes);
            return Ok(());
        }
        _ => {
            return Err(
                r#"expected one of a, b, f, n, r, t, v, x, u, U, \ and " behind a backslash"#.to_owned()
            );
        }
    };
    bytes.push(byte);
    Ok(())
}

/// A number of exactly so many hexadecimal digits.
fn number(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let (number, behind) = rest.as_str().split_at_checked(digits)?;
    let plain = number.bytes().all(|byte| byte.is_ascii_hexdigit());
    *rest = behind.chars();
    plain.then(|| u32::from_str_radix(number, 16).ok())?
}

fn hex() -> String {
    r"expected \xNN, \uNNNN or \UNNNNNNNN with the number of a character in hexadecimal digits".to_owned()
}

fn push(letter: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A file that has more is no such file.
pub const MOST_MISTAKES: usize = 100;
const EXPECTED: &str = r#"expected key="value""#;
/// A DNS name of 253 bytes, a slash, and a name of 63: more is no key of Kubernetes.
const MOST_KEY_BYTES: usize = 253 + 1 + 63;

#[cfg(test)]
mod tests;
