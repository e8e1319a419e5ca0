//! Scenarios in short, and where weir is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use weir_loadtest::expect::Result;
use weir_loadtest::report::Report;
use weir_loadtest::run::{Aim, Reach, run};
use weir_loadtest::scenario::{self, Scenario};

/// 80 requests in a second, on connections that are kept; with these expectations and more fields.
pub(crate) fn steady(expect: &str, more: &str) -> Scenario {
    let text = format!(
        "
name: steady
oracle: {{kind: token-bucket, rate: 1000, burst: 1000}}
classes: [{{name: a, clients: 4, arrivals: {{kind: constant, rate: 80}}}}]
phases: [{{name: only, duration: 1s}}]
expect: [{expect}]
generator: {{lag: 1s, timeout: 1s}}
{more}
"
    );
    scenario::parse(&text).unwrap()
}

/// Runs against an address of loopback.
pub(crate) fn against(scenario: Scenario, url: String) -> Report {
    run(scenario, &Aim::Url { url, pid: None, admin: None, reach: Reach::Loopback }, |_, _| {}).unwrap()
}

/// What failed, by the beginning of what was expected.
pub(crate) fn failed(report: &Report) -> Vec<String> {
    let failed = report.verdicts.iter().filter(|verdict| verdict.result == Result::Failed);
    failed.map(|verdict| format!("{} | {}", verdict.expected, verdict.found)).collect()
}

/// The real weir, built if need be.
pub(crate) fn weir() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let binary = Path::new(env!("CARGO_BIN_EXE_weir-loadtest")).with_file_name("weir");
            // Up to date it is only if cargo says so; when all tests are run it has been built already.
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "--quiet", "--package", "weir"]).current_dir(env!("CARGO_MANIFEST_DIR"));
            if binary.parent().and_then(Path::file_name).is_some_and(|profile| profile != "debug") {
                cargo.arg("--release");
            }
            assert!(cargo.status().unwrap().success(), "weir does not build");
            assert!(binary.is_file(), "{} is not there", binary.display());
            binary
        })
        .clone()
}
