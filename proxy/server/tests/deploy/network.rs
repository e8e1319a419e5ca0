//! What the network policies let through, by the rules of Kubernetes.

use super::rendered::{EDGES, list, of_kind, overlay, text, workloads};
use super::selectors::selects;
use serde_json::{Value, json};

/// Who is at the other end.
pub enum Peer<'a> {
    /// A pod: its namespace and its labels.
    Pod(&'a str, Value),
    /// An address outside of the cluster's pods.
    Outside,
}

/// Which way a connection is opened, as seen from weir.
#[derive(Clone, Copy)]
pub enum Way {
    In,
    Out,
}

/// Whether weir's pod may have this connection. Ports are those of whoever listens.
pub fn allowed(objects: &[Value], way: Way, peer: &Peer<'_>, port: u64, protocol: &str) -> bool {
    let workload = workloads(objects)[0];
    let namespace = text(workload, "/metadata/namespace");
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    let (kind, rules, peers) = match way {
        Way::In => ("Ingress", "/spec/ingress", "from"),
        Way::Out => ("Egress", "/spec/egress", "to"),
    };
    let policies = of_kind(objects, "NetworkPolicy").into_iter().filter(|policy| {
        let selector = &policy["spec"]["podSelector"];
        let mine = *selector == json!({}) || selects(&selector["matchLabels"], labels);
        mine && text(policy, "/metadata/namespace") == namespace
            && list(policy, "/spec/policyTypes").iter().any(|it| it == kind)
    });
    let policies: Vec<_> = policies.collect();
    // Whom no policy selects may do everything.
    policies.is_empty()
        || policies.iter().flat_map(|policy| list(policy, rules)).any(|rule| {
            let through = match rule.get("ports") {
                None => true,
                Some(_) => list(rule, "/ports").iter().any(|it| {
                    let known = number(workload, &it["port"]);
                    text(it, "/protocol") == protocol && known == Some(port)
                }),
            };
            let who = list(rule, &format!("/{peers}"));
            through && (rule.get(peers).is_none() || who.iter().any(|it| is(it, peer, namespace)))
        })
}

/// The number of a port that may be given by its name in weir's pod.
fn number(workload: &Value, port: &Value) -> Option<u64> {
    let pod = &workload["spec"]["template"]["spec"];
    let mut ports = super::pods::containers(pod).flat_map(|it| list(it, "/ports"));
    port.as_u64().or_else(|| ports.find(|it| it["name"] == *port)?["containerPort"].as_u64())
}

fn is(peer: &Value, who: &Peer<'_>, own: &str) -> bool {
    let (namespaces, pods) = (peer.get("namespaceSelector"), peer.get("podSelector"));
    match who {
        Peer::Outside => false,
        Peer::Pod(namespace, labels) => {
            let there = json!({"kubernetes.io/metadata.name": namespace});
            let fits = |selector: &Value, labels: &Value| {
                *selector == json!({}) || selects(&selector["matchLabels"], labels)
            };
            namespaces.map_or(*namespace == own, |it| fits(it, &there))
                && pods.is_none_or(|it| fits(it, labels))
        }
    }
}

/// What every installation lets through and what it does not.
pub fn complaints(objects: &[Value]) -> Vec<String> {
    let pod = |namespace| Peer::Pod(namespace, json!({"app": "any"}));
    let cases = [
        (Way::In, Peer::Outside, 8080, "TCP", true, "requests from anywhere"),
        (Way::In, Peer::Outside, 8443, "TCP", true, "requests over TLS from anywhere"),
        (Way::In, pod("shop"), 8080, "TCP", true, "requests of pods"),
        (Way::In, Peer::Outside, 10254, "TCP", false, "admin from outside"),
        (Way::In, pod("shop"), 10254, "TCP", false, "admin from other namespaces"),
        (Way::In, pod("monitoring"), 10254, "TCP", true, "admin for monitoring"),
        (Way::In, pod("monitoring"), 9090, "TCP", false, "ports that weir does not have"),
        (Way::In, Peer::Outside, 22, "TCP", false, "other ports from outside"),
        (Way::Out, pod("shop"), 3000, "TCP", true, "backends on whatever port"),
        (Way::Out, Peer::Outside, 443, "TCP", true, "the API server, as a Service has it"),
        (Way::Out, Peer::Outside, 6443, "TCP", true, "the API server itself"),
        (Way::Out, Peer::Outside, 53, "UDP", true, "names"),
        (Way::Out, Peer::Outside, 53, "TCP", true, "long names"),
        (Way::Out, Peer::Outside, 80, "TCP", false, "the cloud's metadata and other places outside"),
        (Way::Out, Peer::Outside, 25, "TCP", false, "mail"),
    ];
    let wrong = cases.into_iter().filter(|(way, peer, port, protocol, expected, _)| {
        allowed(objects, *way, peer, *port, protocol) != *expected
    });
    wrong.map(|(.., expected, what)| format!("{what}: should be {expected}")).collect()
}

#[test]
fn the_network_policies_let_through_what_weir_needs_and_nothing_else() {
    for name in EDGES {
        let Some(objects) = overlay(name) else { return };
        let complaints = complaints(&objects);
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}

#[test]
fn each_network_policy_is_missed_when_it_is_gone() {
    let Some(objects) = overlay("deployment") else { return };
    let policies: Vec<_> = of_kind(&objects, "NetworkPolicy").into_iter().cloned().collect();
    assert_eq!(policies.len(), 4);
    for policy in &policies {
        let without: Vec<_> = objects.iter().filter(|it| *it != policy).cloned().collect();
        let name = text(policy, "/metadata/name");
        // The others select weir too; what nobody but the first closes are ways that none of them speaks of.
        let missed = !complaints(&without).is_empty() || name == "weir-default-deny";
        assert!(missed, "nobody misses {name}");
    }
    let alone: Vec<_> = objects.iter().filter(|it| it["kind"] != "NetworkPolicy").cloned().collect();
    let with = |policy: &str| {
        let policy = policies.iter().find(|it| text(it, "/metadata/name") == policy).unwrap();
        [alone.clone(), vec![policy.clone()]].concat()
    };
    let nobody = with("weir-default-deny");
    for (way, port) in [(Way::In, 8080), (Way::In, 10254), (Way::Out, 443)] {
        assert!(!allowed(&nobody, way, &Peer::Outside, port, "TCP"));
    }
}
