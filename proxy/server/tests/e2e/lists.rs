//! Lists, bodies, and what a refused client is told.

use crate::support::client::Reply;
use crate::support::{Client, Origin, WITH_SETTINGS, Weir, burst, count, get, ingress, ip, settings};

fn status_from(weir: &Weir, last: u8, host: &str) -> u16 {
    Client::connect_from(ip(last), weir.http).get(host, "/").status
}

#[test]
fn addresses_are_denied_and_allowed() {
    let origin = Origin::echo();
    let nginx = "nginx.ingress.kubernetes.io";
    let deny = format!("{nginx}/denylist-source-range");
    let allow = format!("{nginx}/whitelist-source-range");
    let manifests = ingress("deny", "deny.example", origin.address, &[(&deny, "127.0.0.16/30,192.0.2.0/24")])
        + &ingress("allow", "allow.example", origin.address, &[(&allow, "127.0.0.16/30")])
        + &ingress(
            "both",
            "both.example",
            origin.address,
            &[("allowlist-source-range", "127.0.0.16/30"), ("denylist-source-range", "127.0.0.17")],
        );
    let weir = Weir::start(&manifests);
    assert_eq!([15, 16, 19, 20].map(|last| status_from(&weir, last, "deny.example")), [200, 403, 403, 200]);
    assert_eq!([15, 16, 19, 20].map(|last| status_from(&weir, last, "allow.example")), [403, 200, 200, 403]);
    assert_eq!([15, 16, 17, 18].map(|last| status_from(&weir, last, "both.example")), [403, 200, 403, 200]);
}

#[test]
fn blocked_addresses_are_refused_everywhere() {
    let origin = Origin::echo();
    let manifests = ingress("a", "a.example", origin.address, &[])
        + &ingress("b", "b.example", origin.address, &[("allowlist-source-range", "127.0.0.0/8")])
        + &settings(&[("block-cidrs", "127.0.0.44, 127.0.0.48/29")]);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    for host in ["a.example", "b.example"] {
        assert_eq!(
            [43, 44, 45, 47, 48, 55].map(|last| status_from(&weir, last, host)),
            [200, 403, 200, 200, 403, 403]
        );
    }
}

#[test]
fn only_allowed_paths_reach_the_origin_however_they_are_spelt() {
    let origin = Origin::echo();
    let manifests = ingress("paths", "paths.example", origin.address, &[("allow-paths", "/p, /pub/docs")]);
    let weir = Weir::start(&manifests);
    let long = format!("/p/{}", "a".repeat(70_000));
    for (path, status) in [
        ("/p", 200),
        ("/p/", 200),
        ("/p/x?y=/../z", 200),
        ("/%70/x", 200),
        ("//p///x", 200),
        ("/./p/./x", 200),
        ("/q/%2E%2E/p/x", 200),
        ("/pub/docs/a", 200),
        ("/", 404),
        ("/px", 404),
        ("/P", 404),
        ("/pub", 404),
        ("/p/%2e%2e/x", 404),
        ("/p/../x", 404),
        ("/p/./../x", 404),
        ("/p//../x", 404),
        ("/p/%2E./x", 404),
        ("/p/%252e%252e/x", 200),
        ("/p/\\..\\x", 400),
        ("/p/%5c..%5cx", 400),
        ("/p/%00", 400),
        ("/p/..%2fx", 400),
        ("/p/..;/x", 400),
        ("/../p", 400),
        ("/p/%zz", 400),
    ] {
        let before = origin.seen().len();
        let reply = get(weir.http, "paths.example", path);
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(origin.seen().len() - before, usize::from(status == 200), "{path}");
    }
    let mut client = Client::connect(weir.http);
    let _ = client.try_send(format!("GET {long} HTTP/1.1\r\nHost: paths.example\r\n\r\n"));
    let status = client.try_read("GET").unwrap().status;
    assert!(matches!(status, 414 | 431), "{status}");
}

