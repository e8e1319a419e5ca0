//! What is written back, by which of two processes.

use super::support::{NAMESPACE, Pod, Stage, ingress, on_each_cluster, put, reachable, start_with, until};
use crate::support::Weir;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const LEASE: &str = "weir-ingress-controller-leader";

/// A replica in the pod of this name.
fn replica(cluster: &dyn Stage, pod: &str) -> Weir {
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "weir", "name": pod, "labels": {"app": "weir"}},
        "spec": {"containers": [{"name": "weir", "image": "weir"}]}, "status": {"phase": "Running"},
    });
    put(cluster, [object]);
    let variables = [("POD_NAMESPACE", "weir"), ("POD_NAME", pod)];
    let flags = ["--publish-status-address=192.0.2.7,lb.example.com", "--election-ttl=30s"];
    start_with(&cluster.kubeconfig(), &flags, &variables)
}

fn holder(cluster: &dyn Stage) -> String {
    let lease = cluster.get("leases", "weir", LEASE).unwrap().unwrap_or_default();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

fn leads(weir: &Weir) -> bool {
    weir.metric("weir_leader") == Some(1.0)
}

fn status(cluster: &dyn Stage) -> Vec<Value> {
    let ingress = cluster.get("ingresses", NAMESPACE, "web").unwrap().unwrap();
    ingress["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default()
}

fn events(cluster: &dyn Stage) -> Vec<Value> {
    cluster.list("events", NAMESPACE).unwrap()
}

#[test]
fn the_leader_writes_and_when_it_ends_the_other_leads_at_once() {
    on_each_cluster(|cluster, ip| hand_over(cluster, ip));
}

fn hand_over(cluster: &dyn Stage, ip: IpAddr) {
    let pod = Pod::start(ip, "pod");
    put(cluster, reachable("pod", pod.address));
    put(cluster, [ingress("web", "web.example", "pod", &json!({}))]);
    let first = replica(cluster, "weir-0");
    until("the first leads", || leads(&first) && holder(cluster) == "weir-0");
    until("the status is written", || !status(cluster).is_empty());
    assert_eq!(status(cluster), [json!({"hostname": "lb.example.com"}), json!({"ip": "192.0.2.7"})]);
    let second = replica(cluster, "weir-1");
    assert!(!leads(&second));

    // A mistake is told where it is, and not any more when it is mended.
    let annotate = |limit: &str| {
        let patch = json!({"metadata": {"annotations": {"weir.dev/limit-rps": limit}}});
        cluster.patch("ingresses", NAMESPACE, "web", &patch).unwrap();
    };
    annotate("many");
    until("an Event says what is wrong", || events(cluster).len() == 1);
    let event = &events(cluster)[0];
    assert_eq!((&event["involvedObject"]["name"], &event["type"]), (&json!("web"), &json!("Warning")));
    assert!(event["message"].as_str().is_some_and(|text| text.contains("weir.dev/limit-rps")), "{event}");
    annotate("5");
    until("the Event is cleared", || events(cluster).is_empty());

    let signalled = Instant::now();
    assert!(first.terminate().success());
    until("the second leads", || leads(&second) && holder(cluster) == "weir-1");
    let after = signalled.elapsed();
    assert!(after < Duration::from_secs(15), "{after:?}: half of the time for which the lease holds");
    assert_eq!(status(cluster).len(), 2, "there is still somebody who serves");
    cluster.delete("pods", "weir", "weir-0").unwrap();
    assert!(second.terminate().success());
    assert_eq!(status(cluster), Vec::<Value>::new(), "nobody serves any more");
    assert_eq!(holder(cluster), "");
    eprintln!("the other led {after:?} after the signal");
}
