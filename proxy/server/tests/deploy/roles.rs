//! Who may do what, as far as it can be seen without a cluster. Whether it is what weir asks for is tried in
//! `tests/e2e/cluster/shipped.rs`.

use super::rendered::{EDGES, list, of_kind, overlay, text, title, workloads};
use serde_json::Value;

/// Bindings that bind nothing, and rules that say everything.
pub fn complaints(objects: &[Value]) -> Vec<String> {
    let mut all = Vec::new();
    let there = |kind: &str, namespace: &str, name: &str| {
        let mut of_kind = of_kind(objects, kind).into_iter();
        of_kind.any(|it| text(it, "/metadata/name") == name && text(it, "/metadata/namespace") == namespace)
    };
    for binding in objects.iter().filter(|it| it.get("roleRef").is_some()) {
        let kind = text(binding, "/roleRef/kind");
        let namespace = if kind == "Role" { text(binding, "/metadata/namespace") } else { "" };
        if !there(kind, namespace, text(binding, "/roleRef/name")) {
            all.push(format!("{}: there is no such role", title(binding)));
        }
        for subject in list(binding, "/subjects") {
            let (namespace, name) = (text(subject, "/namespace"), text(subject, "/name"));
            if subject["kind"] != "ServiceAccount" || !there("ServiceAccount", namespace, name) {
                all.push(format!("{}: binds somebody else", title(binding)));
            }
        }
    }
    for role in objects.iter().filter(|it| it.get("rules").is_some()) {
        let bound = objects.iter().any(|it| {
            it["roleRef"]["name"] == role["metadata"]["name"]
                && it["roleRef"]["kind"] == role["kind"]
                && it["metadata"]["namespace"] == role["metadata"]["namespace"]
        });
        if !bound {
            all.push(format!("{}: nobody has it", title(role)));
        }
        for words in list(role, "/rules")
            .iter()
            .flat_map(|rule| ["apiGroups", "resources", "verbs"].map(|it| &rule[it]))
        {
            if words.as_array().is_none_or(|words| words.is_empty() || words.iter().any(|it| it == "*")) {
                all.push(format!("{}: says everything", title(role)));
            }
        }
    }
    for workload in workloads(objects) {
        let name = text(workload, "/spec/template/spec/serviceAccountName");
        let namespace = text(workload, "/metadata/namespace");
        if !name.is_empty() && !there("ServiceAccount", namespace, name) {
            all.push(format!("{}: runs as nobody", title(workload)));
        }
    }
    all
}

#[test]
fn roles_are_bound_to_weir_and_none_says_everything() {
    for name in EDGES {
        let Some(objects) = overlay(name) else { return };
        let complaints = complaints(&objects);
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}

#[test]
fn a_role_that_is_too_wide_or_not_bound_is_noticed() {
    let Some(objects) = overlay("deployment") else { return };
    let of = |kind: &str| objects.iter().position(|it| it["kind"] == kind).unwrap();
    let changes = [
        ("ClusterRole", "/rules/0/verbs/0", "*"),
        ("ClusterRole", "/metadata/name", "other"),
        ("RoleBinding", "/subjects/0/name", "default"),
        ("ServiceAccount", "/metadata/name", "other"),
    ];
    for (kind, pointer, value) in changes {
        let mut objects = objects.clone();
        super::kustomize::put(&mut objects[of(kind)], pointer, value.into());
        assert!(!complaints(&objects).is_empty(), "nobody minds {pointer} of the {kind}");
    }
}
