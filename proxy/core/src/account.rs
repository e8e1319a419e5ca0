//! Closing a request: the counters that it moves. Rendered by `server/metrics.rs`.

mod counters;
mod route;

pub use counters::{Histogram, ObjectCounters};
pub use route::RouteCounters;

use crate::identity::Client;
use crate::snapshot::Location;
use crate::verdict::{Reason, RuleHit};
use std::sync::Arc;
use std::time::Duration;
use weir_limits::Instant;

/// Who asked for what, and which rules spoke; from the verdict to the access log.
///
/// One that is dropped without [`Account::close`] counts as aborted.
#[derive(Debug)]
pub struct Account {
    /// When the request head was complete.
    pub began: Instant,
    /// Who asked.
    pub client: Client,
    /// The location, when there was one.
    pub location: Option<Arc<Location>>,
    /// The rule that refused, or the first that would have under `observe`.
    pub hit: Option<RuleHit>,
    /// Counters for requests without a location; `None` for all others, whose location has them.
    unrouted: Option<Arc<ObjectCounters>>,
    closed: bool,
}

impl Account {
    /// Opens the account of a request that a location takes.
    pub(crate) fn open(began: Instant, client: Client, location: Arc<Location>) -> Self {
        location.owner().counters().begin();
        Self { began, client, location: Some(location), hit: None, unrouted: None, closed: false }
    }

    /// Opens the account of a request that no location takes.
    pub(crate) fn open_unrouted(began: Instant, client: Client, counters: Arc<ObjectCounters>) -> Self {
        counters.begin();
        Self { began, client, location: None, hit: None, unrouted: Some(counters), closed: false }
    }

    /// Notes that a rule spoke, and counts it. The first rule to speak under `observe` is kept unless another refuses.
    pub(crate) fn note(&mut self, hit: RuleHit) {
        self.counters().inspect(|counters| counters.count_hit(hit));
        let keeps = self.hit.is_some() && hit.mode == crate::policy::Mode::Observe;
        if !keeps {
            self.hit = Some(hit);
        }
    }

    /// Counts a refusal that no annotation asked for.
    pub(crate) fn note_reason(&mut self, reason: Reason) {
        self.counters().inspect(|counters| counters.count_reason(reason));
    }

    /// Closes it. Only the first call counts.
    pub fn close(&mut self, now: Instant, outcome: &Outcome) {
        if self.closed {
            return;
        }
        self.closed = true;
        let duration = now.saturating_since(self.began);
        if let Some(counters) = self.counters() {
            counters.end(duration, outcome);
        }
        if let Some(location) = &self.location {
            location.counters().end(outcome.status, Some(duration));
        }
    }

    /// The counters of the object, or those for requests without one.
    fn counters(&self) -> Option<&ObjectCounters> {
        match &self.location {
            Some(location) => Some(location.owner().counters()),
            None => self.unrouted.as_deref(),
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        if let Some(counters) = self.counters() {
            counters.abort();
        }
        if let Some(location) = &self.location {
            location.counters().end(0, None);
        }
    }
}

/// How a request ended, as the lanes saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Status sent to the client; 0 when none was.
    pub status: u16,
    /// Bytes received: head and body.
    pub bytes_in: u64,
    /// Bytes sent: head and body.
    pub bytes_out: u64,
    /// Whether it came to its end.
    pub end: End,
    /// The origin's part, when one was contacted.
    pub upstream: Option<UpstreamOutcome>,
}

/// Whether a request came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum End {
    /// The response was sent in full.
    #[default]
    Complete,
    /// The client went away, or its connection failed.
    ClientAbort,
    /// The origin broke off in the middle of its response.
    OriginAbort,
}

impl End {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Complete, Self::ClientAbort, Self::OriginAbort];

    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientAbort => "client-abort",
            Self::OriginAbort => "origin-abort",
        }
    }
}

/// What the origin did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamOutcome {
    /// The endpoint that gave the response, or the last one tried.
    pub address: std::net::SocketAddr,
    /// Endpoints tried, this one included.
    pub tries: u32,
    /// Status it sent; 0 when none came.
    pub status: u16,
    /// From the first byte sent to the first byte of its response.
    pub latency: Duration,
    /// How it ended.
    pub result: UpstreamResult,
}

/// How an exchange with the origin ended. A closed list for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamResult {
    /// A response came.
    Respond,
    /// No connection could be made.
    RefuseConnect,
    /// Connecting took too long.
    TimeoutConnect,
    /// The response took too long.
    TimeoutRead,
    /// The connection broke before the response was whole.
    Reset,
    /// What came was no valid HTTP response.
    InvalidResponse,
}

impl UpstreamResult {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Respond,
        Self::RefuseConnect,
        Self::TimeoutConnect,
        Self::TimeoutRead,
        Self::Reset,
        Self::InvalidResponse,
    ];

    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Respond => "respond",
            Self::RefuseConnect => "refuse-connect",
            Self::TimeoutConnect => "timeout-connect",
            Self::TimeoutRead => "timeout-read",
            Self::Reset => "reset",
            Self::InvalidResponse => "invalid-response",
        }
    }
}

#[cfg(test)]
mod tests;
