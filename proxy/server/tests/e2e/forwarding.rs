//! What one exchange at a time cannot show: connections with many requests, bytes in pieces, tunnels, streams, bodies
//! larger than memory may grow, and what an origin is told about a client.

use crate::support::{Client, LANES, Lane, Origin, PATIENCE, Reaction, Weir, get, ingress};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

fn start(lane: Lane, origin: &Origin, annotations: &[(&str, &str)]) -> Weir {
    lane.start(&ingress("web", "", origin.address, annotations), &[])
}

/// A sender that several threads may use, and its receiver.
fn channel<T: Send>() -> (impl Fn(T) + Send + Sync, Receiver<T>) {
    let (tx, rx): (Sender<T>, Receiver<T>) = mpsc::channel();
    let tx = Mutex::new(tx);
    (move |value| tx.lock().unwrap().send(value).unwrap_or_default(), rx)
}

#[test]
fn one_connection_takes_many_requests_and_so_does_the_origins() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        for n in 0..200 {
            assert_eq!(client.get("a.test", &format!("/{n}")).text(), format!("GET /{n}"));
            assert_eq!(client.post("a.test", &format!("/{n}"), b"body").text(), format!("POST /{n}"));
        }
        assert_eq!(origin.connections(), 1, "{lane:?}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    for lane in LANES {
        let origin = Origin::start(|request| {
            Reaction::ok(format!(
                "{} {} {}",
                request.method,
                request.target,
                String::from_utf8_lossy(&request.body)
            ))
        });
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        client.send(
            "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n\
             POST /2 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
             GET /3 HTTP/1.1\r\nHost: a.test\r\n\r\n\
             POST /4 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\ndef\
             GET /5 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
        );
        let answers = ["GET /1 ", "POST /2 abc", "GET /3 ", "POST /4 def", "GET /5 "];
        assert_eq!(answers.map(|_| client.read("").text()), answers, "{lane:?}");
        assert!(client.is_closed());
    }
}

#[test]
fn more_requests_than_a_buffer_holds_may_be_sent_ahead() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        let all: String = (0..1000).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a.test\r\n\r\n")).collect();
        let mut half = client.stream().try_clone().unwrap();
        let sender = std::thread::spawn(move || half.write_all(all.as_bytes()).unwrap());
        for n in 0..1000 {
            assert_eq!(client.read("GET").text(), format!("GET /{n}"), "{lane:?}");
        }
        sender.join().unwrap();
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    for lane in LANES {
        let origin = Origin::start(|request| Reaction::ok(&request.body));
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        for request in [
            "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
            "\r\n\r\nPOST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
            "POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-A: b\r\n\r\n",
        ] {
            request.as_bytes().chunks(1).for_each(|byte| client.send(byte));
            assert_eq!(client.read("POST").text(), "hello", "{lane:?}");
        }
    }
}

#[test]
fn a_response_may_come_byte_by_byte() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            while let Some(request) = peer.request() {
                let body = match request.target.as_str() {
                    "/length" => "Content-Length: 5\r\n\r\nhello",
                    _ => "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
                };
                let answer = format!("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n{body}");
                answer.as_bytes().chunks(1).for_each(|byte| _ = peer.write(byte));
            }
        });
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        for target in ["/length", "/chunks", "/length"] {
            let reply = client.get("a.test", target);
            assert_eq!((reply.text().as_str(), &reply.interim[..]), ("hello", &[103][..]), "{lane:?}");
        }
    }
}

