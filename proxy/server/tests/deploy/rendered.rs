//! Manifests as `kubectl` and `helm` render them.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Overlays of `deploy/kustomize` with weir as an ingress controller.
pub const EDGES: [&str; 3] = ["deployment", "daemonset", "namespaced"];
/// All overlays.
pub const OVERLAYS: [&str; 4] = ["deployment", "daemonset", "namespaced", "sidecar"];

/// What `kubectl kustomize` makes of an overlay; nothing where there is no `kubectl`.
pub fn overlay(name: &str) -> Option<Vec<Value>> {
    kustomize(&deploy().join("kustomize/overlays").join(name))
}

/// The objects of a file of manifests, from `deploy`.
#[track_caller]
pub fn file(path: &str) -> Vec<Value> {
    documents(&std::fs::read_to_string(deploy().join(path)).unwrap())
}

/// The example of a sidecar.
pub const EXAMPLE: &str = "examples/sidecar/deployment.yaml";

/// What `kubectl kustomize` makes of a folder; nothing where there is no `kubectl`.
#[track_caller]
pub fn kustomize(folder: &Path) -> Option<Vec<Value>> {
    if !is_installed("kubectl") {
        return None;
    }
    let output = Command::new("kubectl").arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    Some(documents(&String::from_utf8(output.stdout).unwrap()))
}

/// Objects of a text of YAML documents.
#[track_caller]
pub fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---").map(|part| part.trim_start_matches("---"));
    let read = |part: &str| -> Value {
        serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{error}\n{part}"))
    };
    parts.filter(|part| has_content(part)).map(read).collect()
}

fn has_content(text: &str) -> bool {
    text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

/// All that a process said, for messages.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The folder `deploy`.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// Whether a program can be run. Where it must be there and is not, the test fails.
#[track_caller]
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return true;
    }
    let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
    assert!(!required, "{program} is not installed");
    // Past the capture of a test that passes.
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("skipped: {program} is not installed\n"),
    );
    false
}

/// A text at a place of an object, or nothing.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The elements of a list, or none.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Kind and name, for messages.
pub fn title(object: &Value) -> String {
    format!("{} {}", text(object, "/kind"), text(object, "/metadata/name"))
}

/// Objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Deployments and DaemonSets.
pub fn workloads(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| object.pointer("/spec/template/spec").is_some()).collect()
}

/// Values files that ship with the chart, and the overlay that each agrees with.
pub const CHART: [(&str, &str); 3] =
    [("autoscaling", "deployment"), ("daemonset", "daemonset"), ("namespaced", "namespaced")];

/// What `helm template` makes of the chart as release `weir` in the namespace `weir`, or why it does not.
#[track_caller]
pub fn chart(arguments: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = Command::new("helm");
    command.args(["template", "weir", "--namespace", "weir"]).args(arguments).arg(deploy().join("helm/weir"));
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(documents(&String::from_utf8(output.stdout).unwrap())),
        false => Err(said(&output)),
    }
}

/// A values file that ships with the chart.
pub fn values(name: &str) -> String {
    deploy().join(format!("helm/weir/ci/{name}-values.yaml")).display().to_string()
}
