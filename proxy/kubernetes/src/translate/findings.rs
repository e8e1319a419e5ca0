//! Collects the findings of one object.

use weir_core::Finding;
use weir_core::finding::{ObjectRef, Severity};

/// Findings of one object, at the end of everybody's.
pub(super) struct Findings<'a> {
    object: &'a ObjectRef,
    all: &'a mut Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// Collects what is wrong with `object`.
    pub(super) fn new(object: &'a ObjectRef, all: &'a mut Vec<Finding>) -> Self {
        Self { object, all }
    }

    /// Works, but not as the author may think.
    pub(super) fn warn(
        &mut self,
        field: impl Into<String>,
        value: &str,
        code: &'static str,
        message: impl Into<String>,
    ) {
        self.push(field.into(), value, Severity::Warn, code, &message.into());
    }

    /// What the author asked for is not in force.
    pub(super) fn fail(
        &mut self,
        field: impl Into<String>,
        value: &str,
        code: &'static str,
        message: impl Into<String>,
    ) {
        self.push(field.into(), value, Severity::Fail, code, &message.into());
    }

    pub(super) fn push(
        &mut self,
        field: String,
        value: &str,
        severity: Severity,
        code: &'static str,
        message: &str,
    ) {
        let (value, message) = (shorten(value), sentence(message));
        self.all.push(Finding { object: self.object.clone(), field, value, severity, code, message });
    }
}

/// `text` with a capital letter and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let end = if text.ends_with(['.', '?']) { "" } else { "." };
    format!("{}{}{end}", first.map(String::from).unwrap_or_default(), letters.as_str())
}

/// Findings are shown to people and kept in memory; a value of a megabyte serves neither.
pub(crate) fn shorten(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

const MAX_VALUE_CHARS: usize = 200;
