//! What the owner of an object wants: the typed result of reading annotations and settings.
//!
//! [`annotations`] is the one table of names, types, defaults and texts.

pub mod annotations;

use ipnet::IpNet;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// What one Ingress asks for. Every field already has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// How often and how many at once.
    pub limits: Limits,
    /// Who and what may pass at all.
    pub access: Access,
    /// Request bodies.
    pub body: Body,
    /// How the origin is spoken to.
    pub origin: Origin,
    /// Most bytes of a request head (request line and headers); more is answered 431.
    pub max_header_bytes: Option<NonZeroU32>,
    /// Whether paths of the hosts of this object are regular expressions (`use-regex`).
    pub regex: bool,
    /// Set when a protection value was invalid and no safe replacement exists: every path answers 503.
    /// Names the field and what is wrong, for the log and the findings; never shown to clients.
    pub refuse_all: Option<String>,
}

/// Rates and concurrency of one client under one object.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Requests.
    pub limit: NonZeroU64,
    /// Length of the window; never zero.
    pub period: Duration,
}

/// What may come at once above the sustained rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// Limit times this (`limit-burst-multiplier`), plus the one request that always fits.
    Multiplier(NonZeroU32),
    /// So many requests (`limit-burst`), plus the one that always fits; for every window alike.
    Absolute(u64),
}

/// One part of what distinguishes clients. A part that the request lacks falls back to [`KeyPart::Ip`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
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

/// Who and what may pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// Only these client addresses (403 for others); `None` is everybody. Empty lets nobody in.
    pub allow: Option<Vec<IpNet>>,
    /// Never these client addresses (403). Wins over `allow`.
    pub deny: Vec<IpNet>,
    /// Only these methods (405 for others); `None` is every method.
    pub methods: Option<Vec<String>>,
    /// Only paths under these prefixes, by segments, canonical (404 for others); `None` is every path.
    pub paths: Option<Vec<String>>,
}

/// Most bytes of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLimit {
    /// No limit (`proxy-body-size: 0`).
    Unlimited,
    /// So many bytes pass, one more is refused with 413.
    Bytes(u64),
}

/// Request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// Most bytes.
    pub max: BodyLimit,
    /// Bytes of a body held in memory before the origin is contacted (`client-body-buffer-size`).
    pub buffer: u64,
    /// Least bytes per second, averaged since the body began (`body-min-rate`); `None` is no minimum.
    pub min_rate: Option<NonZeroU64>,
}

impl Default for Body {
    fn default() -> Self {
        Self { max: BodyLimit::Bytes(1 << 20), buffer: 8 << 10, min_rate: None }
    }
}

/// How the origin is spoken to.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Most time for a connection to be made.
    pub connect_timeout: Duration,
    /// Most time between two writes.
    pub send_timeout: Duration,
    /// Most time between two reads; also the idle time of a websocket.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// The less busy of two drawn at random (power of two choices).
    LeastInFlight,
}

/// When a request is tried on another endpoint (`proxy-next-upstream*`).
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What holds for the whole proxy: the profile and the ConfigMap keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which set of defaults and which order.
    pub profile: Profile,
    /// Status of a refusal by rate.
    pub rate_status: u16,
    /// Status of a refusal by concurrency.
    pub connections_status: u16,
    /// Prefix of an IPv4 client, unless its object says otherwise.
    pub ipv4_prefix: u8,
    /// Prefix of an IPv6 client, unless its object says otherwise.
    pub ipv6_prefix: u8,
    /// Where client addresses come from.
    pub trust: Trust,
    /// Addresses refused everywhere with 403 (`block-cidrs`), whatever an object's own lists say.
    pub block: Vec<IpNet>,
    /// Whether a client's `X-Request-ID` is kept; one is made when there is none.
    pub generate_request_id: bool,
    /// Whether header names with `_` pass.
    pub underscores_in_headers: bool,
    /// Defaults for what an object does not say itself.
    pub defaults: Policy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::Weir,
            rate_status: 429,
            connections_status: 429,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            trust: Trust::default(),
            block: Vec::new(),
            generate_request_id: true,
            underscores_in_headers: false,
            defaults: Policy::default(),
        }
    }
}

/// Which set of defaults (`--profile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The safe defaults: 429, /64, trusted proxies must be named, deny lists before limits.
    #[default]
    Weir,
    /// Exact parity with ingress-nginx.
    IngressNginx,
}

/// Where client addresses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Whether the header below is read at all (`use-forwarded-headers` or `enable-real-ip`).
    pub address: TrustMode,
    /// Peers whose header is believed. Empty: nobody's.
    pub proxies: Vec<IpNet>,
    /// The header with the addresses (`forwarded-for-header`).
    pub header: String,
    /// Whether `X-Forwarded-For` to the origin keeps what came and appends the peer (`compute-full-forwarded-for`).
    pub append: bool,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            address: TrustMode::Ignore,
            proxies: Vec::new(),
            header: "X-Forwarded-For".to_owned(),
            append: false,
        }
    }
}

/// What is believed of a trusted peer's forwarded headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustMode {
    /// Nothing.
    #[default]
    Ignore,
    /// The client's address (`enable-real-ip`).
    Address,
    /// The address, host, scheme and port (`use-forwarded-headers`).
    All,
}

impl Trust {
    /// Whether `peer` is a proxy whose headers are believed.
    pub fn believes(&self, peer: IpAddr) -> bool {
        self.address != TrustMode::Ignore && self.proxies.iter().any(|net| net.contains(&peer))
    }
}

/// Most windows of `limit-window` on one object.
pub const MAX_WINDOWS: usize = 4;
/// Burst is limit times this unless an object says otherwise (ingress-nginx's constant).
const DEFAULT_BURST_MULTIPLIER: u32 = 5;
