//! What a run found, for people and for machines.

mod chart;
mod junit;
mod page;
mod summary;

pub(crate) use junit::escaped;
pub use junit::junit;
pub use page::page;
pub use summary::summary;

use crate::expect::{self, Evidence, Verdict, at};
use crate::record::{ClassTally, Failure};
use crate::scenario::Scenario;
use crate::watch::Sample;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

/// A run as numbers; as JSON it is what `loadtest/schema/report.json` describes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of the plan.
    pub seed: u64,
    /// What was asked.
    pub target: String,
    /// Whether every expectation came true in a valid run.
    pub result: expect::Result,
    /// Why the run proves nothing, if it does not.
    pub invalid: Option<String>,
    /// One for each expectation.
    pub verdicts: Vec<Verdict>,
    /// By class.
    pub classes: Vec<ClassReport>,
    /// Latency of all classes by second, in milliseconds; `null` where nothing was answered.
    pub latency: Vec<Option<Percentiles>>,
    /// The generator itself.
    pub generator: GeneratorReport,
    /// What the target's processes used.
    pub process: Vec<Sample>,
}

/// What was seen of a class.
#[derive(Clone, Debug, Serialize)]
pub struct ClassReport {
    /// Its name.
    pub name: String,
    /// Requests that were planned.
    pub planned: u64,
    /// Requests that ended.
    pub done: u64,
    /// Answers of 1xx to 3xx; of hostile connections, those that the target did not end.
    pub admitted: u64,
    /// As many were predicted.
    pub predicted: Option<u64>,
    /// Answers of 4xx, or 503; of hostile connections, those that the target ended.
    pub refused: u64,
    /// All others.
    pub failed: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a whole answer.
    pub failures: BTreeMap<Failure, u64>,
    /// Answers that nobody had asked for.
    pub unasked: u64,
    /// Hostile connections by their ends.
    pub endings: BTreeMap<String, u64>,
    /// In milliseconds from the planned moment.
    pub latency: Option<Percentiles>,
    /// Quantiles and milliseconds, for the HDR plot.
    pub distribution: Vec<(f64, f64)>,
    /// By second of the plan.
    pub seconds: Vec<SecondReport>,
}

/// One second of a class.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SecondReport {
    /// Answers of 1xx to 3xx.
    pub admitted: u64,
    /// Answers of 4xx, or 503.
    pub refused: u64,
    /// All others.
    pub failed: u64,
    /// Admitted as predicted.
    pub predicted: Option<u64>,
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// The generator itself.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GeneratorReport {
    /// How late it turned to planned requests, in milliseconds.
    pub lag: Option<Percentiles>,
    /// How late it may be at the 99th percentile, in milliseconds.
    pub allowed_lag: f64,
    /// Its processor time in seconds.
    pub cpu: f64,
    /// Requests per second of its processor time.
    pub requests_per_cpu_second: f64,
    /// Requests sent again on another connection, for theirs had been closed while it was idle.
    pub retried: u64,
    /// Requests that waited for a connection of the generator's own bound.
    pub waited: u64,
}

impl Report {
    /// Of what was seen.
    pub fn new(
        scenario: &Scenario,
        target: &str,
        evidence: &Evidence<'_>,
        verdicts: Vec<Verdict>,
        invalid: Option<String>,
    ) -> Self {
        let passed = verdicts.iter().all(|verdict| verdict.result == expect::Result::Passed);
        let tally = evidence.tally;
        let classes = scenario.classes.iter().zip(&tally.classes).enumerate();
        let classes = classes.map(|(number, (class, seen))| {
            let predicted = evidence.prediction.and_then(|all| all.admitted.get(number)?.as_ref());
            let planned = evidence.planned.get(number).copied().unwrap_or_default();
            class_report(&class.name, planned, seen, predicted)
        });
        let done: u64 = tally.classes.iter().map(ClassTally::done).sum();
        let cpu = tally.cpu.as_secs_f64();
        let allowed = expect::bound(scenario, evidence.prediction, &expect::planned(tally));
        Self {
            scenario: scenario.name.clone(),
            seed: scenario.seed,
            target: target.to_owned(),
            result: if passed && invalid.is_none() { expect::Result::Passed } else { expect::Result::Failed },
            invalid,
            verdicts,
            classes: classes.collect(),
            latency: tally.seconds.iter().map(percentiles).collect(),
            generator: GeneratorReport {
                lag: percentiles(&tally.lag),
                allowed_lag: allowed.most.as_secs_f64() * 1000.0,
                cpu,
                requests_per_cpu_second: if cpu > 0.0 { (done as f64 / cpu).round() } else { 0.0 },
                retried: tally.retried,
                waited: tally.waited,
            },
            process: evidence.samples.to_vec(),
        }
    }

    /// As JSON.
    pub fn json(&self) -> String {
        // Numbers, texts, lists and maps with texts as keys: always possible.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn class_report(name: &str, planned: u64, seen: &ClassTally, predicted: Option<&Vec<u64>>) -> ClassReport {
    let seconds = seen.seconds.iter().enumerate().map(|(number, second)| SecondReport {
        admitted: second.admitted,
        refused: second.refused,
        failed: second.failed,
        predicted: predicted.and_then(|all| all.get(number)).copied(),
    });
    ClassReport {
        name: name.to_owned(),
        planned,
        done: seen.done(),
        admitted: seen.admitted().iter().sum(),
        predicted: predicted.map(|all| all.iter().sum()),
        refused: seen.seconds.iter().map(|second| second.refused).sum(),
        failed: seen.failed(),
        statuses: seen.statuses.clone(),
        failures: seen.failures.clone(),
        unasked: seen.unasked,
        endings: seen.endings.iter().map(|(how, n)| (format!("{how:?}").to_lowercase(), *n)).collect(),
        latency: percentiles(&seen.latency),
        distribution: distribution(&seen.latency),
        seconds: seconds.collect(),
    }
}

fn percentiles(histogram: &Histogram<u64>) -> Option<Percentiles> {
    let ms = |percentile| at(histogram, percentile) as f64 / 1000.0;
    let some = Percentiles { p50: ms(50.0), p99: ms(99.0), p999: ms(99.9), max: ms(100.0) };
    (!histogram.is_empty()).then_some(some)
}

fn distribution(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let points =
        QUANTILES.iter().map(|quantile| (*quantile, at(histogram, quantile * 100.0) as f64 / 1000.0));
    if histogram.is_empty() { Vec::new() } else { points.collect() }
}

const QUANTILES: [f64; 15] =
    [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1.0];
