//! Rules for pods: what security guides ask of them, and what loses no request.

use super::rendered::{list, of_kind, text, title, workloads};
use serde_json::Value;
use std::time::Duration;

/// What is wrong with the pods of these objects.
pub fn complaints(objects: &[Value]) -> Vec<String> {
    let mut all = Vec::new();
    for workload in workloads(objects) {
        let pod = &workload["spec"]["template"]["spec"];
        let mut of_pod = of_the_pod(pod);
        for container in containers(pod) {
            let name = text(container, "/name");
            let each =
                [in_its_container(container, pod), of_resources(container), of_probes(container)].concat();
            of_pod.extend(each.into_iter().map(|it| format!("{name}: {it}")));
        }
        of_pod.extend(of_its_end(workload));
        of_pod.extend(of_updates(workload));
        all.extend(of_pod.into_iter().map(|it| format!("{}: {it}", title(workload))));
    }
    all.extend(of_namespaces(objects));
    all
}

/// All containers of a pod.
pub fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "/initContainers").iter().chain(list(pod, "/containers"))
}

/// The container with weir in it, of a workload.
pub fn weir(workload: &Value) -> Option<&Value> {
    containers(&workload["spec"]["template"]["spec"])
        .find(|container| list(container, "/args").first().is_some_and(|first| first == "serve"))
}

/// The value of a flag of weir.
pub fn flag<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    let prefix = format!("--{name}=");
    list(container, "/args").iter().filter_map(Value::as_str).find_map(|arg| arg.strip_prefix(&prefix))
}

fn of_the_pod(pod: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for shared in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        if pod[shared] == true {
            all.push(format!("{shared} is on"));
        }
    }
    for volume in list(pod, "/volumes") {
        if volume.get("hostPath").is_some() {
            all.push(format!("the volume {} is the node's", volume["name"]));
        }
    }
    // A token is a secret: who has one says so.
    if !pod["automountServiceAccountToken"].is_boolean() {
        all.push("whether it has a token is left open".to_owned());
    }
    all
}

fn in_its_container(container: &Value, pod: &Value) -> Vec<String> {
    let own = &container["securityContext"];
    let either = |field: &str| match &own[field] {
        Value::Null => pod["securityContext"][field].clone(),
        value => value.clone(),
    };
    let mut all = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            all.push(what.to_owned());
        }
    };
    must(either("runAsNonRoot") == true, "may be root");
    must(either("runAsUser").as_u64().is_some_and(|user| user >= 10_000), "may be a user of the node");
    must(either("runAsGroup").as_u64().is_some_and(|group| group >= 10_000), "may be in a group of the node");
    must(either("seccompProfile")["type"] == "RuntimeDefault", "has no seccomp profile");
    must(own["readOnlyRootFilesystem"] == true, "may write to its root");
    must(own["allowPrivilegeEscalation"] == false, "may gain privileges");
    must(own["privileged"] != true, "is privileged");
    must(own["capabilities"]["drop"] == serde_json::json!(["ALL"]), "keeps capabilities");
    let binds_low = list(container, "/ports").iter().any(|port| port["containerPort"].as_u64() < Some(1024));
    let added = list(own, "/capabilities/add");
    let binding_only = added.iter().all(|it| it == "NET_BIND_SERVICE");
    must(added.is_empty() || (binds_low && binding_only), "adds capabilities");
    must(matches!(own["procMount"].as_str(), None | Some("Default")), "sees more of /proc");
    must(container.get("envFrom").is_none(), "takes its environment from an object");
    let in_the_open = |variable: &&Value| !matches!(text(variable, "/valueFrom/fieldRef/fieldPath"), "");
    let secret = list(container, "/env").iter().any(|it| !in_the_open(&it));
    must(!secret, "has variables that are not fields of the pod");
    let image = text(container, "/image");
    must(image.contains(':') && !image.ends_with(":latest"), "runs whatever image is the latest");
    all
}

fn of_resources(container: &Value) -> Vec<String> {
    let kinds = ["/resources/requests/cpu", "/resources/requests/memory", "/resources/limits/cpu"];
    let kinds = kinds.into_iter().chain(["/resources/limits/memory"]);
    let missing = kinds.filter(|pointer| text(container, pointer).is_empty());
    missing.map(|pointer| format!("has no {pointer}")).collect()
}