/// The whole list: nothing else is told, nothing is told twice.
#[test]
fn what_an_origin_is_told_about_a_client() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        let port = weir.http.port().to_string();
        let told = |n: usize| {
            let mut fields: Vec<(String, String)> = origin.seen()[n]
                .headers
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.clone()))
                .collect();
            fields.sort();
            fields
        };
        let expected = |more: &[(&str, &str)]| {
            let common = [
                ("host", "A.test:81"),
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-host", "A.test:81"),
                ("x-forwarded-port", &port),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-scheme", "http"),
                ("x-real-ip", "127.0.0.1"),
                ("x-scheme", "http"),
            ];
            let all = common.iter().chain(more);
            let mut all: Vec<(String, String)> =
                all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            all.sort();
            all
        };

        assert_eq!(client.get("A.test:81", "/").status, 200);
        let fields = told(0);
        let id = fields.iter().find(|(name, _)| name == "x-request-id").unwrap().1.clone();
        assert!(
            id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
            "{id}"
        );
        assert_eq!(fields, expected(&[("x-request-id", &id)]), "{lane:?}");

        let forged = "Accept: */*\r\nX-Request-ID: my-id-1\r\nX-Forwarded-For: 10.9.9.9\r\n\
                      x-forwarded-for: 10.8.8.8\r\nX-Real-IP: 10.9.9.9\r\nForwarded: for=10.9.9.9\r\n\
                      X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 444\r\nX-Forwarded-Proto: https\r\n\
                      X-Forwarded-Scheme: https\r\nX-Scheme: https\r\nX-Original-Forwarded-For: 10.7.7.7\r\n\
                      X_Forwarded_For: 10.6.6.6\r\nX_Real-IP: 10.6.6.6\r\nProxy: http://evil.test\r\n\
                      Proxy-Authorization: Basic eDp5\r\nUser-Agent: t\r\n";
        assert_eq!(client.get_with("A.test:81", "/", forged).status, 200);
        let more = [
            ("accept", "*/*"),
            ("user-agent", "t"),
            ("x-request-id", "my-id-1"),
            ("x-original-forwarded-for", "10.9.9.9, 10.8.8.8"),
            ("x-original-forwarded-host", "evil.test"),
        ];
        assert_eq!(told(1), expected(&more), "{lane:?}");
    }
}

#[test]
fn every_request_has_an_id_of_its_own() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        (0..50).for_each(|_| assert_eq!(client.get("a.test", "/").status, 200));
        let ids: std::collections::HashSet<String> =
            origin.seen().iter().map(|request| request.header("x-request-id").unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 50);
    }
}

#[test]
fn a_client_that_waits_is_told_to_continue_by_the_origin() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            while let Some(mut request) = peer.head() {
                assert_eq!(request.header("expect"), Some("100-continue"));
                if request.target == "/no" {
                    // Without having seen the body.
                    peer.write("HTTP/1.1 417 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
                    return;
                }
                peer.write("HTTP/1.1 100 Continue\r\n\r\n");
                peer.body(&mut request).unwrap();
                let body = String::from_utf8(request.body).unwrap();
                peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
            }
        });
        let weir = start(lane, &origin, &[]);
        let head = "HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n";
        // Having waited costs no connection.
        let mut client = Client::connect(weir.http);
        for (framing, body) in
            [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
        {
            client.send(format!("POST /yes {head}{framing}\r\n\r\n"));
            let head = client.read_head().unwrap_or_else(|error| panic!("{lane:?}, {framing}: {error}"));
            assert_eq!(head.status, 100, "{lane:?}, {framing}");
            client.send(body);
            let reply = client.read("POST");
            assert_eq!((reply.text().as_str(), reply.header("connection")), ("hello", Some("keep-alive")));
        }
        client.send(format!("POST /no {head}Content-Length: 5\r\n\r\n"));
        let reply = client.read("POST");
        assert_eq!((reply.status, reply.text().as_str(), reply.interim.len()), (417, "no", 0), "{lane:?}");
    }
}

/// Whatever happens to the rest of this body, it is not the next request.
#[test]
fn a_body_that_nobody_waits_for_is_no_request() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            peer.head();
            peer.write("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        });
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        let inner = "GET /inner HTTP/1.1\r\nHost: a.test\r\n\r\n";
        let fill = "x".repeat(40_000);
        let length = inner.len() + fill.len();
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n{fill}"));
        let reply = client.read("POST");
        assert_eq!(reply.status, 403, "{lane:?}");
        let _ = client.try_send(inner);
        let _ = client.rest();
        assert!(origin.seen().iter().all(|request| request.target != "/inner"), "{lane:?}");
    }
}

