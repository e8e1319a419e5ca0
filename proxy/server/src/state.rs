//! What the admin listener shows: the engine, the counters, and what the source last said.

use crate::arrivals::Arrivals;
use crate::clock::{Clock, WallTime};
use crate::counters::Counters;
use crate::shared::{Connections, Phase};
use crate::tls::Tls;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;
use weir_core::declaration::{BackendName, BackendSpec, Declaration};
use weir_core::finding::Severity;
use weir_core::{Engine, Finding};
use weir_kubernetes::cluster::Health;
use weir_limits::Instant;

/// What the admin listener shows, and where a source brings what it has read.
#[derive(Debug)]
pub struct State {
    /// Admits requests.
    pub engine: Arc<Engine>,
    /// What is counted for the process.
    pub counters: Arc<Counters>,
    /// Tells the time.
    pub clock: Clock,
    /// When the process started.
    pub started: WallTime,
    metrics_routes: usize,
    loaded: ArcSwap<Loaded>,
    /// Told of each configuration that is put in force.
    changes: watch::Sender<()>,
    /// Findings that do not come with a configuration. Held while one is put in force, so that findings and snapshot
    /// belong together.
    observed: Mutex<Vec<Finding>>,
    serving: ArcSwap<Option<Serving>>,
    cluster: OnceLock<Heard>,
    guards: OnceLock<Guards>,
}

/// What counts clients before they ask for anything.
#[derive(Clone, Debug)]
pub struct Guards {
    /// Sockets of each client.
    pub arrivals: Arc<Arrivals>,
    /// Handshakes of each client.
    pub tls: Arc<Tls>,
}

/// What is known of the cluster that is followed.
#[derive(Clone, Debug)]
pub struct Heard {
    /// How well the API server can be heard.
    pub health: Arc<Health>,
    /// Whether this replica writes back.
    pub leads: Arc<AtomicBool>,
}

/// The configuration in force, as it came.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// How many came so far; 0 before the first.
    pub generation: u64,
    /// When it came.
    pub at: WallTime,
    /// The same by the monotonic clock.
    pub since: Instant,
    /// What is wrong with the objects that it was made of.
    pub findings: Vec<Finding>,
}

/// The listeners at work.
#[derive(Clone, Debug)]
struct Serving {
    connections: Connections,
    phase: watch::Receiver<Phase>,
}

/// Whether requests should be sent here (`/readyz`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Nothing was read from the source yet.
    NoConfiguration,
    /// The listeners are not up yet.
    NotListening,
    /// The process is about to end.
    Draining,
}

impl State {
    /// Nothing read, nothing served.
    pub fn new(engine: Arc<Engine>, counters: Arc<Counters>, clock: Clock) -> Self {
        Self {
            engine,
            counters,
            clock,
            started: clock.wall(),
            metrics_routes: METRICS_ROUTES,
            loaded: ArcSwap::default(),
            changes: watch::Sender::new(()),
            observed: Mutex::default(),
            serving: ArcSwap::default(),
            cluster: OnceLock::new(),
            guards: OnceLock::new(),
        }
    }

    /// The same with metrics for so many routes at most.
    #[must_use]
    pub fn with_metrics_routes(mut self, most: usize) -> Self {
        self.metrics_routes = most;
        self
    }

    /// Says that a cluster is followed.
    pub fn hear(&self, health: Arc<Health>, leads: Arc<AtomicBool>) {
        // There is one source.
        let _ = self.cluster.set(Heard { health, leads });
    }

    /// Most routes that have metrics of their own.
    pub fn metrics_routes(&self) -> usize {
        self.metrics_routes
    }

    /// Says who counts clients at the door.
    pub fn guard(&self, guards: Guards) {
        // There is one server.
        let _ = self.guards.set(guards);
    }

    /// Who counts clients at the door, once it is open.
    pub fn guards(&self) -> Option<&Guards> {
        self.guards.get()
    }

    /// What is known of the cluster, where one is followed.
    pub fn cluster(&self) -> Option<&Heard> {
        self.cluster.get()
    }

    /// Puts other addresses of backends in force, and nothing else.
    pub fn set_endpoints(&self, backends: &BTreeMap<BackendName, BackendSpec>) {
        self.engine.set_endpoints(backends);
    }

    /// Puts what a source has read in force. Returns the findings that were not there before.
    pub fn apply(&self, declaration: Declaration, mut findings: Vec<Finding>) -> Vec<Finding> {
        let observed = self.observed.lock();
        let snapshot = self.engine.replace(declaration);
        findings.extend(snapshot.findings.iter().cloned());
        findings.extend(observed.iter().cloned());
        sort(&mut findings);
        let before = self.loaded.load();
        let known: BTreeSet<&Finding> = before.findings.iter().collect();
        let fresh = findings.iter().filter(|finding| !known.contains(finding)).cloned().collect();
        self.loaded.store(Arc::new(Loaded {
            generation: before.generation.saturating_add(1),
            at: self.clock.wall(),
            since: self.clock.now(),
            findings,
        }));
        self.changes.send_replace(());
        fresh
    }