#[test]
fn other_methods_get_405_with_those_that_are_allowed() {
    let origin = Origin::echo();
    let manifests = ingress("methods", "methods.example", origin.address, &[("allow-methods", "GET, PURGE")]);
    let weir = Weir::start(&manifests);
    let mut client = Client::connect(weir.http);
    for (method, status) in [("GET", 200), ("PURGE", 200), ("HEAD", 405), ("DELETE", 405), ("GETS", 405)] {
        client.send(format!("{method} / HTTP/1.1\r\nHost: methods.example\r\n\r\n"));
        let reply = client.read(method);
        assert_eq!(reply.status, status, "{method}");
        assert_eq!(reply.header("allow"), (status == 405).then_some("GET, PURGE"), "{method}");
    }
}

/// What a client with a limit of none left is told.
fn refused(weir: &Weir, host: &str, request: &str, method: &str) -> Reply {
    let mut client = Client::connect(weir.http);
    assert!(count(&burst(&mut client, host, "/", 10).0, 200) > 0 || get(weir.http, host, "/").status >= 400);
    client.send(request);
    client.read(method)
}

#[test]
fn a_refusal_says_when_to_come_back_and_what_the_policy_is() {
    let origin = Origin::echo();
    let manifests = ingress("told", "told.example", origin.address, &[("limit-rph", "1")])
        + &ingress(
            "never",
            "never.example",
            origin.address,
            &[("limit-rph", "1"), ("limit-headers", "never")],
        )
        + &ingress(
            "always",
            "always.example",
            origin.address,
            &[("limit-rph", "2"), ("limit-headers", "always")],
        )
        + &ingress(
            "teapot",
            "teapot.example",
            origin.address,
            &[("limit-rph", "1"), ("limit-status-code", "418")],
        );
    let weir = Weir::start(&manifests);

    let ask = "GET / HTTP/1.1\r\nHost: told.example\r\nAccept: application/json\r\n\r\n";
    let reply = refused(&weir, "told.example", ask, "GET");
    assert_eq!(reply.status, 429);
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&seconds), "{seconds}");
    assert_eq!(reply.header("ratelimit-policy"), Some("\"hour\";q=1;w=3600"));
    assert!(reply.header("ratelimit").unwrap().starts_with("\"hour\";r=0;t="), "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&problem["status"], &problem["rule"]), (&429.into(), &"limit-rph".into()), "{problem}");

    let head = refused(&weir, "told.example", "HEAD / HTTP/1.1\r\nHost: told.example\r\n\r\n", "HEAD");
    assert_eq!((head.status, head.body.len()), (429, 0));
    let html = "GET / HTTP/1.1\r\nHost: told.example\r\nAccept: text/html,*/*;q=0.5\r\n\r\n";
    let html = refused(&weir, "told.example", html, "GET");
    assert!(html.header("content-type").unwrap().starts_with("text/html") && html.text().contains("<h1>429"));

    let never = refused(&weir, "never.example", "GET / HTTP/1.1\r\nHost: never.example\r\n\r\n", "GET");
    assert!(never.header("retry-after").is_some());
    assert_eq!((never.header("ratelimit"), never.header("ratelimit-policy")), (None, None));
    let passing = get(weir.http, "always.example", "/");
    assert_eq!(passing.status, 200);
    assert_eq!(passing.header("ratelimit-policy"), Some("\"hour\";q=2;w=3600"));
    assert!(passing.header("ratelimit").unwrap().starts_with("\"hour\";r=10"), "{passing:?}");
    let teapot = refused(&weir, "teapot.example", "GET / HTTP/1.1\r\nHost: teapot.example\r\n\r\n", "GET");
    assert_eq!(teapot.status, 418);
}

