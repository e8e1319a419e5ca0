//! One immutable configuration.

mod build;
mod describe;
mod hosts;
mod origin_tls;
mod plan;

pub use describe::{BackendView, EndpointView, HostView, LimitsView, ObjectView, PathView, SnapshotView};
pub use hosts::{HostClients, HostRules};
pub(crate) use plan::{KeyPlan, Label, Plan, Planned, Scope};

use crate::account::{ObjectCounters, RouteCounters};
use crate::backend::Backend;
use crate::declaration::{BackendName, Declaration, PathKind};
use crate::finding::{Finding, ObjectRef};
use crate::identity::{AddressSet, Identification};
use crate::policy::{Policy, Settings};
use crate::route::Routes;
use crate::tls::{OriginTls, Secrets, TlsTable};
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_limits::Seed;

/// One immutable configuration, ready to admit requests.
#[derive(Debug)]
pub struct Snapshot {
    /// What holds for the whole proxy.
    pub settings: Settings,
    /// What is wrong with the objects it was made of.
    pub findings: Vec<Finding>,
    identification: Identification,
    block: AddressSet,
    routes: Routes<Arc<Location>>,
    /// In the order in which they win conflicts, and then the default backend's.
    owners: Vec<Arc<Owner>>,
    backends: BTreeMap<BackendName, Arc<Backend>>,
    /// Takes what no host takes.
    default: Option<Arc<Location>>,
    unrouted: Arc<ObjectCounters>,
    tls: TlsTable,
    /// What the Secrets hold, or held when they were last good.
    secrets: Secrets,
    hsts: Option<Arc<str>>,
    basis: Basis,
}

/// What a snapshot was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Nothing: no source has said anything yet, so what is not routed may be soon.
    Nothing,
    /// A declaration, which may be empty.
    Declaration,
}

impl Snapshot {
    /// Puts a declaration in order. `previous` lends what should survive: counters and endpoint state. Rules get their
    /// identities under `seed`, which must be the limiter's.
    pub fn build(declaration: Declaration, previous: Option<&Self>, seed: &Seed) -> Self {
        build::build(declaration, previous, seed)
    }

    /// What there is before any declaration.
    pub(crate) fn nothing(seed: &Seed) -> Self {
        Self { basis: Basis::Nothing, ..Self::build(Declaration::default(), None, seed) }
    }

    /// What it was made of.
    pub(crate) fn basis(&self) -> Basis {
        self.basis
    }

    /// What takes a request for a canonical host and path.
    #[inline]
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Location>> {
        self.routes.find(host, path).or(self.default.as_ref())
    }

    /// All objects that own locations, the default backend included.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Owner>> {
        self.owners.iter()
    }

    /// All routes, in no order. The path is as configured, with its kind; `None` for what takes all other paths of a host,
    /// or of all hosts.
    pub fn routes(&self) -> impl Iterator<Item = (RoutePath<'_>, &Arc<Location>)> {
        let routes = self.routes.all().map(|(_, path, location)| (path, location));
        let all = routes.chain(self.default.iter().map(|location| (None, location)));
        all.map(|(path, location)| (path.map(|_| (location.path.as_str(), location.kind)), location))
    }

    /// All backends that locations lead to or the declaration names.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.backends.values()
    }

    /// A backend by name.
    pub fn backend(&self, name: &BackendName) -> Option<&Arc<Backend>> {
        self.backends.get(name)
    }

    /// Counters for requests that no location took.
    pub fn unrouted(&self) -> &Arc<ObjectCounters> {
        &self.unrouted
    }

    /// What is shown to clients in handshakes, and asked of them.
    pub fn tls(&self) -> &TlsTable {
        &self.tls
    }

    /// The certificates and authorities in force, by the Secret that they come from.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The value of `Strict-Transport-Security` for every response over https, those of weir itself included.
    pub fn hsts(&self) -> Option<&Arc<str>> {
        self.hsts.as_ref()
    }

    /// The snapshot as it is understood, for people: without secrets, without numbers that move by themselves.
    pub fn describe(&self) -> SnapshotView {
        describe::describe(self)
    }

    /// Who is believed.
    pub fn identification(&self) -> &Identification {
        &self.identification
    }

    pub(crate) fn block(&self) -> &AddressSet {
        &self.block
    }
}

/// A path as configured, and how it is compared; `None` for what takes all other paths.
pub type RoutePath<'a> = Option<(&'a str, PathKind)>;

/// One path of one Ingress, compiled.
#[derive(Debug)]
pub struct Location {
    /// The Ingress.
    pub object: Arc<ObjectRef>,
    /// Host as configured; empty for every host.
    pub host: String,
    /// Path as configured.
    pub path: String,
    /// How the path is compared.
    pub kind: PathKind,
    /// Where it leads.
    pub backend: Option<BackendName>,
    /// What its owner wants.
    pub policy: Arc<Policy>,
    /// Why every request is refused with 503, when it is.
    pub broken: Option<String>,
    target: Arc<Backend>,
    owner: Arc<Owner>,
    /// `None` where TLS is never spoken with the origin.
    origin_tls: Option<Arc<OriginTls>>,
    rules: Arc<HostRules>,
    to_https: ToHttps,
    counters: Arc<RouteCounters>,
}

/// What becomes of a request over http.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToHttps {
    /// It is sent to https.
    Redirect,
    /// It stays.
    Stay,
}

impl Location {
    /// The object that it belongs to, and what all its locations share.
    pub fn owner(&self) -> &Arc<Owner> {
        &self.owner
    }

    /// What holds for all requests of its host.
    pub fn host_rules(&self) -> &HostRules {
        &self.rules
    }

    /// What was counted for it. The same over snapshots, for as long as the object has this path.
    pub fn counters(&self) -> &RouteCounters {
        &self.counters
    }

    pub(crate) fn to_https(&self) -> ToHttps {
        self.to_https
    }

    /// How TLS is spoken to the origin, where the policy's [`protocol`](crate::policy::Origin::protocol) has it.
    pub fn origin_tls(&self) -> Option<&Arc<OriginTls>> {
        self.origin_tls.as_ref()
    }

    /// Where it leads. Without endpoints if it leads nowhere.
    pub fn target(&self) -> &Arc<Backend> {
        &self.target
    }
}

/// An Ingress, and everything that its locations share.
#[derive(Debug)]
pub struct Owner {
    /// Who it is.
    pub object: Arc<ObjectRef>,
    /// `metadata.uid`, or empty.
    pub uid: String,
    /// What its annotations say.
    pub policy: Arc<Policy>,
    counters: Arc<ObjectCounters>,
    plan: Plan,
}

impl Owner {
    /// What was counted for it. The same over snapshots, for as long as the object lives.
    pub fn counters(&self) -> &Arc<ObjectCounters> {
        &self.counters
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
}
