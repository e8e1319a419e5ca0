//! Rates and concurrency, to the request.

use crate::support::client::Reply;
use crate::support::{Client, Gate, Origin, Reaction, WITH_SETTINGS, Weir, burst, count, get, ingress, ip};
use crate::support::{settings, until};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Seconds as text of the remaining requests in a `RateLimit` field.
fn remaining(reply: &Reply, window: &str) -> u64 {
    let field = reply.header("ratelimit").unwrap_or_else(|| panic!("no RateLimit: {reply:?}"));
    let item = field.split(", ").find(|item| item.starts_with(&format!("{window:?};")));
    let r =
        item.and_then(|item| item.split(";r=").nth(1)).unwrap_or_else(|| panic!("no {window} in {field}"));
    r.split(';').next().unwrap().parse().unwrap()
}

/// Asserts that `admitted` is what `burst + 1` at once and `rate` a second after that give.
fn assert_admitted(admitted: usize, at_once: usize, rate: f64, elapsed: Duration) {
    let most = at_once + (rate * elapsed.as_secs_f64()).floor() as usize;
    assert!((at_once..=most).contains(&admitted), "{admitted} of {at_once} to {most} in {elapsed:?}");
}

/// One client, one window: what is admitted at once.
fn at_once(annotations: &[(&str, &str)], n: usize) -> (usize, Duration) {
    let origin = Origin::echo();
    let weir = Weir::start(&ingress("once", "once.example", origin.address, annotations));
    let (replies, elapsed) = burst(&mut Client::connect(weir.http), "once.example", "/", n);
    let admitted = count(&replies, 200);
    assert_eq!(admitted + count(&replies, 429), n);
    assert_eq!(origin.seen().len(), admitted, "a refused request reached the origin");
    (admitted, elapsed)
}

#[test]
fn limit_rps_admits_five_times_the_limit_and_one_more() {
    for (key, limit) in [("nginx.ingress.kubernetes.io/limit-rps", 4_usize), ("limit-rps", 11)] {
        let (admitted, elapsed) = at_once(&[(key, &limit.to_string())], 3 * (5 * limit + 1));
        assert_admitted(admitted, 5 * limit + 1, limit as f64, elapsed);
    }
}

#[test]
fn windows_of_every_length_admit_their_burst_and_one_more() {
    // Nothing worth a request comes back within the test but for the minute.
    let (admitted, elapsed) = at_once(&[("nginx.ingress.kubernetes.io/limit-rpm", "6")], 50);
    assert_admitted(admitted, 31, 0.1, elapsed);
    assert_eq!(at_once(&[("limit-rph", "7")], 60).0, 36);
    assert_eq!(at_once(&[("limit-rpd", "9")], 60).0, 46);
    assert_eq!(at_once(&[("limit-window", "3/2h")], 30).0, 16);
    assert_eq!(at_once(&[("limit-window", "30/3h, 2/1d")], 30).0, 11);
}

#[test]
fn the_burst_is_what_the_annotations_say() {
    assert_eq!(at_once(&[("limit-rph", "7"), ("limit-burst", "0")], 10).0, 1);
    assert_eq!(at_once(&[("limit-rph", "7"), ("limit-burst", "12")], 30).0, 13);
    let multiplier = ("nginx.ingress.kubernetes.io/limit-burst-multiplier", "3");
    assert_eq!(at_once(&[("limit-rph", "7"), multiplier], 30).0, 22);
    assert_eq!(at_once(&[("limit-rph", "7"), multiplier, ("limit-burst", "4")], 30).0, 5);
}

