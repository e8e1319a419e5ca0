//! The loop: hears watches, waits for quiet, translates, hands on.

use super::client::{self, ClientError};
use super::debounce::Debounce;
use super::health::Health;
use super::in_force::{Findings, InForce, Reaction};
use super::prune::Watched;
use super::reflector::{Denied, Reflector};
use super::resource::{Objects, Versions};
use super::secrets::Reads;
use super::store::{Change, Statuses, Store};
use super::stream::{Heard, Stream};
use super::zone::Zone;
use super::{Settings, Timing, Update};
use crate::objects::{Kind, Object};
use crate::publish::{self, Subject, Writer};
use crate::translate::{self, ObjectName};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use weir_core::Finding;
use weir_core::declaration::Declaration;

/// Follows a cluster.
pub(super) struct Follower<F> {
    settings: Settings,
    config: Config,
    health: Arc<Health>,
    on_update: F,
    store: Store,
    debounce: Debounce,
    told: mpsc::Sender<Heard>,
    heard: mpsc::Receiver<Heard>,
    watches: BTreeMap<Stream, Task>,
    secrets: Secrets,
    zone: Zone,
    in_force: InForce,
    /// Until when a configuration waits for Secrets that are being read.
    hold: Option<Instant>,
    progress: Progress,
    /// The Ingresses that are ours, and what is wrong with objects.
    ours: Vec<ObjectName>,
    findings: Arc<Vec<Finding>>,
    subject: watch::Sender<Option<Subject>>,
    writer: Option<JoinHandle<()>>,
}

/// What others than the loop hold too.
pub(super) struct Shared {
    pub(super) health: Arc<Health>,
    /// Whether this replica writes back.
    pub(super) leads: Arc<AtomicBool>,
    /// Says when the writer is to leave.
    pub(super) leave: watch::Receiver<bool>,
}

/// Whether a configuration was handed on.
#[derive(Clone, Copy, PartialEq)]
enum Progress {
    New,
    Started,
}

/// How Secrets come here.
enum Secrets {
    /// Each by a watch of its own.
    Watched,
    /// By being read when their version changes.
    Read(Reader),
}

/// Reads Secrets by name.
struct Reader {
    api: Client,
    reads: Reads,
    done: mpsc::Sender<(ObjectName, Option<Object>)>,
    read: mpsc::Receiver<(ObjectName, Option<Object>)>,
    at_once: Arc<Semaphore>,
    tasks: BTreeMap<ObjectName, Task>,
}