/// An origin that takes up whatever protocol is offered and repeats what it hears.
fn tunnelling() -> Origin {
    Origin::raw(|peer| {
        let Some(request) = peer.request() else { return };
        let Some(protocol) = request.header("upgrade") else {
            peer.write("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
            return;
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nwelcome"
        );
        peer.write(answer);
        let (mut stream, mut answers) = (peer.stream.try_clone().unwrap(), peer.stream.try_clone().unwrap());
        // It never stops reading because it cannot write: pingora's tunnels would wait for it and it for them.
        let (tx, rx) = mpsc::channel::<Vec<u8>>();
        let writer = std::thread::spawn(move || rx.iter().all(|bytes| answers.write_all(&bytes).is_ok()));
        let mut block = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = stream.read(&mut block) {
            if block[..n].ends_with(b"bye") || tx.send(block[..n].to_vec()).is_err() {
                break;
            }
        }
        drop(tx);
        writer.join().unwrap();
    })
}

#[test]
fn tunnels_carry_any_protocol_both_ways_until_either_end_closes() {
    const MUCH: usize = 8 << 20;
    for lane in LANES {
        let origin = tunnelling();
        let weir = start(lane, &origin, &[]);
        for protocol in ["websocket", "chat/2"] {
            let upgrade = |client: &mut Client| {
                client.send(format!(
                    "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                ));
                let reply = client.read_head().unwrap();
                assert_eq!(reply.status, 101, "{lane:?}, {protocol}");
                assert_eq!(reply.header("upgrade"), Some(protocol));
                assert_eq!(reply.header("connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
                assert!(reply.header("sec-websocket-accept").is_some());
                assert_eq!(client.exactly(7).unwrap(), b"welcome");
            };
            let mut client = Client::connect(weir.http);
            upgrade(&mut client);
            let mut half = client.stream().try_clone().unwrap();
            let sender = std::thread::spawn(move || {
                let block: Vec<u8> = (0..=255).cycle().take(64 * 1024).collect();
                (0..MUCH / block.len()).for_each(|_| half.write_all(&block).unwrap());
            });
            let echo = client.exactly(MUCH).unwrap();
            assert!(echo.iter().enumerate().all(|(at, byte)| *byte == at as u8), "{lane:?}, {protocol}");
            sender.join().unwrap();
            // The origin closes.
            client.send("bye");
            assert!(client.is_closed(), "{lane:?}, {protocol}");
        }
    }
}

#[test]
fn a_client_that_closes_its_tunnel_closes_the_origins_end() {
    for lane in LANES {
        let (closed, told) = channel();
        let origin = Origin::raw(move |peer| {
            peer.request();
            peer.write(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            );
            closed(peer.skip(u64::MAX));
        });
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(client.read_head().unwrap().status, 101);
        client.send("hello");
        drop(client);
        assert_eq!(told.recv_timeout(PATIENCE), Ok(5), "{lane:?}");
    }
}

#[test]
fn an_upgrade_to_another_version_of_http_is_not_offered() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = start(lane, &origin, &[]);
        let fields =
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
        assert_eq!(Client::connect(weir.http).get_with("a.test", "/", fields).status, 200);
        assert_eq!(origin.seen()[0].header("upgrade"), None);
        assert_eq!(origin.seen()[0].header("connection"), None);
        assert_eq!(origin.seen()[0].header("http2-settings"), None);
    }
}

#[test]
fn each_event_arrives_before_the_next_is_made() {
    for lane in LANES {
        for framing in ["Transfer-Encoding: chunked", "Connection: close", "Content-Length: 90"] {
            let (arrived, wait) = mpsc::channel();
            let wait = Mutex::new(wait);
            let origin = Origin::raw(move |peer| {
                peer.request();
                peer.write(format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n"
                ));
                for n in 0..10 {
                    let event = format!("data: {n}\n\n");
                    match framing {
                        "Transfer-Encoding: chunked" => peer.write(format!("9\r\n{event}\r\n")),
                        _ => peer.write(event),
                    };
                    if wait.lock().unwrap().recv_timeout(PATIENCE).is_err() {
                        return;
                    }
                }
            });
            let weir = start(lane, &origin, &[]);
            let mut client = Client::connect(weir.http);
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\nAccept: text/event-stream\r\n\r\n");
            let head = client.read_head().unwrap();
            assert_eq!(head.status, 200);
            let chunked = head.header("transfer-encoding").is_some();
            for n in 0..10 {
                let event = format!("data: {n}\n\n");
                let expected = if chunked { format!("9\r\n{event}\r\n") } else { event };
                let got = client.exactly(expected.len()).expect("an event");
                assert_eq!(String::from_utf8_lossy(&got), expected, "{lane:?}, {framing}");
                arrived.send(()).unwrap();
            }
        }
    }
}

/// Bytes of the bodies that must pass in constant memory.
const BULK: u64 = 256 << 20;
/// What weir may grow by while they do.
const GROWTH: u64 = 48 << 20;

#[test]
fn large_downloads_take_no_memory() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            while let Some(request) = peer.request() {
                let block = vec![b'x'; 1 << 20];
                let chunked = request.target == "/chunked";
                peer.write(match chunked {
                    true => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
                    false => format!("HTTP/1.1 200 OK\r\nContent-Length: {BULK}\r\n\r\n"),
                });
                for _ in 0..BULK / block.len() as u64 {
                    let sent = match chunked {
                        true => peer.write("100000\r\n") && peer.write(&block) && peer.write("\r\n"),
                        false => peer.write(&block),
                    };
                    if !sent {
                        return;
                    }
                }
                if chunked {
                    peer.write("0\r\n\r\n");
                }
            }
        });
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        let before = weir.peak_resident();
        client.send("GET /length HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(client.read_head().unwrap().header("content-length"), Some(BULK.to_string().as_str()));
        client.skip(BULK).unwrap();
        client.send("GET /chunked HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        assert_eq!(client.read_head().unwrap().header("transfer-encoding"), Some("chunked"));
        client.skip(BULK).unwrap();
        assert!(client.rest().unwrap().ends_with(b"0\r\n\r\n"));
        let growth = weir.peak_resident() - before;
        println!("{lane:?}: {BULK} bytes down twice, {} KiB more", growth / 1024);
        assert!(growth < GROWTH, "{lane:?}: {growth}");
    }
}

