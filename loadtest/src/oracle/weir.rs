//! weir's own core as the oracle: the plan goes through an engine in virtual time.

use super::Decision;
use super::sockets::{Silent, Sockets};
use crate::message::Template;
use crate::plan::{Plan, client};
use crate::scenario::{Body, Scenario, Spawn, Transport};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use thiserror::Error;
use weir_core::account::Outcome;
use weir_core::engine::EngineConfig;
use weir_core::facts::Scheme;
use weir_core::policy::{BodyLimit, Mode};
use weir_core::ticket::Ticket;
use weir_core::{Engine, Facts, Verdict};
use weir_kubernetes::{Options, manifests, translate};
use weir_limits::{Instant, Seed};

/// Why manifests make no oracle.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// They cannot be put where they are read from.
    #[error("manifests cannot be written: {0}")]
    Folder(#[from] std::io::Error),
    /// They cannot be read.
    #[error("manifests cannot be read: {0}")]
    Source(String),
    /// They have mistakes.
    #[error("manifests have mistakes:{}", .0.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    Mistakes(Vec<String>),
    /// The origin has no place in them.
    #[error("spawn.backend: {0:?}: expected NAMESPACE/SERVICE:PORT")]
    Backend(String),
}

/// Decides about each request of a plan. An admitted request is in flight for as long as the origin waits.
pub(super) fn decide(scenario: &Scenario, plan: &Plan) -> Result<Vec<Decision>, ManifestError> {
    let Some(spawn) = &scenario.spawn else { return Ok(Vec::new()) };
    let engine = Engine::new(EngineConfig {
        clients: CLIENTS,
        in_flight: CLIENTS / 10,
        seed: Seed::from_u128(u128::from(scenario.seed)),
    });
    configure(&engine, spawn, &spawn.manifests)?;

    let templates: Vec<Vec<_>> = scenario
        .classes
        .iter()
        .map(|class| (0..class.request.asks()).map(|ask| Template::new(class, ask as u16)).collect())
        .collect();
    let mut flights = Flights::default();
    let mut phases = Phases::new(scenario, spawn);
    let mut sockets = Sockets::new(scenario.seed);
    let mut head = Vec::new();
    let mut decisions = Vec::with_capacity(plan.requests.len());
    for planned in &plan.requests {
        let now = instant(planned.at);
        for manifests in phases.begin_until(planned.at) {
            configure(&engine, spawn, manifests)?;
        }
        flights.land_until(planned.at);
        let (Some(class), Some(template)) = (
            scenario.classes.get(usize::from(planned.class)),
            templates.get(usize::from(planned.class)).and_then(|all| all.get(usize::from(planned.ask))),
        ) else {
            continue;
        };
        let who = client(&class.identity, planned.client);
        if let Some(silent) = Silent::of(class) {
            let settings = &engine.snapshot().settings;
            decisions.push(sockets.enter(planned.at, who.peer(), silent, settings));
            continue;
        }
        if !class.behaviour.is_predictable() {
            decisions.push(Decision::Refuse);
            continue;
        }
        head.clear();
        template.write_head(&who, &mut head);
        let mut headers: Vec<(&str, &str)> =
            class.request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let own = who.field(&class.identity);
        if let Some((name, value)) = &own {
            headers.push((name, value));
        }
        let (host, path) = class.request.ask(planned.ask);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let facts = Facts {
            peer: who.peer(),
            port: 80,
            scheme: if class.request.transport == Transport::Tls { Scheme::Https } else { Scheme::Http },
            tls: None,
            method: &class.request.method,
            host: host.as_bytes(),
            path: path.as_bytes(),
            query: query.as_bytes(),
            content_length: match class.request.body {
                Body::Sized { size } => Some(size.0),
                Body::None | Body::Chunked { .. } => None,
            },
            head_bytes: head.len(),
            headers: &headers.as_slice(),
        };
        decisions.push(match engine.admit(now, &facts) {
            Verdict::Forward(ticket) => {
                fly(ticket, class.request.body, now, planned.at, phases.delay, &mut flights)
            }
            Verdict::Refuse(mut refusal) => {
                refusal.account.close(now, &Outcome { status: refusal.status, ..Outcome::default() });
                Decision::Refuse
            }
        });
    }
    Ok(decisions)
}

