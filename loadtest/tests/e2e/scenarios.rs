//! The scenarios that ship, against the real weir.

use crate::support::{failed, weir};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use weir_loadtest::expect::Result;
use weir_loadtest::report::Report;
use weir_loadtest::run::{Aim, run};
use weir_loadtest::scenario;

/// One after the other: the generator must keep its plan, and the machine may have few cores.
fn ship(name: &str) -> Report {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    let scenario = scenario::load(&path).unwrap();
    assert!(scenario.duration().as_secs() < 60, "a minute at most");
    let report = run(scenario, &Aim::Spawn { binary: weir() }, |_, _| {}).unwrap();
    if let Some(why) = &report.invalid
        && std::env::var_os("WEIR_TEST_PEERS").is_none()
    {
        eprintln!("SKIPPED: {name} proves nothing on this machine at this time: {why}");
        return report;
    }
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
    assert!(report.classes.iter().all(|class| class.predicted > Some(40)), "an oracle that predicts nothing");
    assert!(!report.process.is_empty());
}

#[test]
fn every_kind_of_limit_is_exact() {
    ship("kinds.yaml");
}

#[test]
fn two_windows_at_once_are_exact() {
    ship("two-windows.yaml");
}

#[test]
fn one_greedy_client_takes_nothing_from_a_hundred_quiet_ones() {
    ship("greedy.yaml");
}

#[test]
fn edits_under_load_lose_no_request_and_keep_what_was_counted() {
    ship("edits.yaml");
}

#[test]
fn a_slow_origin_changes_no_limit() {
    ship("slow-origin.yaml");
}

#[test]
fn an_origin_that_dies_is_told_of_and_comes_back() {
    ship("dying-origin.yaml");
}

#[test]
fn a_spray_of_keys_frees_nobody_and_memory_stays_flat() {
    ship("key-spray.yaml");
}

#[test]
fn slow_heads_are_given_up_and_others_are_served() {
    ship("slowloris.yaml");
}

#[test]
fn a_flood_of_handshakes_is_cut_to_its_budget() {
    ship("handshake-flood.yaml");
}

#[test]
fn rapid_resets_end_and_others_are_served() {
    ship("rapid-reset.yaml");
}

#[test]
fn a_rolling_restart_loses_no_request() {
    ship("rolling-restart.yaml");
}

#[test]
fn limits_are_the_same_over_every_protocol() {
    ship("protocols.yaml");
}

#[test]
fn clients_are_told_apart_by_headers_and_keys() {
    ship("identities.yaml");
}

#[test]
fn clients_are_told_apart_by_the_proxy_protocol() {
    ship("proxy-header.yaml");
}

#[test]
fn messages_that_are_too_long_or_too_slow_are_ended() {
    ship("hostile-messages.yaml");
}

/// Each scenario that ships is run by a test of this file.
#[test]
fn every_scenario_that_ships_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let text = include_str!("scenarios.rs");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(text.contains(&format!("ship(\"{name}\")")), "nobody runs {name}");
    }
}
