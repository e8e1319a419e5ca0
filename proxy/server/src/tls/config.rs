//! From certificates and decisions to what rustls works with, compiled once and kept while it is in force.

use super::client::{Authorities, Lenient};
use super::tickets::Tickets;
use crate::clock::Clock;
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use weir_core::Snapshot;
use weir_core::tls::{
    Alpn, ClientAuth, ClientAuthId, HostTls, HostTlsId, KeyKind, KeyPair, TlsVersion, TlsVersions,
    VerifyClient,
};

/// A certificate with its chain, and its key.
pub struct Identity {
    /// The certificate first, then those that sign it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first.
    pub key: PrivateKeyDer<'static>,
}

/// What names are served with. Of everything compiled only what the snapshot in force names is kept.
pub struct Configs {
    provider: Arc<CryptoProvider>,
    clock: Clock,
    fallback: Arc<CertifiedKey>,
    /// Encrypts the sessions of hosts that ask for no client certificate. All workers use it, so that a session can be resumed on each of them.
    tickets: Arc<dyn ProducesTickets>,
    kept: Mutex<Kept>,
}

/// What was compiled, and of which snapshot it is.
#[derive(Default)]
struct Kept {
    of: Weak<Snapshot>,
    served: HashMap<HostTlsId, Arc<Served>>,
    /// A session holds the client's certificate, and one that is resumed is not asked again. So sessions that began
    /// under one demand cannot be read under another: each has keys of its own.
    tickets: HashMap<ClientAuthId, Arc<dyn ProducesTickets>>,
}

/// What a name is served with.
pub struct Served {
    /// What rustls needs.
    pub config: Arc<ServerConfig>,
    /// Who judges the client's certificate, if one is asked for.
    pub authorities: Option<Authorities>,
    /// What is asked of clients.
    pub demanded: Option<ClientAuthId>,
}

/// The answer to a ClientHello.
pub enum Choice {
    /// A certificate and how it is used.
    Serve(Arc<Served>),
    /// Nobody has the name, and names that nobody has are refused.
    Reject,
}

impl Configs {
    /// With `fallback` for names without a certificate. The keys of sessions change by `clock`.
    ///
    /// # Errors
    /// When the key of `fallback` cannot be used, or the system gives no random numbers.
    pub fn new(fallback: Identity, clock: Clock) -> Result<Self, Error> {
        let provider = ring::default_provider();
        let fallback = CertifiedKey::from_der(fallback.chain, fallback.key, &provider)?;
        Ok(Self {
            provider: Arc::new(provider),
            clock,
            fallback: Arc::new(fallback),
            tickets: Tickets::new(clock)?,
            kept: Mutex::default(),
        })
    }

    /// What a client that asks for `name` is served with.
    ///
    /// # Errors
    /// When the certificate cannot be used after all: it was checked when it was read.
    pub fn choose(&self, snapshot: &Arc<Snapshot>, name: Option<&str>) -> Result<Choice, Error> {
        let found = snapshot.tls().lookup(name);
        if found.is_refused() {
            return Ok(Choice::Reject);
        }
        let id = found.tls.id();
        let tickets = {
            let mut kept = self.kept.lock();
            kept.follow(snapshot);
            if let Some(served) = kept.served.get(&id) {
                return Ok(Choice::Serve(served.clone()));
            }
            match &found.tls.client_auth {
                None => self.tickets.clone(),
                Some(auth) => kept.tickets_of(auth.id(), self.clock)?,
            }
        };
        // Unlocked: reading a key takes a while. Who does the same meanwhile does it for nothing.
        let served = Arc::new(self.compile(found.tls, tickets)?);
        self.kept.lock().served.insert(id, served.clone());
        Ok(Choice::Serve(served))
    }

    fn compile(&self, host: &HostTls, tickets: Arc<dyn ProducesTickets>) -> Result<Served, Error> {
        let key = match &host.pair {
            Some(pair) => Arc::new(certified(pair, &self.provider)?),
            None => self.fallback.clone(),
        };
        let asked = host.client_auth.as_deref().filter(|auth| auth.mode != VerifyClient::Ignore);
        let authorities = asked.map(|auth| Authorities::new(auth, &self.provider)).transpose()?;
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&versions(host.versions))?;
        let builder = match &authorities {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                builder.with_client_cert_verifier(Arc::new(Lenient::new(authorities, &self.provider)))
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = protocols(host.alpn);
        // Sessions live in tickets only: a memory of them would be bounded, and too small for all clients.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = tickets;
        config.send_tls13_tickets = TICKETS;
        // Early data can be replayed by whoever sees it, and what is charged to a client must be the client's.
        config.max_early_data_size = 0;
        let demanded = host.client_auth.as_deref().map(ClientAuth::id);
        Ok(Served { config: Arc::new(config), authorities, demanded })
    }
}

impl Kept {
    /// Drops what a new snapshot does not name.
    fn follow(&mut self, snapshot: &Arc<Snapshot>) {
        if std::ptr::eq(self.of.as_ptr(), Arc::as_ptr(snapshot)) {
            return;
        }
        self.of = Arc::downgrade(snapshot);
        let hosts = || snapshot.tls().hosts().map(|(_, host)| host);
        let named: HashSet<HostTlsId> = hosts().map(|host| host.id()).collect();
        let demands: HashSet<ClientAuthId> =
            hosts().filter_map(|host| Some(host.client_auth.as_ref()?.id())).collect();
        self.served.retain(|id, _| named.contains(id));
        self.tickets.retain(|id, _| demands.contains(id));
    }

    fn tickets_of(&mut self, demand: ClientAuthId, clock: Clock) -> Result<Arc<dyn ProducesTickets>, Error> {
        if let Some(tickets) = self.tickets.get(&demand) {
            return Ok(tickets.clone());
        }
        let tickets: Arc<dyn ProducesTickets> = Tickets::new(clock)?;
        self.tickets.insert(demand, tickets.clone());
        Ok(tickets)
    }
}

/// A certificate of the snapshot as rustls has it.
///
/// # Errors
/// When the key is of no kind that ring knows, or not that of the certificate.
pub fn certified(pair: &KeyPair, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let chain = pair.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let der = pair.key.der().to_vec();
    let key = match pair.key.kind() {
        KeyKind::Pkcs1 => PrivateKeyDer::Pkcs1(der.into()),
        KeyKind::Sec1 => PrivateKeyDer::Sec1(der.into()),
        KeyKind::Pkcs8 => PrivateKeyDer::Pkcs8(der.into()),
    };
    CertifiedKey::from_der(chain, key, provider)
}

/// The versions, as rustls has them.
pub fn versions(versions: TlsVersions) -> Vec<&'static SupportedProtocolVersion> {
    let all = [(TlsVersion::V13, &TLS13), (TlsVersion::V12, &TLS12)];
    all.into_iter().filter(|(version, _)| versions.has(*version)).map(|(_, version)| version).collect()
}

fn protocols(alpn: Alpn) -> Vec<Vec<u8>> {
    let spoken = alpn.protocols().iter().filter(|protocol| SPOKEN.contains(protocol));
    spoken.map(|protocol| protocol.to_vec()).collect()
}

/// What of ALPN is spoken here, whatever hosts offer.
pub const SPOKEN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Tickets that a client of TLS 1.3 gets for a handshake; one who resumes with it gets a new one.
const TICKETS: usize = 1;
