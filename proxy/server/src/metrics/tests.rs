use super::*;
use crate::access_log::Lane;
use crate::clock::Clock;
use crate::respond::GatewayError;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use weir_core::account::Outcome;
use weir_core::declaration::{
    BackendName, BackendSpec, Declaration, HostRule, Ingress, PathKind, PathRule, PortName,
};
use weir_core::facts::{Facts, Scheme};
use weir_core::policy::{Access, Balance, Policy};
use weir_core::verdict::Verdict;

fn state() -> State {
    State::new(Arc::default(), Arc::default(), Clock::start())
}

/// An Ingress that denies everybody, so that a request to it is refused by a rule.
fn declaration() -> Declaration {
    let backend = BackendName::new("shop", "cart", PortName::Number(80));
    let access = Access { allow: Some(Vec::new()), ..Access::default() };
    let path = PathRule { path: "/".to_owned(), kind: PathKind::Prefix, backend: Some(backend.clone()) };
    Declaration {
        ingresses: vec![Ingress {
            object: ObjectRef::new("Ingress", "shop", "front"),
            uid: String::new(),
            created: None,
            policy: Policy { access, ..Policy::default() },
            rules: vec![HostRule { host: "shop.example".to_owned(), paths: vec![path] }],
            default_backend: None,
            tls: Vec::new(),
        }],
        // The default backend has the name of the Ingress, to see that their series do not meet.
        default_backend: Some(BackendName { service: "front".to_owned(), ..backend.clone() }),
        backends: BTreeMap::from([(backend, BackendSpec::Addresses(vec![([127, 0, 0, 1], 9).into()]))]),
        ..Declaration::default()
    }
}

fn ask(state: &State, host: &[u8]) {
    ask_for(state, host, b"/", 403);
}

