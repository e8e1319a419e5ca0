//! What goes wrong, because a test says so.

use crate::request::{Request, Verb};
use crate::shared::Shared;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Which requests are meant. Without conditions: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    verb: Option<Verb>,
    resource: Option<String>,
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// With this status code, and `Retry-After` in seconds.
    Answer(u16, Option<u32>),
    /// The connection is reset.
    Reset,
    /// Nothing is answered, and the connection stays.
    Hang,
}

/// What happens to watches that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// The stream ends, as by its timeout.
    End,
    /// The connection is reset.
    Reset,
    /// Nothing is sent any more, and the connection stays.
    Hang,
    /// A line that is no JSON is sent, and the stream goes on.
    Garbage,
    /// An event is sent in part, and the stream ends.
    CutOff,
    /// An event of type ERROR is sent with this code (410 for what is too old), and the stream ends.
    Error(u16),
}

/// How slowly bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many bytes at once; at least one.
    pub bytes: usize,
    /// And then so long nothing.
    pub every: Duration,
}

/// The switches of a test. Each works at once, for what is open too where it says so.
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

/// What is set at present.
#[derive(Debug)]
pub(crate) struct State {
    set: Mutex<Set>,
    disturbances: broadcast::Sender<Told>,
}

/// A disturbance on its way to the watches.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) matching: Matching,
    pub(crate) disturbance: Disturbance,
    /// What happened up to this version is told before.
    pub(crate) version: u64,
}

#[derive(Debug, Default)]
struct Set {
    delays: Vec<(Matching, Duration)>,
    failures: Vec<(Matching, u32, Failure)>,
    pace: Option<Pace>,
}

impl Matching {
    /// All requests.
    pub fn all() -> Self {
        Self::default()
    }

    /// With this verb.
    #[must_use]
    pub fn verb(self, verb: Verb) -> Self {
        Self { verb: Some(verb), ..self }
    }

    /// For this resource, by its plural name.
    #[must_use]
    pub fn resource(self, resource: impl Into<String>) -> Self {
        Self { resource: Some(resource.into()), ..self }
    }

    /// Whether a request is meant.
    pub fn matches(&self, request: &Request) -> bool {
        self.verb.is_none_or(|verb| verb == request.verb)
            && self.resource.as_ref().is_none_or(|resource| *resource == request.resource)
    }
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The next so many requests that match fail.
    pub fn fail_next(&self, times: u32, matching: Matching, failure: Failure) {
        self.state().set.lock().failures.push((matching, times, failure));
    }

    /// Every request that matches is answered so much later.
    pub fn delay(&self, matching: Matching, delay: Duration) {
        self.state().set.lock().delays.push((matching, delay));
    }

    /// Bytes are sent at this pace, of open connections too; as fast as they can without one.
    pub fn slow(&self, pace: Option<Pace>) {
        self.state().set.lock().pace = pace;
    }

    /// Disturbs the open watches that match, once: after what happened before this call, and before what happens after
    /// it. Gives how many watches are open, of all kinds.
    pub fn disturb(&self, matching: Matching, disturbance: Disturbance) -> usize {
        let version = self.shared.registry.lock().store.version();
        self.state().disturbances.send(Told { matching, disturbance, version }).unwrap_or_default()
    }

    /// Older versions than the present one are gone for who begins to watch or goes on with a list: 410. Watches that are
    /// open go on.
    pub fn compact(&self) {
        self.shared.registry.lock().store.compact();
    }

    /// Sends a bookmark on every open watch that takes them.
    pub fn bookmark(&self) {
        self.shared.bookmarks.send_modify(|count| *count += 1);
    }

    /// Ends all delays, failures to come, and slowness.
    pub fn clear(&self) {
        *self.state().set.lock() = Set::default();
    }

    fn state(&self) -> &State {
        &self.shared.faults
    }
}

impl State {
    pub(crate) fn new() -> Self {
        let (disturbances, _) = broadcast::channel(64);
        Self { set: Mutex::default(), disturbances }
    }

    /// The failure that a request meets, which is one less to come.
    pub(crate) fn failure(&self, request: &Request) -> Option<Failure> {
        let mut set = self.set.lock();
        let (_, times, failure) = set.failures.iter_mut().find(|(it, _, _)| it.matches(request))?;
        *times = times.saturating_sub(1);
        let failure = *failure;
        set.failures.retain(|(_, times, _)| *times > 0);
        Some(failure)
    }

    pub(crate) fn delay(&self, request: &Request) -> Duration {
        self.set.lock().delays.iter().filter(|(it, _)| it.matches(request)).map(|(_, delay)| *delay).sum()
    }

    pub(crate) fn pace(&self) -> Option<Pace> {
        self.set.lock().pace
    }

    pub(crate) fn disturbances(&self) -> broadcast::Receiver<Told> {
        self.disturbances.subscribe()
    }
}
