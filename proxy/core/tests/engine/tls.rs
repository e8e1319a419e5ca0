//! Certificates, redirects, and what clients and origins have to show.

use crate::support::{Request, declare, engine, get, host, ingress, path, with};
use std::sync::Arc;
use weir_core::declaration::{Declaration, Ingress, PathKind, TlsSection};
use weir_core::facts::Scheme;
use weir_core::finding::ObjectRef;
use weir_core::policy::{Policy, Profile, Settings, SubjectPattern, TrustMode};
use weir_core::tls::{
    Alpn, ClientTls, Content, Fingerprint, KeyKind, KeyPair, Known, PeerCertificate, SecretContent,
    SecretKey, SecretName, TlsVersion, TlsVersions, TrustAnchors, Verified, VerifyClient, VerifyFailure,
};
use weir_core::verdict::Reason;
use weir_core::{Engine, Facts, Verdict};
use weir_limits::Instant;

pub(crate) fn name(name: &str) -> SecretName {
    SecretName::new("shop", name)
}

pub(crate) fn pair(mark: u8, names: &[&str]) -> Content<KeyPair> {
    Content::Good(Arc::new(KeyPair {
        source: ObjectRef::new("Secret", "shop", "tls"),
        chain: vec![vec![mark]],
        key: SecretKey::new(KeyKind::Pkcs8, vec![mark]),
        fingerprint: Fingerprint::new([mark; 32]),
        not_after: 0,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }))
}

pub(crate) fn anchors(mark: u8) -> Content<TrustAnchors> {
    Content::Good(Arc::new(TrustAnchors {
        source: ObjectRef::new("Secret", "shop", "ca"),
        roots: vec![vec![mark]],
        crls: Vec::new(),
        fingerprint: Fingerprint::new([mark; 32]),
    }))
}

fn section(hosts: &[&str], secret: Option<&str>) -> TlsSection {
    TlsSection { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), secret: secret.map(name) }
}

pub(crate) fn with_secrets<const N: usize>(
    mut declaration: Declaration,
    secrets: [(&str, SecretContent); N],
) -> Declaration {
    declaration.secrets = secrets.into_iter().map(|(at, content)| (name(at), content)).collect();
    declaration
}

pub(crate) fn certificate(pair: Content<KeyPair>) -> SecretContent {
    SecretContent { pair, ..SecretContent::default() }
}

pub(crate) fn authorities(anchors: Content<TrustAnchors>) -> SecretContent {
    SecretContent { anchors, ..SecretContent::default() }
}

fn tls_ingress(hosts: &[&str], secret: Option<&str>) -> Ingress {
    Ingress { tls: vec![section(hosts, secret)], ..ingress("web") }
}

/// First byte of the certificate that is shown for a name; `None` is the self-signed one.
fn shown(engine: &Engine, sni: &str) -> Option<u8> {
    engine.snapshot().tls().lookup(Some(sni)).tls.pair.as_ref().map(|pair| pair.chain[0][0])
}

pub(crate) fn codes(engine: &Engine) -> Vec<(String, &'static str)> {
    engine.snapshot().findings.iter().map(|finding| (finding.field.clone(), finding.code)).collect()
}

/// Status, reason and location of a request; `None` if it passes.
pub(crate) fn answer(engine: &Engine, facts: &Facts<'_>) -> Option<(u16, Reason, Option<String>)> {
    match engine.admit(Instant::START, facts) {
        Verdict::Forward(_) => None,
        Verdict::Refuse(refusal) => Some((refusal.status, refusal.reason, refusal.location)),
    }
}

fn https<'a>(request: &'a Request<'a>, tls: Option<&'a ClientTls>) -> Facts<'a> {
    Facts { scheme: Scheme::Https, tls, ..request.facts() }
}

// Certificates.

