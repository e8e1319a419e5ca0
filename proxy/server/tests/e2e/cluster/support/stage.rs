//! Clusters to play on, and weir beside them.

use super::objects::CLASS;
use super::{is_ready, put, until};
use crate::support::{Weir, binary};
use serde_json::json;
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
    let Some(assets) = real::assets() else { return };
    let Some(ip) = own_address() else {
        println!(
            "skipped: this machine has no address but loopback, which no endpoint of a real cluster may have"
        );
        return;
    };
    eprintln!("a real API server");
    let mut server = RealServer::start(&assets, &[]).unwrap();
    furnish(&server);
    test(&mut server, ip);
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