#[test]
fn a_connection_survives_refusals() {
    let origin = Origin::echo();
    let manifests = ingress("shut", "shut.example", origin.address, &[("allow-methods", "PUT")])
        + &ingress("open", "open.example", origin.address, &[]);
    let weir = Weir::start(&manifests);
    let mut client = Client::connect(weir.http);
    for _ in 0..20 {
        assert_eq!(client.get("shut.example", "/").status, 405);
        assert_eq!(client.get("nowhere.example", "/").status, 404);
        assert_eq!(client.post("shut.example", "/", b"some body").status, 405);
        client.send("HEAD / HTTP/1.1\r\nHost: shut.example\r\n\r\n");
        assert_eq!(client.read("HEAD").status, 405);
        assert_eq!(client.get("open.example", "/").status, 200);
    }
    assert_eq!(weir.metric(r#"weir_connections_total{result="accepted"}"#), Some(1.0));
}

#[test]
fn the_status_is_that_of_the_configmap_or_the_profile() {
    let origin = Origin::echo();
    let object = ingress(
        "status",
        "status.example",
        origin.address,
        &[("nginx.ingress.kubernetes.io/limit-rpm", "1")],
    );
    let statuses =
        |weir: &Weir| count(&burst(&mut Client::connect(weir.http), "status.example", "/", 10).0, 503);
    let by_profile = Weir::start_with(&object, &["--profile", "ingress-nginx"]);
    assert_eq!(statuses(&by_profile), 4);
    let manifests = object + &settings(&[("limit-req-status-code", "503")]);
    let by_configmap = Weir::start_with(&manifests, &WITH_SETTINGS);
    assert_eq!(statuses(&by_configmap), 4);
}

fn chunked(host: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n")
}

#[test]
fn a_body_may_have_exactly_so_many_bytes() {
    let origin = Origin::echo();
    let manifests = ingress(
        "body",
        "body.example",
        origin.address,
        &[("nginx.ingress.kubernetes.io/proxy-body-size", "3k")],
    );
    let weir = Weir::start(&manifests);
    let mut client = Client::connect(weir.http);
    assert_eq!(client.post("body.example", "/", &[b'x'; 3072]).status, 200);
    client.send(chunked("body.example"));
    for _ in 0..3 {
        client.send(format!("400\r\n{}\r\n", "y".repeat(1024)));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read("POST").status, 200);
    assert_eq!(origin.seen().iter().map(|r| r.body.len()).collect::<Vec<_>>(), [3072, 3072]);

    // The announcement alone is refused, before the origin hears of it.
    client.send("POST / HTTP/1.1\r\nHost: body.example\r\nContent-Length: 3073\r\n\r\n");
    assert_eq!(client.read("POST").status, 413);
    assert_eq!(origin.seen().len(), 2);

    let mut client = Client::connect(weir.http);
    client.send(chunked("body.example"));
    client.send(format!("c01\r\n{}\r\n0\r\n\r\n", "z".repeat(3073)));
    assert_eq!(client.read("POST").status, 413);
    assert_eq!(origin.seen().len(), 2, "an origin took a body that is too large");
}

#[test]
fn a_client_that_is_still_sending_can_read_the_refusal() {
    let origin = Origin::echo();
    let manifests = ingress("body", "body.example", origin.address, &[("proxy-body-size", "20k")]);
    let weir = Weir::start(&manifests);
    for head in [
        chunked("body.example"),
        "POST / HTTP/1.1\r\nHost: body.example\r\nContent-Length: 4194304\r\n\r\n".to_owned(),
    ] {
        let mut client = Client::connect(weir.http);
        client.send(&head);
        let chunk = if head.contains("chunked") {
            format!("4000\r\n{}\r\n", "x".repeat(0x4000))
        } else {
            "x".repeat(0x4000)
        };
        // All of it is sent before anything is read.
        for n in 0..256 {
            client.try_send(&chunk).unwrap_or_else(|error| panic!("chunk {n}: {error}"));
        }
        let reply = client.read("POST");
        assert_eq!(reply.status, 413, "{head}");
    }
    assert_eq!(origin.seen().len(), 0);
}

#[test]
fn no_limit_and_a_watched_limit_let_large_bodies_pass() {
    let origin = Origin::echo();
    let manifests = ingress("any", "any.example", origin.address, &[("proxy-body-size", "0")])
        + &ingress(
            "watch",
            "watch.example",
            origin.address,
            &[("proxy-body-size", "1k"), ("limit-mode", "body=observe")],
        )
        + &ingress("default", "default.example", origin.address, &[]);
    let weir = Weir::start(&manifests);
    let large = vec![b'x'; 3 << 20];
    assert_eq!(Client::connect(weir.http).post("any.example", "/", &large).status, 200);
    assert_eq!(Client::connect(weir.http).post("watch.example", "/", &large).status, 200);
    assert!(origin.seen().iter().all(|request| request.body == large));
    assert_eq!(Client::connect(weir.http).post("default.example", "/", &large).status, 413);
    let mut client = Client::connect(weir.http);
    assert_eq!(client.post("default.example", "/", &large[..1 << 20]).status, 200, "1m is the default");
}
