//! The scenarios that ship, against the real weir.

use crate::support::{failed, weir};
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use weir_loadtest::expect::Result;
use weir_loadtest::report::Report;
use weir_loadtest::run::{Aim, run, run_staged};
use weir_loadtest::scenario::{self, Scenario};

/// Those that take a core for themselves run alone: the generators of others must keep their plans.
static CORES: RwLock<()> = RwLock::new(());

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn aim() -> Aim {
    Aim::Spawn { binary: weir() }
}

/// Runs what takes little of the machine, beside others.
fn ship(name: &str) -> Report {
    let _beside = CORES.read().unwrap_or_else(PoisonError::into_inner);
    shipped(name)
}

/// Runs what takes much of the machine.
fn ship_alone(name: &str) -> Report {
    let _alone = CORES.write().unwrap_or_else(PoisonError::into_inner);
    shipped(name)
}

fn shipped(name: &str) -> Report {
    let scenario = scenario::parse(&text(name)).unwrap();
    assert!(scenario.duration().as_secs() < 60, "a minute at most");
    let report = run(scenario, &aim(), |_, _| {}).unwrap();
    if let Some(why) = &report.invalid
        && std::env::var_os("WEIR_TEST_PEERS").is_none()
    {
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: {name} proves nothing on this machine at this time: {why}\n"),
        );
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
fn lists_of_addresses_methods_paths_and_hosts_are_exact() {
    ship("lists.yaml");
}

#[test]
fn caps_on_sockets_of_a_client_are_exact() {
    ship("sockets.yaml");
}

#[test]
fn caps_on_sockets_of_all_clients_are_exact() {
    ship("sockets-of-all.yaml");
}

#[test]
fn caps_on_handshakes_are_exact() {
    ship("handshakes.yaml");
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
    ship_alone("key-spray.yaml");
}

#[test]
fn slow_heads_are_given_up_and_others_are_served() {
    ship("slowloris.yaml");
}

#[test]
fn slow_readers_are_given_up_and_nothing_is_kept_for_them() {
    ship("slow-readers.yaml");
}

#[test]
fn a_flood_of_handshakes_is_cut_to_its_budget() {
    ship_alone("handshake-flood.yaml");
}

#[test]
fn rapid_resets_end_and_others_are_served() {
    ship_alone("rapid-reset.yaml");
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
    ship_alone("hostile-messages.yaml");
}

/// Runs a scenario against what it is after some edits, which break promises: these classes, and no others, must be found
/// not to have what was predicted.
fn broken(name: &str, edits: &[(&str, &str)], classes: &[&str]) -> Report {
    let _beside = CORES.read().unwrap_or_else(PoisonError::into_inner);
    let (scenario, staged) = (scenario::parse(&text(name)).unwrap(), edited(name, edits));
    let report = run_staged(scenario, &staged, &aim(), |_, _| {}).unwrap();
    let failed = failed(&report);
    let parted = failed.iter().filter(|line| line.contains(": admitted as predicted"));
    let mut found: Vec<_> = parted.filter_map(|line| line.split(':').next()).collect();
    let mut expected = classes.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{}", weir_loadtest::report::summary(&report));
    assert!(failed.iter().all(|line| !line.contains("predicted") || line.contains("part in second")));
    report
}

fn edited(name: &str, edits: &[(&str, &str)]) -> Scenario {
    let mut text = text(name);
    for (from, to) in edits {
        assert!(text.contains(from), "{name} has no {from:?}");
        text = text.replace(from, to);
    }
    scenario::parse(&text).unwrap()
}

#[test]
fn another_number_in_any_limit_is_noticed() {
    let edits = [
        (
            "{name: rps, namespace: default, annotations: {weir.dev/limit-rps: \"10\"",
            "{name: rps, namespace: default, annotations: {weir.dev/limit-rps: \"12\"",
        ),
        ("limit-burst-multiplier: \"3\"", "limit-burst-multiplier: \"4\""),
        ("limit-rps: \"4\"", "limit-rps: \"5\""),
        ("limit-rpm: \"600\"", "limit-rpm: \"540\""),
        ("limit-rph: \"18000\"", "limit-rph: \"22000\""),
        ("limit-rpd: \"864000\"", "limit-rpd: \"777000\""),
        ("limit-window: \"50/10s\"", "limit-window: \"60/10s\""),
        ("limit-connections: \"5\"", "limit-connections: \"8\""),
        ("limit-ipv4-prefix: \"24\"", "limit-ipv4-prefix: \"32\""),
        ("limit-key: \"ip+path\"", "limit-key: \"ip\""),
        ("path: /login, rps: 3", "path: /login, rps: 5"),
        ("limit-status-code: \"420\"", "limit-status-code: \"430\", weir.dev/limit-rpm: \"300\""),
        ("limit-mode: \"observe\"", "limit-mode: \"enforce\""),
        ("proxy-body-size: \"1k\"", "proxy-body-size: \"1030\""),
        ("max-header-bytes: \"1024\"", "max-header-bytes: \"1100\""),
    ];
    let rates =
        ["rps", "multiplier", "default-burst", "rpm", "rph", "rpd", "window", "prefix", "status", "observe"];
    let others =
        ["by-path", "overrides", "connections", "body-too-large", "chunks-too-large", "head-too-large"];
    let report = broken("kinds.yaml", &edits, &[&rates[..], &others[..]].concat());
    let failed = failed(&report);
    assert!(failed.iter().any(|line| line.starts_with("status: status 420")), "{failed:?}");
    // What fitted the smaller bound fits the larger one; the smaller one is broken the other way.
    broken(
        "kinds.yaml",
        &[
            ("proxy-body-size: \"1k\"", "proxy-body-size: \"1000\""),
            ("max-header-bytes: \"1024\"", "max-header-bytes: \"900\""),
        ],
        &["body-fits", "head-fits"],
    );
}

#[test]
fn a_list_that_is_another_is_noticed() {
    let edits = [
        ("\"127.8.0.0/24, 127.8.2.7\"", "\"127.8.1.0/24\""),
        ("denylist-source-range: \"127.8.0.0/24\"", "denylist-source-range: \"127.8.1.0/24\""),
        ("limit-allowlist: \"127.8.0.0/24\"", "limit-allowlist: \"127.8.1.0/24\""),
        ("allow-methods: \"GET, HEAD\"", "allow-methods: \"DELETE\""),
        ("allow-paths: \"/api, /static\"", "allow-paths: \"/apix\""),
        ("block-cidrs: \"127.8.3.0/24\"", "block-cidrs: \"127.8.4.0/24\""),
    ];
    let classes = [
        "in-allowlist",
        "beside-allowlist",
        "in-denylist",
        "beside-denylist",
        "blocked-everywhere",
        "exempt",
        "not-exempt",
        "method-allowed",
        "method-not-allowed",
        "paths-allowed",
        "paths-not-allowed",
        "fields-fit",
    ];
    broken("lists.yaml", &edits, &classes);
    let edits = [("host: denied.example\n", "host: nobody.example\n")];
    broken("lists.yaml", &edits, &["hosts-unknown", "beside-denylist", "fields-fit"]);
}

#[test]
fn another_cap_on_sockets_or_handshakes_is_noticed() {
    let edits = [
        ("client-sockets: \"20\"", "client-sockets: \"24\""),
        ("client-socket-rate: \"10\"", "client-socket-rate: \"11\""),
    ];
    broken("sockets.yaml", &edits, &["holds", "comes-too-often"]);
    let edits = [(" sockets: \"60\"", " sockets: \"70\""), (" socket-rate: \"20\"", " socket-rate: \"24\"")];
    broken("sockets-of-all.yaml", &edits, &["hold", "come"]);
    let edits = [
        ("client-handshake-rate: \"4\"", "client-handshake-rate: \"5\""),
        (" handshake-rate: \"20\"", " handshake-rate: \"22\""),
    ];
    broken("handshakes.yaml", &edits, &["greedy", "crowd"]);
}

/// Lost by an edit that gives the object another name: for weir it is another object then, which begins anew.
#[test]
fn an_edit_that_loses_what_was_counted_is_noticed() {
    let edits = [
        (
            "name: app, namespace: default, annotations: {weir.dev/limit-rps: \"20\"",
            "name: b, namespace: default, annotations: {weir.dev/limit-rps: \"20\"",
        ),
        (
            "name: app, namespace: default, annotations: {weir.dev/limit-rps: \"5\"",
            "name: c, namespace: default, annotations: {weir.dev/limit-rps: \"5\"",
        ),
    ];
    let report = broken("edits.yaml", &edits, &["asks"]);
    // The bursts come at once with the edit.
    let failed = failed(&report);
    assert!(failed.iter().any(|line| line.contains("part in second 2")), "{failed:?}");
    assert_eq!(failed.len(), 1, "{failed:?}");
}

/// A restart of the only replica loses requests, and so does one that takes no account of those in flight.
#[test]
fn a_lost_request_is_noticed() {
    let _beside = CORES.read().unwrap_or_else(PoisonError::into_inner);
    for (name, from, to) in [
        ("edits.yaml", "  - name: raised\n", "  - name: raised\n    restart: 0\n"),
        (
            "rolling-restart.yaml",
            "  replicas: 2\n",
            "  arguments: [\"--shutdown-timeout=100ms\"]\n  replicas: 2\n",
        ),
    ] {
        let (scenario, staged) = (scenario::parse(&text(name)).unwrap(), edited(name, &[(from, to)]));
        let report = run_staged(scenario, &staged, &aim(), |_, _| {}).unwrap();
        let failed = failed(&report);
        assert!(failed.iter().any(|line| line.starts_with("asks: at most 0 errors")), "{name}: {failed:?}");
    }
}

/// Each scenario that ships is run by a test of this file.
#[test]
fn every_scenario_that_ships_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let text = include_str!("scenarios.rs");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let runs = ["ship", "ship_alone"].map(|how| format!("{how}(\"{name}\")"));
        assert!(runs.iter().any(|run| text.contains(run)), "nobody runs {name}");
    }
}