#[test]
fn the_sustained_rate_is_exact_under_pressure() {
    let origin = Origin::echo();
    let limit = [("limit-rps", "20"), ("limit-burst-multiplier", "1")];
    let weir = Weir::start(&ingress("sustained", "sustained.example", origin.address, &limit));
    let mut client = Client::connect(weir.http);
    let began = Instant::now();
    let mut admitted = usize::from(client.get("sustained.example", "/").status == 200);
    let first = Instant::now();
    let (mut inside, mut asked) = (Duration::ZERO, 1);
    while began.elapsed() < Duration::from_secs(2) {
        inside = first.elapsed();
        admitted += usize::from(client.get("sustained.example", "/").status == 200);
        asked += 1;
    }
    let outside = began.elapsed();
    let least = 21.0 + (20.0 * inside.as_secs_f64()).floor() - 1.0;
    let most = 21.0 + 20.0 * outside.as_secs_f64();
    assert!(asked > 2 * admitted, "no pressure: {asked} requests");
    assert!(
        (least..=most).contains(&(admitted as f64)),
        "{admitted} admitted of {least} to {most}, {asked} asked in {outside:?}"
    );
}

#[test]
fn what_one_window_refuses_is_not_charged_to_another() {
    let origin = Origin::echo();
    let limits = [("nginx.ingress.kubernetes.io/limit-rps", "3"), ("limit-rph", "40")];
    let weir = Weir::start(&ingress("two", "two.example", origin.address, &limits));
    let mut client = Client::connect(weir.http);
    let (replies, elapsed) = burst(&mut client, "two.example", "/", 60);
    let admitted = count(&replies, 200);
    assert_admitted(admitted, 16, 3.0, elapsed);
    // 201 are free at first in the hour; only admitted ones are gone. 40 an hour return one in 90 s.
    let refused = replies.iter().rfind(|reply| reply.status == 429).unwrap();
    assert!(refused.header("ratelimit-policy").unwrap().contains("q=3;w=1"), "{refused:?}");
    assert_eq!(remaining(refused, "hour"), 201 - admitted as u64);
    assert_eq!(remaining(refused, "second"), 0);
}

#[test]
fn an_address_is_a_client_and_a_header_is_one_where_the_key_says_so() {
    let origin = Origin::echo();
    let by_ip = ingress("by-ip", "ip.example", origin.address, &[("limit-rph", "1")]);
    let key = [("limit-rph", "1"), ("limit-key", "header:X-Tenant")];
    let by_header = ingress("by-header", "header.example", origin.address, &key);
    let weir = Weir::start(&(by_ip + &by_header));

    for last in [11, 12, 13] {
        let (replies, _) = burst(&mut Client::connect_from(ip(last), weir.http), "ip.example", "/", 9);
        assert_eq!((count(&replies, 200), count(&replies, 429)), (6, 3), "127.0.0.{last}");
    }
    // Two tenants at one address, one tenant at two addresses, and those without the header by their address.
    let ask = |last: u8, fields: &str, n: usize| {
        let mut client = Client::connect_from(ip(last), weir.http);
        (0..n).filter(|_| client.get_with("header.example", "/", fields).status == 200).count()
    };
    assert_eq!(ask(21, "X-Tenant: red\r\n", 9), 6);
    assert_eq!(ask(22, "x-tenant: red\r\n", 9), 0);
    assert_eq!(ask(21, "X-Tenant: blue\r\n", 9), 6);
    assert_eq!(ask(21, "", 9), 6);
    assert_eq!(ask(22, "", 9), 6);
    assert_eq!(ask(21, "", 1), 0);
}

#[test]
fn overrides_have_numbers_and_counters_of_their_own() {
    let origin = Origin::echo();
    let annotations =
        [("limit-rph", "4"), ("limit-overrides", "[{path: /login, rph: 2}, {path: /upload, body: 10}]")];
    let weir = Weir::start(&ingress("over", "over.example", origin.address, &annotations));
    let mut client = Client::connect(weir.http);
    let mut passed = |path: &str, n| count(&burst(&mut client, "over.example", path, n).0, 200);
    assert_eq!(passed("/login/form", 20), 11);
    assert_eq!(passed("/%6Cogin", 3), 0, "another spelling is the same path");
    assert_eq!(passed("/loginx", 5), 5);
    assert_eq!(passed("/", 30), 16, "21 at once, of which 5 are gone");
    assert_eq!(client.post("over.example", "/upload", &[b'x'; 11]).status, 413);
}

