//! The plan on the wire. The loop is open: what the target does moves no planned moment.

mod connect;
mod hostile;
mod http1;
mod http2;
pub(crate) mod parse;
pub(crate) mod poller;
mod stream;
mod targets;
mod timetable;
pub(crate) mod tls;

pub use targets::{Target, Targets};

use crate::plan::{Plan, Planned};
use crate::record::Tally;
use crate::scenario::{Behaviour, Protocol, Scenario};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Why the generator cannot run.
#[derive(Debug, Error)]
pub enum DriveError {
    /// The system refuses what it needs.
    #[error("the generator cannot run: {0}")]
    System(#[from] std::io::Error),
    /// A thread of it ended.
    #[error("a thread of the generator ended")]
    Thread,
}

/// What the generator shares with whoever watches it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests that ended.
    pub done: AtomicU64,
}

impl Progress {
    pub(crate) fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// The clock of a run: nanoseconds since its start. All threads share it, and the plan counts from it.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts so much after now.
    #[allow(clippy::disallowed_methods)]
    pub fn starting_in(delay: Duration) -> Self {
        Self(Instant::now() + delay)
    }

    /// Nanoseconds since the start; 0 before it.
    #[allow(clippy::disallowed_methods)]
    pub fn now(self) -> u64 {
        u64::try_from(Instant::now().saturating_duration_since(self.0).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Time until a moment of the plan.
    #[allow(clippy::disallowed_methods)]
    pub fn until(self, at: u64) -> Duration {
        (self.0 + Duration::from_nanos(at)).saturating_duration_since(Instant::now())
    }
}

/// Sends everything, and returns when everything has ended.
///
/// # Errors
///
/// If the system refuses sockets, threads or events.
pub fn drive(
    scenario: &Arc<Scenario>,
    plan: &Plan,
    targets: &Arc<Targets>,
    clock: Clock,
    progress: &Arc<Progress>,
) -> Result<Tally, DriveError> {
    let mut total = Tally::new(scenario.classes.len(), plan.seconds());
    let seconds = plan.seconds();
    let threads: Vec<_> = parts(scenario, plan)
        .into_iter()
        .map(|(engine, part)| {
            let job = Job {
                scenario: Arc::clone(scenario),
                part,
                seconds,
                targets: Arc::clone(targets),
                clock,
                progress: Arc::clone(progress),
            };
            let name = format!("generator-{engine:?}").to_lowercase();
            std::thread::Builder::new().name(name).spawn(move || match engine {
                Engine::Http1 => http1::run(&job),
                Engine::Http2 => http2::run(&job),
                Engine::Hostile => hostile::run(&job),
            })
        })
        .collect::<Result<_, _>>()?;
    for thread in threads {
        total.add(&thread.join().map_err(|_| DriveError::Thread)??);
    }
    Ok(total)
}

/// What a thread of the generator does.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) part: Vec<Planned>,
    pub(crate) seconds: usize,
    pub(crate) targets: Arc<Targets>,
    pub(crate) clock: Clock,
    pub(crate) progress: Arc<Progress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Http1,
    Http2,
    Hostile,
}

impl Job {
    /// Connections that this thread may have at once: it shares them with as many others.
    fn connections(&self) -> usize {
        let generator = &self.scenario.generator;
        (generator.connections / generator.threads.max(1)).max(1) as usize
    }
}

/// The plan by engine and thread. A client stays with one.
fn parts(scenario: &Scenario, plan: &Plan) -> Vec<(Engine, Vec<Planned>)> {
    let threads = scenario.generator.threads.max(1);
    let mut parts: Vec<_> = [Engine::Http1, Engine::Http2, Engine::Hostile]
        .into_iter()
        .flat_map(|engine| (0..threads).map(move |_| (engine, Vec::new())))
        .collect();
    for planned in &plan.requests {
        let Some(class) = scenario.classes.get(usize::from(planned.class)) else { continue };
        let engine = match (class.behaviour, class.request.protocol) {
            (Behaviour::Request, Protocol::Http1) => 0,
            (Behaviour::Request, Protocol::Http2) => 1,
            _ => 2,
        };
        let number = engine * threads + u64::from(planned.client) % threads;
        if let Some((_, part)) = parts.get_mut(number as usize) {
            part.push(*planned);
        }
    }
    parts.retain(|(_, part)| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    #[test]
    fn every_kind_of_client_is_spread_over_threads_and_each_stays_with_one() {
        let text = "
name: threads
classes:
  - {name: one, clients: 5, arrivals: {kind: constant, rate: 20}}
  - {name: two, clients: 5, arrivals: {kind: constant, rate: 20}, request: {protocol: http2}}
  - {name: bad, clients: 5, arrivals: {kind: constant, rate: 20}, behaviour: {kind: connection-flood, lasts: 1s}}
phases: [{name: only, duration: 1s}]
expect: [{kind: errors, class: one}]
generator: {threads: 2, connections: 7}
";
        let scenario = parse(text).unwrap();
        let parts = parts(&scenario, &Plan::new(&scenario));
        let engines: Vec<_> = parts.iter().map(|(engine, part)| (*engine, part.len())).collect();
        let (one, two, bad) = (Engine::Http1, Engine::Http2, Engine::Hostile);
        assert_eq!(engines, [(one, 12), (one, 8), (two, 12), (two, 8), (bad, 12), (bad, 8)]);
        for (number, (_, part)) in parts.iter().enumerate() {
            assert!(part.iter().all(|planned| planned.client as usize % 2 == number % 2));
        }
    }
}
