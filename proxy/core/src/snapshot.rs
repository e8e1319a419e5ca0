//! One immutable configuration.

use crate::declaration::{BackendName, Declaration};
use crate::finding::{Finding, ObjectRef};
use crate::policy::{Policy, Settings};

/// One immutable configuration, ready to admit requests.
#[derive(Debug)]
pub struct Snapshot {
    /// What holds for the whole proxy.
    pub settings: Settings,
    /// What is wrong with the objects it was made of.
    pub findings: Vec<Finding>,
}

/// One path of one Ingress, compiled.
#[derive(Debug)]
pub struct Location {
    /// The Ingress.
    pub object: ObjectRef,
    /// Host as configured; empty for every host.
    pub host: String,
    /// Path as configured.
    pub path: String,
    /// Where it leads.
    pub backend: Option<BackendName>,
    /// What its owner wants.
    pub policy: Policy,
}

impl Snapshot {
    /// Puts a declaration in order. `previous` lends what should survive: counters and endpoint state.
    pub fn build(declaration: Declaration, _previous: Option<&Self>) -> Self {
        Self { settings: declaration.settings, findings: Vec::new() }
    }
}
