//! The whole lane with the core in front of it: permits, limits, accounts, and answers of our own.

use super::rig::*;
use crate::access_log::{AccessLog, Lane, Protocol};
use crate::arrivals::Arrivals;
use crate::clock::Clock;
use crate::conn::ConnInfo;
use crate::deadline;
use crate::exchange::Exchange;
use crate::lane::pingora::PingoraLane;
use crate::lane::pingora::strict::{self, BodyLength};
use crate::shared::{Connections, Lanes, Phase, Shared};
use crate::socket::Socket;
use crate::timeouts::Given;
use crate::tls::Tls;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use weir_core::Engine;
use weir_core::account::{End, ObjectCounters, UpstreamResult};
use weir_core::declaration::{
    BackendName, BackendSpec, Declaration, HostRule, Ingress, PathKind, PathRule, PortName,
};
use weir_core::engine::EngineConfig;
use weir_core::facts::Facts;
use weir_core::finding::ObjectRef;
use weir_core::policy::{BodyLimit, LimitHeaders, Mode, Policy};
use weir_core::verdict::Reason;
use weir_limits::Seed;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A lane on a port of its own, with one object in front of one origin.
struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
}

impl Front {
    async fn with(origins: &[SocketAddr], change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        let name = BackendName::new("n", "s", PortName::Number(80));
        let path = PathRule { path: "/".to_owned(), kind: PathKind::Prefix, backend: Some(name.clone()) };
        let (phase, phases) = watch::channel(Phase::Run);
        let shared = Arc::new(shared(phases));
        shared.engine.replace(Declaration {
            ingresses: vec![Ingress {
                object: ObjectRef::new("Ingress", "n", "i"),
                uid: String::new(),
                created: None,
                policy,
                rules: vec![HostRule { host: String::new(), paths: vec![path] }],
                default_backend: None,
                tls: Vec::new(),
            }],
            backends: [(name, BackendSpec::Addresses(origins.to_vec()))].into(),
            ..Declaration::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lane = Arc::new(PingoraLane::new(shared.clone()));
        let used = shared.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(deadline::TICK);
            loop {
                tokio::select! {
                    _ = ticks.tick() => deadline::sweep(),
                    accepted = listener.accept() => {
                        let (socket, peer) = accepted.unwrap();
                        let info = ConnInfo::new(peer, address);
                        tokio::spawn(serve(socket.into(), info, lane.clone(), used.clone()));
                    }
                }
            }
        });
        Self { address, shared, phase }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    fn counters(&self) -> Arc<ObjectCounters> {
        self.shared.engine.snapshot().objects().next().unwrap().counters().clone()
    }

    /// Waits until no request is in flight and returns how they ended: complete, client-abort, origin-abort.
    async fn ends(&self) -> [u64; 3] {
        let counters = self.counters();
        guard(async {
            while counters.in_flight() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        End::ALL.map(|end| counters.ends().find(|(found, _)| *found == end).map_or(0, |(_, count)| count))
    }
}

/// An engine without routes, and nothing that writes.
fn shared(phase: watch::Receiver<Phase>) -> Shared {
    let config = EngineConfig { clients: 1_000, in_flight: 100, seed: Seed::from_u128(1) };
    Shared {
        h2c: false,
        engine: Arc::new(Engine::new(config)),
        clock: Clock::start(),
        counters: Arc::default(),
        log: AccessLog::off(),
        connections: Connections::new(100),
        arrivals: Arc::new(Arrivals::new(100)),
        tls: Arc::new(Tls::start(Clock::start()).unwrap()),
        given: Given::default(),
        lanes: Lanes::Pingora,
        phase,
    }
}

/// What our own loop does, in short.
async fn serve(mut socket: Socket, info: ConnInfo, lane: Arc<PingoraLane>, shared: Arc<Shared>) {
    let mut received = Vec::new();
    loop {
        while !received.windows(4).any(|four| four == b"\r\n\r\n") {
            if tokio::io::AsyncReadExt::read_buf(&mut socket, &mut received).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let mut exchange = {
            let mut slots = [httparse::EMPTY_HEADER; crate::lane::bounds::MAX_FIELDS];
            let head = strict::read(&received, &mut slots).unwrap();
            let facts = Facts {
                peer: info.peer.ip(),
                port: info.local.port(),
                scheme: info.scheme,
                tls: None,
                method: head.method,
                host: head.host,
                path: head.path,
                query: head.query,
                content_length: match head.body {
                    BodyLength::Known(length) => Some(length),
                    BodyLength::Chunked => None,
                },
                head_bytes: head.len,
                headers: &head.fields,
            };
            Exchange::admit(&shared, &facts, Lane::Pingora, Protocol::Http11)
        };
        if exchange.refusal().is_some() {
            let mut text = Vec::new();
            exchange.write_refusal(crate::respond::Then::Close, &mut text);
            exchange.end(End::Complete);
            let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, &text).await;
            return;
        }
        match lane.serve(socket, received, info, exchange).await {
            Some(back) => (socket, received) = back,
            None => return,
        }
    }
}

#[tokio::test]
async fn the_origin_is_told_who_asks_and_the_account_is_closed_once() {
    let (origin, asked) = origin(OK).await;
    let front = Front::with(&[origin], |policy| policy.limits.headers = LimitHeaders::Always).await;
    let mut client = front.client().await;
    client.send(&format!("{CHUNKED}3\r\nabc\r\n0\r\n\r\n")).await;
    let response = client.read_response().await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(front.ends().await, [1, 0, 0]);
    let request = asked.lock().pop().unwrap();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-host", "x"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", &front.address.port().to_string()),
    ] {
        assert_eq!(field(&request, name), Some(value), "{name} in {request}");
    }
    assert!(field(&request, "x-request-id").is_some());
    let counters = front.counters();
    assert_eq!(counters.requests().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), [("200", 1)]);
    assert_eq!(counters.bytes_in(), (CHUNKED.len() + "3\r\nabc\r\n0\r\n\r\n".len()) as u64);
    assert_eq!(counters.bytes_out(), response.len() as u64);
    assert_eq!(counters.upstream().find(|(result, _)| *result == UpstreamResult::Respond).unwrap().1, 1);
}

