//! How the origin is spoken to.

use super::value::period;
use serde::Serialize;
use std::time::Duration;

/// How the origin is spoken to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// Most time for a connection to be made.
    #[serde(serialize_with = "period::serialize")]
    pub connect_timeout: Duration,
    /// Most time between two writes.
    #[serde(serialize_with = "period::serialize")]
    pub send_timeout: Duration,
    /// Most time between two reads; also the idle time of a websocket.
    #[serde(serialize_with = "period::serialize")]
    pub read_timeout: Duration,
    /// When another endpoint is tried.
    pub next: NextUpstream,
    /// How an endpoint is chosen.
    pub balance: Balance,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(60),
            next: NextUpstream::default(),
            balance: Balance::RoundRobin,
        }
    }
}

/// How an endpoint is chosen (`load-balance`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// The less busy of two drawn at random (power of two choices).
    LeastInFlight,
}

/// When a request is tried on another endpoint (`proxy-next-upstream*`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextUpstream {
    /// A connection failed, or broke before a response byte came.
    pub on_error: bool,
    /// A connection or a response took too long.
    pub on_timeout: bool,
    /// The origin sent what is no HTTP response.
    pub on_invalid_header: bool,
    /// Response statuses that lead to another try.
    pub on_status: Vec<u16>,
    /// Whether requests with methods that are not idempotent are repeated too.
    pub non_idempotent: bool,
    /// Most endpoints tried in all, the first included; 0 is no limit but the number of endpoints.
    pub tries: u32,
    /// Most time for all tries; zero is no limit.
    #[serde(serialize_with = "period::serialize")]
    pub timeout: Duration,
}

impl Default for NextUpstream {
    fn default() -> Self {
        Self {
            on_error: true,
            on_timeout: true,
            on_invalid_header: false,
            on_status: Vec::new(),
            non_idempotent: false,
            tries: 3,
            timeout: Duration::ZERO,
        }
    }
}
