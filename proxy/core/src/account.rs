//! Closing a request: the counters that it moves. Rendered by `server/metrics.rs`.

use crate::identity::Client;
use crate::snapshot::Location;
use crate::verdict::RuleHit;
use std::sync::Arc;
use std::time::Duration;
use weir_limits::Instant;

/// Who asked for what, and which rules spoke; from the verdict to the access log.
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
    closed: bool,
}

impl Account {
    /// Closes it. Only the first call counts.
    pub fn close(&mut self, _now: Instant, _outcome: &Outcome) {
        self.closed = true;
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
