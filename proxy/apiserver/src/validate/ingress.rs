//! Ingress and IngressClass.

use super::{Findings, items, names, text};
use serde_json::{Value, json};

pub(super) fn ingress(object: &Value, old: Option<&Value>, findings: &mut Findings<'_>) {
    let no_default = object.pointer("/spec/defaultBackend").is_none();
    if no_default && items(object, "/spec/rules").next().is_none() {
        findings.invalid("spec", &object["spec"], "either `defaultBackend` or `rules` must be specified");
    }
    if let Some(default) = object.pointer("/spec/defaultBackend") {
        backend(default, "spec.defaultBackend", findings);
    }
    let class = object.pointer("/spec/ingressClassName").filter(|it| !it.is_null());
    if let Some(class) = class {
        if let Err(why) = names::subdomain(class.as_str().unwrap_or_default()) {
            findings.invalid("spec.ingressClassName", class, why);
        }
        let legacy = object["metadata"]["annotations"].get("kubernetes.io/ingress.class");
        if let (Some(legacy), None) = (legacy, old) {
            let field = "annotations.kubernetes.io/ingress.class";
            findings.invalid(field, legacy, "can not be set when the class field is also set");
        }
    }
    for (index, tls) in items(object, "/spec/tls") {
        for (at, host) in items(tls, "/hosts") {
            if let Err(why) = names::wildcard(host.as_str().unwrap_or_default()) {
                findings.invalid(format!("spec.tls[{index}].hosts[{at}]"), host, why);
            }
        }
        let name = text(tls, "/secretName");
        if let (false, Err(why)) = (name.is_empty(), names::subdomain(name)) {
            findings.invalid(format!("spec.tls[{index}].secretName"), &json!(name), why);
        }
    }
    balancer(object, findings);
    for (index, entry) in items(object, "/spec/rules") {
        rule(entry, &format!("spec.rules[{index}]"), findings);
    }
}

pub(super) fn class(object: &Value, old: Option<&Value>, findings: &mut Findings<'_>) {
    let controller = &object["spec"]["controller"];
    let name = controller.as_str().unwrap_or_default();
    if name.len() > 250 {
        findings.invalid("spec.controller", controller, "must be no more than 250 characters");
    }
    // An update may keep none; a new class needs one.
    if old.is_none() || !name.is_empty() {
        match name {
            "" => findings.require("spec.controller", ""),
            name => {
                if let Err(why) = names::domain_prefixed(name) {
                    findings.invalid("spec.controller", controller, why);
                }
            }
        }
    }
    findings.immutable(object, old, "/spec/controller");
    if let Some(parameters) = object.pointer("/spec/parameters").filter(|it| !it.is_null()) {
        for field in ["kind", "name"] {
            if text(parameters, &format!("/{field}")).is_empty() {
                findings.require(format!("spec.parameters.{field}"), "");
            }
        }
    }
}

/// Under which addresses it is served, in its status.
fn balancer(object: &Value, findings: &mut Findings<'_>) {
    for (index, entry) in items(object, "/status/loadBalancer/ingress") {
        let at = format!("status.loadBalancer.ingress[{index}]");
        let (ip, host) = (text(entry, "/ip"), text(entry, "/hostname"));
        if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
            findings.invalid(format!("{at}.ip"), &json!(ip), "must be a valid IP address");
        }
        if host.parse::<std::net::IpAddr>().is_ok() {
            findings.invalid(format!("{at}.hostname"), &json!(host), "must be a DNS name, not an IP address");
        } else if let (false, Err(why)) = (host.is_empty(), names::subdomain(host)) {
            findings.invalid(format!("{at}.hostname"), &json!(host), why);
        }
    }
}

fn rule(rule: &Value, at: &str, findings: &mut Findings<'_>) {
    let host = text(rule, "/host");
    if host.parse::<std::net::IpAddr>().is_ok() {
        findings.invalid(format!("{at}.host"), &rule["host"], "must be a DNS name, not an IP address");
    } else if let (false, Err(why)) = (host.is_empty(), names::wildcard(host)) {
        findings.invalid(format!("{at}.host"), &rule["host"], why);
    }
    let Some(http) = rule.get("http").filter(|it| !it.is_null()) else { return };
    if items(http, "/paths").next().is_none() {
        findings.require(format!("{at}.http.paths"), "");
    }
    for (index, entry) in items(http, "/paths") {
        let at = format!("{at}.http.paths[{index}]");
        path(entry, &at, findings);
        backend(&entry["backend"], &format!("{at}.backend"), findings);
    }
}

fn path(path: &Value, at: &str, findings: &mut Findings<'_>) {
    let text = text(path, "/path");
    match path["pathType"].as_str() {
        None => findings.require(format!("{at}.pathType"), "pathType must be specified"),
        Some("Exact" | "Prefix") => {
            if !text.starts_with('/') {
                return findings.invalid(format!("{at}.path"), &path["path"], "must be an absolute path");
            }
            for bad in ["//", "/./", "/../", "%2f", "%2F"] {
                if text.contains(bad) {
                    findings.invalid(
                        format!("{at}.path"),
                        &path["path"],
                        &format!("must not contain '{bad}'"),
                    );
                }
            }
            for bad in ["/..", "/."] {
                if text.ends_with(bad) {
                    findings.invalid(
                        format!("{at}.path"),
                        &path["path"],
                        &format!("cannot end with '{bad}'"),
                    );
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !text.is_empty() && !text.starts_with('/') {
                findings.invalid(format!("{at}.path"), &path["path"], "must be an absolute path");
            }
        }
        Some(_) => {
            let supported = "supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"";
            findings.invalid(format!("{at}.pathType"), &path["pathType"], supported);
        }
    }
}

fn backend(backend: &Value, at: &str, findings: &mut Findings<'_>) {
    let service = backend.get("service").filter(|it| !it.is_null());
    let resource = backend.get("resource").filter(|it| !it.is_null());
    let service = match (service, resource) {
        (Some(_), Some(_)) => {
            return findings.invalid(at, &json!(""), "cannot set both resource and service backends");
        }
        (None, None) => return findings.require(at, "resource or service backend is required"),
        (None, Some(_)) => return,
        (Some(service), None) => service,
    };
    let name = text(service, "/name");
    if name.is_empty() {
        findings.require(format!("{at}.service.name"), "");
    } else if let Err(why) = names::label_1035(name) {
        findings.invalid(format!("{at}.service.name"), &service["name"], why);
    }
    let number = service.pointer("/port/number").and_then(Value::as_i64).unwrap_or_default();
    let port = text(service, "/port/name");
    match (number, port) {
        (0, "") => findings.require(at, "port name or number is required"),
        (0, port) => {
            if let Err(why) = names::port(port) {
                findings.invalid(format!("{at}.service.port.name"), &json!(port), why);
            }
        }
        (1..=65535, "") => {}
        (number, "") => {
            findings.invalid(
                format!("{at}.service.port.number"),
                &json!(number),
                "must be between 1 and 65535, inclusive",
            );
        }
        _ => findings.invalid(at, &json!(""), "cannot set both port name & port number"),
    }
}
