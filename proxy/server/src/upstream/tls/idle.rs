//! Idle connections to origins over TLS, one pool per worker.

use crate::deadline;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Whose connections can stand for one another: an endpoint's under one policy, by the number of its connector.
pub(super) type Key = (SocketAddr, u64);

/// An idle connection that is still open and has nothing to say.
pub(super) fn take(key: Key) -> Option<TlsStream<TcpStream>> {
    POOL.with_borrow_mut(|pool| {
        let idle = pool.idle.get_mut(&key)?;
        while let Some(mut entry) = idle.pop() {
            pool.count -= 1;
            if is_quiet(&mut entry.stream) {
                return Some(entry.stream);
            }
        }
        None
    })
}

/// Keeps a connection whose last response ended cleanly. When the pool is full it is closed instead.
pub(super) fn give(key: Key, stream: TlsStream<TcpStream>) {
    deadline::stir();
    POOL.with_borrow_mut(|pool| {
        if pool.count < MOST_IDLE {
            pool.count += 1;
            let since = pool.tick;
            pool.idle.entry(key).or_default().push(Idle { stream, since });
        }
    });
}

/// Moves this worker's time on by one second; closes what has been idle too long or was closed by its origin.
pub(in crate::upstream) fn sweep() {
    POOL.with_borrow_mut(|pool| {
        pool.tick += 1;
        let tick = pool.tick;
        pool.idle.retain(|_, idle| {
            idle.retain_mut(|entry| {
                tick.saturating_sub(entry.since) < IDLE.as_secs() && is_quiet(&mut entry.stream)
            });
            !idle.is_empty()
        });
        pool.count = pool.idle.values().map(Vec::len).sum();
    });
}

/// Whether there is none.
pub(in crate::upstream) fn is_empty() -> bool {
    POOL.with_borrow(|pool| pool.count == 0)
}

/// Closes all idle connections of this worker.
pub(in crate::upstream) fn clear() {
    POOL.with_borrow_mut(|pool| *pool = Pool::default());
}

/// Takes in what TLS says to itself meanwhile, such as new tickets.
fn is_quiet(stream: &mut TlsStream<TcpStream>) -> bool {
    let mut byte = [0];
    let mut space = ReadBuf::new(&mut byte);
    let read = Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut space);
    matches!(read, Poll::Pending)
}

#[derive(Default)]
struct Pool {
    tick: u64,
    count: usize,
    idle: HashMap<Key, Vec<Idle>>,
}

struct Idle {
    stream: TlsStream<TcpStream>,
    since: u64,
}

/// Most idle connections of a worker, to all origins together. One weighs some 20 KiB.
const MOST_IDLE: usize = 1024;
/// How long one may be idle (ingress-nginx's `upstream-keepalive-timeout`).
const IDLE: Duration = Duration::from_secs(60);

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}
