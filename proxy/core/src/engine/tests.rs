use super::*;
use crate::declaration::{BackendName, BackendSpec, HostRule, Ingress, PathKind, PathRule, PortName};
use crate::facts::Scheme;
use crate::finding::ObjectRef;
use crate::policy::Policy;
use crate::verdict::Reason;
use std::num::NonZeroU64;
use std::time::Duration;

fn backend() -> BackendName {
    BackendName::new("shop", "web", PortName::Number(80))
}

fn declaration(per_second: u64) -> Declaration {
    let mut policy = Policy::default();
    policy.limits.per_second = NonZeroU64::new(per_second);
    let path = PathRule { path: "/".to_owned(), kind: PathKind::Prefix, backend: Some(backend()) };
    Declaration {
        ingresses: vec![Ingress {
            object: ObjectRef::new("Ingress", "shop", "web"),
            uid: String::new(),
            created: None,
            policy,
            rules: vec![HostRule { host: "shop.example".to_owned(), paths: vec![path] }],
            default_backend: None,
            tls: Vec::new(),
        }],
        backends: [(backend(), BackendSpec::Addresses(vec!["127.0.0.1:1".parse().unwrap()]))].into(),
        ..Declaration::default()
    }
}

fn engine() -> Engine {
    Engine::new(EngineConfig { clients: 1_000, in_flight: 100, seed: Seed::from_u128(1) })
}

fn facts(host: &'static str) -> Facts<'static> {
    Facts {
        peer: "192.0.2.1".parse().unwrap(),
        port: 80,
        scheme: Scheme::Http,
        tls: None,
        method: "GET",
        host: host.as_bytes(),
        path: b"/",
        query: b"",
        content_length: None,
        head_bytes: 0,
        headers: &(),
    }
}

#[test]
fn before_the_first_configuration_everything_is_503_and_after_an_empty_one_404() {
    let engine = engine();
    let refused = |engine: &Engine| match engine.admit(Instant::START, &facts("shop.example")) {
        Verdict::Refuse(refusal) => (refusal.status, refusal.reason),
        Verdict::Forward(_) => panic!("there is no route"),
    };
    assert_eq!(refused(&engine), (503, Reason::NoConfiguration));
    engine.replace(Declaration::default());
    assert_eq!(refused(&engine), (404, Reason::NoRoute));
}

#[test]
fn burst_and_one_pass_at_once_and_then_the_rate() {
    let engine = engine();
    engine.replace(declaration(5));
    let admitted = |now| {
        let pass = |_: &u32| matches!(engine.admit(now, &facts("Shop.example:80")), Verdict::Forward(_));
        (0..100).filter(pass).count()
    };
    assert_eq!(admitted(Instant::START), 26);
    assert_eq!(admitted(Instant::from_elapsed(Duration::from_secs(1))), 5);
    engine.replace(declaration(10));
    assert_eq!(admitted(Instant::from_elapsed(Duration::from_secs(1))), 0);
}
