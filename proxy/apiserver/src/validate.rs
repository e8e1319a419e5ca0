//! What the API server refuses: the mistakes that a test would otherwise only meet in a cluster.
//!
//! Not every rule of the API server is here. The fields are those of `pkg/apis/*/validation` that the kinds of an ingress
//! controller trip over.

mod endpoints;
mod ingress;
mod names;
mod others;

pub(crate) use names::{label, label_1035, subdomain};

use crate::resources::Resource;
use crate::status::{Cause, StatusError};
use serde_json::Value;

/// Which addresses an EndpointSlice may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EndpointAddresses {
    /// As the API server has it: none of the loopback and link-local ranges.
    #[default]
    Routable,
    /// Any address, so that endpoints can be processes of the test.
    Any,
}

/// Checks an object whose [`types`] are right and whose defaults are filled in. `old` is what it replaces.
///
/// # Errors
///
/// 422 with all mistakes.
pub(crate) fn check(
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
    addresses: EndpointAddresses,
) -> Result<(), StatusError> {
    let mut causes = Vec::new();
    metadata(resource, object, &mut causes);
    let mut findings = Findings { causes: &mut causes };
    match resource.kind {
        "Ingress" => ingress::ingress(object, old, &mut findings),
        "IngressClass" => ingress::class(object, old, &mut findings),
        "EndpointSlice" => endpoints::slice(object, old, addresses, &mut findings),
        "Service" => others::service(object, old, &mut findings),
        "Secret" => others::secret(object, old, &mut findings),
        "Lease" => others::lease(object, &mut findings),
        "Event" => others::event(resource, object, &mut findings),
        _ => {}
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(StatusError::invalid(resource, text(object, "/metadata/name"), &causes))
}

/// Mistakes found so far.
struct Findings<'a> {
    causes: &'a mut Vec<Cause>,
}

impl Findings<'_> {
    fn require(&mut self, field: impl Into<String>, why: &str) {
        self.causes.push(Cause::required(field, why));
    }

    fn invalid(&mut self, field: impl Into<String>, value: &Value, why: &str) {
        self.causes.push(Cause::invalid(field, value, why));
    }

    fn forbid(&mut self, field: impl Into<String>, why: &str) {
        self.causes.push(Cause::forbidden(field, why));
    }

    /// A field that may not change.
    fn immutable(&mut self, object: &Value, old: Option<&Value>, pointer: &str) {
        let Some(old) = old else { return };
        if object.pointer(pointer) != old.pointer(pointer) {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            self.invalid(field, object.pointer(pointer).unwrap_or(&Value::Null), "field is immutable");
        }
    }
}

/// Checks the types of fields that are often wrong in manifests: the API server cannot even read such an object.
///
/// # Errors
///
/// 400.
pub(crate) fn types(resource: &Resource, object: &Value) -> Result<(), StatusError> {
    let maps: &[&str] = match resource.kind {
        "Secret" => &["/metadata/labels", "/metadata/annotations", "/data", "/stringData"],
        "ConfigMap" => &["/metadata/labels", "/metadata/annotations", "/data", "/binaryData"],
        _ => &["/metadata/labels", "/metadata/annotations"],
    };
    let unreadable = |what: &str| {
        let (kind, version) = (resource.kind, resource.version);
        StatusError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: json: cannot unmarshal {what}"
        ))
    };
    for pointer in maps {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        let entries = match object.pointer(pointer) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(entries)) => entries,
            Some(other) => {
                return Err(unreadable(&format!("{} into Go struct field {field}", type_name(other))));
            }
        };
        if let Some(value) = entries.values().find(|value| !value.is_string()) {
            let name = type_name(value);
            return Err(unreadable(&format!("{name} into Go struct field {field} of type string")));
        }
    }
    others::encoded(resource, object)
        .map_err(|field| unreadable(&format!("{field}: illegal base64 data")))?;
    others::times(resource, object)
        .map_err(|field| unreadable(&format!("string into {field}: not a time in microseconds")))
}

fn metadata(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let name = object["metadata"]["name"].clone();
    let text = name.as_str().unwrap_or_default();
    let wrong = match (resource.group, resource.kind) {
        (_, "Namespace") => label(text),
        ("", "Service") => label_1035(text),
        ("rbac.authorization.k8s.io", _) => names::path_segment(text),
        _ => subdomain(text),
    };
    if let Err(why) = wrong {
        causes.push(Cause::invalid("metadata.name", &name, why));
    }
    let mut size = 0;
    for map in ["labels", "annotations"] {
        for (key, value) in object["metadata"][map].as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            size += if map == "annotations" { key.len() + text.len() } else { 0 };
            if let Err(why) = names::qualified(key) {
                causes.push(Cause::invalid(format!("metadata.{map}"), &key.as_str().into(), why));
            }
            if map == "labels"
                && let Err(why) = names::label_value(text)
            {
                causes.push(Cause::invalid("metadata.labels", value, why));
            }
        }
    }
    if size > MAX_ANNOTATIONS {
        causes.push(Cause::forbidden("metadata.annotations", "may not be more than 262144 bytes"));
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Bytes of all annotations of an object together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

#[cfg(test)]
mod tests;
