//! The roles of `docs/cluster.md` are enough, and nothing in them is too much.

use super::support::{
    NAMESPACE, Pod, READY, grant, in_memory_with, ingress, put, reachable, real_for_user, service, slice,
    start_with, until,
};
use crate::support::{Weir, get, until as soon};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use weir_apiserver::{Access, ApiServer, Cluster, Options, Verb};

/// What may be done, or was: verb, group, resource with its part.
pub(super) type Act = (String, String, String);

/// The objects in a block of YAML of that page.
fn roles(block: &str) -> Vec<Value> {
    let page = include_str!("../../../../../docs/cluster.md");
    let (_, rest) = page.split_once(&format!("```yaml {block}\n")).expect("a block of this name");
    let (text, _) = rest.split_once("```").unwrap();
    text.split("---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// Everything that roles allow.
pub(super) fn allowed(roles: &[Value]) -> BTreeSet<Act> {
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let mut all = BTreeSet::new();
    for rule in roles.iter().flat_map(|role| role["rules"].as_array().unwrap()) {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    all.insert((verb, group.clone(), resource.clone()));
                }
            }
        }
    }
    all
}

/// Everything that was asked for.
pub(super) fn asked(server: &ApiServer) -> BTreeSet<Act> {
    let of_objects = server.take_requests().into_iter().filter(|request| !request.resource.is_empty());
    let act = |request: weir_apiserver::Request| {
        let resource = match request.subresource.as_str() {
            "" => request.resource,
            part => format!("{}/{part}", request.resource),
        };
        (request.verb.as_str().to_owned(), request.group, resource)
    };
    of_objects.map(act).collect()
}

fn events(server: &dyn Cluster) -> Vec<Value> {
    server.list("events", NAMESPACE).unwrap()
}

fn addresses(server: &dyn Cluster) -> Vec<Value> {
    let ingress = server.get("ingresses", NAMESPACE, "web").unwrap().unwrap();
    ingress["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default()
}

/// A cluster in which only these roles hold, with everything that weir can make use of.
pub(super) fn scene(roles: &[Value]) -> (ApiServer, Pod) {
    let access = Access::from_roles(roles);
    let server = in_memory_with(Options { access, ..Options::in_cluster("token") });
    let pod = furnish(&server, Ipv4Addr::LOCALHOST.into());
    server.take_requests();
    (server, pod)
}

/// Does everything in a real cluster too, where there is one.
fn in_a_real_one(roles: &[Value], ways: &[(&[&str], &str)]) {
    let Some((server, kubeconfig, ip)) = real_for_user() else { return };
    let _pod = furnish(&server, ip);
    grant(&server, roles);
    for (flags, address) in ways {
        everything(&server, &kubeconfig, flags, address);
    }
}

fn furnish(server: &dyn Cluster, ip: IpAddr) -> Pod {
    let pod = Pod::start(ip, "pod");
    let certificate = rcgen::generate_simple_self_signed(["web.example".to_owned()]).unwrap();
    let mut web = ingress("web", "web.example", "pod", &json!({}));
    web["spec"]["tls"] = json!([{"hosts": ["web.example"], "secretName": "web"}]);
    put(server, reachable("pod", pod.address));
    put(
        server,
        [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"team": "shop"}}}),
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                "metadata": {"namespace": NAMESPACE, "name": "web"},
                "stringData": {"tls.crt": certificate.cert.pem(), "tls.key": certificate.signing_key.serialize_pem()},
            }),
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "weir", "name": "weir"},
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
            }),
            json!({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"},
                "status": {"addresses": [{"type": "ExternalIP", "address": "203.0.113.8"}]},
            }),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": "weir", "name": "weir-0", "labels": {"app": "weir"}},
                "spec": {"nodeName": "node", "containers": [{"name": "weir", "image": "weir"}]},
                "status": {"phase": "Running"},
            }),
            web,
        ],
    );
    pod
}

fn weir(kubeconfig: &str, flags: &[&str]) -> Weir {
    let variables = [("POD_NAMESPACE", "weir"), ("POD_NAME", "weir-0")];
    start_with(kubeconfig, flags, &variables)
}

