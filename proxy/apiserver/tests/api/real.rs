//! The programs of a real cluster: what can be tried of them here, and the whole where `KUBEBUILDER_ASSETS` names them.
//!
//! Where there is no etcd its test says so and passes, unless `WEIR_TEST_PEERS=required`. (Debian has it in the package
//! `etcd-server`.)

use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use weir_apiserver::real::{self, RealServer, StartError};
use weir_apiserver::{ApiServer, Cluster, Options};

/// What tests do with a cluster works with each.
fn write_to(cluster: &impl Cluster) {
    let ingress = |service: &str| {
        let backend = json!({"service": {"name": service, "port": {"number": 80}}});
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web", "namespace": "fresh"},
            "spec": {"defaultBackend": backend},
        })
    };
    let first = cluster.put_value(ingress("a")).unwrap();
    let mut object = ingress("b");
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
    let second = cluster.put_value(object.clone()).unwrap();
    assert_eq!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(second["spec"], object["spec"]);
    assert_eq!(second["status"], object["status"]);
    let stale = cluster.put_value(first).unwrap_err();
    assert_eq!((stale.code, stale.reason), (409, "Conflict"));
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let patched = cluster.patch("ingresses", "fresh", "web", &labels).unwrap();
    assert_eq!(patched["metadata"]["labels"]["a"], "b");
    let there = cluster.get("ingresses", "fresh", "web").unwrap().unwrap();
    assert_eq!(cluster.list("ingresses", "fresh").unwrap(), [there]);

    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]},
    });
    let address = cluster.put_value(service.clone()).unwrap()["spec"]["clusterIP"].clone();
    assert_eq!(cluster.put_value(service).unwrap()["spec"]["clusterIP"], address);
    let slice = |address: &str| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "web"},
            "addressType": "IPv4", "endpoints": [{"addresses": [address]}], "ports": [{"name": "", "port": 80}],
        })
    };
    cluster.put_value(slice("10.0.0.1")).unwrap();
    assert_eq!(cluster.put_value(slice("127.0.0.1")).unwrap_err().reason, "Invalid");
    let class = |controller: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "weir"},
            "spec": {"controller": controller},
        })
    };
    cluster.put_value(class("weir.dev/ingress-controller")).unwrap();
    assert_eq!(cluster.put_value(class("other.dev/x")).unwrap_err().reason, "Invalid");

    cluster.delete("ingresses", "fresh", "web").unwrap();
    assert_eq!(cluster.get("ingresses", "fresh", "web").unwrap(), None);
    assert_eq!(cluster.delete("ingresses", "fresh", "web").unwrap_err().reason, "NotFound");
}

/// What one refuses or fills in, the other does.
fn judge(cluster: &impl Cluster) {
    let refused =
        |object: Value| cluster.put_value(object).map_err(|error| (error.code, error.reason)).unwrap_err();
    let ingress = |name: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name},
            "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}},
        })
    };
    cluster.put_value(ingress("judged")).unwrap();
    let another = json!({"metadata": {"uid": "another"}, "status": {}});
    let error = cluster.patch("ingresses", "default", "judged", &another).unwrap_err();
    assert_eq!((error.code, error.reason), (422, "Invalid"));
    for entry in [json!({"ip": "nowhere"}), json!({"hostname": "192.0.2.1"}), json!({"hostname": "A_b"})] {
        let status = json!({"status": {"loadBalancer": {"ingress": [entry]}}});
        let error = cluster.patch("ingresses", "default", "judged", &status).unwrap_err();
        assert_eq!((error.code, error.reason), (422, "Invalid"), "{entry}");
    }
    let empty = json!({"status": {"loadBalancer": {"ingress": []}}});
    let patched = cluster.patch("ingresses", "default", "judged", &empty).unwrap();
    assert_eq!(patched["status"], json!({"loadBalancer": {}}));
    let mut object = ingress("judged");
    object["spec"]["tls"] = json!([{"secretName": "A_b"}]);
    assert_eq!(refused(object), (422, "Invalid"));

    assert_eq!(cluster.put_value(ingress("before")).unwrap()["spec"].get("ingressClassName"), None);
    let class = |name: &str, default: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": name, "annotations": {"ingressclass.kubernetes.io/is-default-class": default}},
            "spec": {"controller": "other.dev/x"},
        })
    };
    cluster.put_value(class("usual", "true")).unwrap();
    cluster.put_value(class("unusual", "false")).unwrap();
    // The plugin sees classes a moment after they are written.
    let began = std::time::Instant::now();
    while cluster.put_value(ingress("after")).unwrap()["spec"]["ingressClassName"] != "usual" {
        assert!(began.elapsed().as_secs() < 20, "no default class");
        cluster.delete("ingresses", "default", "after").unwrap();
    }
    let mut object = ingress("legacy");
    object["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "x"});
    assert_eq!(cluster.put_value(object).unwrap()["spec"].get("ingressClassName"), None);
    assert_eq!(cluster.put_value(ingress("before")).unwrap()["spec"].get("ingressClassName"), None);
    cluster.delete("ingressclasses", "", "usual").unwrap();

    let secret = |kind: &str, value: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "judged"}, "type": kind,
            "data": {"a": value},
        })
    };
    assert_eq!(refused(secret("Opaque", "%%")).0, 400);
    cluster.put_value(secret("Opaque", "YQ==")).unwrap();
    assert_eq!(refused(secret("other.dev/x", "YQ==")), (422, "Invalid"));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "judged"},
        "spec": {"ports": [{"port": 80, "targetPort": 0}]},
    });
    assert_eq!(cluster.put_value(service).unwrap()["spec"]["ports"][0]["targetPort"], 80);
}

