//! How weir starts, fails to start, and ends.

use crate::support::{PATIENCE, Weir, binary, get, ingress};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};

/// Runs weir to its end. It must end by itself.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(binary());
    let Output { status, stdout, stderr } = command.args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn taken() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[test]
fn bad_settings_are_named_all_at_once_and_exit_with_2() {
    let (code, out, error) = run(&["serve", "--http", "nowhere", "--workers", "0", "--sorce", "manifests=x"]);
    assert_eq!((code, out.as_str()), (2, ""));
    for part in ["--http", "\"nowhere\"", "--workers", "\"0\"", "--sorce", "--source"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    let (code, _, error) = run(&["serve", "--source", "podinfo=annotations"]);
    assert!(code == 2 && error.contains("--upstream: is missing"), "{error}");
    assert_eq!(run(&["srve"]).0, 2);
}

#[test]
fn a_folder_that_cannot_be_read_is_named_and_exits_with_1() {
    let (code, _, error) = run(&["serve", "--source", "manifests=/no/such/folder", "--http", "127.0.0.1:0"]);
    assert_eq!(code, 1);
    assert!(error.contains("/no/such/folder") && error.contains("--source"), "{error}");
}

#[test]
fn a_port_that_is_taken_is_named_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("manifests={}", folder.path().display());
    let (_held, address) = taken();
    let (code, _, error) = run(&["serve", "--source", &source, "--http", &address, "--admin", "off"]);
    assert_eq!(code, 1);
    assert!(error.contains(&address) && error.contains("--http"), "{error}");
    let arguments = ["serve", "--source", &source, "--http", "127.0.0.1:0", "--admin", &address];
    let (code, _, error) = run(&arguments);
    assert_eq!(code, 1);
    assert!(error.contains(&address) && error.contains("--admin"), "{error}");
}

#[test]
fn an_access_log_that_cannot_be_opened_is_named_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("manifests={}", folder.path().display());
    let log = folder.path().join("missing/access.log").display().to_string();
    let (code, _, error) =
        run(&["serve", "--source", &source, "--http", "127.0.0.1:0", "--access-log", &log]);
    assert_eq!(code, 1);
    assert!(error.contains(&log) && error.contains("--access-log"), "{error}");
}

#[test]
fn the_table_of_annotations_is_printed() {
    let (code, out, error) = run(&["annotations"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(out, weir_core::policy::pages::text());
}

#[test]
fn help_lists_every_setting() {
    let (code, out, _) = run(&["serve", "--help"]);
    assert_eq!(code, 0);
    assert!(weir::settings::rows().all(|row| out.contains(&format!("--{}", row.name))), "{out}");
}

#[test]
fn a_signal_ends_it_well_and_the_access_log_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let nowhere: SocketAddr = ([127, 0, 0, 1], 9).into();
    let manifests = ingress("front", "shop.example", nowhere, &[("allow-methods", "PUT")]);
    let weir = Weir::start_with(&manifests, &["--access-log", log.to_str().unwrap()]);
    assert_eq!(get(weir.admin, "admin", "/readyz").status, 200);
    for _ in 0..3 {
        assert_eq!(get(weir.http, "shop.example", "/p").status, 405);
    }
    assert_eq!(get(weir.http, "other.example", "/").status, 404);
    let refused = r#"weir_refusals_total{namespace="default",ingress="front",rule="allow-methods",reason="method",mode="enforce"}"#;
    assert_eq!(weir.metric(refused), Some(3.0));
    assert!(weir.terminate().success());

    let text = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Workers write in turn, so the order of lines is not that of requests.
    let (refused, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["ingress"] == "front");
    assert_eq!((refused.len(), others.len()), (3, 1), "{text}");
    for line in refused {
        assert_eq!(line["rule"], "allow-methods");
        assert_eq!(line["reason"], "method");
        assert_eq!(line["path"], "/p");
        assert_eq!(line["client"], "127.0.0.1");
        assert!(line["duration"].as_f64().unwrap() < PATIENCE.as_secs_f64());
    }
    assert_eq!(others[0]["reason"], "no-route");
}
