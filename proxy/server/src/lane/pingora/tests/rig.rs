//! A proxy around [`Forwarder`], origins that say what a test wants, and a client that reads what came.

use crate::clock::Clock;
use crate::deadline;
use crate::lane::pingora::flight::*;
use crate::lane::pingora::forward::{Forwarder, Message};
use crate::lane::pingora::strict::{self, BodyLength, Head, Version};
use crate::lane::wire::Persistence;
use crate::pace::Speed;
use crate::respond::Then;
use crate::shared::Phase;
use crate::socket::Socket;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use weir_core::backend::Backend;
use weir_core::declaration::{BackendName, BackendSpec, PortName};
use weir_core::policy::Origin as OriginPolicy;

/// How a request ended, as the lane tells it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) story: Story,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// A proxy on a port of its own.
pub(super) struct Rig {
    pub(super) address: SocketAddr,
    ends: mpsc::UnboundedReceiver<Ended>,
}

/// A backend with these endpoints, which are taken in this order.
pub(super) fn backend(list: impl IntoIterator<Item = SocketAddr>) -> Arc<Backend> {
    let name = BackendName::new("n", "s", PortName::Number(80));
    Backend::new(&name, Some(&BackendSpec::Addresses(list.into_iter().collect())), None)
}

/// Requests that hold an endpoint.
pub(super) fn in_flight(backend: &Backend) -> usize {
    backend.endpoints().iter().map(|endpoint| endpoint.in_flight()).sum()
}

impl Rig {
    /// Forwards to `origin` with everything as it is by default.
    pub(super) async fn to(origin: SocketAddr) -> Self {
        Self::with(backend([origin]), |_| ()).await
    }

    /// Forwards to `backend` with plans that `change` has changed.
    pub(super) async fn with(
        backend: Arc<Backend>,
        change: impl Fn(&mut Plan) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, ends) = mpsc::unbounded_channel();
        let forwarder = Arc::new(Forwarder::new());
        let change = Arc::new(change);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(deadline::TICK);
            loop {
                ticks.tick().await;
                deadline::sweep();
            }
        });
        tokio::spawn(async move {
            loop {
                let (socket, peer) = listener.accept().await.unwrap();
                let (forwarder, backend, change) = (forwarder.clone(), backend.clone(), change.clone());
                tokio::spawn(serve(socket.into(), peer, forwarder, backend, change, tell.clone()));
            }
        });
        Self { address, ends }
    }

    pub(super) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// How the next request to end has ended.
    pub(super) async fn ended(&mut self) -> Ended {
        guard(self.ends.recv()).await.unwrap()
    }
}

async fn serve(
    mut socket: Socket,
    peer: SocketAddr,
    forwarder: Arc<Forwarder>,
    backend: Arc<Backend>,
    change: Arc<impl Fn(&mut Plan)>,
    tell: mpsc::UnboundedSender<Ended>,
) {
    let mut received = Vec::new();
    loop {
        while !received.windows(4).any(|four| four == b"\r\n\r\n") {
            if socket.read_buf(&mut received).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let (flight, len, target, body, persistent) = {
            let mut slots = [httparse::EMPTY_HEADER; crate::lane::bounds::MAX_FIELDS];
            let head = strict::read(&received, &mut slots).unwrap();
            let mut plan = plan(&head, peer, received.len());
            change(&mut plan);
            (
                Flight::new(plan, backend.clone(), Clock::start(), watch::channel(Phase::Run).1),
                head.len,
                head.target_span,
                head.body,
                head.persistent,
            )
        };
        let message = Message { head: len, target, body, then: Then::Keep };
        let landed = forwarder.forward(socket, received, message, &flight).await.unwrap();
        let story = flight.take_story();
        let reply = match story.reply {
            None => None,
            Some(Reply::RefuseBody) => Some(413),
            Some(Reply::Error(error)) => Some(error.status()),
        };
        let end = story.end;
        tell.send(Ended { story, bytes_in: landed.returned.bytes_in, bytes_out: landed.returned.bytes_out })
            .ok();
        let stall = Duration::from_secs(5);
        let back = match reply {
            None => landed.close_or_keep(end, stall).await,
            Some(status) => {
                let then = if persistent && landed.is_at_end() { Then::Keep } else { Then::Close };
                landed
                    .answer(
                        format!("HTTP/1.1 {status} Own\r\nContent-Length: 0\r\n\r\n").as_bytes(),
                        then,
                        stall,
                    )
                    .await
                    .ok()
                    .flatten()
            }
        };
        match back {
            Some(back) => (socket, received) = back,
            None => return,
        }
    }
}

fn plan(head: &Head<'_, '_>, peer: SocketAddr, received: usize) -> Plan {
    let whole = matches!(head.body, BodyLength::Known(length) if head.len as u64 + length <= received as u64);
    Plan {
        peer,
        target: head.origin_form(),
        host: head.host.to_vec(),
        dialect: if head.version == Version::Http10 { Dialect::Http10 } else { Dialect::Http11 },
        expects_continue: head.expects_continue,
        persistence: if head.persistent { Persistence::KeepAlive } else { Persistence::Close },
        origin_persistence: Persistence::KeepAlive,
        upgrade: if head.upgrades { Upgrade::Offer } else { Upgrade::Drop },
        presence: if whole { Presence::Whole } else { Presence::Part },
        body_limit: None,
        origin: OriginPolicy::default(),
        dial: None,
        fields: vec![("X-Forwarded-For", b"192.0.2.1".to_vec())],
        underscores: Underscores::Drop,
        response_fields: Vec::new(),
        body_timeout: Duration::from_secs(5),
        body_speed: Speed::Any,
        write_timeout: Duration::from_secs(5),
    }
}

/// What origins were asked, each request as its head and body came.
pub(super) type Asked = Arc<Mutex<Vec<String>>>;

/// An origin that answers every request with `response`.
pub(super) async fn origin(response: &'static str) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let address = origin_with(move |mut client| {
        let log = log.clone();
        async move {
            while let Some(request) = client.read_request().await {
                log.lock().push(request);
                client.send(response).await;
            }
        }
    })
    .await;
    (address, asked)
}