fn ask_for(state: &State, host: &[u8], path: &[u8], status: u16) {
    let facts = Facts {
        peer: [203, 0, 113, 9].into(),
        port: 80,
        scheme: Scheme::Http,
        tls: None,
        method: "GET",
        host,
        path,
        query: b"",
        content_length: None,
        head_bytes: 100,
        headers: &(),
    };
    let mut account = match state.engine.admit(Instant::START, &facts) {
        Verdict::Refuse(refusal) => refusal.account,
        Verdict::Forward(_) => panic!("refused by its list, or without an endpoint"),
    };
    account.close(Instant::START, &Outcome { status, bytes_out: 10, ..Outcome::default() });
}

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
fn a_refusal_is_seen_under_its_object_rule_and_reason() {
    let state = state();
    state.apply(declaration(), Vec::new());
    ask(&state, b"shop.example");
    ask(&state, b"shop.example");
    ask(&state, b"other.example");
    state.counters.lane_request(Lane::Express);
    state.counters.gateway_error(GatewayError::Version);
    let text = render(&state).unwrap();
    let refusals = r#"weir_refusals_total{namespace="shop",ingress="front",rule="allowlist-source-range",reason="address",mode="enforce"}"#;
    assert_eq!(value(&text, refusals), Some(2.0), "{text}");
    assert_eq!(
        value(&text, r#"weir_requests_total{namespace="shop",ingress="front",code="403"}"#),
        Some(2.0),
        "{text}"
    );
    assert_eq!(
        value(&text, r#"weir_requests_total{namespace="shop",ingress="",code="403"}"#),
        Some(1.0),
        "{text}"
    );
    assert_eq!(value(&text, r#"weir_lane_requests_total{lane="express"}"#), Some(1.0));
    assert_eq!(value(&text, r#"weir_gateway_errors_total{reason="version"}"#), Some(1.0));
    assert_eq!(value(&text, "weir_snapshot_generation"), Some(1.0));
}

#[test]
fn every_line_is_of_the_format_and_no_series_is_there_twice() {
    let state = state();
    state.apply(declaration(), Vec::new());
    ask(&state, b"shop.example");
    ask(&state, b"other.example");
    let text = render(&state).unwrap();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series), "{series} is there twice");
    }
    assert!(seen.len() > 50);
}

#[test]
fn an_object_that_is_gone_has_no_series() {
    let state = state();
    state.apply(declaration(), Vec::new());
    ask(&state, b"shop.example");
    state.apply(Declaration::default(), Vec::new());
    let text = render(&state).unwrap();
    assert!(!text.contains("front"), "{text}");
}

#[test]
fn what_a_client_sends_makes_no_series() {
    let state = state();
    state.apply(declaration(), Vec::new());
    ask(&state, b"shop.example");
    ask(&state, b"other.example");
    let before = render(&state).unwrap().lines().count();
    for i in 0..100 {
        ask(&state, format!("host-{i}.example").as_bytes());
    }
    let after = render(&state).unwrap();
    assert_eq!(after.lines().count(), before);
    assert!(!after.contains("host-"));
}

/// Laws of the list.
#[test]
fn names_are_those_of_the_field() {
    let mut names = BTreeSet::new();
    for family in families() {
        let name = family.name;
        assert!(names.insert(name), "{name} is there twice");
        // What the system says has the names that all programs use.
        assert!(name.starts_with("weir_") || name.starts_with("process_"), "{name}");
        assert_eq!(family.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert!(family.help.ends_with('.'), "{name}");
        let plain = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        assert!(plain(name) && family.labels.iter().all(|label| plain(label)), "{name}");
    }
}

#[test]
fn the_page_is_up_to_date() -> io::Result<()> {
    crate::pages::up_to_date("metrics.md", &page())
}

/// The table of ends names families, labels and values that are there.
#[test]
fn every_end_of_the_table_has_its_series() {
    let text = render(&state()).unwrap();
    for ending in endings::ENDINGS {
        let (name, label) = ending.family;
        let family = families().find(|family| family.name == name).unwrap();
        assert!(family.labels.contains(&label), "{name}");
        // Those of objects begin with their first request.
        if family.labels.contains(&"namespace") {
            continue;
        }
        for reason in (ending.reasons)() {
            let within = ending.within.map_or(String::new(), |(other, word)| format!("{other}=\"{word}\","));
            let series = format!("{name}{{{within}{label}=\"{reason}\"}}");
            assert_eq!(value(&text, &series), Some(0.0), "{series}");
        }
    }
}

#[test]
fn no_two_ends_of_the_table_are_one() {
    let mut seen = BTreeSet::new();
    for ending in endings::ENDINGS {
        for reason in (ending.reasons)() {
            assert!(seen.insert((ending.family, ending.within, reason)), "{reason} of {}", ending.stage);
        }
    }
}

/// A second path of the same Ingress, with another Service.
fn two_routes() -> Declaration {
    let mut declaration = declaration();
    let backend = BackendName::new("shop", "items", PortName::Number(80));
    let items = PathRule { path: "/items".to_owned(), kind: PathKind::Exact, backend: Some(backend) };
    declaration.ingresses[0].rules[0].paths.push(items);
    declaration
}

fn route(path: &str, kind: &str, service: &str, code: &str) -> String {
    format!(
        r#"weir_route_requests_total{{namespace="shop",ingress="front",host="shop.example",path="{path}",path_type="{kind}",service="{service}",code="{code}"}}"#
    )
}

#[test]
fn each_route_has_its_requests_errors_and_durations() {
    let state = state();
    state.apply(two_routes(), Vec::new());
    ask_for(&state, b"shop.example", b"/items", 403);
    ask_for(&state, b"shop.example", b"/items", 502);
    let text = render(&state).unwrap();
    assert_eq!(value(&text, &route("/items", "Exact", "items", "4xx")), Some(1.0), "{text}");
    assert_eq!(value(&text, &route("/items", "Exact", "items", "5xx")), Some(1.0));
    // All classes are there, so that the first error is a rise and not a series that begins with one.
    assert_eq!(value(&text, &route("/items", "Exact", "items", "2xx")), Some(0.0));
    assert_eq!(value(&text, &route("/", "Prefix", "cart", "4xx")), None, "it had no request");
    let count = r#"weir_route_request_duration_seconds_count{namespace="shop",ingress="front",host="shop.example",path="/items",path_type="Exact",service="items"}"#;
    assert_eq!(value(&text, count), Some(2.0), "{text}");
    // What no host takes goes to the default backend, a route without host, path and Ingress.
    ask(&state, b"other.example");
    let default = r#"weir_route_requests_total{namespace="shop",ingress="",host="",path="",path_type="Default",service="front",code="4xx"}"#;
    assert_eq!(value(&render(&state).unwrap(), default), Some(1.0));
}

#[test]
fn a_route_keeps_its_numbers_over_configurations_and_goes_with_its_path() {
    let state = state();
    state.apply(two_routes(), Vec::new());
    ask_for(&state, b"shop.example", b"/items", 403);
    state.apply(two_routes(), Vec::new());
    ask_for(&state, b"shop.example", b"/items", 403);
    let items = route("/items", "Exact", "items", "4xx");
    assert_eq!(value(&render(&state).unwrap(), &items), Some(2.0));
    state.apply(declaration(), Vec::new());
    assert!(!render(&state).unwrap().contains("/items"));
}

#[test]
fn no_more_routes_than_allowed_have_series_of_their_own() {
    let state = state().with_metrics_routes(2);
    state.apply(two_routes(), Vec::new());
    for (host, path) in [("other.example", "/"), ("shop.example", "/"), ("shop.example", "/items")] {
        ask_for(&state, host.as_bytes(), path.as_bytes(), 403);
    }
    let text = render(&state).unwrap();
    let routes: BTreeSet<_> =
        text.lines().filter(|line| line.starts_with("weir_route_requests_total{")).collect();
    assert_eq!(routes.len(), 2 * 6, "{text}");
    assert_eq!(value(&text, &route("/items", "Exact", "items", "4xx")), None, "the last by name");
    assert_eq!(value(&text, "weir_config_routes"), Some(3.0));
    let all = r#"weir_requests_total{namespace="shop",ingress="front",code="403"}"#;
    assert_eq!(value(&text, all), Some(2.0), "its Ingress has it all the same");
}

#[test]
fn endpoints_of_each_service_are_counted_by_state() {
    let state = state();
    state.apply(two_routes(), Vec::new());
    let endpoints = |service: &str, of: &str| {
        let series = format!(
            r#"weir_upstream_endpoints{{namespace="shop",service="{service}",port="80",state="{of}"}}"#
        );
        value(&render(&state).unwrap(), &series)
    };
    assert_eq!((endpoints("cart", "ready"), endpoints("cart", "ejected")), (Some(1.0), Some(0.0)));
    assert_eq!(endpoints("items", "ready"), Some(0.0), "a Service without endpoints is seen");
    let snapshot = state.engine.snapshot();
    let cart = snapshot.backend(&BackendName::new("shop", "cart", PortName::Number(80))).unwrap();
    let now = state.clock.now();
    cart.pick(now, Balance::RoundRobin, 0, &[]).unwrap().failed(now);
    assert_eq!((endpoints("cart", "ready"), endpoints("cart", "ejected")), (Some(0.0), Some(1.0)));
}

#[test]
fn decisions_and_connections_to_origins_are_counted() {
    let state = state();
    state.apply(declaration(), Vec::new());
    let text = render(&state).unwrap();
    assert_eq!(value(&text, "weir_decision_duration_seconds_count"), Some(0.0), "there from the start");
    state.counters.decisions().record(Duration::from_nanos(700));
    state.counters.origin_connections(3, 5, (0, 2));
    state.counters.origin_connections(0, 1, (2, 1));
    let text = render(&state).unwrap();
    assert_eq!(value(&text, r#"weir_decision_duration_seconds_bucket{le="0.0000005"}"#), Some(0.0), "{text}");
    assert_eq!(value(&text, r#"weir_decision_duration_seconds_bucket{le="0.000001"}"#), Some(1.0));
    assert_eq!(value(&text, r#"weir_upstream_connections_total{result="opened"}"#), Some(3.0));
    assert_eq!(value(&text, r#"weir_upstream_connections_total{result="reused"}"#), Some(6.0));
    assert_eq!(value(&text, "weir_upstream_idle_connections"), Some(1.0));
    let success = value(&text, "weir_config_last_success_timestamp_seconds").unwrap();
    assert_eq!(success, state.loaded().at.as_seconds() as f64);
    assert!(value(&text, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 0.0));
}
