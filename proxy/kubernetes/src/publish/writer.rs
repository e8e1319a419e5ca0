//! The shell around the election, the addresses and the Events: looks, writes, waits.

use super::events::{self, Act, EventName};
use super::lease::{self, Step};
use super::{Address, AtTheEnd, Election, Events, Ingress, Settings, Status, Subject, addresses};
use crate::translate::ObjectName;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Node, Pod, Service};
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Writes back to a cluster.
pub(crate) struct Writer {
    client: Client,
    /// Where the Lease lives.
    namespace: String,
    /// The one namespace that is watched, if it is one.
    watched: Option<String>,
    settings: Settings,
    subject: watch::Receiver<Subject>,
    leads: Arc<AtomicBool>,
    election: lease::Election,
    events: events::Events,
    /// What was last read of where clients reach us, and when.
    addresses: Option<(Vec<Address>, Instant)>,
    /// Statuses that were written, and when, until the watch tells of them.
    written: BTreeMap<ObjectName, (Ingress, Instant)>,
    /// Not before, for a write failed.
    rest: Option<Instant>,
    progress: Progress,
}

/// Whether what an earlier leader has written was looked at.
#[derive(Clone, Copy, PartialEq)]
enum Progress {
    New,
    Started,
}

impl Writer {
    /// A writer for what comes through `subject`. `leads` says to metrics whether it is the one that writes.
    pub(crate) fn new(
        client: Client,
        watched: Option<String>,
        settings: Settings,
        subject: watch::Receiver<Subject>,
        leads: Arc<AtomicBool>,
    ) -> Self {
        let ttl = match &settings.election {
            Election::Lease { ttl, .. } => *ttl,
            Election::Alone => Duration::MAX,
        };
        let namespace = settings.pod.as_ref().map(|pod| pod.namespace.clone());
        Self {
            namespace: namespace.unwrap_or_else(|| client.default_namespace().to_owned()),
            client,
            watched,
            election: lease::Election::new(settings.identity.clone(), ttl),
            settings,
            subject,
            leads,
            events: events::Events::default(),
            addresses: None,
            written: BTreeMap::new(),
            rest: None,
            progress: Progress::New,
        }
    }

