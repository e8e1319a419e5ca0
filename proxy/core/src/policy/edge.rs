//! What holds for connections before any request is known: deadlines and caps of the listeners.

use super::Profile;
use super::value::period;
use serde::Serialize;
use std::num::NonZeroU32;
use std::time::Duration;

/// Deadlines and caps of the listeners. They hold for new connections and requests as soon as the snapshot is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Most time for a whole request head, from its first byte (`client-header-timeout`).
    #[serde(serialize_with = "period::serialize")]
    pub head_timeout: Duration,
    /// Most time between two reads of a request body (`client-body-timeout`).
    #[serde(serialize_with = "period::serialize")]
    pub body_timeout: Duration,
    /// Least bytes per second of a body where no object asks for a least speed of its own (`body-min-rate`): nobody but
    /// its client decides when it ends.
    pub body_rate: NonZeroU32,
    /// Most time between two writes to a client that does not read (`client-send-timeout`).
    #[serde(serialize_with = "period::serialize")]
    pub send_timeout: Duration,
    /// Most time between two requests of a connection (`keep-alive`); zero closes after each response.
    #[serde(serialize_with = "period::serialize")]
    pub idle_timeout: Duration,
    /// Most time for a TLS handshake (`client-handshake-timeout`).
    #[serde(serialize_with = "period::serialize")]
    pub handshake_timeout: Duration,
    /// Most requests of one connection, after which it is closed (`keep-alive-requests`).
    pub requests_per_connection: NonZeroU32,
    /// Bounds of a request head.
    pub head: HeadBounds,
    /// The PROXY protocol on the listeners for clients.
    pub proxy_protocol: ProxyProtocol,
    /// Most open sockets of one client (`client-sockets`); `None` is no cap. A client is an address cut to
    /// [`ipv4_prefix`](super::Settings::ipv4_prefix) or [`ipv6_prefix`](super::Settings::ipv6_prefix).
    pub sockets_per_client: Option<NonZeroU32>,
    /// New sockets of one client (`client-socket-rate`).
    pub socket_rate_per_client: Option<PerSecond>,
    /// TLS handshakes of one client (`client-handshake-rate`).
    pub handshake_rate_per_client: Option<PerSecond>,
    /// Most open sockets of all clients together (`sockets`).
    pub sockets: Option<NonZeroU32>,
    /// New sockets of all clients together (`socket-rate`).
    pub socket_rate: Option<PerSecond>,
    /// TLS handshakes of all clients together (`handshake-rate`).
    pub handshake_rate: Option<PerSecond>,
    /// Most streams of an HTTP/2 connection at once (`http2-max-concurrent-streams`).
    pub h2_streams: NonZeroU32,
}

impl Edge {
    /// The bounds of a profile: weir's are safe on the open internet, the other's are ingress-nginx's, which has no caps
    /// on sockets.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        let weir = Self {
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            body_rate: count(512),
            send_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(10),
            requests_per_connection: count(1000),
            head: HeadBounds::default(),
            proxy_protocol: ProxyProtocol::default(),
            sockets_per_client: Some(count(512)),
            socket_rate_per_client: Some(PerSecond::times_five(count(100))),
            handshake_rate_per_client: Some(PerSecond::times_five(count(50))),
            sockets: Some(count(65_536)),
            socket_rate: Some(PerSecond::times_five(count(20_000))),
            handshake_rate: Some(PerSecond::times_five(count(10_000))),
            h2_streams: count(128),
        };
        match profile {
            Profile::Weir => weir,
            Profile::IngressNginx => Self {
                head_timeout: Duration::from_secs(60),
                handshake_timeout: Duration::from_secs(60),
                sockets_per_client: None,
                socket_rate_per_client: None,
                handshake_rate_per_client: None,
                sockets: None,
                socket_rate: None,
                handshake_rate: None,
                ..weir
            },
        }
    }
}

impl Default for Edge {
    fn default() -> Self {
        Self::of(Profile::Weir)
    }
}

/// Bounds of a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeadBounds {
    /// Bytes of the first buffer (`client-header-buffer-size`). A head that fits in it passes, whatever the others say.
    pub first: u32,
    /// How many more buffers there are (`large-client-header-buffers`).
    pub count: u32,
    /// Bytes of each of them.
    pub size: u32,
    /// Most header fields (`client-header-fields`).
    pub fields: NonZeroU32,
}

impl HeadBounds {
    /// Most bytes of a head, whatever the settings say.
    pub const MOST_BYTES: u32 = 512 << 10;
    /// Most header fields, whatever the settings say.
    pub const MOST_FIELDS: u32 = 256;

    /// Most bytes of request line and fields together, with the empty line that ends them; more is answered 431.
    pub fn max_bytes(self) -> usize {
        self.count.saturating_mul(self.size).max(self.first).min(Self::MOST_BYTES) as usize
    }

    /// Most bytes of the request line, answered 414, and of any single field, answered 431; with their line ends.
    pub fn max_line_bytes(self) -> usize {
        self.size.max(self.first).min(Self::MOST_BYTES) as usize
    }

    /// Most header fields; more are answered 431.
    pub fn max_fields(self) -> usize {
        self.fields.get().min(Self::MOST_FIELDS) as usize
    }
}

impl Default for HeadBounds {
    fn default() -> Self {
        Self { first: 1 << 10, count: 4, size: 8 << 10, fields: count(128) }
    }
}

/// The PROXY protocol (v1 and v2) on the listeners for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProxyProtocol {
    /// Whether every connection must begin with it (`use-proxy-protocol`). It is taken from the peers of
    /// `proxy-real-ip-cidr` alone.
    pub required: bool,
    /// Most time for its header (`proxy-protocol-header-timeout`).
    #[serde(serialize_with = "period::serialize")]
    pub timeout: Duration,
}

impl Default for ProxyProtocol {
    fn default() -> Self {
        Self { required: false, timeout: Duration::from_secs(5) }
    }
}

/// So many a second, evenly spaced, and some at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PerSecond {
    /// A second.
    pub rate: NonZeroU32,
    /// At once, above the first.
    pub burst: u32,
}

impl PerSecond {
    /// With the burst of five seconds, as limits of requests have it.
    #[must_use]
    pub fn times_five(rate: NonZeroU32) -> Self {
        Self { rate, burst: rate.get().saturating_mul(5) }
    }
}

const fn count(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}
