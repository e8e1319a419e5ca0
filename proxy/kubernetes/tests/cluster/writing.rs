//! What is written back, and who writes it.

use crate::support::{Follower, object, put_all, put_ingress, quiet, server, until};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use weir_apiserver::{ApiServer, Cluster as _, Failure, Matching, Verb};
use weir_kubernetes::publish::{self, AtTheEnd, Election, Events, NodeAddress, Status};

const LEASE: &str = "weir-leader";

/// A replica that writes everything.
fn replica(server: &ApiServer, name: &str, status: Status) -> Follower {
    replica_with(server, name, status, |_| {})
}

fn replica_with(
    server: &ApiServer,
    name: &str,
    status: Status,
    change: impl FnOnce(&mut publish::Settings),
) -> Follower {
    Follower::start_with(server, |settings| {
        settings.publish = publish::Settings {
            status,
            at_the_end: AtTheEnd::Clear,
            events: Events::Write,
            election: Election::Lease { name: LEASE.to_owned(), ttl: Duration::from_secs(4) },
            identity: name.to_owned(),
            pod: Some(object("weir", name)),
            ..quiet()
        };
        change(&mut settings.publish);
    })
}

fn given(addresses: &[&str]) -> Status {
    Status::Given(addresses.iter().map(|&it| it.to_owned()).collect())
}

/// The addresses in the status of an Ingress.
fn status(server: &ApiServer, name: &str) -> Vec<String> {
    let ingress = server.get("ingresses", "shop", name).unwrap().unwrap_or_default();
    let addresses = ingress.pointer("/status/loadBalancer/ingress").and_then(Value::as_array).cloned();
    let text = |at: Value| {
        at.get("ip").or_else(|| at.get("hostname")).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    addresses.unwrap_or_default().into_iter().map(text).collect()
}

#[track_caller]
fn until_status(server: &ApiServer, name: &str, expected: &[&str]) {
    until(&format!("{name} has {expected:?}"), || status(server, name) == expected);
}

fn events(server: &ApiServer) -> Vec<Value> {
    server.list("events", "shop").unwrap()
}

fn holder(server: &ApiServer) -> String {
    let lease = server.get("leases", "weir", LEASE).unwrap().unwrap_or_default();
    lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn pod(server: &ApiServer, name: &str, node: &str) {
    server
        .put_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "weir", "name": name, "labels": {"app": "weir", "pod-template-hash": name}},
            "spec": {"nodeName": node, "containers": [{"name": "weir", "image": "weir"}]},
            "status": {"phase": "Running"},
        }))
        .unwrap();
}

fn leads(replica: &Follower) -> bool {
    replica.cluster.leads().load(Ordering::Relaxed)
}

#[test]
fn ingresses_of_ours_get_the_addresses_that_were_given_and_others_keep_theirs() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let mut theirs = crate::support::ingress("shop", "theirs", &json!({}));
    theirs["spec"]["ingressClassName"] = json!("nginx");
    theirs["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.200"}]}});
    server.put_value(theirs).unwrap();
    let replica = replica(&server, "weir-0", given(&["lb.example.com", "192.0.2.100"]));
    until_status(&server, "a", &["lb.example.com", "192.0.2.100"]);
    // One that comes later, and one that somebody else wrote to.
    put_all(&server, "shop", "b", &["192.0.2.2"]);
    until_status(&server, "b", &["lb.example.com", "192.0.2.100"]);
    let other = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": "shop", "name": "b"},
                       "spec": server.get("ingresses", "shop", "b").unwrap().unwrap()["spec"],
                       "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.66"}]}}});
    server.put_value(other).unwrap();
    until_status(&server, "b", &["lb.example.com", "192.0.2.100"]);
    assert_eq!(status(&server, "theirs"), ["192.0.2.200"]);
    assert!(leads(&replica));
}

