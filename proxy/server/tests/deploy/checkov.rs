//! What `checkov`, a scanner for manifests, thinks of them.

use super::rendered::{EXAMPLE, OVERLAYS, file, is_installed, overlay, said};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What checkov says of the files in a folder: how many checks passed, the failed ones, and the skipped ones with why.
pub struct Judgement {
    pub passed: u64,
    pub failed: Vec<String>,
    pub skipped: Vec<(String, String)>,
}

/// Runs checkov on manifests.
pub fn judge(folder: &Path) -> Judgement {
    let mut command = Command::new("checkov");
    command.args(["--framework", "kubernetes", "--output", "json", "--soft-fail", "--directory"]).arg(folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    let checks = |kind: &str| report["results"][kind].as_array().cloned().unwrap_or_default();
    let name = |check: &Value| format!("{} of {}", check["check_id"], check["resource"]);
    let why =
        |check: &Value| check["check_result"]["suppress_comment"].as_str().unwrap_or_default().to_owned();
    Judgement {
        passed: report["summary"]["passed"].as_u64().unwrap_or(0),
        failed: checks("failed_checks").iter().map(name).collect(),
        skipped: checks("skipped_checks").iter().map(|check| (name(check), why(check))).collect(),
    }
}

/// Writes rendered manifests for checkov.
pub fn write(folder: &Path, name: &str, objects: &[Value]) {
    let yaml = |object: &Value| format!("---\n{}\n", serde_saphyr::to_string(object).unwrap());
    let text: String = objects.iter().map(yaml).collect();
    std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
}

/// A folder that is not hidden: checkov does not look into those that are.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("manifests-").tempdir().unwrap()
}

#[test]
fn checkov_finds_nothing_that_is_not_explained() {
    if !is_installed("checkov") {
        return;
    }
    let folder = folder();
    for name in OVERLAYS {
        let Some(objects) = overlay(name) else { return };
        write(folder.path(), name, &objects);
    }
    write(folder.path(), "example", &file(EXAMPLE));
    let judgement = judge(folder.path());
    assert!(judgement.passed > 300, "{}", judgement.passed);
    assert!(judgement.failed.is_empty(), "{:#?}", judgement.failed);
    let unexplained = judgement.skipped.iter().filter(|(_, why)| why.len() < 20);
    assert_eq!(unexplained.count(), 0, "{:#?}", judgement.skipped);
}

#[test]
fn checkov_notices_a_writable_root() {
    if !is_installed("checkov") {
        return;
    }
    let folder = folder();
    let Some(mut objects) = overlay("deployment") else { return };
    let deployment = objects.iter_mut().find(|it| it["kind"] == "Deployment").unwrap();
    let root = "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem";
    super::kustomize::put(deployment, root, Value::Null);
    write(folder.path(), "broken", &objects);
    let failed = judge(folder.path()).failed;
    assert!(failed.len() == 1 && failed[0].contains("CKV_K8S_22"), "{failed:?}");
}
