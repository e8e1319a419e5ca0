//! Paths that are regular expressions.

use regex::bytes::{Regex, RegexBuilder};
use std::borrow::Cow;

/// A path that is a regular expression: case does not matter, a match begins where the path begins and ends anywhere.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Box<str>,
    /// What every match begins with, in lower case.
    literal: Box<str>,
    /// `None` for a text that is no regular expression: then the literal decides.
    regex: Option<Regex>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is no regular expression, or uses look-around or back-references, which would let one request take any time.
    #[error("no regular expression that can be matched in linear time: {0}")]
    Syntax(String),
    /// Its program is larger than it may be.
    #[error("a regular expression larger than {PROGRAM_MAX} bytes when compiled")]
    TooLarge,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// See [`PatternError`]. The pattern that comes with the error takes every path that the mended one could take, so
    /// that whoever refuses what it takes refuses enough.
    pub fn new(text: &str) -> Result<Self, (Self, PatternError)> {
        // Canonical paths are ASCII, so the tables of Unicode would only cost memory.
        let regex = RegexBuilder::new(&format!("^(?:{text})"))
            .case_insensitive(true)
            .unicode(false)
            .size_limit(PROGRAM_MAX)
            .dfa_size_limit(PROGRAM_MAX)
            .build();
        let text: Box<str> = text.into();
        let literal = literal(&text).to_ascii_lowercase().into();
        match regex {
            Ok(regex) => Ok(Self { text, literal, regex: Some(regex) }),
            Err(error) => Err((Self { text, literal, regex: None }, error.into())),
        }
    }

    /// The pattern as configured.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What every match begins with, in lower case.
    pub fn literal(&self) -> &str {
        &self.literal
    }

    /// Whether it takes a canonical path.
    pub fn is_match(&self, path: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(path.as_bytes()),
            None => {
                path.get(..self.literal.len()).is_some_and(|head| head.eq_ignore_ascii_case(&self.literal))
            }
        }
    }
}

impl From<regex::Error> for PatternError {
    fn from(error: regex::Error) -> Self {
        match error {
            regex::Error::CompiledTooBig(_) => Self::TooLarge,
            // The library draws the pattern with a marker under it; its last line says what is wrong.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                Self::Syntax(last.trim_start_matches("error: ").to_owned())
            }
        }
    }
}

/// The path in lower case.
pub(super) fn fold(path: &str) -> Cow<'_, str> {
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(path.to_ascii_lowercase());
    }
    Cow::Borrowed(path)
}

/// A text that every match of the pattern begins with, as long as a glance can tell.
fn literal(pattern: &str) -> &str {
    if has_outer_alternatives(pattern) {
        return "";
    }
    let end = pattern.find(META).unwrap_or(pattern.len());
    let (literal, rest) = pattern.split_at_checked(end).unwrap_or(("", pattern));
    if !rest.starts_with(['*', '?', '{']) {
        return literal;
    }
    // The last character may be missing from a match.
    let mut characters = literal.chars();
    characters.next_back();
    characters.as_str()
}

/// Whether a `|` may stand outside all groups. Says yes rather than parse character classes.
fn has_outer_alternatives(pattern: &str) -> bool {
    if !pattern.contains('|') {
        return false;
    }
    let mut depth = 0_usize;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '[' => return true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

const META: [char; 14] = ['.', '^', '$', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '\\'];

/// Most bytes of a compiled pattern, and of what it keeps while matching. A path like `/a(/|$)(.*)` takes about 2 KiB.
const PROGRAM_MAX: usize = 256 << 10;
