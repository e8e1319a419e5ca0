//! What weir says to clients about https: redirects to it, and the promise to come back over it.

use crate::support::tls::trusting;
use crate::support::{Client, LANES, Origin, Reaction, WITH_SETTINGS, Weir, get, ingress, settings};

const HTTPS: [&str; 2] = ["--https", "127.0.0.1:0"];

/// An Ingress that asks for TLS, with a Secret for it.
fn with_tls(manifests: &str, host: &str, secret: &str) -> String {
    manifests.replacen(
        "spec:\n  rules:",
        &format!("spec:\n  tls: [{{hosts: [{host}], secretName: {secret}}}]\n  rules:"),
        1,
    )
}

fn secret(name: &str, host: &str) -> String {
    let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
    let block = |text: String| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: default}}\n\
         stringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        block(made.cert.pem()),
        block(made.signing_key.serialize_pem())
    )
}

#[test]
fn http_is_redirected_and_https_is_served_through_both_lanes() {
    let origin = Origin::echo();
    for lane in LANES {
        let manifests = with_tls(&ingress("web", "a.test", origin.address, &[]), "a.test", "own");
        let weir = lane.start(&(manifests + &secret("own", "a.test")), &HTTPS);
        let reply = get(weir.http, "a.test:8080", "/x/?y=1");
        assert_eq!(reply.status, 308, "{lane:?}");
        assert_eq!(reply.header("location"), Some("https://a.test/x/?y=1"), "{lane:?}");
        assert_eq!(reply.header("strict-transport-security"), None, "not over http (RFC 6797 section 7.2)");
        let mut client = Client::connect_tls(weir.https(), "a.test", trusting());
        assert_eq!(client.get("a.test", "/x/").status, 200, "{lane:?}");
        let reply = Client::connect(weir.http).post("a.test", "/x/", b"abc");
        assert_eq!((reply.status, reply.header("location")), (308, Some("https://a.test/x")), "{lane:?}");
    }
}

#[test]
fn every_response_over_https_carries_the_promise_once() {
    let origin = Origin::start(|_| {
        Reaction::Write(
            b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 0\r\nX-Kept: yes\r\n\r\n"
                .to_vec(),
        )
    });
    let promise = "max-age=31536000; includeSubDomains";
    for lane in LANES {
        let weir = lane.start(&ingress("web", "a.test", origin.address, &[]), &HTTPS);
        let mut client = Client::connect_tls(weir.https(), "a.test", trusting());
        for (host, status) in [("a.test", 200), ("b.test", 404)] {
            let reply = client.get(host, "/");
            assert_eq!(reply.status, status);
            let promises: Vec<_> =
                reply.headers.iter().filter(|(name, _)| name == "strict-transport-security").collect();
            assert_eq!(promises, [&("strict-transport-security".to_owned(), promise.to_owned())], "{lane:?}");
            assert_eq!(reply.header("x-kept").is_some(), status == 200);
        }
        let reply = get(weir.http, "a.test", "/");
        assert_eq!(
            reply.header("strict-transport-security"),
            Some("max-age=1"),
            "the origin's own, over http"
        );
    }
}

#[test]
fn the_promise_can_be_switched_off() {
    let origin = Origin::echo();
    let manifests = ingress("web", "a.test", origin.address, &[]) + &settings(&[("hsts", "false")]);
    let flags: Vec<&str> = HTTPS.into_iter().chain(WITH_SETTINGS).collect();
    let weir = Weir::start_with(&manifests, &flags);
    let mut client = Client::connect_tls(weir.https(), "a.test", trusting());
    assert_eq!(client.get("a.test", "/").header("strict-transport-security"), None);
}

/// An Ingress with keys under the prefix of ingress-nginx, which asks for TLS where `tls` says so.
fn annotated(name: &str, origin: &Origin, tls: bool, annotations: &[(&str, &str)]) -> String {
    let full: Vec<(String, &str)> = annotations
        .iter()
        .map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), *value))
        .collect();
    let full: Vec<(&str, &str)> = full.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let host = format!("{name}.test");
    let manifests = ingress(name, &host, origin.address, &full);
    if tls { with_tls(&manifests, &host, "none") } else { manifests }
}

