//! A server within the test's process, for what manifests are too far away.

use super::Lane;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use weir::access_log::AccessLog;
use weir::clock::Clock;
use weir::counters::Counters;
use weir::server::{Config, Server};
use weir::shared::Lanes;
use weir::tls::Tls;
use weir_core::Engine;
use weir_core::declaration::{
    BackendName, BackendSpec, Declaration, HostRule, Ingress, PathKind, PathRule, PortName, TlsSection,
};
use weir_core::engine::EngineConfig;
use weir_core::finding::ObjectRef;
use weir_core::policy::Policy;
use weir_core::tls::{SecretContent, SecretName};

/// A server that runs until it is dropped.
pub struct Inside {
    server: Option<Server>,
    pub engine: Arc<Engine>,
    pub counters: Arc<Counters>,
}

/// Hosts in front of one origin.
#[derive(Clone, Default)]
pub struct Hosts {
    pub declaration: Declaration,
    origin: Option<SocketAddr>,
}

pub fn secret(name: &str) -> SecretName {
    SecretName::new("shop", name)
}

impl Hosts {
    pub fn of(origin: SocketAddr) -> Self {
        Self { origin: Some(origin), declaration: Declaration::default() }
    }

    /// One more host, with the certificate of a Secret and with a policy.
    pub fn host(mut self, host: &str, certificate: Option<&str>, change: impl FnOnce(&mut Policy)) -> Self {
        let backend = BackendName::new("shop", "web", PortName::Number(80));
        let mut policy = Policy::default();
        change(&mut policy);
        let name = format!("i{}", self.declaration.ingresses.len());
        let path = PathRule { path: "/".to_owned(), kind: PathKind::Prefix, backend: Some(backend.clone()) };
        self.declaration.ingresses.push(Ingress {
            object: ObjectRef::new("Ingress", "shop", &name),
            uid: name,
            created: None,
            policy,
            rules: vec![HostRule { host: host.to_owned(), paths: vec![path] }],
            default_backend: None,
            tls: certificate
                .map(|name| TlsSection { hosts: vec![host.to_owned()], secret: Some(secret(name)) })
                .into_iter()
                .collect(),
        });
        self.declaration.backends =
            BTreeMap::from([(backend, BackendSpec::Addresses(self.origin.into_iter().collect()))]);
        self
    }

    pub fn secret(mut self, name: &str, content: SecretContent) -> Self {
        self.declaration.secrets.insert(secret(name), content);
        self
    }
}

impl Inside {
    pub fn start(lane: Lane, workers: usize, hosts: Hosts) -> Self {
        let engine = Arc::new(Engine::new(EngineConfig::default()));
        engine.replace(hosts.declaration);
        let counters = Arc::new(Counters::default());
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(&Config {
            h2c: false,
            http: vec![local],
            https: vec![local],
            tls: Arc::new(Tls::start(Clock::start()).unwrap()),
            workers,
            connections: 1000,
            lanes: if lane == Lane::Auto { Lanes::Auto } else { Lanes::Pingora },
            given: Default::default(),
            engine: engine.clone(),
            clock: Clock::start(),
            counters: counters.clone(),
            log: AccessLog::off(),
        });
        Self { server: Some(server.unwrap()), engine, counters }
    }

    pub fn http(&self) -> SocketAddr {
        self.server.as_ref().unwrap().http()[0]
    }

    pub fn https(&self) -> SocketAddr {
        self.server.as_ref().unwrap().https()[0]
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.drain();
            server.join();
        }
    }
}
