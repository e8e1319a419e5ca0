//! The annotations of a pod → a [`Declaration`] with one route, which takes every request.
//!
//! A pod is to its sidecar what an Ingress with one path is to a controller: the same table, and the same findings. What
//! concerns other objects than the pod has no meaning here, and is said so.

use super::findings::Findings;
use super::options::{ObjectName, Options};
use super::{policy, secrets};
use crate::objects::Objects;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use weir_core::Finding;
use weir_core::declaration::{
    BackendName, BackendSpec, Declaration, HostRule, Ingress, PathKind, PathRule, PortName,
};
use weir_core::finding::ObjectRef;
use weir_core::policy::{Policy, Via};

/// A pod with weir in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace and name.
    pub name: ObjectName,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Where requests go.
    pub upstreams: Vec<SocketAddr>,
}

/// Turns the annotations of a pod into a declaration. Of `objects` only Secrets and the ConfigMap count.
pub fn pod(pod: &Pod, objects: &Objects, options: &Options) -> (Declaration, Vec<Finding>) {
    let mut findings = Vec::new();
    let policies = policy::Reader::new(objects, options, &mut findings);
    let object = ObjectRef::new("Pod", &pod.name.namespace, &pod.name.name);
    let policy = policies.read(&object, &pod.annotations, &mut findings);
    let policy = fit(policy, &object, &mut findings);
    unmounted(&policy, &object, objects, &mut findings);

    let port = pod.upstreams.first().map_or(0, SocketAddr::port);
    let backend = BackendName::new(&pod.name.namespace, &pod.name.name, PortName::Number(port));
    let path = PathRule { path: "/".to_owned(), kind: PathKind::Prefix, backend: Some(backend.clone()) };
    let ingresses = vec![Ingress {
        object,
        uid: String::new(),
        created: None,
        policy,
        rules: vec![HostRule { host: String::new(), paths: vec![path] }],
        default_backend: None,
        tls: Vec::new(),
    }];
    let declaration = Declaration {
        settings: policies.settings,
        secrets: secrets::read(objects, options, &ingresses, &mut findings),
        default_certificate: secrets::default_certificate(options),
        ingresses,
        backends: [(backend, BackendSpec::Addresses(pod.upstreams.clone()))].into_iter().collect(),
        default_backend: None,
    };
    (declaration, findings)
}

/// Takes away what has a meaning between objects only, and says so.
fn fit(mut policy: Policy, object: &ObjectRef, all: &mut Vec<Finding>) -> Policy {
    if policy.canary {
        // Left out as an Ingress would be, the pod would answer nothing. What was said of it is about Ingresses.
        policy.canary = false;
        all.retain(|finding| finding.object != *object || !finding.field.ends_with("/canary]"));
        let message = "there is no other object that a pod could be the canary of; it has no effect";
        Findings::new(object, all).warn(annotation("canary"), "true", NO_EFFECT, message);
    }
    if policy.origin.via == Via::ClusterIp {
        policy.origin.via = Via::Endpoints;
        let message = "requests go to --upstream, and there is no Service in between; it has no effect";
        Findings::new(object, all).warn(annotation("service-upstream"), "true", NO_EFFECT, message);
    }
    if policy.origin.tls.verify && policy.origin.tls.name.is_none() {
        let message = "an --upstream is an address and has no name that its certificate could be for: expected proxy-ssl-name \
                       beside it. Every path of this object answers 503 until it is there";
        Findings::new(object, all).fail(annotation("proxy-ssl-verify"), "on", "no-name", message);
        let why = "proxy-ssl-verify: proxy-ssl-name is missing";
        policy.refuse_all = Some(match policy.refuse_all {
            Some(others) => format!("{others}; {why}"),
            None => why.to_owned(),
        });
    }
    policy
}

/// Nobody is let in unchecked where a Secret is missing; here is said how it gets here.
fn unmounted(policy: &Policy, object: &ObjectRef, objects: &Objects, all: &mut Vec<Finding>) {
    let named =
        [("auth-tls-secret", &policy.tls.client.secret), ("proxy-ssl-secret", &policy.origin.tls.secret)];
    for (name, secret) in named {
        let Some(secret) = secret.as_ref().filter(|secret| secret.namespace == object.namespace) else {
            continue;
        };
        if objects.secrets.get(&secret.namespace, &secret.name).is_none() {
            let message =
                format!("no Secret is fetched here: mount it, and say where with --secret-dir {secret}=DIR");
            let value = secret.to_string();
            Findings::new(object, all).fail(annotation(name), &value, "not-mounted", message);
        }
    }
}

fn annotation(name: &str) -> String {
    format!("metadata.annotations[{name}]")
}

const NO_EFFECT: &str = "no-effect-in-a-pod";
