use super::*;
use crate::plan::Planned;
use crate::record::{Failure, Outcome};
use crate::scenario::{Ending, parse};

fn scenario(expect: &str) -> Scenario {
    let text = format!(
        "
name: expectations
oracle: {{kind: fixed-window, limit: 1, window: 1s}}
classes: [{{name: a, arrivals: {{kind: constant, rate: 5}}}}, {{name: b, behaviour: {{kind: connection-flood, lasts: 1s}}}}]
phases: [{{name: only, duration: 2s}}]
expect: [{expect}]
"
    );
    parse(&text).unwrap()
}

/// Eight answers of 200 after a millisecond each, one of 429, one failure; one hostile connection that was closed.
fn tally() -> Tally {
    let mut tally = Tally::new(2, 2);
    for n in 0..8 {
        let planned = Planned { at: n * 200_000_000, class: 0, client: 0, ask: 0 };
        tally.sent(&planned, planned.at);
        tally.count(&planned, planned.at + 1_000_000, Outcome::Answered(200));
    }
    let planned = Planned { at: 1_900_000_000, class: 0, client: 0, ask: 0 };
    tally.count(&planned, planned.at, Outcome::Answered(429));
    tally.count(&planned, planned.at, Outcome::Failed(Failure::Timeout));
    tally.count(&Planned { at: 0, class: 1, client: 0, ask: 0 }, 5, Outcome::Ended(Ending::Closed));
    tally
}

fn result(expect: &str) -> (Result, String) {
    let samples =
        [Sample { at: 0.0, resident: 1 << 20, cpu: 0.0 }, Sample { at: 2.0, resident: 3 << 20, cpu: 1.0 }];
    let prediction = Prediction { admitted: vec![Some(vec![5, 3]), None] };
    let evidence = Evidence {
        tally: &tally(),
        prediction: Some(&prediction),
        samples: &samples,
        metrics: Some("a_total{x=\"1\"} 7\n"),
        planned: &[10, 1],
    };
    let verdict = judge(&scenario(expect), &evidence).remove(0);
    (verdict.result, verdict.found)
}

/// Each kind of expectation can come true, and can fail.
#[test]
fn every_kind_of_expectation_passes_and_fails() {
    for (kind, passes, fails) in [
        ("admitted, class: a", "within: 0%", ""),
        ("status, class: a, status: 2xx", "at-least: 80%", "at-least: 81%"),
        ("status, class: a, status: 429", "at-most: 10%", "at-most: 9%"),
        ("latency, class: a, percentile: 99", "at-most: 2ms", "at-most: 0ms"),
        ("errors, class: a", "at-most: 1", "at-most: 0"),
        ("ended, class: b, how: closed", "at-least: 100%", "at-least: 101%"),
        ("memory", "at-most: 3MiB", "at-most: 2MiB"),
        ("cpu", "at-most: 50%", "at-most: 49%"),
        ("metric, series: 'a_total{x=\"1\"}'", "at-most: 7", "at-least: 8"),
    ] {
        assert_eq!(result(&format!("{{kind: {kind}, {passes}}}")).0, Result::Passed, "{kind} {passes}");
        if !fails.is_empty() {
            assert_eq!(result(&format!("{{kind: {kind}, {fails}}}")).0, Result::Failed, "{kind} {fails}");
        }
    }
    assert_eq!(result("{kind: metric, series: b_total, at-most: 1}").1, "was not measured");
}

#[test]
fn a_verdict_names_the_first_second_in_which_wire_and_oracle_part() {
    let mut seen = tally();
    let planned = Planned { at: 1_500_000_000, class: 0, client: 0, ask: 0 };
    seen.count(&planned, planned.at, Outcome::Answered(200));
    let prediction = Prediction { admitted: vec![Some(vec![5, 3]), None] };
    let evidence = Evidence {
        tally: &seen,
        prediction: Some(&prediction),
        samples: &[],
        metrics: None,
        planned: &[11, 1],
    };
    let verdict = judge(&scenario("{kind: admitted, class: a, within: 1%}"), &evidence).remove(0);
    assert_eq!(verdict.result, Result::Failed);
    assert!(verdict.found.contains("part in second 1: 9 admitted"), "{}", verdict.found);
}

#[test]
fn a_generator_that_was_late_or_left_something_out_makes_a_run_invalid() {
    let scenario = scenario("{kind: errors, class: a}");
    let mut seen = tally();
    let evidence = |tally: &Tally, planned: &[u64]| {
        let evidence = Evidence { tally, prediction: None, samples: &[], metrics: None, planned };
        invalid(&scenario, &evidence)
    };
    assert_eq!(evidence(&seen, &[10, 1]), None);
    assert_eq!(evidence(&seen, &[11, 1]).unwrap(), "11 of 12 planned requests were made");
    seen.sent(&Planned { at: 0, class: 0, client: 0, ask: 0 }, 50_000_000);
    assert!(evidence(&seen, &[10, 1]).unwrap().contains("late at the 99th percentile"));
}
