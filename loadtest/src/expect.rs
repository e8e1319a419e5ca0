//! What was expected, held against what was seen. Pure.

mod lag;
#[cfg(test)]
mod tests;

pub(crate) use lag::planned;
pub use lag::{Bound, bound};

use crate::oracle::{Prediction, parting};
use crate::record::{ClassTally, Tally};
use crate::scenario::{Expectation, Scenario};
use crate::watch::{Sample, metric};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Everything that was seen.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// On the wire.
    pub tally: &'a Tally,
    /// By the oracle.
    pub prediction: Option<&'a Prediction>,
    /// Of the processes.
    pub samples: &'a [Sample],
    /// The target's metrics at the end.
    pub metrics: Option<&'a str>,
    /// How many requests of each class were planned.
    pub planned: &'a [u64],
}

/// Whether an expectation came true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Result {
    /// It did.
    Passed,
    /// It did not.
    Failed,
}

/// An expectation and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What was expected.
    pub expected: String,
    /// Whether it came true.
    pub result: Result,
    /// What was found.
    pub found: String,
}

/// One verdict for each expectation, in order.
pub fn judge(scenario: &Scenario, evidence: &Evidence<'_>) -> Vec<Verdict> {
    scenario.expect.iter().map(|expectation| one(scenario, expectation, evidence)).collect()
}

/// Why a run proves nothing; `None` if it does. The generator must have kept its plan: never later than [`bound`] says,
/// and to the last request.
pub fn invalid(scenario: &Scenario, evidence: &Evidence<'_>) -> Option<String> {
    if let Some(why) = lag::too_late(scenario, evidence) {
        return Some(why);
    }
    let planned: u64 = evidence.planned.iter().sum();
    let done: u64 = evidence.tally.classes.iter().map(ClassTally::done).sum();
    (done != planned).then(|| format!("{done} of {planned} planned requests were made"))
}

