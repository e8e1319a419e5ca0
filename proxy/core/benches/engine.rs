//! What a request costs before it is forwarded, and what a configuration costs to be put in force.
//!
//! To reach: a look-up among 10,000 Ingresses in 1 us, a snapshot of them in 1 s, an admission in 500 ns.
#![allow(clippy::unwrap_used)] // a bench that cannot begin should say so

#[path = "../tests/support/mod.rs"]
mod support;

use divan::{Bencher, black_box};
use std::time::Duration;
use support::{Request, at, declare, get, host, n32, n64, path, with};
use weir_core::account::Outcome;
use weir_core::declaration::{Declaration, Ingress, PathKind};
use weir_core::engine::EngineConfig;
use weir_core::identity::lookout::Sightings;
use weir_core::identity::{Client, Words};
use weir_core::policy::TrustMode;
use weir_core::{Engine, Snapshot, Verdict};
use weir_limits::{Instant, Seed};

fn main() {
    divan::main();
}

fn engine(declaration: Declaration) -> Engine {
    let engine = Engine::new(EngineConfig { clients: 100_000, in_flight: 10_000, seed: Seed::from_u128(7) });
    engine.replace(declaration);
    engine
}

/// So many Ingresses, each with a host of its own and four paths.
fn many(count: usize) -> Declaration {
    declare((0..count).map(|number| {
        let paths = ["/", "/api", "/api/v1/users", "/static"];
        let rules = paths.map(|text| path(text, PathKind::Prefix)).into();
        Ingress {
            rules: vec![host(&format!("host-{number}.example"), rules)],
            ..limited(&number.to_string())
        }
    }))
}

/// So many Ingresses with one path each, all of one host.
fn one_host(count: usize, regex: bool) -> Declaration {
    declare((0..count).map(|number| {
        let text = format!("/team-{}/app-{number}{}", number % 100, if regex { "(/|$)(.*)" } else { "" });
        let rules = vec![host("shop.example", vec![path(&text, PathKind::ImplementationSpecific)])];
        let mut ingress = Ingress { rules, ..limited(&number.to_string()) };
        ingress.policy.regex = regex;
        ingress
    }))
}

fn limited(name: &str) -> Ingress {
    with(name, |policy| {
        policy.limits.per_second = n64(1_000_000_000);
        policy.limits.per_minute = n64(1_000_000_000);
        policy.limits.connections = n32(1_000);
    })
}

/// Admits a request over and over, each ending at once.
fn admit(bencher: Bencher<'_, '_>, engine: &Engine, request: Request<'_>) {
    let (facts, outcome) = (request.facts(), Outcome { status: 200, ..Outcome::default() });
    let mut nanos = 0_u64;
    bencher.bench_local(|| {
        nanos += 1_000;
        let now = Instant::from_nanos(nanos);
        match engine.admit(now, black_box(&facts)) {
            Verdict::Forward(ticket) => drop(ticket.finish(now, &outcome)),
            Verdict::Refuse(_) => unreachable!(),
        }
    });
}

/// A request that is routed among 10,000 Ingresses, limited by two windows and in flight, and ends.
#[divan::bench]
fn admit_allowed(bencher: Bencher<'_, '_>) {
    let request = Request { host: "host-4711.example", path: "/api/v1/users/42", ..get("/") };
    admit(bencher, &engine(many(10_000)), request);
}

/// The common manifest: `limit-rps` and no more.
#[divan::bench]
fn admit_allowed_one_window(bencher: Bencher<'_, '_>) {
    let engine = engine(declare([with("web", |policy| policy.limits.per_second = n64(1_000_000_000))]));
    admit(bencher, &engine, get("/api/v1/users/42"));
}

/// No limits at all: what routing and accounting cost.
#[divan::bench]
fn admit_unlimited(bencher: Bencher<'_, '_>) {
    admit(bencher, &engine(declare([with("web", |_| {})])), get("/api/v1/users/42"));
}

/// A request with a limit that is spent, with all that the refusal says.
#[divan::bench]
fn admit_refused(bencher: Bencher<'_, '_>) {
    let engine = engine(declare([with("web", |policy| {
        policy.limits.per_second = n64(1);
        policy.limits.per_minute = n64(1_000_000);
        policy.limits.connections = n32(1_000);
    })]));
    let request = get("/api/v1/users/42");
    assert!(request.burst(&engine, at(1.0)) > 0);
    let (facts, outcome) = (request.facts(), Outcome { status: 429, ..Outcome::default() });
    bencher.bench_local(|| match engine.admit(at(1.0), black_box(&facts)) {
        Verdict::Refuse(mut refusal) => refusal.account.close(at(1.0), &outcome),
        Verdict::Forward(_) => unreachable!(),
    });
}

/// Whether a request looks like a load balancer's: from a client of the internet, and from the last of as many private
/// addresses as there is room for.
#[divan::bench(args = [[203, 0, 113, 5], [10, 0, 0, 15]])]
fn see(bencher: Bencher<'_, '_>, address: [u8; 4]) {
    let engine = engine(declare([with("web", |_| {})]));
    let snapshot = engine.snapshot();
    let client = |address: [u8; 4]| {
        let address = address.into();
        Client { address, peer: address, trust: TrustMode::default(), words: Words::default() }
    };
    let mut seen = Sightings::new();
    for last in 0..16 {
        seen.see(snapshot.identification().sight(&client([10, 0, 0, last])));
    }
    let client = client(address);
    bencher.bench_local(|| seen.see(snapshot.identification().sight(black_box(&client))));
}

#[divan::bench]
fn find_among_10_000_hosts(bencher: Bencher<'_, '_>) {
    let snapshot = Snapshot::build(many(10_000), None, &Seed::from_u128(7));
    bencher.bench_local(|| {
        snapshot.find(black_box("host-4711.example"), black_box("/api/v1/users/42")).is_some()
    });
}

#[divan::bench]
fn find_among_10_000_paths_of_one_host(bencher: Bencher<'_, '_>) {
    let snapshot = Snapshot::build(one_host(10_000, false), None, &Seed::from_u128(7));
    bencher
        .bench_local(|| snapshot.find(black_box("shop.example"), black_box("/team-11/app-4711/x")).is_some());
}

#[divan::bench]
fn find_among_10_000_patterns_of_one_host(bencher: Bencher<'_, '_>) {
    let snapshot = Snapshot::build(one_host(10_000, true), None, &Seed::from_u128(7));
    bencher
        .bench_local(|| snapshot.find(black_box("shop.example"), black_box("/team-11/app-4711/x")).is_some());
}

#[divan::bench(sample_count = 5, sample_size = 1, max_time = Duration::from_secs(20))]
fn build_10_000(bencher: Bencher<'_, '_>) {
    let previous = Snapshot::build(many(10_000), None, &Seed::from_u128(7));
    bencher
        .with_inputs(|| many(10_000))
        .bench_local_values(|declaration| Snapshot::build(declaration, Some(&previous), &Seed::from_u128(7)));
}

#[divan::bench(sample_count = 3, sample_size = 1, max_time = Duration::from_secs(20))]
fn build_10_000_patterns(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| one_host(10_000, true))
        .bench_local_values(|declaration| Snapshot::build(declaration, None, &Seed::from_u128(7)));
}
