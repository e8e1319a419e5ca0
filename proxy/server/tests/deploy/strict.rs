//! Every manifest is what the Kubernetes types say it is, to the last field.
//!
//! An API server takes a misspelt field without a word and leaves it out. So each object is read into its type, written
//! again, and what got lost on the way is a complaint.

use super::rendered::{OVERLAYS, overlay, text, title};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{IngressClass, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What is wrong with an object.
pub fn complaints(object: &Value) -> Vec<String> {
    let again = match (text(object, "/apiVersion"), text(object, "/kind")) {
        ("v1", "ConfigMap") => again::<ConfigMap>(object),
        ("v1", "Namespace") => again::<Namespace>(object),
        ("v1", "Service") => again::<Service>(object),
        ("v1", "ServiceAccount") => again::<ServiceAccount>(object),
        ("apps/v1", "DaemonSet") => again::<DaemonSet>(object),
        ("apps/v1", "Deployment") => again::<Deployment>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => again::<HorizontalPodAutoscaler>(object),
        ("networking.k8s.io/v1", "IngressClass") => again::<IngressClass>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => again::<PodDisruptionBudget>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => again::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => again::<ClusterRoleBinding>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => again::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => again::<RoleBinding>(object),
        // Types of the Prometheus operator, of which there is no crate here.
        ("monitoring.coreos.com/v1", "ServiceMonitor" | "PrometheusRule") => Ok(object.clone()),
        (version, kind) => Err(format!("nobody expects a {kind} of {version}")),
    };
    match again {
        Ok(again) => {
            lost("", object, &again).into_iter().map(|it| format!("{}: {it}", title(object))).collect()
        }
        Err(error) => vec![format!("{}: {error}", title(object))],
    }
}

/// The object after it was read into its type and written again.
fn again<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// Places of the first value that the second has not, or has with something else.
fn lost(place: &str, first: &Value, second: &Value) -> Vec<String> {
    match (first, second) {
        (Value::Object(fields), Value::Object(others)) => {
            let each = fields.iter().flat_map(|(name, value)| {
                let place = format!("{place}/{name}");
                match others.get(name) {
                    Some(other) => lost(&place, value, other),
                    None => vec![format!("{place} is no field")],
                }
            });
            each.collect()
        }
        (Value::Array(elements), Value::Array(others)) if elements.len() == others.len() => {
            let each = elements.iter().zip(others).enumerate();
            each.flat_map(|(n, (element, other))| lost(&format!("{place}/{n}"), element, other)).collect()
        }
        (first, second) if first == second => Vec::new(),
        _ => vec![format!("{place} is not what it was")],
    }
}

#[test]
fn every_object_of_the_overlays_is_what_its_type_says() {
    for name in OVERLAYS {
        let Some(objects) = overlay(name) else { return };
        assert!(objects.len() > 4, "{name}: {}", objects.len());
        let complaints: Vec<_> = objects.iter().flat_map(complaints).collect();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}

#[test]
fn a_misspelt_field_a_wrong_type_and_an_unknown_kind_are_noticed() {
    let good = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 80, "targetPort": "http"}], "selector": {"a": "b"}},
    });
    assert_eq!(complaints(&good), Vec::<String>::new());
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut object = good.clone();
        change(&mut object);
        complaints(&object).len()
    };
    assert_eq!(broken(&|it| it["spec"]["ports"][0]["targetport"] = "http".into()), 1);
    assert_eq!(broken(&|it| it["spec"]["ports"][0]["port"] = "80".into()), 1);
    assert_eq!(broken(&|it| it["kind"] = "Sevrice".into()), 1);
}
