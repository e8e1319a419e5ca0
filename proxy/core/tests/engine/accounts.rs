//! What is counted, and that everything is given back.

use crate::support::*;
use std::sync::Arc;
use std::time::Duration;
use weir_core::Engine;
use weir_core::account::{End, ObjectCounters, Outcome, UpstreamOutcome, UpstreamResult};
use weir_core::policy::Mode;
use weir_core::verdict::Reason;

fn counters(engine: &Engine) -> Arc<ObjectCounters> {
    Arc::clone(engine.snapshot().objects().next().unwrap().counters())
}

fn status(counters: &ObjectCounters, label: &str) -> u64 {
    counters.requests().find(|(known, _)| *known == label).unwrap().1
}

fn sent(status: u16) -> Outcome {
    Outcome { status, bytes_in: 100, bytes_out: 1_000, ..Outcome::default() }
}

#[test]
fn a_request_is_counted_when_it_ends() {
    let engine = engine(declare([ingress("web")]));
    let counters = counters(&engine);
    let ticket = get("/").pass(&engine, at(1.0));
    assert_eq!((counters.in_flight(), status(&counters, "200")), (1, 0));
    let upstream = UpstreamOutcome {
        address: "127.0.0.1:1".parse().unwrap(),
        tries: 1,
        status: 200,
        latency: Duration::from_millis(30),
        result: UpstreamResult::Respond,
    };
    let account = ticket.finish(at(1.04), &Outcome { upstream: Some(upstream), ..sent(200) });
    assert_eq!((counters.in_flight(), status(&counters, "200")), (0, 1));
    assert_eq!((counters.bytes_in(), counters.bytes_out()), (100, 1_000));
    assert_eq!((counters.duration().count(), counters.duration().sum()), (1, Duration::from_millis(40)));
    assert_eq!(counters.upstream_latency().sum(), Duration::from_millis(30));
    assert_eq!(counters.upstream().next(), Some((UpstreamResult::Respond, 1)));
    drop(account);
    assert_eq!((counters.in_flight(), status(&counters, "200"), status(&counters, "none")), (0, 1, 0));
}

#[test]
fn a_dropped_ticket_counts_as_aborted_and_gives_everything_back() {
    let engine = engine_with(|policy| policy.limits.connections = n32(1));
    let counters = counters(&engine);
    let ticket = get("/").pass(&engine, at(0.0));
    assert_eq!(ticket.places(), 1);
    drop(ticket);
    assert_eq!((counters.in_flight(), status(&counters, "none")), (0, 1));
    assert_eq!(counters.ends().find(|(end, _)| *end == End::ClientAbort).unwrap().1, 1);
    assert_eq!(engine.limiter_stats().in_flight_held, 0);
}

#[test]
fn places_can_be_given_back_before_the_end_and_only_once() {
    let engine = engine_with(|policy| policy.limits.connections = n32(1));
    let counters = counters(&engine);
    let mut first = get("/").pass(&engine, at(0.0));
    first.release();
    assert_eq!((first.places(), counters.in_flight()), (0, 1), "it still runs, and holds no place");
    let second = get("/").pass(&engine, at(0.1));
    let _ = first.finish(at(0.2), &sent(200));
    assert_eq!((second.places(), engine.limiter_stats().in_flight_held), (1, 1));
    drop(second);
    assert_eq!(engine.limiter_stats().in_flight_held, 0);
}

#[test]
fn a_refusal_is_counted_by_rule_and_closed_like_any_request() {
    let engine = engine_with(|policy| policy.limits.per_second = n64(1));
    let counters = counters(&engine);
    get("/").burst(&engine, at(0.0));
    let mut refusal = get("/").stop(&engine, at(0.0));
    refusal.account.close(at(0.1), &sent(429));
    refusal.account.close(at(0.2), &sent(429));
    drop(refusal);
    assert_eq!((counters.in_flight(), status(&counters, "429")), (0, 1));
    let hits: Vec<_> = counters.refusals().filter(|(.., count)| *count > 0).collect();
    assert_eq!(hits, [(Reason::Rate, "limit-rps", Mode::Enforce, 995)]);
}

#[test]
fn requests_without_a_location_are_counted_for_the_process() {
    let engine = engine(declare([]));
    for path in ["/", "/a%00"] {
        let mut refusal = get(path).stop(&engine, at(0.0));
        refusal.account.close(at(0.0), &sent(refusal.status));
    }
    engine.replace(declare([]));
    let snapshot = engine.snapshot();
    let hits: Vec<_> = snapshot.unrouted().refusals().filter(|(.., count)| *count > 0).collect();
    assert_eq!(hits, [(Reason::BadRequest, "", Mode::Enforce, 1), (Reason::NoRoute, "", Mode::Enforce, 1),]);
    assert_eq!(status(snapshot.unrouted(), "404"), 1);
}

#[test]
fn every_status_has_a_label() {
    let engine = engine(declare([ingress("web")]));
    let counters = counters(&engine);
    for code in [0, 99, 100, 101, 226, 399, 418, 499, 599, 600, u16::MAX] {
        let _ = get("/").pass(&engine, at(0.0)).finish(at(0.0), &sent(code));
    }
    let counted: Vec<_> = counters.requests().filter(|(_, count)| *count > 0).collect();
    let expect =
        [("101", 1), ("499", 1), ("1xx", 1), ("2xx", 1), ("3xx", 1), ("4xx", 1), ("5xx", 1), ("none", 4)];
    assert_eq!(counted, expect);
}

#[test]
fn durations_fall_into_buckets_by_upper_bound() {
    let engine = engine(declare([ingress("web")]));
    let counters = counters(&engine);
    for millis in [0_u64, 1, 2, 70_000] {
        let end = weir_limits::Instant::from_elapsed(Duration::from_millis(millis));
        let _ = get("/").pass(&engine, at(0.0)).finish(end, &sent(200));
    }
    let buckets = counters.duration().buckets();
    assert_eq!((buckets[0], buckets[1], buckets[buckets.len() - 1]), (2, 1, 1));
}

/// Time may stand still or step back; nothing panics and nothing is counted below zero.
#[test]
fn a_request_can_end_before_it_began() {
    let engine = engine(declare([ingress("web")]));
    let _ = get("/").pass(&engine, at(5.0)).finish(at(1.0), &sent(200));
    assert_eq!(counters(&engine).duration().sum(), Duration::ZERO);
}

#[test]
fn a_snapshot_describes_itself() {
    let mut web = with("web", |policy| {
        policy.limits.per_second = n64(5);
        policy.access.deny = vec!["192.0.2.0/24".parse().unwrap()];
    });
    web.default_backend = Some(backend());
    let engine = engine(declare([web]));
    let view = serde_json::to_value(engine.snapshot().describe()).unwrap();
    assert_eq!(view["profile"], "weir");
    let paths = &view["hosts"]["shop.example"]["paths"];
    assert_eq!((&paths[0]["kind"], &paths[0]["backend"]), (&"Prefix".into(), &"shop/web:80".into()));
    assert_eq!(paths[1]["kind"], "default");
    assert_eq!(view["objects"][0]["limits"]["numbers"]["limit-rps"], 5);
    assert_eq!(view["objects"][0]["deny"][0], "192.0.2.0/24");
    assert_eq!(view["backends"][0]["endpoints"][0]["address"], "127.0.0.1:1");
}
