//! The audit policy, the page about security, and versions that are written down more than once.

use super::rendered::{EDGES, deploy, documents, list, overlay, text, workloads};
use serde_json::Value;
use std::collections::BTreeSet;

const WEIR: &str = "system:serviceaccount:weir:weir";

fn policy() -> Value {
    let text = std::fs::read_to_string(deploy().join("audit-policy.yaml")).unwrap();
    documents(&text).remove(0)
}

/// The level at which a request is written down, by the rules of the API server: the first rule that fits.
fn level(policy: &Value, user: &str, verb: &str, (group, resource): (&str, &str), namespace: &str) -> String {
    let has = |list: &[Value], word: &str| list.is_empty() || list.iter().any(|it| it == word);
    let rule = list(policy, "/rules").iter().find(|rule| {
        let resources = list(rule, "/resources");
        let of_group = |it: &Value| it["group"] == group && has(list(it, "/resources"), resource);
        has(list(rule, "/users"), user)
            && has(list(rule, "/verbs"), verb)
            && has(list(rule, "/namespaces"), namespace)
            && (resources.is_empty() || resources.iter().any(of_group))
    });
    rule.map_or("none fits", |rule| text(rule, "/level")).to_owned()
}

#[test]
fn the_audit_policy_has_fields_and_levels_that_there_are() {
    let policy = policy();
    assert_eq!((text(&policy, "/apiVersion"), text(&policy, "/kind")), ("audit.k8s.io/v1", "Policy"));
    for rule in list(&policy, "/rules") {
        let fields = rule.as_object().unwrap().keys();
        let known = ["level", "users", "verbs", "resources", "namespaces"];
        assert!(fields.clone().all(|field| known.contains(&field.as_str())), "{rule}");
        assert!(["None", "Metadata", "Request", "RequestResponse"].contains(&text(rule, "/level")), "{rule}");
        for resource in list(rule, "/resources") {
            assert!(resource["group"].is_string() && !list(resource, "/resources").is_empty(), "{rule}");
        }
    }
}

#[test]
fn the_audit_policy_tells_who_changed_what_weir_enforces_and_no_secret() {
    let policy = policy();
    let of = |user, verb, resource, namespace| level(&policy, user, verb, resource, namespace);
    let networking = |resource| ("networking.k8s.io", resource);
    for verb in ["create", "update", "patch", "delete", "deletecollection"] {
        assert_eq!(of("jane", verb, networking("ingresses"), "shop"), "RequestResponse");
        assert_eq!(of("jane", verb, ("", "configmaps"), "weir"), "RequestResponse");
        assert_eq!(of("jane", verb, ("apps", "deployments"), "weir"), "RequestResponse");
        assert_eq!(
            of("jane", verb, ("rbac.authorization.k8s.io", "rolebindings"), "weir"),
            "RequestResponse"
        );
    }
    for (user, verb) in [("jane", "get"), ("jane", "update"), (WEIR, "list"), (WEIR, "get"), (WEIR, "watch")]
    {
        assert_eq!(of(user, verb, ("", "secrets"), "shop"), "Metadata", "{user} {verb}");
    }
    assert_eq!(of(WEIR, "patch", networking("ingresses/status"), "shop"), "Request");
    assert_eq!(of("jane", "update", ("coordination.k8s.io", "leases"), "weir"), "none fits");
}

/// Whatever a role allows, the policy says whether it is written down.
#[test]
fn the_audit_policy_knows_everything_that_weir_may_do() {
    let policy = policy();
    let mut tried = BTreeSet::new();
    for name in EDGES {
        let Some(objects) = overlay(name) else { return };
        for rule in objects.iter().flat_map(|it| list(it, "/rules")) {
            for resource in list(rule, "/resources") {
                for verb in list(rule, "/verbs") {
                    let group = text(rule, "/apiGroups/0");
                    let (resource, verb) = (resource.as_str().unwrap(), verb.as_str().unwrap());
                    let found = level(&policy, WEIR, verb, (group, resource), "weir");
                    assert_ne!(found, "none fits", "{verb} {resource} of {group:?}");
                    tried.insert((group.to_owned(), resource.to_owned(), verb.to_owned()));
                }
            }
        }
    }
    assert!(tried.len() > 20, "{tried:?}");
}

/// The rule for the metrics adapter, and the autoscaler that asks for what it makes.
#[test]
fn the_rule_of_the_metrics_adapter_makes_what_the_autoscaler_asks_for() {
    let page = std::fs::read_to_string(deploy().join("../docs/security.md")).unwrap();
    let (_, rest) = page.split_once("```yaml adapter\n").unwrap();
    let rule = &documents(rest.split_once("```").unwrap().0)[0]["rules"][0];
    let Some(objects) = overlay("deployment") else { return };
    let scaler = objects.iter().find(|it| it["kind"] == "HorizontalPodAutoscaler").unwrap();
    assert_eq!(rule["name"]["as"], scaler["spec"]["metrics"][1]["pods"]["metric"]["name"]);
    let metrics = std::fs::read_to_string(deploy().join("../docs/metrics.md")).unwrap();
    let series = text(rule, "/seriesQuery").split('{').next().unwrap();
    let row = metrics.lines().find(|line| line.starts_with(&format!("| `{series}` | counter |"))).unwrap();
    assert!(row.contains("`mode`") && text(rule, "/metricsQuery").contains(series));
}

#[test]
fn versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |path: &str| std::fs::read_to_string(deploy().join(path)).unwrap();
    let chart = &documents(&read("helm/weir/Chart.yaml"))[0];
    assert_eq!((text(chart, "/version"), text(chart, "/appVersion")), (version, version));
    for name in EDGES {
        let Some(objects) = overlay(name) else { return };
        let workload = workloads(&objects)[0];
        assert_eq!(text(workload, "/spec/template/spec/containers/0/image"), format!("weir:{version}"));
        assert_eq!(workload["metadata"]["labels"]["app.kubernetes.io/version"], version);
    }
    assert!(read("kustomize/components/sidecar/sidecar.yaml").contains(&format!("image: weir:{version}\n")));
}
