//! The one place where annotations and settings go through `weir_core::policy`.

use super::findings::Findings;
use super::options::Options;
use crate::objects::{Kind, Objects};
use std::collections::BTreeMap;
use weir_core::Finding;
use weir_core::finding::ObjectRef;
use weir_core::policy::{self, Policy, Prefixes, Settings};

/// Reads annotations.
pub(super) struct Reader {
    pub(super) settings: Settings,
    prefixes: Prefixes,
}

impl Reader {
    /// Reads the settings of the whole proxy.
    pub(super) fn new(objects: &Objects, options: &Options, findings: &mut Vec<Finding>) -> Self {
        Self {
            settings: settings(objects, options, findings),
            prefixes: Prefixes::new(&options.annotation_prefix),
        }
    }

    /// What the annotations of an object say.
    pub(super) fn read(
        &self,
        object_ref: &ObjectRef,
        annotations: &BTreeMap<String, String>,
        findings: &mut Vec<Finding>,
    ) -> Policy {
        let (policy, found) = policy::read(object_ref, annotations, &self.settings, &self.prefixes);
        findings.extend(found);
        policy
    }
}

/// What the ConfigMap says, if the operator named one.
fn settings(objects: &Objects, options: &Options, findings: &mut Vec<Finding>) -> Settings {
    let Some(name) = &options.config_map else { return Settings::of(options.profile) };
    let object_ref = ObjectRef::new(Kind::ConfigMap.as_str(), &name.namespace, &name.name);
    let Some(object) = objects.config_maps.get(&name.namespace, &name.name) else {
        let message =
            "named as the settings of the proxy, but there is no such ConfigMap; the defaults are in force";
        Findings::new(&object_ref, findings).fail("metadata.name", &name.name, "missing-config-map", message);
        return Settings::of(options.profile);
    };
    let none = BTreeMap::new();
    let (settings, found) =
        policy::settings(&object_ref, object.data.as_ref().unwrap_or(&none), options.profile);
    findings.extend(found);
    settings
}
