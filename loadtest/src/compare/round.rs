//! One round of one proxy: what was counted, and whether it counts.

use super::case::Expected;
use serde::Serialize;

/// What whoever made the load has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counted {
    /// Whole answers.
    pub(crate) answers: u64,
    /// Answers of 4xx and 5xx among them.
    pub(crate) refused: u64,
    /// Requests without a whole answer, and connections that failed.
    pub(crate) broken: u64,
    /// Bytes that came.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    /// Milliseconds; not every load tells.
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

/// Numbers of a round, as the report has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Round {
    /// Requests per CPU-second of the proxy, or KiB for each connection.
    pub figure: f64,
    /// Why these numbers do not count, if they do not.
    pub invalid: Option<String>,
    /// Whole answers.
    pub answers: Option<u64>,
    /// Answers of 4xx and 5xx.
    pub refused: Option<u64>,
    /// Requests without a whole answer, and connections that failed.
    pub broken: Option<u64>,
    /// By the clock.
    pub requests_per_second: Option<f64>,
    /// User and system time of all processes and threads of the proxy.
    pub cpu_seconds: Option<f64>,
    /// Of a core.
    pub cpu_share: Option<f64>,
    /// Milliseconds, of a closed loop.
    pub p50_ms: Option<f64>,
    /// Milliseconds, of a closed loop.
    pub p99_ms: Option<f64>,
    /// Requests that the origin saw.
    pub origin_requests: Option<u64>,
    /// Bytes that came, by answer.
    pub bytes_per_answer: Option<f64>,
    /// Resident memory before the round; where it is what is measured.
    pub before_kib: Option<u64>,
    /// Resident memory after the round.
    pub resident_kib: Option<u64>,
    /// Idle connections that were held.
    pub connections: Option<u64>,
}

impl Round {
    /// One that could not be run.
    pub(crate) fn failed(why: String) -> Self {
        Self { invalid: Some(why), ..Self::default() }
    }

    /// Of what was counted on the three sides.
    pub(crate) fn of(counted: &Counted, cpu_seconds: f64, origin_requests: u64, expected: Expected) -> Self {
        let Counted { answers, refused, broken, seconds, .. } = *counted;
        let per = |amount: f64, by: f64| if by > 0.0 { amount / by } else { 0.0 };
        let reasons = objections(counted, cpu_seconds, origin_requests, expected);
        Self {
            figure: per(answers as f64, cpu_seconds),
            invalid: (!reasons.is_empty()).then(|| reasons.join("; ")),
            answers: Some(answers),
            refused: Some(refused),
            broken: Some(broken),
            requests_per_second: Some(per(answers as f64, seconds)),
            cpu_seconds: Some(cpu_seconds),
            cpu_share: Some(per(cpu_seconds, seconds)),
            p50_ms: counted.p50,
            p99_ms: counted.p99,
            origin_requests: Some(origin_requests),
            bytes_per_answer: Some(per(counted.bytes as f64, answers as f64)),
            ..Self::default()
        }
    }

    /// One more reason for which it does not count.
    pub(crate) fn object(&mut self, why: &str) {
        self.invalid = Some(match self.invalid.take() {
            Some(before) => format!("{before}; {why}"),
            None => why.to_owned(),
        });
    }
}

/// Why the numbers of a round are not those of its case: a sentence each.
fn objections(counted: &Counted, cpu_seconds: f64, origin_requests: u64, expected: Expected) -> Vec<String> {
    let Counted { answers, refused, broken, bytes, .. } = *counted;
    if answers == 0 {
        return vec![format!("no answers ({broken} broken)")];
    }
    if cpu_seconds <= 0.0 {
        return vec!["no processor time was counted".to_owned()];
    }
    let all = answers as f64;
    let mut found = Vec::new();
    if broken as f64 > all * TOLERATED_SHARE {
        found.push(format!("{broken} broken connections and timeouts in {answers} answers"));
    }
    match expected {
        // That a refusal is a 429 is asked before the rounds.
        Expected::Refused => {
            let admitted = answers.saturating_sub(refused);
            if admitted as f64 > all * REFUSED_SLACK {
                found.push(format!("{admitted} of {answers} were not refused"));
            }
            if origin_requests as f64 > all * REFUSED_SLACK {
                found.push(format!("the origin saw {origin_requests} of {answers} requests"));
            }
        }
        Expected::Forwarded { bytes: least } => {
            if refused as f64 > all * TOLERATED_SHARE {
                found.push(format!("{refused} of {answers} were answered with 4xx or 5xx"));
            }
            if (origin_requests as f64) < all * (1.0 - TOLERATED_SHARE) {
                found.push(format!("the origin saw only {origin_requests} of {answers} requests"));
            }
            if bytes < answers.saturating_mul(least) {
                found.push(format!("{:.0} bytes for each answer, {least} expected", bytes as f64 / all));
            }
        }
        Expected::Held => {}
    }
    found
}

/// A few answers may be lost where a round begins and ends.
const TOLERATED_SHARE: f64 = 0.001;
/// The allowance of the host that refuses is a few requests a second.
const REFUSED_SLACK: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Counted = Counted {
        answers: 10_000,
        refused: 0,
        broken: 0,
        bytes: 12_000_000,
        seconds: 2.0,
        p50: None,
        p99: None,
    };
    const FORWARDED: Expected = Expected::Forwarded { bytes: 1024 };

    #[test]
    fn a_forwarded_round_must_be_answered_and_seen_by_the_origin() {
        let count = |counted: Counted, cpu, origin| objections(&counted, cpu, origin, FORWARDED).len();
        assert_eq!(count(ALLOWED, 1.0, 10_000), 0);
        assert_eq!(count(Counted { refused: 10, broken: 10, ..ALLOWED }, 1.0, 9_990), 0);
        for wrong in [
            Counted { refused: 11, ..ALLOWED },
            Counted { broken: 11, ..ALLOWED },
            Counted { bytes: 10_000_000, ..ALLOWED },
            Counted { answers: 0, ..ALLOWED },
        ] {
            assert_eq!(count(wrong, 1.0, 10_000), 1, "{wrong:?}");
        }
        assert_eq!(count(ALLOWED, 1.0, 9_000), 1);
        assert_eq!(count(ALLOWED, 0.0, 10_000), 1);
    }

    #[test]
    fn a_refused_round_must_be_refused_before_the_origin() {
        let refused = Counted { refused: 9_995, bytes: 2_000_000, ..ALLOWED };
        let count = |counted: Counted, origin| objections(&counted, 1.0, origin, Expected::Refused).len();
        assert_eq!(count(refused, 5), 0);
        assert_eq!(count(Counted { refused: 9_000, ..refused }, 5), 1);
        assert_eq!(count(refused, 101), 1);
    }

    #[test]
    fn figures_are_by_processor_time_and_by_the_clock() {
        let round = Round::of(&ALLOWED, 0.5, 10_000, FORWARDED);
        assert_eq!((round.figure, round.requests_per_second), (20_000.0, Some(5_000.0)));
        assert_eq!((round.cpu_share, round.bytes_per_answer), (Some(0.25), Some(1200.0)));
        let mut round = Round::of(&Counted::default(), 0.0, 0, FORWARDED);
        assert_eq!((round.figure, round.invalid.clone()), (0.0, Some("no answers (0 broken)".to_owned())));
        round.object("and more");
        assert_eq!(round.invalid, Some("no answers (0 broken); and more".to_owned()));
    }
}
