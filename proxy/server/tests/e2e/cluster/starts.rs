//! How weir starts where there is no cluster, or one that does not let it in.

use super::support::{
    Pod, command, grant, in_memory, in_memory_with, ingress, is_ready, put, reachable, real_for_user,
    unready, until,
};
use crate::support::{Weir, get};
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use weir_apiserver::{Access, Cluster, Options};

/// Runs weir to its end, which must come by itself: its code, and what it says.
fn ended(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command().args(arguments).stdout(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn without_a_cluster_it_says_where_it_looked_and_exits_with_1() {
    let (code, said) = ended(&[]);
    assert_eq!(code, Some(1), "{said}");
    for part in ["--source kubernetes", "service account", "--kubeconfig", "KUBECONFIG", "~/.kube/config"] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_used_is_named_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let file = file.to_str().unwrap();
    let (code, said) = ended(&["--kubeconfig", file]);
    assert!(code == Some(1) && said.contains(file), "{code:?}: {said}");
    std::fs::write(file, "clusters: 5").unwrap();
    let (code, said) = ended(&["--kubeconfig", file]);
    assert!(code == Some(1) && said.contains(file), "{code:?}: {said}");
}

#[test]
fn what_rbac_denies_is_named_and_weir_is_ready_when_it_is_allowed() {
    let server = in_memory_with(Options { access: Access::Rules(Vec::new()), ..Options::default() });
    denied(&server.kubeconfig(), || server.set_access(Access::Everything));
    if let Some((server, kubeconfig, _)) = real_for_user() {
        let everything = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "weir"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
        });
        denied(&kubeconfig, || grant(&server, &[everything]));
    }
}

fn denied(kubeconfig: &str, allow: impl FnOnce()) {
    let weir = unready(kubeconfig, &[], &[]);
    for denied in [
        "cannot list resource \"ingresses\" in API group \"networking.k8s.io\"",
        "cannot list resource \"endpointslices\" in API group \"discovery.k8s.io\"",
        "cannot list resource \"services\" in API group \"\"",
        "cannot list resource \"secrets\" in API group \"\"",
    ] {
        // As JSON writes it.
        let denied = denied.replace('"', "\\\"");
        until(&denied, || weir.stderr().replace("\\\\", "\\").contains(&denied));
    }
    assert!(!is_ready(&weir));
    allow();
    until("weir is ready", || is_ready(&weir));
}

#[test]
fn a_token_that_nobody_knows_is_told_and_is_no_end() {
    let server = in_memory_with(Options::in_cluster("right"));
    let weir = unready(&server.kubeconfig().replace("right", "wrong"), &[], &[]);
    until("it is said", || weir.stderr().contains("Unauthorized"));
    assert!(!is_ready(&weir));
    assert!(!weir.stderr().contains("wrong"), "a token is a secret");
}

#[test]
fn a_pod_finds_the_cluster_by_its_service_account() {
    let server = in_memory_with(Options::in_cluster("token"));
    let pod = Pod::start(Ipv4Addr::LOCALHOST.into(), "pod");
    put(&server, reachable("pod", pod.address));
    put(&server, [ingress("web", "web.example", "pod", &json!({}))]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "token").unwrap();
    std::fs::write(folder.path().join("ca.crt"), server.authority_pem().unwrap()).unwrap();
    std::fs::write(folder.path().join("namespace"), "weir").unwrap();
    if !can_mount() {
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: a mount of its own cannot be given to a process here\n"),
        );
        return;
    }
    let url = server.url();
    let (host, port) = url.trim_start_matches("https://").split_once(':').unwrap();
    let usual = command();
    let mut command = within(folder.path(), usual.get_program().to_str().unwrap());
    command.args(usual.get_args()).args(["--configmap", "weir/settings"]);
    command.env_remove("KUBECONFIG").env("HOME", "/nonexistent");
    command.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port);
    let weir = Weir::run(folder, command);
    until("weir is ready", || is_ready(&weir));
    assert_eq!(get(weir.http, "web.example", "/").text(), "pod");
    // Its Lease lives where it lives.
    until("it leads", || server.get("leases", "weir", "weir-ingress-controller-leader").unwrap().is_some());
}

/// A command that sees a folder as its service account, in a mount of its own.
fn within(folder: &Path, program: &str) -> Command {
    let script = "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && \
                  ln -s \"$0\" /run/secrets/kubernetes.io/serviceaccount && \
                  test -e /var/run/secrets/kubernetes.io/serviceaccount && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(folder).arg(program);
    command
}

fn can_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let tried = within(folder.path(), "true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}