#[test]
fn large_uploads_take_no_memory() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            while let Some(request) = peer.head() {
                let length: u64 = match request.header("content-length") {
                    Some(length) => length.parse().unwrap(),
                    // Each chunk may come in another size than it was sent.
                    None => u64::MAX,
                };
                let count = peer.skip(length).to_string();
                peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{count}", count.len()));
            }
        });
        let weir = start(lane, &origin, &[("proxy-body-size", "0")]);
        let mut client = Client::connect(weir.http);
        let before = weir.peak_resident();
        let block = vec![b'x'; 1 << 20];
        client.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {BULK}\r\n\r\n"));
        (0..BULK / block.len() as u64).for_each(|_| client.send(&block));
        assert_eq!(client.read("PUT").text(), BULK.to_string());
        client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..BULK / block.len() as u64 {
            client.send("100000\r\n");
            client.send(&block);
            client.send("\r\n");
        }
        let growth = weir.peak_resident() - before;
        println!("{lane:?}: {BULK} bytes up twice, {} KiB more", growth / 1024);
        assert!(growth < GROWTH, "{lane:?}: {growth}");
    }
}

#[test]
fn a_slow_reader_holds_the_origin_back() {
    for lane in LANES {
        for framing in ["Content-Length: 1073741824", "Transfer-Encoding: chunked"] {
            let (blocked, told) = channel();
            let origin = Origin::raw(move |peer| {
                peer.request();
                peer.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
                if framing.starts_with('T') {
                    peer.write("40000000\r\n");
                }
                // Nobody has taken a byte for so long: all buffers on the way are full.
                peer.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
                let block = vec![b'x'; 64 * 1024];
                let mut count = 0u64;
                while let Ok(n @ 1..) = peer.stream.write(&block) {
                    count += n as u64;
                }
                blocked(count);
                peer.skip(u64::MAX);
            });
            let weir = start(lane, &origin, &[]);
            let before = weir.resident();
            let mut client = Client::connect(weir.http);
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            assert_eq!(client.read_head().unwrap().status, 200);
            let count = told.recv_timeout(PATIENCE).expect("the origin is held back");
            assert!(count < 64 << 20, "{lane:?}, {framing}: {count} bytes are on the way");
            let growth = weir.resident().saturating_sub(before);
            assert!(growth < 16 << 20, "{lane:?}, {framing}: {growth}");
        }
    }
}

