//! What the operator decides: flags, environment and a file, read through one table.
//!
//! A setting is looked for among the flags, then in the environment (`WEIR_*`), then in the file (`--config`); the first
//! place that has it wins. [`table`] is the one list of names, forms and texts; `docs/settings.md` comes out of it.
//! Reading never stops at the first mistake.

mod foreign;
mod layers;
mod page;
mod selector;
mod table;
mod value;

pub use layers::{Environment, read};
pub use page::{help, page};
pub use table::{Row, rows};

use crate::access_log;
use crate::shared::Lanes;
use crate::state;
use crate::timeouts::Given;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use weir_core::policy::Profile;
use weir_kubernetes::publish::{self, AtTheEnd, Election, Events, NodeAddress};
use weir_kubernetes::translate::{
    BackendOverride, CatchAll, ClassByName, ExternalNames, Namespaces, ObjectName, Options, WithoutClass,
};

/// What the operator decides. Every field already has its default.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where objects come from; `None` until a source is named.
    pub source: Option<Source>,
    /// Addresses for plain HTTP; port 0 lets the system choose.
    pub http: Vec<SocketAddr>,
    /// Addresses for HTTP over TLS; port 0 lets the system choose.
    pub https: Vec<SocketAddr>,
    /// Address of metrics, health and status.
    pub admin: Admin,
    /// Which set of defaults.
    pub profile: Profile,
    /// Threads that serve.
    pub workers: NonZeroUsize,
    /// Most client connections; 0 is as many as there are descriptors for.
    pub connections: usize,
    /// Clients times rules whose rates are counted at once.
    pub clients: NonZeroUsize,
    /// Clients times rules with requests in flight at once.
    pub in_flight: NonZeroUsize,
    /// Which lanes are open.
    pub lanes: Lanes,
    /// How long things may take, as far as it is said here.
    pub timeouts: Given,
    /// Whether clients of plain listeners may begin with HTTP/2.
    pub h2c: bool,
    /// Most routes that have metrics of their own.
    pub metrics_routes: usize,
    /// Where access log lines go.
    pub access_log: access_log::Target,
    /// How access log lines look.
    pub access_log_format: access_log::Format,
    /// How many access log lines there may be.
    pub access_log_volume: access_log::Volume,
    /// Which messages are logged: a level, or directives of tracing's `EnvFilter`.
    pub log_level: String,
    /// How messages look.
    pub log_format: LogFormat,
    /// Decisions about objects.
    pub objects: ObjectSettings,
    /// Decisions about what is written back to a cluster.
    pub publish: PublishSettings,
    /// What is beside us in a pod.
    pub pod: PodSettings,
}

/// Where objects come from (`--source`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder of manifests.
    Manifests(PathBuf),
    /// The API server of a cluster.
    Kubernetes,
    /// The annotations of the pod that we run in, as the downward API has them.
    PodInfo(PathBuf),
}

/// As the flag has it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifests(folder) => write!(f, "manifests={}", folder.display()),
            Self::Kubernetes => f.write_str("kubernetes"),
            Self::PodInfo(file) => write!(f, "podinfo={}", file.display()),
        }
    }
}

/// Address of metrics, health and status (`--admin`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// There is none.
    Off,
    /// Here.
    On(SocketAddr),
}

/// How messages look (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// An object per line.
    Json,
}