#[test]
fn a_status_that_is_right_is_not_written() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let _replica = replica(&server, "weir-0", given(&["192.0.2.100"]));
    until_status(&server, "a", &["192.0.2.100"]);
    put_all(&server, "shop", "b", &["192.0.2.1"]);
    until_status(&server, "b", &["192.0.2.100"]);
    let patches =
        server.requests().into_iter().filter(|it| it.subresource == "status" && it.verb == Verb::Patch);
    assert_eq!(patches.map(|it| it.name).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_service_or_the_nodes_of_our_pods_can_be_told() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let service = |status: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "weir", "name": "weir"},
               "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}, "status": status})
    };
    server.put_value(service(json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}))).unwrap();
    let of_service = replica(&server, "weir-0", Status::OfService(object("weir", "weir")));
    until_status(&server, "a", &["192.0.2.7"]);
    drop(of_service);
    for (name, node, ip) in [("weir-1", "n1", "192.0.2.21"), ("weir-2", "n2", "192.0.2.22")] {
        pod(&server, name, node);
        server
            .put_value(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node},
                              "status": {"addresses": [{"type": "InternalIP", "address": ip}]}}))
            .unwrap();
    }
    let _of_nodes = replica(&server, "weir-1", Status::OfNodes(NodeAddress::External));
    until_status(&server, "a", &["192.0.2.21", "192.0.2.22"]);
}

#[test]
fn one_of_two_replicas_writes_and_the_other_takes_over_at_once_when_it_leaves() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    pod(&server, "weir-0", "n1");
    pod(&server, "weir-1", "n1");
    let first = replica(&server, "weir-0", given(&["192.0.2.100"]));
    until("the first leads", || leads(&first) && holder(&server) == "weir-0");
    let second = replica(&server, "weir-1", given(&["192.0.2.100"]));
    until_status(&server, "a", &["192.0.2.100"]);
    assert!(!leads(&second));
    first.cluster.leave();
    until("the second leads", || leads(&second) && holder(&server) == "weir-1");
    assert!(!leads(&first));
    // Who left goes on following: requests in flight may take a while.
    put_ingress(&server, "shop", "b", &json!({}));
    first.until_hosts(&["a.example", "b.example"]);
    assert_eq!(status(&server, "a"), ["192.0.2.100"], "another replica serves");
    drop(first);
    server.delete("pods", "weir", "weir-0").unwrap();
    drop(second);
    assert_eq!(status(&server, "a"), Vec::<String>::new(), "nobody serves any more");
    assert_eq!(holder(&server), "");
}

#[test]
fn a_leader_that_cannot_be_heard_is_followed_when_its_lease_has_ended() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let first = replica(&server, "weir-0", given(&["192.0.2.100"]));
    until("the first leads", || leads(&first));
    // Nobody can renew.
    let renewals = Matching::all().verb(Verb::Update).resource("leases");
    server.faults().fail_next(1_000_000, renewals, Failure::Answer(500, None));
    until("the first stops", || !leads(&first));
    server.faults().clear();
    until("it leads again", || leads(&first));
}

#[test]
fn a_finding_is_an_event_on_its_object_until_it_is_mended() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let replica = replica(&server, "weir-0", Status::Keep);
    put_ingress(&server, "shop", "a", &json!({"weir.dev/limit-rps": "many", "weir.dev/limit-rpm": "more"}));
    until("there are two Events", || events(&server).len() == 2);
    let all = events(&server);
    for event in &all {
        assert_eq!(event["involvedObject"]["name"], "a");
        assert_eq!(
            event["involvedObject"]["uid"],
            server.get("ingresses", "shop", "a").unwrap().unwrap()["metadata"]["uid"]
        );
        assert_eq!((&event["type"], &event["count"]), (&json!("Warning"), &json!(1)));
    }
    // Another change to the object tells nothing again.
    put_ingress(
        &server,
        "shop",
        "a",
        &json!({"weir.dev/limit-rps": "many", "weir.dev/limit-rpm": "more", "weir.dev/limit-connections": "5"}),
    );
    replica.until(|declaration, _| declaration.ingresses.len() == 1);
    put_ingress(&server, "shop", "a", &json!({"weir.dev/limit-rps": "many"}));
    until("one is cleared", || events(&server).len() == 1);
    assert!(all.contains(&events(&server)[0]), "the other is as it was");
    put_ingress(&server, "shop", "a", &json!({"weir.dev/limit-rps": "5"}));
    until("all are cleared", || events(&server).is_empty());
}

