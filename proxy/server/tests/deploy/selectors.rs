//! Labels, and whoever looks for them.

use super::pods::containers;
use super::rendered::{list, of_kind, text, title, workloads};
use serde_json::Value;

/// Selectors that select nothing, ports that there are not, and pods that nobody protects.
pub fn complaints(objects: &[Value]) -> Vec<String> {
    let mut all = Vec::new();
    let pods: Vec<_> = workloads(objects).into_iter().map(|it| &it["spec"]["template"]).collect();
    let selected = |selector: &Value| pods.iter().any(|pod| selects(selector, &pod["metadata"]["labels"]));
    let mut must = |holds: bool, object: &Value, what: &str| {
        if !holds {
            all.push(format!("{}: {what}", title(object)));
        }
    };
    for workload in workloads(objects) {
        let labels = &workload["spec"]["template"]["metadata"]["labels"];
        let of_itself = |selector: Option<&Value>| selector.is_some_and(|it| selects(it, labels));
        must(of_itself(workload.pointer("/spec/selector/matchLabels")), workload, "does not select its pods");
        let terms =
            "/spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution";
        for term in list(workload, terms) {
            let selector = term.pointer("/podAffinityTerm/labelSelector/matchLabels");
            must(of_itself(selector), workload, "its anti-affinity is to others");
        }
        for spread in list(workload, "/spec/template/spec/topologySpreadConstraints") {
            must(of_itself(spread.pointer("/labelSelector/matchLabels")), workload, "it spreads others");
        }
        let protected = |kind: &str, pointer: &str| {
            let of_kind = of_kind(objects, kind);
            of_kind.iter().any(|it| it.pointer(pointer).is_some_and(|selector| selects(selector, labels)))
        };
        must(
            protected("PodDisruptionBudget", "/spec/selector/matchLabels"),
            workload,
            "has no disruption budget",
        );
        must(protected("NetworkPolicy", "/spec/podSelector/matchLabels"), workload, "has no network policy");
    }
    for service in of_kind(objects, "Service") {
        must(selected(&service["spec"]["selector"]), service, "selects no pod");
        for port in list(service, "/spec/ports") {
            must(has_port(&pods, &port["targetPort"]), service, "leads to a port that there is not");
        }
    }
    for policy in of_kind(objects, "NetworkPolicy") {
        if let Some(selector) = policy.pointer("/spec/podSelector/matchLabels") {
            must(selected(selector), policy, "selects no pod");
        }
    }
    for scaler in of_kind(objects, "HorizontalPodAutoscaler") {
        let target = &scaler["spec"]["scaleTargetRef"];
        let there = |it: &&Value| it["kind"] == target["kind"] && it["metadata"]["name"] == target["name"];
        must(workloads(objects).iter().any(there), scaler, "scales nothing");
    }
    all
}

/// Objects and pods without the labels that Kubernetes recommends.
pub fn missing_labels(objects: &[Value]) -> Vec<String> {
    let recommended = ["name", "instance", "version", "part-of", "managed-by"];
    let mut all = Vec::new();
    for object in objects {
        let pod = object.pointer("/spec/template");
        for labels in [Some(object), pod].into_iter().flatten().map(|it| &it["metadata"]["labels"]) {
            let missing =
                recommended.iter().filter(|label| labels.get(format!("app.kubernetes.io/{label}")).is_none());
            // A namespace is not an application.
            let missing = missing.filter(|label| object["kind"] != "Namespace" || **label != "name");
            all.extend(missing.map(|label| format!("{}: has no {label}", title(object))));
        }
    }
    all
}

/// Whether labels have what a selector asks for.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(wanted) = selector.as_object() else { return false };
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

fn has_port(pods: &[&Value], port: &Value) -> bool {
    let mut all = pods.iter().flat_map(|pod| containers(&pod["spec"])).flat_map(|it| list(it, "/ports"));
    all.any(|it| it["name"] == *port || it["containerPort"] == *port)
}

#[test]
fn a_selector_that_selects_nothing_is_noticed() {
    let Some(objects) = super::rendered::overlay("deployment") else { return };
    assert_eq!(complaints(&objects), Vec::<String>::new());
    let of = |kind: &str| objects.iter().position(|it| it["kind"] == kind).unwrap();
    let changes = [
        ("Service", "/spec/selector/app.kubernetes.io~1name"),
        ("Service", "/spec/ports/0/targetPort"),
        ("PodDisruptionBudget", "/spec/selector/matchLabels/app.kubernetes.io~1component"),
        (
            "Deployment",
            "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels/app.kubernetes.io~1name",
        ),
        ("Deployment", "/spec/template/metadata/labels/app.kubernetes.io~1component"),
        ("HorizontalPodAutoscaler", "/spec/scaleTargetRef/name"),
    ];
    for (kind, pointer) in changes {
        let mut objects = objects.clone();
        super::kustomize::put(&mut objects[of(kind)], pointer, "other".into());
        assert!(!complaints(&objects).is_empty(), "nobody minds {pointer} of the {kind}");
    }
    let mut bare = objects.clone();
    super::kustomize::put(
        &mut bare[of("Service")],
        "/metadata/labels/app.kubernetes.io~1part-of",
        Value::Null,
    );
    assert_eq!(missing_labels(&bare).len(), 1);
    assert_eq!(text(&objects[of("Service")], "/kind"), "Service");
}
