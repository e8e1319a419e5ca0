//! Which check speaks first, and that a refusal spends nothing.

use crate::support::*;
use weir_core::declaration::{BackendSpec, Declaration};
use weir_core::policy::{BodyLimit, Mode, Policy, Profile, Settings};
use weir_core::verdict::Reason;
use weir_limits::Instant;

/// Wrong in every way that a routed request can be wrong.
const WRONG: Request<'static> = Request {
    peer: "192.0.2.1",
    method: "DELETE",
    host: "shop.example",
    path: "/secret",
    length: Some(2_000),
    head: 5_000,
    headers: &[],
};

fn strict(policy: &mut Policy) {
    policy.refuse_all = Some("limit-rps: nonsense".to_owned());
    policy.access.deny = vec!["192.0.2.0/24".parse().unwrap()];
    policy.access.allow = Some(vec!["198.51.100.0/24".parse().unwrap()]);
    policy.access.paths = Some(vec!["/public".to_owned()]);
    policy.access.methods = Some(vec!["GET".to_owned(), "HEAD".to_owned()]);
    policy.max_header_bytes = n32(4_000);
    policy.body.max = BodyLimit::Bytes(1_000);
    policy.limits.per_second = n64(1);
    policy.limits.connections = n32(1);
}

/// A declaration in which the request is wrong in every way, and the ways to mend one after the other.
fn wrong(profile: Profile) -> Declaration {
    let block = vec!["192.0.2.1/32".parse().unwrap()];
    Declaration {
        settings: Settings { profile, block, ..Settings::default() },
        backends: [(backend(), BackendSpec::Addresses(Vec::new()))].into(),
        ..declare([with("web", strict)])
    }
}

/// Asks, mends what was wrong, and asks again, until the limits refuse. Returns what was said.
fn interview(profile: Profile) -> Vec<(Reason, &'static str)> {
    let mut declaration = wrong(profile);
    let engine = engine(declaration.clone());
    let mut said = Vec::new();
    loop {
        let verdict = WRONG.ask(&engine, Instant::START);
        let weir_core::Verdict::Refuse(refusal) = verdict else { return said };
        let rule = refusal.account.hit.map_or("", |hit| hit.rule);
        said.push((refusal.reason, rule));
        let Declaration { settings, ingresses, backends, .. } = &mut declaration;
        let policy = &mut ingresses[0].policy;
        match (refusal.reason, rule) {
            (Reason::BrokenPolicy, _) => policy.refuse_all = None,
            (Reason::Address, "block-cidrs") => settings.block.clear(),
            (Reason::Address, "denylist-source-range") => policy.access.deny.clear(),
            (Reason::Address, _) => policy.access.allow = None,
            (Reason::Path, _) => policy.access.paths = None,
            (Reason::Method, _) => policy.access.methods = None,
            (Reason::Head, _) => policy.max_header_bytes = None,
            (Reason::Body, _) => policy.body.max = BodyLimit::Unlimited,
            (Reason::NoEndpoint, _) => *backends = declare([]).backends,
            other => panic!("{other:?}"),
        }
        engine.replace(declaration.clone());
    }
}

#[test]
fn under_weirs_profile_limits_come_last() {
    let expect = [
        (Reason::BrokenPolicy, ""),
        (Reason::Address, "block-cidrs"),
        (Reason::Address, "denylist-source-range"),
        (Reason::Address, "allowlist-source-range"),
        (Reason::Path, "allow-paths"),
        (Reason::Method, "allow-methods"),
        (Reason::Head, "max-header-bytes"),
        (Reason::Body, "proxy-body-size"),
        (Reason::NoEndpoint, ""),
    ];
    assert_eq!(interview(Profile::Weir), expect);
}

#[test]
fn under_the_parity_profile_the_order_is_nginxs() {
    let expect = [
        (Reason::Body, "proxy-body-size"),
        (Reason::BrokenPolicy, ""),
        (Reason::NoEndpoint, ""),
        (Reason::Path, "allow-paths"),
        (Reason::Method, "allow-methods"),
        (Reason::Head, "max-header-bytes"),
        (Reason::Address, "block-cidrs"),
        (Reason::Address, "denylist-source-range"),
        (Reason::Address, "allowlist-source-range"),
    ];
    // Three of these come after the limits, which grant six requests at once.
    assert_eq!(interview(Profile::IngressNginx), expect);
}

