//! What is wrong with a scenario.

use serde_json::Value;
use std::fmt;

/// One mistake: where, what is there, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Field with its objects, e.g. `classes[0].arrivals.rate`; empty for the whole.
    pub field: String,
    /// What is there; `None` if nothing is.
    pub value: Option<String>,
    /// The expected form.
    pub expected: String,
}

/// All mistakes of a scenario; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistake {
    /// A value that is not of its form.
    pub fn new(field: &str, value: &Value, expected: impl Into<String>) -> Self {
        let mut value = match value {
            Value::String(text) => format!("{text:?}"),
            Value::Object(_) => "an object".to_owned(),
            Value::Array(list) => format!("a list of {}", list.len()),
            other => other.to_string(),
        };
        if let Some((at, _)) = value.char_indices().nth(SHOWN) {
            value.truncate(at);
            value.push('…');
        }
        Self { field: field.to_owned(), value: Some(value), expected: expected.into() }
    }

    /// A field that must be there.
    pub fn missing(field: &str, expected: impl Into<String>) -> Self {
        Self { field: field.to_owned(), value: None, expected: expected.into() }
    }

    /// A field that nobody knows.
    pub fn unknown(field: &str, name: &str, known: &[&str]) -> Self {
        let nearest = known.iter().min_by_key(|other| distance(name, other));
        let meant = nearest.filter(|other| distance(name, other) <= 2);
        let expected = match meant {
            Some(other) => format!("no such field; did you mean {other}?"),
            None => format!("no such field; known are {}", known.join(", ")),
        };
        Self { field: field.to_owned(), value: Some(format!("{name:?}")), expected }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() { "the scenario" } else { &self.field };
        match &self.value {
            Some(value) => write!(f, "{field}: {value}: expected {}", self.expected),
            None => write!(f, "{field}: is missing: expected {}", self.expected),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

/// Levenshtein's distance; names are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(SHOWN).enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or_default();
            let cost = (before + usize::from(x != *y)).min(above + 1).min(left + 1);
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            before = above;
            left = cost;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Characters of a value that a message repeats.
const SHOWN: usize = 80;
