//! `weir serve`: settings, then the parts, then the wait for the end.

use crate::access_log::{self, AccessLog, Writer};
use crate::admin::{self, AdminError};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::footprint;
use crate::lookout;
use crate::server::{Config, Server, StartError};
use crate::settings::{self, Admin, Environment, Mistake, Settings, Source};
use crate::state::{Guards, State};
use crate::telemetry::{self, TelemetryError};
use crate::tls::expiry::{Notice, Stage, Watch};
use crate::tls::{Tls, TlsError};
use crate::upstream::resolve;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use weir_core::declaration::Declaration;
use weir_core::engine::EngineConfig;
use weir_core::finding::{ObjectRef, Severity};
use weir_core::{Engine, Finding};
use weir_kubernetes::cluster::{self, ClusterError, Update};
use weir_kubernetes::manifests::{self, SourceError};
use weir_kubernetes::podinfo::{self, PodInfoError};
use weir_kubernetes::translate::ObjectName;
use weir_kubernetes::{Cluster, Manifests, PodInfo};

/// Why `weir serve` did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Settings are wrong.
    #[error("{}", Listed(.0))]
    Settings(Vec<Mistake>),
    /// Messages cannot be logged.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The access log cannot be opened.
    #[error(transparent)]
    AccessLog(#[from] access_log::OpenError),
    /// The source cannot be read.
    #[error("--source")]
    Source(#[from] SourceError),
    /// The pod's annotations cannot be read, or what is mounted beside them.
    #[error("--source podinfo")]
    PodInfo(#[from] PodInfoError),
    /// The cluster cannot be followed.
    #[error("cannot follow the cluster (--source kubernetes)")]
    Cluster(#[from] ClusterError),
    /// The admin listener did not start.
    #[error("cannot start the admin listener (--admin)")]
    Admin(#[from] AdminError),
    /// TLS cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server did not start.
    #[error("cannot start the server (--http, --https)")]
    Server(#[from] StartError),
    /// The control thread cannot run.
    #[error("cannot run the control thread")]
    Control(#[source] io::Error),
    /// The bound addresses cannot be printed.
    #[error("cannot write to the standard output")]
    Output(#[source] io::Error),
}

impl ServeError {
    /// 2 for bad settings, 1 for a failed start.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Mistakes, each on a line of its own.
pub(super) struct Listed<'a>(pub(super) &'a [Mistake]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used")?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

pub(super) fn run(arguments: &[String]) -> Result<(), ServeError> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return super::print(&settings::help()).map_err(ServeError::Output);
    }
    let read = settings::read(arguments, &Environment::of_process(), |path| std::fs::read_to_string(path));
    let settings::Read { settings, warnings } = read.map_err(ServeError::Settings)?;
    if let Some(Source::PodInfo(_)) = settings.source {
        footprint::take_small_pages();
    }
    telemetry::start(&settings.log_level, settings.log_format)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let running = start(&settings)?;
    // Whoever hears where we are may end us.
    let signals = running.signals()?;
    announce(&settings, &running.server, running.admin)?;
    running.wait(signals)
}

/// A proxy that runs.
pub(super) struct Running {
    server: Server,
    admin: Option<SocketAddr>,
    control: tokio::runtime::Runtime,
    source: Following,
    log_writer: Writer,
    /// How long it goes on accepting after the signal to end.
    delay: Duration,
}

/// The source, for as long as it is followed.
enum Following {
    /// There is none.
    Nothing,
    /// A folder.
    Manifests(manifests::Watcher),
    /// A cluster.
    Cluster(Cluster),
    /// The annotations of our own pod.
    PodInfo(podinfo::Watcher),
}

impl Following {
    /// We are about to end: somebody else is to write back.
    fn leave(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.leave();
        }
    }

    /// Reads everything again, where reading is by file.
    fn refresh(&self) {
        match self {
            Self::Manifests(watcher) => {
                tracing::info!("reading the manifests again; settings need a restart");
                watcher.refresh();
            }
            Self::PodInfo(watcher) => {
                tracing::info!("reading the annotations of the pod again; settings need a restart");
                watcher.refresh();
            }
            Self::Nothing | Self::Cluster(_) => tracing::info!("there are no files to read again"),
        }
    }
}

/// Starts everything. What can fail comes before the first request: a start is whole or is none.
pub(super) fn start(settings: &Settings) -> Result<Running, ServeError> {
    let clock = Clock::start();
    let engine = Arc::new(Engine::new(EngineConfig {
        clients: settings.clients.get(),
        in_flight: settings.in_flight.get(),
        ..EngineConfig::default()
    }));
    let counters = Arc::new(Counters::new());
    let state = State::new(engine.clone(), counters.clone(), clock);
    let state = Arc::new(state.with_metrics_routes(settings.metrics_routes));
    let source = follow(settings, &state)?;
    let (log, log_writer) = AccessLog::open(
        &settings.access_log,
        settings.access_log_format,
        settings.access_log_volume,
        counters.clone(),
    )?;
    let control =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Control)?;
    let admin = match settings.admin {
        Admin::Off => None,
        Admin::On(address) => Some(control.block_on(admin::start(address, state.clone()))?),
    };
    // In a pod there are no names to look up.
    if !matches!(settings.source, Some(Source::PodInfo(_))) {
        control.spawn(resolve::run(engine.clone(), state.changes()));
    }
    control.spawn(watch_certificates(state.clone()));
    control.spawn(telemetry::tell_left_out());
    control.spawn(lookout::run(state.clone(), settings_object(settings)));
    let tls = Arc::new(Tls::start(clock)?);
    let server = Server::start(&Config {
        http: settings.http.clone(),
        https: settings.https.clone(),
        workers: settings.workers.get(),
        connections: settings.connections,
        lanes: settings.lanes,
        tls: tls.clone(),
        given: settings.timeouts,
        h2c: settings.h2c,
        engine,
        clock,
        counters,
        log,
    })?;
    state.guard(Guards { arrivals: server.arrivals().clone(), tls });
    state.serve(server.connections().clone(), server.phase());
    Ok(Running { server, admin, control, source, log_writer, delay: settings.timeouts.shutdown_delay })
}

impl Running {
    /// Where clients connect: the first address.
    pub(super) fn http(&self) -> Option<SocketAddr> {
        self.server.http().first().copied()
    }

    /// Where clients connect for TLS: the first address.
    pub(super) fn https(&self) -> Option<SocketAddr> {
        self.server.https().first().copied()
    }

    /// Where operators connect.
    pub(super) fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Runs `work`, which may block, beside the proxy, and ends the proxy with it.
    pub(super) fn during<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServeError> {
        let Self { server, control, source, log_writer, .. } = self;
        // The control thread serves operators meanwhile.
        let worked = control.block_on(async { tokio::task::spawn_blocking(work).await });
        server.drain();
        server.join();
        drop(source);
        log_writer.join();
        worked.map_err(|error| ServeError::Control(io::Error::other(error)))
    }

    /// Waits for the signal to end, and then for the requests in flight; a second signal ends at once.
    pub(super) fn wait(self, signals: Signals) -> Result<(), ServeError> {
        let Self { server, control, source, log_writer, delay, .. } = self;
        control.block_on(wait(server, &source, delay, signals));
        drop(source);
        log_writer.join();
        Ok(())
    }

    /// From now on signals are heard, and no longer end the process by themselves.
    pub(super) fn signals(&self) -> Result<Signals, ServeError> {
        let _control = self.control.enter();
        Signals::new().map_err(ServeError::Control)
    }
}

/// Reads the source for the first time and follows its changes until the result is dropped. A cluster may not be there
/// yet: requests are served, and `/readyz` says yes, once it has been listed.
fn follow(settings: &Settings, state: &Arc<State>) -> Result<Following, ServeError> {
    if settings.objects.topology_aware_routing && settings.objects.zone.is_none() {
        match (&settings.source, own_node(settings)) {
            (Some(Source::Kubernetes), Some(_)) => {}
            _ => tracing::warn!(
                "--enable-topology-aware-routing has no effect: there is neither --zone nor, in a cluster, NODE_NAME"
            ),
        }
    }
    match &settings.source {
        None => Ok(Following::Nothing),
        Some(Source::Manifests(folder)) => {
            let mut manifests = Manifests::new(folder, settings.options())?;
            if let Some((declaration, findings)) = manifests.refresh() {
                apply(state, declaration, findings);
            }
            let state = state.clone();
            let watcher =
                manifests.spawn(move |declaration, findings| apply(&state, declaration, findings))?;
            Ok(Following::Manifests(watcher))
        }
        Some(Source::PodInfo(file)) => {
            let podinfo = PodInfo::new(podinfo_settings(settings, file))?;
            let (declaration, findings) = podinfo.load();
            apply(state, declaration, findings);
            let state = state.clone();
            let watcher = podinfo.spawn(move |declaration, findings| apply(&state, declaration, findings))?;
            Ok(Following::PodInfo(watcher))
        }
        Some(Source::Kubernetes) => {
            let cluster = cluster::Settings {
                options: settings.options(),
                namespace_selector: settings.objects.watch_namespace_selector.clone(),
                kubeconfig: settings.objects.kubeconfig.clone(),
                apiserver_host: settings.objects.apiserver_host.clone(),
                certificate_authority: settings.objects.certificate_authority.clone(),
                node: own_node(settings),
                timing: cluster::Timing::default(),
                publish: settings.publish.settings(identity(), own_pod()),
            };
            let put = {
                let state = state.clone();
                move |update| match update {
                    Update::Configuration(declaration, findings) => {
                        apply(&state, *declaration, findings);
                        state.loaded().findings.clone()
                    }
                    Update::Endpoints(backends) => {
                        state.set_endpoints(&backends);
                        Vec::new()
                    }
                }
            };
            let cluster = Cluster::follow(cluster, put)?;
            state.hear(cluster.health().clone(), cluster.leads().clone());
            Ok(Following::Cluster(cluster))
        }
    }
}

fn podinfo_settings(settings: &Settings, file: &Path) -> podinfo::Settings {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    podinfo::Settings {
        file: file.to_owned(),
        // The host of a pod has its name, unless it was given another or the node's.
        pod: own_pod().unwrap_or_else(|| ObjectName { namespace: "default".to_owned(), name: host() }),
        upstreams: settings.pod.upstreams.clone(),
        tls_secret: settings.pod.tls_secret.clone(),
        secrets: settings.pod.secrets.clone(),
        config_map: settings.pod.config_map.clone(),
        options: settings.options(),
    }
}

/// The node that we run on, if our zone is wanted and the node's name was given to us (by the downward API).
fn own_node(settings: &Settings) -> Option<String> {
    let wanted = settings.objects.topology_aware_routing && settings.objects.zone.is_none();
    wanted.then(|| std::env::var("NODE_NAME").ok().filter(|name| !name.is_empty())).flatten()
}

/// The pod that we run in, if its name was given to us (by the downward API).
fn own_pod() -> Option<ObjectName> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(ObjectName { namespace: variable("POD_NAMESPACE")?, name: variable("POD_NAME")? })
}

/// What nobody else is called: the pod's name, or the host's and some digits.
fn identity() -> String {
    match own_pod() {
        Some(pod) => pod.name,
        None => {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            format!("{host}-{:08x}", fastrand::u32(..))
        }
    }
}

/// The object with the settings of the whole proxy, or what stands for it if there is none.
fn settings_object(settings: &Settings) -> ObjectRef {
    match (&settings.source, &settings.objects.configmap, &settings.pod.config_map) {
        (Some(Source::PodInfo(_)), _, Some(folder)) => {
            ObjectRef::new("ConfigMap", "", folder.display().to_string())
        }
        (Some(Source::PodInfo(_)), _, None) => ObjectRef::new("Settings", "", "--configmap-dir"),
        (_, Some(name), _) => ObjectRef::new("ConfigMap", &name.namespace, &name.name),
        (_, None, _) => ObjectRef::new("Settings", "", "--configmap"),
    }
}

/// Tells of certificates whose end is near, each stage of each once.
async fn watch_certificates(state: Arc<State>) {
    let mut watch = Watch::default();
    let mut changes = state.changes();
    loop {
        changes.mark_unchanged();
        let now = i64::try_from(state.clock.wall().as_millis() / 1000).unwrap_or(i64::MAX);
        let snapshot = state.engine.snapshot();
        for Notice { secret, stage, days } in watch.look(snapshot.secrets(), now) {
            match stage {
                Stage::Over => tracing::error!(%secret, days, "a certificate is not valid any more"),
                Stage::Near => tracing::error!(%secret, days, "a certificate ends within three days"),
                Stage::Soon => tracing::warn!(%secret, days, "a certificate ends within 14 days"),
            }
        }
        let has_none = snapshot.secrets().pairs().next().is_none();
        drop(snapshot);
        tokio::time::sleep(CERTIFICATES_EVERY).await;
        if has_none {
            let _ = changes.changed().await;
        }
    }
}

fn apply(state: &State, declaration: Declaration, findings: Vec<Finding>) {
    let ingresses = declaration.ingresses.len();
    let fresh = state.apply(declaration, findings);
    for finding in fresh.iter().take(MOST_TOLD) {
        let Finding { object, field, value, severity, code, message } = finding;
        match severity {
            Severity::Warn => tracing::warn!(%object, field, value, code, "{message}"),
            Severity::Fail => tracing::error!(%object, field, value, code, "{message}"),
        }
    }
    if let Some(more) = fresh.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        tracing::warn!(more, "there are more findings; /api/findings has all of them");
    }
    let generation = state.loaded().generation;
    tracing::info!(ingresses, generation, "a configuration is in force");
}

/// Says what was bound, for people and for whoever asked for port 0: to the log, and as lines such as
/// `http 127.0.0.1:8080` to the standard output. Where JSON goes there too, each line is an object.
fn announce(settings: &Settings, server: &Server, admin: Option<SocketAddr>) -> Result<(), ServeError> {
    let only_json = settings.access_log == access_log::Target::Stdout
        && settings.access_log_format == access_log::Format::Json;
    let mut text = String::new();
    let listening = server.http().iter().map(|address| ("http", *address));
    let listening = listening.chain(server.https().iter().map(|address| ("https", *address)));
    let listening = listening.chain(admin.map(|address| ("admin", address)));
    for (what, address) in listening {
        tracing::info!(%address, "listening for {what}");
        text.push_str(&match only_json {
            true => format!("{{\"listening\":\"{what}\",\"address\":\"{address}\"}}\n"),
            false => format!("{what} {address}\n"),
        });
    }
    super::print(&text).map_err(ServeError::Output)
}

/// Waits for the signal to end. Then nobody should be sent here, and after `delay` accepting ends, and then the requests
/// in flight. A second signal ends at once. Whoever sits at a terminal (SIGINT) need not wait for `delay`.
async fn wait(server: Server, source: &Following, delay: Duration, mut signals: Signals) {
    let delay = match signals.end(source).await {
        End::Terminate => delay,
        End::Interrupt => Duration::ZERO,
    };
    server.leave();
    source.leave();
    if !delay.is_zero() {
        tracing::info!(connections = server.connections().open(), ?delay, "about to end");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = signals.end(source) => end_at_once(),
        }
    }
    tracing::info!(connections = server.connections().open(), "draining");
    server.drain();
    let joined = tokio::task::spawn_blocking(move || server.join());
    tokio::select! {
        _ = joined => tracing::info!("drained"),
        _ = signals.end(source) => end_at_once(),
    }
}

fn end_at_once() {
    tracing::warn!("a second signal: ending at once");
    std::process::exit(1);
}

/// The signals that the process hears.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// A signal to end.
enum End {
    Terminate,
    Interrupt,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal to end. Those to read the files again (SIGHUP) are obeyed meanwhile.
    async fn end(&mut self, source: &Following) -> End {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return End::Terminate,
                _ = self.interrupt.recv() => return End::Interrupt,
                _ = self.hang_up.recv() => source.refresh(),
            }
        }
    }
}

/// Findings of one change that are logged, so that a large mistake does not bury everything else.
const MOST_TOLD: usize = 50;
/// How often certificates are looked at. Not when a configuration comes: one that changes all the time is looked at as
/// seldom as any other.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);