/// A task that ends when nobody holds it.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<F: FnMut(Update) -> Vec<Finding>> Follower<F> {
    pub(super) async fn new(settings: Settings, shared: Shared, on_update: F) -> Result<Self, ClientError> {
        let Shared { health, leads, leave } = shared;
        let config = client::config(&settings).await?;
        let (subject, subjects) = watch::channel(None);
        let watched = settings.options.watch_namespace.clone();
        let writer =
            Writer::new(client::client(&config)?, watched, settings.publish.clone(), subjects, leads);
        let (told, heard) = mpsc::channel(CHANNEL);
        let secrets = match settings.options.watch_namespace {
            Some(_) => Secrets::Watched,
            None => {
                let (done, read) = mpsc::channel(READS);
                Secrets::Read(Reader {
                    api: client::client(&config)?,
                    reads: Reads::default(),
                    done,
                    read,
                    at_once: Arc::new(Semaphore::new(READS)),
                    tasks: BTreeMap::new(),
                })
            }
        };
        let mut follower = Self {
            settings,
            config,
            health,
            on_update,
            store: Store::default(),
            debounce: Debounce::default(),
            told,
            heard,
            watches: BTreeMap::new(),
            secrets,
            zone: Zone::Settled,
            in_force: InForce::default(),
            hold: None,
            progress: Progress::New,
            ours: Vec::new(),
            findings: Arc::default(),
            subject,
            writer: None,
        };
        follower.begin()?;
        follower.ask_for_zone()?;
        follower.writer = Some(tokio::spawn(writer.run(leave)));
        Ok(follower)
    }

    /// Begins every watch that does not depend on what others tell.
    fn begin(&mut self) -> Result<(), ClientError> {
        self.watch_namespaced::<Ingress>(Kind::Ingress)?;
        self.watch_namespaced::<Service>(Kind::Service)?;
        self.watch_namespaced::<EndpointSlice>(Kind::EndpointSlice)?;
        let classes = Objects(Api::<IngressClass>::all(client::client(&self.config)?));
        self.watch(Stream::All(Kind::IngressClass), classes, None);
        if let Some(selector) = self.settings.namespace_selector.clone() {
            let namespaces = Objects(Api::<Namespace>::all(client::client(&self.config)?));
            self.watch(Stream::All(Kind::Namespace), namespaces, Some(selector));
        }
        if matches!(self.secrets, Secrets::Read(_)) {
            let versions = Versions(Api::<Secret>::all(client::client(&self.config)?));
            self.watch(Stream::SecretVersions, versions, None);
        }
        if let Some(name) = self.settings.options.config_map.clone() {
            let api = Api::<ConfigMap>::namespaced(client::client(&self.config)?, &name.namespace);
            self.watch(Stream::Named(Kind::ConfigMap, name), Objects(api), None);
        }
        Ok(())
    }

    fn ask_for_zone(&mut self) -> Result<(), ClientError> {
        if let (Some(node), None) = (&self.settings.node, &self.settings.options.zone) {
            let api = Api::<Node>::all(client::client(&self.config)?);
            self.zone = Zone::ask(api, node.clone(), self.settings.timing);
        }
        Ok(())
    }

    fn watch_namespaced<K>(&mut self, kind: Kind) -> Result<(), ClientError>
    where
        K: Watched
            + kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let client = client::client(&self.config)?;
        let api = match &self.settings.options.watch_namespace {
            Some(namespace) => Api::<K>::namespaced(client, namespace),
            None => Api::<K>::all(client),
        };
        self.watch(Stream::All(kind), Objects(api), None);
        Ok(())
    }

    fn watch<R: super::reflector::Resource>(&mut self, stream: Stream, resource: R, labels: Option<String>) {
        let fields = match &stream {
            Stream::Named(_, name) => Some(format!("metadata.name={}", name.name)),
            Stream::All(_) | Stream::SecretVersions => None,
        };
        // Who may only see one namespace may not see classes, and needs none: then the class's name decides.
        let denied = match (&stream, &self.settings.options.watch_namespace) {
            (Stream::All(Kind::IngressClass), Some(_)) => Denied::MeansNone,
            _ => Denied::IsAFailure,
        };
        let reflector = Reflector {
            resource,
            stream: stream.clone(),
            fields,
            labels,
            denied,
            timing: self.settings.timing,
            health: Arc::clone(&self.health),
            told: self.told.clone(),
        };
        self.store.expect(stream.clone());
        self.watches.insert(stream, Task(tokio::spawn(reflector.run())));
    }

    /// Follows until it is told to stop (or the other end of `stopped` is dropped), and gives the writer, which is told
    /// to leave, the time to do so.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let due = self.due().map(tokio::time::Instant::from_std);
            let (secrets, zone) = (&mut self.secrets, &mut self.zone);
            tokio::select! {
                // What is due goes before what is told, or a stream of events without end would put it off for ever.
                biased;
                _ = &mut stopped => break,
                () = wait(due), if due.is_some() => self.act(Instant::now()),
                Some((name, secret)) = secrets.read() => self.secret_read(&name, secret),
                answer = zone.told() => {
                    if let Some(zone) = self.zone.hear(answer) {
                        self.settings.options.zone = Some(zone);
                        self.store.touch();
                        self.note();
                    }
                }
                _ = self.heard.recv_many(&mut batch, BATCH) => {
                    let versions = batch.iter().any(|heard| heard.stream == Stream::SecretVersions);
                    batch.drain(..).for_each(|heard| self.store.hear(heard));
                    // All that are needed are looked at, which is too much for each change of an endpoint.
                    if versions {
                        self.read_secrets();
                    }
                    self.note();
                }
            }
        }
        if let Some(writer) = self.writer.take() {
            // A panic of the task was reported when it happened.
            let _ = writer.await;
        }
    }

    /// When to act: nothing is handed on before everything was listed.
    fn due(&self) -> Option<Instant> {
        if !self.store.is_complete() {
            return None;
        }
        match (self.hold, self.zone.holds_until()) {
            (Some(hold), _) if self.is_waiting() => Some(hold),
            (_, Some(hold)) if self.progress == Progress::New => self.debounce.due().map(|due| due.max(hold)),
            _ => self.debounce.due(),
        }
    }

    fn note(&mut self) {
        if self.progress == Progress::New && self.store.is_complete() {
            // Nothing at all is a configuration too: whoever waits for one is not to wait for the first object.
            self.store.touch();
        }
        if *self.store.change() != Change::Nothing || self.store.statuses() == Statuses::Changed {
            self.debounce.change(Instant::now());
        }
    }

    fn act(&mut self, now: Instant) {
        let statuses = self.store.take_statuses();
        match self.store.take_change() {
            Change::Nothing => {}
            Change::Endpoints(services) => self.endpoints(&services),
            Change::Everything => self.everything(now),
        }
        if statuses == Statuses::Changed && self.progress == Progress::Started {
            self.publish();
        }
        self.debounce.done(now, Instant::now());
        self.note();
    }

    /// Hands on the addresses of these Services. Whether a Service has any is also a finding, which comes with the next
    /// configuration.
    fn endpoints(&mut self, services: &BTreeSet<ObjectName>) {
        let Reaction { specs, findings } =
            self.in_force.endpoints(self.store.objects(), &self.settings.options, services);
        if specs.is_empty() {
            return;
        }
        if findings == Findings::AreStale {
            self.store.touch();
        }
        let _ = (self.on_update)(Update::Endpoints(specs));
    }

    fn everything(&mut self, now: Instant) {
        let (declaration, findings) = translate::translate(self.store.objects(), &self.settings.options);
        self.want(translate::named_secrets(&declaration));
        if self.is_waiting() {
            let Timing { secrets, first_secrets, .. } = self.settings.timing;
            let patience = if self.progress == Progress::New { first_secrets } else { secrets };
            if now < *self.hold.get_or_insert(now + patience) {
                self.store.touch();
                return;
            }
        }
        self.hold = None;
        self.progress = Progress::Started;
        self.in_force.replace(&declaration);
        self.ours = ours(&declaration);
        tracing::debug!(objects = self.store.objects().len(), "objects translated");
        let findings = (self.on_update)(Update::Configuration(Box::new(declaration), findings));
        self.findings = Arc::new(findings);
        self.publish();
    }

    /// Tells the writer what there is to write about.
    fn publish(&self) {
        let ingresses = &self.store.objects().ingresses;
        let known = |name: &ObjectName| {
            let ingress = ingresses.get(&name.namespace, &name.name)?;
            let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            Some((
                name.clone(),
                publish::Ingress {
                    uid: ingress.metadata.uid.clone().unwrap_or_default(),
                    addresses: balancer.and_then(|balancer| balancer.ingress.clone()).unwrap_or_default(),
                },
            ))
        };
        self.subject.send_replace(Some(Subject {
            ingresses: Arc::new(self.ours.iter().filter_map(known).collect()),
            findings: Arc::clone(&self.findings),
        }));
    }

    /// Sees to it that these Secrets are known, and no others.
    fn want(&mut self, wanted: BTreeSet<ObjectName>) {
        if let Secrets::Read(reader) = &mut self.secrets {
            for name in reader.reads.want(wanted) {
                reader.tasks.remove(&name);
                self.store.put_secret(&name, None);
            }
            // What nobody needs was no change.
            let _ = self.store.take_change();
            self.read_secrets();
            return;
        }
        let watched = |(stream, _): (&Stream, &Task)| match stream {
            Stream::Named(Kind::Secret, name) => Some(name.clone()),
            _ => None,
        };
        let watched: BTreeSet<_> = self.watches.iter().filter_map(watched).collect();
        for name in watched.difference(&wanted) {
            let stream = Stream::Named(Kind::Secret, name.clone());
            self.watches.remove(&stream);
            self.store.forget(&stream);
            self.health.forget(&stream);
        }
        let _ = self.store.take_change();
        for name in wanted.difference(&watched) {
            match client::client(&self.config) {
                Ok(client) => {
                    let api = Api::<Secret>::namespaced(client, &name.namespace);
                    self.watch(Stream::Named(Kind::Secret, name.clone()), Objects(api), None);
                }
                Err(error) => tracing::error!(%name, %error, "a Secret cannot be watched"),
            }
        }
    }

    /// Whether a Secret that is needed is not known yet, and will be soon.
    fn is_waiting(&self) -> bool {
        match &self.secrets {
            Secrets::Read(reader) => {
                let secrets = &self.store.objects().secrets;
                reader.reads.is_waiting(|name| secrets.get(&name.namespace, &name.name).is_some())
            }
            Secrets::Watched => self
                .watches
                .keys()
                .any(|stream| stream.kind() == Kind::Secret && !self.store.has_listed(stream)),
        }
    }

    /// Begins to read the Secrets that are needed and have changed.
    fn read_secrets(&mut self) {
        let Secrets::Read(reader) = &mut self.secrets else { return };
        for name in reader.reads.begin(|name| self.store.version(name)) {
            let api = Api::<Secret>::namespaced(reader.api.clone(), &name.namespace);
            let read = read(
                api,
                name.clone(),
                self.settings.timing,
                Arc::clone(&reader.at_once),
                reader.done.clone(),
            );
            reader.tasks.insert(name, Task(tokio::spawn(read)));
        }
    }

    fn secret_read(&mut self, name: &ObjectName, secret: Option<Object>) {
        if let Secrets::Read(reader) = &mut self.secrets
            && reader.reads.end(name)
        {
            reader.tasks.remove(name);
            self.store.put_secret(name, secret);
            // It may have changed while it was read.
            self.read_secrets();
            self.note();
        }
    }
}

