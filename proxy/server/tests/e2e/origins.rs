//! Origins that fail, lie or stop: what the client gets, and that nobody else is touched by it.

use crate::support::{
    Client, LANES, Lane, Origin, PATIENCE, Peer, Reaction, Weir, case, get, ingress, run_cases,
};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, atomic};

/// A port of our own on which nobody listens yet.
struct Unused(Socket);

impl Unused {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    fn listen(self) -> TcpListener {
        self.0.listen(128).unwrap();
        self.0.into()
    }
}

/// A weir whose one Ingress leads to several endpoints.
fn start(lane: Lane, endpoints: &[SocketAddr], annotations: &[(&str, &str)]) -> Weir {
    let flags: Vec<String> =
        endpoints.iter().map(|address| format!("--backend=default/web:80={address}")).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    lane.start(&ingress("web", "", endpoints[0], annotations), &flags)
}

fn post(client: &mut Client) -> u16 {
    client.post("a.test", "/", b"body").status
}

#[test]
fn responses_that_have_no_one_reading_never_reach_a_client() {
    run_cases(
        &[
            case("no HTTP").answer("220 mail.test ESMTP\r\n\r\n").gets(502, ""),
            case("bytes").answer([0, 1, 2, 255, b'\r', b'\n', b'\r', b'\n']).gets(502, ""),
            case("another version").answer("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok").gets(502, ""),
            case("a status that is none")
                .answer("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok")
                .gets(502, ""),
            case("different lengths")
                .answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!")
                .gets(502, ""),
            case("a signed length").answer("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok").gets(502, ""),
            case("a coding on top")
                .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
                .gets(502, ""),
            case("a coding that is none")
                .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
                .gets(502, ""),
            case("101 unasked")
                .answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
                .gets(502, ""),
            case("closed without a word").answer("").origin_closes().gets(502, ""),
            case("closed in the head").answer("HTTP/1.1 200 OK\r\nContent-Le").origin_closes().gets(502, ""),
        ],
        &[],
    );
}

/// RFC 9112 lets an intermediary mend these (sections 5.1, 5.2 and 6.3). Pingora does; the express lane takes none of it.
#[test]
fn responses_that_may_be_mended_are_refused_or_mended_before_a_client_sees_them() {
    let answers = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "X-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        "Content-Length : 2\r\n\r\nok",
    ];
    for (lane, answer) in LANES.into_iter().flat_map(|lane| answers.map(|answer| (lane, answer))) {
        let origin =
            Origin::start(move |_| Reaction::Write(format!("HTTP/1.1 200 OK\r\n{answer}").into_bytes()));
        let weir = start(lane, &[origin.address], &[]);
        let mut client = Client::connect(weir.http);
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        if lane == Lane::Auto {
            assert_eq!(client.read("GET").status, 502, "{answer:?}");
            continue;
        }
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(client.exactly(1).unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(!head.contains("\r\n ") && !head.contains(" :"), "{head}");
        let framings = head.matches("content-length:").count() + head.matches("transfer-encoding:").count();
        assert_eq!(framings, 1, "{head}");
    }
}

