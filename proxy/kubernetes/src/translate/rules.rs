//! `spec` of an Ingress → hosts and paths.
//!
//! Every rule and every path keeps its place, good or bad: the core checks hosts and paths against the form that those of
//! requests are brought into, and names them by their place. Here is checked what only Kubernetes and ingress-nginx know.

use super::backend::{Backends, Referrer};
use super::findings::Findings;
use crate::objects::HasMeta;
use k8s_openapi::api::networking::v1 as networking;
use std::net::IpAddr;
use weir_core::declaration::{BackendName, HostRule, PathKind, PathRule};
use weir_core::policy::Via;

/// `spec.rules`, without those that cannot be served.
pub(super) fn read(
    object: &networking::Ingress,
    via: Via,
    backends: &mut Backends<'_>,
    findings: &mut Findings<'_>,
) -> Vec<HostRule> {
    let spec = object.spec.as_ref();
    let rules = spec.and_then(|spec| spec.rules.as_deref()).unwrap_or_default();
    if rules.is_empty() && spec.is_none_or(|spec| spec.default_backend.is_none()) {
        findings.warn("spec", "", "nothing-to-serve", "there are neither rules nor a default backend");
    }
    let referrer = Referrer { namespace: object.namespace(), via };
    let numbered = rules.iter().enumerate();
    numbered
        .map(|(at, rule)| host_rule(referrer, rule, &format!("spec.rules[{at}]"), backends, findings))
        .collect()
}

/// Whether it is for every host: it has a default backend and no rules that could say for which.
pub(super) fn is_catch_all(object: &networking::Ingress) -> bool {
    let Some(spec) = &object.spec else { return false };
    spec.default_backend.is_some() && spec.rules.as_deref().unwrap_or_default().is_empty()
}

/// `spec.defaultBackend`
pub(super) fn default_backend(
    object: &networking::Ingress,
    via: Via,
    backends: &mut Backends<'_>,
    findings: &mut Findings<'_>,
) -> Option<BackendName> {
    let backend = object.spec.as_ref()?.default_backend.as_ref()?;
    backends.refer(Referrer { namespace: object.namespace(), via }, backend, "spec.defaultBackend", findings)
}

fn host_rule(
    referrer: Referrer<'_>,
    rule: &networking::IngressRule,
    field: &str,
    backends: &mut Backends<'_>,
    findings: &mut Findings<'_>,
) -> HostRule {
    let host = rule.host.as_deref().unwrap_or_default();
    if host.parse::<IpAddr>().is_ok() {
        let message = "Kubernetes takes only names here; it is served as it stands";
        findings.warn(format!("{field}.host"), host, "address-as-host", message);
    }
    let paths = rule.http.as_ref().map(|http| http.paths.as_slice()).unwrap_or_default();
    let numbered = paths.iter().enumerate();
    let paths = numbered.map(|(at, path)| {
        path_rule(referrer, path, &format!("{field}.http.paths[{at}]"), backends, findings)
    });
    HostRule { host: host.to_owned(), paths: paths.collect() }
}

fn path_rule(
    referrer: Referrer<'_>,
    rule: &networking::HTTPIngressPath,
    field: &str,
    backends: &mut Backends<'_>,
    findings: &mut Findings<'_>,
) -> PathRule {
    let path = rule.path.as_deref().unwrap_or_default();
    let kind = path_kind(&rule.path_type, field, findings);
    let backend = backends.refer(referrer, &rule.backend, &format!("{field}.backend"), findings);
    let backend = match inspect(path) {
        Ok(()) => backend,
        Err(why) => {
            findings.fail(format!("{field}.path"), path, "refused-path", format!("{why}; requests get 404"));
            None
        }
    };
    PathRule { path: path.to_owned(), kind, backend }
}

fn path_kind(text: &str, field: &str, findings: &mut Findings<'_>) -> PathKind {
    match text {
        "Exact" => PathKind::Exact,
        "Prefix" => PathKind::Prefix,
        "ImplementationSpecific" => PathKind::ImplementationSpecific,
        "" => {
            let message = "missing; Kubernetes asks for Exact, Prefix or ImplementationSpecific, the last of which is in force";
            findings.warn(format!("{field}.pathType"), "", "missing-path-type", message);
            PathKind::ImplementationSpecific
        }
        _ => {
            let message = "expected Exact, Prefix or ImplementationSpecific, the last of which is in force";
            findings.fail(format!("{field}.pathType"), text, "invalid-path-type", message);
            PathKind::ImplementationSpecific
        }
    }
}

/// What ingress-nginx refuses to put into its configuration. Nothing here is ever written into a text, so this is not
/// needed for safety; it keeps manifests that were refused there from suddenly working here.
fn inspect(path: &str) -> Result<(), &'static str> {
    if path.len() > MAX_PATH_BYTES {
        Err("longer than 4096 bytes")
    } else if path.chars().any(char::is_control) {
        Err("control characters are refused")
    } else if REFUSED.iter().any(|text| path.contains(text)) || is_directive(path) {
        Err("text of this form is refused, as it was by ingress-nginx")
    } else {
        Ok(())
    }
}

/// `alias …;` and `root …;`
fn is_directive(path: &str) -> bool {
    let directives = ["alias", "root"];
    directives.iter().any(|word| path.split_once(word).is_some_and(|(_, rest)| rest.contains(';')))
}

/// As the API server limits long texts.
const MAX_PATH_BYTES: usize = 4096;
const REFUSED: [&str; 7] = [
    "_by_lua",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/nginx",
    "/etc/ingress-controller",
    "/var/run/secrets",
];
