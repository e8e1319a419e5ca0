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
use weir_core::policy::{Access, Policy};
use weir_core::verdict::Verdict;
use weir_limits::Instant;

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
    let facts = Facts {
        peer: [203, 0, 113, 9].into(),
        port: 80,
        scheme: Scheme::Http,
        tls: None,
        method: "GET",
        host,
        path: b"/",
        query: b"",
        content_length: None,
        head_bytes: 100,
        headers: &(),
    };
    let mut account = match state.engine.admit(Instant::START, &facts) {
        Verdict::Refuse(refusal) => refusal.account,
        Verdict::Forward(_) => panic!("refused by its list, or without an endpoint"),
    };
    account.close(Instant::START, &Outcome { status: 403, bytes_out: 10, ..Outcome::default() });
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
    for family in FAMILIES {
        let name = family.name;
        assert!(names.insert(name), "{name} is there twice");
        assert!(name.starts_with("weir_"), "{name}");
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
        let family = FAMILIES.iter().find(|family| family.name == name).unwrap();
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
