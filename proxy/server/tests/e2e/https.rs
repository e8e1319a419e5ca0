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
