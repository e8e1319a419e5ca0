use super::*;
use crate::plan::Planned;
use crate::record::{Failure, Outcome};
use crate::scenario::value::Span;
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

/// Eight answers of 200 after a millisecond each, one of 429, one failure, one answer unasked, three
/// requests sent again; one hostile connection that was closed.
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
    tally.unasked(0);
    tally.retried = 3;
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
        ("errors, class: a", "at-most: 2", "at-most: 1"),
        ("retried", "at-most: 3", "at-most: 2"),
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

/// The bound of a scenario with two seconds of ten requests each, of which `predicted` are admitted.
fn bound_of(oracle: &str, expect: &str, predicted: [u64; 2]) -> (u128, String) {
    let mut scenario = scenario(expect);
    scenario.oracle = serde_json::from_str(oracle).unwrap();
    let prediction = Prediction { admitted: vec![Some(predicted.to_vec()), None] };
    let found = bound(&scenario, Some(&prediction), &[vec![10, 10], vec![0, 0]]);
    (found.most.as_millis(), found.because)
}

#[test]
fn how_late_a_generator_may_be_follows_from_what_is_expected() {
    const BUCKET: &str = "{\"kind\": \"token-bucket\", \"rate\": 5, \"burst\": 5}";
    const WINDOW: &str = "{\"kind\": \"fixed-window\", \"limit\": 5, \"window\": \"1s\"}";
    for (oracle, expect, predicted, most, because) in [
        // Nothing that time could decide.
        (BUCKET, "{kind: errors, class: a}", [5, 5], 100, "any plan"),
        (BUCKET, "{kind: admitted, class: a, within: 1%}", [0, 0], 100, "any plan"),
        (BUCKET, "{kind: admitted, class: a, within: 1%}", [10, 10], 100, "any plan"),
        // Lag is a part of latency.
        (
            BUCKET,
            "{kind: latency, class: a, percentile: 99, at-most: 200ms}",
            [5, 5],
            20,
            "a tenth of the latency",
        ),
        // 10% of 8 and 0.4 of 10 a second; half of 0.8 in 8 a second is 50 ms.
        (BUCKET, "{kind: admitted, class: a, within: 10%}", [8, 5], 50, "half of what may differ of a"),
        (BUCKET, "{kind: admitted, class: a, within: 10%}", [0, 5], 50, "half of what may differ of a"),
        // A second that is busier than the first admits more in the same time.
        (BUCKET, "{kind: admitted, class: a, within: 10%}", [5, 10], 25, "half of what may differ of a"),
        (
            BUCKET,
            "{kind: admitted, class: a, within: 0%, slack: 1}",
            [8, 5],
            62,
            "half of what may differ of a",
        ),
        // Through a fixed window goes what comes first, at the rate at which it comes.
        (WINDOW, "{kind: admitted, class: a, within: 10%}", [8, 5], 40, "half of what may differ of a"),
        // No less than a timer is good for, and the least of all.
        (BUCKET, "{kind: admitted, class: a, within: 0%}", [8, 5], 1, "half of what may differ of a"),
        (
            BUCKET,
            "{kind: admitted, class: a, within: 10%}, {kind: latency, class: a, percentile: 50, at-most: 90ms}",
            [8, 5],
            9,
            "a tenth",
        ),
    ] {
        let (found, why) = bound_of(oracle, expect, predicted);
        assert_eq!(found, most, "{oracle} {expect} {predicted:?}: {why}");
        assert!(why.starts_with(because), "{why}");
    }
}

/// Ten requests a second, each so late.
fn lagging(seconds: u64, late: impl Fn(u64) -> u64) -> Tally {
    let mut tally = Tally::new(2, seconds as usize);
    for n in 0..10 * seconds {
        let planned = Planned { at: n * 100_000_000, class: 0, client: 0, ask: 0 };
        tally.sent(&planned, planned.at + late(n) * 1_000_000);
        tally.count(&planned, planned.at + late(n) * 1_000_000, Outcome::Answered(200));
    }
    tally
}

#[test]
fn a_generator_that_was_late_or_left_something_out_makes_a_run_invalid() {
    let expecting = scenario("{kind: latency, class: a, percentile: 99, at-most: 500ms}");
    let run = |tally: &Tally, planned: u64| {
        let evidence =
            Evidence { tally, prediction: None, samples: &[], metrics: None, planned: &[planned, 0] };
        invalid(&expecting, &evidence)
    };
    assert_eq!(run(&lagging(2, |_| 0), 20), None);
    assert_eq!(run(&lagging(2, |_| 49), 20), None);
    assert_eq!(run(&lagging(2, |_| 0), 21).unwrap(), "20 of 21 planned requests were made");
    let starved = run(&lagging(2, |_| 51), 20).unwrap();
    assert!(starved.starts_with("the generator was 51") && starved.contains("99th percentile"), "{starved}");
    assert!(starved.ends_with("50ms is allowed by a tenth of the latency expected of a"), "{starved}");
}

#[test]
fn a_generator_that_stood_still_for_a_moment_of_a_long_run_makes_it_invalid() {
    let expecting = scenario("{kind: errors, class: a}");
    let run = |late: &dyn Fn(u64) -> u64| {
        let tally = lagging(1000, late);
        let evidence =
            Evidence { tally: &tally, prediction: None, samples: &[], metrics: None, planned: &[10_000, 0] };
        invalid(&expecting, &evidence)
    };
    // 6 of 10,000 are no 99th percentile, but they are most of a second.
    let stood = run(&|n| if (5000..5006).contains(&n) { 900 } else { 0 }).unwrap();
    assert!(stood.starts_with("in second 500 the generator was 9"), "{stood}");
    assert_eq!(run(&|n| if (5000..5004).contains(&n) { 900 } else { 0 }), None);
}

#[test]
fn a_scenario_may_say_itself_how_late_its_generator_may_be() {
    let mut scenario = scenario("{kind: latency, class: a, percentile: 99, at-most: 5ms}");
    scenario.generator.lag = Some(Span(Duration::from_secs(1)));
    let tally = lagging(2, |_| 900);
    let evidence =
        Evidence { tally: &tally, prediction: None, samples: &[], metrics: None, planned: &[20, 0] };
    assert_eq!(invalid(&scenario, &evidence), None);
    scenario.generator.lag = Some(Span(Duration::from_millis(899)));
    assert!(invalid(&scenario, &evidence).unwrap().contains("by generator.lag"));
}