fn one(scenario: &Scenario, expectation: &Expectation, evidence: &Evidence<'_>) -> Verdict {
    let number =
        |name: &str| scenario.classes.iter().position(|class| class.name == name).unwrap_or(usize::MAX);
    let class = |name: &str| evidence.tally.classes.get(number(name));
    let planned = |name: &str| evidence.planned.get(number(name)).copied().unwrap_or_default();
    match expectation {
        Expectation::Admitted { class: name, within, slack } => {
            let expected =
                format!("{name}: admitted as predicted, within {}% and {slack}", percent(within.0));
            let predicted = evidence.prediction.and_then(|all| all.admitted.get(number(name))?.as_ref());
            let (Some(predicted), Some(class)) = (predicted, class(name)) else {
                return missing(expected);
            };
            let seen = class.admitted();
            let (of_oracle, of_wire): (u64, u64) = (predicted.iter().sum(), seen.iter().sum());
            match parting(predicted, &seen, within.0, *slack) {
                None => passed(expected, format!("{of_wire} admitted, {of_oracle} predicted")),
                Some(parting) => failed(
                    expected,
                    format!("wire and oracle {parting}; in the end {of_wire} and {of_oracle}"),
                ),
            }
        }
        Expectation::Status { class: name, status, at_least, at_most } => {
            let low = at_least.map(|share| format!(" at least {}%", percent(share.0)));
            let high = at_most.map(|share| format!(" at most {}%", percent(share.0)));
            let bounds: Vec<_> = low.into_iter().chain(high).collect();
            let expected = format!("{name}: status {status}{}", bounds.join(","));
            let Some(class) = class(name) else { return missing(expected) };
            let count: u64 =
                class.statuses.iter().filter(|(code, _)| status.has(**code)).map(|(_, n)| n).sum();
            let share = count as f64 / planned(name).max(1) as f64;
            let holds =
                at_least.is_none_or(|least| share >= least.0) && at_most.is_none_or(|most| share <= most.0);
            verdict(expected, holds, format!("{count} of {}, {}%", planned(name), percent(share)))
        }
        Expectation::Latency { class: name, percentile, at_most } => {
            let expected = format!("{name}: p{percentile} at most {:?}", at_most.0);
            let Some(class) = class(name).filter(|class| !class.latency.is_empty()) else {
                return failed(expected, "no answer at all".to_owned());
            };
            let found = micros(at(&class.latency, *percentile));
            verdict(expected, found <= at_most.0, format!("{found:?}"))
        }
        Expectation::Errors { class: name, at_most } => {
            let expected = format!("{name}: at most {at_most} errors");
            let Some(class) = class(name) else { return missing(expected) };
            let count = class.failed() + class.unasked;
            let bad = class.statuses.iter().filter(|(code, _)| **code >= 500 && **code != 503);
            let kinds = class.failures.iter().map(|(kind, n)| format!("{n} {kind:?}"));
            let unasked = (class.unasked > 0).then(|| format!("{} that nobody had asked for", class.unasked));
            let bad = bad.map(|(code, n)| format!("{n} of status {code}"));
            let kinds: Vec<_> = kinds.chain(bad).chain(unasked).collect();
            verdict(
                expected,
                count <= *at_most,
                format!("{count} errors {}", kinds.join(", ")).trim_end().to_owned(),
            )
        }
        Expectation::Retried { at_most } => {
            let count = evidence.tally.retried;
            verdict(format!("at most {at_most} requests sent again"), count <= *at_most, count.to_string())
        }
        Expectation::Ended { class: name, how, at_least } => {
            let expected = format!("{name}: at least {}% ended {how:?}", percent(at_least.0));
            let Some(class) = class(name) else { return missing(expected) };
            let count = class.endings.get(how).copied().unwrap_or_default();
            let share = count as f64 / planned(name).max(1) as f64;
            verdict(expected, share >= at_least.0, format!("{}%: {:?}", percent(share), class.endings))
        }
        Expectation::Memory { at_most } => {
            let expected = format!("memory: at most {} KiB", at_most.0 / 1024);
            let most = evidence.samples.iter().map(|sample| sample.resident).max();
            let Some(most) = most.filter(|most| *most > 0) else { return missing(expected) };
            verdict(expected, most <= at_most.0, format!("{} KiB", most / 1024))
        }
        Expectation::Cpu { at_most } => {
            let expected = format!("cpu: at most {}% of a core", percent(at_most.0));
            let (Some(first), Some(last)) = (evidence.samples.first(), evidence.samples.last()) else {
                return missing(expected);
            };
            let share = (last.cpu - first.cpu) / (last.at - first.at).max(0.001);
            verdict(expected, share <= at_most.0, format!("{}%", percent(share)))
        }
        Expectation::Metric { series, at_least, at_most } => {
            let low = at_least.map(|value| format!(" at least {value}"));
            let high = at_most.map(|value| format!(" at most {value}"));
            let bounds: Vec<_> = low.into_iter().chain(high).collect();
            let expected = format!("{series}{}", bounds.join(","));
            let Some(value) = evidence.metrics.and_then(|page| metric(page, series)) else {
                return missing(expected);
            };
            let holds =
                at_least.is_none_or(|least| value >= least) && at_most.is_none_or(|most| value <= most);
            verdict(expected, holds, value.to_string())
        }
    }
}

/// The value at a percentile.
pub fn at(histogram: &Histogram<u64>, percentile: f64) -> u64 {
    histogram.value_at_percentile(percentile)
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn percent(share: f64) -> f64 {
    (share * 1e4).round() / 100.0
}

fn verdict(expected: String, holds: bool, found: String) -> Verdict {
    Verdict { expected, result: if holds { Result::Passed } else { Result::Failed }, found }
}

fn passed(expected: String, found: String) -> Verdict {
    verdict(expected, true, found)
}

fn failed(expected: String, found: String) -> Verdict {
    verdict(expected, false, found)
}

/// What was not measured is not as expected.
fn missing(expected: String) -> Verdict {
    failed(expected, "was not measured".to_owned())
}
