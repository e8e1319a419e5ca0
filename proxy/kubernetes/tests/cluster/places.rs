//! Where weir runs, where the API server is, and which of two objects came first.

use crate::support::{Follower, addresses_of, ingress, put_all, put_ingress, put_service, server};
use serde_json::{Value, json};
use weir_apiserver::{ApiServer, Cluster as _};
use weir_core::Snapshot;
use weir_limits::Seed;

fn put_node(server: &ApiServer, labels: &Value) {
    server
        .put_value(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": labels}}))
        .unwrap();
}

/// An Ingress with a Service, one endpoint of which is in zone `z1` and one in `z2`.
fn put_hinted(server: &ApiServer) {
    let endpoint = |address: &str, zone: &str| json!({"addresses": [address], "conditions": {"ready": true}, "hints": {"forZones": [{"name": zone}]}});
    server
        .put_value(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"namespace": "shop", "name": "a-1", "labels": {"kubernetes.io/service-name": "a"}},
            "ports": [{"port": 8080, "protocol": "TCP", "name": ""}],
            "endpoints": [endpoint("192.0.2.1", "z1"), endpoint("192.0.2.2", "z2")],
        }))
        .unwrap();
    put_service(server, "shop", "a");
    put_ingress(server, "shop", "a", &json!({}));
}

#[test]
fn the_label_of_our_node_says_which_endpoints_are_near() {
    let server = server();
    put_hinted(&server);
    put_node(&server, &json!({"topology.kubernetes.io/zone": "z2"}));
    let follower = Follower::start_with(&server, |settings| settings.node = Some("n1".to_owned()));
    // In the first configuration already: nothing that is far is asked for the time of a start.
    let declaration = follower.until_hosts(&["a.example"]);
    assert_eq!(addresses_of(&declaration.backends, "a"), ["192.0.2.2:8080"]);
    let asked = server.requests().into_iter().filter(|it| it.resource == "nodes");
    assert_eq!(asked.map(|it| it.name).collect::<Vec<_>>(), ["n1"], "our own node alone, and once");
}

#[test]
fn a_node_that_cannot_be_read_holds_nothing_up_and_is_asked_again() {
    let server = server();
    put_hinted(&server);
    let follower = Follower::start_with(&server, |settings| settings.node = Some("n1".to_owned()));
    let declaration = follower.until_hosts(&["a.example"]);
    assert_eq!(addresses_of(&declaration.backends, "a"), ["192.0.2.1:8080", "192.0.2.2:8080"]);
    put_node(&server, &json!({"topology.kubernetes.io/zone": "z1"}));
    follower.until(|declaration, _| addresses_of(&declaration.backends, "a") == ["192.0.2.1:8080"]);
}

#[test]
fn a_node_without_a_zone_is_near_to_everything() {
    let server = server();
    put_hinted(&server);
    put_node(&server, &json!({}));
    let follower = Follower::start_with(&server, |settings| settings.node = Some("n1".to_owned()));
    let declaration = follower.until_hosts(&["a.example"]);
    assert_eq!(addresses_of(&declaration.backends, "a"), ["192.0.2.1:8080", "192.0.2.2:8080"]);
    follower.nothing_but(&server, "marker");
}

#[test]
fn a_zone_that_is_given_needs_no_node() {
    let server = server();
    put_hinted(&server);
    let follower = Follower::start_with(&server, |settings| {
        settings.node = Some("n1".to_owned());
        settings.options.zone = Some("z1".to_owned());
    });
    let declaration = follower.until_hosts(&["a.example"]);
    assert_eq!(addresses_of(&declaration.backends, "a"), ["192.0.2.1:8080"]);
    assert!(server.requests().iter().all(|it| it.resource != "nodes"));
}

#[test]
fn the_oldest_object_wins_as_the_api_server_tells_ages_and_names_decide_among_equals() {
    let server = server();
    // By name the youngest comes first, and the oldest in the middle.
    for (name, created) in [
        ("a", "2026-03-01T00:00:00Z"),
        ("b", "2024-03-01T00:00:00Z"),
        ("c", "2024-03-01T00:00:00Z"),
        ("d", "2025-03-01T00:00:00Z"),
    ] {
        put_all(&server, "shop", name, &["192.0.2.1"]);
        server.delete("ingresses", "shop", name).unwrap();
        let mut object = ingress("shop", name, &json!({}));
        object["metadata"]["creationTimestamp"] = json!(created);
        object["spec"]["rules"][0]["host"] = json!("one.example");
        server.put_value(object).unwrap();
    }
    let follower = Follower::start(&server);
    let mut winners = Vec::new();
    for left in (1..=4).rev() {
        let (declaration, _) = follower.until(|declaration, _| declaration.ingresses.len() == left);
        let snapshot = Snapshot::build(declaration, None, &Seed::from_u128(1));
        let winner = snapshot.find("one.example", "/").unwrap().object.name.clone();
        let losers: Vec<_> = snapshot.findings.iter().filter(|it| it.code == "path-taken").collect();
        assert_eq!(losers.len(), left - 1, "{:?}", snapshot.findings);
        assert!(
            losers
                .iter()
                .all(|it| it.object.name != winner && it.message.contains(&format!("shop/{winner}"))),
            "{losers:?}"
        );
        // Whoever is next in age takes over.
        server.delete("ingresses", "shop", &winner).unwrap();
        winners.push(winner);
    }
    assert_eq!(winners, ["b", "c", "d", "a"]);
}

#[test]
fn the_api_server_can_be_named_in_place_of_that_of_the_kubeconfig() {
    let (server, other) = (server(), server());
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    put_all(&other, "shop", "b", &["192.0.2.1"]);
    let follower = Follower::start_with(&server, |settings| {
        settings.apiserver_host = Some(format!("http://{}", other.address()));
    });
    follower.until_hosts(&["b.example"]);
}
