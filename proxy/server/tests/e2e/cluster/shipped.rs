//! What `deploy/` ships, with the real binary: its arguments start weir, and its roles are enough and none is too much.

#[path = "../../deploy/rendered.rs"]
mod rendered;

use super::rbac::{asked, check, everything_with, scene};
use super::support::{is_ready, put, until};
use crate::support::Weir;
use rendered::{documents, is_installed, list, overlay, text, workloads};
use serde_json::{Value, json};
use std::process::Command;
use weir_apiserver::{ApiServer, Cluster};

/// weir as a container of these objects has it: with its arguments and variables, but on ports that the system chooses,
/// with a Lease that must soon be renewed, and without waiting for a load balancer that there is not.
fn start(server: &ApiServer, objects: &[Value]) -> Weir {
    let container = &workloads(objects)[0]["spec"]["template"]["spec"]["containers"][0];
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for argument in list(container, "/args").iter().filter_map(Value::as_str) {
        command.arg(match argument.split_once('=') {
            Some((flag @ ("--http" | "--https" | "--admin"), _)) => format!("{flag}=127.0.0.1:0"),
            Some((flag @ "--shutdown-delay", _)) => format!("{flag}=0s"),
            _ => argument.replace("$(POD_NAMESPACE)", "weir"),
        });
    }
    command.arg("--election-ttl=4s").arg("--kubeconfig").arg(kubeconfig).arg("--access-log=off");
    command.env_clear();
    for variable in list(container, "/env") {
        let value = match text(variable, "/valueFrom/fieldRef/fieldPath") {
            "metadata.name" => "weir-0",
            "metadata.namespace" => "weir",
            field => panic!("nobody has said what {field} is"),
        };
        command.env(text(variable, "/name"), value);
    }
    let weir = Weir::run(folder, command);
    until("weir is ready", || is_ready(&weir));
    weir
}

/// Starts weir where only the roles of these objects hold, lets it do everything, and compares.
fn try_everything(objects: &[Value], address: &str, optional: &[(&str, &str, &str)]) {
    let roles: Vec<Value> = objects.iter().filter(|it| it.get("rules").is_some()).cloned().collect();
    let (server, _pod) = scene(&roles);
    let settings = objects.iter().find(|it| it["kind"] == "ConfigMap").unwrap();
    let mut settings = settings.clone();
    // Tests ask as fast as they can, and all from one address.
    settings["data"] = json!({"client-sockets": "0", "client-socket-rate": "0", "socket-rate": "0"});
    put(&server, [settings]);
    server.take_requests();
    let weir = start(&server, objects);
    everything_with(&server, weir, address, "weir-leader");
    check(&roles, &asked(&server), optional);
}

/// The load balancer's address, and the node's.
const SERVICE: &str = "203.0.113.7";
const NODE: &str = "203.0.113.8";
/// Whoever may see one namespace may not see classes; weir asks, and does without.
const CLASSES: (&str, &str, &str) = ("list", "networking.k8s.io", "ingressclasses");

#[test]
fn the_overlay_deployment_starts_and_its_roles_are_what_weir_asks_for() {
    let Some(objects) = overlay("deployment") else { return };
    try_everything(&objects, SERVICE, &[]);
}

#[test]
fn the_overlay_daemonset_starts_and_its_roles_are_what_weir_asks_for() {
    let Some(objects) = overlay("daemonset") else { return };
    try_everything(&objects, NODE, &[]);
}

#[test]
fn the_overlay_namespaced_starts_and_its_roles_are_what_weir_asks_for() {
    let Some(objects) = overlay("namespaced") else { return };
    try_everything(&objects, SERVICE, &[CLASSES]);
}

#[test]
fn a_verb_that_is_missing_from_the_roles_is_noticed() {
    let Some(mut objects) = overlay("deployment") else { return };
    let roles = |objects: &[Value]| -> Vec<Value> {
        objects.iter().filter(|it| it.get("rules").is_some()).cloned().collect()
    };
    let before = super::rbac::allowed(&roles(&objects));
    let role = objects.iter_mut().find(|it| it["kind"] == "ClusterRole").unwrap();
    role["rules"][0]["verbs"] = json!(["list"]);
    let after = super::rbac::allowed(&roles(&objects));
    let noticed = std::panic::catch_unwind(|| check(&roles(&objects), &before, &[]));
    assert!(noticed.is_err() && before.len() == after.len() + 2);
}

/// The chart's roles follow its values.
#[test]
fn the_chart_starts_with_namespaces_chosen_by_label_and_its_roles_are_what_weir_asks_for() {
    if !is_installed("helm") {
        return;
    }
    let output = Command::new("helm")
        .args(["template", "weir", "--namespace", "weir"])
        .args(["--set", "controller.scope.namespaceSelector=team=shop"])
        .arg(rendered::deploy().join("helm/weir"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", rendered::said(&output));
    try_everything(&documents(&String::from_utf8(output.stdout).unwrap()), SERVICE, &[]);
}
