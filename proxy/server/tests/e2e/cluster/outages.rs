//! The API server goes away while clients ask.

use super::support::{
    Load, Pod, Stage, State, ingress, is_ready, on_each_cluster, put, reachable, start, unready, until,
    until_served,
};
use crate::support::{Weir, get};
use serde_json::json;
use std::net::IpAddr;

fn age(weir: &Weir) -> f64 {
    weir.metric("weir_source_age_seconds").expect("a cluster has an age")
}

#[test]
fn what_is_known_is_served_while_the_api_server_is_away() {
    on_each_cluster(away);
}

fn away(cluster: &mut dyn Stage, ip: IpAddr) {
    let pods = Pod::several(ip, "pod", 2);
    put(cluster, pods.iter().flat_map(|pod| reachable(&pod.name, pod.address)));
    put(cluster, [ingress("web", "web.example", "pod-0", &json!({}))]);
    let weir = start(cluster, &[]);
    assert_eq!(age(&weir), 0.0);
    let load = Load::new(weir.http, [("web.example".to_owned(), State::at("pod-0"))]);
    load.during(|| {
        cluster.pause();
        until("the outage is seen", || age(&weir) > 0.0);
        let before = age(&weir);
        load.wait(200);
        assert!(age(&weir) > before, "it grows");
        assert!(is_ready(&weir), "what is known is good enough to serve");
        cluster.resume();
        until("the API server is heard again", || age(&weir) == 0.0);
        // A change is seen as before.
        load.becomes("web.example", State::at("pod-1"));
        put(&*cluster, [ingress("web", "web.example", "pod-1", &json!({}))]);
        load.settle();
        // And after a restart that knows nothing of the past.
        cluster.restart().unwrap();
        load.becomes("web.example", State::at("pod-0"));
        put(&*cluster, [ingress("web", "web.example", "pod-0", &json!({}))]);
        load.settle();
        until("all is heard again", || age(&weir) == 0.0);
    });
    assert!(is_ready(&weir));
    assert!(weir.metric("weir_source_failures_total{kind=\"Ingress\"}").is_some_and(|count| count > 0.0));
}

#[test]
fn weir_waits_for_an_api_server_that_is_not_there_yet() {
    on_each_cluster(|cluster, ip| {
        let pod = Pod::start(ip, "pod");
        put(cluster, reachable("pod", pod.address));
        put(cluster, [ingress("web", "web.example", "pod", &json!({}))]);
        cluster.pause();
        let weir = unready(&cluster.kubeconfig(), &[], &[]);
        let ready = get(weir.admin, "admin", "/readyz");
        assert_eq!((ready.status, ready.text().as_str()), (503, "nothing was read from the source yet\n"));
        assert_eq!(get(weir.admin, "admin", "/healthz").status, 200);
        assert_eq!(get(weir.http, "web.example", "/").status, 503);
        until("it is said why", || weir.stderr().contains("the API server cannot be heard"));
        // Once for each watch, however often it is tried.
        let failures = || weir.metric("weir_source_failures_total{kind=\"Ingress\"}").unwrap_or(0.0);
        until("it was tried again", || failures() > 4.0);
        let told = weir.stderr().lines().filter(|line| line.contains("\"Ingress\"")).count();
        assert_eq!(told, 1, "{}", weir.stderr());
        assert!(!weir.stderr().contains("kube_client"), "{}", weir.stderr());
        cluster.resume();
        until("weir is ready", || is_ready(&weir));
        until_served(weir.http, "web.example", "pod");
    });
}
