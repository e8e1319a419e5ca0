//! The shell around the election, the addresses and the Events: looks, writes, waits.

mod status;
mod telling;
mod trouble;

use super::events;
use super::lease::{self, Step};
use super::{Address, AtTheEnd, Election, Ingress, Settings, Subject};
use crate::translate::ObjectName;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use trouble::Trouble;

/// Writes back to a cluster.
pub(crate) struct Writer {
    client: Client,
    /// Where the Lease lives.
    namespace: String,
    /// The one namespace that is watched, if it is one.
    watched: Option<String>,
    settings: Settings,
    /// Nothing before the first configuration: what is not known is not mended.
    subject: watch::Receiver<Option<Subject>>,
    leads: Arc<AtomicBool>,
    election: lease::Election,
    events: events::Events,
    /// What was last read of where clients reach us, and when.
    addresses: Option<(Vec<Address>, Instant)>,
    /// Statuses that were written, and when, until the watch tells of them.
    written: BTreeMap<ObjectName, (Ingress, Instant)>,
    /// What keeps statuses from being written, and what Events: neither waits for the other.
    status_trouble: Trouble,
    telling_trouble: Trouble,
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
        subject: watch::Receiver<Option<Subject>>,
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
            status_trouble: Trouble::default(),
            telling_trouble: Trouble::default(),
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
                true => tokio::select! {
                    biased;
                    // What is not written is looked at by the next leader.
                    _ = leave.changed() => break,
                    next = self.work() => next,
                },
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
            Election::Lease { .. } => self.election.pause(Instant::now()),
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
        let Some(subject) = self.subject.borrow_and_update().clone() else { return Instant::now() + IDLE };
        // Both are done before the lease is to be renewed.
        let turn = (self.period() / 2).min(LONGEST_TURN);
        let status = match self.status_trouble.pauses(Instant::now()) {
            Some(until) => until,
            None => {
                let done = in_time(turn, self.status(&subject)).await;
                self.status_trouble.after(done, Instant::now())
            }
        };
        let telling = match self.telling_trouble.pauses(Instant::now()) {
            Some(until) => until,
            None => {
                let done = in_time(turn, self.tell(&subject)).await;
                self.telling_trouble.after(done, Instant::now())
            }
        };
        status.min(telling)
    }

    /// Leaves well, as far as there is time for it.
    async fn leave(mut self) {
        let goodbye = async {
            if self.is_leader() && self.settings.at_the_end == AtTheEnd::Clear {
                match self.is_last().await {
                    Ok(true) => {
                        let subject = self.subject.borrow().clone().unwrap_or_default();
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
    in_time(deadline, look).await
}

/// What is not done by then is an error.
async fn in_time<T>(deadline: Duration, what: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(deadline, what).await {
        Ok(done) => done,
        Err(_) => Err(kube::Error::Service("the API server does not answer in time".into())),
    }
}

fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;
const UNPROCESSABLE: u16 = 422;
/// Writes of a kind before there is a pause, and others have their turn.
const AT_ONCE: usize = 20;
/// That pause: at most 20 writes of a kind in this time.
const PACE: Duration = Duration::from_millis(500);
/// Changes that come together are written together.
const QUIET: Duration = Duration::from_millis(100);
/// How often it is looked whether there is something to do.
const IDLE: Duration = Duration::from_secs(60);
/// How long writes of a kind may take before others have their turn.
const LONGEST_TURN: Duration = Duration::from_secs(10);
/// How long leaving may take.
const GOODBYE: Duration = Duration::from_secs(5);