/// Decisions about objects. What is `None` is as the source has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectSettings {
    /// The file that says where the API server is.
    pub kubeconfig: Option<PathBuf>,
    /// The URL of the API server.
    pub apiserver_host: Option<String>,
    /// The file with the authorities that it is verified by.
    pub certificate_authority: Option<PathBuf>,
    /// Only namespaces with these labels.
    pub watch_namespace_selector: Option<String>,
    /// `spec.controller` of IngressClasses that are ours; empty is as the source has it.
    pub controller_class: Vec<String>,
    /// Class name that is ours.
    pub ingress_class: Option<String>,
    /// Whether an IngressClass with our name is ours whatever its controller says.
    pub ingress_class_by_name: bool,
    /// Whether Ingresses without a class are ours.
    pub watch_ingress_without_class: bool,
    /// Only Ingresses of this namespace.
    pub watch_namespace: Option<String>,
    /// Prefix of annotations beside `weir.dev`.
    pub annotations_prefix: Option<String>,
    /// The ConfigMap with settings for all objects.
    pub configmap: Option<ObjectName>,
    /// The Service for requests that no route takes.
    pub default_backend_service: Option<ObjectName>,
    /// The Secret with the certificate for hosts without their own.
    pub default_certificate: Option<ObjectName>,
    /// Addresses of backends, in place of what the objects say.
    pub backends: Vec<BackendOverride>,
    /// Whether endpoints of our zone are preferred.
    pub topology_aware_routing: bool,
    /// Our zone, in place of what our node is labelled with.
    pub zone: Option<String>,
    /// Whether Services may be DNS names.
    pub external_names: ExternalNames,
    /// Whether an Ingress may take every host with its default backend.
    pub catch_all: CatchAll,
}

/// What is beside us in a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodSettings {
    /// Where requests go.
    pub upstreams: Vec<SocketAddr>,
    /// Where the Secret with the certificate is mounted.
    pub tls_secret: Option<PathBuf>,
    /// Where the Secrets are mounted that annotations name.
    pub secrets: BTreeMap<ObjectName, PathBuf>,
    /// Where the ConfigMap with the settings of the whole proxy is mounted.
    pub config_map: Option<PathBuf>,
}

/// Decisions about what is written back to a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishSettings {
    /// Whether the status of Ingresses is written at all.
    pub status: bool,
    /// The Service whose addresses Ingresses get.
    pub service: Option<ObjectName>,
    /// The addresses that Ingresses get.
    pub addresses: Vec<String>,
    /// Which addresses of nodes they get, where neither of these says others.
    pub nodes: NodeAddress,
    /// How often the status is looked at.
    pub interval: Duration,
    /// What becomes of it when the last replica ends.
    pub at_the_end: AtTheEnd,
    /// Whether findings become Events.
    pub events: Events,
    /// Name of the Lease by which replicas agree on who writes.
    pub election_id: String,
    /// How long it holds.
    pub election_ttl: Duration,
    /// Whether there is an election at all.
    pub election: bool,
}

impl Default for PublishSettings {
    fn default() -> Self {
        Self {
            status: true,
            service: None,
            addresses: Vec::new(),
            nodes: NodeAddress::External,
            interval: Duration::from_secs(60),
            at_the_end: AtTheEnd::Clear,
            events: Events::Write,
            election_id: "weir-ingress-controller-leader".to_owned(),
            election_ttl: Duration::from_secs(30),
            election: true,
        }
    }
}

