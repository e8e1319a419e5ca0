//! TLS towards clients, with rustls and ring.
//!
//! A connection goes through the modules in this order: [`handshake`] reads the ClientHello under a deadline and asks
//! [`Tls::choose`] what its name is served with; [`config`] makes that; what goes wrong is a [`Failure`], counted and
//! never logged line by line.

pub mod config;
pub mod failure;
pub mod handshake;
mod self_signed;

pub use failure::Failure;

use config::{Compiler, Identity};
use rustls::ServerConfig;
use std::fmt;
use std::sync::Arc;

/// What all workers share of TLS: one of it per process.
pub struct Tls {
    fallback: Arc<ServerConfig>,
}

/// What a name is served with.
pub enum Choice {
    /// A certificate and how it is used.
    Serve(Arc<ServerConfig>),
    /// Nothing: the handshake is refused.
    Reject,
}

/// Why TLS cannot be served at all.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no certificate for when there is no certificate.
    #[error("cannot make the self-signed certificate")]
    SelfSigned(#[source] rcgen::Error),
    /// A configuration cannot be made.
    #[error("cannot set TLS up")]
    Config(#[source] rustls::Error),
}

impl Tls {
    /// With a certificate of our own for names that have none.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn start() -> Result<Self, TlsError> {
        let compiler = Compiler::new().map_err(TlsError::Config)?;
        let Identity { chain, key } = self_signed::identity().map_err(TlsError::SelfSigned)?;
        let fallback = compiler.compile(Identity { chain, key }).map_err(TlsError::Config)?;
        Ok(Self { fallback: Arc::new(fallback) })
    }

    /// What `name`, as the client sent it, is served with.
    pub fn choose(&self, _name: Option<&str>) -> Choice {
        Choice::Serve(self.fallback.clone())
    }
}

impl fmt::Debug for Tls {
    /// Nothing of what is in it: it has keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
