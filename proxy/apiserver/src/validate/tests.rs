use super::*;
use crate::defaults;
use serde_json::json;

/// The mistakes in an object, as `field` (or the code, where it cannot be read at all).
fn mistakes(resource: &str, object: Value) -> Vec<String> {
    mistakes_in_update(resource, object, None)
}

fn mistakes_in_update(resource: &str, mut object: Value, old: Option<&Value>) -> Vec<String> {
    let resource = Resource::named(resource).unwrap();
    if object["metadata"]["name"].is_null() {
        object["metadata"]["name"] = "a".into();
    }
    if let Err(error) = types(resource, &object) {
        return vec![error.code.to_string()];
    }
    defaults::fill(resource, &mut object, old);
    match check(resource, &object, old, EndpointAddresses::Routable) {
        Ok(()) => Vec::new(),
        Err(error) => {
            let causes = error.details["causes"].as_array().unwrap();
            causes.iter().map(|it| it["field"].as_str().unwrap().to_owned()).collect()
        }
    }
}

const NONE: [&str; 0] = [];

#[test]
fn names_and_labels_keep_their_grammar() {
    let named = |resource, name: &str| {
        mistakes(resource, json!({"metadata": {"name": name}, "spec": {"clusterIP": "None"}}))
    };
    assert_eq!(named("configmaps", "a.b-c.1"), NONE);
    for (resource, name) in [
        ("configmaps", "A"),
        ("configmaps", "a_b"),
        ("configmaps", ""),
        ("services", "1a"),
        ("namespaces", "a.b"),
    ] {
        assert_eq!(named(resource, name), ["metadata.name"], "{name}");
    }
    assert_eq!(named("clusterroles", "system:x"), NONE);
    let labels =
        json!({"metadata": {"labels": {"ok/ok": "Ok", "-": "x", "b": "_"}, "annotations": {"a/b/c": ""}}});
    assert_eq!(
        mistakes("configmaps", labels),
        ["metadata.labels", "metadata.labels", "metadata.annotations"]
    );
    assert_eq!(mistakes("configmaps", json!({"metadata": {"annotations": {"a": 10}}})), ["400"]);
    assert_eq!(
        mistakes("configmaps", json!({"metadata": {"annotations": {"a": "x".repeat(300_000)}}})),
        ["metadata.annotations"]
    );
}

#[test]
fn an_ingress_needs_types_of_paths_and_whole_backends() {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let ingress = |host: &str, path: Value| {
        mistakes("ingresses", json!({"spec": {"rules": [{"host": host, "http": {"paths": [path]}}]}}))
    };
    assert_eq!(ingress("a.example", json!({"path": "/", "pathType": "Prefix", "backend": backend})), NONE);
    assert_eq!(ingress("*.example", json!({"pathType": "ImplementationSpecific", "backend": backend})), NONE);
    for host in ["10.0.0.1", "A.example", "a.*.example", "*"] {
        let mistakes = ingress(host, json!({"path": "/", "pathType": "Prefix", "backend": backend}));
        assert_eq!(mistakes, ["spec.rules[0].host"], "{host}");
    }
    assert_eq!(
        ingress("", json!({"path": "/", "backend": backend})),
        ["spec.rules[0].http.paths[0].pathType"]
    );
    for path in ["", "a", "/a//b", "/a/..", "/%2f"] {
        let mistakes = ingress("", json!({"path": path, "pathType": "Exact", "backend": backend}));
        assert_eq!(mistakes, ["spec.rules[0].http.paths[0].path"], "{path}");
    }
    let port = |port: Value| json!({"path": "/", "pathType": "Exact", "backend": {"service": {"name": "web", "port": port}}});
    assert_eq!(ingress("", port(json!({"name": "http"}))), NONE);
    assert_eq!(ingress("", port(json!({}))), ["spec.rules[0].http.paths[0].backend"]);
    assert_eq!(
        ingress("", port(json!({"name": "http", "number": 80}))),
        ["spec.rules[0].http.paths[0].backend"]
    );
    assert_eq!(mistakes("ingresses", json!({"spec": {}})), ["spec"]);
    assert_eq!(mistakes("ingresses", json!({"spec": {"defaultBackend": {}}})), ["spec.defaultBackend"]);
}

#[test]
fn a_new_ingress_names_its_class_once() {
    let ingress = json!({
        "metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}},
        "spec": {"ingressClassName": "a", "rules": [{}]},
    });
    assert_eq!(mistakes("ingresses", ingress.clone()), ["annotations.kubernetes.io/ingress.class"]);
    assert_eq!(mistakes_in_update("ingresses", ingress.clone(), Some(&ingress)), NONE);
}

