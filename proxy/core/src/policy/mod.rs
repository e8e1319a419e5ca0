//! What the owner of an object wants: the typed result of reading annotations and settings.
//!
//! [`annotations`] is the one table of names, types, defaults and texts.

pub mod annotations;
pub mod configmap;
mod edge;
mod limits;
pub mod migration;
mod origin;
pub mod pages;
pub mod read;
mod report;
pub mod row;
mod settings;
mod tls;
pub mod unsupported;
pub mod value;

pub use configmap::settings;
pub use edge::{Edge, HeadBounds, PerSecond, ProxyProtocol};
pub use limits::{Burst, KeyPart, LimitHeaders, Limits, MAX_WINDOWS, Mode, Modes, Override, Window};
pub use origin::{AskedTls, Balance, NextUpstream, Origin, Protocol, Via};
pub use read::{Prefixes, read};
pub use settings::{LogSettings, Profile, Settings, Trust, TrustMode};
pub use tls::{ClientCertificates, Hsts, Redirect, SubjectPattern, Tls, TlsSettings};

use ipnet::IpNet;
use serde::Serialize;
use std::num::{NonZeroU32, NonZeroU64};

/// What one Ingress asks for. Every field already has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Policy {
    /// How often and how many at once.
    pub limits: Limits,
    /// Who and what may pass at all.
    pub access: Access,
    /// Request bodies.
    pub body: Body,
    /// How the origin is spoken to.
    pub origin: Origin,
    /// What clients have to show, and when they are sent to https.
    pub tls: Tls,
    /// Most bytes of a request head (request line and headers); more is answered 431.
    pub max_header_bytes: Option<NonZeroU32>,
    /// Whether paths of the hosts of this object are regular expressions (`use-regex`).
    pub regex: bool,
    /// Whether the object is a canary (`canary: "true"`): it is no route of its own, and `translate` leaves it out.
    pub canary: bool,
    /// Set when a protection value was invalid and no safe replacement exists: every path answers 503.
    /// Names the field and what is wrong, for the log and the findings; never shown to clients.
    pub refuse_all: Option<String>,
}

/// Who and what may pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyLimit {
    /// No limit (`proxy-body-size: 0`).
    Unlimited,
    /// So many bytes pass, one more is refused with 413.
    Bytes(u64),
}

/// How slowly a request body may come (`body-min-rate`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyRate {
    /// Nobody has said. At [`Edge::body_rate`], with patience, and not where slowness is in the nature of a body: in a
    /// call of gRPC, or a conversation with an origin that answers as it listens.
    #[default]
    Unset,
    /// As slowly as it likes (`0`) if it is forwarded as it comes. What is held until it is whole keeps a bound.
    Off,
    /// At so many bytes per second, whatever it is.
    Least(NonZeroU64),
}

/// Request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Body {
    /// Most bytes.
    pub max: BodyLimit,
    /// Bytes of a body held in memory before the origin is contacted (`client-body-buffer-size`).
    pub buffer: u64,
    /// How slowly it may come (`body-min-rate`).
    pub min_rate: BodyRate,
}

impl Default for Body {
    fn default() -> Self {
        Self { max: BodyLimit::Bytes(1 << 20), buffer: 8 << 10, min_rate: BodyRate::Unset }
    }
}
