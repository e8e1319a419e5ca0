//! What every lane of one worker uses.

use crate::abort::Unserved;
use crate::access_log::AccessLog;
use crate::arrivals::Arrivals;
use crate::clock::Clock;
use crate::conn::ConnInfo;
use crate::counters::Counters;
use crate::timeouts::{self, Given, Timeouts};
use crate::tls::Tls;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use weir_core::Engine;

/// What every lane of one worker uses. Each worker has its own, around parts that are common.
#[derive(Clone)]
pub struct Shared {
    /// Admits requests.
    pub engine: Arc<Engine>,
    /// Tells the time.
    pub clock: Clock,
    /// Counts what has no location.
    pub counters: Arc<Counters>,
    /// Takes a line per request.
    pub log: AccessLog,
    /// Connections that are open.
    pub connections: Connections,
    /// What TLS is served with.
    pub tls: Arc<Tls>,
    /// Sockets of each client.
    pub arrivals: Arc<Arrivals>,
    /// How long things may take, as far as the flags say it.
    pub given: Given,
    /// Which lanes are open.
    pub lanes: Lanes,
    /// Whether a client of a plain listener may begin with HTTP/2 (`--h2c`).
    pub h2c: bool,
    /// Whether we run or are about to end.
    pub phase: watch::Receiver<Phase>,
}

impl Shared {
    /// Whether connections should end after the request they are at.
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Drain
    }

    /// Whether a connection should end after the request that it is at: the process ends, it had its share, or none
    /// is kept.
    pub fn is_last(&self, info: &ConnInfo) -> bool {
        let timeouts = self.timeouts();
        info.requests >= timeouts.requests || timeouts.idle.is_zero() || self.is_draining()
    }

    /// Counts a connection that ended before a request could begin, and tells the log of it. `client` is the client and
    /// the connection's other end, where they are known.
    pub fn unserved(&self, client: Option<(IpAddr, IpAddr)>, unserved: Unserved) {
        self.counters.unserved(unserved);
        if let Some(log) = self.access_log() {
            log.write_unserved(self.clock.wall(), client, unserved);
        }
    }

    /// The access log, if lines go anywhere now.
    pub fn access_log(&self) -> Option<&AccessLog> {
        let is_on = self.log.is_on() && !self.engine.current().settings.log.disabled;
        is_on.then_some(&self.log)
    }

    /// How long things may take.
    pub fn timeouts(&self) -> Timeouts {
        timeouts::of(&self.engine, &self.given)
    }

    /// Waits until no connection is open, `most` at the longest.
    pub async fn drained(&self, most: Duration) {
        let _ = tokio::time::timeout(most, self.connections.empty()).await;
    }
}

/// How far the process is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    #[default]
    Run,
    /// Serving, and nobody should be sent here any more (`--shutdown-delay`).
    Leave,
    /// No new connections; the open ones end.
    Drain,
}

/// Which lanes are open (`--lane`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lanes {
    /// Each request takes the express lane if it can.
    #[default]
    Auto,
    /// Every request takes pingora's, so that tests can compare.
    Pingora,
}

/// How many client connections are open, and how many may be.
#[derive(Clone, Debug)]
pub struct Connections(Arc<ConnectionCount>);

#[derive(Debug)]
struct ConnectionCount {
    open: AtomicUsize,
    most: usize,
    changed: Notify,
}

impl Connections {
    /// None open, `most` allowed.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(ConnectionCount { open: AtomicUsize::new(0), most, changed: Notify::new() }))
    }

    /// A place for one more, until it is dropped, if there are fewer than `most` as well.
    pub fn enter(&self, most: usize) -> Option<Place> {
        if self.0.open.fetch_add(1, Ordering::Relaxed) < self.0.most.min(most) {
            return Some(Place(self.clone()));
        }
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Returns when none is open.
    pub async fn empty(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.open() == 0 {
                return;
            }
            changed.await;
        }
    }
}

/// An open connection's place.
#[derive(Debug)]
pub struct Place(Connections);

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.0.changed.notify_waiters();
        }
    }
}