impl Secrets {
    /// The next Secret that was read.
    async fn read(&mut self) -> Option<(ObjectName, Option<Object>)> {
        match self {
            Self::Read(reader) => reader.read.recv().await,
            Self::Watched => std::future::pending().await,
        }
    }
}

/// Reads a Secret, however often it takes.
async fn read(
    api: Api<Secret>,
    name: ObjectName,
    timing: Timing,
    at_once: Arc<Semaphore>,
    done: mpsc::Sender<(ObjectName, Option<Object>)>,
) {
    let mut pause = timing.pause_min;
    let secret = loop {
        let Ok(_turn) = at_once.acquire().await else { return };
        match tokio::time::timeout(timing.list, api.get_opt(&name.name)).await {
            Ok(Ok(secret)) => break secret,
            Ok(Err(error)) => {
                tracing::warn!(%name, %error, "a Secret cannot be read; what is known stays in force");
            }
            Err(_) => tracing::warn!(%name, "a Secret is not sent; what is known stays in force"),
        }
        drop(_turn);
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(timing.pause_max);
    };
    let _ = done.send((name, secret.map(Watched::into_object))).await;
}

async fn wait(until: Option<tokio::time::Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn ours(declaration: &Declaration) -> Vec<ObjectName> {
    let name = |ingress: &weir_core::declaration::Ingress| ObjectName {
        namespace: ingress.object.namespace.clone(),
        name: ingress.object.name.clone(),
    };
    declaration.ingresses.iter().map(name).collect()
}

/// Events on their way from watches.
const CHANNEL: usize = 1024;
/// Events taken at once.
const BATCH: usize = 256;
/// Secrets that are read at the same time.
const READS: usize = 16;
