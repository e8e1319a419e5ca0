//! What is wrong in a folder of manifests.

use crate::translate::findings::{sentence, shorten};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_core::Finding;
use weir_core::finding::{ObjectRef, Severity};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the folder.
    pub file: Arc<Path>,
    /// The document in it, from 1; 0 is the file as a whole.
    pub document: usize,
    /// The line of the file, from 1; 0 where it is not known.
    pub line: u64,
}

impl Place {
    /// A file as a whole.
    pub fn file(file: Arc<Path>) -> Self {
        Self { file, document: 0, line: 0 }
    }
}

/// `FILE, document 2, line 14`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.document {
            0 => Ok(()),
            document => write!(f, ", document {document}"),
        }?;
        match self.line {
            0 => Ok(()),
            line => write!(f, ", line {line}"),
        }
    }
}

/// One mistake in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The object, if it is known.
    pub object: Option<ObjectRef>,
    /// The field of the object; empty for the object as a whole.
    pub field: String,
    /// What was found there; empty when it is secret.
    pub value: String,
    /// How bad it is.
    pub severity: Severity,
    /// A stable code for machines.
    pub code: &'static str,
    /// What was expected and what is in force instead.
    pub message: String,
}

impl Problem {
    /// Something of which weir makes nothing.
    pub(super) fn unreadable(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            object: None,
            field: String::new(),
            value: String::new(),
            severity: Severity::Fail,
            code: "unreadable-manifest",
            message: message.into(),
        }
    }
}

/// A problem of an unknown object is told of the file, with the place as its field.
impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        let Problem { place, object, field, value, severity, code, message } = problem;
        let value = shorten(&value);
        let file = || ObjectRef::new("File", "", place.file.display().to_string());
        let position = || {
            let text = Place { file: PathBuf::new().into(), ..place.clone() }.to_string();
            text.trim_start_matches([',', ' ']).to_owned()
        };
        match object {
            Some(object) => Self {
                object,
                field,
                value,
                severity,
                code,
                message: sentence(&format!("{message} ({place})")),
            },
            None => {
                Self { object: file(), field: position(), value, severity, code, message: sentence(&message) }
            }
        }
    }
}