#[test]
fn a_cluster_in_memory_is_written_to() {
    let server = ApiServer::start_blocking(Options::default()).unwrap();
    write_to(&server);
    judge(&server);
}

/// A real etcd, and in place of the API server one in memory that takes its arguments.
#[test]
fn etcd_and_the_api_server_are_started_and_ended() {
    let Some(etcd) = installed_etcd() else { return };
    let assets = tempfile::tempdir().unwrap();
    symlink(etcd, assets.path().join("etcd")).unwrap();
    program(assets.path(), &format!("exec '{}' {STAND_IN}", env!("CARGO_BIN_EXE_weir-apiserver")));
    let tokens = [("token".to_owned(), "system:serviceaccount:weir:weir".to_owned())];
    let mut cluster = RealServer::start(assets.path(), &tokens).unwrap();
    write_to(&cluster);

    let arguments = std::fs::read_to_string(cluster.folder().join("arguments")).unwrap();
    let folder = cluster.folder().display().to_string();
    let port = cluster.url().rsplit_once(':').unwrap().1.to_owned();
    let arguments: Vec<String> =
        arguments.lines().map(|line| line.replace(&folder, "DIR").replace(&port, "PORT")).collect();
    assert!(arguments[0].starts_with("--etcd-servers=http://127.0.0.1:"), "{arguments:?}");
    assert_eq!(
        arguments[1..],
        [
            "--cert-dir=DIR",
            "--bind-address=127.0.0.1",
            "--secure-port=PORT",
            "--advertise-address=192.0.2.1",
            "--tls-cert-file=DIR/apiserver.crt",
            "--tls-private-key-file=DIR/apiserver.key",
            "--client-ca-file=DIR/ca.crt",
            "--service-account-issuer=https://127.0.0.1:PORT/",
            "--service-account-key-file=DIR/sa.pub",
            "--service-account-signing-key-file=DIR/sa.key",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
            "--token-auth-file=DIR/tokens.csv",
        ]
    );
    let read = |name: &str| std::fs::read_to_string(cluster.folder().join(name)).unwrap();
    assert_eq!(read("tokens.csv"), "token,system:serviceaccount:weir:weir,0,\"system:authenticated\"\n");
    assert!(read("sa.pub").starts_with("-----BEGIN PUBLIC KEY-----"));
    assert!(read("sa.key").starts_with("-----BEGIN PRIVATE KEY-----"));

    let url = cluster.url();
    cluster.restart().unwrap();
    assert_eq!(cluster.url(), url);
    assert!(cluster.get("namespaces", "", "default").unwrap().is_some());
    let etcd = arguments[0].trim_start_matches("--etcd-servers=http://").to_owned();
    assert!(std::net::TcpStream::connect(&etcd).is_ok());
    drop(cluster);
    assert!(std::net::TcpStream::connect(&etcd).is_err());
    assert!(std::net::TcpStream::connect(url.trim_start_matches("https://")).is_err());
}

#[test]
fn what_a_program_said_last_is_told_when_it_does_not_start() {
    let assets = tempfile::tempdir().unwrap();
    let error = RealServer::start(assets.path(), &[]).unwrap_err();
    assert!(matches!(error, StartError::Run { program: "etcd", .. }), "{error}");
    let Some(etcd) = installed_etcd() else { return };
    symlink(etcd, assets.path().join("etcd")).unwrap();
    program(assets.path(), "echo 'unknown flag: --secure-port' >&2; exit 1");
    let error = RealServer::start(assets.path(), &[]).unwrap_err().to_string();
    assert!(error.starts_with("kube-apiserver does not become ready"), "{error}");
    assert!(error.contains("unknown flag: --secure-port"), "{error}");
}

#[test]
fn a_real_cluster_is_written_to_where_there_is_one() {
    let Some(assets) = real::assets() else {
        // Past the capture of a test that passes.
        let _ = Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver\n"),
        );
        return;
    };
    let tokens = [("token".to_owned(), "system:serviceaccount:weir:weir".to_owned())];
    let mut cluster = RealServer::start(&assets, &tokens).unwrap();
    write_to(&cluster);
    judge(&cluster);
    cluster.restart().unwrap();
    assert!(cluster.get("ingressclasses", "", "weir").unwrap().is_some());
}

fn installed_etcd() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|it| it.is_file());
    if found.is_none() {
        let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
        assert!(!required, "etcd is not installed");
        // Past the capture of a test that passes.
        let _ = Write::write_fmt(&mut std::io::stderr(), format_args!("skipped: etcd is not installed\n"));
    }
    found
}

/// A program in the place of `kube-apiserver`: it notes its arguments, and then does what it is told here.
///
/// Another process writes it: a file that this one has open cannot be run, and a child that another test starts meanwhile
/// would have it open too.
fn program(assets: &Path, then: &str) {
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >arguments\n{READ_ARGUMENTS}{then}\n");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "cat >kube-apiserver && chmod 755 kube-apiserver"]).current_dir(assets);
    let mut writer = command.stdin(Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}

const READ_ARGUMENTS: &str = r#"
for argument in "$@"; do
    value=${argument#*=}
    case $argument in
    --secure-port=*) port=$value ;;
    --tls-cert-file=*) certificate=$value ;;
    --tls-private-key-file=*) key=$value ;;
    --client-ca-file=*) authority=$value ;;
    esac
done
"#;

const STAND_IN: &str =
    r#"--listen "127.0.0.1:$port" --certificate "$certificate" --key "$key" --client-authority "$authority""#;
