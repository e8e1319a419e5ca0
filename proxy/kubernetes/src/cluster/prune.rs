//! Drops what weir never reads of an object: a cluster's objects are kept in memory for as long as weir runs.

use crate::objects::Object;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
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
        Object::Service(Arc::new(self))
    }
}

impl Watched for EndpointSlice {
    fn into_object(mut self) -> Object {
        metadata(&mut self.metadata, Keep::Labels);
        for endpoint in self.endpoints.iter_mut().flatten() {
            endpoint.deprecated_topology = None;
            endpoint.hostname = None;
            endpoint.node_name = None;
            endpoint.target_ref = None;
        }
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
        resource_version: meta.resource_version.take(),
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
