//! Secrets → certificates, keys and authorities.
//!
//! Only Secrets that are named are looked at, and of those that an Ingress names only the ones of its own namespace:
//! whoever may write an Ingress reads no more than whoever may write a Pod. Nothing of what a Secret holds is ever
//! repeated in a finding.

mod pem;

use super::findings::Findings;
use super::options::Options;
use crate::objects::{HasMeta, Objects};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1 as networking;
use std::collections::{BTreeMap, BTreeSet};
use weir_core::Finding;
use weir_core::declaration::{Ingress, TlsSection};
use weir_core::tls::{Content, SecretContent, SecretName};

/// `spec.tls`
pub(super) fn sections(object: &networking::Ingress) -> Vec<TlsSection> {
    let tls = object.spec.as_ref().and_then(|spec| spec.tls.as_deref()).unwrap_or_default();
    let section = |section: &networking::IngressTLS| {
        let secret = section.secret_name.as_deref().filter(|name| !name.is_empty());
        TlsSection {
            hosts: section.hosts.clone().unwrap_or_default(),
            secret: secret.map(|name| SecretName::new(object.namespace(), name)),
        }
    };
    tls.iter().map(section).collect()
}

/// The Secret with the default certificate, if the operator has named one.
pub(super) fn default_certificate(options: &Options) -> Option<SecretName> {
    options.default_certificate.as_ref().map(|name| SecretName::new(&name.namespace, &name.name))
}

/// What the Secrets hold that are named and are there.
pub(super) fn read(
    objects: &Objects,
    options: &Options,
    ingresses: &[Ingress],
    findings: &mut Vec<Finding>,
) -> BTreeMap<SecretName, SecretContent> {
    let named = named(default_certificate(options), ingresses);
    let content = |name: SecretName| {
        let secret = objects.secrets.get(&name.namespace, &name.name)?;
        let content = content(&name, secret, findings);
        Some((name, content))
    };
    named.into_iter().filter_map(content).collect()
}

/// The Secrets that are named.
pub(super) fn named(default: Option<SecretName>, ingresses: &[Ingress]) -> BTreeSet<SecretName> {
    let mut named: BTreeSet<SecretName> = default.into_iter().collect();
    for ingress in ingresses {
        let sections = ingress.tls.iter().filter_map(|section| section.secret.as_ref());
        let policy = &ingress.policy;
        let annotations = [&policy.tls.client.secret, &policy.origin.tls.secret].into_iter().flatten();
        let own = |name: &&SecretName| name.namespace == ingress.object.namespace;
        named.extend(sections.chain(annotations).filter(own).cloned());
    }
    named
}

fn content(name: &SecretName, secret: &Secret, findings: &mut Vec<Finding>) -> SecretContent {
    let object = name.object_ref();
    let mut findings = Findings::new(&object, findings);
    let entry = |key: &str| secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice());
    let mut take = |problem: pem::Problem| {
        findings.fail(problem.field, "", "invalid-secret", problem.message);
    };
    let pair = match (entry("tls.crt"), entry("tls.key")) {
        (None, None) => Content::Absent,
        (chain, key) => match pem::key_pair(&object, chain, key) {
            Ok(pair) => Content::Good(pair.into()),
            Err(problem) => {
                take(problem);
                Content::Broken
            }
        },
    };
    let anchors = match (entry("ca.crt"), entry("ca.crl")) {
        // cert-manager writes an empty ca.crt where there is no authority.
        (None | Some([]), None) => Content::Absent,
        (roots, crls) => match pem::anchors(&object, roots, crls) {
            Ok(anchors) => Content::Good(anchors.into()),
            Err(problem) => {
                take(problem);
                Content::Broken
            }
        },
    };
    SecretContent { pair, anchors }
}
