//! What the API server fills in where an object says nothing, for the fields that a reader would miss.

use crate::resources::Resource;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Fills in defaults. `old` is the object that is replaced: what was allotted to it stays.
pub(crate) fn fill(resource: &Resource, object: &mut Value, old: Option<&Value>) {
    match resource.kind {
        "Namespace" => {
            set(object, "/spec", json!({"finalizers": ["kubernetes"]}));
            let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            set(object, "/status", json!({"phase": "Active"}));
        }
        "Service" => service(object, old),
        "Ingress" => {
            set(object, "/spec", json!({}));
            set(object, "/status", json!({"loadBalancer": {}}));
            without_empty(object, "/status/loadBalancer", "ingress");
        }
        "EndpointSlice" => {
            // `null` where the list must be, as the Go types have it.
            set(object, "/endpoints", Value::Null);
            set(object, "/ports", Value::Null);
            for port in list(object, "/ports") {
                set(port, "/name", json!(""));
                set(port, "/protocol", json!("TCP"));
            }
        }
        "Secret" => secret(object),
        "Pod" => set(object, "/status", json!({"phase": "Pending"})),
        _ => {}
    }
}

fn service(object: &mut Value, old: Option<&Value>) {
    set(object, "/spec", json!({}));
    set(object, "/spec/type", json!("ClusterIP"));
    set(object, "/spec/sessionAffinity", json!("None"));
    set(object, "/status", json!({"loadBalancer": {}}));
    without_empty(object, "/status/loadBalancer", "ingress");
    for port in list(object, "/spec/ports") {
        set(port, "/protocol", json!("TCP"));
        let number = port["port"].clone();
        // Zero is as good as nothing.
        if port["targetPort"] == 0 {
            port["targetPort"] = Value::Null;
        }
        set(port, "/targetPort", number);
    }
    if object["spec"]["type"] == "ExternalName" {
        return;
    }
    set(object, "/spec/internalTrafficPolicy", json!("Cluster"));
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if let Some(value) = old.and_then(|old| old["spec"].get(field)) {
            set(object, &format!("/spec/{field}"), value.clone());
        }
    }
    // Within 10.0.0.0/8, by chance: what is allotted twice among few services does not matter to a reader.
    let address = format!("10.{}.{}.{}", fastrand::u8(96..112), fastrand::u8(..), fastrand::u8(1..255));
    set(object, "/spec/clusterIP", address.into());
    let address = object["spec"]["clusterIP"].clone();
    let family = if address.as_str().is_some_and(|it| it.contains(':')) { "IPv6" } else { "IPv4" };
    set(object, "/spec/clusterIPs", json!([address]));
    set(object, "/spec/ipFamilies", json!([family]));
    set(object, "/spec/ipFamilyPolicy", json!("SingleStack"));
}

/// `stringData` is for writing only.
fn secret(object: &mut Value) {
    set(object, "/type", json!("Opaque"));
    let texts = object.as_object_mut().and_then(|it| it.remove("stringData"));
    for (key, text) in texts.as_ref().and_then(Value::as_object).into_iter().flatten() {
        set(object, "/data", json!({}));
        object["data"][key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
}

/// Sets a field, given as a pointer, where it is not there or empty.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let Some(Value::Object(fields)) = object.pointer_mut(parent) else { return };
    let slot = fields.entry(field).or_insert(Value::Null);
    if slot.is_null() || *slot == "" {
        *slot = value;
    }
}

/// Takes an empty list away, as Go leaves it out.
fn without_empty(object: &mut Value, pointer: &str, field: &str) {
    if let Some(fields) = object.pointer_mut(pointer).and_then(Value::as_object_mut)
        && fields.get(field) == Some(&json!([]))
    {
        fields.remove(field);
    }
}

fn list<'a>(object: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    object.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_keeps_the_address_that_it_was_given() {
        let resource = Resource::named("services").unwrap();
        let service = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}});
        let (mut first, mut second) = (service.clone(), service);
        fill(resource, &mut first, None);
        fill(resource, &mut second, Some(&first));
        assert!(first["spec"]["clusterIP"].as_str().unwrap().starts_with("10."));
        assert_eq!(first["spec"], second["spec"]);
        assert_eq!(first["spec"]["ports"], json!([{"port": 80, "protocol": "TCP", "targetPort": 80}]));
    }

    #[test]
    fn a_headless_service_stays_without_an_address() {
        let mut service = json!({"metadata": {"name": "a"}, "spec": {"clusterIP": "None"}});
        fill(Resource::named("services").unwrap(), &mut service, None);
        assert_eq!(service["spec"]["clusterIPs"], json!(["None"]));
    }

    #[test]
    fn text_of_a_secret_becomes_data() {
        let mut secret = json!({"metadata": {}, "stringData": {"a": "text"}});
        fill(Resource::named("secrets").unwrap(), &mut secret, None);
        assert_eq!(secret, json!({"metadata": {}, "type": "Opaque", "data": {"a": "dGV4dA=="}}));
    }
}
