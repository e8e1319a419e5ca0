//! What becomes of a request.

use crate::account::Account;
use crate::policy::Mode;
use crate::ticket::Ticket;
use std::num::NonZeroU32;
use std::sync::Arc;

/// What becomes of a request.
#[must_use]
#[derive(Debug)]
pub enum Verdict {
    /// It goes to the origin; the ticket is what it holds.
    Forward(Ticket),
    /// It is answered here.
    Refuse(Refusal),
}

/// Why a request is answered here, and everything that the answer says. `server/respond.rs` makes bytes of it.
#[derive(Debug)]
pub struct Refusal {
    /// Response status.
    pub status: u16,
    /// Why.
    pub reason: Reason,
    /// When to come back, in seconds, rounded up, never 0.
    pub retry_after: Option<NonZeroU32>,
    /// Values of the `RateLimit` and `RateLimit-Policy` fields; `None` where the policy wants none.
    pub rate_limit: Option<RateLimitFields>,
    /// Methods for `Allow`, with a 405.
    pub allow: Option<String>,
    /// Where the client is sent, as the value of `Location`: an absolute URI in printable ASCII. With it the status may
    /// be 301, 302, 307 or 308.
    pub location: Option<String>,
    /// Closes the account of this request.
    pub account: Account,
}

/// Structured field values of draft-ietf-httpapi-ratelimit-headers (text of -10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitFields {
    /// Value of `RateLimit-Policy`, e.g. `"per-second";q=5;w=1`.
    pub policy: Arc<str>,
    /// Value of `RateLimit`, e.g. `"per-second";r=0;t=1`.
    pub state: String,
}

/// Why a request was refused. The closed list behind the metric label, the access log and the response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Host or path cannot be brought into canonical form.
    BadRequest,
    /// No configuration is in force yet.
    NoConfiguration,
    /// No route and no default backend.
    NoRoute,
    /// The path's backend is something weir cannot serve.
    NoBackend,
    /// The backend has no endpoint.
    NoEndpoint,
    /// A protection value of the object is invalid, so nothing passes.
    BrokenPolicy,
    /// The client's address is denied or not allowed.
    Address,
    /// The method is not allowed.
    Method,
    /// The path is not allowed.
    Path,
    /// The request head is larger than the object allows.
    Head,
    /// The body is larger than the object allows.
    Body,
    /// Too many requests in a window.
    Rate,
    /// Too many requests in flight.
    Connections,
    /// The limiter's table is full of clients that are being limited.
    TableFull,
    /// The path is for https, and the request came over http: no refusal, but a redirect.
    HttpsOnly,
    /// The client has no certificate that the host asks for, or not a valid one.
    ClientCertificate,
    /// The connection's handshake was for another host, which does not ask clients for the same.
    Misdirected,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::BadRequest,
        Self::NoConfiguration,
        Self::NoRoute,
        Self::NoBackend,
        Self::NoEndpoint,
        Self::BrokenPolicy,
        Self::Address,
        Self::Method,
        Self::Path,
        Self::Head,
        Self::Body,
        Self::Rate,
        Self::Connections,
        Self::TableFull,
        Self::HttpsOnly,
        Self::ClientCertificate,
        Self::Misdirected,
    ];

    /// The word in metrics, logs and problem bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::NoConfiguration => "no-configuration",
            Self::NoRoute => "no-route",
            Self::NoBackend => "no-backend",
            Self::NoEndpoint => "no-endpoint",
            Self::BrokenPolicy => "broken-policy",
            Self::Address => "address",
            Self::Method => "method",
            Self::Path => "path",
            Self::Head => "head",
            Self::Body => "body",
            Self::Rate => "rate",
            Self::Connections => "connections",
            Self::TableFull => "table-full",
            Self::HttpsOnly => "https-only",
            Self::ClientCertificate => "client-certificate",
            Self::Misdirected => "misdirected",
        }
    }
}

/// A rule that said no, by the annotation that made it. From configuration, so it may be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleHit {
    /// Name of the annotation without prefix, e.g. `limit-rps`.
    pub rule: &'static str,
    /// Why it said no.
    pub reason: Reason,
    /// Whether that refused the request or was only counted.
    pub mode: Mode,
}

/// Names of the rules: annotations without prefix, and keys of the ConfigMap. The closed list behind a metric label.
pub mod rule {
    /// Requests per second.
    pub const RPS: &str = "limit-rps";
    /// Requests per minute.
    pub const RPM: &str = "limit-rpm";
    /// Requests per hour.
    pub const RPH: &str = "limit-rph";
    /// Requests per day.
    pub const RPD: &str = "limit-rpd";
    /// Requests per window of any length.
    pub const WINDOW: &str = "limit-window";
    /// Requests in flight.
    pub const CONNECTIONS: &str = "limit-connections";
    /// Other numbers for some paths.
    pub const OVERRIDES: &str = "limit-overrides";
    /// Addresses refused everywhere.
    pub const BLOCK: &str = "block-cidrs";
    /// Addresses refused.
    pub const DENY: &str = "denylist-source-range";
    /// Addresses allowed.
    pub const ALLOW: &str = "allowlist-source-range";
    /// Methods allowed.
    pub const METHODS: &str = "allow-methods";
    /// Paths allowed.
    pub const PATHS: &str = "allow-paths";
    /// Size of the head.
    pub const HEAD: &str = "max-header-bytes";
    /// Size of the body.
    pub const BODY: &str = "proxy-body-size";
    /// Certificates of clients.
    pub const CLIENT_CERTIFICATE: &str = "auth-tls-secret";
    /// Subjects of clients.
    pub const SUBJECT: &str = "auth-tls-match-cn";
}