#[test]
fn redirects_are_what_keys_and_annotations_say() {
    let origin = Origin::echo();
    let acme = "/.well-known/acme-challenge/token";
    let objects = [
        annotated("usual", &origin, true, &[]),
        annotated("plain", &origin, false, &[]),
        annotated("stay", &origin, true, &[("ssl-redirect", "false")]),
        annotated("force", &origin, false, &[("force-ssl-redirect", "true")]),
        annotated("both", &origin, true, &[("ssl-redirect", "false"), ("force-ssl-redirect", "true")]),
        annotated("slash", &origin, true, &[("preserve-trailing-slash", "true")]),
        // The path of the rule counts, not that of the request.
        annotated("acme", &origin, true, &[]).replace("path: /\n", "path: /.well-known/acme-challenge\n"),
        annotated("free", &origin, true, &[]).replace("path: /\n", "path: /free/zone\n"),
    ]
    .concat();
    let start = |keys: &[(&str, &str)], lane: crate::support::Lane| {
        let flags: Vec<&str> = HTTPS.into_iter().chain(WITH_SETTINGS).collect();
        lane.start(&(objects.clone() + &settings(keys)), &flags)
    };
    for lane in LANES {
        let weir = start(&[], lane);
        for (host, path, expected) in [
            ("usual.test", "/", Some("https://usual.test")),
            ("usual.test", "/a/?b=c", Some("https://usual.test/a/?b=c")),
            ("usual.test", "/a/", Some("https://usual.test/a")),
            ("usual.test", "/a//", Some("https://usual.test/a/")),
            ("usual.test:8080", "/a", Some("https://usual.test/a")),
            ("USUAL.test", "/a", Some("https://usual.test/a")),
            ("usual.test", acme, Some("https://usual.test/.well-known/acme-challenge/token")),
            ("plain.test", "/a", None),
            ("stay.test", "/a", None),
            ("force.test", "/a", Some("https://force.test/a")),
            ("both.test", "/a", Some("https://both.test/a")),
            ("slash.test", "/a/", Some("https://slash.test/a/")),
            ("slash.test", "/", Some("https://slash.test/")),
            ("acme.test", acme, None),
            ("free.test", "/free/zone/x", Some("https://free.test/free/zone/x")),
        ] {
            let reply = get(weir.http, host, path);
            let status = if expected.is_some() { 308 } else { 200 };
            assert_eq!((reply.status, reply.header("location")), (status, expected), "{lane:?} {host}{path}");
        }
    }
    for code in ["301", "302", "307", "308"] {
        let weir = start(&[("http-redirect-code", code)], crate::support::Lane::Auto);
        assert_eq!(get(weir.http, "usual.test", "/").status.to_string(), code);
    }
    let keys = [
        ("http-redirect-code", "303"),
        ("no-tls-redirect-locations", "/x,/free"),
        ("ssl-redirect", "false"),
        ("force-ssl-redirect", "true"),
    ];
    let weir = start(&keys, crate::support::Lane::Auto);
    assert_eq!(get(weir.http, "usual.test", "/").status, 308, "303 is none of those that there are");
    let told = weir.findings().iter().any(|finding| finding["field"] == "data[http-redirect-code]");
    assert!(told, "{:?}", weir.findings());
    assert_eq!(get(weir.http, "plain.test", "/").status, 308, "forced for every object");
    assert_eq!(
        get(weir.http, "free.test", "/free/zone/x").status,
        200,
        "the beginning of its path is exempt"
    );
    assert_eq!(get(weir.http, "acme.test", acme).status, 308, "a list replaces the default");
}

#[test]
fn the_promise_is_what_its_keys_say() {
    let origin = Origin::echo();
    for (keys, expected) in [
        (&[][..], Some("max-age=31536000; includeSubDomains")),
        (&[("hsts-max-age", "0")], Some("max-age=0; includeSubDomains")),
        (&[("hsts-include-subdomains", "false"), ("hsts-max-age", "86400")], Some("max-age=86400")),
        (&[("hsts-preload", "true")], Some("max-age=31536000; includeSubDomains; preload")),
        (
            &[("hsts-preload", "true"), ("hsts-include-subdomains", "false")],
            Some("max-age=31536000; preload"),
        ),
        (&[("hsts", "false"), ("hsts-preload", "true")], None),
    ] {
        let manifests = ingress("web", "a.test", origin.address, &[]) + &settings(keys);
        let flags: Vec<&str> = HTTPS.into_iter().chain(WITH_SETTINGS).collect();
        let weir = Weir::start_with(&manifests, &flags);
        let mut client = Client::connect_tls(weir.https(), "a.test", trusting());
        for (host, status) in [("a.test", 200), ("b.test", 404)] {
            let reply = client.get(host, "/");
            assert_eq!(
                (reply.status, reply.header("strict-transport-security")),
                (status, expected),
                "{keys:?}"
            );
        }
        assert_eq!(get(weir.http, "a.test", "/").header("strict-transport-security"), None);
    }
}