#[test]
fn what_cannot_be_made_canonical_is_refused_before_it_is_routed() {
    let engine = engine(Declaration::default());
    assert_eq!(get("/a/%2e%2e/%2e%2e/x").reason(&engine), (400, Reason::BadRequest));
    assert_eq!(get("/a%00").reason(&engine), (400, Reason::BadRequest));
    assert_eq!(get("*").reason(&engine), (400, Reason::BadRequest));
    let bad_host = Request { host: "shop..example", ..Request::default() };
    assert_eq!(bad_host.reason(&engine), (400, Reason::BadRequest));
    assert_eq!(get("/").reason(&engine), (404, Reason::NoRoute));
}

#[test]
fn every_reason_has_its_status() {
    let engine_for = |change: fn(&mut Policy)| engine_with(change);
    let wrong = WRONG;
    let broken = engine_for(|policy| policy.refuse_all = Some(String::new()));
    assert_eq!(wrong.reason(&broken), (503, Reason::BrokenPolicy));
    let closed = engine_for(|policy| policy.access.allow = Some(Vec::new()));
    assert_eq!(wrong.reason(&closed), (403, Reason::Address));
    let paths = engine_for(|policy| policy.access.paths = Some(vec!["/public".to_owned()]));
    assert_eq!(wrong.reason(&paths), (404, Reason::Path));
    assert!(matches!(get("/public/x").ask(&paths, Instant::START), weir_core::Verdict::Forward(_)));
    assert_eq!(get("/public/../secret").reason(&paths), (404, Reason::Path));
    assert_eq!(get("/publicity").reason(&paths), (404, Reason::Path));
    let methods =
        engine_for(|policy| policy.access.methods = Some(vec!["GET".to_owned(), "HEAD".to_owned()]));
    let refusal = wrong.stop(&methods, Instant::START);
    assert_eq!((refusal.status, refusal.reason), (405, Reason::Method));
    assert_eq!(refusal.allow.as_deref(), Some("GET, HEAD"));
    let head = engine_for(|policy| policy.max_header_bytes = n32(4_999));
    assert_eq!(wrong.reason(&head), (431, Reason::Head));
    let fits = engine_for(|policy| policy.max_header_bytes = n32(5_000));
    drop(wrong.pass(&fits, Instant::START));
    let body = engine_for(|policy| policy.body.max = BodyLimit::Bytes(1_999));
    assert_eq!(wrong.reason(&body), (413, Reason::Body));
    let fits = engine_for(|policy| policy.body.max = BodyLimit::Bytes(2_000));
    drop(wrong.pass(&fits, Instant::START));
}

#[test]
fn deny_wins_over_allow() {
    let engine = engine_with(|policy| {
        policy.access.allow = Some(vec!["192.0.2.0/24".parse().unwrap()]);
        policy.access.deny = vec!["192.0.2.1/32".parse().unwrap()];
    });
    assert_eq!(from("192.0.2.1").reason(&engine), (403, Reason::Address));
    assert_eq!(from("::ffff:192.0.2.1").reason(&engine), (403, Reason::Address));
    drop(from("192.0.2.2").pass(&engine, Instant::START));
    assert_eq!(from("198.51.100.1").reason(&engine), (403, Reason::Address));
}

#[test]
fn a_backend_without_endpoints_is_503_and_one_that_cannot_be_served_404() {
    let mut ingress = ingress("web");
    let mut odd = path("/odd", weir_core::declaration::PathKind::Prefix);
    odd.backend = None;
    let mut gone = path("/gone", weir_core::declaration::PathKind::Prefix);
    gone.backend = Some(named_backend("gone"));
    let mut far = path("/far", weir_core::declaration::PathKind::Prefix);
    far.backend = Some(named_backend("far"));
    ingress.rules[0].paths = vec![odd, gone, far];
    let mut declaration = declare([ingress]);
    let external = BackendSpec::External { host: "far.example".to_owned(), port: 443 };
    declaration.backends.insert(named_backend("far"), external);
    let engine = engine(declaration);
    assert_eq!(get("/odd").reason(&engine), (404, Reason::NoBackend));
    assert_eq!(get("/gone").reason(&engine), (503, Reason::NoEndpoint));
    // A name that is not resolved yet is worth waiting for.
    drop(get("/far").pass(&engine, Instant::START));
}