#[test]
fn a_response_that_breaks_off_is_never_passed_off_as_whole() {
    run_cases(
        &[
            case("closed in a body")
                .answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
                .origin_closes()
                .gets_cut(200),
            case("closed in a large body")
                .answer(
                    [b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n".to_vec(), vec![b'x'; 200_000]]
                        .concat(),
                )
                .origin_closes()
                .gets_cut(200),
            case("closed between chunks")
                .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
                .origin_closes()
                .gets_cut(200),
            case("closed in a chunk")
                .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
                .origin_closes()
                .gets_cut(200),
        ],
        &[],
    );
}

/// Sends a head and a first chunk, and once the client has them what is no chunk.
#[test]
fn a_bad_chunk_cuts_the_response() {
    for lane in LANES {
        for bad in [
            "zz\r\n",
            "-1\r\n",
            "5 5\r\n",
            "fffffffffffffffff\r\n",
            "5\r\nhello!!",
            "5\r\nhelloX\r\n0\r\n\r\n",
        ] {
            let (go, wait) = turns();
            let origin = Origin::raw(move |peer| {
                while peer.request().is_some() {
                    peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
                    wait();
                    peer.write(bad);
                    peer.skip(u64::MAX);
                }
            });
            let weir = start(lane, &[origin.address], &[]);
            let mut client = Client::connect(weir.http);
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            assert_eq!(client.read_head().unwrap().status, 200);
            assert_eq!(client.exactly(8).unwrap(), b"5\r\nfirst");
            go();
            let rest = String::from_utf8_lossy(&client.rest().expect("the end")).into_owned();
            assert!(!rest.ends_with("0\r\n\r\n"), "{lane:?}, {bad:?}: {rest:?}");
        }
    }
}

/// What follows a response on an origin's connection is not the answer to anybody's request.
#[test]
fn stray_bytes_behind_a_response_reach_nobody() {
    let stray = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
    for lane in LANES {
        for first in ["Content-Length: 2\r\n\r\nok", "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]
        {
            let origin = Origin::start(move |request| match request.target.as_str() {
                "/stray" => Reaction::Write(format!("HTTP/1.1 200 OK\r\n{first}{stray}").into_bytes()),
                _ => Reaction::ok("mine"),
            });
            let weir = start(lane, &[origin.address], &[]);
            let mut client = Client::connect(weir.http);
            client.send("GET /stray HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let reply = client.read("GET");
            assert!(reply.status == 502 || reply.text() == "ok", "{lane:?}: {reply:?}");
            assert_eq!(get(weir.http, "a.test", "/").text(), "mine", "{lane:?}");
            assert_eq!(origin.connections(), 2, "the connection was used again");
        }
    }
}

#[test]
fn stray_bytes_on_an_idle_connection_reach_nobody() {
    for lane in LANES {
        let (go, wait) = turns();
        let (done, told) = mpsc::channel();
        let done = Mutex::new(done);
        let origin = Origin::raw(move |peer| {
            while peer.request().is_some() {
                if peer.connection > 1 {
                    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine");
                    continue;
                }
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                wait();
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray");
                done.lock().unwrap().send(()).unwrap();
            }
        });
        let weir = start(lane, &[origin.address], &[]);
        let mut client = Client::connect(weir.http);
        assert_eq!(client.get("a.test", "/").text(), "ok");
        go();
        told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(client.get("a.test", "/").text(), "mine", "{lane:?}");
    }
}

#[test]
fn an_endpoint_that_refuses_connections_is_passed_over_whatever_the_method() {
    for lane in LANES {
        let (dead, origin) = (Unused::new(), Origin::echo());
        let weir = start(lane, &[dead.address(), origin.address], &[]);
        let mut client = Client::connect(weir.http);
        for _ in 0..4 {
            assert_eq!(client.get("a.test", "/").status, 200);
            assert_eq!(post(&mut client), 200);
        }
    }
}

#[test]
fn nobody_listening_is_502_and_off_tries_no_other() {
    for lane in LANES {
        let (dead, origin) = (Unused::new(), Origin::echo());
        let weir = start(lane, &[dead.address()], &[]);
        let mut client = Client::connect(weir.http);
        assert_eq!(client.get("a.test", "/").status, 502);
        assert_eq!(post(&mut client), 502);
        assert_eq!(client.get("a.test", "/").status, 502);

        let weir = start(lane, &[dead.address(), origin.address], &[("proxy-next-upstream", "off")]);
        let mut client = Client::connect(weir.http);
        let statuses = [client.get("a.test", "/").status, client.get("a.test", "/").status];
        assert!(statuses.contains(&502), "{statuses:?}");
    }
}

#[test]
fn an_endpoint_that_was_left_out_comes_back() {
    for lane in LANES {
        let (dead, origin) = (Unused::new(), Origin::start(|_| Reaction::ok("old")));
        let weir = start(lane, &[dead.address(), origin.address], &[]);
        let mut client = Client::connect(weir.http);
        for _ in 0..4 {
            assert_eq!(client.get("a.test", "/").text(), "old");
        }
        let _alive = Origin::raw_on(dead.listen(), |peer| {
            while peer.request().is_some() {
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew");
            }
        });
        weir.until("the endpoint is used again", || {
            let reply = get(weir.http, "a.test", "/");
            assert_eq!(reply.status, 200);
            reply.text() == "new"
        });
    }
}

/// An origin that may close a connection at any time closes one just as a request arrives.
#[test]
fn a_request_on_a_connection_that_closes_is_sent_again_only_if_that_is_safe() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            let mut first = true;
            while let Some(request) = peer.request() {
                if !first && request.target == "/second" && peer.connection % 2 == 1 {
                    return;
                }
                first = false;
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let count = |method: &str| {
            origin
                .seen()
                .iter()
                .filter(|request| request.method == method && request.target == "/second")
                .count()
        };
        let weir = start(lane, &[origin.address], &[]);
        let mut client = Client::connect(weir.http);
        assert_eq!(client.get("a.test", "/first").status, 200);
        assert_eq!(client.get("a.test", "/second").status, 200, "{lane:?}");
        assert_eq!((count("GET"), origin.connections()), (2, 2), "{lane:?}");

        let weir = start(lane, &[origin.address], &[]);
        let mut client = Client::connect(weir.http);
        assert_eq!(client.get("a.test", "/first").status, 200);
        assert_eq!(client.post("a.test", "/second", b"body").status, 502, "{lane:?}");
        assert_eq!(count("POST"), 1, "{lane:?}");
        assert_eq!(client.get("a.test", "/first").status, 200, "{lane:?}");
    }
}

#[test]
fn a_status_leads_to_another_endpoint_where_the_policy_says_so() {
    for lane in LANES {
        let busy = Origin::start(|_| {
            Reaction::Write(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy".to_vec())
        });
        let idle = Origin::start(|_| Reaction::ok("idle"));
        let endpoints = [busy.address, idle.address];
        let weir = start(lane, &endpoints, &[("proxy-next-upstream", "error http_503")]);
        let mut client = Client::connect(weir.http);
        for _ in 0..4 {
            assert_eq!(client.get("a.test", "/").text(), "idle", "{lane:?}");
        }
        // What is not idempotent is not sent twice: somebody is told that the endpoint is busy.
        let statuses: Vec<u16> = (0..4).map(|_| post(&mut client)).collect();
        assert!(statuses.contains(&503) && statuses.contains(&200), "{lane:?}: {statuses:?}");
        assert_eq!(
            busy.seen().len() + idle.seen().len(),
            4 + 4 + busy.seen().iter().filter(|r| r.method == "GET").count()
        );

        let weir = start(lane, &endpoints, &[("proxy-next-upstream", "error http_503 non_idempotent")]);
        let mut client = Client::connect(weir.http);
        let statuses: Vec<u16> = (0..4).map(|_| post(&mut client)).collect();
        assert_eq!(statuses, [200; 4], "{lane:?}");
    }
}

#[test]
fn the_last_endpoint_has_the_last_word() {
    for lane in LANES {
        let busy = Origin::start(|_| {
            Reaction::Write(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy".to_vec())
        });
        let weir = start(lane, &[busy.address], &[("proxy-next-upstream", "http_503")]);
        let reply = get(weir.http, "a.test", "/");
        assert_eq!((reply.status, reply.text().as_str()), (503, "busy"), "{lane:?}");
    }
}

#[test]
fn no_endpoints_is_503() {
    for lane in LANES {
        let text = ingress("web", "", ([127, 0, 0, 1], 9).into(), &[]);
        let without_slice: Vec<&str> = text.split("---\n").take(2).collect();
        let weir = lane.start(&without_slice.join("---\n"), &[]);
        let mut client = Client::connect(weir.http);
        assert_eq!(client.get("a.test", "/").status, 503);
        assert_eq!(client.get("a.test", "/").status, 503);
    }
}

#[test]
fn an_external_name_is_resolved() {
    for lane in LANES {
        let origin = Origin::echo();
        let port = origin.address.port();
        let text = ingress("web", "", origin.address, &[]).replace("number: 80", &format!("number: {port}"));
        let ingress = text.split("---\n").next().unwrap();
        let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: default\n\
                       spec:\n  type: ExternalName\n  externalName: localhost\n";
        let weir = lane.start(&format!("{ingress}---\n{service}"), &[]);
        // Until then there is no endpoint.
        weir.until("the name is resolved", || match get(weir.http, "a.test", "/x") {
            reply if reply.status == 503 => false,
            reply => {
                assert_eq!((reply.status, reply.text().as_str()), (200, "GET /x"), "{lane:?}");
                true
            }
        });
    }
}

#[test]
fn an_origin_that_does_not_answer_is_504_in_time() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            peer.request();
            peer.skip(u64::MAX);
        });
        let annotations = [("proxy-read-timeout", "1"), ("proxy-next-upstream", "off")];
        let weir = start(lane, &[origin.address], &annotations);
        let mut client = Client::connect(weir.http);
        let began = std::time::Instant::now();
        assert_eq!(client.get("a.test", "/").status, 504, "{lane:?}");
        let took = began.elapsed().as_millis();
        assert!((950..10_000).contains(&took), "{lane:?}: {took} ms");
        assert_eq!(post(&mut client), 504, "{lane:?}");
    }
}

