//! Rates and concurrency: what a policy says about how often and how many at once.

use super::BodyLimit;
use super::value::period;
use ipnet::IpNet;
use serde::Serialize;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Rates and concurrency of one client under one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Requests in flight at once.
    pub connections: Option<NonZeroU32>,
    /// Requests per second, minute, hour and day.
    pub per_second: Option<NonZeroU64>,
    /// Requests per minute.
    pub per_minute: Option<NonZeroU64>,
    /// Requests per hour.
    pub per_hour: Option<NonZeroU64>,
    /// Requests per day.
    pub per_day: Option<NonZeroU64>,
    /// Requests per window of any length (`limit-window`), at most [`MAX_WINDOWS`].
    pub windows: Vec<Window>,
    /// How much may come at once above the rate.
    pub burst: Burst,
    /// What a client is.
    pub key: Vec<KeyPart>,
    /// Which of the rules of this object refuse and which only count.
    pub mode: Modes,
    /// Status of a refusal by rate or concurrency; `None` is the profile's (429 or the ConfigMap's).
    pub status: Option<u16>,
    /// When responses tell about limits.
    pub headers: LimitHeaders,
    /// Addresses that are not limited and not counted.
    pub exempt: Vec<IpNet>,
    /// IPv4 addresses with the same first so many bits are one client; `None` is the profile's (32).
    pub ipv4_prefix: Option<u8>,
    /// IPv6 addresses with the same first so many bits are one client; `None` is the profile's (64 or 128).
    pub ipv6_prefix: Option<u8>,
    /// Other numbers for some paths.
    pub overrides: Vec<Override>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: None,
            per_second: None,
            per_minute: None,
            per_hour: None,
            per_day: None,
            windows: Vec::new(),
            burst: Burst::Multiplier(NonZeroU32::new(DEFAULT_BURST_MULTIPLIER).unwrap_or(NonZeroU32::MIN)),
            key: vec![KeyPart::Ip],
            mode: Modes::default(),
            status: None,
            headers: LimitHeaders::Refused,
            exempt: Vec::new(),
            ipv4_prefix: None,
            ipv6_prefix: None,
            overrides: Vec::new(),
        }
    }
}

/// So many requests in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Requests.
    pub limit: NonZeroU64,
    /// Length of the window; never zero.
    #[serde(serialize_with = "period::serialize")]
    pub period: Duration,
}

/// What may come at once above the sustained rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Burst {
    /// Limit times this (`limit-burst-multiplier`), plus the one request that always fits.
    Multiplier(NonZeroU32),
    /// So many requests (`limit-burst`), plus the one that always fits; for every window alike.
    Absolute(u64),
}

/// One part of what distinguishes clients. A part that the request lacks falls back to [`KeyPart::Ip`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPart {
    /// The client's address, cut to the prefix.
    Ip,
    /// The value of a request header.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// A claim of the bearer token in `Authorization`. The signature is not checked: the claim only tells clients
    /// apart, it grants nothing.
    JwtClaim(String),
    /// The canonical path.
    Path,
    /// The canonical host.
    Host,
}

/// Whether a broken rule refuses or is only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Refuse.
    #[default]
    Enforce,
    /// Count and log, and let pass.
    Observe,
}

impl Mode {
    /// `enforce` or `observe`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// The mode of each kind of rule of an object (`limit-mode`).
///
/// A plain `observe` takes `rate`, `connections` and `body`. The lists (`addresses`, `methods`, `paths`) are gates, not
/// limits: they stay closed unless they are named, as in `observe,addresses=observe`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Modes {
    /// All windows.
    pub rate: Mode,
    /// Requests in flight.
    pub connections: Mode,
    /// Size of bodies.
    pub body: Mode,
    /// Allowed and denied addresses.
    pub addresses: Mode,
    /// Allowed methods.
    pub methods: Mode,
    /// Allowed paths.
    pub paths: Mode,
}

/// When a response carries `RateLimit` and `RateLimit-Policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitHeaders {
    /// On refusals.
    #[default]
    Refused,
    /// On every response.
    Always,
    /// On none. `Retry-After` stays.
    Never,
}

/// Other numbers for the paths under `path`. A number that is set here replaces the object's and is counted apart;
/// one that is not set goes on counting with the object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Override {
    /// Path prefix, by segments, canonical. The longest that matches is used.
    pub path: String,
    /// Requests in flight at once.
    pub connections: Option<NonZeroU32>,
    /// Requests per second.
    pub per_second: Option<NonZeroU64>,
    /// Requests per minute.
    pub per_minute: Option<NonZeroU64>,
    /// Requests per hour.
    pub per_hour: Option<NonZeroU64>,
    /// Most bytes of a request body; the outer `None` is "as the object".
    pub body: Option<BodyLimit>,
}

/// Most windows of `limit-window` on one object.
pub const MAX_WINDOWS: usize = 4;
/// Burst is limit times this unless an object says otherwise (ingress-nginx's constant).
const DEFAULT_BURST_MULTIPLIER: u32 = 5;
