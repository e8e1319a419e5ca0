//! Service, Secret, Lease, Event.

use super::{Findings, items, names, subdomain, text};
use crate::resources::Resource;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) fn service(object: &Value, old: Option<&Value>, findings: &mut Findings<'_>) {
    let kind = text(object, "/spec/type");
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let supported = "supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"";
        findings.invalid("spec.type", &object["spec"]["type"], supported);
    }
    let headless = text(object, "/spec/clusterIP") == "None";
    let ports = items(object, "/spec/ports").count();
    if kind == "ExternalName" {
        let name = text(object, "/spec/externalName").trim_end_matches('.');
        if name.is_empty() {
            findings.require("spec.externalName", "");
        } else if let Err(why) = subdomain(name) {
            findings.invalid("spec.externalName", &json!(name), why);
        }
    } else if ports == 0 && !headless {
        findings.require("spec.ports", "");
    }
    if old.is_some_and(|old| old["spec"]["type"] == object["spec"]["type"]) {
        findings.immutable(object, old, "/spec/clusterIP");
    }
    let mut seen = Vec::new();
    for (index, port) in items(object, "/spec/ports") {
        let at = format!("spec.ports[{index}]");
        let name = text(port, "/name");
        match name {
            "" if ports > 1 => findings.require(format!("{at}.name"), ""),
            "" => {}
            name => {
                if let Err(why) = super::label(name) {
                    findings.invalid(format!("{at}.name"), &json!(name), why);
                }
            }
        }
        if !name.is_empty() && seen.contains(&name) {
            findings.invalid(format!("{at}.name"), &json!(name), "duplicate value");
        }
        seen.push(name);
        check_port(&port["port"], &format!("{at}.port"), findings);
        match &port["targetPort"] {
            Value::String(name) => {
                if let Err(why) = names::port(name) {
                    findings.invalid(format!("{at}.targetPort"), &json!(name), why);
                }
            }
            number => check_port(number, &format!("{at}.targetPort"), findings),
        }
    }
}

fn check_port(value: &Value, at: &str, findings: &mut Findings<'_>) {
    if !value.as_u64().is_some_and(|number| (1..=65535).contains(&number)) {
        findings.invalid(at, value, "must be between 1 and 65535, inclusive");
    }
}

pub(super) fn secret(object: &Value, old: Option<&Value>, findings: &mut Findings<'_>) {
    findings.immutable(object, old, "/type");
    if old.is_some_and(|old| old["immutable"] == true) {
        for (field, pointer) in [("data", "/data"), ("immutable", "/immutable")] {
            if old.and_then(|old| old.pointer(pointer)) != object.pointer(pointer) {
                findings.forbid(field, "field is immutable when `immutable` is set");
            }
        }
    }
    let decoded = decoded(object).filter_map(|(_, value)| value);
    let size: usize = decoded.map(|bytes| bytes.len()).sum();
    if size > MAX_SECRET {
        findings.forbid("data", "must be no more than 1048576 bytes");
    }
    if text(object, "/type") == "kubernetes.io/tls" {
        for key in ["tls.crt", "tls.key"] {
            if object["data"].get(key).is_none() {
                findings.require(format!("data[{key}]"), "");
            }
        }
    }
}

/// Data of a Secret is encoded. The value stays out of the message: it is a secret.
pub(super) fn encoded(resource: &Resource, object: &Value) -> Result<(), String> {
    if resource.kind != "Secret" {
        return Ok(());
    }
    match decoded(object).find(|(_, value)| value.is_none()) {
        Some((key, _)) => Err(format!("data[{key}]")),
        None => Ok(()),
    }
}

fn decoded(object: &Value) -> impl Iterator<Item = (&str, Option<Vec<u8>>)> {
    let data = object["data"].as_object().into_iter().flatten();
    data.map(|(key, value)| (key.as_str(), STANDARD.decode(value.as_str().unwrap_or_default()).ok()))
}

pub(super) fn lease(object: &Value, findings: &mut Findings<'_>) {
    let spec = &object["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        findings.invalid(
            "spec.leaseDurationSeconds",
            &spec["leaseDurationSeconds"],
            "must be greater than 0",
        );
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|number| number < 0) {
        findings.invalid(
            "spec.leaseTransitions",
            &spec["leaseTransitions"],
            "must be greater than or equal to 0",
        );
    }
}

pub(super) fn event(resource: &Resource, object: &Value, findings: &mut Findings<'_>) {
    let subject = if resource.group.is_empty() { "involvedObject" } else { "regarding" };
    let about = object[subject]["namespace"].as_str().unwrap_or_default();
    let here = text(object, "/metadata/namespace");
    // Events about objects of the cluster are in `default`.
    let expected = if about.is_empty() { "default" } else { about };
    if here != expected && !(about.is_empty() && here == "kube-system") {
        findings.invalid(format!("{subject}.namespace"), &json!(about), "does not match event.namespace");
    }
    if resource.group.is_empty() {
        return;
    }
    if object["eventTime"].is_null() {
        findings.require("eventTime", "");
    }
    for (field, most) in
        [("reportingController", 253), ("reportingInstance", 128), ("action", 128), ("reason", 128)]
    {
        let value = &object[field];
        match value.as_str().unwrap_or_default() {
            "" => findings.require(field, ""),
            value_text if value_text.len() > most => {
                findings.invalid(field, value, &format!("can have at most {most} characters"));
            }
            _ => {}
        }
    }
    let controller = &object["reportingController"];
    if let Some(Err(why)) = controller.as_str().filter(|it| !it.is_empty()).map(names::qualified) {
        findings.invalid("reportingController", controller, why);
    }
    if text(object, "/note").len() > 1024 {
        findings.invalid("note", &json!(""), "can have at most 1024 characters");
    }
    if !matches!(text(object, "/type"), "Normal" | "Warning") {
        findings.invalid("type", &object["type"], "supported values: \"Normal\", \"Warning\"");
    }
}

/// Times in microseconds: the Go type reads exactly six digits.
pub(super) fn times(resource: &Resource, object: &Value) -> Result<(), &'static str> {
    let fields: &[&'static str] = match resource.kind {
        "Lease" => &["/spec/acquireTime", "/spec/renewTime"],
        "Event" => &["/eventTime"],
        _ => &[],
    };
    for field in fields {
        let Some(time) = object.pointer(field).filter(|it| !it.is_null()) else { continue };
        let time = time.as_str().unwrap_or_default();
        let digits =
            time.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
        if digits != 6 || time.parse::<jiff::Timestamp>().is_err() {
            return Err(field);
        }
    }
    Ok(())
}

/// Bytes of all data of a Secret together.
const MAX_SECRET: usize = 1024 * 1024;