    /// Writes until it is told to leave, and then leaves well: what only the last replica does, and the Lease.
    pub(crate) async fn run(mut self, mut leave: watch::Receiver<bool>) {
        let mut elected = Instant::now();
        while !*leave.borrow_and_update() {
            let now = Instant::now();
            if now >= elected {
                self.elect(now).await;
                elected = Instant::now() + self.period();
            }
            let next = match self.is_leader() {
                true => self.work().await,
                false => {
                    self.progress = Progress::New;
                    elected
                }
            };
            let next = tokio::time::Instant::from_std(next.min(elected));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                // The sender lives as long as this.
                _ = self.subject.changed(), if self.is_leader() => tokio::time::sleep(QUIET).await,
                _ = leave.changed() => {}
            }
        }
        self.leave().await;
    }

    fn is_leader(&self) -> bool {
        match self.settings.election {
            Election::Alone => true,
            Election::Lease { .. } => self.election.is_leader(Instant::now()),
        }
    }

    fn period(&self) -> Duration {
        match self.settings.election {
            Election::Alone => IDLE,
            Election::Lease { .. } => self.election.period(),
        }
    }

    async fn elect(&mut self, now: Instant) {
        let Election::Lease { name, .. } = &self.settings.election else {
            self.leads.store(true, Relaxed);
            return;
        };
        let api = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        let before = self.election.is_leader(now);
        if let Err(error) = elect(&api, name, &mut self.election, now).await {
            // Another replica wrote in the same moment.
            if !is(&error, CONFLICT) {
                tracing::warn!(%error, lease = name, "the lease cannot be renewed");
            }
        }
        let leads = self.election.is_leader(Instant::now());
        if leads != before {
            tracing::info!(leads, identity = self.settings.identity, "leader election");
        }
        self.leads.store(leads, Relaxed);
    }

    /// Does some of what there is to do. Says when there is more.
    async fn work(&mut self) -> Instant {
        if let Some(rest) = self.rest.filter(|rest| *rest > Instant::now()) {
            return rest;
        }
        let subject = self.subject.borrow_and_update().clone();
        let worked = match self.status(&subject).await {
            Ok(more) => self.tell(&subject).await.map(|next| next.min(more)),
            Err(error) => Err(error),
        };
        match worked {
            Ok(next) => {
                self.rest = None;
                next
            }
            Err(error) => {
                tracing::warn!(%error, "cannot write back to the cluster; it is tried again");
                let rest = Instant::now() + REST;
                self.rest = Some(rest);
                rest
            }
        }
    }

    /// Writes the status of Ingresses that have another.
    async fn status(&mut self, subject: &Subject) -> kube::Result<Instant> {
        let now = Instant::now();
        if self.settings.status == Status::Keep {
            return Ok(now + IDLE);
        }
        let fresh = self.addresses.as_ref().filter(|(addresses, read)| {
            let age = now.saturating_duration_since(*read);
            age < if addresses.is_empty() { NOTHING_YET } else { self.settings.interval }
        });
        let addresses = match fresh {
            Some((addresses, _)) => addresses.clone(),
            None => {
                let addresses = self.read_addresses().await?;
                self.addresses = Some((addresses.clone(), Instant::now()));
                addresses
            }
        };
        // Where clients reach us is not known yet: what is written there is more than nothing.
        if addresses.is_empty() {
            return Ok(now + NOTHING_YET);
        }
        self.write_status(subject, &addresses).await
    }

    async fn write_status(&mut self, subject: &Subject, addresses: &[Address]) -> kube::Result<Instant> {
        let now = Instant::now();
        self.written.retain(|name, (written, at)| {
            now.saturating_duration_since(*at) < ON_THE_WAY
                && subject
                    .ingresses
                    .get(name)
                    .is_some_and(|known| known.uid == written.uid && known != written)
        });
        let differs = |(name, known): &(&ObjectName, &Ingress)| {
            known.addresses != addresses
                && self.written.get(*name).is_none_or(|(written, _)| written.addresses != addresses)
        };
        let due: Vec<_> = subject.ingresses.iter().filter(differs).take(AT_ONCE).collect();
        let is_all = due.len() < AT_ONCE;
        for (name, known) in due {
            let api = Api::<networking::Ingress>::namespaced(self.client.clone(), &name.namespace);
            // Of this object, and not of another that has its name since.
            let patch = json!({
                "metadata": {"uid": known.uid},
                "status": {"loadBalancer": {"ingress": addresses}},
            });
            match api.patch_status(&name.name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Ok(_) => tracing::debug!(%name, "status written"),
                // It is gone, or another one.
                Err(error) if is(&error, NOT_FOUND) || is(&error, CONFLICT) => {}
                Err(error) => return Err(error),
            }
            let written = Ingress { uid: known.uid.clone(), addresses: addresses.to_vec() };
            self.written.insert(name.clone(), (written, Instant::now()));
        }
        Ok(Instant::now() + if is_all { self.settings.interval } else { PACE })
    }

    /// Where clients reach us.
    async fn read_addresses(&self) -> kube::Result<Vec<Address>> {
        match &self.settings.status {
            Status::Keep => Ok(Vec::new()),
            Status::Given(texts) => Ok(addresses::of_texts(texts)),
            Status::OfService(name) => {
                let api = Api::<Service>::namespaced(self.client.clone(), &name.namespace);
                let service = api.get_opt(&name.name).await?;
                if service.is_none() {
                    tracing::warn!(%name, "there is no such Service (--publish-service)");
                }
                Ok(service.as_ref().map(addresses::of_service).unwrap_or_default())
            }
            Status::OfNodes(which) => {
                let pods = self.replicas().await?;
                let names = pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone());
                let mut nodes = BTreeMap::new();
                for name in names.collect::<BTreeSet<_>>() {
                    if let Some(node) = Api::<Node>::all(self.client.clone()).get_opt(&name).await? {
                        nodes.insert(name, node);
                    }
                }
                Ok(addresses::of_nodes(&pods, &nodes, *which))
            }
        }
    }

    /// All pods like ours; none if it is not known which pod is ours.
    async fn replicas(&self) -> kube::Result<Vec<Pod>> {
        let Some(own) = &self.settings.pod else { return Ok(Vec::new()) };
        let api = Api::<Pod>::namespaced(self.client.clone(), &own.namespace);
        let Some(pod) = api.get_opt(&own.name).await? else { return Ok(Vec::new()) };
        let labels = pod.metadata.labels.unwrap_or_default();
        let labels: Vec<_> = labels
            .iter()
            .filter(|(name, _)| !OF_ONE_REVISION.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if labels.is_empty() {
            return Ok(Vec::new());
        }
        Ok(api.list(&ListParams::default().labels(&labels.join(","))).await?.items)
    }

    /// Writes and clears Events.
    async fn tell(&mut self, subject: &Subject) -> kube::Result<Instant> {
        if self.settings.events == Events::Never {
            return Ok(Instant::now() + IDLE);
        }
        if self.progress == Progress::New {
            self.find_events().await?;
            self.progress = Progress::Started;
        }
        self.events.want(&subject.findings);
        let uid = |object: &weir_core::finding::ObjectRef| {
            let name = ObjectName { namespace: object.namespace.clone(), name: object.name.clone() };
            subject.ingresses.get(&name).filter(|_| object.kind == "Ingress").map(|known| known.uid.clone())
        };
        for _ in 0..AT_ONCE {
            let now = Instant::now();
            let Some(act) = self.events.next(now, Timestamp::now(), &self.settings.identity, uid) else {
                return Ok(now + IDLE);
            };
            match self.carry_out(&act).await {
                // The namespace is about to go, or it is not allowed there: others are not kept waiting.
                Err(error) if is(&error, NOT_FOUND) || is(&error, FORBIDDEN) => {
                    tracing::debug!(%error, "an Event cannot be written");
                }
                other => other?,
            }
            self.events.done(&act, now);
        }
        Ok(Instant::now() + PACE)
    }

    /// Looks for Events that an earlier leader has written.
    async fn find_events(&mut self) -> kube::Result<()> {
        let api = match &self.watched {
            Some(namespace) => Api::<Event>::namespaced(self.client.clone(), namespace),
            None => Api::<Event>::all(self.client.clone()),
        };
        let ours = format!("reportingComponent={}", events::COMPONENT);
        let found = api.list_metadata(&ListParams::default().fields(&ours)).await?;
        let now = Instant::now();
        for event in found.items {
            let name = EventName {
                namespace: event.metadata.namespace.unwrap_or_default(),
                name: event.metadata.name.unwrap_or_default(),
            };
            self.events.found(name, now);
        }
        Ok(())
    }

    async fn carry_out(&self, act: &Act) -> kube::Result<()> {
        match act {
            Act::Tell(event) => {
                let name = events::name_of(event);
                let api = Api::<Event>::namespaced(self.client.clone(), &name.namespace);
                match api.create(&PostParams::default(), event).await {
                    Err(error) if is(&error, CONFLICT) => {
                        let count = api.get_opt(&name.name).await?.and_then(|event| event.count).unwrap_or(0);
                        let again = json!({
                            "count": count.saturating_add(1),
                            "lastTimestamp": event.last_timestamp,
                            "message": event.message,
                        });
                        let patch = Patch::Merge(again);
                        api.patch(&name.name, &PatchParams::default(), &patch).await.map(drop)
                    }
                    created => created.map(drop),
                }
            }
            Act::Clear(EventName { namespace, name }) => {
                let api = Api::<Event>::namespaced(self.client.clone(), namespace);
                match api.delete(name, &DeleteParams::default()).await {
                    Err(error) if is(&error, NOT_FOUND) => Ok(()),
                    deleted => deleted.map(drop),
                }
            }
        }
    }

    /// Leaves well, as far as there is time for it.
    async fn leave(mut self) {
        let goodbye = async {
            if self.is_leader() && self.settings.at_the_end == AtTheEnd::Clear {
                match self.is_last().await {
                    Ok(true) => {
                        let subject = self.subject.borrow().clone();
                        if let Err(error) = self.clear_status(&subject).await {
                            tracing::warn!(%error, "the status of Ingresses cannot be cleared");
                        }
                    }
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "not known whether other replicas run"),
                }
            }
            self.release().await;
        };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            tracing::warn!("the cluster does not answer; leaving without a goodbye");
        }
    }

    /// Whether no other replica runs. What is not known is no reason to clear anything.
    async fn is_last(&self) -> kube::Result<bool> {
        let Some(own) = &self.settings.pod else { return Ok(false) };
        let replicas = self.replicas().await?;
        let is_other = |pod: &&Pod| pod.metadata.name.as_deref() != Some(own.name.as_str());
        let others = replicas.iter().filter(is_other).filter(|pod| addresses::is_running(pod)).count();
        Ok(!replicas.is_empty() && others == 0)
    }

    /// Empties the statuses that say what we have written.
    async fn clear_status(&self, subject: &Subject) -> kube::Result<()> {
        let Some((ours, _)) = self.addresses.as_ref().filter(|(ours, _)| !ours.is_empty()) else {
            return Ok(());
        };
        for (name, known) in subject.ingresses.iter() {
            let written = self.written.get(name).map(|(written, _)| &written.addresses);
            if written.unwrap_or(&known.addresses) != ours {
                continue;
            }
            let api = Api::<networking::Ingress>::namespaced(self.client.clone(), &name.namespace);
            let patch = json!({"metadata": {"uid": known.uid}, "status": {"loadBalancer": {"ingress": []}}});
            match api.patch_status(&name.name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Err(error) if is(&error, NOT_FOUND) || is(&error, CONFLICT) => {}
                patched => drop(patched?),
            }
        }
        Ok(())
    }

    async fn release(&mut self) {
        let Election::Lease { name, .. } = &self.settings.election else { return };
        let Some(lease) = self.election.released(Instant::now(), Timestamp::now()) else { return };
        self.leads.store(false, Relaxed);
        let api = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        match api.replace(name, &PostParams::default(), &lease).await {
            Ok(_) => tracing::info!(lease = name, "the lease was given up"),
            Err(error) => {
                tracing::warn!(%error, lease = name, "the lease cannot be given up; it ends by itself");
            }
        }
    }
}

