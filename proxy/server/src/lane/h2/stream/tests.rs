use super::*;
use crate::clock::Clock;
use crate::lane::pingora::flight::{Dialect, Plan, Presence, Underscores, Upgrade};
use crate::lane::wire::Persistence;
use crate::pace::Speed;
use crate::shared::Phase;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::task::Waker;
use tokio::sync::watch;
use weir_core::backend::Backend;
use weir_core::declaration::{BackendName, PortName};
use weir_core::policy::Origin;
use weir_http2::{Connection, Options, frame};

/// A connection with a request that has a body, of which nothing has come.
fn lent() -> (Connection, LentStream, Clock) {
    let clock = Clock::start();
    let options = Options { streams: 9, head_bytes: 9000, stream_window: 70_000, connection_window: 70_000 };
    let connection = Connection::new(options, clock.now());
    let pairs = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")];
    let mut block = Vec::new();
    for (name, value) in pairs {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut bytes = frame::PREFACE.to_vec();
    frame::whole(&mut bytes, frame::SETTINGS, 0, 0, &[]);
    frame::head(&mut bytes, 1, false, &block, block.len());
    connection.receive(&bytes, clock.now()).unwrap();
    let request = connection.next_request().unwrap();
    let plan = Plan {
        peer: (Ipv4Addr::LOCALHOST, 1).into(),
        target: b"/".to_vec(),
        host: b"a".to_vec(),
        dialect: Dialect::Http11,
        expects_continue: false,
        persistence: Persistence::KeepAlive,
        origin_persistence: Persistence::KeepAlive,
        upgrade: Upgrade::Drop,
        presence: Presence::Part,
        body_limit: None,
        origin: Origin::default(),
        dial: None,
        fields: Vec::new(),
        underscores: Underscores::Drop,
        response_fields: Vec::new(),
        body_timeout: Duration::from_secs(5),
        body_speed: Speed::Any,
        write_timeout: Duration::from_secs(5),
    };
    let backend = Backend::new(&BackendName::new("n", "s", PortName::Number(80)), None, None);
    let flight = Flight::new(plan, backend, clock, watch::channel(Phase::Run).1);
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let digest = Arc::new(SocketDigest::from_raw_fd(socket.as_raw_fd()));
    let header = RequestHeader::build("POST", b"/", None).unwrap();
    let (lent, _) = LentStream::new(header, request.ended, request.stream, flight, digest);
    (connection, lent, clock)
}

fn data(connection: &Connection, clock: Clock, flags: u8, content: &[u8]) {
    let mut bytes = Vec::new();
    frame::whole(&mut bytes, frame::DATA, flags, 1, content);
    connection.receive(&bytes, clock.now()).unwrap();
}

/// What is there at once.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn an_end_that_comes_by_itself_is_heard_however_late_one_asks() {
    let (connection, mut lent, clock) = lent();
    data(&connection, clock, 0, b"x");
    assert_eq!(ready(lent.read_body_or_idle(false)).unwrap().unwrap(), Some(Bytes::from_static(b"x")));
    assert!(!lent.is_body_done());
    // Pingora passes that on, and meanwhile this comes.
    data(&connection, clock, frame::END_STREAM, b"");
    assert!(!lent.is_body_done(), "it has not heard of it");
    assert_eq!(ready(lent.read_body_or_idle(false)).unwrap().unwrap(), None);
    assert!(lent.is_body_done());
    assert!(ready(lent.read_body_or_idle(true)).is_none(), "now it waits for the client to go away");
}

#[test]
fn an_end_that_comes_with_the_last_piece_is_known_with_it() {
    let (connection, mut lent, clock) = lent();
    assert!(ready(lent.read_body_bytes()).is_none());
    data(&connection, clock, 0, b"x");
    data(&connection, clock, frame::END_STREAM, b"y");
    assert_eq!(ready(lent.read_body_bytes()).unwrap().unwrap(), Some(Bytes::from_static(b"xy")));
    assert!(lent.is_body_done());
    assert_eq!(ready(lent.read_body_bytes()).unwrap().unwrap(), None);
}