#[test]
fn exempt_addresses_are_neither_limited_nor_counted() {
    let origin = Origin::echo();
    let annotations =
        [("limit-rph", "1"), ("nginx.ingress.kubernetes.io/limit-whitelist", "127.0.0.32/31, 192.0.2.1")];
    let weir = Weir::start(&ingress("exempt", "exempt.example", origin.address, &annotations));
    for last in [32, 33] {
        let mut client = Client::connect_from(ip(last), weir.http);
        assert_eq!(count(&burst(&mut client, "exempt.example", "/", 25).0, 200), 25);
    }
    let cells = r#"weir_limiter_cells{table="rates"}"#;
    assert_eq!(weir.metric(cells), Some(0.0), "an exempt client was recorded");
    let mut client = Client::connect_from(ip(34), weir.http);
    assert_eq!(count(&burst(&mut client, "exempt.example", "/", 25).0, 200), 6);
    assert_eq!(weir.metric(cells), Some(1.0));
}

/// An origin whose `/slow` waits at a gate; `/slow-failure` closes without an answer after that.
pub fn slow_origin() -> (Origin, Gate) {
    let gate = Gate::default();
    let at = gate.clone();
    let origin = Origin::start(move |request| {
        if request.target.starts_with("/slow") {
            at.pass();
        }
        match request.target.as_str() {
            "/slow-failure" => Reaction::WriteAndClose(Vec::new()),
            "/slow-half" => {
                Reaction::WriteAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into())
            }
            _ => Reaction::ok("done"),
        }
    });
    (origin, gate)
}

pub fn open_request(to: SocketAddr, host: &str, path: &str) -> Client {
    let mut client = Client::connect(to);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client
}

#[test]
fn limit_connections_admits_so_many_at_once_and_refuses_the_others() {
    let (origin, gate) = slow_origin();
    let limit = [("nginx.ingress.kubernetes.io/limit-connections", "8")];
    let weir = Weir::start(&ingress("slow", "slow.example", origin.address, &limit));
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = open_request(weir.http, "slow.example", "/slow");
            std::thread::spawn(move || client.read("GET"))
        })
        .collect();
    // All refusals are there while the eight wait.
    until("twelve refusals", || clients.iter().filter(|client| client.is_finished()).count() == 12);
    gate.wait_for(8);
    assert_eq!(get(weir.http, "slow.example", "/other").status, 429, "every path of the object counts");
    let other = Client::connect_from(ip(40), weir.http).get("slow.example", "/other");
    assert_eq!(other.status, 200, "another client is not affected");
    gate.open(8);
    let replies: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert_eq!((count(&replies, 200), count(&replies, 429)), (8, 12));
    assert_eq!(gate.most(), 8);
    let refused = replies.iter().find(|reply| reply.status == 429).unwrap();
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(get(weir.http, "slow.example", "/other").status, 200, "the permits came back");
}

/// Waits until a request with one permit passes again.
fn until_free(weir: &Weir, host: &str) {
    until("the permit comes back", || get(weir.http, host, "/quick").status == 200);
}

#[test]
fn a_permit_comes_back_when_the_client_goes_away() {
    let (origin, gate) = slow_origin();
    let hosts = ["a.example", "b.example", "c.example"];
    let manifests: String =
        hosts.map(|host| ingress(&host[..1], host, origin.address, &[("limit-connections", "1")])).concat();
    let weir = Weir::start(&manifests);
    for (n, host) in (1..).zip(hosts) {
        let client = open_request(weir.http, host, "/slow");
        gate.wait_for(n);
        assert_eq!(get(weir.http, host, "/quick").status, 429);
        drop(client);
        until_free(&weir, host);
    }
    gate.open(3);
}

