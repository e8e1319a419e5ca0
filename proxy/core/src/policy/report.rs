//! How findings about annotations and ConfigMap keys are worded.

use super::unsupported::{Consequence, Unsupported};
use crate::finding::{Finding, ObjectRef, Severity};

/// A finding about one field; a long value is cut.
pub(super) fn finding(
    object: &ObjectRef,
    field: String,
    value: &str,
    severity: Severity,
    code: &'static str,
    message: String,
) -> Finding {
    let mut shown: String = value.chars().take(MAX_SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    Finding { object: object.clone(), field, value: shown, severity, code, message }
}

/// What is said about a name that weir knows and does not act on. `refused` is what answers 503 if nothing may pass.
pub(super) fn unsupported(known: &Unsupported, refused: &str) -> (Severity, String) {
    let (severity, text) = match known.consequence {
        Consequence::Ignore => (Severity::Warn, "Not supported yet; it has no effect.".to_owned()),
        Consequence::Miss => (Severity::Fail, "Not supported; what it asks for is not in force.".to_owned()),
        Consequence::Refuse => {
            let text = format!("Not supported yet. {refused} answers 503, so that nothing passes unchecked.");
            (Severity::Fail, text)
        }
        Consequence::Canary => {
            let text =
                "Canaries are not supported yet; the object is left out, and requests go to the main one.";
            (Severity::Warn, text.to_owned())
        }
        Consequence::Regex => {
            let text = "Rewriting is not supported yet; the paths of its hosts are regular expressions, as in \
                        ingress-nginx, but requests go to the origin with the path they came with.";
            (Severity::Fail, text.to_owned())
        }
    };
    if known.hint.is_empty() {
        (severity, text)
    } else {
        (severity, format!("{text} {}", sentence(known.hint)))
    }
}

/// What is said about a name that nobody knows.
pub(super) fn unknown(what: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("There is no such {what}, so it has no effect; did you mean {near}?"),
        None => format!("There is no such {what}, so it has no effect."),
    }
}

/// What holds in the place of a value that cannot be read.
pub(super) fn in_force(value: Option<String>) -> String {
    match value {
        Some(value) => format!("In force instead: {}.", value.chars().take(MAX_SHOWN).collect::<String>()),
        None => "It is as if it were not there.".to_owned(),
    }
}

/// `text` with a capital letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Most characters of a value that a finding repeats.
const MAX_SHOWN: usize = 160;
