//! Accepting: what is too much is closed before anything is allocated for it, then the PROXY protocol is heard, then TLS
//! is agreed on, and then the connection is served.

use super::Worker;
use crate::abort::Unserved;
use crate::arrivals::Shed;
use crate::conn::ConnInfo;
use crate::connection;
use crate::deadline;
use crate::preface::{self, Named};
use crate::reserve::{self, Reserve};
use crate::shared::{Place, Shared};
use crate::socket::Socket;
use crate::tls;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use weir_core::facts::Scheme;
use weir_core::identity::Greeting;
use weir_limits::Grant;

/// A listening socket of this worker.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) listener: Arc<TcpListener>,
    pub(super) scheme: Scheme,
}

/// Accepts for as long as it is polled.
pub(super) async fn run(door: Door, worker: Arc<Worker>) {
    let counters = &worker.shared.counters;
    let local = door.local();
    let mut reserve = Reserve::new();
    loop {
        reserve.refill();
        match poll_fn(|cx| reserve::take(|| door.listener.poll_accept(cx))).await {
            Ok((stream, peer)) => take(stream, door.info(peer, local), &worker),
            // Out of descriptors or memory. Whoever waits is sent away: he would wait for nothing, and asking again for
            // him would take all the time that there is.
            Err(error) if is_exhaustion(&error) => {
                counters.accept_failed();
                let next =
                    poll_fn(|cx| Poll::Ready(reserve.spend(|| door.listener.poll_accept(cx).map_ok(drop))));
                match next.await {
                    Poll::Ready(Ok(())) => worker.shared.unserved(None, Unserved::Shed(Shed::Descriptors)),
                    Poll::Pending => {}
                    Poll::Ready(Err(_)) => tokio::time::sleep(EXHAUSTED).await,
                }
            }
            // The fault of the one connection that died in the queue.
            Err(_) => counters.accept_failed(),
        }
    }
}

/// Takes the connections that wait at the door now.
pub(super) async fn take_waiting(door: &Door, worker: &Arc<Worker>) {
    let local = door.local();
    let next = || poll_fn(|cx| Poll::Ready(reserve::take(|| door.listener.poll_accept(cx))));
    while let Poll::Ready(accepted) = next().await {
        match accepted {
            Ok((stream, peer)) => take(stream, door.info(peer, local), worker),
            Err(error) if is_exhaustion(&error) => return,
            Err(_) => {}
        }
        // Those that were taken get their turn, and this loop a new budget.
        tokio::task::yield_now().await;
    }
}

impl Door {
    fn local(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    fn info(&self, peer: SocketAddr, local: SocketAddr) -> ConnInfo {
        ConnInfo { scheme: self.scheme, ..ConnInfo::new(peer, local) }
    }
}

/// A connection's places: it counts for as long as it holds them.
struct Held {
    _process: Place,
    _client: Grant,
}

fn take(stream: TcpStream, mut info: ConnInfo, worker: &Arc<Worker>) {
    // First of all, so that nothing which follows is told what was kept while nobody counted ticks.
    deadline::stir();
    let shared = &worker.shared;
    let greeting = shared.engine.current().identification().greet(info.peer.ip());
    let held = match enter(shared, info.peer, greeting) {
        Ok(held) => held,
        Err(shed) => return shared.unserved(Some(info.ends()), Unserved::Shed(shed)),
    };
    let worker = worker.clone();
    tokio::spawn(async move {
        let shared = &worker.shared;
        // What is spoken on the socket; what the client spoke to a load balancer may be something else.
        let spoken = info.scheme;
        let held = match hear(&stream, &mut info, greeting, held, shared).await {
            Ok(held) => held,
            Err(shed) => return shared.unserved(Some(info.ends()), Unserved::Shed(shed)),
        };
        shared.counters.connection_accepted();
        let socket = match spoken {
            Scheme::Http => Some(Socket::Plain(stream)),
            // Boxed, so that a connection does not keep the room that its handshake took.
            Scheme::Https => Box::pin(handshake(stream, &info, shared)).await,
        };
        if let Some(socket) = socket {
            connection::serve(socket, info, worker).await;
        }
        drop(held);
    });
}

/// Places for a connection that was just accepted.
fn enter(shared: &Shared, peer: SocketAddr, greeting: Greeting) -> Result<Held, Shed> {
    let snapshot = shared.engine.current();
    let settings = &snapshot.settings;
    let most = settings.edge.sockets.map_or(usize::MAX, |most| most.get() as usize);
    let process = shared.connections.enter(most).ok_or(Shed::Sockets)?;
    let now = shared.clock.now();
    let client = match greeting {
        Greeting::TakeAsClient | Greeting::RefuseHeader => shared.arrivals.enter(now, peer.ip(), settings),
        Greeting::TrustProxy | Greeting::ExpectHeader => shared.arrivals.enter_proxy(now, settings),
    };
    Ok(Held { _process: process, _client: client? })
}

/// What comes before the first byte of HTTP or TLS. Returns the places of whom the connection turns out to be.
async fn hear(
    stream: &TcpStream,
    info: &mut ConnInfo,
    greeting: Greeting,
    held: Held,
    shared: &Shared,
) -> Result<Held, Shed> {
    match greeting {
        Greeting::TakeAsClient | Greeting::TrustProxy => Ok(held),
        // Boxed, so that other connections do not pay for it.
        Greeting::RefuseHeader => {
            let most = match info.scheme {
                Scheme::Http => shared.timeouts().first(),
                Scheme::Https => shared.timeouts().handshake,
            };
            Box::pin(preface::refuse_header(stream, most)).await?;
            Ok(held)
        }
        Greeting::ExpectHeader => {
            let most = shared.engine.current().settings.edge.proxy_protocol.timeout;
            match Box::pin(preface::expect_header(stream, info, most)).await? {
                Named::Peer => Ok(held),
                Named::Client => {
                    let settings = &shared.engine.current().settings;
                    let grant = shared.arrivals.enter_behind(shared.clock.now(), info.peer.ip(), settings)?;
                    Ok(Held { _client: grant, ..held })
                }
            }
        }
    }
}

async fn handshake(stream: TcpStream, info: &ConnInfo, shared: &Shared) -> Option<Socket> {
    match tls::handshake::accept(stream, info.peer.ip(), shared).await {
        Ok(socket) => {
            shared.counters.handshake(None);
            Some(socket)
        }
        Err(failure) => {
            shared.unserved(Some(info.ends()), Unserved::Handshake(failure));
            None
        }
    }
}

fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.iter().any(|errno| errno.raw_os_error() == code))
}

/// How long accepting pauses when there is not even a descriptor to close a connection with.
const EXHAUSTED: Duration = Duration::from_millis(20);