#[test]
fn an_origin_that_stops_in_a_body_is_cut_off() {
    for lane in LANES {
        for head in ["Content-Length: 300000", "Content-Length: 11", "Transfer-Encoding: chunked"] {
            let origin = Origin::raw(move |peer| {
                peer.request();
                peer.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n"));
                peer.skip(u64::MAX);
            });
            let weir = start(lane, &[origin.address], &[("proxy-read-timeout", "1")]);
            let mut client = Client::connect(weir.http);
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            assert_eq!(client.read_head().unwrap().status, 200, "{lane:?}, {head}");
            let rest = client.rest().unwrap_or_default();
            assert!(rest.len() <= 10 && !rest.ends_with(b"0\r\n\r\n"), "{lane:?}, {head}: {rest:?}");
        }
    }
}

#[test]
fn connecting_too_long_is_504() {
    // With its queue full a listener answers nobody.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap();
    let queued: Vec<Socket> = (0..3)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            socket
        })
        .collect();
    let address = address.as_socket().unwrap();
    for lane in LANES {
        let annotations = [("proxy-connect-timeout", "1"), ("proxy-next-upstream", "off")];
        let weir = start(lane, &[address], &annotations);
        let mut client = Client::connect(weir.http);
        assert_eq!(client.get("a.test", "/").status, 504, "{lane:?}");
        // And where it says so another one is asked.
        let origin = Origin::echo();
        let weir = start(lane, &[address, origin.address], &[("proxy-connect-timeout", "1")]);
        let mut client = Client::connect(weir.http);
        assert_eq!(client.get("a.test", "/").status, 200, "{lane:?}");
        assert_eq!(client.get("a.test", "/").status, 200, "{lane:?}");
    }
    drop(queued);
}

/// Something to wait for, as often as the other one was called.
pub(super) fn turns() -> (impl Fn(), impl Fn() + Send + Sync + 'static) {
    let (go, wait): (Sender<()>, Receiver<()>) = mpsc::channel();
    let wait = Mutex::new(wait);
    (
        move || go.send(()).unwrap(),
        move || {
            let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
        },
    )
}
