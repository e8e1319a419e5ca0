//! Clients that take their time, and clients that want two parties to read one request in two ways.

use crate::support::{Client, LANES, Lane, Origin, PATIENCE, WITH_SETTINGS, Weir, ingress, settings};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn start(lane: Lane, origin: &Origin, flags: &[&str]) -> Weir {
    lane.start(&ingress("web", "", origin.address, &[]), flags)
}

/// Sends `bytes` one at a time, each when nothing has come back for a moment. Returns what came back.
pub fn dribble(client: &Client, mut bytes: impl Iterator<Item = u8>) -> String {
    dribble_until(client, &mut bytes, |_, _| false)
}

/// As [`dribble`], until the connection ends or `done` says so of what came back and of how many bytes are left.
pub fn dribble_until(
    client: &Client,
    bytes: &mut impl Iterator<Item = u8>,
    done: impl Fn(&str, usize) -> bool,
) -> String {
    let mut stream = client.stream();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (mut got, mut block, began) = (Vec::new(), [0; 4096], Instant::now());
    while began.elapsed() < PATIENCE {
        if done(&String::from_utf8_lossy(&got), bytes.size_hint().0) {
            return String::from_utf8_lossy(&got).into_owned();
        }
        match stream.read(&mut block) {
            Ok(0) => return String::from_utf8_lossy(&got).into_owned(),
            Ok(n) => got.extend_from_slice(&block[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if let Some(byte) = bytes.next() {
                    let _ = stream.write_all(&[byte]);
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the connection stays")
}

#[test]
fn a_head_that_dribbles_ends_at_its_deadline() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &["--head-timeout", "500ms"]);
        let client = Client::connect(weir.http);
        let began = Instant::now();
        let endless =
            b"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: ".iter().copied().chain(std::iter::repeat(b'a'));
        let answer = dribble(&client, endless);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{lane:?}: {answer}");
        assert!(began.elapsed() >= Duration::from_millis(490));
        assert!(origin.seen().is_empty());
    }
}

#[test]
fn a_body_that_stops_ends_at_its_deadline() {
    for lane in LANES {
        for (framing, part) in [
            ("Content-Length: 100", "short"),
            ("Content-Length: 100000", "short"),
            ("Transfer-Encoding: chunked", "5\r\nshort\r\n"),
        ] {
            let origin = Origin::echo();
            let weir = start(lane, &origin, &["--body-timeout", "300ms"]);
            let mut client = Client::connect(weir.http);
            client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n{part}"));
            let answer = String::from_utf8(client.rest().unwrap()).unwrap();
            assert!(answer.starts_with("HTTP/1.1 408 "), "{lane:?}, {framing}: {answer:?}");
        }
    }
}

#[test]
fn a_connection_has_so_many_requests_and_is_told_at_the_last() {
    for lane in LANES {
        let origin = Origin::echo();
        let manifests = ingress("web", "", origin.address, &[]) + &settings(&[("keep-alive-requests", "3")]);
        let weir = lane.start(&manifests, &WITH_SETTINGS);
        let mut client = Client::connect(weir.http);
        for n in 1..=3 {
            // By each lane, and whether or not it passes.
            let reply = match n {
                2 => client.post("a.test", "/", &[b'x'; 100_000]),
                _ => client.get("a.test", "/"),
            };
            let last = reply.header("connection") == Some("close");
            assert_eq!((reply.status, last), (200, n == 3), "{lane:?}, {n}");
        }
        assert!(client.is_closed(), "{lane:?}");
        // A change holds for connections that are there.
        let mut client = Client::connect(weir.http);
        assert_eq!(client.get("a.test", "/").status, 200);
        weir.apply(&(ingress("web", "", origin.address, &[]) + &settings(&[("keep-alive-requests", "2")])));
        weir.until("it is in force", || {
            let mut other = Client::connect(weir.http);
            other.get("a.test", "/").status == 200
                && other.get("a.test", "/").header("connection") == Some("close")
        });
        assert_eq!(client.get("a.test", "/").header("connection"), Some("close"), "{lane:?}");
    }
}

#[test]
fn a_body_that_dribbles_is_too_slow_however_small_the_pauses() {
    for lane in LANES {
        let origin = Origin::echo();
        let manifests = ingress("web", "a.test", origin.address, &[])
            + &ingress("shut", "shut.test", origin.address, &[("allowlist-source-range", "192.0.2.1")]);
        let weir = lane.start(&manifests, &["--body-timeout", "300ms"]);
        // Held until it is whole; and refused, received and dropped, so that the connection can stay.
        for (host, first) in [("a.test", "HTTP/1.1 408 "), ("shut.test", "HTTP/1.1 403 ")] {
            let mut client = Client::connect(weir.http);
            client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\n\r\n"));
            let began = Instant::now();
            let answer = dribble(&client, std::iter::repeat(b'x'));
            assert!(answer.starts_with(first), "{lane:?}, {host}: {answer}");
            assert!(began.elapsed() < PATIENCE / 2, "{lane:?}, {host}: {:?}", began.elapsed());
        }
        assert!(origin.seen().is_empty());
        assert_eq!(
            weir.metric(r#"weir_client_aborts_total{stage="body",reason="timeout"}"#),
            Some(2.0),
            "{lane:?}"
        );
    }
}

/// As [`a_body_that_dribbles_is_too_slow_however_small_the_pauses`], where the ConfigMap is content with less.
#[test]
fn how_slow_a_body_may_be_is_for_the_configmap_to_say() {
    for lane in LANES {
        let origin = Origin::echo();
        let manifests = ingress("web", "a.test", origin.address, &[])
            + &ingress("shut", "shut.test", origin.address, &[("allowlist-source-range", "192.0.2.1")])
            + &settings(&[("body-min-rate", "2")]);
        let weir = lane.start(&manifests, &[&WITH_SETTINGS[..], &["--body-timeout", "400ms"]].concat());
        for (host, first) in [("a.test", "HTTP/1.1 200 "), ("shut.test", "HTTP/1.1 403 ")] {
            let mut client = Client::connect(weir.http);
            client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 40\r\n\r\n"));
            let began = Instant::now();
            let mut left = std::iter::repeat_n(b'x', 40);
            let answer = dribble_until(&client, &mut left, |got, left| left == 0 && got.contains("\r\n\r\n"));
            assert!(answer.starts_with(first), "{lane:?}, {host}: {answer}");
            assert!(began.elapsed() > Duration::from_millis(500), "{lane:?}, {host}: {:?}", began.elapsed());
            // The connection has stayed.
            client.stream().set_read_timeout(Some(PATIENCE)).unwrap();
            assert_eq!(client.get("a.test", "/").status, 200, "{lane:?}, {host}");
        }
    }
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_counted() {
    for lane in LANES {
        // Larger than what the system holds for anybody; by Content-Length and in chunks.
        let (whole, length) = (vec![b'x'; 32 << 20], 32 << 20);
        let origin = Origin::start(move |request| {
            let head = match request.target.as_str() {
                "/length" => format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"),
                _ => format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n"),
            };
            crate::support::Reaction::WriteAndClose([head.as_bytes(), &whole].concat())
        });
        let weir = start(lane, &origin, &["--write-timeout", "300ms"]);
        for (n, target) in [(1.0, "/length"), (2.0, "/chunks")] {
            let mut client = Client::connect(weir.http);
            client.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
            weir.until("it is cut off", || {
                weir.metric(r#"weir_client_aborts_total{stage="response",reason="timeout"}"#) == Some(n)
                    && weir.metric("weir_connections_open") == Some(0.0)
            });
        }
    }
}

/// What is taken from an origin for somebody who does not read lies in buffers of the system, where no limit of ours but
/// the number of sockets bounds it.
#[test]
fn little_is_taken_from_an_origin_for_a_client_that_does_not_read() {
    for lane in LANES {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let origin = Origin::start(move |_| {
            let count = count.clone();
            crate::support::Reaction::Take(Box::new(move |stream| {
                // Of our own side as little as can be.
                socket2::SockRef::from(&*stream).set_send_buffer_size(4096).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n").unwrap();
                let block = [b'x'; 4096];
                while stream.write_all(&block).is_ok() {
                    count.fetch_add(block.len(), Ordering::SeqCst);
                }
            }))
        });
        let weir = start(lane, &origin, &["--write-timeout", "1s"]);
        let mut client = Client::connect(weir.http);
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        weir.until("it is cut off", || {
            weir.metric(r#"weir_client_aborts_total{stage="response",reason="timeout"}"#) == Some(1.0)
        });
        let taken = taken.load(Ordering::SeqCst);
        println!("{lane:?}: {} KiB", taken >> 10);
        // Without a bound it was nearly six megabytes.
        assert!(taken < 2 << 20, "{lane:?}: {taken}");
    }
}

#[test]
fn an_idle_connection_closes_without_a_word() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &["--idle-timeout", "300ms"]);
        let mut once = Client::connect(weir.http);
        assert_eq!(once.get("a.test", "/").status, 200);
        assert!(once.is_closed(), "{lane:?}");
    }
}

#[test]
fn idle_connections_cost_little_memory() {
    const MANY: usize = 2_000;
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &[]);
        // What is there for the first connections is there for all.
        let mut clients: Vec<Client> = (0..50).map(|_| Client::connect(weir.http)).collect();
        let ask = |client: &mut Client| assert_eq!(client.get("a.test", "/").status, 200);
        clients.iter_mut().for_each(ask);
        let before = weir.resident();
        for _ in 0..MANY {
            let mut client = Client::connect(weir.http);
            ask(&mut client);
            clients.push(client);
        }
        let each = weir.resident().saturating_sub(before) / MANY as u64;
        println!("{lane:?}: an idle connection takes {each} bytes");
        let most = if cfg!(debug_assertions) { 16 * 1024 } else { 6 * 1024 };
        assert!(each < most, "{lane:?}: {each}");
        clients.iter_mut().rev().take(10).for_each(ask);
    }
}

/// What is made of an ambiguous request.
enum Made {
    /// It is refused and the connection closed.
    Refused(u16),
    /// It has one reading, and what follows is the next request.
    Served,
}
use Made::{Refused, Served};

const MARKER: &str = "GET /marker HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/// Requests in which one party could see another end than the next. `@` is the beginning of a plain POST.
const AMBIGUOUS: &[(&str, Made)] = &[
    ("@Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", Refused(501)),
    ("@Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Refused(501)),
    ("@Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@ Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@X: y\0\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Content-Length: 0\r\nContent-Length: 70\r\n\r\n", Refused(400)),
    ("@Content-Length: 0\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Content-Length: 0, 0\r\n\r\n", Refused(400)),
    ("@Content-Length: +0\r\n\r\n", Refused(400)),
    ("@Content-Length: -1\r\n\r\n", Refused(400)),
    ("@Content-Length: 0x0\r\n\r\n", Refused(400)),
    ("@Content-Length: 0 0\r\n\r\n", Refused(400)),
    ("@Content-Length:\r\n\r\n", Refused(400)),
    ("@Content-Length: 18446744073709551616\r\n\r\n", Refused(400)),
    ("@Content-Length : 0\r\n\r\n", Refused(400)),
    ("@Content-Length: 0\n\r\n", Refused(400)),
    ("@Content-Length: 0\r\n\n", Refused(400)),
    ("@Content-Length: 0\r\nHost: b.test\r\n\r\n", Refused(400)),
    ("@Content-Length: 0\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("@Connection: Content-Length\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n0\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n0\r\n\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n0;a\rb\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n0 1\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", Refused(400)),
    ("GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a.test b.test\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\r\nHost: x@a.test\r\n\r\n", Refused(400)),
    ("GET /\0 HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET / x HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET / HTTP/1.1\nHost: a.test\n\n", Refused(400)),
    ("POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("GET /\r\n\r\n", Refused(400)),
    ("@Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", Served),
    ("@Transfer-Encoding:\tchunked \r\n\r\n0\r\n\r\n", Served),
    ("@Transfer-Encoding: chunked\r\n\r\n0;a=b\r\nX: y\r\n\r\n", Served),
    ("@Transfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n", Served),
    ("@X-Content-Length: 70\r\nContent_Length: 70\r\nContent-Length: 000\r\n\r\n", Served),
    ("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", Served),
];

#[test]
fn ambiguous_requests_smuggle_nothing() {
    let mut wrong = Vec::new();
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &["--head-timeout", "2s", "--body-timeout", "2s"]);
        for (request, made) in AMBIGUOUS {
            let before = origin.seen().len();
            let mut client = Client::connect(weir.http);
            let request = request.replace('@', "POST / HTTP/1.1\r\nHost: a.test\r\n");
            // A user is no beginning of a request.
            let request = request.replace("xPOST / HTTP/1.1\r\nHost: a.test\r\na.test", "x@a.test");
            client.send(format!("{request}{MARKER}"));
            let answers = String::from_utf8_lossy(&client.rest().unwrap_or_default()).into_owned();
            let statuses: Vec<&str> = answers
                .split("HTTP/1.1 ")
                .skip(1)
                .map(|answer| answer.get(..3).unwrap_or_default())
                .collect();
            let seen = origin.seen().split_off(before);
            let marker = seen.iter().filter(|request| request.target == "/marker").count();
            let plain = seen.iter().all(|request| is_plain(&request.raw));
            let good = match made {
                Refused(status) => statuses == [status.to_string().as_str()] && marker == 0,
                Served => statuses == ["200", "200"] && marker == 1 && seen.len() == 2,
            };
            if !good || !plain {
                wrong.push(format!("{lane:?}, {request:?}: {statuses:?}, marker {marker}, plain {plain}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Whether every parser reads this head alike.
fn is_plain(head: &str) -> bool {
    let lines: Vec<&str> = head.split("\r\n").collect();
    let count = |name: &str| {
        lines
            .iter()
            .filter(|line| line.split(':').next().unwrap_or_default().eq_ignore_ascii_case(name))
            .count()
    };
    lines.iter().all(|line| !line.contains(['\r', '\n', '\0']) && !line.starts_with([' ', '\t']))
        && count("host") == 1
        && count("content-length") + count("transfer-encoding") <= 1
}
