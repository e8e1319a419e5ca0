//! How the origin is spoken to.

use super::value::period;
use crate::tls::{SecretName, TlsVersions};
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
    /// What stands for the pods of a Service.
    pub via: Via,
    /// What is spoken (`backend-protocol`).
    pub protocol: Protocol,
    /// What is asked for where TLS is spoken (`proxy-ssl-*`); made ready in
    /// [`Location::origin_tls`](crate::snapshot::Location::origin_tls).
    pub tls: AskedTls,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(60),
            next: NextUpstream::default(),
            balance: Balance::RoundRobin,
            via: Via::default(),
            protocol: Protocol::default(),
            tls: AskedTls::default(),
        }
    }
}

/// What is spoken with an origin (`backend-protocol`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Protocol {
    /// HTTP/1.1 in the clear.
    #[default]
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2 in the clear, for gRPC.
    Grpc,
    /// HTTP/2 over TLS, for gRPC.
    Grpcs,
    /// HTTP/1.1, over TLS where the client speaks https.
    AutoHttp,
}

impl Protocol {
    /// Whether TLS is spoken with the origin of a request that came over `scheme`.
    pub fn encrypts(self, scheme: crate::facts::Scheme) -> bool {
        match self {
            Self::Http | Self::Grpc => false,
            Self::Https | Self::Grpcs => true,
            Self::AutoHttp => scheme == crate::facts::Scheme::Https,
        }
    }

    /// Whether it may ever be.
    pub fn may_encrypt(self) -> bool {
        !matches!(self, Self::Http | Self::Grpc)
    }

    /// Whether it is HTTP/2.
    pub fn is_h2(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }
}

/// What an object asks for where TLS is spoken with its origin (`proxy-ssl-*`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AskedTls {
    /// The Secret with a certificate to show, and the authorities (`proxy-ssl-secret`).
    pub secret: Option<SecretName>,
    /// Whether the origin's certificate is checked (`proxy-ssl-verify`).
    pub verify: bool,
    /// Longest chain (`proxy-ssl-verify-depth`).
    pub depth: u8,
    /// The name that the certificate must be for (`proxy-ssl-name`); `None` is the Service's.
    pub name: Option<String>,
    /// Whether the name is sent (`proxy-ssl-server-name`).
    pub send_name: bool,
    /// The versions spoken (`proxy-ssl-protocols`).
    pub versions: TlsVersions,
}

impl Default for AskedTls {
    fn default() -> Self {
        Self {
            secret: None,
            verify: false,
            depth: 1,
            name: None,
            send_name: false,
            versions: TlsVersions::default(),
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

/// What stands for the pods of a Service (`service-upstream`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Their own addresses.
    #[default]
    Endpoints,
    /// The addresses of the Service, behind which the cluster chooses.
    ClusterIp,
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
