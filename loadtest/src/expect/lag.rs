//! How late a generator may be before that could be what a verdict tells of. Pure.

use super::{Evidence, micros};
use crate::oracle::Prediction;
use crate::record::Tally;
use crate::scenario::{Expectation, Oracle, Scenario};
use std::time::Duration;

/// The lag above which a run is invalid, and why it is this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The lag.
    pub most: Duration,
    /// What it follows from.
    pub because: String,
}

/// The scenario's own word, or what follows from its expectations: the least of
///
/// - 100 ms, for a plan that is later than that was not kept, whatever is expected;
/// - a tenth of each bound of latency, for lag is a part of latency;
/// - for each class that is admitted in part, the time in which its admitted requests, as predicted for its busiest
///   second, come to half of what may differ in its first second: a request that comes so much later finds a limit that
///   has let so many others through. Fixed windows let whatever comes first through, so there it is the planned requests;
///
/// and at least 1 ms, which is what timers of the system are good for.
pub fn bound(scenario: &Scenario, prediction: Option<&Prediction>, planned: &[Vec<u64>]) -> Bound {
    if let Some(lag) = scenario.generator.lag {
        return Bound { most: lag.0, because: "generator.lag".to_owned() };
    }
    let kept = Bound { most: LATEST, because: "any plan".to_owned() };
    let expected = scenario.expect.iter().filter_map(|expectation| match expectation {
        Expectation::Latency { class, at_most, .. } => {
            let because = format!("a tenth of the latency expected of {class}");
            Some(Bound { most: at_most.0 / PART_OF_LATENCY, because })
        }
        Expectation::Admitted { class, within, slack } => {
            let number = scenario.classes.iter().position(|other| other.name == *class)?;
            let predicted = prediction?.admitted.get(number)?.as_ref()?;
            let most = of_limit(&scenario.oracle, predicted, planned.get(number)?, within.0, *slack)?;
            Some(Bound { most, because: format!("half of what may differ of {class}, at its rate") })
        }
        _ => None,
    });
    let least = expected.fold(kept, |least, next| if next.most < least.most { next } else { least });
    Bound { most: least.most.max(FINEST), ..least }
}

/// `None` if all requests are admitted, or none is: then it is not time that decides.
fn of_limit(
    oracle: &Oracle,
    predicted: &[u64],
    planned: &[u64],
    within: f64,
    slack: u64,
) -> Option<Duration> {
    let admitted: u64 = predicted.iter().sum();
    if admitted == 0 || admitted == planned.iter().sum::<u64>() {
        return None;
    }
    let counted = if matches!(oracle, Oracle::FixedWindow { .. }) { planned } else { predicted };
    let rate = *counted.iter().max()? as f64;
    let first = *predicted.iter().find(|count| **count > 0)? as f64;
    let may_differ = within * first + slack as f64;
    // Seconds, for the rate is per second.
    Some(Duration::from_secs_f64((may_differ / 2.0 / rate.max(1.0)).min(LATEST.as_secs_f64())))
}

/// What is wrong with the generator's own times, if anything is: more than 1 of 100 requests later than the bound, or, in
/// any second, half of them. A generator that stood still for a second would hide in a long run otherwise.
pub(super) fn too_late(scenario: &Scenario, evidence: &Evidence<'_>) -> Option<String> {
    let tally: &Tally = evidence.tally;
    let Bound { most, because } = bound(scenario, evidence.prediction, &planned(tally));
    let lag = micros(tally.lag.value_at_percentile(99.0));
    if lag > most {
        return Some(format!(
            "the generator was {lag:?} late at the 99th percentile; {most:?} is allowed by {because}"
        ));
    }
    let halves = tally.lags.iter().map(|second| micros(second.value_at_percentile(50.0)));
    let (second, lag) = halves.enumerate().find(|(_, half)| *half > most)?;
    Some(format!(
        "in second {second} the generator was {lag:?} late with half of its requests; {most:?} is allowed by {because}"
    ))
}

/// Requests by class and second.
pub(crate) fn planned(tally: &Tally) -> Vec<Vec<u64>> {
    let of_class =
        |class: &crate::record::ClassTally| class.seconds.iter().map(|second| second.done).collect();
    tally.classes.iter().map(of_class).collect()
}

const LATEST: Duration = Duration::from_millis(100);
const PART_OF_LATENCY: u32 = 10;
const FINEST: Duration = Duration::from_millis(1);