#[test]
fn a_permit_comes_back_when_the_origin_fails() {
    let (origin, gate) = slow_origin();
    let annotations = [("limit-connections", "1"), ("proxy-next-upstream", "off")];
    let manifests = ingress("none", "none.example", origin.address, &annotations)
        + &ingress("half", "half.example", origin.address, &annotations);
    let weir = Weir::start(&manifests);
    for (host, path) in [("none.example", "/slow-failure"), ("half.example", "/slow-half")] {
        let mut client = open_request(weir.http, host, path);
        gate.wait_for(1);
        assert_eq!(get(weir.http, host, "/quick").status, 429);
        gate.open(1);
        match path {
            "/slow-failure" => assert_eq!(client.read("GET").status, 502),
            _ => assert!(client.try_read("GET").is_err(), "half a response passes for a whole one"),
        }
        until_free(&weir, host);
    }
}

#[test]
fn a_websocket_holds_a_permit_for_its_life() {
    let origin = Origin::start(|request| match request.header("upgrade") {
        None => Reaction::ok("plain"),
        Some(_) => Reaction::Take(Box::new(|stream| {
            use std::io::{Read, Write};
            let head =
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            let mut block = [0; 64];
            while let Ok(n) = stream.read(&mut block)
                && n > 0
                && stream.write_all(&block[..n]).is_ok()
            {}
        })),
    });
    let weir = Weir::start(&ingress("ws", "ws.example", origin.address, &[("limit-connections", "2")]));
    let mut socket = Client::connect(weir.http);
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(socket.get_with("ws.example", "/chat", fields).status, 101);
    let mut second = Client::connect(weir.http);
    assert_eq!(second.get_with("ws.example", "/chat", fields).status, 101);
    socket.send("hello");
    assert_eq!(socket.exactly(5).unwrap(), b"hello");
    assert_eq!(get(weir.http, "ws.example", "/quick").status, 429);
    drop(second);
    until_free(&weir, "ws.example");
    socket.send("still");
    assert_eq!(socket.exactly(5).unwrap(), b"still");
}

#[test]
fn observe_counts_and_refuses_nobody() {
    let origin = Origin::echo();
    let annotations = [("limit-rph", "1"), ("limit-mode", "observe")];
    let weir = Weir::start(&ingress("watch", "watch.example", origin.address, &annotations));
    let (replies, _) = burst(&mut Client::connect(weir.http), "watch.example", "/", 15);
    assert_eq!(count(&replies, 200), 15);
    let series = r#"weir_refusals_total{namespace="default",ingress="watch",rule="limit-rph",reason="rate",mode="observe"}"#;
    until("the metrics say so", || weir.metric(series) == Some(9.0));
}

#[test]
fn a_class_default_of_the_configmap_limits_objects_that_say_nothing() {
    let origin = Origin::echo();
    let manifests = ingress("silent", "silent.example", origin.address, &[])
        + &ingress("own", "own.example", origin.address, &[("limit-rph", "3")])
        + &ingress("off", "off.example", origin.address, &[("limit-rph", "0")])
        + &settings(&[("limit-rph", "2")]);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    let mut client = Client::connect(weir.http);
    let mut passed = |host| count(&burst(&mut client, host, "/", 30).0, 200);
    assert_eq!((passed("silent.example"), passed("own.example"), passed("off.example")), (11, 16, 30));
}

#[test]
fn a_client_that_waits_for_its_answers_has_one_request_in_flight() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/large" => Reaction::ok(vec![b'x'; 60_000]),
        _ => Reaction::ok("small"),
    });
    let manifests = ingress("one", "one.example", origin.address, &[("limit-connections", "1")]);
    for lane in ["auto", "pingora"] {
        let weir = Weir::start_with(&manifests, &["--lane", lane]);
        let mut kept = Client::connect(weir.http);
        for _ in 0..200 {
            assert_eq!(kept.get("one.example", "/").status, 200);
        }
        // Connections to any worker: the one that has just answered may still be about to note that.
        for path in ["/", "/large"] {
            let refused = (0..300).filter(|_| get(weir.http, "one.example", path).status != 200).count();
            assert_eq!(refused, 0, "{path} through {lane}");
        }
    }
}
