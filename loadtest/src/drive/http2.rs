//! HTTP/2: one connection for each lane of clients, with as many streams at once as the target allows.

use super::connect::Window;
use super::{DriveError, Job, Target, connect, poller::thread_cpu, timetable, tls};
use crate::plan::{Client, Planned, client};
use crate::record::{Failure, Outcome, Tally};
use crate::scenario::{Behaviour, Body, Class, Identity, Transport};
use bytes::Bytes;
use h2::client::SendRequest;
use rustls::ClientConfig;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::LocalSet;

/// Sends a part of the plan.
pub(super) fn run(job: &Job) -> Result<Tally, DriveError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let engine = Rc::new(Engine {
        tls: tls::config(&[b"h2"]).map_err(io::Error::other)?,
        tally: RefCell::new(Tally::new(job.scenario.classes.len(), job.seconds)),
        lanes: RefCell::default(),
        places: Arc::new(Semaphore::new(job.connections())),
        job: job.clone(),
    });
    let tasks = LocalSet::new();
    runtime.block_on(
        tasks.run_until(timetable::keep(job, &engine.tally, |planned| engine.clone().request(planned))),
    );
    let mut tally = engine.tally.borrow().clone();
    tally.cpu = thread_cpu();
    Ok(tally)
}

struct Engine {
    job: Job,
    tls: Arc<ClientConfig>,
    tally: RefCell<Tally>,
    lanes: RefCell<HashMap<Lane, Place>>,
    /// Of connections; never given back, for a lane keeps its own.
    places: Arc<Semaphore>,
}

/// The connection of a lane, if it has one.
type Place = Rc<Mutex<Option<SendRequest<Bytes>>>>;

/// Requests that share a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lane {
    class: u16,
    client: u32,
    /// The host, by the first of its pairs.
    host: u16,
    replica: usize,
}

impl Engine {
    async fn request(self: Rc<Self>, planned: Planned) {
        let timeout = self.job.scenario.generator.timeout.0;
        let outcome = match tokio::time::timeout(timeout, self.answer(&planned)).await {
            Ok(Ok(status)) => Outcome::Answered(status),
            Ok(Err(failure)) => Outcome::Failed(failure),
            Err(_) => Outcome::Failed(Failure::Timeout),
        };
        self.tally.borrow_mut().count(&planned, self.job.clock.now(), outcome);
        self.job.progress.step();
    }

    async fn answer(&self, planned: &Planned) -> Result<u16, Failure> {
        let class = self.job.scenario.classes.get(usize::from(planned.class)).ok_or(Failure::Connect)?;
        let (replicas, _) = self.job.targets.snapshot();
        let number = planned.client as usize % replicas.len().max(1);
        let (replica, target) = replicas.get(number).copied().ok_or(Failure::Connect)?;
        let own = matches!(class.identity, Identity::Source { .. } | Identity::ProxyHeader { .. });
        let host = class.request.host_of(planned.ask);
        let lane = Lane { class: planned.class, client: if own { planned.client } else { 0 }, host, replica };
        let who = client(&class.identity, planned.client);
        let sender = self.sender(lane, class, &who, target).await?;
        match exchange(sender, class, planned.ask, &who).await {
            Err(Exchange::Connection) => {
                // The connection was going away when we asked: once more, on another.
                self.tally.borrow_mut().retried += 1;
                let sender = self.sender(lane, class, &who, target).await?;
                exchange(sender, class, planned.ask, &who).await.map_err(Exchange::failure)
            }
            other => other.map_err(Exchange::failure),
        }
    }

    /// A connection that takes requests: the lane's, or a new one in its place.
    async fn sender(
        &self,
        lane: Lane,
        class: &Class,
        who: &Client,
        target: Target,
    ) -> Result<SendRequest<Bytes>, Failure> {
        let place = Rc::clone(self.lanes.borrow_mut().entry(lane).or_default());
        let mut current = place.lock().await;
        if let Some(sender) = current.take()
            && let Ok(sender) = sender.ready().await
        {
            *current = Some(sender.clone());
            return Ok(sender);
        }
        let permit = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Failure::Connect)?;
        let stream = dial(&self.tls, class, lane.host, who, target).await.map_err(|_| Failure::Connect)?;
        let (sender, connection) = h2::client::handshake(stream).await.map_err(|_| Failure::Connect)?;
        tokio::task::spawn_local(async move {
            // How it ends, its streams tell.
            let _ = connection.await;
            drop(permit);
        });
        let sender = sender.ready().await.map_err(|_| Failure::Connect)?;
        *current = Some(sender.clone());
        Ok(sender)
    }
}

