//! The scenarios that ship, against the real weir.

use crate::support::{failed, weir};
use std::path::Path;
use weir_loadtest::expect::Result;
use weir_loadtest::report::Report;
use weir_loadtest::run::{Aim, run};
use weir_loadtest::scenario;

fn ship(name: &str) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    let scenario = scenario::load(&path).unwrap();
    assert!(scenario.duration().as_secs() < 60, "a minute at most");
    let report = run(scenario, &Aim::Spawn { binary: weir() }, |_, _| {}).unwrap();
    assert_eq!(
        (failed(&report), &report.invalid),
        (vec![], &None),
        "{}",
        weir_loadtest::report::summary(&report)
    );
    assert_eq!(report.result, Result::Passed);
    report
}

#[test]
fn requests_per_second_are_exact() {
    let report = ship("rps.yaml");
    assert!(report.classes.iter().all(|class| class.predicted > Some(40)));
    assert!(!report.process.is_empty());
}