/// Does everything once with these flags.
fn everything(server: &dyn Cluster, kubeconfig: &str, flags: &[&str], address: &str) {
    let weir = weir(kubeconfig, &[&["--https", "127.0.0.1:0", "--election-ttl=4s"], flags].concat());
    everything_with(server, weir, address, "weir-ingress-controller-leader");
}

/// Does everything once with a weir that has just become ready: it serves, writes statuses and Events, clears both, renews
/// its Lease of this name, which must end within some seconds, and leaves.
pub(super) fn everything_with(server: &dyn Cluster, weir: Weir, address: &str, lease: &str) {
    assert_eq!(get(weir.http, "web.example", "/").status, 308, "it has a certificate");
    until("the status is written", || addresses(server) == [json!({"ip": address})]);
    let broken = |name: &str| {
        let annotations = json!({"weir.dev/limit-rps": "many"});
        put(server, [ingress("broken", &format!("{name}.example"), "pod", &annotations)]);
    };
    broken("broken");
    until("there is an Event", || events(server).len() == 1);
    let mut told = events(server).remove(0);
    for given in ["resourceVersion", "uid", "creationTimestamp", "managedFields"] {
        let _ = told["metadata"].as_object_mut().unwrap().remove(given);
    }
    server.delete("ingresses", NAMESPACE, "broken").unwrap();
    until("it is cleared", || events(server).is_empty());
    // Another replica has told it in the same moment.
    put(server, [told]);
    broken("broken");
    until("it is told again", || events(server).first().is_some_and(|event| event["count"] == 2));
    server.delete("ingresses", NAMESPACE, "broken").unwrap();
    until("it is cleared again", || events(server).is_empty());
    let renewed = || server.get("leases", "weir", lease).unwrap().unwrap();
    let before = renewed()["spec"]["renewTime"].clone();
    until("the lease is renewed", || renewed()["spec"]["renewTime"] != before);
    for word in ["denied", "forbidden", "not allowed", "cannot"] {
        let optional =
            |line: &&str| line.contains("IngressClass") && line.contains("taken as if there were none");
        let lines = weir.stderr();
        let bad: Vec<_> =
            lines.lines().filter(|line| line.contains(word)).filter(|line| !optional(line)).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
    assert!(weir.terminate().success());
    assert_eq!(addresses(server), Vec::<Value>::new(), "the last one ended");
}

#[track_caller]
pub(super) fn check(roles: &[Value], asked: &BTreeSet<Act>, optional: &[(&str, &str, &str)]) {
    let allowed = allowed(roles);
    let optional: BTreeSet<Act> =
        optional.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect();
    let asked: BTreeSet<_> = asked.difference(&optional).cloned().collect();
    let missing: Vec<_> = asked.difference(&allowed).collect();
    let unused: Vec<_> = allowed.difference(&asked).collect();
    assert!(missing.is_empty() && unused.is_empty(), "missing: {missing:?}; never used: {unused:?}");
}

#[test]
fn the_roles_for_a_whole_cluster_are_enough_and_none_is_too_much() {
    let roles = roles("cluster-wide");
    let (server, _pod) = scene(&roles);
    let ways: [(&[&str], _); 2] = [
        (&["--publish-service=weir/weir", "--watch-namespace-selector=team=shop"], "203.0.113.7"),
        (&[], "203.0.113.8"),
    ];
    for (flags, address) in ways {
        everything(&server, &server.kubeconfig(), flags, address);
    }
    check(&roles, &asked(&server), &[]);
    in_a_real_one(&roles, &ways);
}

#[test]
fn the_roles_for_one_namespace_are_enough_and_none_is_too_much() {
    let roles = roles("one-namespace");
    let (server, _pod) = scene(&roles);
    let flags: &[&str] = &["--publish-service=weir/weir", "--watch-namespace=shop"];
    everything(&server, &server.kubeconfig(), flags, "203.0.113.7");
    // Whoever may see one namespace may not see classes; weir asks, and does without.
    check(&roles, &asked(&server), &[("list", "networking.k8s.io", "ingressclasses")]);
    in_a_real_one(&roles, &[(flags, "203.0.113.7")]);
}
