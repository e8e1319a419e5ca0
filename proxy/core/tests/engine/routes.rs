//! From Ingresses to locations: precedence, conflicts, regex mode, defaults, findings.

use crate::support::*;
use weir_core::declaration::{Declaration, Ingress, PathKind};
use weir_core::finding::{ObjectRef, Severity};
use weir_core::verdict::Reason;
use weir_core::{Engine, Snapshot, Verdict};
use weir_limits::Instant;

/// Name of the object that takes a request, with its path as configured.
fn taker(engine: &Engine, host: &str, path: &str) -> String {
    match (Request { host, ..get(path) }).ask(engine, Instant::START) {
        Verdict::Forward(ticket) => {
            let location = ticket.location().unwrap();
            format!("{} {}", location.object.name, location.path)
        }
        Verdict::Refuse(refusal) => format!("{:?}", refusal.reason),
    }
}

fn paths(name: &str, created: i64, list: &[(&str, PathKind)]) -> Ingress {
    let rules = list.iter().map(|(text, kind)| path(text, *kind)).collect();
    Ingress { created: Some(created), rules: vec![host("shop.example", rules)], ..ingress(name) }
}

fn codes(snapshot: &Snapshot) -> Vec<(String, &'static str, Severity)> {
    let line = |finding: &weir_core::Finding| (finding.object.name.clone(), finding.code, finding.severity);
    snapshot.findings.iter().map(line).collect()
}

#[test]
fn the_oldest_object_keeps_a_path_and_the_loser_is_told() {
    use PathKind::{Exact, ImplementationSpecific, Prefix};
    let young = paths("young", 2, &[("/a", Prefix), ("/b", Prefix), ("/a", Exact)]);
    let old = paths("old", 1, &[("/a/", ImplementationSpecific)]);
    let ageless = Ingress { created: None, ..paths("aaa", 0, &[("/a", Exact), ("/c", Exact)]) };
    let engine = engine(declare([ageless, young, old]));
    assert_eq!(taker(&engine, "shop.example", "/a/x"), "old /a/");
    assert_eq!(taker(&engine, "shop.example", "/a"), "young /a");
    assert_eq!(taker(&engine, "shop.example", "/b"), "young /b");
    assert_eq!(taker(&engine, "shop.example", "/c"), "aaa /c");
    let snapshot = engine.snapshot();
    assert_eq!(
        codes(&snapshot),
        [
            ("young".to_owned(), "path-taken", Severity::Fail),
            ("aaa".to_owned(), "path-taken", Severity::Fail),
        ]
    );
    assert_eq!(
        snapshot.findings[0].to_string(),
        "error: Ingress shop/young: spec.rules[0].http.paths[0] = \"/a\": Ingress shop/old has this host and path \
         already and keeps it; this one is not in force."
    );
}

#[test]
fn equal_ages_go_by_name() {
    let list = [("/a", PathKind::Prefix)];
    let engine = engine(declare([paths("b", 1, &list), paths("a", 1, &list)]));
    assert_eq!(taker(&engine, "shop.example", "/a"), "a /a");
}

#[test]
fn namespaces_share_a_host() {
    let mut other = paths("other", 2, &[("/other", PathKind::Prefix)]);
    other.object = ObjectRef::new("Ingress", "elsewhere", "other");
    let engine = engine(declare([paths("web", 1, &[("/", PathKind::Prefix)]), other]));
    assert_eq!(taker(&engine, "shop.example", "/other"), "other /other");
    assert_eq!(taker(&engine, "shop.example", "/x"), "web /");
    assert!(engine.snapshot().findings.is_empty());
}

#[test]
fn one_ingress_puts_all_paths_of_its_host_in_regex_mode() {
    let mut regex = paths("regex", 2, &[("/shop/[0-9]+$", PathKind::ImplementationSpecific)]);
    regex.policy.regex = true;
    let mut plain = paths("plain", 1, &[("/Api", PathKind::Prefix), ("/exact", PathKind::Exact)]);
    plain.rules.push(host("other.example", vec![path("/Api", PathKind::Prefix)]));
    let engine = engine(declare([regex, plain]));
    assert_eq!(taker(&engine, "shop.example", "/shop/12"), "regex /shop/[0-9]+$");
    assert_eq!(taker(&engine, "shop.example", "/shop/12/x"), "NoRoute");
    assert_eq!(taker(&engine, "shop.example", "/apis"), "plain /Api", "no segments and no case");
    assert_eq!(taker(&engine, "shop.example", "/EXACTLY"), "plain /exact", "not even exact");
    assert_eq!(taker(&engine, "other.example", "/apis"), "NoRoute", "another host is as it was");
    assert_eq!(taker(&engine, "other.example", "/Api/x"), "plain /Api");
}

#[test]
fn a_pattern_that_is_none_closes_its_path_and_no_other() {
    let list = [("/a/(?!b)", PathKind::ImplementationSpecific), ("/", PathKind::ImplementationSpecific)];
    let mut regex = paths("regex", 1, &list);
    regex.policy.regex = true;
    let engine = engine(declare([regex]));
    assert_eq!(get("/a/x").reason(&engine), (503, Reason::BrokenPolicy));
    assert_eq!(taker(&engine, "shop.example", "/b"), "regex /");
    assert_eq!(codes(&engine.snapshot()), [("regex".to_owned(), "invalid-regex", Severity::Fail)]);
}