/// One look at the Lease, and the write that follows from it.
async fn elect(
    api: &Api<Lease>,
    name: &str,
    election: &mut lease::Election,
    now: Instant,
) -> kube::Result<()> {
    let deadline = election.period();
    let look = async {
        let lease = api.get_opt(name).await?;
        let written = match election.step(lease, now, Timestamp::now()) {
            Step::Create(mut lease) => {
                lease.metadata.name = Some(name.to_owned());
                api.create(&PostParams::default(), &lease).await?
            }
            Step::Replace(lease) => api.replace(name, &PostParams::default(), &lease).await?,
            Step::Wait => return Ok(()),
        };
        election.written(written, now);
        Ok(())
    };
    match tokio::time::timeout(deadline, look).await {
        Ok(looked) => looked,
        Err(_) => Err(kube::Error::Service("the API server does not answer in time".into())),
    }
}

fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;
/// Labels that pods of one Deployment or DaemonSet do not share.
const OF_ONE_REVISION: [&str; 3] =
    ["pod-template-hash", "controller-revision-hash", "pod-template-generation"];
/// Writes of a kind before there is a pause, and others have their turn.
const AT_ONCE: usize = 20;
/// That pause: at most 20 writes of a kind in this time.
const PACE: Duration = Duration::from_millis(500);
/// Changes that come together are written together.
const QUIET: Duration = Duration::from_millis(100);
/// How long a watch may take to tell of what was written.
const ON_THE_WAY: Duration = Duration::from_secs(10);
/// How often it is looked whether there is something to do.
const IDLE: Duration = Duration::from_secs(60);
/// How often it is looked for addresses while there are none.
const NOTHING_YET: Duration = Duration::from_secs(5);
/// After a failure.
const REST: Duration = Duration::from_secs(5);
/// How long leaving may take.
const GOODBYE: Duration = Duration::from_secs(5);
