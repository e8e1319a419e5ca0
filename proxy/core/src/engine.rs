//! The current snapshot and the limiter: admits requests.

use crate::admission;
use crate::declaration::{BackendName, BackendSpec, Declaration};
use crate::facts::Facts;
use crate::snapshot::Snapshot;
use crate::verdict::Verdict;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_limits::{Config, Instant, Limiter, Seed, Sizes, Stats};

/// What an engine is made of.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Clients times rules whose rates are counted at once; see [`weir_limits::Config::capacity`].
    pub clients: usize,
    /// Clients times rules with requests in flight at once; see [`weir_limits::Config::in_flight_capacity`].
    pub in_flight: usize,
    /// The secret under which rules and clients become numbers.
    pub seed: Seed,
}

impl Default for EngineConfig {
    /// A million clients, a hundred thousand of them with requests in flight, under a random seed.
    fn default() -> Self {
        Self { clients: CLIENTS, in_flight: IN_FLIGHT, seed: Seed::random() }
    }
}

/// The current snapshot and the limiter.
#[derive(Debug)]
pub struct Engine {
    current: ArcSwap<Snapshot>,
    limiter: Limiter,
    /// Held while a snapshot is built, so that each takes over from the one before it.
    building: Mutex<()>,
}

impl Engine {
    /// An engine without routes.
    pub fn new(config: EngineConfig) -> Self {
        let empty = Snapshot::nothing(&config.seed);
        let limiter = Limiter::new(Config {
            capacity: config.clients,
            in_flight_capacity: config.in_flight,
            seed: config.seed,
        });
        Self { current: ArcSwap::from_pointee(empty), limiter, building: Mutex::new(()) }
    }

    /// Says what becomes of a request. `now` is read once per request by the caller.
    pub fn admit(&self, now: Instant, facts: &Facts<'_>) -> Verdict {
        admission::admit(&self.current.load(), &self.limiter, now, facts)
    }

    /// Puts another configuration in force, at once and as a whole. Requests in flight end under the one that admitted
    /// them; counters of rules whose identity is the same go on.
    pub fn replace(&self, declaration: Declaration) -> Arc<Snapshot> {
        let _one_at_a_time = self.building.lock();
        let previous = self.current.load_full();
        let next = Arc::new(Snapshot::build(declaration, Some(&previous), self.limiter.seed()));
        self.current.store(Arc::clone(&next));
        next
    }

    /// Puts other addresses of backends in force, and changes nothing else. A backend that the configuration does not
    /// have, or whose addresses come from a name, is left as it is.
    pub fn set_endpoints(&self, backends: &BTreeMap<BackendName, BackendSpec>) {
        // A snapshot that is being built takes over the addresses that it finds.
        let _one_at_a_time = self.building.lock();
        let snapshot = self.current.load();
        for (name, spec) in backends {
            if let (Some(backend), BackendSpec::Addresses(addresses)) = (snapshot.backend(name), spec)
                && backend.external().is_none()
            {
                backend.set_addresses(addresses);
            }
        }
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The configuration in force, borrowed: for a glance during a request.
    pub fn current(&self) -> impl std::ops::Deref<Target = Arc<Snapshot>> + use<> {
        self.current.load()
    }

    /// How full the limiter's tables are, and what came of it.
    pub fn limiter_stats(&self) -> Stats {
        self.limiter.stats()
    }

    /// What the limiter's tables weigh.
    pub fn limiter_sizes(&self) -> Sizes {
        self.limiter.sizes()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(EngineConfig::default())
    }
}

/// 64 MB at most, and resident only as far as it is used.
const CLIENTS: usize = 1_000_000;

const IN_FLIGHT: usize = 100_000;

#[cfg(test)]
mod tests;
