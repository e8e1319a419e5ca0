//! `spec` of an Ingress → hosts and paths.

use super::backend::Backends;
use super::findings::Findings;
use crate::objects::HasMeta;
use k8s_openapi::api::networking::v1 as networking;
use std::net::IpAddr;
use weir_core::declaration::{BackendName, HostRule, PathKind, PathRule};

/// `spec.rules`, without those that cannot be served.
pub(super) fn read(
    object: &networking::Ingress,
    backends: &mut Backends<'_>,
    findings: &mut Findings<'_>,
) -> Vec<HostRule> {
    let spec = object.spec.as_ref();
    let rules = spec.and_then(|spec| spec.rules.as_deref()).unwrap_or_default();
    if rules.is_empty() && spec.is_none_or(|spec| spec.default_backend.is_none()) {
        findings.warn("spec", "", "nothing-to-serve", "there are neither rules nor a default backend");
    }
    rules
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| {
            host_rule(object.namespace(), rule, &format!("spec.rules[{index}]"), backends, findings)
        })
        .collect()
}

/// `spec.defaultBackend`
pub(super) fn default_backend(
    object: &networking::Ingress,
    backends: &mut Backends<'_>,
    findings: &mut Findings<'_>,
) -> Option<BackendName> {
    let backend = object.spec.as_ref()?.default_backend.as_ref()?;
    backends.refer(object.namespace(), backend, "spec.defaultBackend", findings)
}

fn host_rule(
    namespace: &str,
    rule: &networking::IngressRule,
    field: &str,
    backends: &mut Backends<'_>,
    findings: &mut Findings<'_>,
) -> Option<HostRule> {
    let host = rule.host.as_deref().unwrap_or_default();
    // The paths are read even when the host is bad, so that all mistakes are told at once.
    let paths = rule.http.as_ref().map(|http| http.paths.as_slice()).unwrap_or_default();
    let paths = paths
        .iter()
        .enumerate()
        .filter_map(|(index, path)| {
            path_rule(namespace, path, &format!("{field}.http.paths[{index}]"), backends, findings)
        })
        .collect();
    if let Err(why) = check_host(host) {
        findings.fail(format!("{field}.host"), host, "invalid-host", format!("{why}; the rule is left out"));
        return None;
    }
    if host.parse::<IpAddr>().is_ok() {
        let message = "Kubernetes takes names only here, not addresses; it is served as it stands";
        findings.warn(format!("{field}.host"), host, "address-as-host", message);
    }
    Some(HostRule { host: host.to_owned(), paths })
}

fn path_rule(
    namespace: &str,
    rule: &networking::HTTPIngressPath,
    field: &str,
    backends: &mut Backends<'_>,
    findings: &mut Findings<'_>,
) -> Option<PathRule> {
    let path = rule.path.as_deref().unwrap_or_default();
    let kind = path_kind(&rule.path_type, field, findings);
    let backend = backends.refer(namespace, &rule.backend, &format!("{field}.backend"), findings);
    if let Err(why) = check_path(path, kind) {
        findings.fail(format!("{field}.path"), path, "invalid-path", format!("{why}; the path is left out"));
        return None;
    }
    Some(PathRule { path: path.to_owned(), kind, backend })
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

/// RFC 1123 names in lower case, with at most one `*.` in front. Empty is every host.
fn check_host(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Ok(());
    }
    if host == "*" {
        return Err("a lone * is no host; leave the host out to serve every host");
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    if name.contains('*') {
        return Err("* stands for one whole label, and only for the first");
    }
    if host.len() > MAX_HOST_BYTES {
        return Err("longer than 253 characters");
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("expected lower case");
    }
    if name.contains(':') {
        return Err("expected a name without port");
    }
    if !name.split('.').all(is_label) {
        return Err("expected labels of letters, digits and - joined by dots");
    }
    Ok(())
}

/// RFC 1123: up to 63 letters, digits and hyphens, no hyphen at either end.
fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.len() <= MAX_LABEL_BYTES
        && bytes.first().is_some_and(is_alphanumeric)
        && bytes.last().is_some_and(is_alphanumeric)
        && bytes.iter().all(|byte| is_alphanumeric(byte) || *byte == b'-')
}

/// What the API server and ingress-nginx's inspection refuse. Nothing here is written into a configuration text, so the
/// second is not needed for safety; it keeps manifests that were refused there from suddenly working here.
fn check_path(path: &str, kind: PathKind) -> Result<(), &'static str> {
    if path.is_empty() {
        return Ok(());
    }
    if !path.starts_with('/') {
        return Err("expected a path that starts with /");
    }
    if path.len() > MAX_PATH_BYTES {
        return Err("longer than 4096 bytes");
    }
    if path.chars().any(char::is_control) {
        return Err("control characters are refused");
    }
    if REFUSED.iter().any(|text| path.contains(text)) || is_directive(path) {
        return Err("text of this form is refused, as it was by ingress-nginx");
    }
    match kind {
        // May be a regular expression; whether it is one is decided by the host, later.
        PathKind::ImplementationSpecific => Ok(()),
        PathKind::Exact | PathKind::Prefix => check_plain_path(path),
    }
}

/// As the API server checks `Exact` and `Prefix`, and nothing that cannot be in the path of a request.
fn check_plain_path(path: &str) -> Result<(), &'static str> {
    let lower = path.to_ascii_lowercase();
    if NEVER_CANONICAL.iter().any(|text| lower.contains(text))
        || lower.ends_with("/.")
        || lower.ends_with("/..")
    {
        return Err("//, /., /.. and %2f never match: requests are compared after these are resolved");
    }
    if path.contains([' ', '?', '#']) {
        return Err("spaces, ? and # are no part of a request's path");
    }
    Ok(())
}

/// `alias …;` and `root …;`
fn is_directive(path: &str) -> bool {
    ["alias", "root"].iter().any(|word| path.split_once(word).is_some_and(|(_, rest)| rest.contains(';')))
}

const MAX_HOST_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;
/// What the API server allows of other long texts; longer than any request line we take.
const MAX_PATH_BYTES: usize = 4096;
const NEVER_CANONICAL: [&str; 4] = ["//", "/./", "/../", "%2f"];
const REFUSED: [&str; 7] = [
    "_by_lua",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/nginx",
    "/etc/ingress-controller",
    "/var/run/secrets",
];
