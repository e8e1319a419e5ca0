//! A small shop to try things on: one Service, Ingresses for it, and requests.
#![allow(dead_code)] // each test binary uses its own part

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;
use weir_core::declaration::{
    BackendName, BackendSpec, Declaration, HostRule, Ingress, PathKind, PathRule, PortName,
};
use weir_core::engine::EngineConfig;
use weir_core::facts::Scheme;
use weir_core::finding::ObjectRef;
use weir_core::policy::Policy;
use weir_core::ticket::Ticket;
use weir_core::verdict::{Reason, Refusal};
use weir_core::{Engine, Facts, Verdict};
use weir_limits::{Instant, Seed};

/// The port of the one Service.
pub(crate) fn backend() -> BackendName {
    named_backend("web")
}

pub(crate) fn named_backend(service: &str) -> BackendName {
    BackendName::new("shop", service, PortName::Number(80))
}

pub(crate) fn path(path: &str, kind: PathKind) -> PathRule {
    PathRule { path: path.to_owned(), kind, backend: Some(backend()) }
}

pub(crate) fn host(host: &str, paths: Vec<PathRule>) -> HostRule {
    HostRule { host: host.to_owned(), paths }
}

/// Everything under `shop.example`, without limits.
pub(crate) fn ingress(name: &str) -> Ingress {
    Ingress {
        object: ObjectRef::new("Ingress", "shop", name),
        uid: format!("uid-{name}"),
        created: Some(0),
        policy: Policy::default(),
        rules: vec![host("shop.example", vec![path("/", PathKind::Prefix)])],
        default_backend: None,
        tls: Vec::new(),
    }
}

/// The same with a policy.
pub(crate) fn with(name: &str, change: impl FnOnce(&mut Policy)) -> Ingress {
    let mut ingress = ingress(name);
    change(&mut ingress.policy);
    ingress
}

/// The Ingresses and the one Service.
pub(crate) fn declare(ingresses: impl IntoIterator<Item = Ingress>) -> Declaration {
    Declaration {
        ingresses: ingresses.into_iter().collect(),
        backends: [(backend(), BackendSpec::Addresses(vec!["127.0.0.1:1".parse().unwrap()]))].into(),
        ..Declaration::default()
    }
}

pub(crate) fn engine(declaration: Declaration) -> Engine {
    let engine = Engine::new(EngineConfig { clients: 1_000, in_flight: 1_000, seed: Seed::from_u128(7) });
    engine.replace(declaration);
    engine
}

/// An engine for one Ingress with a policy.
pub(crate) fn engine_with(change: impl FnOnce(&mut Policy)) -> Engine {
    engine(declare([with("web", change)]))
}

pub(crate) fn n64(number: u64) -> Option<NonZeroU64> {
    NonZeroU64::new(number)
}

pub(crate) fn n32(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

pub(crate) fn at(seconds: f64) -> Instant {
    Instant::from_elapsed(Duration::from_secs_f64(seconds))
}

/// A request; `GET http://shop.example/` unless said otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) peer: &'a str,
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) length: Option<u64>,
    pub(crate) head: usize,
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            peer: "192.0.2.1",
            method: "GET",
            host: "shop.example",
            path: "/",
            length: None,
            head: 100,
            headers: &[],
        }
    }
}

impl Request<'_> {
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            peer: self.peer.parse().unwrap(),
            port: 80,
            scheme: Scheme::Http,
            tls: None,
            method: self.method,
            host: self.host.as_bytes(),
            path: self.path.as_bytes(),
            query: b"",
            content_length: self.length,
            head_bytes: self.head,
            headers: &self.headers,
        }
    }

    pub(crate) fn ask(&self, engine: &Engine, now: Instant) -> Verdict {
        engine.admit(now, &self.facts())
    }

    /// The ticket of a request that must pass.
    #[track_caller]
    pub(crate) fn pass(&self, engine: &Engine, now: Instant) -> Ticket {
        match self.ask(engine, now) {
            Verdict::Forward(ticket) => ticket,
            Verdict::Refuse(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// The refusal of a request that must not pass.
    #[track_caller]
    pub(crate) fn stop(&self, engine: &Engine, now: Instant) -> Refusal {
        match self.ask(engine, now) {
            Verdict::Refuse(refusal) => refusal,
            Verdict::Forward(_) => panic!("passed"),
        }
    }

    /// Status and reason of a request that must not pass.
    #[track_caller]
    pub(crate) fn reason(&self, engine: &Engine) -> (u16, Reason) {
        let refusal = self.stop(engine, Instant::START);
        (refusal.status, refusal.reason)
    }

    /// How many of a thousand such requests pass at one moment, each ending at once.
    pub(crate) fn burst(&self, engine: &Engine, now: Instant) -> usize {
        (0..1_000).filter(|_| matches!(self.ask(engine, now), Verdict::Forward(_))).count()
    }
}

pub(crate) fn get<'a>(path: &'a str) -> Request<'a> {
    Request { path, ..Request::default() }
}

pub(crate) fn from<'a>(peer: &'a str) -> Request<'a> {
    Request { peer, ..Request::default() }
}
