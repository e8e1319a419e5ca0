//! What a connection may have at most, what it is told of that, and what comes back when something ends.

use crate::support::h2::*;
use crate::support::*;
use ::h2::Reason;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const H2C: [&str; 3] = ["--h2c", "--workers", "1"];
const REFUSED_STREAM: u32 = 7;

fn post(path: &str) -> Vec<u8> {
    fields(&[(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", path)])
}

#[test]
fn clients_are_told_what_they_may_have() {
    let origin = Origin::echo();
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[]), &H2C);
    let settings = RawH2::connect(weir.http, &[]).next_of(SETTINGS).unwrap();
    let said = |id: u16| {
        let mut pairs = settings.payload.chunks(6);
        let pair = pairs.find(|pair| pair[..2] == id.to_be_bytes());
        pair.map(|pair| u32::from_be_bytes(pair[2..].try_into().unwrap()))
    };
    // Streams, the window of each, the size of a head; nothing of extended CONNECT; frames as RFC 9113 has them.
    let named = [(3, Some(128)), (4, Some(128 << 10)), (6, Some(32 << 10)), (8, None)];
    assert_eq!(named.map(|(id, _)| said(id)), named.map(|(_, value)| value));
    assert!(said(5).is_none_or(|size| size == 16 << 10));
    assert!(said(1).is_none_or(|size| size <= 4 << 10), "what is remembered of heads");
}

#[test]
fn streams_beyond_the_bound_are_refused() {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let origin = Origin::raw(move |peer| {
        if peer.head().is_some() {
            count.fetch_add(1, Ordering::SeqCst);
            peer.skip(u64::MAX);
        }
    });
    let manifests = ingress("web", "", origin.address, &[]);
    for most in [128, 10] {
        let most_is = most.to_string();
        let keys = [("http2-max-concurrent-streams", most_is.as_str())];
        let weir = Weir::start_with(
            &(manifests.clone() + &settings(if most == 128 { &[] } else { &keys })),
            &[&H2C[..], &WITH_SETTINGS].concat(),
        );
        begun.store(0, Ordering::SeqCst);
        let mut client = RawH2::connect(weir.http, &[]);
        for n in 0..most {
            client.send(&frame(HEADERS, END_HEADERS, 2 * n + 1, &post("/")));
        }
        weir.until("all are served", || begun.load(Ordering::SeqCst) == most as usize);
        client.send(&frame(HEADERS, END_HEADERS, 2 * most + 1, &post("/")));
        let refused = client.next_of(RST_STREAM).unwrap();
        assert_eq!((refused.stream, refused.payload), (2 * most + 1, REFUSED_STREAM.to_be_bytes().to_vec()));
        let counted = || weir.metric(r#"weir_h2_streams_rejected_total{reason="refused"}"#);
        weir.until("it is counted", || counted() == Some(1.0));
        // One ends, and another may begin.
        client.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
        client.send(&frame(HEADERS, END_HEADERS, 2 * most + 3, &post("/")));
        weir.until("the next is served", || begun.load(Ordering::SeqCst) == most as usize + 1);
    }
}

#[test]
fn heads_have_a_size_and_a_number_of_fields() {
    let origin = Origin::echo();
    let manifests = ingress("web", "", origin.address, &[])
        + &ingress("strict", "strict.test", origin.address, &[("weir.dev/max-header-bytes", "1k")]);
    let weir = Weir::start_with(&manifests, &H2C);
    let client = H2::connect(weir.http);
    let with = |host: &str, count: usize, size: usize| {
        let value = "v".repeat(size);
        let names: Vec<String> = (0..count).map(|n| format!("x-{n}")).collect();
        let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
        client.ask(request("GET", host, "/", &headers), &[]).status
    };
    for (count, size, status) in [(90, 10, 200), (300, 10, 431), (5, 2000, 200), (20, 2000, 431)] {
        assert_eq!(with("a", count, size), status, "{count} fields of {size}");
    }
    assert_eq!([with("strict.test", 9, 100), with("strict.test", 10, 100)], [200, 431]);
    assert_eq!(client.get("a", "/").status, 200, "the connection stays");
}

#[test]
fn a_connection_has_its_share_of_requests_and_finishes_them() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Reaction::ok("late")
    });
    let shares = settings(&[("keep-alive-requests", "5"), ("client-sockets", "0")]);
    let manifests = ingress("web", "a", origin.address, &[]) + &shares;
    let weir = Weir::start_with(&manifests, &[&H2C[..], &WITH_SETTINGS].concat());
    let client = H2::connect(weir.http);
    for _ in 0..4 {
        assert_eq!(client.get("none.example", "/").status, 404);
    }
    let answer = client.run(async {
        let asked = tokio::spawn(ask(client.send.clone(), request("GET", "a", "/", &[]), &[]));
        while origin.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        // A client that has heard the goodbye asks elsewhere.
        while ask(client.send.clone(), request("GET", "none.example", "/", &[]), &[]).await.status != 0 {
            tokio::task::yield_now().await;
        }
        gate.open(9);
        asked.await.unwrap()
    });
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    assert_eq!(client.ended(), Some(Reason::NO_ERROR));
}

#[test]
fn places_come_back_however_a_stream_or_its_connection_ends() {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let origin = Origin::raw(move |peer| {
        let Some(head) = peer.head() else { return };
        if head.target == "/now" {
            std::io::Write::write_all(&mut peer.stream, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        } else {
            count.fetch_add(1, Ordering::SeqCst);
            peer.skip(u64::MAX);
        }
    });
    let manifests =
        ingress("web", "", origin.address, &[("limit-connections", "1"), ("proxy-body-size", "1k")]);
    let flags = [&H2C[..], &["--body-timeout", "400ms", "--write-timeout", "400ms"]].concat();
    let weir = Weir::start_with(&manifests, &flags);
    let served = || H2::connect(weir.http).get("a", "/now").status == 204;
    type End = fn(&mut RawH2) -> bool;
    let ends: [(&str, End); 7] = [
        ("reset", |client| client.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]))),
        ("closed", |client| client.stream.shutdown(std::net::Shutdown::Both).is_ok()),
        ("a malformed frame", |client| client.send(&frame(DATA, 0, 0, b"x"))),
        ("a wrong length", |client| client.send(&frame(DATA, END_STREAM, 1, b"x"))),
        ("a body that is too large", |client| client.send(&frame(DATA, 0, 1, &[b'x'; 2000]))),
        ("a body that does not come", |_| true),
        ("a flood", |client| client.send(&frame(PING, 0, 0, &[0; 8]).repeat(100))),
    ];
    for (how, end) in ends {
        let before = begun.load(Ordering::SeqCst);
        let mut client = RawH2::connect(weir.http, &[]);
        let length = if how == "a wrong length" { &[("content-length", "5")][..] } else { &[] };
        client.send(&frame(HEADERS, END_HEADERS, 1, &[post("/held"), fields(length)].concat()));
        weir.until("it is held", || begun.load(Ordering::SeqCst) > before);
        assert!(!served(), "{how}: the place is taken");
        assert!(end(&mut client));
        until(how, served);
    }
    weir.until("nobody is connected", || weir.metric("weir_connections_open") == Some(0.0));
}
