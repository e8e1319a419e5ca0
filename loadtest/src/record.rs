//! What was seen, in numbers.

use crate::plan::{Planned, second};
use crate::scenario::Ending;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a request ended without a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// There was no connection to be had.
    Connect,
    /// The connection was closed before an answer.
    Closed,
    /// The answer was cut short.
    EarlyClose,
    /// The answer was not HTTP.
    Malformed,
    /// No whole answer in time.
    Timeout,
    /// The stream was reset, or the connection within an answer.
    Reset,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer.
    Answered(u16),
    /// None.
    Failed(Failure),
    /// A hostile connection ended.
    Ended(Ending),
}

/// Requests of a class by the second for which they were planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    /// Planned, and done by now.
    pub done: u64,
    /// Answered with 1xx to 3xx; of hostile connections, those that the target did not end.
    pub admitted: u64,
    /// Answered with 4xx or 503; of hostile connections, those that the target ended.
    pub refused: u64,
    /// Everything else.
    pub failed: u64,
}

/// What was seen of a class.
#[derive(Clone, Debug)]
pub struct ClassTally {
    /// By second.
    pub seconds: Vec<Second>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a whole answer.
    pub failures: BTreeMap<Failure, u64>,
    /// Answers, or pieces of them, that came without a request. The connection is not used any more then.
    pub unasked: u64,
    /// Hostile connections by their ends.
    pub endings: BTreeMap<Ending, u64>,
    /// Microseconds from the planned moment to the whole answer.
    pub latency: Histogram<u64>,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Tally {
    /// By class.
    pub classes: Vec<ClassTally>,
    /// Microseconds of latency by second.
    pub seconds: Vec<Histogram<u64>>,
    /// Microseconds from the planned moment until the generator turned to the request.
    pub lag: Histogram<u64>,
    /// The same by second of the plan.
    pub lags: Vec<Histogram<u64>>,
    /// Requests that were sent twice, for their connection was closed while it was idle.
    pub retried: u64,
    /// Requests that waited because the generator's connections were all in use.
    pub waited: u64,
    /// Processor time of the generator's threads.
    pub cpu: Duration,
}

impl Tally {
    /// Nothing seen yet.
    pub fn new(classes: usize, seconds: usize) -> Self {
        let class = ClassTally {
            seconds: vec![Second::default(); seconds],
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            unasked: 0,
            endings: BTreeMap::new(),
            latency: histogram(3),
        };
        Self {
            classes: vec![class; classes],
            seconds: vec![histogram(2); seconds],
            lag: histogram(3),
            lags: vec![histogram(2); seconds],
            retried: 0,
            waited: 0,
            cpu: Duration::ZERO,
        }
    }

    /// Counts a request that ended at `done`, in nanoseconds from the start of the run as `planned.at`.
    pub fn count(&mut self, planned: &Planned, done: u64, outcome: Outcome) {
        let latency = done.saturating_sub(planned.at) / 1000;
        let at = second(planned.at);
        let Some(class) = self.classes.get_mut(usize::from(planned.class)) else { return };
        let mut unknown = Second::default();
        let cell = class.seconds.get_mut(at).unwrap_or(&mut unknown);
        cell.done += 1;
        match outcome {
            Outcome::Answered(status) => {
                match status {
                    100..=399 => cell.admitted += 1,
                    400..=499 | 503 => cell.refused += 1,
                    _ => cell.failed += 1,
                }
                *class.statuses.entry(status).or_default() += 1;
                note(&mut class.latency, latency);
                if let Some(histogram) = self.seconds.get_mut(at) {
                    note(histogram, latency);
                }
            }
            Outcome::Failed(failure) => {
                cell.failed += 1;
                *class.failures.entry(failure).or_default() += 1;
            }
            Outcome::Ended(ending) => {
                match ending {
                    Ending::Answered | Ending::Endured => cell.admitted += 1,
                    Ending::Closed | Ending::Refused => cell.refused += 1,
                }
                *class.endings.entry(ending).or_default() += 1;
            }
        }
    }

    /// Notes when the generator turned to a request.
    pub fn sent(&mut self, planned: &Planned, now: u64) {
        let lag = now.saturating_sub(planned.at) / 1000;
        note(&mut self.lag, lag);
        if let Some(of_second) = self.lags.get_mut(second(planned.at)) {
            note(of_second, lag);
        }
    }

    /// Notes an answer that nobody of a class had asked for.
    pub fn unasked(&mut self, class: u16) {
        if let Some(class) = self.classes.get_mut(usize::from(class)) {
            class.unasked += 1;
        }
    }

    /// Adds what another thread saw.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.classes.iter_mut().zip(&other.classes) {
            for (mine, theirs) in mine.seconds.iter_mut().zip(&theirs.seconds) {
                mine.done += theirs.done;
                mine.admitted += theirs.admitted;
                mine.refused += theirs.refused;
                mine.failed += theirs.failed;
            }
            theirs.statuses.iter().for_each(|(k, n)| *mine.statuses.entry(*k).or_default() += n);
            theirs.failures.iter().for_each(|(k, n)| *mine.failures.entry(*k).or_default() += n);
            mine.unasked += theirs.unasked;
            theirs.endings.iter().for_each(|(k, n)| *mine.endings.entry(*k).or_default() += n);
            add(&mut mine.latency, &theirs.latency);
        }
        self.seconds.iter_mut().zip(&other.seconds).for_each(|(mine, theirs)| add(mine, theirs));
        add(&mut self.lag, &other.lag);
        self.lags.iter_mut().zip(&other.lags).for_each(|(mine, theirs)| add(mine, theirs));
        self.retried += other.retried;
        self.waited += other.waited;
        self.cpu += other.cpu;
    }
}

impl ClassTally {
    /// Requests that ended.
    pub fn done(&self) -> u64 {
        self.seconds.iter().map(|second| second.done).sum()
    }

    /// Requests that failed: without a whole answer, or with a 5xx that is not 503.
    pub fn failed(&self) -> u64 {
        self.seconds.iter().map(|second| second.failed).sum()
    }

    /// Admitted requests by second.
    pub fn admitted(&self) -> Vec<u64> {
        self.seconds.iter().map(|second| second.admitted).collect()
    }
}

/// One that grows as it must: most have few distinct values.
#[expect(clippy::unwrap_used, reason = "between 0 and 5 digits are allowed, and these are constants")]
fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new(digits).unwrap()
}

fn add(mine: &mut Histogram<u64>, theirs: &Histogram<u64>) {
    // Both grow as they must: this cannot fail.
    let _ = mine.add(theirs);
}

fn note(histogram: &mut Histogram<u64>, micros: u64) {
    // It grows as it must: this cannot fail.
    let _ = histogram.record(micros);
}
