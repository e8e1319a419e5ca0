//! The one place where annotations and settings go through `weir_core::policy`.

use super::findings::Findings;
use super::options::Options;
use crate::objects::Objects;
use k8s_openapi::api::networking::v1 as networking;
use weir_core::Finding;
use weir_core::finding::ObjectRef;
use weir_core::policy::{Policy, Settings};

/// What the annotations of an Ingress say.
pub(super) fn read(
    _object_ref: &ObjectRef,
    _object: &networking::Ingress,
    settings: &Settings,
    _options: &Options,
    _findings: &mut Findings<'_>,
) -> Policy {
    settings.defaults.clone()
}

/// What the ConfigMap says.
pub(super) fn settings(_objects: &Objects, options: &Options, _findings: &mut Vec<Finding>) -> Settings {
    Settings { profile: options.profile, ..Settings::default() }
}
