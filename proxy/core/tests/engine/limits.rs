//! Rates and concurrency: numbers, refusals, observation, overrides.

use crate::support::*;
use std::time::Duration;
use weir_core::declaration::{Declaration, PathKind};
use weir_core::policy::{BodyLimit, Burst, LimitHeaders, Mode, Override, Settings, Window};
use weir_core::verdict::{RateLimitFields, Reason};
use weir_core::{Engine, Verdict};
use weir_limits::Instant;

/// Law 2.
#[test]
fn burst_and_one_pass_at_once_and_then_exactly_the_rate() {
    let engine = engine_with(|policy| policy.limits.per_second = n64(5));
    assert_eq!(get("/").burst(&engine, at(0.0)), 26);
    for second in 1..10 {
        assert_eq!(get("/").burst(&engine, at(f64::from(second))), 5);
    }
    assert_eq!(get("/").burst(&engine, at(100.0)), 26);
}

#[test]
fn the_burst_is_a_multiple_of_the_limit_or_a_number() {
    let rps = |burst| {
        let engine = engine_with(|policy| {
            policy.limits.per_second = n64(10);
            policy.limits.burst = burst;
        });
        get("/").burst(&engine, at(0.0))
    };
    assert_eq!(rps(Burst::Multiplier(n32(1).unwrap())), 11);
    assert_eq!(rps(Burst::Multiplier(n32(3).unwrap())), 31);
    assert_eq!(rps(Burst::Absolute(0)), 1);
    assert_eq!(rps(Burst::Absolute(7)), 8);
    assert_eq!(rps(Burst::Multiplier(n32(u32::MAX).unwrap())), 1_000);
}

/// Law 1.
#[test]
fn one_window_does_not_eat_the_other() {
    let engine = engine_with(|policy| {
        policy.limits.per_second = n64(1);
        policy.limits.per_minute = n64(10);
        policy.limits.burst = Burst::Absolute(5);
    });
    // The windows begin with six each; a thousand refusals a second must not cost the minute anything.
    assert_eq!(get("/").burst(&engine, at(0.0)), 6);
    // One comes back every six seconds.
    assert_eq!(get("/").burst(&engine, at(5.9)), 0);
    assert_eq!(get("/").burst(&engine, at(6.1)), 1);
    let refusal = get("/").stop(&engine, at(6.1));
    assert_eq!(refusal.account.hit.unwrap().rule, "limit-rpm");
    assert_eq!(refusal.retry_after.unwrap().get(), 6);
}

#[test]
fn each_window_says_its_name() {
    type Set = fn(&mut weir_core::policy::Limits);
    let cases: [(Set, &str); 6] = [
        (|limits| limits.per_second = n64(1), "limit-rps"),
        (|limits| limits.per_minute = n64(1), "limit-rpm"),
        (|limits| limits.per_hour = n64(1), "limit-rph"),
        (|limits| limits.per_day = n64(1), "limit-rpd"),
        (|limits| limits.windows = vec![window(1, 600)], "limit-window"),
        (|limits| limits.connections = n32(1), "limit-connections"),
    ];
    for (set, name) in cases {
        let engine = engine_with(|policy| {
            policy.limits.burst = Burst::Absolute(0);
            set(&mut policy.limits);
        });
        let held = get("/").pass(&engine, at(0.0));
        let refusal = get("/").stop(&engine, at(0.0));
        assert_eq!((refusal.status, refusal.account.hit.unwrap().rule), (429, name));
        assert!(refusal.retry_after.is_some());
        drop(held);
    }
}

fn window(limit: u64, seconds: u64) -> Window {
    Window { limit: n64(limit).unwrap(), period: Duration::from_secs(seconds) }
}

