//! What a scenario says. Reading one names all its mistakes at once.

mod checks;
pub mod mistake;
pub mod schema;
pub mod shape;
mod table;
pub mod types;
pub mod value;

#[cfg(test)]
mod tests;

pub use mistake::{Mistake, Mistakes};
pub use types::*;

use serde_json::Value;
use std::path::Path;
use thiserror::Error;

/// Why there is no scenario.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// It is not YAML.
    #[error("is not YAML: {0}")]
    Yaml(String),
    /// It is not a scenario.
    #[error("is not a scenario:{0}")]
    Mistakes(Mistakes),
}

/// Reads a file.
///
/// # Errors
///
/// If it cannot be read or is not a scenario; then with all its mistakes.
pub fn load(path: &Path) -> Result<Scenario, LoadError> {
    parse(&std::fs::read_to_string(path)?)
}

/// Reads a text.
///
/// # Errors
///
/// If it is not a scenario; then with all its mistakes.
pub fn parse(text: &str) -> Result<Scenario, LoadError> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| LoadError::Yaml(error.to_string()))?;
    let mut mistakes = Vec::new();
    table::SCENARIO.check("", &value, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(LoadError::Mistakes(Mistakes(mistakes)));
    }
    let scenario: Scenario = serde_json::from_value(value)
        .map_err(|error| LoadError::Mistakes(Mistakes(vec![Mistake::missing("", error.to_string())])))?;
    match checks::check(&scenario) {
        mistakes if mistakes.is_empty() => Ok(scenario),
        mistakes => Err(LoadError::Mistakes(Mistakes(mistakes))),
    }
}