#[test]
fn a_client_that_leaves_while_the_origin_thinks_ends_the_origins_work() {
    for lane in LANES {
        for request in [
            "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi",
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ] {
            let (event, told) = channel();
            let origin = Origin::raw(move |peer| {
                peer.request();
                event("asked");
                peer.skip(u64::MAX);
                event("closed");
            });
            let weir = start(lane, &origin, &[]);
            let mut client = Client::connect(weir.http);
            client.send(request);
            assert_eq!(told.recv_timeout(PATIENCE), Ok("asked"));
            drop(client);
            assert_eq!(told.recv_timeout(PATIENCE), Ok("closed"), "{lane:?}, {request:?}");
        }
    }
}

#[test]
fn a_client_that_leaves_in_a_response_ends_the_origins_work() {
    for lane in LANES {
        for framing in ["Content-Length: 1073741824", "Content-Length: 20", "Transfer-Encoding: chunked"] {
            let (event, told) = channel();
            let origin = Origin::raw(move |peer| {
                peer.request();
                peer.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nhello\r\n"));
                peer.skip(u64::MAX);
                event("closed");
            });
            let weir = start(lane, &origin, &[]);
            let mut client = Client::connect(weir.http);
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            assert_eq!(client.read_head().unwrap().status, 200);
            drop(client);
            assert_eq!(told.recv_timeout(PATIENCE), Ok("closed"), "{lane:?}, {framing}");
        }
    }
}

/// A body without its end must not look like a shorter one.
#[test]
fn a_client_that_leaves_in_its_body_leaves_the_origin_without_an_end() {
    for lane in LANES {
        for (framing, part) in [
            ("Content-Length: 50000", "x".repeat(30_000)),
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n".to_owned()),
        ] {
            let (event, told) = channel();
            let origin = Origin::raw(move |peer| {
                let Some(mut request) = peer.head() else { return };
                event(None);
                event(Some(peer.body(&mut request).is_some()));
            });
            let weir = start(lane, &origin, &[]);
            let mut client = Client::connect(weir.http);
            client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n{part}"));
            assert_eq!(told.recv_timeout(PATIENCE), Ok(None));
            drop(client);
            assert_eq!(told.recv_timeout(PATIENCE), Ok(Some(false)), "{lane:?}, {framing}");
        }
    }
}

#[test]
fn an_origin_may_answer_before_it_has_the_whole_body() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            peer.head();
            peer.write("HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno");
            let _ = peer.stream.shutdown(Shutdown::Write);
            peer.skip(u64::MAX);
        });
        let weir = start(lane, &origin, &[]);
        let mut client = Client::connect(weir.http);
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 500000\r\n\r\n");
        let _ = client.try_send(vec![b'x'; 100_000]);
        let reply = client.read("POST");
        assert_eq!((reply.status, reply.text().as_str()), (409, "no"), "{lane:?}");
    }
}
