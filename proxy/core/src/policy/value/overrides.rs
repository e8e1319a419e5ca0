//! Other numbers for some paths: a list in YAML.

use super::access::path_prefix;
use super::number::{self, BodySize};
use super::{Invalid, Kind, Lines, Note, shown};
use crate::policy::{BodyLimit, Override};
use serde::{Deserialize, Deserializer};
use std::num::{NonZeroU32, NonZeroU64};

/// Other numbers for some paths.
pub struct Overrides;

impl Kind for Overrides {
    type Value = Vec<Override>;
    const FORM: &'static str = "a YAML list of up to 64 `{path, rps, rpm, rph, connections, body}` with different \
                                canonical paths, positive whole numbers and at least one of them each, such as \
                                `[{path: /login, rpm: 10}, {path: /upload, body: 64m}]`";
    const LINES: Lines = Lines::Many;

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        if text.len() > MAX_TEXT {
            return Err(Invalid::TooLong(MAX_TEXT));
        }
        let written: Vec<Written> =
            serde_saphyr::from_str_with_options(text, options()).map_err(|error| structure(&error))?;
        if written.is_empty() && text.trim() != "[]" {
            // A comment, a `~` or nothing but space is an empty list to YAML. Nobody means that.
            return Err(Invalid::Form);
        }
        if written.len() > MAX_OVERRIDES {
            return Err(Invalid::TooMany(MAX_OVERRIDES));
        }
        let mut overrides: Vec<Override> = Vec::new();
        for written in written {
            let read = written.check()?;
            if overrides.iter().any(|earlier| earlier.path == read.path) {
                return Err(Invalid::Twice(shown(&read.path)));
            }
            overrides.push(read);
        }
        *value = overrides;
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        let joined = super::limit::join(value.iter().map(print), ", ")?;
        Some(format!("[{joined}]"))
    }
}

/// One element as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: String,
    #[serde(default, deserialize_with = "present")]
    rps: Option<NonZeroU64>,
    #[serde(default, deserialize_with = "present")]
    rpm: Option<NonZeroU64>,
    #[serde(default, deserialize_with = "present")]
    rph: Option<NonZeroU64>,
    #[serde(default, deserialize_with = "present")]
    connections: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "present")]
    body: Option<String>,
}

/// A number that is named has a value: `rps:` with nothing behind it is a mistake, not a limit left out.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Written {
    fn check(self) -> Result<Override, Invalid> {
        let path = path_prefix(&self.path).ok_or_else(|| Invalid::Part(shown(&self.path)))?;
        if [self.rps, self.rpm, self.rph].into_iter().flatten().any(|n| n.get() > number::MAX_LIMIT) {
            return Err(Invalid::Range);
        }
        let mut body = None;
        if let Some(text) = &self.body {
            let mut limit = BodyLimit::Unlimited;
            BodySize::read(&mut limit, text).map_err(|_| Invalid::Part(shown(text)))?;
            body = Some(limit);
        }
        let Self { rps, rpm, rph, connections, .. } = self;
        let read = Override { path, connections, per_second: rps, per_minute: rpm, per_hour: rph, body };
        if read == (Override { path: read.path.clone(), ..Override::default() }) {
            return Err(Invalid::Structure(format!("{:?} has no number", shown(&read.path))));
        }
        Ok(read)
    }
}

/// As flow YAML. Paths may hold what ends a plain scalar there, so they are quoted.
fn print(one: &Override) -> String {
    let mut text = format!("{{path: '{}'", one.path.replace('\'', "''"));
    let mut number = |name: &str, number: Option<String>| {
        if let Some(number) = number {
            text.push_str(&format!(", {name}: {number}"));
        }
    };
    number("rps", one.per_second.map(|n| n.to_string()));
    number("rpm", one.per_minute.map(|n| n.to_string()));
    number("rph", one.per_hour.map(|n| n.to_string()));
    number("connections", one.connections.map(|n| n.to_string()));
    number("body", one.body.as_ref().and_then(BodySize::print));
    text + "}"
}

/// No aliases, no merging, no depth: this is a flat list.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4096,
            max_nodes: 2048,
            max_depth: 4,
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 1,
            max_merge_keys: 0,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        with_snippet: false,
    }
}

/// The first line of the parser's complaint, without control characters.
fn structure(error: &serde_saphyr::Error) -> Invalid {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    Invalid::Structure(line.chars().filter(|c| !c.is_control()).take(MAX_COMPLAINT).collect())
}

/// Most elements.
pub const MAX_OVERRIDES: usize = 64;
/// Most bytes of the list.
const MAX_TEXT: usize = 16 << 10;
/// Most characters of the parser's complaint that are passed on.
const MAX_COMPLAINT: usize = 200;