#[test]
fn the_next_leader_clears_what_was_mended_meanwhile_and_tells_nothing_twice() {
    let server = server();
    put_ingress(&server, "shop", "a", &json!({"weir.dev/limit-rps": "many"}));
    put_ingress(&server, "shop", "b", &json!({"weir.dev/limit-rps": "many"}));
    let first = replica(&server, "weir-0", Status::Keep);
    // Each has a Service that is missing, too.
    until("there are Events", || events(&server).len() == 4);
    drop(first);
    put_ingress(&server, "shop", "a", &json!({}));
    let before = events(&server);
    let _second = replica(&server, "weir-1", Status::Keep);
    until("one is cleared", || events(&server).len() == 3);
    assert!(events(&server).iter().all(|event| before.contains(event)));
}

#[test]
fn nothing_is_written_where_nothing_is_to_be() {
    let server = server();
    put_ingress(&server, "shop", "a", &json!({"weir.dev/limit-rps": "many"}));
    let replica = Follower::start(&server);
    replica.until_hosts(&["a.example"]);
    until("it would lead", || leads(&replica));
    replica.nothing_but(&server, "marker");
    let reading = [Verb::Get, Verb::List, Verb::Watch];
    let wrote: Vec<_> = server.requests().into_iter().filter(|it| !reading.contains(&it.verb)).collect();
    assert!(wrote.is_empty(), "{wrote:?}");
}

#[test]
fn nothing_is_taken_back_before_it_is_known_what_there_is() {
    let server = server();
    put_ingress(&server, "shop", "a", &json!({"weir.dev/limit-rps": "many"}));
    let first = replica(&server, "weir-0", Status::Keep);
    until("there are Events", || events(&server).len() == 2);
    drop(first);
    let before = events(&server);
    // The next one leads for long before it can list.
    let services = Matching::all().verb(Verb::List).resource("services");
    server.faults().fail_next(1_000_000, services, Failure::Answer(500, None));
    let second = replica(&server, "weir-1", Status::Keep);
    until("it renews", || {
        let lease = server.get("leases", "weir", LEASE).unwrap().unwrap_or_default();
        let writes =
            server.requests().into_iter().filter(|it| it.resource == "leases" && it.verb == Verb::Update);
        lease["spec"]["holderIdentity"] == "weir-1" && writes.count() >= 3
    });
    assert_eq!(events(&server), before);
    server.faults().clear();
    second.until_hosts(&["a.example"]);
}

#[test]
fn a_write_that_is_never_answered_holds_nothing_up_not_even_the_end() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let patches = || Matching::all().verb(Verb::Patch).resource("ingresses");
    server.faults().fail_next(1, patches(), Failure::Hang);
    let replica = replica(&server, "weir-0", given(&["192.0.2.100"]));
    until_status(&server, "a", &["192.0.2.100"]);
    server.faults().fail_next(1_000_000, patches(), Failure::Hang);
    server.faults().fail_next(1_000_000, Matching::all().verb(Verb::Update), Failure::Hang);
    put_all(&server, "shop", "b", &["192.0.2.2"]);
    until("it writes", || server.requests().iter().any(|it| it.verb == Verb::Patch && it.name == "b"));
    let (tell, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(replica);
        let _ = tell.send(());
    });
    ended.recv_timeout(crate::support::PATIENCE).expect("it ends");
}

#[test]
fn a_status_that_may_not_be_written_keeps_no_event_waiting() {
    let server = server();
    put_ingress(&server, "shop", "a", &json!({"weir.dev/limit-rps": "many"}));
    let patches = Matching::all().verb(Verb::Patch).resource("ingresses");
    server.faults().fail_next(1_000_000, patches, Failure::Answer(403, None));
    let _replica = replica(&server, "weir-0", given(&["192.0.2.100"]));
    until("there are Events", || events(&server).len() == 2);
}
