//! The current snapshot and the limiter: admits requests.

use crate::declaration::Declaration;
use crate::facts::Facts;
use crate::snapshot::Snapshot;
use crate::verdict::Verdict;
use arc_swap::ArcSwap;
use std::sync::Arc;
use weir_limits::Instant;

/// The current snapshot and the limiter.
#[derive(Debug)]
pub struct Engine {
    current: ArcSwap<Snapshot>,
}

impl Engine {
    /// An engine without routes.
    pub fn new() -> Self {
        Self { current: ArcSwap::from_pointee(Snapshot::build(Declaration::default(), None)) }
    }

    /// Says what becomes of a request. `now` is read once per request by the caller.
    pub fn admit(&self, _now: Instant, _facts: &Facts<'_>) -> Verdict {
        todo!("by the core")
    }

    /// Puts another configuration in force, at once and as a whole.
    pub fn replace(&self, declaration: Declaration) -> Arc<Snapshot> {
        let next = Arc::new(Snapshot::build(declaration, Some(&self.current.load())));
        self.current.store(next.clone());
        next
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}
