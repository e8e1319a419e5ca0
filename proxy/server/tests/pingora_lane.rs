//! The whole server with every request in pingora's lane: what reaches an origin, and what is refused before.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir::access_log::AccessLog;
use weir::clock::Clock;
use weir::counters::Counters;
use weir::server::{Config, Server};
use weir::shared::Lanes;
use weir::timeouts::Given;
use weir_core::Engine;
use weir_core::declaration::{
    BackendName, BackendSpec, Declaration, HostRule, Ingress, PathKind, PathRule, PortName,
};
use weir_core::engine::EngineConfig;
use weir_core::finding::ObjectRef;
use weir_core::policy::{BodyLimit, Policy};
use weir_limits::Seed;

/// A server in front of an origin that answers everything with `ok`.
struct Proxy {
    server: Option<Server>,
    asked: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    fn start(lanes: Lanes) -> Self {
        let (origin, asked) = origin();
        let name = BackendName::new("n", "s", PortName::Number(80));
        let path = PathRule { path: "/".to_owned(), kind: PathKind::Prefix, backend: Some(name.clone()) };
        let mut policy = Policy::default();
        policy.body.max = BodyLimit::Bytes(100_000);
        let engine = Engine::new(EngineConfig { clients: 1_000, in_flight: 100, seed: Seed::from_u128(1) });
        engine.replace(Declaration {
            ingresses: vec![Ingress {
                object: ObjectRef::new("Ingress", "n", "i"),
                uid: String::new(),
                created: None,
                policy,
                rules: vec![HostRule { host: String::new(), paths: vec![path] }],
                default_backend: None,
                tls: Vec::new(),
            }],
            backends: [(name, BackendSpec::Addresses(vec![origin]))].into(),
            ..Declaration::default()
        });
        let server = Server::start(&Config {
            h2c: false,
            http: vec![([127, 0, 0, 1], 0).into()],
            https: Vec::new(),
            tls: Arc::new(weir::tls::Tls::start(Clock::start()).unwrap()),
            workers: 1,
            connections: 100,
            lanes,
            given: Given { head: Some(Duration::from_secs(2)), ..Given::default() },
            engine: Arc::new(engine),
            clock: Clock::start(),
            counters: Arc::new(Counters::default()),
            log: AccessLog::off(),
        })
        .unwrap();
        Self { server: Some(server), asked }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.as_ref().unwrap().http()[0]).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// What origins were sent since the last call.
    fn asked(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *self.asked.lock().unwrap())).into_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.drain();
            server.join();
        }
    }
}

/// Answers each time that what it has read ends like a whole request.
fn origin() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let log = log.clone();
            std::thread::spawn(move || talk(stream.unwrap(), &log));
        }
    });
    (address, asked)
}

fn talk(mut stream: TcpStream, log: &Mutex<Vec<u8>>) {
    let (mut request, mut block) = (Vec::new(), [0; 64 * 1024]);
    while let Ok(n @ 1..) = stream.read(&mut block) {
        request.extend_from_slice(&block[..n]);
        if is_whole(&request) {
            log.lock().unwrap().append(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    match head.split_once("content-length: ") {
        Some((_, length)) => body.len() >= length.lines().next().unwrap().parse().unwrap(),
        None => !head.contains("transfer-encoding") || body.ends_with("0\r\n\r\n"),
    }
}

/// Sends `request` on a connection of its own and returns all that comes back.
fn ask(proxy: &Proxy, request: &str) -> String {
    let mut stream = proxy.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    String::from_utf8_lossy(&response).into_owned()
}

#[test]
fn nothing_ambiguous_reaches_an_origin() {
    for lanes in [Lanes::Pingora, Lanes::Auto] {
        let proxy = Proxy::start(lanes);
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b/c?d\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 400),
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For\r\n\r\n", 400),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400,
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nExpect: something\r\n\r\n", 417),
        ] {
            let response = ask(&proxy, request);
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{lanes:?} {request:?} got {response:?}"
            );
            assert!(!response.to_ascii_lowercase().contains("pingora"), "{request:?} got {response:?}");
            assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "one answer to {request:?}, then the end");
            assert_eq!(proxy.asked(), "", "an origin was asked {request:?}");
        }
        for method in ["TRACE /", "CONNECT a:80"] {
            let response = ask(&proxy, &format!("{method} HTTP/1.1\r\nHost: a:80\r\n\r\n"));
            assert!(
                response.starts_with("HTTP/1.1 405 ") || response.starts_with("HTTP/1.1 501 "),
                "{response}"
            );
            assert_eq!(proxy.asked(), "");
        }
    }
}

#[test]
fn one_connection_goes_through_both_lanes_and_back() {
    let proxy = Proxy::start(Lanes::Auto);
    let requests = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
         GET /3 HTTP/1.1\r\nHost: a\r\n\r\n\
         GET http://a/4 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /5 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
         GET /6 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let response = ask(&proxy, requests);
    assert_eq!(response.matches("HTTP/1.1 200 OK\r\n").count(), 6, "{response}");
    let asked = proxy.asked();
    let paths: Vec<&str> =
        asked.lines().filter_map(|line| line.strip_suffix(" HTTP/1.1")?.split('/').nth(1)).collect();
    assert_eq!(paths, ["1", "2", "3", "4", "5", "6"]);
    // However the bytes are cut.
    for cut in (1..requests.len()).step_by(7) {
        let mut stream = proxy.connect();
        stream.set_nodelay(true).unwrap();
        let (first, second) = requests.as_bytes().split_at(cut);
        stream.write_all(first).unwrap();
        stream.write_all(second).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert_eq!(response.matches("HTTP/1.1 200 OK\r\n").count(), 6, "cut at {cut}: {response}");
    }
}

#[test]
fn an_upload_beyond_the_limit_is_answered_while_it_is_sent() {
    for lanes in [Lanes::Pingora, Lanes::Auto] {
        let proxy = Proxy::start(lanes);
        let chunk = format!("8000\r\n{}\r\n", "a".repeat(0x8000));
        for head in ["Transfer-Encoding: chunked", "Content-Length: 4000000"] {
            let mut stream = proxy.connect();
            stream.write_all(format!("PUT / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n").as_bytes()).unwrap();
            for _ in 0..100 {
                stream.write_all(chunk.as_bytes()).unwrap();
            }
            let mut answer = [0; 13];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 413 ", "{lanes:?} {head}");
        }
        assert_eq!(proxy.asked(), "", "no origin saw a whole request");
    }
}
