//! Kubernetes objects → [`Declaration`] and findings. Pure.
//!
//! Every mistake is reported, and each hurts only what it is in: a rule with a bad host is left out and the other rules
//! stay; a path whose backend cannot be found stays and answers 503, so that its requests do not fall through to another
//! path with other limits.

mod backend;
mod class;
mod findings;
mod options;
mod policy;
mod rules;

#[cfg(test)]
mod tests;

pub use class::{ClassByName, WithoutClass};
pub use options::{BackendOverride, ObjectName, Options, ParseOptionError};

use crate::objects::{HasMeta, Kind, Objects};
use findings::Findings;
use k8s_openapi::api::networking::v1 as networking;
use weir_core::Finding;
use weir_core::declaration::{Declaration, Ingress};
use weir_core::policy::Settings;

/// Turns objects into a declaration. Equal arguments give equal results, whatever the order in which the objects came.
pub fn translate(objects: &Objects, options: &Options) -> (Declaration, Vec<Finding>) {
    let mut findings = Vec::new();
    let settings = policy::settings(objects, options, &mut findings);
    let classes = class::Classes::new(objects, options);
    let mut backends = backend::Backends::new(objects, options);

    let ours = objects
        .ingresses
        .iter()
        .filter(|ingress| classes.claim(ingress, &mut findings) == class::Claim::Ours);
    let ours: Vec<_> = ours.collect();
    let ingresses = ours
        .into_iter()
        .filter_map(|object| ingress(object, &settings, options, &mut backends, &mut findings))
        .collect();
    let default_backend = backends.default_backend(&mut findings);

    let backends = backends.finish(&mut findings);
    (Declaration { settings, ingresses, backends, default_backend }, findings)
}

fn ingress(
    object: &networking::Ingress,
    settings: &Settings,
    options: &Options,
    backends: &mut backend::Backends<'_>,
    all: &mut Vec<Finding>,
) -> Option<Ingress> {
    let object_ref = Kind::Ingress.object_ref(&object.metadata);
    let mut findings = Findings::new(&object_ref, all);
    if let Some((name, value)) = canary(object, options) {
        findings.fail(
            format!("metadata.annotations[{name}]"),
            value,
            "canary-not-supported",
            "canary backends are not supported yet; this Ingress is left out and all requests go to the main one",
        );
        return None;
    }
    let policy = policy::read(&object_ref, object, settings, options, &mut findings);
    let rules = rules::read(object, backends, &mut findings);
    let default_backend = rules::default_backend(object, backends, &mut findings);
    Some(Ingress {
        uid: object.metadata.uid.clone().unwrap_or_default(),
        created: object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()),
        object: object_ref,
        policy,
        rules,
        default_backend,
    })
}

/// The annotation that makes an Ingress a canary, if it has one: its backend is an alternative to another Ingress's, and
/// must never be taken for an Ingress of its own.
fn canary<'a>(object: &'a networking::Ingress, options: &Options) -> Option<(String, &'a str)> {
    let prefixes = [options.annotation_prefix.as_str(), WEIR_PREFIX];
    prefixes.into_iter().find_map(|prefix| {
        let name = format!("{prefix}/canary");
        // As Go's strconv.ParseBool, which decided this in ingress-nginx.
        let value = object
            .annotation(&name)
            .filter(|value| matches!(*value, "1" | "t" | "T" | "true" | "TRUE" | "True"))?;
        Some((name, value))
    })
}

/// The prefix under which every annotation is read.
const WEIR_PREFIX: &str = "weir.dev";
