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

/// The plan by thread. A client stays with one.
fn parts(scenario: &Scenario, plan: &Plan) -> Vec<(Engine, Vec<Planned>)> {
    let threads = scenario.generator.threads.max(1);
    let mut http1 = vec![Vec::new(); threads as usize];
    let (mut http2, mut hostile) = (Vec::new(), Vec::new());
    for planned in &plan.requests {
        let Some(class) = scenario.classes.get(usize::from(planned.class)) else { continue };
        let of = match (class.behaviour, class.request.protocol) {
            (Behaviour::Request, Protocol::Http1) => {
                http1.get_mut((u64::from(planned.client) % threads) as usize)
            }
            (Behaviour::Request, Protocol::Http2) => Some(&mut http2),
            _ => Some(&mut hostile),
        };
        if let Some(part) = of {
            part.push(*planned);
        }
    }
    let parts = http1.into_iter().map(|part| (Engine::Http1, part));
    let parts = parts.chain([(Engine::Http2, http2), (Engine::Hostile, hostile)]);
    parts.filter(|(_, part)| !part.is_empty()).collect()
}
