//! Objects are applied, edited and deleted by the hundred while clients ask.

use super::support::{
    Load, NAMESPACE, Pod, Stage, State, ingress, on_each_cluster, put, reachable, service, slice, start,
    until,
};
use crate::support::{Client, Weir, installed};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::process::{Command, Stdio};

/// Hosts that nobody touches, each led to one of these pods, whose Services are called as they are.
fn untouched(pods: &[Pod]) -> (Vec<Value>, Vec<(String, State)>) {
    let mut objects: Vec<_> = pods.iter().flat_map(|pod| reachable(&pod.name, pod.address)).collect();
    let mut hosts = Vec::new();
    for (n, pod) in pods.iter().enumerate().flat_map(|(n, pod)| [(2 * n, pod), (2 * n + 1, pod)]) {
        let (name, host) = (format!("still-{n}"), format!("still-{n}.example"));
        objects.push(ingress(&name, &host, &pod.name, &json!({})));
        hosts.push((host, State::at(&pod.name)));
    }
    (objects, hosts)
}

/// Spends what every client of the load has on this host.
fn spend(weir: &Weir, host: &str) {
    for client in Load::clients() {
        let mut client = Client::connect_from(client, weir.http);
        let spent = (0..100).any(|_| client.get(host, "/").status == 429);
        assert!(spent, "{host} has a limit");
    }
}

#[test]
fn not_one_request_is_lost_or_misrouted_while_hundreds_of_objects_come_change_and_go() {
    on_each_cluster(|cluster, ip| come_change_and_go(cluster, ip));
}

fn come_change_and_go(cluster: &dyn Stage, ip: IpAddr) {
    let pods = Pod::several(ip, "pod", 8);
    let (objects, mut hosts) = untouched(&pods);
    put(cluster, objects);
    let limited = |n: usize| {
        let annotations = json!({
            "nginx.ingress.kubernetes.io/proxy-body-size": format!("{}m", n + 1), "weir.dev/limit-rph": "1",
        });
        ingress("limited", "limited.example", &pods[n % pods.len()].name, &annotations)
    };
    put(cluster, [limited(0)]);
    let names: Vec<String> = (0..100).map(|n| format!("app-{n}")).collect();
    let host = |name: &str| format!("{name}.example");
    hosts.push(("limited.example".to_owned(), State::Refused));
    hosts.extend(names.iter().map(|name| (host(name), State::Absent)));

    let weir = start(cluster, &[]);
    spend(&weir, "limited.example");
    let load = Load::new(weir.http, hosts);
    let ((), asked) = load.during(|| {
        for (n, name) in names.iter().enumerate() {
            let pod = &pods[n % pods.len()];
            load.becomes(&host(name), State::at(&pod.name));
            put(cluster, reachable(name, pod.address));
            put(cluster, [ingress(name, &host(name), name, &json!({}))]);
            load.wait(4);
        }
        load.settle();
        for round in 1..=2 {
            for (n, name) in names.iter().enumerate() {
                let pod = &pods[(n + 3 * round) % pods.len()];
                load.becomes(&host(name), State::at(&pod.name));
                let annotations = json!({"weir.dev/limit-rps": format!("{}", 1000 + round)});
                put(cluster, [ingress(name, &host(name), &pod.name, &annotations)]);
                if n % 10 == 0 {
                    put(cluster, [limited(n)]);
                }
                load.wait(4);
            }
        }
        load.settle();
        for name in &names {
            load.becomes(&host(name), State::Absent);
            cluster.delete("ingresses", NAMESPACE, name).unwrap();
            cluster.delete("services", NAMESPACE, name).unwrap();
            cluster.delete("endpointslices", NAMESPACE, &format!("{name}-1")).unwrap();
            load.wait(4);
        }
        load.settle();
    });
    assert!(asked >= 4 * 400, "{asked}");
    assert_eq!(weir.findings(), Vec::<Value>::new());
    eprintln!("{asked} requests, {} configurations", weir.generation());
}

/// A manifest of several applications: each with its Service, its endpoints and its Ingress.
fn manifest(names: &[String], pods: &[Pod], version: usize) -> Value {
    let items = names.iter().enumerate().flat_map(|(n, name)| {
        let pod = &pods[(n + version) % pods.len()];
        let annotations = json!({"weir.dev/limit-rps": format!("{}", 1000 + version)});
        // What leads to a host goes before what it is led to.
        let ingress = ingress(name, &format!("{name}.example"), &pod.name, &annotations);
        [ingress, service(name), slice(&format!("{name}-1"), name, &[])]
    });
    json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()})
}

#[test]
fn kubectl_applies_edits_and_deletes_under_load() {
    if installed(&["kubectl"]) {
        on_each_cluster(|cluster, ip| by_kubectl(cluster, ip));
    }
}

fn by_kubectl(cluster: &dyn Stage, ip: IpAddr) {
    let pods = Pod::several(ip, "pod", 4);
    let (objects, mut hosts) = untouched(&pods);
    put(cluster, objects);
    let names: Vec<String> = (0..40).map(|n| format!("app-{n}")).collect();
    let host = |name: &str| format!("{name}.example");
    hosts.extend(names.iter().map(|name| (host(name), State::Absent)));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kubeconfig"), cluster.kubeconfig()).unwrap();
    let kubectl = |arguments: &[&str]| {
        let mut command = Command::new("kubectl");
        command.args(arguments).current_dir(folder.path()).stdin(Stdio::null());
        command.env("HOME", folder.path()).env("KUBECONFIG", folder.path().join("kubeconfig"));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}");
    };
    let becomes = |load: &Load, version: usize| {
        let text = manifest(&names, &pods, version).to_string();
        std::fs::write(folder.path().join("apps.json"), text).unwrap();
        for (n, name) in names.iter().enumerate() {
            load.becomes(&host(name), State::at(&pods[(n + version) % pods.len()].name));
        }
    };

    let weir = start(cluster, &[]);
    let load = Load::new(weir.http, hosts);
    let ((), asked) = load.during(|| {
        for version in 1..=2 {
            becomes(&load, version);
            kubectl(&["apply", "-f", "apps.json"]);
            load.settle();
        }
        let before = weir.generation();
        kubectl(&[
            "-n",
            NAMESPACE,
            "annotate",
            "ingresses",
            "--all",
            "weir.dev/limit-rps=2000",
            "--overwrite",
        ]);
        until("the edit is in force", || weir.generation() > before);
        load.becomes(&host(&names[0]), State::at(&pods[0].name));
        let backend = json!({"service": {"name": pods[0].name, "port": {"number": 80}}});
        let patch =
            json!([{"op": "replace", "path": "/spec/rules/0/http/paths/0/backend", "value": backend}]);
        kubectl(&["-n", NAMESPACE, "patch", "ingress", &names[0], "--type=json", "-p", &patch.to_string()]);
        load.settle();
        names.iter().for_each(|name| load.becomes(&host(name), State::Absent));
        kubectl(&["delete", "-f", "apps.json", "--wait=false"]);
        load.settle();
    });
    eprintln!("{asked} requests, {} configurations", weir.generation());
}
