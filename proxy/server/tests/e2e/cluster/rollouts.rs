//! Pods are replaced while clients ask.

use super::support::{
    ENDING, Load, NAMESPACE, Pod, READY, Stage, State, ingress, on_each_cluster, put, service, slice, start,
    until,
};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::{Duration, Instant};

#[test]
fn a_rolling_update_loses_no_request_and_makes_no_configuration() {
    on_each_cluster(|cluster, ip| roll(cluster, ip));
}

fn roll(cluster: &dyn Stage, ip: IpAddr) {
    let name = |pod: &Pod| format!("web-{}", pod.name);
    let tell = |pod: &Pod, conditions| put(cluster, [slice(&name(pod), "web", &[(pod.address, conditions)])]);
    let old = Pod::several(ip, "old", 3);
    let new = Pod::several(ip, "new", 3);
    put(cluster, [service("web"), ingress("web", "web.example", "web", &json!({}))]);
    old.iter().for_each(|pod| tell(pod, READY));
    let weir = start(cluster, &[]);
    let names = old.iter().chain(&new).map(|pod| pod.name.clone()).collect();
    let load = Load::new(weir.http, [("web.example".to_owned(), State::At(names))]);
    until("it is served", || crate::support::get(weir.http, "web.example", "/").status == 200);
    let generation = weir.generation();
    let (seen, asked) = load.during(|| {
        let mut seen = Vec::new();
        for (mut old, new) in old.into_iter().zip(&new) {
            let written = Instant::now();
            tell(new, READY);
            until("the new pod is asked", || new.first().is_some());
            seen.push(new.first().unwrap().saturating_duration_since(written));
            tell(&old, ENDING);
            load.wait(40);
            cluster.delete("endpointslices", NAMESPACE, &name(&old)).unwrap();
            // It goes on for a moment, as `terminationGracePeriodSeconds` and a `preStop` hook let a pod do.
            load.wait(200);
            until("the old pod is not asked any more", || {
                let before = old.requests();
                load.wait(20);
                old.requests() == before
            });
            old.end();
            load.wait(20);
        }
        seen
    });
    assert_eq!(weir.generation(), generation, "endpoints alone are no configuration");
    assert!(new.iter().all(|pod| pod.requests() > 0));
    eprintln!("{asked} requests; a new pod was asked {seen:?} after it was written");
}

#[test]
fn pods_that_end_serve_while_no_other_is_ready_and_none_means_503() {
    on_each_cluster(|cluster, ip| {
        let pod = Pod::start(ip, "last");
        let tell = |endpoints: &[_]| put(cluster, [slice("web-1", "web", endpoints)]);
        put(cluster, [service("web"), ingress("web", "web.example", "web", &json!({}))]);
        tell(&[(pod.address, READY)]);
        let weir = start(cluster, &[]);
        super::support::until_served(weir.http, "web.example", "last");
        // All pods end at once: those that still serve are better than nobody.
        let load = Load::new(weir.http, [("web.example".to_owned(), State::at("last"))]);
        load.during(|| {
            tell(&[(pod.address, ENDING)]);
            load.wait(200);
        });
        tell(&[(pod.address, super::support::ENDED)]);
        super::support::until_status(weir.http, "web.example", 503);
        tell(&[(pod.address, READY)]);
        super::support::until_served(weir.http, "web.example", "last");
    });
}
