//! What objects and settings say about TLS and redirects to it.

use crate::tls::{Alpn, SecretName, TlsVersion, TlsVersions, UnknownName, VerifyClient};
use regex::Regex;
use serde::{Serialize, Serializer};
use std::fmt;

/// What one object asks of the connections of its clients. What concerns handshakes holds for its hosts as a whole; the
/// oldest object that says something about a host has its way.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tls {
    /// The oldest version spoken (`tls-min-version`); `None` leaves it to the settings.
    pub min_version: Option<TlsVersion>,
    /// The protocols offered (`tls-alpn`); `None` leaves it to the settings.
    pub alpn: Option<Alpn>,
    /// What clients have to show.
    pub client: ClientCertificates,
    /// Redirects from http to https.
    pub redirect: Redirect,
}

/// Certificates of clients (`auth-tls-*`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientCertificates {
    /// The Secret with the authorities (`auth-tls-secret`); `None` asks clients for nothing.
    pub secret: Option<SecretName>,
    /// Whether a client must have one (`auth-tls-verify-client`); `None` is [`VerifyClient::Require`], unsaid.
    pub verify: Option<VerifyClient>,
    /// Longest chain (`auth-tls-verify-depth`); see [`ClientAuth::depth`](crate::tls::ClientAuth::depth).
    pub depth: u8,
    /// Where clients without a valid certificate are sent (`auth-tls-error-page`).
    pub error_page: Option<String>,
    /// What the subject must match (`auth-tls-match-cn`).
    pub match_cn: Option<SubjectPattern>,
    /// Whether the origin gets the certificate (`auth-tls-pass-certificate-to-upstream`).
    pub pass_certificate: bool,
    /// Why all requests for the object's hosts are refused with 403: what it asks for cannot be understood.
    pub denied: Option<String>,
}

impl Default for ClientCertificates {
    fn default() -> Self {
        Self {
            secret: None,
            verify: None,
            depth: 1,
            error_page: None,
            match_cn: None,
            pass_certificate: false,
            denied: None,
        }
    }
}

/// A regular expression that the subject of a client's certificate must match somewhere.
#[derive(Clone)]
pub struct SubjectPattern(Regex);

impl SubjectPattern {
    /// Compiles `text`.
    ///
    /// # Errors
    ///
    /// If it is no regular expression, or one that needs too much memory.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        regex::RegexBuilder::new(text).size_limit(MAX_COMPILED).build().map(Self)
    }

    /// Whether a subject passes.
    pub fn is_match(&self, subject: &str) -> bool {
        self.0.is_match(subject)
    }

    /// The text that it was made of.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for SubjectPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl Serialize for SubjectPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// When a request over http is sent to https.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Redirect {
    /// Where the host has asked for TLS (`ssl-redirect`).
    pub with_certificate: bool,
    /// In any case (`force-ssl-redirect`).
    pub always: bool,
    /// Whether a slash at the end of the target stays (`preserve-trailing-slash`).
    pub keep_slash: bool,
}

impl Default for Redirect {
    fn default() -> Self {
        Self { with_certificate: true, always: false, keep_slash: false }
    }
}

/// TLS for the whole proxy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TlsSettings {
    /// The versions spoken (`ssl-protocols`).
    pub versions: TlsVersions,
    /// The protocols offered (`use-http2`).
    pub alpn: Alpn,
    /// What becomes of names that no host has (`ssl-reject-handshake`).
    pub unknown: UnknownName,
    /// `Strict-Transport-Security`.
    pub hsts: Hsts,
    /// Status of a redirect to https (`http-redirect-code`): 301, 302, 307 or 308.
    pub redirect_status: u16,
    /// Paths of Ingresses that begin so are not redirected (`no-tls-redirect-locations`).
    pub redirect_exempt: Vec<String>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            versions: TlsVersions::default(),
            alpn: Alpn::default(),
            unknown: UnknownName::default(),
            hsts: Hsts::default(),
            redirect_status: 308,
            redirect_exempt: vec!["/.well-known/acme-challenge".to_owned()],
        }
    }
}

/// What responses over https say about coming back over http (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hsts {
    /// Whether they say anything (`hsts`).
    pub send: bool,
    /// How long it holds, in seconds (`hsts-max-age`).
    pub max_age: u64,
    /// Whether it holds for subdomains too (`hsts-include-subdomains`).
    pub subdomains: bool,
    /// Whether browsers may ship it (`hsts-preload`).
    pub preload: bool,
}

impl Hsts {
    /// The value of `Strict-Transport-Security`, if there is one.
    pub fn header(self) -> Option<String> {
        let subdomains = if self.subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        self.send.then(|| format!("max-age={}{subdomains}{preload}", self.max_age))
    }
}

impl Default for Hsts {
    fn default() -> Self {
        Self { send: true, max_age: 31_536_000, subdomains: true, preload: false }
    }
}

/// A pattern compiles to so many bytes at most: 256 KiB.
const MAX_COMPILED: usize = 256 << 10;
