//! Clusters to play on, and weir beside them.

use super::objects::CLASS;
use super::{is_ready, put, until};
use crate::support::{Weir, binary};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::Command;
use weir_apiserver::real::{self, RealServer};
use weir_apiserver::{ApiServer, Cluster, EndpointAddresses, Options};

/// A cluster that a test can take away for a while.
pub trait Stage: Cluster {
    /// The API server goes away, as when its process dies.
    fn pause(&mut self);

    /// It comes back under the same address.
    fn resume(&mut self);
}

impl Stage for ApiServer {
    fn pause(&mut self) {
        Self::pause(self);
    }

    fn resume(&mut self) {
        Self::resume(self).unwrap();
    }
}

impl Stage for RealServer {
    fn pause(&mut self) {
        Self::pause(self);
    }

    fn resume(&mut self) {
        Self::resume(self).unwrap();
    }
}

/// The service account that roles are for.
pub const USER: &str = "system:serviceaccount:weir:weir";

/// A server in memory, whose endpoints may be processes of the test.
pub fn in_memory() -> ApiServer {
    in_memory_with(Options::default())
}

/// The same with these options.
pub fn in_memory_with(options: Options) -> ApiServer {
    let any = Options { endpoint_addresses: EndpointAddresses::Any, ..options };
    let server = ApiServer::start_blocking(any).unwrap();
    furnish(&server);
    server
}

/// Runs a test with the server in memory, and with a real one where there is one. The address is where pods can be.
pub fn on_each_cluster(test: impl Fn(&mut dyn Stage, IpAddr)) {
    eprintln!("the API server in memory");
    test(&mut in_memory(), Ipv4Addr::LOCALHOST.into());
    if let Some((mut server, ip)) = real(&[]) {
        test(&mut server, ip);
    }
}

/// A real cluster where there is one, with users by their tokens. The address is where pods can be.
fn real(tokens: &[(String, String)]) -> Option<(RealServer, IpAddr)> {
    let Some(assets) = real::assets() else {
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver\n"),
        );
        return None;
    };
    let Some(ip) = own_address() else {
        println!(
            "skipped: this machine has no address but loopback, which no endpoint of a real cluster may have"
        );
        return None;
    };
    eprintln!("a real API server");
    let server = RealServer::start(&assets, tokens).unwrap();
    furnish(&server);
    Some((server, ip))
}

/// A real cluster where there is one, and a kubeconfig of [`USER`], who may do nothing yet.
pub fn real_for_user() -> Option<(RealServer, String, IpAddr)> {
    let (server, ip) = real(&[("token".to_owned(), USER.to_owned())])?;
    let kubeconfig = server.kubeconfig_of("token");
    Some((server, kubeconfig, ip))
}

/// Lets [`USER`] do what roles say, and waits until that holds.
pub fn grant(server: &RealServer, roles: &[Value]) {
    for role in roles {
        let kind = role["kind"].as_str().unwrap();
        put(server, [role.clone()]);
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}Binding"),
            "metadata": role["metadata"],
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role["metadata"]["name"],
            },
            "subjects": [{"kind": "ServiceAccount", "namespace": "weir", "name": "weir"}],
        });
        put(server, [binding]);
    }
    for attributes in roles.iter().flat_map(attributes) {
        until(&format!("{attributes} is allowed"), || server.may(USER, &attributes).unwrap());
    }
}

/// Everything that a role allows, as questions to the API server.
fn attributes(role: &Value) -> Vec<Value> {
    let each = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![json!("")]);
    let mut all = Vec::new();
    for rule in each(&role["rules"]) {
        for group in each(&rule["apiGroups"]) {
            for resource in each(&rule["resources"]) {
                let (resource, part) =
                    resource.as_str().map(|it| it.split_once('/').unwrap_or((it, ""))).unwrap();
                for verb in each(&rule["verbs"]) {
                    for name in each(&rule["resourceNames"]) {
                        all.push(json!({
                            "namespace": role["metadata"]["namespace"].as_str().unwrap_or_default(),
                            "group": group, "resource": resource, "subresource": part, "verb": verb, "name": name,
                        }));
                    }
                }
            }
        }
    }
    all
}

/// An address of this machine that is not a loopback address, as endpoints of a real cluster must have.
fn own_address() -> Option<IpAddr> {
    // Nothing is sent: the system says from where it would.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

/// What every test needs: our class, and settings under which tests may ask as fast as they can from one address.
fn furnish(cluster: &dyn Cluster) {
    let objects = [
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": CLASS},
            "spec": {"controller": "weir.dev/ingress-controller"},
        }),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "weir", "name": "settings"},
            "data": {
                "client-sockets": "0", "client-socket-rate": "0", "socket-rate": "0",
                "keep-alive-requests": "1000000000",
            },
        }),
    ];
    put(cluster, objects);
}

/// Weir, with everything listed.
pub fn start(cluster: &(impl Cluster + ?Sized), flags: &[&str]) -> Weir {
    start_with(&cluster.kubeconfig(), flags, &[])
}

/// Weir with this kubeconfig, these flags and these variables, with everything listed.
pub fn start_with(kubeconfig: &str, flags: &[&str], variables: &[(&str, &str)]) -> Weir {
    let weir = unready(kubeconfig, flags, variables);
    until("weir is ready", || is_ready(&weir));
    weir
}

/// As [`start_with`], however far it is.
pub fn unready(kubeconfig: &str, flags: &[&str], variables: &[(&str, &str)]) -> Weir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig).unwrap();
    let mut command = command();
    command.arg("--kubeconfig").arg(file).args(flags).envs(variables.iter().copied());
    if !flags.iter().any(|flag| flag.starts_with("--configmap")) {
        command.args(["--configmap", "weir/settings"]);
    }
    Weir::run(folder, command)
}

/// `weir serve --source kubernetes`, on ports that the system chooses, in an environment that knows of no cluster.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", "off"]);
    command.args(["--source", "kubernetes"]).env_remove("KUBECONFIG").env("HOME", "/nonexistent");
    command.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
    command.env_remove("POD_NAME").env_remove("POD_NAMESPACE");
    command
}
