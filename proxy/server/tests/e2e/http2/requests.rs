//! Requests over HTTP/2 are requests like any other.

use crate::support::h2::*;
use crate::support::*;
use ::h2::Reason;
use std::io::{Read, Write};

const H2C: [&str; 3] = ["--h2c", "--workers", "1"];

#[test]
fn requests_go_to_an_origin_that_speaks_http_1() {
    let origin = Origin::start(|request| {
        let body =
            format!("{} {} {}", request.method, request.target, String::from_utf8_lossy(&request.body));
        Reaction::Write(
            format!(
                "HTTP/1.1 201 Created\r\nContent-Length: {}\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
                 Keep-Alive: timeout=5\r\nX-Kept: yes\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
        )
    });
    let weir = Weir::start_with(&ingress("web", "a.example", origin.address, &[]), &H2C);
    let client = H2::connect(weir.http);
    for (method, path, body, expected) in [
        ("GET", "/a%20b?x=y%2F?", &[][..], "GET /a%20b?x=y%2F? "),
        ("DELETE", "/", &[], "DELETE / "),
        ("POST", "/p", &[&b"hel"[..], b"lo"], "POST /p 3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
    ] {
        let answer = client.ask(request(method, "a.example", path, &[]), body);
        assert_eq!(answer.status, 201);
        if method != "POST" {
            assert_eq!(answer.text(), expected);
        }
        assert_eq!(answer.header("x-kept"), "yes");
        for name in ["connection", "keep-alive", "x-hop", "transfer-encoding"] {
            assert!(!answer.headers.contains_key(name), "{name}");
        }
    }
    let sent = request(
        "POST",
        "a.example",
        "/known",
        &[("content-length", "5"), ("cookie", "a=b"), ("cookie", "c=d")],
    );
    assert_eq!(client.ask(sent, &[b"hello"]).text(), "POST /known hello");
    let seen = origin.seen();
    let last = seen.last().unwrap();
    assert_eq!(last.header("host"), Some("a.example"));
    assert_eq!(last.header("cookie"), Some("a=b; c=d"));
    assert_eq!((last.count("cookie"), last.count("host"), last.count("content-length")), (1, 1, 1));
    assert_eq!(last.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(last.header("x-forwarded-proto"), Some("http"));
    assert_eq!(last.header("te"), None);
    assert_eq!(weir.metric(r#"weir_lane_requests_total{lane="h2"}"#), Some(4.0));
}

#[test]
fn without_the_flag_the_preface_is_refused_and_http_1_is_served_with_it() {
    let origin = Origin::echo();
    let manifests = ingress("web", "", origin.address, &[]);
    let plain = Weir::start(&manifests);
    let mut client = std::net::TcpStream::connect(plain.http).unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");

    // Shorter than the preface, and at first the same.
    let weir = Weir::start_with(&manifests, &H2C);
    for (request, status) in [
        ("GET / HTTP/1.0\r\n\r\n", "200"),
        ("PRI / HTTP/1.0\r\n\r\n", "200"),
        ("PRI * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "200"),
    ] {
        let mut client = std::net::TcpStream::connect(weir.http).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
}

#[test]
fn a_balancer_in_front_names_the_client_of_all_streams() {
    let origin = Origin::start(|request| Reaction::ok(request.header("x-forwarded-for").unwrap_or("none")));
    let keys = settings(&[("use-proxy-protocol", "true"), ("proxy-real-ip-cidr", "127.0.0.1/32")]);
    let manifests =
        ingress("web", "", origin.address, &[("limit-rpm", "1"), ("limit-burst-multiplier", "1")]);
    let weir = Weir::start_with(&(manifests + &keys), &[&H2C[..], &WITH_SETTINGS].concat());
    let mut client = RawH2::silent(weir.http);
    client.send(b"PROXY TCP4 192.0.2.9 198.51.100.1 4711 8080\r\n");
    client.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get_fields("a", "/")));
    assert_eq!(client.next_of(DATA).unwrap().payload, b"192.0.2.9");
    // Its limits are that client's: of two more one passes.
    for (id, status) in [(3, "200"), (5, "429")] {
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, id, &get_fields("a", "/")));
        let data = client.next_of(DATA).unwrap();
        assert_eq!((data.stream, data.payload == b"192.0.2.9"), (id, status == "200"));
    }
}

#[test]
fn a_stream_is_charged_when_it_begins_and_a_reset_buys_nothing() {
    let origin = Origin::echo();
    let limits = [("limit-rpm", "1"), ("limit-burst-multiplier", "2")];
    let weir = Weir::start_with(&ingress("web", "", origin.address, &limits), &H2C);
    let client = H2::connect(weir.http);
    // Three may pass: two are reset as soon as they are sent.
    client.run(async {
        for _ in 0..2 {
            let mut send = client.send.clone().ready().await.unwrap();
            let (response, mut stream) = send.send_request(request("POST", "a", "/", &[]), false).unwrap();
            tokio::task::yield_now().await;
            stream.send_reset(Reason::CANCEL);
            drop(response);
        }
    });
    assert_eq!(client.get("a", "/").status, 200);
    let refused = client.ask(request("GET", "a", "/", &[("accept", "application/json")]), &[]);
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    assert!(refused.header("ratelimit").contains("r=0"));
    assert_eq!(refused.header("content-length").parse::<usize>().unwrap(), refused.body.len());
    assert!(refused.text().contains("\"status\":429"), "{}", refused.text());
}

#[test]
fn streams_count_as_requests_in_flight() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Reaction::ok("late")
    });
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[("limit-connections", "2")]), &H2C);
    let client = H2::connect(weir.http);
    let answers = client.run(async {
        let number = |n: u32| ask(client.send.clone(), request("GET", "a", &format!("/{n}"), &[]), &[]);
        let first = tokio::spawn(number(1));
        let second = tokio::spawn(number(2));
        while origin.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
        let third = number(3).await;
        gate.open(9);
        [first.await.unwrap(), second.await.unwrap(), third]
    });
    assert_eq!(answers.map(|answer| answer.status), [200, 200, 429]);
    assert_eq!(client.get("a", "/").status, 200, "places come back");
}

