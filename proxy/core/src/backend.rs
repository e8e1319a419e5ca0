//! Where requests go: endpoints, and which of them is next.

use crate::declaration::{BackendName, BackendSpec};
use crate::policy::Balance;
use arc_swap::ArcSwap;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use weir_limits::Instant;

/// A Service port and the endpoints behind it. Endpoint state survives snapshots.
#[derive(Debug)]
pub struct Backend {
    /// Which Service port.
    pub name: BackendName,
    kind: Kind,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    turn: AtomicUsize,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// The addresses are those of the declaration.
    Fixed,
    /// The addresses are whatever the name resolves to.
    External { host: String, port: u16 },
    /// The declaration does not know it.
    Missing,
}

impl Backend {
    /// A backend, which takes over from `previous`, the one of the same name, what it knows of its endpoints.
    /// Where nothing differs it is the previous one itself.
    pub fn new(name: &BackendName, spec: Option<&BackendSpec>, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let (kind, addresses) = match spec {
            Some(BackendSpec::Addresses(addresses)) => (Kind::Fixed, addresses.as_slice()),
            Some(BackendSpec::External { host, port }) => {
                (Kind::External { host: host.clone(), port: *port }, [].as_slice())
            }
            None => (Kind::Missing, [].as_slice()),
        };
        if let Some(previous) = previous
            && previous.kind == kind
            && (kind != Kind::Fixed || previous.endpoints.load().iter().map(|e| &e.address).eq(addresses))
        {
            return Arc::clone(previous);
        }
        let before = previous.map(|previous| previous.endpoints.load_full()).unwrap_or_default();
        let turn = previous.map_or(0, |previous| previous.turn.load(Relaxed));
        Arc::new(Self {
            name: name.clone(),
            kind,
            endpoints: ArcSwap::from_pointee(endpoints(addresses, &before)),
            turn: AtomicUsize::new(turn),
        })
    }

    /// The DNS name and port to resolve, for a backend that is one (`spec.externalName`).
    pub fn external(&self) -> Option<(&str, u16)> {
        match &self.kind {
            Kind::External { host, port } => Some((host, *port)),
            Kind::Fixed | Kind::Missing => None,
        }
    }

    /// Puts other addresses in force, e.g. newly resolved ones. Endpoints that stay keep their state.
    pub fn set_addresses(&self, addresses: &[SocketAddr]) {
        self.endpoints.rcu(|before| endpoints(addresses, before));
    }

    /// The addresses in force.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.endpoints.load().iter().map(|endpoint| endpoint.address).collect()
    }

    /// The endpoints in force, for display.
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Whether it is worth asking for an endpoint. An external name that is not resolved yet is.
    pub fn is_present(&self) -> bool {
        matches!(self.kind, Kind::External { .. }) || !self.endpoints.load().is_empty()
    }

    /// Chooses an endpoint that is not in `tried`. Endpoints that refused connections are left out for a while, unless
    /// there is no other: trying is never worse than not trying. `random` is fresh for each call and need not be secret.
    ///
    /// # Errors
    ///
    /// If there is no endpoint, or all of them were tried.
    pub fn pick(
        &self,
        now: Instant,
        balance: Balance,
        random: u64,
        tried: &[SocketAddr],
    ) -> Result<Pick, NoEndpoint> {
        let endpoints = self.endpoints.load();
        if endpoints.is_empty() {
            return Err(NoEndpoint::Empty);
        }
        let start = match balance {
            Balance::RoundRobin => self.turn.fetch_add(1, Relaxed),
            Balance::LeastInFlight => match less_busy(&endpoints, random, tried, now) {
                Some(endpoint) => return Ok(Pick::new(endpoint)),
                None => usize::try_from(random >> 1).unwrap_or_default(),
            },
        };
        let start = start % endpoints.len();
        let (before, after) = endpoints.split_at_checked(start).unwrap_or((&[], &endpoints));
        let in_turn = || after.iter().chain(before).filter(|endpoint| !tried.contains(&endpoint.address));
        let chosen = in_turn().find(|endpoint| endpoint.admits(now)).or_else(|| in_turn().next());
        chosen.map(Pick::new).ok_or(NoEndpoint::AllTried)
    }
}

/// Why there is no endpoint to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEndpoint {
    /// The backend has none, or its name is not resolved.
    #[error("the backend has no endpoint")]
    Empty,
    /// Each was tried for this request.
    #[error("all endpoints were tried")]
    AllTried,
}

/// A chosen endpoint. Counts as in flight there until it is dropped.
#[derive(Debug)]
pub struct Pick {
    /// Its address.
    pub address: SocketAddr,
    endpoint: Arc<Endpoint>,
}

impl Pick {
    fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Relaxed);
        Self { address: endpoint.address, endpoint: Arc::clone(endpoint) }
    }

    /// A connection could not be made: leave the endpoint out, for [`EJECTION_MIN`] at first, then for twice as long
    /// each time, up to [`EJECTION_MAX`].
    pub fn failed(&self, now: Instant) {
        self.endpoint.failed(now);
    }

    /// A connection was made: whatever was held against the endpoint is forgotten.
    pub fn succeeded(&self) {
        self.endpoint.succeeded();
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Relaxed);
    }
}

