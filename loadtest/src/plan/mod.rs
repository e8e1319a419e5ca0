//! Who asks when: a scenario and its seed give one sequence of requests, computed ahead. Pure.
//!
//! The loop is open: nothing that the target does moves a planned moment, and latency counts from it.

mod arrivals;
mod client;

#[cfg(test)]
mod tests;

pub use client::{Client, Says, client};

use crate::scenario::{Arrivals, Class, Phase, Scenario};
use std::time::Duration;

/// One planned request, or one hostile connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    /// Nanoseconds from the start of the run.
    pub at: u64,
    /// Number of the class.
    pub class: u16,
    /// Number of the client within its class.
    pub client: u32,
    /// Number of the pair of host and path that is asked for ([`Request::ask`](crate::scenario::Request::ask)).
    pub ask: u16,
}

/// The whole plan, in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is planned.
    pub requests: Vec<Planned>,
    /// Length of the run.
    pub duration: Duration,
}

impl Plan {
    /// Of a scenario: the same one each time.
    pub fn new(scenario: &Scenario) -> Self {
        let mut requests = Vec::new();
        for (number, class) in scenario.classes.iter().enumerate() {
            // A generator of its own: a change of one class leaves the others as they were.
            let mut random = fastrand::Rng::with_seed(mix(scenario.seed, number as u64));
            let mut turn = 0;
            let (clients, asks) = (class.clients.max(1), class.request.asks().max(1) as u64);
            let mut begins = 0;
            for phase in &scenario.phases {
                let length = nanos(phase.duration.0);
                let arrivals = in_phase(phase, class);
                arrivals::moments(arrivals, length, &mut random, |at, random| {
                    let client = match arrivals {
                        Arrivals::Poisson { .. } => random.u64(0..clients),
                        _ => turn % clients,
                    };
                    let ask = match arrivals {
                        Arrivals::Poisson { .. } if asks > 1 => random.u64(0..asks),
                        // Each client goes through all of them, and begins with another than its neighbour.
                        _ => (turn / clients + client) % asks,
                    };
                    turn += 1;
                    requests.push(Planned {
                        at: begins + at,
                        class: number as u16,
                        client: client as u32,
                        ask: ask as u16,
                    });
                });
                begins += length;
            }
        }
        requests.sort_unstable();
        Self { requests, duration: scenario.duration() }
    }

    /// Seconds of the run, counted up.
    pub fn seconds(&self) -> usize {
        self.duration.as_nanos().div_ceil(SECOND as u128) as usize
    }
}

/// The number of the second in which a moment is.
pub fn second(at: u64) -> usize {
    (at / SECOND) as usize
}

fn in_phase<'a>(phase: &'a Phase, class: &'a Class) -> &'a Arrivals {
    phase.arrivals.get(&class.name).or(class.arrivals.as_ref()).unwrap_or(&Arrivals::None)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// splitmix64: spreads seeds that differ little.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
