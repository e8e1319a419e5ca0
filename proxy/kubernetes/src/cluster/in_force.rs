//! What a change of endpoints means for the configuration in force. Pure.

use super::store::by_service;
use crate::objects::Objects;
use crate::translate::{self, ObjectName, Options};
use std::collections::{BTreeMap, BTreeSet};
use weir_core::declaration::{BackendName, BackendSpec, Declaration};

/// The backends of the configuration in force.
#[derive(Debug, Default)]
pub(super) struct InForce {
    /// Those that endpoints stand behind, by their Service.
    backends: BTreeMap<ObjectName, Vec<BackendName>>,
    /// Those of them without an address.
    empty: BTreeSet<BackendName>,
}

/// What is to be done about a change of endpoints.
#[derive(Debug)]
pub(super) struct Reaction {
    /// Addresses to be put in force; none if the change concerns nobody.
    pub(super) specs: BTreeMap<BackendName, BackendSpec>,
    pub(super) findings: Findings,
}

/// Whether the findings of the configuration in force are still right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Findings {
    /// As far as addresses go.
    Hold,
    /// A Service came to have endpoints, or lost all of them.
    AreStale,
}

impl InForce {
    /// A configuration comes into force.
    pub(super) fn replace(&mut self, declaration: &Declaration) {
        self.backends = by_service(declaration.backends.keys());
        let empty = declaration.backends.iter().filter(|(_, spec)| is_empty(spec));
        self.empty = empty.map(|(name, _)| name.clone()).collect();
    }

    /// The endpoints of these Services, and nothing else, have changed since.
    pub(super) fn endpoints(
        &self,
        objects: &Objects,
        options: &Options,
        services: &BTreeSet<ObjectName>,
    ) -> Reaction {
        let names = services.iter().filter_map(|service| self.backends.get(service)).flatten();
        let specs = translate::endpoints(objects, options, names);
        let stale = specs.iter().any(|(name, spec)| is_empty(spec) != self.empty.contains(name));
        Reaction { specs, findings: if stale { Findings::AreStale } else { Findings::Hold } }
    }
}

fn is_empty(spec: &BackendSpec) -> bool {
    matches!(spec, BackendSpec::Addresses(addresses) if addresses.is_empty())
}

#[cfg(test)]
mod tests;
