//! Kubernetes objects → [`Declaration`] and findings. Pure.
//!
//! Every mistake is reported, and each hurts only what it is in: a rule with a bad host is left out and the other rules
//! stay; a path whose backend cannot be found stays and answers 503, so that its requests do not fall through to another
//! path with other limits.

mod backend;
mod class;
pub(crate) mod findings;
mod options;
mod pod;
mod policy;
mod rules;
mod secrets;

#[cfg(test)]
mod tests;

pub use class::{ClassByName, WithoutClass};
pub use options::{
    BackendOverride, CatchAll, ExternalNames, Namespaces, ObjectName, Options, ParseOptionError,
};
pub use pod::{Pod, pod};

use crate::objects::{HasMeta, Kind, Objects};
use findings::Findings;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1 as networking;
use std::collections::{BTreeMap, BTreeSet};
use weir_core::Finding;
use weir_core::declaration::{BackendName, BackendSpec, Declaration, Ingress};

/// Turns objects into a declaration. Equal arguments give equal results, whatever the order in which the objects came.
pub fn translate(objects: &Objects, options: &Options) -> (Declaration, Vec<Finding>) {
    let mut findings = Vec::new();
    let policies = policy::Reader::new(objects, options, &mut findings);
    let mut backends = backend::Backends::new(objects, options);

    let ours = claimed(objects, options, &mut findings);
    // They are large, and there may be ten thousand: a list that grew would take twice the room.
    let mut ingresses = Vec::with_capacity(ours.len());
    let made = ours
        .into_iter()
        .filter_map(|object| ingress(object, options, &policies, &mut backends, &mut findings));
    ingresses.extend(made);
    let default_backend = backends.default_backend(&mut findings);

    let backends = backends.finish(&mut findings);
    let declaration = Declaration {
        settings: policies.settings,
        secrets: secrets::read(objects, options, &ingresses, &mut findings),
        default_certificate: secrets::default_certificate(options),
        ingresses,
        backends,
        default_backend,
    };
    (declaration, findings)
}

/// The Ingresses that are ours, by namespace and name: those of our classes, in the namespaces that are watched.
pub fn ours<'a>(objects: &'a Objects, options: &Options) -> Vec<&'a networking::Ingress> {
    claimed(objects, options, &mut Vec::new())
}

fn claimed<'a>(
    objects: &'a Objects,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Vec<&'a networking::Ingress> {
    let classes = class::Classes::new(objects, options);
    objects
        .ingresses
        .iter()
        .filter(|ingress| classes.claim(ingress, findings) == class::Claim::Ours)
        .collect()
}

/// What stands behind these backends now: for a change of endpoints, which changes nothing else. Equal to what
/// [`translate()`] says of them.
pub fn endpoints<'a>(
    objects: &Objects,
    options: &Options,
    names: impl Iterator<Item = &'a BackendName>,
) -> BTreeMap<BackendName, BackendSpec> {
    backend::resolve(objects, options, &names.cloned().collect())
}

/// The Secrets that a declaration names, whether or not they are there.
pub fn named_secrets(declaration: &Declaration) -> BTreeSet<ObjectName> {
    let named = secrets::named(declaration.default_certificate.clone(), &declaration.ingresses);
    named.into_iter().map(|secret| ObjectName { namespace: secret.namespace, name: secret.name }).collect()
}

/// Namespace and name of the Service that a slice belongs to.
pub(crate) fn service_of(slice: &EndpointSlice) -> Option<(&str, &str)> {
    Some((slice.namespace(), slice.label(SERVICE_LABEL)?))
}

fn ingress(
    object: &networking::Ingress,
    options: &Options,
    policies: &policy::Reader,
    backends: &mut backend::Backends<'_>,
    all: &mut Vec<Finding>,
) -> Option<Ingress> {
    let object_ref = Kind::Ingress.object_ref(&object.metadata);
    let none = BTreeMap::new();
    let annotations = object.metadata.annotations.as_ref().unwrap_or(&none);
    let policy = policies.read(&object_ref, annotations, all);
    // Its backend is an alternative to another Ingress's; it must never be taken for an Ingress of its own. The reader
    // of annotations has told its owner.
    if policy.canary {
        return None;
    }
    let mut findings = Findings::new(&object_ref, all);
    if options.catch_all == CatchAll::Ignore && rules::is_catch_all(object) {
        let message = "a default backend without rules takes every host, which --disable-catch-all forbids; this Ingress \
                       is not served";
        findings.fail("spec.defaultBackend", "", "catch-all", message);
        return None;
    }
    let rules = rules::read(object, policy.origin.via, backends, &mut findings);
    let default_backend = rules::default_backend(object, policy.origin.via, backends, &mut findings);
    Some(Ingress {
        uid: object.metadata.uid.clone().unwrap_or_default(),
        created: object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()),
        object: object_ref,
        policy,
        rules,
        default_backend,
        tls: secrets::sections(object),
    })
}

pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";