#[test]
fn large_bodies_pass_both_ways() {
    let origin = Origin::start(|request| {
        let total: usize = request.body.len();
        Reaction::ok(vec![b'x'; total])
    });
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[("proxy-body-size", "10m")]), &H2C);
    let client = H2::connect(weir.http);
    let body = vec![b'a'; 3 << 20];
    let length = body.len().to_string();
    let answer = client.ask(request("POST", "a", "/", &[("content-length", &length)]), &[&body]);
    assert_eq!((answer.status, answer.body.len()), (200, 3 << 20));
}

#[test]
fn a_body_that_is_too_large_is_refused_by_its_length_and_while_it_comes() {
    let origin = Origin::echo();
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[("proxy-body-size", "100k")]), &H2C);
    let client = H2::connect(weir.http);
    let body = vec![b'a'; 1 << 20];
    let known = client.ask(request("POST", "a", "/", &[("content-length", "1048576")]), &[&body]);
    assert_eq!(known.status, 413);
    let open = client.ask(request("POST", "a", "/", &[]), &[&body]);
    assert_eq!((open.status, open.header("cache-control")), (413, "no-store"));
    assert_eq!(client.get("a", "/").status, 200, "the connection stays");
}

#[test]
fn what_fails_behind_is_told_in_front() {
    let resetting = Origin::raw(|peer| drop(peer.request()));
    let cut = Origin::raw(|peer| {
        peer.request();
        peer.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal").unwrap();
    });
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let manifests = [
        ingress("reset", "reset.example", resetting.address, &[]),
        ingress("cut", "cut.example", cut.address, &[]),
        ingress("nobody", "nobody.example", nobody, &[]),
    ]
    .concat();
    let weir = Weir::start_with(&manifests, &H2C);
    let client = H2::connect(weir.http);
    for (host, status) in [("reset.example", 502), ("nobody.example", 502), ("none.example", 404)] {
        let answer = client.get(host, "/");
        assert_eq!((answer.status, answer.reset), (status, None), "{host}");
        assert_eq!(answer.header("content-length").parse::<usize>().unwrap(), answer.body.len());
    }
    let broken = client.get("cut.example", "/");
    assert_eq!((broken.status, broken.text().as_str()), (200, "hal"));
    assert_eq!(broken.reset, Some(Reason::INTERNAL_ERROR), "nobody takes it for the whole");
}

#[test]
fn a_body_that_does_not_come_is_answered_at_the_deadline() {
    let origin = Origin::echo();
    let weir = Weir::start_with(
        &ingress("web", "", origin.address, &[]),
        &[&H2C[..], &["--body-timeout", "300ms"]].concat(),
    );
    let client = H2::connect(weir.http);
    let status = client.run(async {
        let mut send = client.send.clone().ready().await.unwrap();
        let (response, mut stream) = send.send_request(request("POST", "a", "/", &[]), false).unwrap();
        stream.send_data("begun".into(), false).unwrap();
        response.await.unwrap().status()
    });
    assert_eq!(status, 408);
    assert_eq!(client.get("a", "/").status, 200, "the connection stays");
}

#[test]
fn a_connection_is_told_to_leave_when_the_process_ends_and_finishes_what_it_has() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Reaction::ok("late")
    });
    let weir = Weir::start_with(&ingress("web", "a.example", origin.address, &[]), &H2C);
    let client = H2::connect(weir.http);
    let idle = H2::connect(weir.http);
    assert_eq!(idle.get("none.example", "/").status, 404);
    let answer = client.run(async {
        let asked = tokio::spawn(ask(client.send.clone(), request("GET", "a.example", "/", &[]), &[]));
        while origin.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        weir.signal();
        // The goodbye has come when no new stream is welcome.
        while ask(client.send.clone(), request("GET", "none", "/x", &[]), &[]).await.status != 0 {
            tokio::task::yield_now().await;
        }
        gate.open(9);
        asked.await.unwrap()
    });
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    assert_eq!(client.ended(), Some(Reason::NO_ERROR));
    assert_eq!(idle.ended(), Some(Reason::NO_ERROR));
    assert!(weir.ended().success());
}