/// Law 6.
#[test]
fn a_refusal_says_when_to_come_back_and_what_the_policy_is() {
    let engine = engine_with(|policy| {
        policy.limits.per_second = n64(5);
        policy.limits.per_day = n64(1_000);
        policy.limits.windows = vec![window(300, 600)];
    });
    assert_eq!(get("/").burst(&engine, at(0.0)), 26);
    let refusal = get("/").stop(&engine, at(0.0));
    assert_eq!((refusal.status, refusal.reason), (429, Reason::Rate));
    assert_eq!(refusal.retry_after.unwrap().get(), 1, "rounded up, never 0");
    let expect = RateLimitFields {
        policy: r#""second";q=5;w=1, "day";q=1000;w=86400, "600s";q=300;w=600"#.into(),
        state: r#""second";r=0;t=1, "day";r=4975, "600s";r=1475"#.to_owned(),
    };
    assert_eq!(refusal.rate_limit, Some(expect));
    let slow = engine_with(|policy| {
        policy.limits.per_hour = n64(2);
        policy.limits.burst = Burst::Absolute(0);
    });
    assert_eq!(get("/").burst(&slow, at(0.0)), 1);
    let refusal = get("/").stop(&slow, at(0.5));
    assert_eq!(refusal.retry_after.unwrap().get(), 1_800);
    assert_eq!(refusal.rate_limit.unwrap().state, r#""hour";r=0;t=1800"#);
}

#[test]
fn limits_are_told_on_refusals_always_or_never() {
    let told = |headers| {
        let engine = engine_with(|policy| {
            policy.limits.per_second = n64(1);
            policy.limits.headers = headers;
        });
        let ticket = get("/").pass(&engine, at(0.0));
        let granted = ticket.rate_limit().map(|fields| fields.state.clone());
        drop(ticket);
        get("/").burst(&engine, at(0.0));
        let refusal = get("/").stop(&engine, at(0.0));
        assert!(refusal.retry_after.is_some());
        (granted, refusal.rate_limit.map(|fields| fields.state))
    };
    let (granted, refused) = (r#""second";r=5"#.to_owned(), r#""second";r=0;t=1"#.to_owned());
    assert_eq!(told(LimitHeaders::Refused), (None, Some(refused.clone())));
    assert_eq!(told(LimitHeaders::Always), (Some(granted), Some(refused)));
    assert_eq!(told(LimitHeaders::Never), (None, None));
}

#[test]
fn a_refusal_by_concurrency_has_no_window_to_tell_of() {
    let engine = engine_with(|policy| policy.limits.connections = n32(1));
    let held = get("/").pass(&engine, at(0.0));
    let refusal = get("/").stop(&engine, at(0.0));
    assert_eq!((refusal.reason, refusal.rate_limit), (Reason::Connections, None));
    assert_eq!(refusal.retry_after.unwrap().get(), 1);
    drop(held);
}

#[test]
fn the_status_is_the_annotations_or_the_config_maps() {
    let settings = Settings { rate_status: 503, connections_status: 509, ..Settings::default() };
    let statuses = |status| {
        let web = with("web", |policy| {
            policy.limits.status = status;
            policy.limits.per_second = n64(1);
            policy.limits.connections = n32(1);
        });
        let engine = engine(Declaration { settings: settings.clone(), ..declare([web]) });
        let held = get("/").pass(&engine, at(0.0));
        let by_connections = get("/").stop(&engine, at(0.0)).status;
        drop(held);
        get("/").burst(&engine, at(0.0));
        (get("/").stop(&engine, at(0.0)).status, by_connections)
    };
    assert_eq!(statuses(None), (503, 509));
    assert_eq!(statuses(Some(420)), (420, 420));
}

#[test]
fn exactly_so_many_requests_are_in_flight() {
    let engine = engine_with(|policy| policy.limits.connections = n32(8));
    let ask = |_| match get("/").ask(&engine, at(0.0)) {
        Verdict::Forward(ticket) => Some(ticket),
        Verdict::Refuse(_) => None,
    };
    let mut held: Vec<_> = (0..20).filter_map(ask).collect();
    assert_eq!(held.len(), 8);
    drop(from("192.0.2.2").pass(&engine, at(0.0)));
    held.pop();
    let finished = held.pop().unwrap();
    let _ = finished.finish(at(1.0), &weir_core::account::Outcome::default());
    assert_eq!((0..20).filter_map(ask).count(), 20, "each ends at once");
    held.clear();
    assert_eq!(engine.limiter_stats().in_flight_held, 0);
}

/// One counter for all hosts and paths of an object, and none shared between objects.
#[test]
fn an_object_is_counted_as_a_whole_and_apart_from_others() {
    let limited = |name: &str, base: &str| {
        let mut ingress = with(name, |policy| policy.limits.per_second = n64(1));
        let paths = || {
            vec![path(&format!("{base}/a"), PathKind::Prefix), path(&format!("{base}/b"), PathKind::Exact)]
        };
        ingress.rules = vec![host("shop.example", paths()), host("*.example", paths())];
        ingress
    };
    let engine = engine(declare([limited("one", "/1"), limited("two", "/2")]));
    assert_eq!(get("/1/a").burst(&engine, at(0.0)), 6);
    assert_eq!(get("/1/b").burst(&engine, at(0.0)), 0);
    let elsewhere = Request { host: "other.example", ..get("/1/b") };
    assert_eq!(elsewhere.burst(&engine, at(0.0)), 0);
    assert_eq!(get("/2/a").burst(&engine, at(0.0)), 6);
}

#[test]
fn clients_are_addresses_and_prefixes() {
    let engine = engine_with(|policy| policy.limits.per_second = n64(1));
    assert_eq!(from("192.0.2.1").burst(&engine, at(0.0)), 6);
    assert_eq!(from("::ffff:192.0.2.1").burst(&engine, at(0.0)), 0);
    assert_eq!(from("192.0.2.2").burst(&engine, at(0.0)), 6);
    // Law 4: a /64 is one client.
    assert_eq!(from("2001:db8::1").burst(&engine, at(0.0)), 6);
    assert_eq!(from("2001:db8::ffff:1").burst(&engine, at(0.0)), 0);
    assert_eq!(from("2001:db8:0:1::1").burst(&engine, at(0.0)), 6);
    let other = engine_with(|policy| {
        policy.limits.per_second = n64(1);
        policy.limits.ipv4_prefix = Some(24);
        policy.limits.ipv6_prefix = Some(128);
    });
    assert_eq!(from("192.0.2.1").burst(&other, at(0.0)), 6);
    assert_eq!(from("192.0.2.255").burst(&other, at(0.0)), 0);
    assert_eq!(from("192.0.3.1").burst(&other, at(0.0)), 6);
    assert_eq!(from("2001:db8::1").burst(&other, at(0.0)), 6);
    assert_eq!(from("2001:db8::2").burst(&other, at(0.0)), 6);
}

#[test]
fn a_prefix_of_zero_makes_everybody_one_client() {
    let engine = engine_with(|policy| {
        policy.limits.per_second = n64(1);
        (policy.limits.ipv4_prefix, policy.limits.ipv6_prefix) = (Some(0), Some(0));
    });
    assert_eq!(from("192.0.2.1").burst(&engine, at(0.0)), 6);
    assert_eq!(from("8.8.8.8").burst(&engine, at(0.0)), 0);
    assert_eq!(from("2001:db8::1").burst(&engine, at(0.0)), 6);
    assert_eq!(from("fe80::1").burst(&engine, at(0.0)), 0);
}

#[test]
fn exempt_addresses_are_neither_limited_nor_recorded() {
    let engine = engine_with(|policy| {
        policy.limits.per_second = n64(1);
        policy.limits.connections = n32(1);
        policy.limits.exempt = vec!["192.0.2.0/24".parse().unwrap()];
        policy.limits.headers = LimitHeaders::Always;
    });
    let held = get("/").pass(&engine, at(0.0));
    assert_eq!((held.places(), held.rate_limit()), (0, None));
    assert_eq!(get("/").burst(&engine, at(0.0)), 1_000);
    assert_eq!((engine.limiter_stats().held, engine.limiter_stats().in_flight_held), (0, 0));
    assert_eq!(from("198.51.100.1").burst(&engine, at(0.0)), 6);
}

/// Law 5.
#[test]
fn under_observe_a_limit_is_counted_and_not_enforced() {
    let engine = engine_with(|policy| {
        policy.limits.per_second = n64(1);
        policy.limits.mode.rate = Mode::Observe;
    });
    assert_eq!(get("/").burst(&engine, at(0.0)), 1_000);
    let ticket = get("/").pass(&engine, at(0.0));
    let hit = ticket.account().hit.unwrap();
    assert_eq!((hit.rule, hit.reason, hit.mode), ("limit-rps", Reason::Rate, Mode::Observe));
    drop(ticket);
    assert_eq!(count(&engine, "limit-rps", Mode::Observe), 995);
    assert_eq!(count(&engine, "limit-rps", Mode::Enforce), 0);
}

#[test]
fn rates_can_be_observed_while_concurrency_is_enforced_and_the_counters_stay() {
    let modes = |rate, connections| {
        with("web", |policy| {
            policy.limits.per_second = n64(1);
            policy.limits.connections = n32(2);
            (policy.limits.mode.rate, policy.limits.mode.connections) = (rate, connections);
        })
    };
    let engine = engine(declare([modes(Mode::Enforce, Mode::Enforce)]));
    let first = get("/").pass(&engine, at(0.0));
    engine.replace(declare([modes(Mode::Observe, Mode::Enforce)]));
    let second = get("/").pass(&engine, at(0.0));
    assert_eq!(get("/").stop(&engine, at(0.0)).reason, Reason::Connections);
    engine.replace(declare([modes(Mode::Enforce, Mode::Observe)]));
    // Two of the six are spent, and the places in flight are known although they were taken under other modes.
    assert_eq!(get("/").burst(&engine, at(0.0)), 4);
    assert_eq!(count(&engine, "limit-connections", Mode::Observe), 4);
    drop((first, second));
    assert_eq!(engine.limiter_stats().in_flight_held, 0);
}

fn count(engine: &Engine, rule: &str, mode: Mode) -> u64 {
    let snapshot = engine.snapshot();
    let refusals = snapshot.objects().flat_map(|owner| owner.counters().refusals().collect::<Vec<_>>());
    refusals.filter(|(_, name, m, _)| *name == rule && *m == mode).map(|(.., count)| count).sum()
}

fn special(path: &str) -> Override {
    Override { path: path.to_owned(), ..Override::default() }
}

#[test]
fn an_override_counts_its_numbers_apart_and_the_rest_with_the_object() {
    let engine = engine_with(|policy| {
        policy.limits.per_second = n64(10);
        policy.limits.per_minute = n64(100);
        policy.limits.burst = Burst::Absolute(9);
        policy.limits.overrides = vec![Override { per_second: n64(1), ..special("/login") }];
    });
    // The minute's ten are shared; the second's are not.
    assert_eq!(get("/").burst(&engine, at(0.0)), 10);
    assert_eq!(get("/login").stop(&engine, at(0.0)).account.hit.unwrap().rule, "limit-rpm");
    // After six seconds the minute has ten again, and so has the object's second.
    assert_eq!(get("/login/x").burst(&engine, at(6.0)), 10);
    assert_eq!(get("/login").stop(&engine, at(6.6)).account.hit.unwrap().rule, "limit-overrides");
    assert_eq!(get("/other").burst(&engine, at(6.6)), 1, "only the minute stands in the way");
}

#[test]
fn an_override_replaces_the_number_and_the_longest_path_is_used() {
    let engine = engine_with(|policy| {
        policy.limits.per_second = n64(100);
        policy.limits.burst = Burst::Multiplier(n32(1).unwrap());
        policy.limits.overrides = vec![
            Override { per_second: n64(2), ..special("/api") },
            Override { per_second: n64(4), ..special("/api/bulk/") },
        ];
    });
    assert_eq!(get("/").burst(&engine, at(0.0)), 101);
    assert_eq!(get("/api").burst(&engine, at(0.0)), 3);
    assert_eq!(get("/api/x").burst(&engine, at(0.0)), 0);
    assert_eq!(get("/api/bulk").burst(&engine, at(0.0)), 5);
    assert_eq!(get("/apis").burst(&engine, at(0.0)), 0);
    assert_eq!(get("/x/../api/%62ulk/1").burst(&engine, at(0.0)), 0, "canonical");
    let refusal = get("/api").stop(&engine, at(0.0));
    assert_eq!(refusal.account.hit.unwrap().rule, "limit-overrides");
    assert_eq!(&*refusal.rate_limit.unwrap().policy, r#""second";q=2;w=1"#);
}

#[test]
fn an_override_has_places_in_flight_and_a_body_size_of_its_own() {
    let engine = engine_with(|policy| {
        policy.limits.connections = n32(2);
        policy.body.max = BodyLimit::Bytes(10);
        policy.limits.overrides = vec![
            Override { connections: n32(1), body: Some(BodyLimit::Bytes(1_000)), ..special("/upload") },
            Override { body: Some(BodyLimit::Unlimited), ..special("/any") },
        ];
    });
    let one = get("/upload").pass(&engine, at(0.0));
    assert_eq!(get("/upload").stop(&engine, at(0.0)).account.hit.unwrap().rule, "limit-overrides");
    let two = [get("/").pass(&engine, at(0.0)), get("/any").pass(&engine, at(0.0))];
    assert_eq!(get("/").stop(&engine, at(0.0)).account.hit.unwrap().rule, "limit-connections");
    drop(one);
    let sized = |path, length| Request { length: Some(length), ..get(path) };
    assert_eq!(sized("/", 11).stop(&engine, at(0.0)).account.hit.unwrap().rule, "proxy-body-size");
    drop(sized("/upload", 1_000).pass(&engine, at(0.0)));
    assert_eq!(sized("/upload", 1_001).stop(&engine, at(0.0)).account.hit.unwrap().rule, "limit-overrides");
    drop(two);
    let ticket = sized("/any", u64::MAX).pass(&engine, at(0.0));
    assert_eq!(ticket.body_limit(), (BodyLimit::Unlimited, Mode::Enforce));
}

#[test]
fn a_body_that_grows_too_large_is_refused_with_its_rule() {
    let engine = engine_with(|policy| {
        policy.limits.connections = n32(1);
        policy.body.max = BodyLimit::Bytes(10);
    });
    let ticket = get("/").pass(&engine, at(0.0));
    assert_eq!(ticket.body_limit(), (BodyLimit::Bytes(10), Mode::Enforce));
    let refusal = ticket.refuse_body();
    assert_eq!((refusal.status, refusal.reason), (413, Reason::Body));
    assert_eq!(refusal.account.hit.unwrap().rule, "proxy-body-size");
    assert_eq!(count(&engine, "proxy-body-size", Mode::Enforce), 1);
    assert_eq!(engine.limiter_stats().in_flight_held, 0);
}

/// Law 3: a full table limits, it does not forgive.
#[test]
fn a_spray_of_clients_frees_nobody() {
    let config = weir_core::engine::EngineConfig {
        clients: 100,
        in_flight: 100,
        seed: weir_limits::Seed::from_u128(1),
    };
    let engine = Engine::new(config);
    engine.replace(declare([with("web", |policy| policy.limits.per_hour = n64(1))]));
    assert_eq!(from("192.0.2.1").burst(&engine, at(0.0)), 6);
    for client in 0..10_000_u32 {
        let peer = std::net::Ipv4Addr::from_bits(0x0a00_0000 + client).to_string();
        let _ = from(&peer).ask(&engine, at(1.0));
    }
    let refusal = from("192.0.2.1").stop(&engine, at(2.0));
    assert_eq!(refusal.account.hit.unwrap().rule, "limit-rph");
    assert!(engine.limiter_stats().held <= engine.limiter_stats().capacity);
}

#[test]
fn a_full_table_of_requests_in_flight_refuses() {
    let config =
        weir_core::engine::EngineConfig { clients: 100, in_flight: 4, seed: weir_limits::Seed::from_u128(1) };
    let engine = Engine::new(config);
    engine.replace(declare([with("web", |policy| policy.limits.connections = n32(2))]));
    let peers: Vec<String> = (0..4).map(|peer| format!("192.0.2.{peer}")).collect();
    let held: Vec<_> = peers.iter().map(|peer| from(peer).pass(&engine, Instant::START)).collect();
    let refusal = from("198.51.100.1").stop(&engine, Instant::START);
    assert_eq!((refusal.status, refusal.reason), (429, Reason::TableFull));
    assert_eq!(refusal.retry_after.unwrap().get(), 1);
    drop(held);
    drop(from("198.51.100.1").pass(&engine, Instant::START));
}

#[test]
fn limits_that_are_too_large_become_the_largest_and_those_that_cannot_be_close_the_object() {
    let engine = engine_with(|policy| policy.limits.per_second = n64(u64::MAX));
    assert_eq!(get("/").burst(&engine, at(0.0)), 1_000);
    let engine = engine_with(|policy| policy.limits.windows = vec![window(1, 400 * 86_400)]);
    assert_eq!(get("/").reason(&engine), (503, Reason::BrokenPolicy));
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.findings.len(), 1);
    assert_eq!(snapshot.findings[0].code, "invalid-limit");
}