/// A chunked body is counted as it comes: too many bytes, and the request is refused after all.
fn fly(
    ticket: Ticket,
    body: Body,
    now: Instant,
    at: u64,
    delay: Duration,
    flights: &mut Flights,
) -> Decision {
    if let (Body::Chunked { size }, (BodyLimit::Bytes(most), Mode::Enforce)) = (body, ticket.body_limit())
        && size.0 > most
    {
        let mut refusal = ticket.refuse_body();
        refusal.account.close(now, &Outcome { status: refusal.status, ..Outcome::default() });
        return Decision::Refuse;
    }
    flights.start(at.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)), ticket);
    Decision::Admit
}

/// Requests in flight, by their ends.
#[derive(Default)]
struct Flights {
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    tickets: Vec<Option<Ticket>>,
    free: Vec<usize>,
}

impl Flights {
    fn start(&mut self, ends: u64, ticket: Ticket) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.tickets.push(None);
            self.tickets.len() - 1
        });
        if let Some(slot) = self.tickets.get_mut(place) {
            *slot = Some(ticket);
        }
        self.ends.push(Reverse((ends, place)));
    }

    fn land_until(&mut self, now: u64) {
        while let Some(Reverse((ends, place))) = self.ends.peek().copied().filter(|next| next.0.0 <= now) {
            self.ends.pop();
            self.free.push(place);
            if let Some(ticket) = self.tickets.get_mut(place).and_then(Option::take) {
                let _account = ticket.finish(instant(ends), &Outcome { status: 200, ..Outcome::default() });
            }
        }
    }
}

/// What changes when phases begin.
struct Phases<'a> {
    begins: Vec<(u64, &'a crate::scenario::Phase)>,
    next: usize,
    delay: Duration,
}

impl<'a> Phases<'a> {
    fn new(scenario: &'a Scenario, spawn: &Spawn) -> Self {
        let mut at = 0_u64;
        let begins = scenario.phases.iter().map(|phase| {
            let begins = at;
            at = at.saturating_add(u64::try_from(phase.duration.0.as_nanos()).unwrap_or(u64::MAX));
            (begins, phase)
        });
        Self { begins: begins.collect(), next: 0, delay: spawn.origin.delay.map_or(Duration::ZERO, |d| d.0) }
    }

    /// Manifests that are in force from a moment up to `now`, in order.
    fn begin_until(&mut self, now: u64) -> Vec<&'a str> {
        let mut manifests = Vec::new();
        while let Some((_, phase)) = self.begins.get(self.next).filter(|(begins, _)| *begins <= now) {
            self.next += 1;
            if let Some(origin) = &phase.origin {
                self.delay = origin.delay.map_or(Duration::ZERO, |delay| delay.0);
            }
            manifests.extend(phase.manifests.as_deref());
        }
        manifests
    }
}

fn configure(engine: &Engine, spawn: &Spawn, text: &str) -> Result<(), ManifestError> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("manifests.yaml"), text)?;
    std::fs::write(folder.path().join("settings.yaml"), crate::spawn::settings(spawn))?;
    let loaded = manifests::load(folder.path()).map_err(|error| ManifestError::Source(error.to_string()))?;
    let mut options = Options::manifests();
    options.config_map = SETTINGS.parse().ok();
    let backend = format!("{}=127.0.0.1:9", spawn.backend);
    options.add_backend(backend.parse().map_err(|_| ManifestError::Backend(spawn.backend.clone()))?);
    let (declaration, findings) = translate(&loaded.objects, &options);
    let snapshot = engine.replace(declaration);
    let problems = loaded.problems.into_iter().map(weir_core::Finding::from);
    let all = problems.chain(findings).chain(snapshot.findings.iter().cloned());
    let mistakes: Vec<_> = all
        .filter(|finding| finding.severity == weir_core::finding::Severity::Fail)
        .map(|finding| finding.to_string())
        .collect();
    if mistakes.is_empty() { Ok(()) } else { Err(ManifestError::Mistakes(mistakes)) }
}

/// Later than the start of time, so that nothing hides behind it.
pub(super) fn instant(at: u64) -> Instant {
    Instant::from_elapsed(BEFORE + Duration::from_nanos(at))
}

const SETTINGS: &str = "weir/settings";
/// Clients of which the engine keeps count; as many as weir does by default.
const CLIENTS: usize = 1_000_000;
const BEFORE: Duration = Duration::from_secs(1_000);