#[test]
fn a_host_shows_its_own_certificate_or_the_default() {
    let mut declaration = declare([Ingress {
        rules: vec![
            host("shop.example", vec![]),
            host("api.shop.example", vec![]),
            host("other.example", vec![]),
        ],
        ..tls_ingress(&["shop.example"], Some("own"))
    }]);
    declaration.default_certificate = Some(name("default"));
    let engine = engine(with_secrets(
        declaration,
        [
            ("own", certificate(pair(1, &["shop.example", "*.shop.example"]))),
            ("default", certificate(pair(9, &["default.example"]))),
        ],
    ));
    assert_eq!(shown(&engine, "shop.example"), Some(1));
    assert_eq!(shown(&engine, "api.shop.example"), Some(1), "not listed, but covered by the certificate");
    assert_eq!(shown(&engine, "other.example"), Some(9), "neither listed nor covered");
    assert_eq!(shown(&engine, "unknown.example"), Some(9));
    assert_eq!(engine.snapshot().tls().lookup(Some("unknown.example")).known, Known::Not);
    assert_eq!(codes(&engine), []);
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_and_the_default_is_shown() {
    let cases = [
        (None, "no-certificate"),
        (Some(SecretContent::default()), "no-certificate"),
        (Some(certificate(Content::Broken)), "no-certificate"),
        (Some(certificate(pair(1, &["other.example"]))), "certificate-for-others"),
        (Some(certificate(pair(1, &[]))), "certificate-for-others"),
    ];
    for (secret, code) in cases {
        let mut declaration = declare([tls_ingress(&["shop.example"], Some("own"))]);
        declaration.secrets.extend(secret.map(|secret| (name("own"), secret)));
        let engine = engine(declaration);
        assert_eq!(shown(&engine, "shop.example"), None);
        assert_eq!(codes(&engine), [("spec.tls[0].secretName".to_owned(), code)]);
        let redirect = answer(&engine, &get("/").facts()).map(|(status, ..)| status);
        assert_eq!(redirect, Some(308), "its clients are sent to https all the same");
    }
}

#[test]
fn a_broken_secret_keeps_its_last_good_certificate_and_a_deleted_one_does_not() {
    let declared = |content| {
        let declaration = declare([tls_ingress(&["shop.example"], Some("own"))]);
        with_secrets(declaration, [("own", certificate(content))])
    };
    let engine = engine(declared(pair(1, &["shop.example"])));
    for _ in 0..2 {
        engine.replace(declared(Content::Broken));
        assert_eq!(shown(&engine, "shop.example"), Some(1));
        assert_eq!(codes(&engine), [("data[tls.crt]".to_owned(), "last-good-secret")]);
    }
    engine.replace(declared(pair(2, &["shop.example"])));
    assert_eq!(shown(&engine, "shop.example"), Some(2));
    engine.replace(declare([tls_ingress(&["shop.example"], Some("own"))]));
    assert_eq!(shown(&engine, "shop.example"), None);
    engine.replace(declared(Content::Broken));
    assert_eq!(shown(&engine, "shop.example"), None, "what was deleted is not kept");
}

#[test]
fn the_oldest_object_chooses_the_certificate_and_the_handshake() {
    let old = Ingress { created: Some(1), ..tls_ingress(&["SHOP.example"], Some("old")) };
    let mut new = Ingress {
        object: ObjectRef::new("Ingress", "shop", "new"),
        created: Some(2),
        ..tls_ingress(&["shop.example"], Some("new"))
    };
    new.rules = vec![host("shop.example", vec![path("/new", PathKind::Prefix)])];
    let (mut old, mut new) = (old, new);
    old.policy.tls.alpn = Some(Alpn::Http1);
    new.policy.tls.alpn = Some(Alpn::H2AndHttp1);
    new.policy.tls.min_version = Some(TlsVersion::V13);
    let engine = engine(with_secrets(
        declare([new, old]),
        [("old", certificate(pair(1, &["shop.example"]))), ("new", certificate(pair(2, &["shop.example"])))],
    ));
    assert_eq!(shown(&engine, "shop.example"), Some(1));
    let snapshot = engine.snapshot();
    let tls = snapshot.tls().lookup(Some("shop.example")).tls;
    assert_eq!((tls.alpn, tls.versions), (Alpn::Http1, TlsVersions::V13));
    assert_eq!(codes(&engine), [("metadata.annotations[tls-alpn]".to_owned(), "host-taken")]);
}

#[test]
fn hosts_of_spec_tls_that_no_rule_has_are_ignored() {
    let engine = engine(with_secrets(
        declare([tls_ingress(&["shop.example", "www.shop.example"], Some("own"))]),
        [("own", certificate(pair(1, &["shop.example", "www.shop.example"])))],
    ));
    assert_eq!(shown(&engine, "shop.example"), Some(1));
    assert_eq!(engine.snapshot().tls().lookup(Some("www.shop.example")).known, Known::Not);
    assert_eq!(codes(&engine), [("spec.tls[0].hosts[1]".to_owned(), "tls-host-without-rule")]);
}

#[test]
fn no_key_is_ever_shown() {
    let content = certificate(pair(77, &["shop.example"]));
    let text = format!("{content:?}");
    assert!(text.contains("SecretKey(Pkcs8)"), "{text}");
    let engine =
        engine(with_secrets(declare([tls_ingress(&["shop.example"], Some("own"))]), [("own", content)]));
    let described = format!("{:?}", engine.snapshot().describe());
    assert!(!described.contains("77"), "{described}");
}

// Redirects.

#[test]
fn http_is_sent_to_https_where_the_host_has_asked_for_tls() {
    let plain = Ingress {
        object: ObjectRef::new("Ingress", "shop", "plain"),
        rules: vec![host("plain.example", vec![path("/", PathKind::Prefix)])],
        ..ingress("plain")
    };
    let engine = engine(declare([tls_ingress(&["shop.example"], None), plain]));
    let redirect = |request: Request<'_>| answer(&engine, &request.facts()).and_then(|(_, _, to)| to);
    let cases = [
        ("/", "https://shop.example"),
        ("/a", "https://shop.example/a"),
        ("/a/", "https://shop.example/a"),
        ("/a//", "https://shop.example/a/"),
        ("/%7ea/./b", "https://shop.example/%7ea/./b"),
        ("/é", "https://shop.example/%C3%A9"),
    ];
    for (path, expected) in cases {
        assert_eq!(redirect(get(path)).as_deref(), Some(expected), "{path}");
    }
    let ported = Request { host: "Shop.Example:8080", ..get("/a") };
    assert_eq!(redirect(ported).as_deref(), Some("https://shop.example/a"));
    let request = get("/a");
    let query = Facts { query: b"b=/", ..request.facts() };
    let to = answer(&engine, &query).and_then(|(_, _, to)| to);
    assert_eq!(to.as_deref(), Some("https://shop.example/a?b="), "one slash at the very end, as nginx does");
    assert_eq!(answer(&engine, &Request { host: "plain.example", ..get("/") }.facts()), None);
    assert_eq!(answer(&engine, &https(&get("/"), None)), None);
}

#[test]
fn a_redirect_is_what_the_object_and_the_settings_say() {
    let ask = |change: fn(&mut Policy, &mut Settings), path: &str| {
        let mut ingress = tls_ingress(&["shop.example"], None);
        ingress.rules = vec![host(
            "shop.example",
            vec![path_rule("/"), path_rule("/.well-known/acme-challenge/x"), path_rule("/free")],
        )];
        let mut declaration = declare([]);
        change(&mut ingress.policy, &mut declaration.settings);
        declaration.ingresses.push(ingress);
        let request = get(path);
        answer(&engine(declaration), &request.facts()).map(|(status, _, to)| (status, to.unwrap_or_default()))
    };
    let to = |status, uri: &str| Some((status, uri.to_owned()));
    assert_eq!(ask(|_, _| {}, "/a/"), to(308, "https://shop.example/a"));
    assert_eq!(
        ask(|policy, _| policy.tls.redirect.keep_slash = true, "/a/"),
        to(308, "https://shop.example/a/")
    );
    assert_eq!(ask(|policy, _| policy.tls.redirect.with_certificate = false, "/a"), None);
    assert_eq!(
        ask(|_, settings| settings.tls.redirect_status = 301, "/a"),
        to(301, "https://shop.example/a")
    );
    assert_eq!(ask(|_, _| {}, "/.well-known/acme-challenge/x/y"), None, "the path of the Ingress counts");
    assert_eq!(
        ask(|_, _| {}, "/.well-known/acme-challenge"),
        to(308, "https://shop.example/.well-known/acme-challenge")
    );
    assert_eq!(ask(|_, settings| settings.tls.redirect_exempt = vec!["/fr".to_owned()], "/free/y"), None);
    let both = |policy: &mut Policy, _: &mut Settings| {
        policy.tls.redirect.with_certificate = false;
        policy.tls.redirect.always = true;
    };
    assert_eq!(ask(both, "/a"), to(308, "https://shop.example/a"));
}

fn path_rule(text: &str) -> weir_core::declaration::PathRule {
    path(text, PathKind::Prefix)
}

#[test]
fn force_redirects_without_a_tls_section() {
    let engine = engine(declare([with("web", |policy| policy.tls.redirect.always = true)]));
    assert_eq!(
        answer(&engine, &get("/a").facts()),
        Some((308, Reason::HttpsOnly, Some("https://shop.example/a".to_owned())))
    );
}

#[test]
fn a_believed_peer_says_which_scheme_and_host_it_was_asked_for() {
    let mut declaration = declare([tls_ingress(&["shop.example"], None)]);
    declaration.settings.trust.address = TrustMode::All;
    declaration.settings.trust.proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let engine = engine(declaration);
    let ask = |peer, headers: &[(&str, &str)]| {
        let request = Request { peer, headers, ..get("/a") };
        answer(&engine, &request.facts()).and_then(|(_, _, to)| to)
    };
    assert_eq!(ask("10.0.0.1", &[("X-Forwarded-Proto", "https")]), None);
    assert_eq!(ask("10.0.0.1", &[("X-Forwarded-Proto", "http")]).as_deref(), Some("https://shop.example/a"));
    assert_eq!(
        ask("192.0.2.1", &[("X-Forwarded-Proto", "https")]).as_deref(),
        Some("https://shop.example/a")
    );
    let host = ("X-Forwarded-Host", "www.shop.example:80, other.example");
    assert_eq!(ask("10.0.0.1", &[host]).as_deref(), Some("https://www.shop.example/a"));
    assert_eq!(ask("192.0.2.1", &[host]).as_deref(), Some("https://shop.example/a"));
    assert_eq!(ask("10.0.0.1", &[("X-Forwarded-Host", "a b")]).as_deref(), Some("https://shop.example/a"));
}

#[test]
fn where_peers_speak_forwarded_no_other_field_says_which_scheme_and_host() {
    let mut declaration = declare([tls_ingress(&["shop.example"], None)]);
    declaration.settings.trust.address = TrustMode::All;
    declaration.settings.trust.proxies = vec!["10.0.0.0/8".parse().unwrap()];
    declaration.settings.trust.header = "Forwarded".to_owned();
    let engine = engine(declaration);
    let ask = |peer, headers: &[(&str, &str)]| {
        let request = Request { peer, headers, ..get("/a") };
        answer(&engine, &request.facts()).and_then(|(_, _, to)| to)
    };
    let here = Some("https://shop.example/a".to_owned());
    for https in ["for=192.0.2.1;proto=HTTPS", "proto=\"h\\ttps\"", "for=192.0.2.1;proto=https, for=10.2.2.2"]
    {
        assert_eq!(ask("10.0.0.1", &[("Forwarded", https)]), None, "{https}");
        assert_eq!(ask("192.0.2.1", &[("Forwarded", https)]), here, "{https}");
    }
    // What stands left of the client was written by nobody who is trusted.
    for http in
        ["proto=https, for=192.0.2.1", "for=192.0.2.1;proto=http", "for=192.0.2.1;proto=https;proto=https"]
    {
        assert_eq!(ask("10.0.0.1", &[("Forwarded", http)]), here, "{http}");
    }
    assert_eq!(ask("10.0.0.1", &[("X-Forwarded-Proto", "https"), ("Forwarded", "for=192.0.2.1")]), here);
    let host = ("Forwarded", "for=192.0.2.1;host=\"www.shop.example:80\"");
    assert_eq!(ask("10.0.0.1", &[host]).as_deref(), Some("https://www.shop.example/a"));
    assert_eq!(ask("10.0.0.1", &[("X-Forwarded-Host", "www.shop.example")]), here);
}

#[test]
fn redirects_are_free_and_come_before_limits() {
    for profile in [Profile::Weir, Profile::IngressNginx] {
        let mut ingress = tls_ingress(&["shop.example"], None);
        ingress.policy.limits.per_day = std::num::NonZeroU64::new(1);
        ingress.policy.limits.burst = weir_core::policy::Burst::Absolute(0);
        let engine = engine(Declaration { settings: Settings::of(profile), ..declare([ingress]) });
        for _ in 0..10 {
            assert_eq!(answer(&engine, &get("/").facts()).map(|(status, ..)| status), Some(308));
        }
        let request = get("/");
        assert_eq!(answer(&engine, &https(&request, None)), None, "nothing was charged");
    }
}

// Certificates of clients.

fn mutual(change: impl FnOnce(&mut Policy)) -> Ingress {
    let mut ingress = with("web", |policy| policy.tls.client.secret = Some(name("ca")));
    change(&mut ingress.policy);
    ingress
}

fn mutual_engine(change: impl FnOnce(&mut Policy)) -> Engine {
    engine(with_secrets(declare([mutual(change)]), [("ca", authorities(anchors(1)))]))
}

/// A connection that was made for a host.
fn connection(engine: &Engine, sni: &str, verified: Verified, subject: &str) -> ClientTls {
    let snapshot = engine.snapshot();
    let tls = snapshot.tls().lookup(Some(sni)).tls;
    let certificate =
        PeerCertificate { der: vec![1], subject_dn: subject.to_owned(), issuer_dn: "CN=ca".to_owned() };
    ClientTls {
        sni: Some(sni.to_owned()),
        demanded: tls.client_auth.as_ref().map(|auth| auth.id()),
        verified,
        certificate: (verified != Verified::Absent).then_some(certificate),
    }
}

#[test]
fn a_client_needs_a_valid_certificate() {
    use Verified::{Absent, Fail, Pass};
    let refused = |mode: VerifyClient, verified| {
        let engine = mutual_engine(|policy| policy.tls.client.verify = Some(mode));
        let tls = connection(&engine, "shop.example", verified, "CN=anna");
        answer(&engine, &https(&get("/"), Some(&tls))).map(|(status, ..)| status)
    };
    for (mode, verified, expected) in [
        (VerifyClient::Require, Pass, None),
        (VerifyClient::Require, Absent, Some(400)),
        (VerifyClient::Require, Fail(VerifyFailure::Expired), Some(400)),
        (VerifyClient::Optional, Pass, None),
        (VerifyClient::Optional, Absent, None),
        (VerifyClient::Optional, Fail(VerifyFailure::UnknownIssuer), Some(400)),
        (VerifyClient::OptionalNoCa, Absent, None),
        (VerifyClient::OptionalNoCa, Fail(VerifyFailure::UnknownIssuer), None),
        (VerifyClient::OptionalNoCa, Fail(VerifyFailure::Revoked), Some(400)),
        (VerifyClient::Ignore, Absent, None),
    ] {
        assert_eq!(refused(mode, verified), expected, "{mode:?} {verified:?}");
    }
}

#[test]
fn a_client_without_a_certificate_is_sent_to_the_error_page() {
    let page = "https://shop.example/help";
    let engine = mutual_engine(|policy| policy.tls.client.error_page = Some(page.to_owned()));
    let tls = connection(&engine, "shop.example", Verified::Absent, "");
    assert_eq!(
        answer(&engine, &https(&get("/"), Some(&tls))),
        Some((302, Reason::ClientCertificate, Some(page.to_owned())))
    );
}

#[test]
fn a_subject_must_match() {
    let change = |policy: &mut Policy| {
        policy.tls.client.verify = Some(VerifyClient::OptionalNoCa);
        policy.tls.client.match_cn = SubjectPattern::new("CN=(anna|ben)").ok();
    };
    let engine = mutual_engine(change);
    let ask = |verified, subject| {
        let tls = connection(&engine, "shop.example", verified, subject);
        answer(&engine, &https(&get("/"), Some(&tls))).map(|(status, ..)| status)
    };
    assert_eq!(ask(Verified::Pass, "CN=anna,O=Shop"), None);
    assert_eq!(ask(Verified::Pass, "CN=carl,O=Shop"), Some(403));
    assert_eq!(ask(Verified::Absent, ""), Some(403));
    let forged = Verified::Fail(VerifyFailure::UnknownIssuer);
    assert_eq!(ask(forged, "CN=anna"), Some(403), "anybody can write such a subject");
}

#[test]
fn nobody_enters_by_the_handshake_of_another_host() {
    let other = Ingress {
        object: ObjectRef::new("Ingress", "shop", "other"),
        rules: vec![host("open.example", vec![path("/", PathKind::Prefix)])],
        ..ingress("other")
    };
    let mut third = mutual(|policy| policy.tls.client.secret = Some(name("other-ca")));
    third.object = ObjectRef::new("Ingress", "shop", "third");
    third.rules = vec![host("third.example", vec![path("/", PathKind::Prefix)])];
    let engine = engine(with_secrets(
        declare([mutual(|_| {}), other, third]),
        [("ca", authorities(anchors(1))), ("other-ca", authorities(anchors(2)))],
    ));
    let ask = |sni, host| {
        let tls = connection(&engine, sni, Verified::Pass, "CN=anna");
        let request = Request { host, ..get("/") };
        answer(&engine, &https(&request, Some(&tls))).map(|(status, reason, _)| (status, reason))
    };
    let misdirected = Some((421, Reason::Misdirected));
    assert_eq!(ask("shop.example", "shop.example"), None);
    assert_eq!(ask("open.example", "shop.example"), misdirected);
    assert_eq!(ask("third.example", "shop.example"), misdirected);
    assert_eq!(ask("shop.example", "third.example"), misdirected);
    assert_eq!(ask("shop.example", "open.example"), None, "nothing is asked for there");
    let request = get("/");
    let unknown = answer(&engine, &https(&request, None)).map(|(status, ..)| status);
    assert_eq!(unknown, Some(421), "nothing is known of the handshake");
}

#[test]
fn a_client_certificate_cannot_be_shown_over_http() {
    for profile in [Profile::Weir, Profile::IngressNginx] {
        for (mode, expected) in [(VerifyClient::Require, Some(403)), (VerifyClient::Optional, None)] {
            let mut declaration = declare([mutual(|policy| policy.tls.client.verify = Some(mode))]);
            declaration.settings = Settings::of(profile);
            let engine = engine(with_secrets(declaration, [("ca", authorities(anchors(1)))]));
            assert_eq!(answer(&engine, &get("/").facts()).map(|(status, ..)| status), expected);
        }
    }
}

#[test]
fn what_cannot_be_checked_shuts_the_host_for_every_object() {
    let cases = [
        ("missing", None, name("ca")),
        ("without ca.crt", Some(certificate(pair(1, &["a"]))), name("ca")),
        ("broken", Some(authorities(Content::Broken)), name("ca")),
        ("of another namespace", Some(authorities(anchors(1))), SecretName::new("bank", "ca")),
    ];
    for (what, secret, asked) in cases {
        for profile in [Profile::Weir, Profile::IngressNginx] {
            let mut neighbour = ingress("neighbour");
            neighbour.rules = vec![host("shop.example", vec![path("/open", PathKind::Prefix)])];
            let ingress = mutual(|policy| policy.tls.client.secret = Some(asked.clone()));
            let mut declaration = declare([ingress, neighbour]);
            declaration.settings = Settings::of(profile);
            declaration.secrets.extend(secret.clone().map(|secret| (asked.clone(), secret)));
            let engine = engine(declaration);
            for path in ["/", "/open"] {
                let found =
                    answer(&engine, &https(&get(path), None)).map(|(status, reason, _)| (status, reason));
                assert_eq!(found, Some((403, Reason::ClientCertificate)), "{what} {path}");
            }
            let codes = codes(&engine);
            assert_eq!(
                codes,
                [("metadata.annotations[auth-tls-secret]".to_owned(), "no-authority")],
                "{what}"
            );
        }
    }
}

#[test]
fn broken_authorities_keep_the_last_good_ones() {
    let declared = |content| with_secrets(declare([mutual(|_| {})]), [("ca", authorities(content))]);
    let engine = engine(declared(anchors(1)));
    engine.replace(declared(Content::Broken));
    let tls = connection(&engine, "shop.example", Verified::Pass, "CN=anna");
    assert_eq!(answer(&engine, &https(&get("/"), Some(&tls))), None);
    let before = tls;
    engine.replace(declared(anchors(2)));
    let status = answer(&engine, &https(&get("/"), Some(&before))).map(|(status, ..)| status);
    assert_eq!(status, Some(421), "the old handshake asked for other authorities");
}

#[test]
fn a_check_without_a_secret_shuts_the_host_under_weirs_profile() {
    let changes: [fn(&mut Policy); 2] = [
        |policy| policy.tls.client.verify = Some(VerifyClient::Require),
        |policy| policy.tls.client.match_cn = SubjectPattern::new("CN=anna").ok(),
    ];
    for change in changes {
        for (profile, expected) in [(Profile::Weir, Some(403)), (Profile::IngressNginx, None)] {
            let mut declaration = declare([with("web", change)]);
            declaration.settings = Settings::of(profile);
            let engine = engine(declaration);
            assert_eq!(answer(&engine, &https(&get("/"), None)).map(|(status, ..)| status), expected);
            assert_eq!(codes(&engine).len(), 1);
        }
    }
}

#[test]
fn an_object_whose_check_is_outvoted_is_shut() {
    for (profile, expected) in [(Profile::Weir, Some(503)), (Profile::IngressNginx, None)] {
        let mut younger = mutual(|policy| policy.tls.client.secret = Some(name("other-ca")));
        younger.object = ObjectRef::new("Ingress", "shop", "younger");
        younger.created = Some(1);
        younger.rules = vec![host("shop.example", vec![path("/younger", PathKind::Prefix)])];
        let mut declaration = declare([mutual(|_| {}), younger]);
        declaration.settings = Settings::of(profile);
        let secrets = [("ca", authorities(anchors(1))), ("other-ca", authorities(anchors(2)))];
        let engine = engine(with_secrets(declaration, secrets));
        let tls = connection(&engine, "shop.example", Verified::Pass, "CN=anna");
        let ask = |path| answer(&engine, &https(&get(path), Some(&tls))).map(|(status, ..)| status);
        assert_eq!((ask("/"), ask("/younger")), (None, expected));
        assert_eq!(codes(&engine).len(), 1);
    }
}
