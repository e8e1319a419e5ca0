//! How many requests of a plan must be admitted, per class and second. Pure, but for the manifests that it reads.

mod others;
mod parting;
mod sockets;
mod weir;

#[cfg(test)]
mod tests;

pub use parting::{Parting, parting};
pub use weir::ManifestError;

use crate::plan::{Plan, Planned, second};
use crate::scenario::{Class, Oracle, Per, Scenario};
use std::collections::HashMap;

/// Admitted requests by class and second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// For each class, for each second; `None` for classes of which nothing can be said
    /// ([`Behaviour::is_predictable`](crate::scenario::Behaviour::is_predictable)).
    pub admitted: Vec<Option<Vec<u64>>>,
}

/// Runs a plan in virtual time; `None` if the scenario has no oracle.
///
/// # Errors
///
/// If the manifests of the scenario cannot be read or are not in order.
pub fn predict(scenario: &Scenario, plan: &Plan) -> Result<Option<Prediction>, ManifestError> {
    let decisions = match &scenario.oracle {
        Oracle::None => return Ok(None),
        Oracle::Weir => weir::decide(scenario, plan)?,
        Oracle::TokenBucket { rate, burst, per } => {
            each(plan, *per, || others::TokenBucket::new(*rate, *burst), others::TokenBucket::admit)
        }
        Oracle::FixedWindow { limit, window, per } => {
            each(plan, *per, || others::FixedWindow::new(*limit, window.0), others::FixedWindow::admit)
        }
        Oracle::NginxLeakyBucket { rate, burst, per } => {
            each(plan, *per, || others::LeakyBucket::new(*rate, *burst), others::LeakyBucket::admit)
        }
    };
    let seconds = |class: &Class| class.behaviour.is_predictable().then(|| vec![0; plan.seconds()]);
    let mut admitted: Vec<_> = scenario.classes.iter().map(seconds).collect();
    for (planned, decision) in plan.requests.iter().zip(decisions) {
        let row = admitted.get_mut(usize::from(planned.class)).and_then(Option::as_mut);
        let cell = row.and_then(|row| row.get_mut(second(planned.at)));
        if let (Some(cell), Decision::Admit) = (cell, decision) {
            *cell += 1;
        }
    }
    Ok(Some(Prediction { admitted }))
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Admit,
    Refuse,
}

/// One state for each client, or one for all.
fn each<S>(
    plan: &Plan,
    per: Per,
    new: impl Fn() -> S,
    admit: impl Fn(&mut S, u64) -> Decision,
) -> Vec<Decision> {
    let mut states = HashMap::new();
    let key = |planned: &Planned| match per {
        Per::Client => (planned.class, planned.client),
        Per::Everything => (0, 0),
    };
    let decide = |planned: &Planned| admit(states.entry(key(planned)).or_insert_with(&new), planned.at);
    plan.requests.iter().map(decide).collect()
}
