//! TLS to origins: verified by us, and carried by pingora as if it were a plain connection.
//!
//! Pingora's own connector cannot do what is asked for: it knows neither revocation nor the length of a chain nor
//! versions, and verifies nothing where no name is sent. So it is given a stream that is verified already, and
//! [`Dial`] sees to it that connections of different policies never stand for one another.

mod dial;
mod idle;
mod verify;

pub use dial::Dial;
pub(super) use idle::{clear, is_empty, sweep};

use crate::counters::Counters;
use crate::tls::config::{certified, versions};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::ServerName;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use verify::Verifier;
use weir_core::tls::{OriginTls, OriginTlsId};

/// How TLS is spoken to origins: compiled once for each policy, and kept while it is in force.
pub struct OriginConnectors {
    provider: Arc<CryptoProvider>,
    kept: Mutex<HashMap<(OriginTlsId, Speaks), Kept>>,
    numbers: AtomicU64,
}

struct Kept {
    /// Of the snapshot in force, as far as we have seen it.
    policy: Weak<OriginTls>,
    connector: Arc<OriginConnector>,
}

/// What is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speaks {
    /// HTTP/1.1. Nothing is offered: origins that know nothing of ALPN speak it.
    Http1,
    /// HTTP/2, which an origin must agree to.
    Http2,
}

/// Why there is no TLS with an origin. A closed list, because it is a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginTlsFailure {
    /// Its certificate is not one that is believed, or not for this name.
    Certificate,
    /// It refused us: our certificate, our versions.
    Alert,
    /// It did not agree to HTTP/2.
    Protocol,
    /// What it sent is not TLS as it should be, or it closed.
    Handshake,
}

impl OriginTlsFailure {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Certificate, Self::Alert, Self::Protocol, Self::Handshake];

    /// Its word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Alert => "alert",
            Self::Protocol => "protocol",
            Self::Handshake => "handshake",
        }
    }

    fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                Self::Certificate
            }
            Some(rustls::Error::AlertReceived(_)) => Self::Alert,
            _ => Self::Handshake,
        }
    }
}

impl OriginConnectors {
    /// None yet.
    pub fn new() -> Self {
        Self {
            provider: Arc::new(ring::default_provider()),
            kept: Mutex::default(),
            numbers: AtomicU64::new(1),
        }
    }

    /// The connector for a policy, which counts in `counters` what goes wrong.
    ///
    /// # Errors
    /// When its authorities, its certificate or its name cannot be used. Nobody connects then: there is no way back to
    /// connections that are not verified.
    pub fn of(
        &self,
        policy: &Arc<OriginTls>,
        speaks: Speaks,
        counters: &Arc<Counters>,
    ) -> Result<Arc<OriginConnector>, rustls::Error> {
        let id = (policy.id(), speaks);
        if let Some(kept) = self.kept.lock().get_mut(&id) {
            if !std::ptr::eq(kept.policy.as_ptr(), Arc::as_ptr(policy)) {
                kept.policy = Arc::downgrade(policy);
            }
            return Ok(kept.connector.clone());
        }
        let connector = Arc::new(self.compile(policy, speaks, counters.clone())?);
        let kept = Kept { policy: Arc::downgrade(policy), connector: connector.clone() };
        let mut all = self.kept.lock();
        // What no snapshot has any more goes when something new comes.
        all.retain(|_, kept| kept.policy.strong_count() > 0);
        all.insert(id, kept);
        Ok(connector)
    }

    fn compile(
        &self,
        policy: &OriginTls,
        speaks: Speaks,
        counters: Arc<Counters>,
    ) -> Result<OriginConnector, rustls::Error> {
        let verifier = Arc::new(Verifier::new(policy.verify.as_ref(), &self.provider)?);
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&versions(policy.versions))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &policy.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = Arc::new(certified(pair, &self.provider)?);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        config.enable_sni = policy.send_name;
        if speaks == Speaks::Http2 {
            config.alpn_protocols = vec![H2.to_vec()];
        }
        let name = match ServerName::try_from(policy.name.clone()) {
            Ok(name) => Some(name),
            // Where nothing is verified and nothing is sent the name is of no use.
            Err(_) if policy.verify.is_none() && !policy.send_name => None,
            Err(_) => return Err(rustls::Error::General("proxy-ssl-name is no name".to_owned())),
        };
        let number = self.numbers.fetch_add(1, Relaxed);
        Ok(OriginConnector { config: Arc::new(config), name, speaks, number, counters })
    }
}

impl Default for OriginConnectors {
    fn default() -> Self {
        Self::new()
    }
}

/// Connects to origins as one policy says.
pub struct OriginConnector {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    speaks: Speaks,
    /// No other policy's connector has it.
    number: u64,
    counters: Arc<Counters>,
}

impl OriginConnector {
    async fn handshake(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
    ) -> Result<TlsStream<TcpStream>, OriginTlsFailure> {
        let name = self.name.clone().unwrap_or_else(|| address.ip().into());
        let connecting = TlsConnector::from(self.config.clone()).connect(name, tcp);
        let stream = connecting.await.map_err(|error| {
            tracing::debug!(%address, %error, "no TLS with an origin");
            OriginTlsFailure::of(&error)
        })?;
        match self.speaks {
            Speaks::Http2 if stream.get_ref().1.alpn_protocol() != Some(H2) => {
                Err(OriginTlsFailure::Protocol)
            }
            _ => Ok(stream),
        }
    }
}

impl fmt::Debug for OriginConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginConnector").field("name", &self.name).finish_non_exhaustive()
    }
}

const H2: &[u8] = b"h2";