    /// Tells of configurations that are put in force from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Says what was found while serving, under a `code` that no configuration's findings have: in place of what was said
    /// under it before.
    pub fn observe(&self, code: &str, finding: Option<Finding>) {
        let mut observed = self.observed.lock();
        observed.retain(|finding| finding.code != code);
        observed.extend(finding.clone());
        let mut loaded = Loaded::clone(&self.loaded.load());
        loaded.findings.retain(|finding| finding.code != code);
        loaded.findings.extend(finding);
        sort(&mut loaded.findings);
        self.loaded.store(Arc::new(loaded));
    }

    /// Says that the listeners are up.
    pub fn serve(&self, connections: Connections, phase: watch::Receiver<Phase>) {
        self.serving.store(Arc::new(Some(Serving { connections, phase })));
    }

    /// The configuration in force, as it came.
    pub fn loaded(&self) -> Arc<Loaded> {
        self.loaded.load_full()
    }

    /// Client connections that are open.
    pub fn connections_open(&self) -> usize {
        self.serving.load().as_ref().as_ref().map_or(0, |serving| serving.connections.open())
    }

    /// Whether requests should be sent here.
    pub fn readiness(&self) -> Readiness {
        if self.loaded.load().generation == 0 {
            return Readiness::NoConfiguration;
        }
        match self.serving.load().as_ref() {
            None => Readiness::NotListening,
            Some(serving) if *serving.phase.borrow() >= Phase::Leave => Readiness::Draining,
            Some(_) => Readiness::Ready,
        }
    }
}

impl Loaded {
    /// How many findings are so bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// 7 KB of text each, when they are busy.
pub const METRICS_ROUTES: usize = 1000;

/// Errors come first, and each stands once.
fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| (b.severity, a).cmp(&(a.severity, b)));
    findings.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::finding::ObjectRef;

    fn finding(name: &str, severity: Severity) -> Finding {
        Finding {
            object: ObjectRef::new("Ingress", "shop", name),
            field: "spec".to_owned(),
            value: String::new(),
            severity,
            code: "test",
            message: "is a test".to_owned(),
        }
    }

    fn state() -> State {
        State::new(Arc::default(), Arc::default(), Clock::start())
    }

    #[test]
    fn ready_means_configured_listening_and_not_draining() {
        let state = state();
        assert_eq!(state.readiness(), Readiness::NoConfiguration);
        state.apply(Declaration::default(), Vec::new());
        assert_eq!(state.readiness(), Readiness::NotListening);
        let (sender, phase) = watch::channel(Phase::Run);
        state.serve(Connections::new(1), phase);
        assert_eq!(state.readiness(), Readiness::Ready);
        sender.send(Phase::Drain).unwrap();
        assert_eq!(state.readiness(), Readiness::Draining);
    }

    #[test]
    fn what_is_found_while_serving_stays_until_it_is_taken_back() {
        let state = state();
        let seen = |name| Finding { code: "seen", ..finding(name, Severity::Warn) };
        let error = finding("b", Severity::Fail);
        state.apply(Declaration::default(), vec![error.clone()]);
        state.observe("seen", Some(seen("a")));
        assert_eq!(state.loaded().findings, [error.clone(), seen("a")]);
        // A configuration does not change it, and it is not new with it.
        assert_eq!(state.apply(Declaration::default(), vec![error.clone()]), []);
        assert_eq!(state.loaded().findings, [error.clone(), seen("a")]);
        state.observe("seen", Some(seen("c")));
        state.observe("other", None);
        assert_eq!(state.loaded().findings, [error.clone(), seen("c")]);
        state.observe("seen", None);
        assert_eq!(state.loaded().findings, [error]);
        state.apply(Declaration::default(), Vec::new());
        assert_eq!((state.loaded().generation, state.loaded().findings.len()), (3, 0));
    }

    #[test]
    fn a_finding_is_told_once_and_errors_come_first() {
        let state = state();
        let (warning, error) = (finding("a", Severity::Warn), finding("b", Severity::Fail));
        let fresh = state.apply(Declaration::default(), vec![warning.clone(), error.clone()]);
        assert_eq!(fresh, [error.clone(), warning.clone()]);
        let other = finding("c", Severity::Warn);
        let fresh = state.apply(Declaration::default(), vec![warning, other.clone()]);
        assert_eq!(fresh, [other]);
        let loaded = state.loaded();
        assert_eq!((loaded.generation, loaded.findings.len()), (2, 2));
        assert_eq!((loaded.count(Severity::Warn), loaded.count(Severity::Fail)), (2, 0));
        // One that went away and came back is told again.
        assert_eq!(state.apply(Declaration::default(), vec![error.clone()]), [error]);
    }
}