/// Why a stream has no answer.
enum Exchange {
    /// The connection takes no more streams, or this one was not looked at.
    Connection,
    Failed(Failure),
}

impl Exchange {
    fn failure(self) -> Failure {
        match self {
            Self::Connection => Failure::Closed,
            Self::Failed(failure) => failure,
        }
    }

    fn of(error: &h2::Error) -> Self {
        match error.reason() {
            Some(h2::Reason::REFUSED_STREAM) => Self::Connection,
            _ if error.is_go_away() && error.is_remote() => Self::Connection,
            _ if error.is_io() => Self::Failed(Failure::Closed),
            _ => Self::Failed(Failure::Reset),
        }
    }
}

async fn exchange(
    mut sender: SendRequest<Bytes>,
    class: &Class,
    ask: u16,
    who: &Client,
) -> Result<u16, Exchange> {
    let request = head(class, ask, who).map_err(|_| Exchange::Failed(Failure::Malformed))?;
    let ends = class.request.body == Body::None;
    let (answer, mut stream) = sender.send_request(request, ends).map_err(|_| Exchange::Connection)?;
    if !ends {
        // Its flow control is kept by the library; what the target does not take is dropped with the stream.
        let body = Bytes::from(vec![b'x'; class.request.body.bytes() as usize]);
        let _ = stream.send_data(body, true);
    }
    let answer = answer.await.map_err(|error| Exchange::of(&error))?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    while let Some(bytes) = body.data().await {
        match bytes {
            Ok(bytes) => {
                let _ = body.flow_control().release_capacity(bytes.len());
            }
            // An answer to a request of which the rest is not wanted ends with NO_ERROR (RFC 9113 section 8.1).
            Err(error) if error.reason() == Some(h2::Reason::NO_ERROR) => break,
            Err(_) => return Err(Exchange::Failed(Failure::EarlyClose)),
        }
    }
    Ok(status)
}

/// The head of a client's request.
pub(super) fn head(class: &Class, ask: u16, who: &Client) -> Result<http::Request<()>, http::Error> {
    let scheme = if class.request.transport == Transport::Tls { "https" } else { "http" };
    let (host, path) = class.request.ask(ask);
    let uri = format!("{scheme}://{host}{path}");
    let mut request = http::Request::builder().method(class.request.method.as_str()).uri(uri);
    for (name, value) in &class.request.headers {
        request = request.header(name, value);
    }
    if let Some((name, value)) = who.field(&class.identity) {
        request = request.header(name, value);
    }
    if let Body::Sized { size } = class.request.body {
        request = request.header("content-length", size.0);
    }
    request.body(())
}

/// A stream of bytes, with or without TLS.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// A connection for a client, with its PROXY header and its handshake.
pub(super) async fn dial(
    config: &Arc<ClientConfig>,
    class: &Class,
    ask: u16,
    who: &Client,
    target: Target,
) -> io::Result<Box<dyn Io>> {
    let encrypted = class.request.transport == Transport::Tls;
    let address = if encrypted { target.https } else { target.http };
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let slow = matches!(class.behaviour, Behaviour::SlowRead { .. });
    let window = if slow { Window::Small } else { Window::Usual };
    let socket = TcpStream::from_std(connect::begin(who.source, address, window)?)?;
    let mut socket = tokio::time::timeout(CONNECT, async {
        socket.writable().await?;
        socket.take_error()?.map_or(Ok(socket), Err)
    })
    .await
    .map_err(|_| io::ErrorKind::TimedOut)??;
    socket.write_all(who.preamble().as_bytes()).await?;
    if !encrypted {
        return Ok(Box::new(socket));
    }
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
    Ok(Box::new(connector.connect(tls::name(class.request.ask(ask).0), socket).await?))
}

const CONNECT: Duration = Duration::from_secs(10);
