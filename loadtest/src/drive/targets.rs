//! Where requests go: replicas, of which one may be out for a while.

use parking_lot::RwLock;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A replica of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it listens for plain text.
    pub http: Option<SocketAddr>,
    /// Where it listens for TLS.
    pub https: Option<SocketAddr>,
}

/// All replicas.
#[derive(Debug)]
pub struct Targets {
    replicas: RwLock<Vec<Option<Target>>>,
    /// Counts changes.
    generation: AtomicU64,
}

impl Targets {
    /// All of them in.
    pub fn new(replicas: Vec<Target>) -> Self {
        Self {
            replicas: RwLock::new(replicas.into_iter().map(Some).collect()),
            generation: AtomicU64::new(0),
        }
    }

    /// Takes a replica out (`None`) or puts another in its place.
    pub fn set(&self, number: usize, target: Option<Target>) {
        if let Some(place) = self.replicas.write().get_mut(number) {
            *place = target;
        }
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The replicas that are in, by number, and a number that changes with them.
    pub(crate) fn snapshot(&self) -> (Vec<(usize, Target)>, u64) {
        let generation = self.generation();
        let replicas = self.replicas.read();
        let live = replicas.iter().enumerate().filter_map(|(number, target)| Some((number, (*target)?)));
        (live.collect(), generation)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}