#[test]
fn a_class_has_a_controller_that_stays() {
    let class = |controller: &str| json!({"spec": {"controller": controller}});
    assert_eq!(mistakes("ingressclasses", class("weir.dev/ingress-controller")), NONE);
    for controller in ["weir", "weir.dev/", "/x", "we ir/x"] {
        assert_eq!(mistakes("ingressclasses", class(controller)), ["spec.controller"], "{controller}");
    }
    assert_eq!(mistakes_in_update("ingressclasses", class("a/b"), Some(&class("a/c"))), ["spec.controller"]);
}

#[test]
fn endpoints_are_addresses_that_others_can_reach() {
    let slice = |kind: &str, address: &str| {
        mistakes("endpointslices", json!({"addressType": kind, "endpoints": [{"addresses": [address]}]}))
    };
    for (kind, address) in [("IPv4", "10.0.0.1"), ("IPv6", "2001:db8::1"), ("FQDN", "a.example")] {
        assert_eq!(slice(kind, address), NONE, "{address}");
    }
    for (kind, address) in [
        ("IPv4", "127.0.0.1"),
        ("IPv4", "169.254.1.1"),
        ("IPv4", "0.0.0.0"),
        ("IPv4", "224.0.0.1"),
        ("IPv4", "::2"),
        ("IPv6", "::1"),
        ("IPv6", "fe80::1"),
        ("IPv6", "10.0.0.1"),
        ("FQDN", "a_b"),
    ] {
        assert_eq!(slice(kind, address), ["endpoints[0].addresses[0]"], "{address}");
    }
    let local = json!({"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"]}]});
    assert_eq!(
        check(Resource::named("endpointslices").unwrap(), &local, None, EndpointAddresses::Any),
        Ok(())
    );
    assert_eq!(mistakes("endpointslices", json!({})), ["addressType"]);
    let changed = json!({"addressType": "IPv4"});
    assert_eq!(
        mistakes_in_update("endpointslices", changed, Some(&json!({"addressType": "IPv6"}))),
        ["addressType"]
    );
    assert_eq!(
        mistakes("endpointslices", json!({"addressType": "IPv4", "endpoints": [{}]})),
        ["endpoints[0].addresses"]
    );
    assert_eq!(
        mistakes("endpointslices", json!({"addressType": "IPv4", "ports": [{}, {}]})),
        ["ports[1].name"]
    );
}

#[test]
fn other_kinds_are_checked_where_tests_would_trip() {
    assert_eq!(mistakes("services", json!({})), ["spec.ports"]);
    assert_eq!(mistakes("services", json!({"spec": {"type": "ExternalName"}})), ["spec.externalName"]);
    assert_eq!(
        mistakes("services", json!({"spec": {"ports": [{"port": 80}, {"port": 0, "name": "b"}]}})),
        ["spec.ports[0].name", "spec.ports[1].port", "spec.ports[1].targetPort"]
    );
    let tls = json!({"type": "kubernetes.io/tls", "data": {"tls.crt": "AA=="}});
    assert_eq!(mistakes("secrets", tls), ["data[tls.key]"]);
    assert_eq!(mistakes("secrets", json!({"data": {"a": "?"}})), ["400"]);
    let lease =
        |time: &str| mistakes("leases", json!({"spec": {"renewTime": time, "leaseDurationSeconds": 15}}));
    assert_eq!(lease("2026-01-02T03:04:05.000006Z"), NONE);
    assert_eq!(lease("2026-01-02T03:04:05Z"), ["400"]);
    assert_eq!(
        mistakes("leases", json!({"spec": {"leaseDurationSeconds": 0}})),
        ["spec.leaseDurationSeconds"]
    );
}

#[test]
fn events_belong_to_the_namespace_of_their_object() {
    let event = |about: &str, here: &str| {
        mistakes(
            "events.events.k8s.io",
            json!({
                "metadata": {"namespace": here}, "regarding": {"namespace": about}, "type": "Warning", "reason": "R",
                "action": "A", "reportingController": "weir.dev/x", "reportingInstance": "i",
                "eventTime": "2026-01-02T03:04:05.000006Z",
            }),
        )
    };
    assert_eq!(event("a", "a"), NONE);
    assert_eq!(event("", "default"), NONE);
    assert_eq!(event("a", "b"), ["regarding.namespace"]);
    assert_eq!(event("", "b"), ["regarding.namespace"]);
    let empty = json!({"metadata": {"namespace": "default"}});
    let fields = ["eventTime", "reportingController", "reportingInstance", "action", "reason", "type"];
    assert_eq!(mistakes("events.events.k8s.io", empty.clone()), fields);
    assert_eq!(mistakes("events", empty), NONE);
}