/// One address and what is known of it.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    in_flight: AtomicUsize,
    /// Times in a row that it was left out; zero while it is well.
    ejections: AtomicU32,
    /// Nanoseconds since the start; meaningless while it is well.
    ejected_until: AtomicU64,
    /// Whether a request is finding out.
    probing: AtomicBool,
}

impl Endpoint {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            in_flight: AtomicUsize::new(0),
            ejections: AtomicU32::new(0),
            ejected_until: AtomicU64::new(0),
            probing: AtomicBool::new(false),
        }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Picks that are held.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// Whether it is left out for refusing connections.
    pub fn is_ejected(&self, now: Instant) -> bool {
        !self.is_well() && now.as_nanos() < self.ejected_until.load(Relaxed)
    }

    fn is_well(&self) -> bool {
        self.ejections.load(Relaxed) == 0
    }

    /// Whether a request may go there. When its time out is over, one request at a time finds out whether it is well.
    fn admits(&self, now: Instant) -> bool {
        self.is_well() || self.begin_probe(now)
    }

    fn begin_probe(&self, now: Instant) -> bool {
        let until = self.ejected_until.load(Relaxed);
        let next = now.saturating_add(EJECTION_MIN).as_nanos();
        let begins = now.as_nanos() >= until
            && self.ejected_until.compare_exchange(until, next, Relaxed, Relaxed).is_ok();
        if begins {
            self.probing.store(true, Relaxed);
        }
        begins
    }

    fn failed(&self, now: Instant) {
        let ejections = self.ejections.load(Relaxed);
        // Whoever was on the way when the first one failed brings no news: what counts is one try after each time out.
        let is_news = match ejections {
            0 => self.ejections.compare_exchange(0, 1, Relaxed, Relaxed).is_ok(),
            _ => self.probing.swap(false, Relaxed),
        };
        if is_news {
            let time_out = EJECTION_MIN.saturating_mul(1 << ejections.min(DOUBLINGS_MAX)).min(EJECTION_MAX);
            self.ejected_until.store(now.saturating_add(time_out).as_nanos(), Relaxed);
            self.ejections.store(ejections.saturating_add(1), Relaxed);
        }
    }

    fn succeeded(&self) {
        if !self.is_well() {
            self.ejections.store(0, Relaxed);
            self.probing.store(false, Relaxed);
        }
    }
}

/// Endpoints at the addresses, each once, with the state of those that were there before.
fn endpoints(addresses: &[SocketAddr], before: &[Arc<Endpoint>]) -> Vec<Arc<Endpoint>> {
    let known: HashMap<SocketAddr, &Arc<Endpoint>> = before.iter().map(|e| (e.address, e)).collect();
    let mut seen = HashSet::with_capacity(addresses.len());
    let distinct = addresses.iter().filter(|address| seen.insert(**address));
    let endpoint = |address: &SocketAddr| match known.get(address) {
        Some(endpoint) => Arc::clone(endpoint),
        None => Arc::new(Endpoint::new(*address)),
    };
    distinct.map(endpoint).collect()
}

/// The less busy of two drawn at random, if they are fit: the power of two choices. One that is due to show whether it
/// is well again goes first.
fn less_busy<'a>(
    endpoints: &'a [Arc<Endpoint>],
    random: u64,
    tried: &[SocketAddr],
    now: Instant,
) -> Option<&'a Arc<Endpoint>> {
    let count = u64::try_from(endpoints.len()).ok().filter(|count| *count > 0)?;
    let (low, high) = (random & u64::from(u32::MAX), random >> 32);
    let first = low % count;
    // Another one than the first, if there is another.
    let second = (first + 1 + high % (count - 1).max(1)) % count;
    let at = |place: u64| usize::try_from(place).ok().and_then(|place| endpoints.get(place));
    let drawn = [first, second].map(|place| at(place).filter(|e| !tried.contains(&e.address)));
    let due = drawn.into_iter().flatten().find(|endpoint| !endpoint.is_well() && endpoint.begin_probe(now));
    let [a, b] = drawn.map(|endpoint| endpoint.filter(|endpoint| endpoint.is_well()));
    match (due, a, b) {
        (Some(due), ..) => Some(due),
        (None, Some(a), Some(b)) => Some(if b.in_flight() < a.in_flight() { b } else { a }),
        (None, a, b) => a.or(b),
    }
}

/// How long an endpoint is left out the first time it refuses a connection, and how long a single request may take to
/// find out whether it is well again before another one is sent.
pub const EJECTION_MIN: Duration = Duration::from_secs(1);

/// The longest time an endpoint is left out.
pub const EJECTION_MAX: Duration = Duration::from_secs(60);

/// 2^6 seconds are more than the longest time already.
const DOUBLINGS_MAX: u32 = 6;

#[cfg(test)]
mod tests;