/// Law 1: a refused request spends nothing anywhere, whoever refused it.
#[test]
fn a_refused_request_spends_nothing() {
    let limited = |policy: &mut Policy| {
        policy.limits.per_second = n64(1);
        policy.limits.connections = n32(4);
    };
    let changes: [fn(&mut Policy); 7] = [
        |policy| policy.refuse_all = Some(String::new()),
        |policy| policy.access.deny = vec!["192.0.2.1/32".parse().unwrap()],
        |policy| policy.access.allow = Some(Vec::new()),
        |policy| policy.access.paths = Some(vec!["/public".to_owned()]),
        |policy| policy.access.methods = Some(vec!["GET".to_owned()]),
        |policy| policy.max_header_bytes = n32(4_000),
        |policy| policy.body.max = BodyLimit::Bytes(1_000),
    ];
    for change in changes {
        let engine = engine_with(|policy| {
            limited(policy);
            change(policy);
        });
        for _ in 0..50 {
            drop(WRONG.stop(&engine, Instant::START));
        }
        let stats = engine.limiter_stats();
        assert_eq!((stats.held, stats.in_flight_held), (0, 0));
        engine.replace(declare([with("web", limited)]));
        assert_eq!(WRONG.burst(&engine, Instant::START), 6);
    }
}

#[test]
fn a_request_that_nobody_can_serve_spends_nothing() {
    let web = || {
        with("web", |policy| {
            policy.limits.per_second = n64(1);
            policy.limits.connections = n32(1);
        })
    };
    let none = [(backend(), BackendSpec::Addresses(Vec::new()))].into();
    let engine = engine(Declaration { backends: none, ..declare([web()]) });
    for _ in 0..50 {
        assert_eq!(get("/").reason(&engine), (503, Reason::NoEndpoint));
    }
    engine.replace(declare([web()]));
    assert_eq!(get("/").burst(&engine, Instant::START), 6);
}

#[test]
fn under_the_parity_profile_a_denied_address_spends() {
    let settings = Settings { profile: Profile::IngressNginx, ..Settings::default() };
    let web = |deny: &[&str]| {
        with("web", |policy| {
            policy.limits.per_second = n64(1);
            policy.limits.connections = n32(1);
            policy.access.deny = deny.iter().map(|net| net.parse().unwrap()).collect();
        })
    };
    let engine = engine(Declaration { settings: settings.clone(), ..declare([web(&["192.0.2.1/32"])]) });
    let reasons: Vec<u16> = (0..8).map(|_| get("/").stop(&engine, Instant::START).status).collect();
    assert_eq!(reasons, [403, 403, 403, 403, 403, 403, 429, 429]);
    assert_eq!(engine.limiter_stats().in_flight_held, 0);
}

/// Law 5, for the lists.
#[test]
fn lists_in_observe_mode_let_pass_and_are_counted() {
    let engine = engine_with(|policy| {
        strict(policy);
        policy.refuse_all = None;
        policy.max_header_bytes = None;
        let mode = &mut policy.limits.mode;
        (mode.addresses, mode.methods, mode.paths, mode.body) =
            (Mode::Observe, Mode::Observe, Mode::Observe, Mode::Observe);
    });
    let ticket = WRONG.pass(&engine, Instant::START);
    let hit = ticket.account().hit.unwrap();
    assert_eq!((hit.rule, hit.reason, hit.mode), ("denylist-source-range", Reason::Address, Mode::Observe));
    let snapshot = engine.snapshot();
    let owner = snapshot.objects().next().unwrap();
    let counted: Vec<_> = owner.counters().refusals().filter(|(.., count)| *count > 0).collect();
    assert_eq!(
        counted,
        [
            (Reason::Address, "denylist-source-range", Mode::Observe, 1),
            (Reason::Address, "allowlist-source-range", Mode::Observe, 1),
            (Reason::Method, "allow-methods", Mode::Observe, 1),
            (Reason::Path, "allow-paths", Mode::Observe, 1),
            (Reason::Body, "proxy-body-size", Mode::Observe, 1),
        ]
    );
    // A rule that does refuse is the one to report.
    let refusal = WRONG.stop(&engine, Instant::START);
    assert_eq!(
        refusal.account.hit.map(|hit| (hit.rule, hit.mode)),
        Some(("limit-connections", Mode::Enforce))
    );
}