/// An origin that treats each connection as `talk` says.
pub(super) async fn origin_with<F>(talk: impl Fn(Client) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(talk(Client { socket, data: Vec::new() }));
        }
    });
    address
}

/// An address where nobody listens, nor will while the tests run: its socket is bound and stays so.
pub(super) fn nobody() -> SocketAddr {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

/// One end of a connection.
pub(super) struct Client {
    pub(super) socket: TcpStream,
    data: Vec<u8>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, data: Vec::new() }
    }

    pub(super) async fn send(&mut self, text: &str) {
        guard(self.socket.write_all(text.as_bytes())).await.unwrap();
    }

    /// Reads up to and with `mark`; `None` when the connection ends before.
    pub(super) async fn read_until(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some(at) = self.data.windows(mark.len()).position(|some| some == mark.as_bytes()) {
                return Some(text(&self.data.drain(..at + mark.len()).collect::<Vec<_>>()));
            }
            if self.read_some().await == 0 {
                return None;
            }
        }
    }

    pub(super) async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await.expect("a head")
    }

    pub(super) async fn read_exact(&mut self, n: usize) -> String {
        while self.data.len() < n {
            assert_ne!(self.read_some().await, 0, "ended after {:?}", text(&self.data));
        }
        text(&self.data.drain(..n).collect::<Vec<_>>())
    }

    /// Everything up to the end of the connection, however it ends.
    pub(super) async fn read_to_end(&mut self) -> String {
        while self.read_some().await > 0 {}
        text(&std::mem::take(&mut self.data))
    }

    /// A response with a Content-Length.
    pub(super) async fn read_response(&mut self) -> String {
        let head = self.read_head().await;
        let length = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let body = self.read_exact(length).await;
        head + &body
    }

    /// A request with its body as it came; `None` at the end.
    pub(super) async fn read_request(&mut self) -> Option<String> {
        let head = self.read_until("\r\n\r\n").await?;
        let body = match (field(&head, "content-length"), field(&head, "transfer-encoding")) {
            (Some(length), _) => self.read_exact(length.parse().unwrap()).await,
            (None, Some(_)) => self.read_until("0\r\n\r\n").await?,
            (None, None) => String::new(),
        };
        Some(head + &body)
    }

    /// Drops up to `most` bytes of what was read already.
    pub(super) fn take(&mut self, most: usize) -> usize {
        let n = most.min(self.data.len());
        self.data.drain(..n);
        n
    }

    async fn read_some(&mut self) -> usize {
        guard(self.socket.read_buf(&mut self.data)).await.unwrap_or(0)
    }
}

/// Value of a header field.
pub(super) fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(super) async fn guard<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("hangs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
