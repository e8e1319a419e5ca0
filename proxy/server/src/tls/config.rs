//! From certificates and decisions to what rustls works with.

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{Error, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// A certificate with its chain, and its key.
pub struct Identity {
    /// The certificate first, then those that sign it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first.
    pub key: PrivateKeyDer<'static>,
}

/// Makes configurations that belong together.
pub struct Compiler {
    provider: Arc<CryptoProvider>,
    /// Encrypts the sessions of hosts that ask for no client certificate, under keys that change by themselves. All
    /// workers use it, so that a session can be resumed on each of them.
    tickets: Arc<dyn ProducesTickets>,
}

impl Compiler {
    /// A compiler with ticket keys of its own.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { provider: Arc::new(ring::default_provider()), tickets: ring::Ticketer::new()? })
    }

    /// What serves `identity`.
    ///
    /// # Errors
    /// When the key is of no kind that ring knows, or not that of the certificate.
    pub fn compile(&self, identity: Identity) -> Result<ServerConfig, Error> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(rustls::ALL_VERSIONS)?
            .with_no_client_auth()
            .with_single_cert(identity.chain, identity.key)?;
        config.alpn_protocols = ALPN.iter().map(|protocol| protocol.to_vec()).collect();
        // Sessions live in tickets only: memory of them would be per process and bounded, and tickets are neither.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = self.tickets.clone();
        config.send_tls13_tickets = TICKETS;
        // Early data can be replayed by whoever sees it, and what is charged to a client must be the client's.
        config.max_early_data_size = 0;
        Ok(config)
    }
}

/// What a client may ask for by ALPN. The place to switch HTTP/2 on.
pub const ALPN: [&[u8]; 1] = [b"http/1.1"];
/// Tickets that a client of TLS 1.3 gets for a handshake; one who resumes with it gets a new one.
const TICKETS: usize = 1;
