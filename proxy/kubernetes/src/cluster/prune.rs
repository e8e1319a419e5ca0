//! Drops what weir never reads of an object: a cluster's objects are kept in memory for as long as weir runs.
//!
//! Lists that were read from JSON have room for more than they hold, which for tens of thousands of endpoints is more than
//! all the rest: they are cut to their length.

use crate::objects::Object;
use crate::translate::SERVICE_LABEL;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::sync::Arc;

/// A type of objects that is watched.
pub(super) trait Watched {
    /// The object, without what is never read.
    fn into_object(self) -> Object;
}

impl Watched for Ingress {
    fn into_object(mut self) -> Object {
        metadata(&mut self.metadata, Keep::Annotations);
        for rule in fit(self.spec.as_mut().and_then(|spec| spec.rules.as_mut())) {
            fit(rule.http.as_mut().map(|http| &mut http.paths));
        }
        fit(self.spec.as_mut().and_then(|spec| spec.tls.as_mut()));
        Object::Ingress(Arc::new(self))
    }
}

impl Watched for IngressClass {
    fn into_object(mut self) -> Object {
        metadata(&mut self.metadata, Keep::Annotations);
        Object::IngressClass(Arc::new(self))
    }
}

impl Watched for Service {
    fn into_object(mut self) -> Object {
        metadata(&mut self.metadata, Keep::Annotations);
        self.status = None;
        if let Some(spec) = self.spec.take() {
            let mut kept = ServiceSpec {
                cluster_ip: spec.cluster_ip,
                cluster_ips: spec.cluster_ips,
                external_name: spec.external_name,
                ports: spec.ports,
                type_: spec.type_,
                ..ServiceSpec::default()
            };
            fit(kept.ports.as_mut());
            fit(kept.cluster_ips.as_mut());
            self.spec = Some(kept);
        }
        Object::Service(Arc::new(self))
    }
}

impl Watched for EndpointSlice {
    fn into_object(mut self) -> Object {
        metadata(&mut self.metadata, Keep::Labels);
        if let Some(labels) = &mut self.metadata.labels {
            labels.retain(|name, _| name == SERVICE_LABEL);
        }
        self.endpoints = self.endpoints.take().map(alike);
        fit(self.ports.as_mut());
        Object::EndpointSlice(Arc::new(self))
    }
}

impl Watched for Secret {
    fn into_object(mut self) -> Object {
        metadata(&mut self.metadata, Keep::Neither);
        Object::Secret(Arc::new(self))
    }
}

impl Watched for ConfigMap {
    fn into_object(mut self) -> Object {
        metadata(&mut self.metadata, Keep::Neither);
        Object::ConfigMap(Arc::new(self))
    }
}

impl Watched for Namespace {
    fn into_object(mut self) -> Object {
        metadata(&mut self.metadata, Keep::Neither);
        self.spec = None;
        self.status = None;
        Object::Namespace(Arc::new(self))
    }
}

/// Endpoints in the same condition and for the same zones are one endpoint with several addresses, for nobody asks which
/// is which.
fn alike(endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let mut merged: Vec<Endpoint> = Vec::with_capacity(1);
    for Endpoint { addresses, conditions, hints, .. } in endpoints {
        match merged.iter_mut().find(|same| same.conditions == conditions && same.hints == hints) {
            Some(same) => same.addresses.extend(addresses),
            None => merged.push(Endpoint { addresses, conditions, hints, ..Endpoint::default() }),
        }
    }
    for endpoint in fit(Some(&mut merged)) {
        fit(Some(&mut endpoint.addresses));
    }
    merged
}

/// The elements of a list, which gives back the room that it does not need.
fn fit<T>(list: Option<&mut Vec<T>>) -> &mut [T] {
    match list {
        Some(list) => {
            list.shrink_to_fit();
            list
        }
        None => &mut [],
    }
}

/// Which maps of the metadata are read.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Annotations,
    Labels,
    Neither,
}

fn metadata(meta: &mut ObjectMeta, keep: Keep) {
    let kept = ObjectMeta {
        name: meta.name.take(),
        namespace: meta.namespace.take(),
        uid: meta.uid.take(),
        creation_timestamp: meta.creation_timestamp.take(),
        annotations: meta.annotations.take().filter(|_| keep == Keep::Annotations),
        labels: meta.labels.take().filter(|_| keep == Keep::Labels),
        ..ObjectMeta::default()
    };
    *meta = kept;
    if let Some(annotations) = &mut meta.annotations {
        // As large as the object itself.
        annotations.remove(LAST_APPLIED);
    }
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pruned(slice: Value) -> EndpointSlice {
        let slice: EndpointSlice = serde_json::from_value(slice).unwrap();
        match slice.into_object() {
            Object::EndpointSlice(slice) => Arc::unwrap_or_clone(slice),
            _ => panic!("it stays what it is"),
        }
    }

    #[test]
    fn endpoints_in_the_same_condition_are_kept_as_one_and_others_apart() {
        let endpoint = |ip: &str, ready: bool| {
            json!({
                "addresses": [ip], "conditions": {"ready": ready, "serving": true, "terminating": !ready},
                "nodeName": ip, "zone": "a", "targetRef": {"kind": "Pod", "name": ip},
            })
        };
        let slice = |endpoints: Value, labels: Value| {
            pruned(json!({
                "metadata": {"name": "web-1", "namespace": "shop", "labels": labels}, "addressType": "IPv4",
                "ports": [{"name": "", "port": 8080}], "endpoints": endpoints,
            }))
        };
        let endpoints =
            json!([endpoint("192.0.2.1", true), endpoint("192.0.2.2", false), endpoint("192.0.2.3", true)]);
        let labels =
            json!({"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "x"});
        let kept = slice(endpoints, labels);
        let of = |ready: bool, addresses: Value| {
            json!({
                "addresses": addresses, "conditions": {"ready": ready, "serving": true, "terminating": !ready},
            })
        };
        let expected = json!([of(true, json!(["192.0.2.1", "192.0.2.3"])), of(false, json!(["192.0.2.2"]))]);
        let expected = slice(expected, json!({"kubernetes.io/service-name": "web"}));
        assert_eq!(kept, expected);
        assert_eq!(kept.endpoints.as_ref().map(Vec::len), Some(2));
        assert_eq!(kept.endpoints.as_ref().map(Vec::capacity), Some(2));
        let hinted =
            |zone: &str| json!({"addresses": ["192.0.2.1"], "hints": {"forZones": [{"name": zone}]}});
        let kept = slice(json!([hinted("a"), hinted("b"), hinted("a")]), json!({}));
        assert_eq!(kept.endpoints.map(|all| all.len()), Some(2), "for other zones is not alike");
    }
}
