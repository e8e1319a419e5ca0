//! Under which addresses clients reach us: what goes into `.status.loadBalancer` of Ingresses. Pure.

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::networking::v1::IngressLoadBalancerIngress as Address;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Which address of a node is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeAddress {
    /// The external one, or where there is none the internal one.
    External,
    /// The internal one (`--report-node-internal-ip-address`).
    Internal,
}

/// Addresses as the operator wrote them (`--publish-status-address`): IP addresses and names.
pub(super) fn of_texts(texts: &[String]) -> Vec<Address> {
    in_order(texts.iter().map(|text| address(text)))
}

/// Addresses of a Service (`--publish-service`), by its type: those of its load balancer, its external addresses, its
/// external name, or its address in the cluster.
pub(super) fn of_service(service: &Service) -> Vec<Address> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let external = || spec.external_ips.iter().flatten().map(|ip| address(ip));
    let cluster =
        || spec.cluster_ip.iter().filter(|ip| !ip.is_empty() && *ip != "None").map(|ip| address(ip));
    match spec.type_.as_deref().unwrap_or("ClusterIP") {
        "ExternalName" => in_order(spec.external_name.iter().map(|name| address(name))),
        "LoadBalancer" => {
            let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let ingress = balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
            let assigned = ingress.iter().map(|at| Address {
                ip: at.ip.clone().filter(|ip| !ip.is_empty()),
                hostname: at.hostname.clone().filter(|name| !name.is_empty()),
                ports: None,
            });
            in_order(assigned.filter(|at| at.ip.is_some() || at.hostname.is_some()).chain(external()))
        }
        "NodePort" if spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty()) => in_order(external()),
        _ => in_order(cluster()),
    }
}

/// Addresses of the nodes that our pods run on.
pub(super) fn of_nodes(pods: &[Pod], nodes: &BTreeMap<String, Node>, which: NodeAddress) -> Vec<Address> {
    let running = pods.iter().filter(|pod| is_running(pod));
    let names = running.filter_map(|pod| pod.spec.as_ref()?.node_name.as_deref());
    let names: BTreeSet<_> = names.collect();
    let nodes = names.into_iter().filter_map(|name| nodes.get(name));
    in_order(nodes.filter_map(|node| of_node(node, which)))
}

/// Whether a pod runs, and is not about to end.
pub(super) fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

fn of_node(node: &Node, which: NodeAddress) -> Option<Address> {
    let addresses = node.status.as_ref()?.addresses.as_deref().unwrap_or_default();
    let of =
        |kind: &str| addresses.iter().find(|address| address.type_ == kind && !address.address.is_empty());
    let found = match which {
        NodeAddress::External => of("ExternalIP").or_else(|| of("InternalIP")),
        NodeAddress::Internal => of("InternalIP"),
    };
    found.map(|found| address(&found.address))
}

/// An IP address, or else a name.
fn address(text: &str) -> Address {
    match text.parse::<IpAddr>() {
        Ok(_) => Address { ip: Some(text.to_owned()), ..Address::default() },
        Err(_) => Address { hostname: Some(text.to_owned()), ..Address::default() },
    }
}

/// Each once, and always in the same order: what is told does not change with the order in which it was found.
fn in_order(addresses: impl Iterator<Item = Address>) -> Vec<Address> {
    let by_text = |address: Address| ((address.ip.clone(), address.hostname.clone()), address);
    addresses.map(by_text).collect::<BTreeMap<_, _>>().into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn texts(addresses: &[Address]) -> Vec<&str> {
        addresses.iter().filter_map(|at| at.ip.as_deref().or(at.hostname.as_deref())).collect()
    }

    #[track_caller]
    fn check_service(service: Value, expected: &[&str]) {
        let service: Service = serde_json::from_value(service).unwrap();
        assert_eq!(texts(&of_service(&service)), expected);
    }

    #[test]
    fn addresses_that_were_written_are_told_each_once() {
        let written = ["lb.example.com", "192.0.2.2", "192.0.2.1", "192.0.2.2", "2001:db8::1"];
        let told = of_texts(&written.map(str::to_owned));
        assert_eq!(texts(&told), ["lb.example.com", "192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!(told[0].ip, None);
    }

    #[test]
    fn a_service_is_told_by_its_type() {
        let balancer =
            json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"hostname": "lb.example.com"}, {}]}});
        check_service(
            json!({"spec": {"type": "LoadBalancer", "externalIPs": ["192.0.2.1"]}, "status": balancer}),
            &["lb.example.com", "192.0.2.1", "192.0.2.7"],
        );
        check_service(json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1"}}), &[]);
        check_service(json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1"}}), &["10.0.0.1"]);
        check_service(
            json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "externalIPs": ["192.0.2.1"]}}),
            &["192.0.2.1"],
        );
        check_service(json!({"spec": {"clusterIP": "10.0.0.1"}}), &["10.0.0.1"]);
        check_service(json!({"spec": {"clusterIP": "None"}}), &[]);
        check_service(
            json!({"spec": {"type": "ExternalName", "externalName": "a.example.com"}}),
            &["a.example.com"],
        );
        check_service(json!({}), &[]);
    }

    #[test]
    fn nodes_are_told_that_run_one_of_our_pods() {
        let pod = |node: &str, phase: &str, deleted: Value| -> Pod {
            let value = json!({"metadata": {"deletionTimestamp": deleted}, "spec": {"nodeName": node, "containers": []},
                               "status": {"phase": phase}});
            serde_json::from_value(value).unwrap()
        };
        let node = |addresses: Value| -> Node {
            serde_json::from_value(json!({"status": {"addresses": addresses}})).unwrap()
        };
        let pods = [
            pod("a", "Running", Value::Null),
            pod("a", "Running", Value::Null),
            pod("b", "Running", Value::Null),
            pod("c", "Pending", Value::Null),
            pod("d", "Running", json!("2026-01-01T00:00:00Z")),
            pod("nowhere", "Running", Value::Null),
        ];
        let internal = |ip: &str| json!({"type": "InternalIP", "address": ip});
        let external = json!({"type": "ExternalIP", "address": "192.0.2.1"});
        let nodes = BTreeMap::from([
            ("a".to_owned(), node(json!([internal("10.0.0.1"), external]))),
            ("b".to_owned(), node(json!([internal("10.0.0.2")]))),
            ("c".to_owned(), node(json!([internal("10.0.0.3")]))),
            ("d".to_owned(), node(json!([internal("10.0.0.4")]))),
        ]);
        assert_eq!(texts(&of_nodes(&pods, &nodes, NodeAddress::External)), ["10.0.0.2", "192.0.2.1"]);
        assert_eq!(texts(&of_nodes(&pods, &nodes, NodeAddress::Internal)), ["10.0.0.1", "10.0.0.2"]);
    }
}
