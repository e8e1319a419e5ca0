//! TLS towards clients, with rustls and ring; towards origins it is [`upstream::tls`](crate::upstream::tls).
//!
//! A connection goes through the modules in this order: [`budget`] says whether there may be a handshake now;
//! [`handshake`] reads the ClientHello under a deadline and asks [`config`] what its name is served with; [`client`]
//! judges the certificate that a client has shown; what goes wrong is a [`Failure`], counted and never logged line by
//! line. [`tickets`] keeps the keys of sessions, and [`expiry`] tells which certificates are about to end.

pub mod budget;
pub mod client;
mod client_name;
pub mod config;
pub mod expiry;
pub mod failure;
pub mod handshake;
mod self_signed;
mod tickets;

pub use failure::Failure;

use crate::clock::Clock;
use crate::upstream::tls::OriginConnectors;
use budget::Budget;
use config::Configs;
use std::fmt;
use std::sync::Arc;

/// What all workers share of TLS: one of it per process.
pub struct Tls {
    /// What names are served with.
    pub configs: Configs,
    /// How many handshakes there may be.
    pub budget: Budget,
    /// How TLS is spoken to origins.
    pub origins: Arc<OriginConnectors>,
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
    /// With a certificate of our own for names that have none. The keys of sessions change by `clock`.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn start(clock: Clock) -> Result<Self, TlsError> {
        let fallback = self_signed::identity().map_err(TlsError::SelfSigned)?;
        let configs = Configs::new(fallback, clock).map_err(TlsError::Config)?;
        Ok(Self { configs, budget: Budget::new(), origins: Arc::default() })
    }
}

impl fmt::Debug for Tls {
    /// Nothing of what is in it: it has keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
