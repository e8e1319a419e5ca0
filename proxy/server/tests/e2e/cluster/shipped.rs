//! What `deploy/` ships, with the real binary: its arguments start weir, and its roles are enough and none is too much.

#[path = "../../deploy/rendered.rs"]
mod rendered;

use super::rbac::{asked, check, everything_with, scene};
use super::support::{Pod, ingress, is_ready, put, until};
use crate::support::{Client, Reply, Weir, binary};
use rendered::{is_installed, list, overlay, text, workloads};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use weir_apiserver::{ApiServer, Cluster};

/// weir as a container of these objects has it: with its arguments and variables, but on ports that the system chooses,
/// with a Lease that must soon be renewed, and with another time to go on accepting at its end.
fn start(server: &ApiServer, objects: &[Value], delay: &str) -> Weir {
    let container = &workloads(objects)[0]["spec"]["template"]["spec"]["containers"][0];
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    let mut command = Command::new(binary());
    for argument in list(container, "/args").iter().filter_map(Value::as_str) {
        command.arg(match argument.split_once('=') {
            Some((flag @ ("--http" | "--https" | "--admin"), _)) => format!("{flag}=127.0.0.1:0"),
            Some((flag @ "--shutdown-delay", _)) => format!("{flag}={delay}"),
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
    let (server, _pod) = furnished(objects, &roles);
    let weir = start(&server, objects, "0s");
    everything_with(&server, weir, address, "weir-leader");
    check(&roles, &asked(&server), optional);
}

/// A cluster in which only these roles hold, with weir's ConfigMap.
fn furnished(objects: &[Value], roles: &[Value]) -> (ApiServer, Pod) {
    let (server, pod) = scene(roles);
    let mut settings = objects.iter().find(|it| it["kind"] == "ConfigMap").unwrap().clone();
    // Tests ask as fast as they can, and all from one address.
    settings["data"] = json!({"client-sockets": "0", "client-socket-rate": "0", "socket-rate": "0"});
    put(&server, [settings]);
    server.take_requests();
    (server, pod)
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
    let label = "controller.scope.namespaceSelector=team=shop";
    let Some(objects) = chart(&["--set", label]) else { return };
    try_everything(&objects, SERVICE, &[]);
}

/// With the values that ship for it, the chart serves the class of ingress-nginx with the limits that are there.
#[test]
fn the_chart_takes_over_from_ingress_nginx() {
    let values = rendered::deploy().join("helm/weir/ci/take-over-values.yaml");
    let Some(objects) = chart(&["--values", values.to_str().unwrap()]) else { return };
    let of = |part: &str| objects.iter().filter(|it| it.get(part).is_some()).cloned().collect::<Vec<_>>();
    let (server, _pod) = furnished(&objects, &of("rules"));
    let class = objects.iter().find(|it| it["kind"] == "IngressClass").unwrap().clone();
    assert_eq!(class["spec"]["controller"], "k8s.io/ingress-nginx");
    let mut old =
        ingress("old", "old.example", "pod", &json!({"nginx.ingress.kubernetes.io/limit-rpm": "1"}));
    old["spec"]["ingressClassName"] = "nginx".into();
    put(&server, [class, old, ingress("new", "new.example", "pod", &json!({}))]);
    let weir = start(&server, &objects, "0s");
    let mut client = Client::connect(weir.http);
    let statuses: Vec<_> = (0..10).map(|_| client.get("old.example", "/").status).collect();
    // One a minute, with a burst of five times that, and one.
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429, 429, 429, 429]);
    assert_eq!(client.get("new.example", "/").status, 404, "the class weir is not ours then");
    assert!(weir.terminate().success());
}

/// The chart as release `weir` in the namespace `weir`; nothing where there is no `helm`.
fn chart(arguments: &[&str]) -> Option<Vec<Value>> {
    is_installed("helm").then(|| rendered::chart(arguments).unwrap())
}

/// Replicas are replaced one by one, as the Deployment says: a new one is ready before an old one is told to end, and for
/// a while after that it is still sent connections, because the news has to travel.
#[test]
fn a_rolling_update_of_weir_loses_no_request() {
    let Some(objects) = overlay("deployment") else { return };
    let roles: Vec<Value> = objects.iter().filter(|it| it.get("rules").is_some()).cloned().collect();
    let (server, _pod) = furnished(&objects, &roles);
    put(&server, [ingress("plain", "plain.example", "pod", &json!({}))]);
    let mut running: VecDeque<Weir> = (0..2).map(|_| start(&server, &objects, DELAY)).collect();
    let balancer = Balancer::default();
    let mut ending = Vec::new();
    running.iter().for_each(|weir| balancer.add(weir.http));
    std::thread::scope(|scope| {
        let stop = Stop(&balancer);
        let clients: Vec<_> = (0..4)
            .map(|n| {
                scope.spawn({
                    let balancer = &balancer;
                    move || balancer.ask(n % 2 == 0)
                })
            })
            .collect();
        for _ in 0..2 {
            balancer.wait(200);
            let new = start(&server, &objects, DELAY);
            balancer.add(new.http);
            running.push_back(new);
            let old = running.pop_front().unwrap();
            old.signal();
            until("it says that it is about to end", || !is_ready(&old));
            balancer.wait(200);
            balancer.remove(old.http);
            ending.push(old);
        }
        balancer.wait(200);
        drop(stop);
        clients.into_iter().for_each(|client| client.join().expect("no request is lost"));
    });
    assert!(ending.into_iter().all(|old| old.ended().success()));
}

/// As in the manifests, but for half the time.
const DELAY: &str = "5s";

/// Where connections are sent, and how many requests were answered.
#[derive(Default)]
struct Balancer {
    to: Mutex<Vec<SocketAddr>>,
    answered: AtomicUsize,
    stop: AtomicBool,
}

impl Balancer {
    fn add(&self, address: SocketAddr) {
        self.to.lock().unwrap().push(address);
    }

    fn remove(&self, address: SocketAddr) {
        self.to.lock().unwrap().retain(|it| *it != address);
    }

    /// Waits until so many more requests were answered.
    fn wait(&self, count: usize) {
        let wanted = self.answered.load(SeqCst) + count;
        until("clients ask", || self.answered.load(SeqCst) >= wanted || self.stop.load(SeqCst));
        assert!(!self.stop.load(SeqCst), "a client has lost a request");
    }

    /// Asks until it is told to stop, over one connection as long as that lasts, or over a new one each time.
    fn ask(&self, keep: bool) {
        // If one loses a request, nobody need go on.
        let _stop = Stop(self);
        let mut kept = None;
        for n in 0.. {
            if self.stop.load(SeqCst) {
                return;
            }
            let reply = self.once(&mut kept, n);
            assert_eq!((reply.status, reply.text()), (200, "pod".to_owned()));
            if !keep || reply.header("connection") == Some("close") {
                kept = None;
            }
            self.answered.fetch_add(1, SeqCst);
        }
    }

    fn once(&self, kept: &mut Option<Client>, n: usize) -> Reply {
        let ask = |client: &mut Client| {
            client
                .try_send("GET / HTTP/1.1\r\nHost: plain.example\r\n\r\n")
                .and_then(|()| client.try_read("GET"))
        };
        // Whoever finds a kept connection closed asks once more on another (RFC 9110, section 9.2.2).
        if let Some(Ok(reply)) = kept.as_mut().map(ask) {
            return reply;
        }
        let all = self.to.lock().unwrap().clone();
        let to = all[n % all.len()];
        let client = kept.insert(Client::connect(to));
        ask(client).unwrap_or_else(|error| panic!("a request to {to} is lost: {error}"))
    }
}

/// Stops the clients when it is dropped.
struct Stop<'a>(&'a Balancer);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, SeqCst);
    }
}