impl PublishSettings {
    /// What is written back, by the replica `identity`, which runs in `pod` if that is known.
    pub fn settings(&self, identity: String, pod: Option<ObjectName>) -> publish::Settings {
        publish::Settings {
            status: match (self.status, &self.service) {
                (false, _) => publish::Status::Keep,
                (true, Some(service)) => publish::Status::OfService(service.clone()),
                (true, None) if !self.addresses.is_empty() => publish::Status::Given(self.addresses.clone()),
                (true, None) => publish::Status::OfNodes(self.nodes),
            },
            interval: self.interval,
            at_the_end: self.at_the_end,
            events: self.events,
            election: match self.election {
                true => Election::Lease { name: self.election_id.clone(), ttl: self.election_ttl },
                false => Election::Alone,
            },
            identity,
            pod,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let engine = weir_core::engine::EngineConfig::default();
        Self {
            source: None,
            http: vec![SocketAddr::from(([0, 0, 0, 0], 8080))],
            https: Vec::new(),
            admin: Admin::On(SocketAddr::from(([127, 0, 0, 1], 10254))),
            profile: Profile::Weir,
            // Counts the quota of the control group, not only the cores of the machine.
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            connections: 0,
            clients: NonZeroUsize::new(engine.clients).unwrap_or(NonZeroUsize::MIN),
            metrics_routes: state::METRICS_ROUTES,
            in_flight: NonZeroUsize::new(engine.in_flight).unwrap_or(NonZeroUsize::MIN),
            lanes: Lanes::Auto,
            timeouts: Given::default(),
            h2c: false,
            access_log: access_log::Target::Stdout,
            access_log_format: access_log::Format::Json,
            access_log_volume: access_log::Volume::default(),
            log_level: "info".to_owned(),
            log_format: LogFormat::Auto,
            objects: ObjectSettings::default(),
            publish: PublishSettings::default(),
            pod: PodSettings::default(),
        }
    }
}

impl Settings {
    /// Other defaults for the source, where it is a pod: there may be as many of them as fit their nodes, and the other
    /// container has the port that is everybody's first choice.
    fn fit(&mut self) {
        if let Some(Source::PodInfo(_)) = self.source {
            self.http = vec![SocketAddr::from(([0, 0, 0, 0], POD_HTTP))];
            self.workers = self.workers.min(POD_WORKERS);
            self.clients = POD_CLIENTS;
            self.in_flight = POD_IN_FLIGHT;
        }
    }

    /// How objects are translated.
    pub fn options(&self) -> Options {
        let defaults = match self.source {
            Some(Source::Kubernetes | Source::PodInfo(_)) => Options::cluster(),
            Some(Source::Manifests(_)) | None => Options::manifests(),
        };
        let mut options = Options { profile: self.profile, ..defaults };
        let objects = &self.objects;
        if !objects.controller_class.is_empty() {
            options.controllers.clone_from(&objects.controller_class);
        }
        if objects.watch_namespace_selector.is_some() {
            options.namespaces = Namespaces::Selected;
        }
        if let Some(class) = &objects.ingress_class {
            options.class_names = vec![class.clone()];
        }
        // Who may see one namespace only may not see classes: where none is seen, our names are enough.
        if self.source == Some(Source::Kubernetes) && objects.watch_namespace.is_some() {
            options.class_by_name = ClassByName::WithoutClassObjects;
        }
        if objects.ingress_class_by_name {
            options.class_by_name = ClassByName::Always;
        }
        if objects.watch_ingress_without_class {
            options.without_class = WithoutClass::Serve;
        }
        if let Some(prefix) = &objects.annotations_prefix {
            options.annotation_prefix.clone_from(prefix);
        }
        if objects.topology_aware_routing {
            options.zone.clone_from(&objects.zone);
        }
        options.external_names = objects.external_names;
        options.catch_all = objects.catch_all;
        options.watch_namespace.clone_from(&objects.watch_namespace);
        options.config_map.clone_from(&objects.configmap);
        options.default_certificate.clone_from(&objects.default_certificate);
        options.default_backend.clone_from(&objects.default_backend_service);
        objects.backends.iter().cloned().for_each(|backend| options.add_backend(backend));
        options
    }
}

/// Something that is not as it should be: where, what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The flag, the variable, or the file and its key.
    pub place: String,
    /// What was found there, if anything was.
    pub value: Option<String>,
    /// What was expected, or why it cannot be.
    pub expected: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.expected)?;
        match &self.value {
            Some(value) => write!(f, ", found {value:?}"),
            None => Ok(()),
        }
    }
}

/// What came of reading: settings, and what to tell the operator once there is a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The settings.
    pub settings: Settings,
    /// Flags that were accepted and change nothing.
    pub warnings: Vec<String>,
}

const POD_HTTP: u16 = 8081;
const POD_WORKERS: NonZeroUsize = count(2);
const POD_CLIENTS: NonZeroUsize = count(50_000);
const POD_IN_FLIGHT: NonZeroUsize = count(10_000);

const fn count(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}

#[cfg(test)]
mod tests;
