//! ingress-nginx goes and weir takes its place, or stands beside it.

use super::support::{NAMESPACE, Pod, in_memory, on_each_cluster, put, reachable, start, start_with, until};
use crate::support::{Client, burst, count, get};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use weir_apiserver::{Cluster, Verb};

/// What an installation of ingress-nginx and its users left behind.
fn inheritance(ip: IpAddr) -> (Pod, Vec<Value>) {
    let pod = Pod::start(ip, "pod");
    let ingress = |name: &str, annotations: Value, class: Value| {
        let mut ingress = super::support::ingress(name, &format!("{name}.example"), "pod", &annotations);
        ingress["spec"]["ingressClassName"] = class;
        ingress
    };
    let mut objects = vec![
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        }),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "ingress-nginx", "name": "ingress-nginx-controller"},
            "data": {"limit-req-status-code": "429", "proxy-body-size": "20m"},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "ingress-nginx", "name": "ingress-nginx-controller"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
        }),
        ingress("by-class", json!({"nginx.ingress.kubernetes.io/limit-rpm": "1"}), json!("nginx")),
        ingress("by-annotation", json!({"kubernetes.io/ingress.class": "nginx"}), Value::Null),
    ];
    objects.extend(reachable("pod", pod.address));
    (pod, objects)
}

/// As in the Deployment of ingress-nginx's chart.
const FLAGS: [&str; 9] = [
    "--publish-service=ingress-nginx/ingress-nginx-controller",
    "--election-id=ingress-nginx-leader",
    "--controller-class=k8s.io/ingress-nginx",
    "--ingress-class=nginx",
    "--configmap=ingress-nginx/ingress-nginx-controller",
    "--validating-webhook=:8443",
    "--validating-webhook-certificate=/usr/local/certificates/cert",
    "--validating-webhook-key=/usr/local/certificates/key",
    "--enable-metrics=false",
];

#[test]
fn the_manifests_and_flags_of_ingress_nginx_serve_and_limit_as_they_are() {
    on_each_cluster(|cluster, ip| {
        let (_pod, objects) = inheritance(ip);
        put(cluster, objects);
        let variables = [("POD_NAMESPACE", "ingress-nginx"), ("POD_NAME", "ingress-nginx-controller-0")];
        let weir = start_with(&cluster.kubeconfig(), &FLAGS, &variables);
        assert_eq!(get(weir.http, "by-annotation.example", "/").text(), "pod");
        let (replies, _) = burst(&mut Client::connect(weir.http), "by-class.example", "/", 10);
        assert_eq!((count(&replies, 200), count(&replies, 429)), (6, 4), "six at once and one a minute");
        until("the status is that of the Service", || {
            ["by-class", "by-annotation"].iter().all(|name| {
                let ingress = cluster.get("ingresses", NAMESPACE, name).unwrap().unwrap();
                ingress["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.7"
            })
        });
        let lease = cluster.get("leases", "ingress-nginx", "ingress-nginx-leader").unwrap().unwrap();
        assert_eq!(lease["spec"]["holderIdentity"], "ingress-nginx-controller-0");
    });
}

#[test]
fn beside_ingress_nginx_its_ingresses_are_neither_served_nor_written_to() {
    let server = in_memory();
    let (pod, objects) = inheritance(Ipv4Addr::LOCALHOST.into());
    put(&server, objects);
    // It has a finding, too.
    put(
        &server,
        [super::support::ingress("ours", "ours.example", "pod", &json!({"weir.dev/limit-rps": "many"}))],
    );
    server.take_requests();
    let weir = start(&server, &["--publish-status-address=192.0.2.7"]);
    let written = |server: &weir_apiserver::ApiServer, verb: Verb, resource: &str| {
        server.requests().into_iter().filter(|it| it.verb == verb && it.resource == resource).count()
    };
    let done = server.until_blocking(Duration::from_secs(20), |server| {
        written(server, Verb::Patch, "ingresses") == 1 && written(server, Verb::Create, "events") == 1
    });
    assert!(done, "{:?}", server.requests());
    assert_eq!(
        get(weir.http, "ours.example", "/").status,
        503,
        "a limit that nobody understands lets nobody in"
    );
    for host in ["by-class.example", "by-annotation.example"] {
        assert_eq!(get(weir.http, host, "/").status, 404);
    }
    let reading = [Verb::Get, Verb::List, Verb::Watch];
    for write in server.requests().into_iter().filter(|it| !reading.contains(&it.verb)) {
        let ours = match write.resource.as_str() {
            "ingresses" => write.name == "ours" && write.subresource == "status",
            "events" => write.verb == Verb::Create,
            "leases" => write.name.is_empty() || write.name == "weir-ingress-controller-leader",
            _ => false,
        };
        assert!(ours, "{write}");
    }
    drop(pod);
}
