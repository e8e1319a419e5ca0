//! Objects of a cluster.

use serde_json::{Value, json};
use std::net::SocketAddr;

/// The class that is ours.
pub const CLASS: &str = "weir";
/// Where applications live.
pub const NAMESPACE: &str = "shop";

/// A pod's place among the endpoints of a Service, and how it is.
pub type Endpoint = (SocketAddr, [bool; 3]);

/// Conditions of an endpoint: ready, serving, terminating. A pod that does its work,
pub const READY: [bool; 3] = [true, true, false];
/// one that was told to end and still does it,
pub const ENDING: [bool; 3] = [false, true, true];
/// and one that does not any more.
pub const ENDED: [bool; 3] = [false, false, true];

/// An Ingress of ours for a host, whose every path leads to a Service.
pub fn ingress(name: &str, host: &str, service: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": NAMESPACE, "name": name, "annotations": annotations},
        "spec": {
            "ingressClassName": CLASS,
            "rules": [{"host": host, "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": service, "port": {"number": 80}}},
            }]}}],
        },
    })
}

/// A Service.
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": name}},
    })
}

/// Endpoints of a Service, which share a port: pods of one machine have one port each, and so a slice each.
pub fn slice(name: &str, service: &str, endpoints: &[Endpoint]) -> Value {
    let port = endpoints.first().map_or(8080, |(address, _)| address.port());
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|(address, [ready, serving, terminating])| {
            json!({
                "addresses": [address.ip()],
                "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            })
        })
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": NAMESPACE, "name": name,
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

/// A Service with one endpoint that is ready.
pub fn reachable(name: &str, address: SocketAddr) -> [Value; 2] {
    [service(name), slice(&format!("{name}-1"), name, &[(address, READY)])]
}
