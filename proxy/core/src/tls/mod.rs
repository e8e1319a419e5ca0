//! TLS as configured: what is shown to clients, what is asked of them, and how origins are spoken to.
//!
//! Everything here is bytes and rules; the handshakes themselves are `server/tls`. A [`TlsTable`] is built with the
//! snapshot, so a change of a Secret holds from the next handshake on.

mod auth;
mod client;
mod material;
mod origin;
mod secrets;
mod table;

pub use auth::{ClientAuth, ClientAuthId, VerifyClient};
pub use client::{
    CERTIFICATE_HEADER, CLIENT_HEADERS, ClientTls, ISSUER_HEADER, PeerCertificate, SUBJECT_HEADER,
    VERIFY_HEADER, Verified, VerifyFailure,
};
pub use material::{Fingerprint, KeyKind, KeyPair, SecretKey, TrustAnchors};
pub use origin::{OriginTls, OriginTlsId, OriginVerify};
pub(crate) use secrets::SecretState;
pub use secrets::{Content, SecretContent, SecretName, Secrets};
pub use table::{Certificate, Found, HostTls, HostTlsId, Known, TlsTable, UnknownName};

use serde::Serialize;

/// Which versions of TLS are spoken. Older ones than 1.2 never are (RFC 8996).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    #[serde(rename = "TLSv1.2 TLSv1.3")]
    V12AndV13,
    /// 1.2 alone.
    #[serde(rename = "TLSv1.2")]
    V12,
    /// 1.3 alone.
    #[serde(rename = "TLSv1.3")]
    V13,
}

impl TlsVersions {
    /// Whether this version is among them.
    pub fn has(self, version: TlsVersion) -> bool {
        match version {
            TlsVersion::V12 => self != Self::V13,
            TlsVersion::V13 => self != Self::V12,
        }
    }

    /// Those of them from `least` on; `None` if there is none.
    #[must_use]
    pub fn at_least(self, least: TlsVersion) -> Option<Self> {
        match least {
            TlsVersion::V12 => Some(self),
            TlsVersion::V13 => self.has(TlsVersion::V13).then_some(Self::V13),
        }
    }

    /// As nginx writes them: `TLSv1.2 TLSv1.3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V12AndV13 => "TLSv1.2 TLSv1.3",
            Self::V12 => "TLSv1.2",
            Self::V13 => "TLSv1.3",
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum TlsVersion {
    /// 1.2 (RFC 5246).
    #[serde(rename = "1.2")]
    V12,
    /// 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    V13,
}

/// The protocols offered in the handshake (RFC 7301).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Alpn {
    /// `h2`, then `http/1.1`.
    #[default]
    #[serde(rename = "h2,http/1.1")]
    H2AndHttp1,
    /// `http/1.1` alone.
    #[serde(rename = "http/1.1")]
    Http1,
}

impl Alpn {
    /// The names, in the order of preference.
    pub fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::H2AndHttp1 => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
        }
    }
}
