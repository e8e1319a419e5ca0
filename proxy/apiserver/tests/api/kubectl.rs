//! The server as the real `kubectl` meets it.
//!
//! Where it is not installed its tests say so and pass, unless `WEIR_TEST_PEERS=required`.
//! (Debian has it in the package `kubernetes-client`.)

use crate::http::PATIENCE;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use weir_apiserver::{ApiServer, Cluster, Disturbance, Matching, Options};

/// Whether kubectl can be run.
fn installed() -> bool {
    if Command::new("kubectl").args(["version", "--client"]).stdout(Stdio::null()).status().is_ok() {
        return true;
    }
    let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
    assert!(!required, "kubectl is not installed");
    // Past the capture of a test that passes.
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("skipped: kubectl is not installed\n"),
    );
    false
}

/// A server behind TLS and a token, and a folder with its kubeconfig and a manifest.
struct Scene {
    server: ApiServer,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let server = ApiServer::start_blocking(Options::in_cluster("token")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), server.kubeconfig()).unwrap();
        std::fs::write(folder.path().join("web.yaml"), MANIFEST).unwrap();
        Self { server, folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        // Its cache goes to the folder too.
        command.env("HOME", self.folder.path()).env("KUBECONFIG", self.folder.path().join("kubeconfig"));
        command
    }

    /// What it prints, both ways, and whether it was content.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap().trim_end().to_owned())
    }

    /// What it prints when it succeeds.
    fn kubectl(&self, arguments: &[&str]) -> String {
        let (success, text) = self.run(arguments);
        assert!(success, "{arguments:?}: {text}");
        text
    }

    fn ingress(&self) -> Value {
        self.server.get("ingresses", "default", "web").unwrap().unwrap()
    }
}

const MANIFEST: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {weir.dev/limit-rps: "5", gone: "soon"}}
spec:
  ingressClassName: weir
  rules:
  - host: a.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}, {name: admin, port: 81}]}
"#;

#[test]
fn kubectl_applies_edits_and_deletes() {
    if !installed() {
        return;
    }
    let scene = Scene::new();
    let said = scene.kubectl(&["apply", "-f", "web.yaml"]);
    assert_eq!(said, "ingress.networking.k8s.io/web created\nservice/web created");
    let said = scene.kubectl(&["apply", "-f", "web.yaml"]);
    assert_eq!(said, "ingress.networking.k8s.io/web unchanged\nservice/web unchanged");
    // What the manifest no longer has is removed, in maps and in lists with a key.
    let changed = MANIFEST.replace(", gone: \"soon\"", "").replace(", {name: admin, port: 81}", "");
    std::fs::write(scene.folder.path().join("web.yaml"), changed).unwrap();
    let said = scene.kubectl(&["apply", "-f", "web.yaml"]);
    assert_eq!(said, "ingress.networking.k8s.io/web configured\nservice/web configured");
    assert_eq!(scene.ingress()["metadata"]["annotations"].get("gone"), None);
    let service = scene.server.get("services", "default", "web").unwrap().unwrap();
    assert_eq!(service["spec"]["ports"].as_array().map(Vec::len), Some(1));

    scene.kubectl(&["annotate", "ingress", "web", "weir.dev/limit-rps=7", "--overwrite"]);
    assert_eq!(scene.ingress()["metadata"]["annotations"]["weir.dev/limit-rps"], "7");
    scene.kubectl(&[
        "patch",
        "ing",
        "web",
        "--type=json",
        "-p",
        r#"[{"op":"remove","path":"/spec/ingressClassName"}]"#,
    ]);
    assert_eq!(scene.ingress()["spec"].get("ingressClassName"), None);
    scene.kubectl(&["patch", "svc", "web", "-p", r#"{"spec":{"ports":[{"port":82,"name":"b"}]}}"#]);
    let ports = scene.kubectl(&["get", "svc", "web", "-o", "jsonpath={.spec.ports[*].port}"]);
    assert_eq!(ports, "82 80");
    let mut edit = scene.command(&["edit", "ingress", "web"]);
    let edited = edit.env("KUBE_EDITOR", "sed -i s/a.example/b.example/").output().unwrap();
    assert!(edited.status.success(), "{edited:?}");
    assert_eq!(scene.ingress()["spec"]["rules"][0]["host"], "b.example");

    assert!(scene.kubectl(&["get", "ingress,svc", "-A"]).contains("ingress.networking.k8s.io/web"));
    scene.kubectl(&["delete", "-f", "web.yaml"]);
    assert_eq!(scene.server.get("ingresses", "default", "web").unwrap(), None);
    let (success, said) = scene.run(&["get", "ingress", "web"]);
    assert!(!success);
    assert_eq!(said, "Error from server (NotFound): ingresses.networking.k8s.io \"web\" not found");
}

#[test]
fn kubectl_creates_once_and_is_told_what_is_wrong() {
    if !installed() {
        return;
    }
    let scene = Scene::new();
    scene.kubectl(&["create", "-f", "web.yaml"]);
    let (success, said) = scene.run(&["create", "-f", "web.yaml"]);
    assert!(!success && said.contains("ingresses.networking.k8s.io \"web\" already exists"), "{said}");
    let wrong = MANIFEST.replace("pathType: Prefix, ", "");
    std::fs::write(scene.folder.path().join("wrong.yaml"), wrong).unwrap();
    let (success, said) = scene.run(&["apply", "-f", "wrong.yaml"]);
    assert!(!success && said.contains("pathType must be specified"), "{said}");
    scene.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "web.yaml"]);
    let (success, said) = scene.run(&["get", "ingresses", "--token=wrong"]);
    assert!(!success && said.contains("Unauthorized"), "{said}");
}

#[test]
fn kubectl_watches() {
    if !installed() {
        return;
    }
    let scene = Scene::new();
    let mut command = scene.command(&["get", "ingress", "-w", "-o", "name"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    assert!(scene.server.until_blocking(PATIENCE, |it| it.watches().len() == 1));
    scene.kubectl(&["apply", "-f", "web.yaml"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ingress.networking.k8s.io/web\n");
    // It does not come back when its watch ends.
    scene.server.faults().disturb(Matching::all(), Disturbance::End);
    child.wait().unwrap();
}
