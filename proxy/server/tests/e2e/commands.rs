//! The command line, beside what `start.rs` tries.

use crate::support::{Weir, binary, get, ingress};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

fn weir() -> Command {
    Command::new(binary())
}

#[test]
fn the_environment_sets_what_flags_do_not() {
    let nowhere: SocketAddr = ([127, 0, 0, 1], 9).into();
    let folder = tempfile::tempdir().unwrap();
    let text = ingress("shut", "shut.example", nowhere, &[("allow-methods", "PUT")]);
    std::fs::write(folder.path().join("m.yaml"), text).unwrap();
    let mut command = weir();
    command.arg("serve").args(["--access-log", "off"]).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env("WEIR_SOURCE", format!("manifests={}", folder.path().display()));
    command.env("WEIR_HTTP", "127.0.0.1:0").env("WEIR_ADMIN", "off").env("WEIR_ACCESS_LOG", "/no/such/log");
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address: SocketAddr = line.trim().strip_prefix("http ").unwrap().parse().unwrap();
    assert_eq!(get(address, "shut.example", "/").status, 405);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn mistakes_of_flags_environment_and_file_come_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.yaml");
    std::fs::write(&file, "idle-timeout: soon\nprofil: weir\n").unwrap();
    let mut command = weir();
    command.args(["serve", "--source", "etcd=there", "--clients", "-1", "--config"]).arg(&file);
    let output = command.env("WEIR_LANE", "slow").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    for part in [
        "etcd=there",
        "manifests=DIR",
        "--clients",
        "WEIR_LANE",
        "\"slow\"",
        "idle-timeout",
        "\"soon\"",
        "profil",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(
        error.lines().filter(|line| line.starts_with("  ")).count() >= 5,
        "each on its own line: {error}"
    );
}

#[test]
fn a_source_that_is_a_file_is_a_failed_start_and_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let source = format!("manifests={}", file.path().display());
    let output = weir().args(["serve", "--http", "127.0.0.1:0", "--source", &source]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&file.path().display().to_string()), "{error}");
}

#[test]
fn flags_of_ingress_nginx_start_it_with_warnings() {
    let nowhere: SocketAddr = ([127, 0, 0, 1], 9).into();
    let flags = ["--election-id=ingress-nginx-leader", "--controller-class=k8s.io/ingress-nginx", "--v=2"];
    let weir = Weir::start_with(&ingress("a", "a.example", nowhere, &[]), &flags);
    assert_eq!(get(weir.http, "a.example", "/").status, 502, "nobody listens at the origin");
    assert!(weir.stderr().contains("--v is accepted"), "{}", weir.stderr());
}

#[test]
fn every_listener_given_is_bound() {
    let nowhere: SocketAddr = ([127, 0, 0, 1], 9).into();
    let weir = Weir::start_with(&ingress("a", "a.example", nowhere, &[]), &["--http", "127.0.0.2:0"]);
    let printed = weir.stdout();
    let addresses: Vec<SocketAddr> =
        printed.lines().filter_map(|line| line.strip_prefix("http ")?.parse().ok()).collect();
    assert_eq!(addresses.len(), 2, "{printed}");
    for address in addresses {
        assert_ne!(address.port(), 0);
        assert_eq!(get(address, "b.example", "/").status, 404);
    }
}

#[test]
fn an_empty_folder_starts_and_serves_404() {
    let weir = Weir::start_in(&[], &[]);
    assert_eq!(get(weir.http, "any.example", "/").status, 404);
    assert_eq!(get(weir.admin, "a", "/readyz").status, 200);
}