#[tokio::test]
async fn limits_are_told_on_every_response_where_the_policy_wants_it() {
    let (origin, _) = origin(OK).await;
    let front = Front::with(&[origin], |policy| {
        policy.limits.headers = LimitHeaders::Always;
        policy.limits.per_second = std::num::NonZeroU64::new(5);
    })
    .await;
    let mut client = front.client().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let response = client.read_response().await;
    assert!(field(&response, "ratelimit").is_some(), "{response}");
    assert!(field(&response, "ratelimit-policy").is_some(), "{response}");
}

#[tokio::test]
async fn too_much_in_chunks_is_refused_with_the_reason() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let (origin, asked) = origin(OK).await;
        let front = Front::with(&[origin], |policy| {
            policy.body.max = BodyLimit::Bytes(10);
            policy.limits.mode.body = mode;
        })
        .await;
        for (size, over) in [(10, false), (11, true)] {
            let mut client = front.client().await;
            client.send(&format!("{CHUNKED}{size:x}\r\n{}\r\n0\r\n\r\n", "a".repeat(size))).await;
            let response = client.read_response().await;
            let refused = over && mode == Mode::Enforce;
            assert!(
                response.starts_with(if refused { "HTTP/1.1 413 " } else { "HTTP/1.1 200 " }),
                "{response}"
            );
            if refused {
                assert_eq!(field(&response, "cache-control"), Some("no-store"));
                assert_eq!(field(&response, "server"), None);
            }
            assert_eq!(asked.lock().pop().is_some(), !refused);
        }
        assert_eq!(front.ends().await, [2, 0, 0]);
        let hits: Vec<_> = front.counters().refusals().filter(|hit| hit.3 > 0).collect();
        assert_eq!(hits.len(), 1, "{hits:?}");
        assert_eq!((hits[0].0, hits[0].2, hits[0].3), (Reason::Body, mode, 1));
    }
}

#[tokio::test]
async fn a_place_in_flight_comes_back_however_a_request_ends() {
    let silent = origin_with(|mut client| async move { drop(client.read_to_end().await) }).await;
    let front = Front::with(&[silent], |policy| policy.limits.connections = NonZeroU32::new(1)).await;
    for _ in 0..3 {
        let mut first = front.client().await;
        first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let counters = front.counters();
        guard(async {
            while counters.in_flight() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut second = front.client().await;
        second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(second.read_to_end().await.starts_with("HTTP/1.1 429 "));
        drop(first);
        front.ends().await;
    }
    assert_eq!(front.ends().await, [3, 3, 0]);
}

#[tokio::test]
async fn a_tunnel_holds_its_place_as_long_as_it_lives() {
    let origin = origin_with(|mut client| async move {
        client.read_request().await;
        client.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
        client.read_to_end().await;
    })
    .await;
    let front = Front::with(&[origin], |policy| policy.limits.connections = NonZeroU32::new(1)).await;
    let mut tunnel = front.client().await;
    tunnel.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
    tunnel.read_head().await;
    let mut second = front.client().await;
    second.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(second.read_to_end().await.starts_with("HTTP/1.1 429 "));
    assert_eq!(front.counters().in_flight(), 1);
    drop(tunnel);
    assert_eq!(front.ends().await, [2, 0, 0]);
}

#[tokio::test]
async fn failures_are_answered_by_us_and_accounted() {
    let front = Front::with(&[nobody()], |_| ()).await;
    let mut client = front.client().await;
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n").await;
        let response = client.read_response().await;
        assert!(response.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{response}");
        assert_eq!(field(&response, "server"), None);
    }
    client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let head = client.read_to_end().await;
    assert!(head.starts_with("HTTP/1.1 502 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(field(&head, "connection"), Some("close"));
    assert_eq!(front.ends().await, [3, 0, 0]);
    let results = front.counters();
    assert_eq!(results.upstream().find(|(result, _)| *result == UpstreamResult::RefuseConnect).unwrap().1, 3);
}

#[tokio::test]
async fn responses_say_that_the_connection_ends_when_the_process_does() {
    let (origin, _) = origin(OK).await;
    let front = Front::with(&[origin], |_| ()).await;
    let mut client = front.client().await;
    for (phase, connection) in [(Phase::Run, "keep-alive"), (Phase::Drain, "close")] {
        front.phase.send(phase).unwrap();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(field(&client.read_response().await, "connection"), Some(connection));
    }
    assert_eq!(client.read_to_end().await, "");
}
