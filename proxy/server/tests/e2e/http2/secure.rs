//! HTTP/2 over TLS: who is offered it, and what holds for its streams.

use crate::support::h2::{H2, ask, request};
use crate::support::*;
use ::h2::Reason;

const TLS: [&str; 4] = ["--https", "127.0.0.1:0", "--workers", "1"];
const BOTH: [&str; 2] = ["h2", "http/1.1"];

/// What is agreed on with a client that offers these.
fn agreed(weir: &Weir, host: &str, offered: &[&str]) -> String {
    match H2::connect_tls(weir.https(), host, offered) {
        Ok(_) => "h2".to_owned(),
        Err(other) => other,
    }
}

#[test]
fn http_2_is_offered_by_host_and_by_setting_from_the_next_handshake_on() {
    let origin = Origin::echo();
    let manifests = ingress("a", "a.test", origin.address, &[])
        + &ingress("b", "b.test", origin.address, &[("weir.dev/tls-alpn", "http/1.1")])
        + &ingress("c", "c.test", origin.address, &[("weir.dev/tls-alpn", "h2,http/1.1")]);
    let set = |value| settings(&[("use-http2", value), ("client-sockets", "0"), ("client-socket-rate", "0")]);
    let files = [("manifests.yaml", manifests.as_str()), ("settings.yaml", &set("true"))];
    let weir = Weir::start_in(&files, &[&TLS[..], &WITH_SETTINGS].concat());
    let all = |offered: &[&str]| ["a.test", "b.test", "c.test"].map(|host| agreed(&weir, host, offered));
    assert_eq!(all(&BOTH), ["h2", "http/1.1", "h2"]);
    assert_eq!(all(&["http/1.1"]), ["http/1.1"; 3]);
    assert_eq!(all(&["h2"]), ["h2", "", "h2"], "with nothing in common there is no connection");
    assert_eq!(all(&[]), ["none"; 3]);
    let before = H2::connect_tls(weir.https(), "a.test", &BOTH).unwrap();
    weir.apply_file("settings.yaml", &set("false"));
    assert_eq!(all(&BOTH), ["http/1.1", "http/1.1", "h2"]);
    assert_eq!(before.get("a.test", "/").status, 200, "a connection stays what it is");
    weir.apply_file("settings.yaml", &set("true"));
    assert_eq!(all(&BOTH), ["h2", "http/1.1", "h2"]);
}

#[test]
fn requests_over_tls_are_known_as_such() {
    let origin = Origin::start(|request| {
        let said = |name: &str| request.header(name).unwrap_or("none").to_owned();
        Reaction::ok(format!("{} {}", said("x-forwarded-proto"), said("x-forwarded-port")))
    });
    let flags = [&TLS[..], &["--h2c", "--access-log", "-"]].concat();
    let weir = Weir::start_with(&ingress("web", "a.test", origin.address, &[]), &flags);
    let client = H2::connect_tls(weir.https(), "a.test", &BOTH).unwrap();
    let answer = client.get("a.test", "/");
    assert!(answer.text().starts_with("https "), "{}", answer.text());
    assert!(answer.header("strict-transport-security").starts_with("max-age="));
    // Refused, and with the promise all the same.
    let refused = client.get("none.example", "/");
    assert_eq!(refused.status, 404);
    assert!(refused.header("strict-transport-security").starts_with("max-age="));
    // What `:scheme` says is the client's opinion, and counts for nothing.
    let plain = H2::connect(weir.http);
    let lie = http::Request::get("https://a.test/").body(()).unwrap();
    assert!(plain.ask(lie, &[]).text().starts_with("http "));
    drop((client, plain));
    weir.until("the log has them", || weir.stdout().matches("\"protocol\":\"HTTP/2.0\"").count() == 3);
}

#[test]
fn a_connection_over_tls_is_told_to_leave_and_finishes_what_it_has() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Reaction::ok(vec![b'x'; 300_000])
    });
    let weir = Weir::start_with(&ingress("web", "a.test", origin.address, &[]), &TLS);
    let client = H2::connect_tls(weir.https(), "a.test", &BOTH).unwrap();
    let idle = H2::connect_tls(weir.https(), "a.test", &BOTH).unwrap();
    let answer = client.run(async {
        let asked = tokio::spawn(ask(client.send.clone(), request("GET", "a.test", "/", &[]), &[]));
        while origin.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        weir.signal();
        gate.open(9);
        asked.await.unwrap()
    });
    assert_eq!((answer.status, answer.body.len(), answer.reset), (200, 300_000, None));
    assert_eq!(client.ended(), Some(Reason::NO_ERROR));
    assert_eq!(idle.ended(), Some(Reason::NO_ERROR));
    assert!(weir.ended().success());
}