#[test]
fn a_default_backend_takes_what_its_hosts_do_not() {
    let mut web = paths("web", 1, &[("/a", PathKind::Prefix)]);
    web.default_backend = Some(backend());
    web.rules.push(host("*.example", Vec::new()));
    let mut late = paths("late", 2, &[("/", PathKind::Prefix)]);
    late.rules[0].host = "x.example".to_owned();
    let catch_all = Ingress { rules: Vec::new(), default_backend: Some(backend()), ..ingress("all") };
    let engine = engine(declare([web, late, catch_all]));
    assert_eq!(taker(&engine, "shop.example", "/zzz"), "web /");
    assert_eq!(taker(&engine, "y.example", "/zzz"), "web /");
    assert_eq!(taker(&engine, "x.example", "/zzz"), "late /");
    assert_eq!(taker(&engine, "unheard.of", "/zzz"), "all /");
}

#[test]
fn a_default_of_a_host_never_takes_a_path_that_another_object_has() {
    let mut old = paths("old", 1, &[("/a", PathKind::Prefix)]);
    old.default_backend = Some(backend());
    let mut young = paths("young", 2, &[("/", PathKind::Prefix)]);
    young.default_backend = Some(backend());
    let engine = engine(declare([old, young]));
    assert_eq!(taker(&engine, "shop.example", "/x"), "young /");
    assert_eq!(codes(&engine.snapshot()), [("young".to_owned(), "default-taken", Severity::Warn)]);
}

#[test]
fn the_proxys_default_backend_comes_last_and_is_not_limited() {
    let engine = engine(Declaration { default_backend: Some(backend()), ..declare([ingress("web")]) });
    assert_eq!(taker(&engine, "shop.example", "/"), "web /");
    let other = Request { host: "unheard.of", ..Request::default() };
    assert_eq!(other.burst(&engine, at(0.0)), 1_000);
    let ticket = other.pass(&engine, at(0.0));
    assert_eq!(ticket.location().unwrap().object.kind, "DefaultBackend");
    assert_eq!(ticket.backend().name, backend());
}

#[test]
fn hosts_and_paths_that_cannot_be_are_reported_and_hurt_nothing_else() {
    let mut bad =
        paths("bad", 1, &[("/ok", PathKind::Exact), ("nope", PathKind::Prefix), ("/a\\b", PathKind::Exact)]);
    bad.rules.push(host("no/host", vec![path("/", PathKind::Prefix)]));
    bad.rules.push(host("a.*.example", vec![path("/", PathKind::Prefix)]));
    bad.rules.push(host("*.", vec![path("/", PathKind::Prefix)]));
    bad.rules.push(host("b.example:80", vec![path("/", PathKind::Prefix)]));
    bad.rules
        .push(host("SHOP2.example", vec![path("/x//y", PathKind::Prefix), path("/(a|b)", PathKind::Prefix)]));
    let good = paths("good", 2, &[("/good", PathKind::Prefix)]);
    let engine = engine(declare([bad, good]));
    assert_eq!(taker(&engine, "shop.example", "/ok"), "bad /ok");
    assert_eq!(taker(&engine, "shop.example", "/good"), "good /good");
    assert_eq!(taker(&engine, "shop2.example", "/x/y"), "bad /x//y");
    let snapshot = engine.snapshot();
    let found: Vec<_> =
        snapshot.findings.iter().map(|f| (f.field.as_str(), f.value.as_str(), f.code)).collect();
    assert_eq!(
        found,
        [
            ("spec.rules[0].http.paths[1]", "nope", "invalid-path"),
            ("spec.rules[0].http.paths[2]", "/a\\b", "invalid-path"),
            ("spec.rules[1].host", "no/host", "invalid-host"),
            ("spec.rules[2].host", "a.*.example", "invalid-host"),
            ("spec.rules[3].host", "*.", "invalid-host"),
            ("spec.rules[4].host", "b.example:80", "invalid-host"),
            ("spec.rules[5].host", "SHOP2.example", "host-form"),
            ("spec.rules[5].http.paths[0]", "/x//y", "path-form"),
            ("spec.rules[5].http.paths[1]", "/(a|b)", "path-form"),
        ]
    );
}

#[test]
fn the_empty_path_is_the_root() {
    let engine = engine(declare([paths("web", 1, &[("", PathKind::Exact)])]));
    assert_eq!(taker(&engine, "shop.example", "/"), "web /");
    assert_eq!(taker(&engine, "shop.example", "/x"), "NoRoute");
}

/// Requests are routed by what they mean, not by how it is written.
#[test]
fn paths_are_canonical_before_they_are_routed() {
    let list = [("/public", PathKind::Prefix), ("/admin", PathKind::Prefix)];
    let engine = engine(declare([paths("web", 1, &list)]));
    assert_eq!(taker(&engine, "shop.example", "/public/%2e%2e/admin"), "web /admin");
    assert_eq!(taker(&engine, "SHOP.example.:80", "//public//x"), "web /public");
    assert_eq!(taker(&engine, "shop.example", "/public/..%2fadmin"), "BadRequest");
}

/// An origin that takes an encoded slash for a slash must not find itself behind another rule than the one that held.
#[test]
fn an_encoded_slash_that_leads_elsewhere_is_refused() {
    let list = [("/", PathKind::Prefix), ("/admin", PathKind::Prefix), ("/exact/x", PathKind::Exact)];
    let engine = engine(declare([paths("web", 1, &list)]));
    for path in [
        "/admin%2fx",
        "/admin%2F",
        "/%2fadmin",
        "/exact%2fx",
        "/x/%2f/../admin",
        "/x/y%2fz/../../admin",
        "/%61dmin%2Fx",
        "/x%2fy/../../admin",
    ] {
        assert_eq!(taker(&engine, "shop.example", path), "BadRequest", "{path}");
    }
    for (path, location) in
        [("/projects/a%2fb", "web /"), ("/admin/a%2Fb", "web /admin"), ("/admin/%2f%2F", "web /admin")]
    {
        assert_eq!(taker(&engine, "shop.example", path), location, "{path}");
    }
}
