//! One worker: a thread with a runtime, listening sockets and an origin pool of its own.

use crate::conn::ConnInfo;
use crate::connection;
use crate::deadline;
use crate::lane::pingora::PingoraLane;
use crate::listen::Listener;
use crate::shared::{Phase, Shared};
use crate::socket::Socket;
use crate::tls;
use crate::upstream::pool;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use weir_core::facts::Scheme;

/// What a worker needs to serve a connection.
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// The way for requests that the express lane does not take.
    pub pingora: PingoraLane,
}

/// Serves `listeners` on this thread until the process has drained.
///
/// # Errors
/// When the runtime or a socket cannot be set up.
pub fn run(shared: Arc<Shared>, listeners: Vec<Listener>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let worker = Arc::new(Worker { pingora: PingoraLane::new(shared.clone()), shared });
        let mut accepting = Vec::new();
        for Listener { socket, scheme } in listeners {
            let listener = tokio::net::TcpListener::from_std(socket)?;
            accepting.push(tokio::spawn(accept(listener, scheme, worker.clone())));
        }
        let sweeping = tokio::spawn(sweep(worker.shared.clone()));
        worker.shared.phase.clone().wait_for(|phase| *phase >= Phase::Drain).await.ok();
        for task in &accepting {
            task.abort();
        }
        deadline::wake_all();
        worker.shared.drained(worker.shared.timeouts.shutdown).await;
        sweeping.abort();
        pool::clear();
        Ok(())
    })
}

async fn accept(listener: tokio::net::TcpListener, scheme: Scheme, worker: Arc<Worker>) {
    let local = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => take(stream, ConnInfo { peer, local, scheme }, &worker),
            // Out of descriptors or memory: connections in flight must end before there is room. Anything else is the
            // fault of the one connection that died in the queue.
            Err(error) if is_exhaustion(&error) => {
                worker.shared.counters.accept_failed();
                tokio::time::sleep(EXHAUSTED).await;
            }
            Err(_) => worker.shared.counters.accept_failed(),
        }
    }
}

fn take(stream: TcpStream, info: ConnInfo, worker: &Arc<Worker>) {
    // Refused before anything is allocated for it.
    let Some(place) = worker.shared.connections.enter() else {
        worker.shared.counters.connection_shed();
        return;
    };
    worker.shared.counters.connection_accepted();
    let worker = worker.clone();
    tokio::spawn(async move {
        let socket = match info.scheme {
            Scheme::Http => Some(Socket::Plain(stream)),
            // Boxed, so that a connection does not keep the room that its handshake took.
            Scheme::Https => Box::pin(handshake(stream, info.peer.ip(), &worker.shared)).await,
        };
        if let Some(socket) = socket {
            connection::serve(socket, info, worker).await;
        }
        drop(place);
    });
}

async fn handshake(stream: TcpStream, client: IpAddr, shared: &Shared) -> Option<Socket> {
    let accepted = tls::handshake::accept(stream, client, shared).await;
    shared.counters.handshake(accepted.as_ref().err().copied());
    accepted.ok()
}

fn is_exhaustion(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| {
        [
            rustix::io::Errno::MFILE,
            rustix::io::Errno::NFILE,
            rustix::io::Errno::NOBUFS,
            rustix::io::Errno::NOMEM,
        ]
        .iter()
        .any(|errno| errno.raw_os_error() == code)
    })
}

async fn sweep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(deadline::TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for tick in 0_u64.. {
        ticks.tick().await;
        deadline::sweep();
        shared.log.flush();
        if tick % TICKS_PER_SECOND == 0 {
            pool::sweep();
        }
    }
}

/// How long accepting pauses when descriptors or memory have run out.
const EXHAUSTED: Duration = Duration::from_millis(20);
const TICKS_PER_SECOND: u64 = (1000 / deadline::TICK.as_millis()) as u64;