fn of_probes(container: &Value) -> Vec<String> {
    let weir = list(container, "/args").first().is_some_and(|first| first == "serve");
    let ports: Vec<_> = list(container, "/ports").iter().map(|port| &port["name"]).collect();
    let mut all = Vec::new();
    // A sidecar's startup lets the others start.
    let started = if container["restartPolicy"] == "Always" { "/readyz" } else { "/healthz" };
    for (probe, path) in
        [("startupProbe", started), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        if !weir {
            continue;
        }
        let asked = &container[probe]["httpGet"];
        if asked["path"] != path {
            all.push(format!("{probe} does not ask {path}"));
        }
        if !ports.contains(&&asked["port"]) {
            all.push(format!("{probe} asks a port that there is not"));
        }
    }
    for probe in ["livenessProbe", "readinessProbe"] {
        if container.get(probe).is_none() {
            all.push(format!("has no {probe}"));
        }
    }
    all
}

/// The grace period is longer than what the end takes at most, and nobody is sent there any more when accepting ends.
fn of_its_end(workload: &Value) -> Vec<String> {
    let Some(weir) = weir(workload) else { return Vec::new() };
    let pod = &workload["spec"]["template"]["spec"];
    let time = |name: &str| flag(weir, name).and_then(duration);
    let sleep = |it: &Value| it.pointer("/lifecycle/preStop/sleep/seconds").and_then(Value::as_u64);
    // A sidecar is told to end when the others have ended, and these must wait.
    let delay = match weir["restartPolicy"] == "Always" {
        true => list(pod, "/containers").iter().filter_map(sleep).min().map(Duration::from_secs),
        false => time("shutdown-delay"),
    };
    let (Some(delay), Some(timeout)) = (delay, time("shutdown-timeout")) else {
        return vec!["does not say how long its end takes".to_owned()];
    };
    let grace = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30));
    let probe = &weir["readinessProbe"];
    let number = |field: &str, default: u64| probe[field].as_u64().unwrap_or(default);
    let noticed = Duration::from_secs(number("periodSeconds", 10) * number("failureThreshold", 3));
    let mut all = Vec::new();
    if grace < delay + timeout + SPARE {
        all.push(format!("is killed after {grace:?}, but takes {delay:?} and {timeout:?}"));
    }
    if noticed > delay {
        all.push(format!("is sent connections for {noticed:?}, but takes them for {delay:?}"));
    }
    all
}

/// A new pod before an old one goes; but two pods cannot have one port of a node, so there it is one node at a time.
fn of_updates(workload: &Value) -> Vec<String> {
    // How others are updated is their owners' business.
    if weir(workload).is_none_or(|weir| weir["restartPolicy"] == "Always") {
        return Vec::new();
    }
    let strategy = match text(workload, "/kind") {
        "DaemonSet" => &workload["spec"]["updateStrategy"]["rollingUpdate"],
        _ => &workload["spec"]["strategy"]["rollingUpdate"],
    };
    let (surge, unavailable) = (&strategy["maxSurge"], &strategy["maxUnavailable"]);
    let right = match has_port_of_node(workload) {
        true => *surge == 0 && *unavailable == 1,
        false => *unavailable == 0 && !surge.is_null() && *surge != 0,
    };
    (!right).then(|| "an update takes pods away before there are others".to_owned()).into_iter().collect()
}

fn has_port_of_node(workload: &Value) -> bool {
    containers(&workload["spec"]["template"]["spec"])
        .any(|container| list(container, "/ports").iter().any(|port| port.get("hostPort").is_some()))
}

/// A namespace of ours admits no pods that ask for more than ours do.
fn of_namespaces(objects: &[Value]) -> Vec<String> {
    let enforced =
        if workloads(objects).into_iter().any(has_port_of_node) { "privileged" } else { "restricted" };
    let wrong = of_kind(objects, "Namespace").into_iter().filter(|namespace| {
        let labels = &namespace["metadata"]["labels"];
        labels["pod-security.kubernetes.io/enforce"] != enforced
            || labels["pod-security.kubernetes.io/warn"] != "restricted"
            || labels["pod-security.kubernetes.io/audit"] != "restricted"
    });
    wrong.map(|namespace| format!("{}: should enforce {enforced}", title(namespace))).collect()
}

/// A duration as weir reads it.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(60 * number)),
        "h" => Some(Duration::from_secs(3600 * number)),
        _ => None,
    }
}

/// What is left of the grace period for the log to be written.
const SPARE: Duration = Duration::from_secs(5);
