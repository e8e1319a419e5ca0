//! What survives another configuration, and what does not.

use crate::support::*;
use std::sync::Arc;
use weir_core::account::Outcome;
use weir_core::declaration::{BackendSpec, Ingress, PathKind};
use weir_core::policy::Balance;
use weir_core::verdict::Reason;
use weir_limits::Instant;

fn rps(limit: u64) -> Ingress {
    with("web", |policy| policy.limits.per_second = n64(limit))
}

#[test]
fn editing_a_number_keeps_the_counters() {
    let engine = engine(declare([rps(5)]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 26);
    engine.replace(declare([rps(10)]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 0, "what is spent is spent");
    assert_eq!(get("/").burst(&engine, at(1.0)), 10, "and the new rate holds at once");
    engine.replace(declare([rps(2)]));
    assert_eq!(get("/").burst(&engine, at(2.0)), 2);
}

#[test]
fn editing_anything_else_keeps_the_counters() {
    let engine = engine(declare([rps(1)]));
    assert_eq!(get("/a").burst(&engine, at(0.0)), 6);
    let mut edited = rps(1);
    edited.rules = vec![host("shop.example", vec![path("/a", PathKind::Exact)])];
    edited.policy.limits.per_minute = n64(1_000);
    edited.created = Some(77);
    engine.replace(declare([edited, with("other", |policy| policy.regex = false)]));
    assert_eq!(get("/a").burst(&engine, at(0.0)), 0);
}

#[test]
fn an_object_created_anew_starts_anew() {
    let engine = engine(declare([rps(1)]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 6);
    engine.replace(declare([Ingress { uid: "another".to_owned(), ..rps(1) }]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 6);
}

#[test]
fn each_window_of_its_own_length_is_a_counter_of_its_own() {
    let windows = |list: &[(u64, u64)]| {
        let window = |(limit, seconds): &(u64, u64)| weir_core::policy::Window {
            limit: n64(*limit).unwrap(),
            period: std::time::Duration::from_secs(*seconds),
        };
        with("web", |policy| policy.limits.windows = list.iter().map(window).collect())
    };
    let engine = engine(declare([windows(&[(1, 600)])]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 6);
    engine.replace(declare([windows(&[(100, 60), (1, 600)])]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 0);
    engine.replace(declare([windows(&[(1, 60)])]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 6);
}

#[test]
fn an_override_that_appears_leaves_the_objects_counters_alone() {
    let engine = engine(declare([rps(1)]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 6);
    let special = weir_core::policy::Override {
        path: "/login".to_owned(),
        per_second: n64(2),
        ..weir_core::policy::Override::default()
    };
    let mut edited = rps(1);
    edited.policy.limits.overrides = vec![special];
    engine.replace(declare([edited]));
    assert_eq!(get("/").burst(&engine, at(0.0)), 0);
    assert_eq!(get("/login").burst(&engine, at(0.0)), 11);
}

#[test]
fn a_slow_request_ends_under_the_configuration_that_admitted_it() {
    let limited = || with("web", |policy| policy.limits.connections = n32(1));
    let engine = engine(declare([limited()]));
    let slow = get("/").pass(&engine, at(0.0));
    engine.replace(declare([limited()]));
    assert_eq!(get("/").reason(&engine), (429, Reason::Connections), "it is still in flight");
    engine.replace(declare([]));
    assert_eq!(get("/").reason(&engine), (404, Reason::NoRoute));
    assert_eq!(slow.backend().addresses().len(), 1);
    let account = slow.finish(at(9.0), &Outcome { status: 200, ..Outcome::default() });
    assert_eq!(account.location.as_ref().unwrap().object.name, "web");
    engine.replace(declare([limited()]));
    drop(get("/").pass(&engine, at(9.0)));
}

#[test]
fn counters_of_an_object_live_as_long_as_it() {
    let engine = engine(declare([rps(1), with("other", |_| {})]));
    drop(get("/").pass(&engine, at(0.0)));
    let web = |engine: &weir_core::Engine| {
        let snapshot = engine.snapshot();
        let owner = snapshot.objects().find(|owner| owner.object.name == "web").map(Arc::clone);
        owner.map(|owner| Arc::clone(owner.counters()))
    };
    let before = web(&engine).unwrap();
    engine.replace(declare([rps(9)]));
    assert!(Arc::ptr_eq(&before, &web(&engine).unwrap()));
    engine.replace(declare([]));
    assert!(web(&engine).is_none());
    assert_eq!(Arc::strong_count(&before), 1, "nobody else holds them");
    engine.replace(declare([rps(9)]));
    assert_eq!(web(&engine).unwrap().requests().map(|(_, count)| count).sum::<u64>(), 0);
}

#[test]
fn endpoint_state_survives_and_goes_with_its_address() {
    let addresses = |list: &[&str]| {
        let mut declaration = declare([ingress("web")]);
        let list = list.iter().map(|address| address.parse().unwrap()).collect();
        declaration.backends.insert(backend(), BackendSpec::Addresses(list));
        declaration
    };
    let engine = engine(addresses(&["127.0.0.1:1", "127.0.0.1:2"]));
    let snapshot = engine.snapshot();
    let pick = |tried: &[std::net::SocketAddr]| {
        engine.snapshot().backend(&backend()).unwrap().pick(at(0.1), Balance::RoundRobin, 0, tried).unwrap()
    };
    let bad = pick(&["127.0.0.1:2".parse().unwrap()]);
    bad.failed(at(0.0));
    engine.replace(addresses(&["127.0.0.1:1", "127.0.0.1:2"]));
    assert!(Arc::ptr_eq(
        snapshot.backend(&backend()).unwrap(),
        engine.snapshot().backend(&backend()).unwrap()
    ));
    engine.replace(addresses(&["127.0.0.1:3", "127.0.0.1:1"]));
    for _ in 0..10 {
        assert_eq!(pick(&[]).address.port(), 3, "the other one is still left out");
    }
    let endpoints = engine.snapshot().backend(&backend()).unwrap().endpoints();
    assert_eq!(endpoints.iter().map(|endpoint| endpoint.in_flight()).collect::<Vec<_>>(), [0, 1]);
    drop(bad);
    engine.replace(addresses(&["127.0.0.1:3"]));
    engine.replace(addresses(&["127.0.0.1:1"]));
    assert!(!engine.snapshot().backend(&backend()).unwrap().endpoints()[0].is_ejected(at(0.1)));
}

#[test]
fn resolved_addresses_survive() {
    let far = || {
        let mut declaration = declare([ingress("web")]);
        let spec = BackendSpec::External { host: "far.example".to_owned(), port: 80 };
        declaration.backends.insert(backend(), spec);
        declaration
    };
    let engine = engine(far());
    let resolve = |engine: &weir_core::Engine| {
        engine.snapshot().backends().find(|backend| backend.external().is_some()).map(Arc::clone).unwrap()
    };
    assert_eq!(resolve(&engine).external(), Some(("far.example", 80)));
    resolve(&engine).set_addresses(&["192.0.2.9:80".parse().unwrap()]);
    engine.replace(far());
    assert_eq!(resolve(&engine).addresses(), ["192.0.2.9:80".parse().unwrap()]);
}

/// One bad object never hurts another, and a bad limit never opens a gate.
#[test]
fn a_broken_object_closes_itself_and_nothing_else() {
    let mut bad = with("bad", |policy| policy.refuse_all = Some("limit-rps: expected a number".to_owned()));
    bad.rules = vec![host("shop.example", vec![path("/bad", PathKind::Prefix)])];
    let engine = engine(declare([rps(1), bad]));
    assert_eq!(get("/bad/x").reason(&engine), (503, Reason::BrokenPolicy));
    assert_eq!(get("/").burst(&engine, Instant::START), 6);
}

#[test]
fn a_path_list_that_cannot_be_read_closes_the_object() {
    let engine = engine_with(|policy| policy.access.paths = Some(vec!["/a\\b".to_owned()]));
    assert_eq!(get("/").reason(&engine), (503, Reason::BrokenPolicy));
    assert_eq!(engine.snapshot().findings[0].code, "invalid-limit");
}
