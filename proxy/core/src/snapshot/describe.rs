//! The snapshot as it is understood, for `/api/config`.

use super::{Location, Owner, Snapshot};
use crate::policy::{BodyLimit, Burst, KeyPart, Override, Policy, Profile};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A snapshot for people. Holds no secrets: policies have none in them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SnapshotView {
    /// The profile: `weir` or `ingress-nginx`.
    pub profile: &'static str,
    /// By host; `*` is every host.
    pub hosts: BTreeMap<String, HostView>,
    /// Objects, in the order in which they win conflicts.
    pub objects: Vec<ObjectView>,
    /// Backends.
    pub backends: Vec<BackendView>,
    /// Name of the default backend.
    pub default_backend: Option<String>,
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HostView {
    /// Its paths.
    pub paths: Vec<PathView>,
}

/// One path of a host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathView {
    /// As configured.
    pub path: String,
    /// `Exact`, `Prefix`, `ImplementationSpecific`, or `default` for a `defaultBackend`.
    pub kind: String,
    /// The object that it belongs to.
    pub object: String,
    /// The backend, `namespace/service:port`.
    pub backend: Option<String>,
    /// Why every request is refused, if so.
    pub broken: Option<String>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectView {
    /// Kind, namespace and name.
    pub object: String,
    /// What each client may.
    pub limits: LimitsView,
    /// Networks let in; absent for everybody.
    pub allow: Option<Vec<String>>,
    /// Networks kept out.
    pub deny: Vec<String>,
    /// Methods let in; absent for all.
    pub methods: Option<Vec<String>>,
    /// Paths let in; absent for all.
    pub paths: Option<Vec<String>>,
    /// Most bytes of a body; absent for any number.
    pub body_bytes: Option<u64>,
    /// Most bytes of a head.
    pub header_bytes: Option<u32>,
    /// Whether its hosts are in regex mode.
    pub regex: bool,
    /// Connect, send and read timeouts in seconds.
    pub timeouts: [f64; 3],
    /// How an endpoint is chosen.
    pub balance: String,
    /// Why every request is refused, if so.
    pub refuse_all: Option<String>,
}

/// Limits in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitsView {
    /// By annotation, such as `limit-rps`.
    pub numbers: BTreeMap<&'static str, u64>,
    /// Windows of any length, as `300/600s`.
    pub windows: Vec<String>,
    /// What may come at once above the rate: `x5` is five times the limit.
    pub burst: String,
    /// What tells clients apart.
    pub key: Vec<String>,
    /// By kind of rule: `enforce` or `observe`.
    pub modes: BTreeMap<&'static str, &'static str>,
    /// Networks that are not limited.
    pub exempt: Vec<String>,
    /// Other numbers for some paths.
    pub overrides: BTreeMap<String, BTreeMap<&'static str, u64>>,
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackendView {
    /// `namespace/service:port`.
    pub name: String,
    /// The DNS name that it resolves, if it is one.
    pub external: Option<String>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointView>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointView {
    /// Its address.
    pub address: SocketAddr,
    /// Requests in flight there.
    pub in_flight: usize,
}

pub(super) fn describe(snapshot: &Snapshot) -> SnapshotView {
    let mut hosts: BTreeMap<String, HostView> = BTreeMap::new();
    for (host, path, location) in snapshot.routes.all() {
        let view = path_view(path.is_none(), location);
        hosts.entry(host.to_string()).or_default().paths.push(view);
    }
    for host in hosts.values_mut() {
        host.paths.sort_by(|a, b| (&a.path, &a.kind).cmp(&(&b.path, &b.kind)));
    }
    SnapshotView {
        profile: match snapshot.settings.profile {
            Profile::Weir => "weir",
            Profile::IngressNginx => "ingress-nginx",
        },
        hosts,
        objects: snapshot.owners.iter().map(|owner| object_view(owner)).collect(),
        backends: snapshot.backends.values().map(|backend| backend_view(backend)).collect(),
        default_backend: snapshot.default.as_ref().map(|location| location.target.name.to_string()),
    }
}

fn path_view(is_default: bool, location: &Location) -> PathView {
    PathView {
        path: location.path.clone(),
        kind: if is_default { "default".to_owned() } else { format!("{:?}", location.kind) },
        object: location.object.to_string(),
        backend: location.backend.as_ref().map(ToString::to_string),
        broken: location.broken.clone(),
    }
}

fn object_view(owner: &Owner) -> ObjectView {
    let Policy { access, origin, .. } = &*owner.policy;
    ObjectView {
        object: owner.object.to_string(),
        limits: limits_view(&owner.policy),
        allow: access.allow.as_ref().map(|nets| texts(nets)),
        deny: texts(&access.deny),
        methods: access.methods.clone(),
        paths: access.paths.clone(),
        body_bytes: bytes(owner.policy.body.max),
        header_bytes: owner.policy.max_header_bytes.map(Into::into),
        regex: owner.policy.regex,
        timeouts: [origin.connect_timeout, origin.send_timeout, origin.read_timeout].map(|t| t.as_secs_f64()),
        balance: format!("{:?}", origin.balance),
        refuse_all: owner.policy.refuse_all.clone(),
    }
}

fn limits_view(policy: &Policy) -> LimitsView {
    use crate::verdict::rule;
    let limits = &policy.limits;
    let numbers = [
        (rule::CONNECTIONS, limits.connections.map(|n| n.get().into())),
        (rule::RPS, limits.per_second.map(Into::into)),
        (rule::RPM, limits.per_minute.map(Into::into)),
        (rule::RPH, limits.per_hour.map(Into::into)),
        (rule::RPD, limits.per_day.map(Into::into)),
    ];
    let modes = [
        ("rate", limits.mode.rate),
        ("connections", limits.mode.connections),
        ("body", limits.mode.body),
        ("addresses", limits.mode.addresses),
        ("methods", limits.mode.methods),
        ("paths", limits.mode.paths),
    ];
    LimitsView {
        numbers: present(numbers),
        windows: limits.windows.iter().map(|w| format!("{}/{}s", w.limit, w.period.as_secs_f64())).collect(),
        burst: match limits.burst {
            Burst::Multiplier(multiplier) => format!("x{multiplier}"),
            Burst::Absolute(requests) => requests.to_string(),
        },
        key: limits.key.iter().map(key_text).collect(),
        modes: modes.into_iter().map(|(name, mode)| (name, mode.as_str())).collect(),
        exempt: texts(&limits.exempt),
        overrides: limits.overrides.iter().map(override_view).collect(),
    }
}

fn override_view(special: &Override) -> (String, BTreeMap<&'static str, u64>) {
    let numbers = [
        ("connections", special.connections.map(|n| n.get().into())),
        ("rps", special.per_second.map(Into::into)),
        ("rpm", special.per_minute.map(Into::into)),
        ("rph", special.per_hour.map(Into::into)),
        ("body", special.body.map(|limit| bytes(limit).unwrap_or(0))),
    ];
    (special.path.clone(), present(numbers))
}

fn backend_view(backend: &crate::backend::Backend) -> BackendView {
    let endpoints = backend.endpoints();
    BackendView {
        name: backend.name.to_string(),
        external: backend.external().map(|(host, port)| format!("{host}:{port}")),
        endpoints: endpoints
            .iter()
            .map(|endpoint| EndpointView { address: endpoint.address(), in_flight: endpoint.in_flight() })
            .collect(),
    }
}

fn present<const N: usize>(numbers: [(&'static str, Option<u64>); N]) -> BTreeMap<&'static str, u64> {
    numbers.into_iter().filter_map(|(name, number)| Some((name, number?))).collect()
}

fn bytes(limit: BodyLimit) -> Option<u64> {
    match limit {
        BodyLimit::Unlimited => None,
        BodyLimit::Bytes(bytes) => Some(bytes),
    }
}

fn key_text(part: &KeyPart) -> String {
    match part {
        KeyPart::Ip => "ip".to_owned(),
        KeyPart::Header(name) => format!("header:{name}"),
        KeyPart::Cookie(name) => format!("cookie:{name}"),
        KeyPart::JwtClaim(name) => format!("jwt:{name}"),
        KeyPart::Path => "path".to_owned(),
        KeyPart::Host => "host".to_owned(),
    }
}

fn texts(nets: &[ipnet::IpNet]) -> Vec<String> {
    nets.iter().map(ToString::to_string).collect()
}
