//! A configuration in the core's own words: what sources make of their objects, and what a snapshot is built from.

use crate::finding::ObjectRef;
use crate::policy::{Policy, Settings, Via};
use crate::tls::{SecretContent, SecretName};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

/// Everything that is configured, before it is put in order.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    /// Settings of the whole proxy (the ConfigMap).
    pub settings: Settings,
    /// Ingresses of our class, in any order.
    pub ingresses: Vec<Ingress>,
    /// Backends by name; a route to one that is not here answers 503.
    pub backends: BTreeMap<BackendName, BackendSpec>,
    /// Where requests go that no route takes; without one they get 404.
    pub default_backend: Option<BackendName>,
    /// The Secrets that are named anywhere, and are there.
    pub secrets: BTreeMap<SecretName, SecretContent>,
    /// The Secret with the certificate for hosts without their own (`--default-ssl-certificate`); without one the server
    /// makes one.
    pub default_certificate: Option<SecretName>,
}

/// One Ingress, translated.
#[derive(Clone, Debug)]
pub struct Ingress {
    /// Who it is.
    pub object: ObjectRef,
    /// `metadata.uid`, or empty when the source has none. Part of the identity of its limits.
    pub uid: String,
    /// `metadata.creationTimestamp` in seconds since 1970; the oldest object wins a conflict. Objects without a
    /// timestamp come last; ties go by namespace and name.
    pub created: Option<i64>,
    /// What its annotations say.
    pub policy: Policy,
    /// `spec.rules`, in order.
    pub rules: Vec<HostRule>,
    /// `spec.defaultBackend`.
    pub default_backend: Option<BackendName>,
    /// `spec.tls`, in order.
    pub tls: Vec<TlsSection>,
}

/// One element of `spec.tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSection {
    /// Hosts as written.
    pub hosts: Vec<String>,
    /// The Secret, of the same namespace; `None` is the default certificate.
    pub secret: Option<SecretName>,
}

/// One element of `spec.rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// Host as written; empty means every host.
    pub host: String,
    /// Paths under it.
    pub paths: Vec<PathRule>,
}

/// One element of `spec.rules[].http.paths`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// Path as written; empty means `/`.
    pub path: String,
    /// How it is compared.
    pub kind: PathKind,
    /// Where it leads; `None` is a backend that weir cannot serve (a `resource`), which answers 404.
    pub backend: Option<BackendName>,
}

/// `pathType` of an Ingress path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// The whole path, byte for byte.
    Exact,
    /// By segments: `/a` takes `/a` and `/a/b`, not `/ab`.
    Prefix,
    /// As `Prefix`, or a regular expression where the host is in regex mode.
    ImplementationSpecific,
}

impl PathKind {
    /// The word in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "Exact",
            Self::Prefix => "Prefix",
            Self::ImplementationSpecific => "ImplementationSpecific",
        }
    }
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortName {
    /// By number.
    Number(u16),
    /// By name.
    Name(String),
}

/// Names a port of a Service, and how it is reached: two Ingresses need not agree about that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendName {
    /// Namespace of the Service.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// Its port.
    pub port: PortName,
    /// What stands for its pods. A name that says [`Via::ClusterIp`] is given only to Services that have one, so a change
    /// of endpoints never concerns it.
    pub via: Via,
}

impl BackendName {
    /// The endpoints of a port of a Service.
    pub fn new(namespace: &str, service: &str, port: PortName) -> Self {
        Self { namespace: namespace.to_owned(), service: service.to_owned(), port, via: Via::Endpoints }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, service, port, via } = self;
        match port {
            PortName::Number(port) => write!(f, "{namespace}/{service}:{port}"),
            PortName::Name(port) => write!(f, "{namespace}/{service}:{port}"),
        }?;
        match via {
            Via::Endpoints => Ok(()),
            Via::ClusterIp => f.write_str(" (ClusterIP)"),
        }
    }
}

/// What stands behind a [`BackendName`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendSpec {
    /// Addresses that take requests; none of them means 503.
    Addresses(Vec<SocketAddr>),
    /// A DNS name to be resolved while we run (`spec.externalName`).
    External {
        /// The DNS name.
        host: String,
        /// The port.
        port: u16,
    },
}
