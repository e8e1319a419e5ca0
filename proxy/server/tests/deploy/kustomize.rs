//! The overlays keep the rules, and each rule is one that can be broken.

use super::rendered::{EDGES, EXAMPLE, OVERLAYS, deploy, file, list, of_kind, overlay, text, workloads};
use super::{pods, selectors, strict};
use serde_json::{Value, json};

#[test]
fn the_pods_of_the_overlays_are_as_security_guides_ask() {
    for name in OVERLAYS {
        let Some(objects) = overlay(name) else { return };
        let complaints = pods::complaints(&objects);
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}

#[test]
fn labels_and_selectors_of_the_overlays_fit_together() {
    for name in OVERLAYS {
        let Some(objects) = overlay(name) else { return };
        let complaints = selectors::complaints(&objects);
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
    for name in EDGES {
        let Some(objects) = overlay(name) else { return };
        let complaints = selectors::missing_labels(&objects);
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}

#[test]
fn each_overlay_has_what_it_is_for_and_nothing_else() {
    let kinds = |name: &str| -> Option<Vec<(String, String)>> {
        let kind = |it: &Value| (text(it, "/kind").to_owned(), text(it, "/metadata/name").to_owned());
        Some(overlay(name)?.iter().map(kind).collect())
    };
    let Some(base) = super::rendered::kustomize(&deploy().join("kustomize/base")) else { return };
    assert_eq!(of_kind(&base, "Deployment").len(), 1);
    let has = |name: &str, kind: &str| kinds(name).unwrap().iter().any(|it| it.0 == kind);
    assert!(has("deployment", "HorizontalPodAutoscaler"));
    assert!(has("daemonset", "DaemonSet") && !has("daemonset", "Deployment"));
    for kind in ["ClusterRole", "ClusterRoleBinding", "IngressClass"] {
        assert!(has("deployment", kind) && has("daemonset", kind) && !has("namespaced", kind), "{kind}");
    }
    for name in EDGES {
        for kind in ["PodDisruptionBudget", "NetworkPolicy", "ServiceAccount", "ConfigMap"] {
            assert!(has(name, kind), "{name}: {kind}");
        }
        let objects = overlay(name).unwrap();
        let pod = &workloads(&objects)[0]["spec"]["template"]["spec"];
        if name != "daemonset" {
            assert!(pod.pointer("/affinity/podAntiAffinity").is_some(), "{name}");
            assert!(!list(pod, "/topologySpreadConstraints").is_empty(), "{name}");
        }
    }
    // The autoscaler and the Deployment must not both say how many there are.
    let objects = overlay("deployment").unwrap();
    assert!(of_kind(&objects, "Deployment")[0]["spec"].get("replicas").is_none());
}

/// The sidecar asks nobody, and is a native one: it starts before the application and ends after it.
#[test]
fn the_sidecar_has_no_token_and_starts_before_the_application() {
    let Some(objects) = overlay("sidecar") else { return };
    let pod = &workloads(&objects)[0]["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    let weir = &pod["initContainers"][0];
    assert_eq!(weir["restartPolicy"], "Always");
    assert_eq!(pods::flag(weir, "source"), Some("podinfo=/etc/podinfo/annotations"));
    let mounted = list(weir, "/volumeMounts").iter().any(|it| it["mountPath"] == "/etc/podinfo");
    let field = "/volumes/0/downwardAPI/items/0/fieldRef/fieldPath";
    assert!(mounted && text(pod, field) == "metadata.annotations");
    assert_eq!(of_kind(&objects, "Service")[0]["spec"]["ports"][0]["targetPort"], "weir");
    // Deployments without the label are left alone.
    let folder = tempfile::tempdir().unwrap();
    let component = deploy().join("kustomize/components/sidecar");
    std::fs::create_dir(folder.path().join("sidecar")).unwrap();
    for file in ["kustomization.yaml", "sidecar.yaml"] {
        std::fs::copy(component.join(file), folder.path().join("sidecar").join(file)).unwrap();
    }
    let application =
        std::fs::read_to_string(deploy().join("kustomize/overlays/sidecar/application.yaml")).unwrap();
    let without = application.replace("weir.dev/sidecar: enabled", "weir.dev/sidecar: disabled");
    std::fs::write(folder.path().join("application.yaml"), without).unwrap();
    let kustomization = "resources: [application.yaml]\ncomponents: [sidecar]\n";
    std::fs::write(folder.path().join("kustomization.yaml"), kustomization).unwrap();
    let objects = super::rendered::kustomize(folder.path()).unwrap();
    assert!(workloads(&objects)[0].pointer("/spec/template/spec/initContainers").is_none());
}

/// Two ways to the same sidecar. What its arguments do is tried with the example (`tests/e2e/sidecar/example.rs`).
#[test]
fn the_component_adds_the_sidecar_of_the_example() {
    let example = file(EXAMPLE);
    assert_eq!(example.iter().flat_map(strict::complaints).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(pods::complaints(&example), Vec::<String>::new());
    let sidecar = |objects: &[Value]| {
        let mut weir = pods::weir(workloads(objects)[0]).unwrap().clone();
        // The component's volume has a name that is not taken in your pods.
        put(&mut weir, "/volumeMounts/0/name", "podinfo".into());
        weir
    };
    let Some(component) = overlay("sidecar") else { return };
    assert_eq!(sidecar(&component), sidecar(&example));
}

/// Takes something away, or adds something, and counts complaints.
#[test]
fn each_rule_for_pods_notices_what_breaks_it() {
    let Some(objects) = overlay("deployment") else { return };
    let at = objects.iter().position(|it| it["kind"] == "Deployment").unwrap();
    let container = "/spec/template/spec/containers/0";
    let context = format!("{container}/securityContext");
    let pod = "/spec/template/spec";
    let changes = [
        (format!("{context}/readOnlyRootFilesystem"), Value::Null),
        (format!("{context}/readOnlyRootFilesystem"), json!(false)),
        (format!("{context}/allowPrivilegeEscalation"), Value::Null),
        (format!("{context}/privileged"), json!(true)),
        (format!("{context}/runAsNonRoot"), json!(false)),
        (format!("{context}/capabilities"), Value::Null),
        (format!("{context}/capabilities/drop"), json!(["NET_RAW"])),
        (format!("{context}/capabilities/add"), json!(["NET_BIND_SERVICE"])),
        (format!("{context}/procMount"), json!("Unmasked")),
        (format!("{pod}/securityContext/seccompProfile"), Value::Null),
        (format!("{pod}/securityContext/seccompProfile/type"), json!("Unconfined")),
        (format!("{pod}/securityContext/runAsUser"), json!(0)),
        (format!("{pod}/securityContext/runAsGroup"), Value::Null),
        (format!("{pod}/hostNetwork"), json!(true)),
        (format!("{pod}/hostPID"), json!(true)),
        (format!("{pod}/hostIPC"), json!(true)),
        (format!("{pod}/shareProcessNamespace"), json!(true)),
        (format!("{pod}/volumes"), json!([{"name": "a", "hostPath": {"path": "/"}}])),
        (format!("{pod}/automountServiceAccountToken"), Value::Null),
        (format!("{pod}/terminationGracePeriodSeconds"), json!(30)),
        (format!("{container}/args/8"), json!("--shutdown-delay=3s")),
        (format!("{container}/args/9"), json!("--shutdown-timeout=5m")),
        (format!("{container}/resources/limits/memory"), Value::Null),
        (format!("{container}/resources/requests/cpu"), Value::Null),
        (format!("{container}/livenessProbe"), Value::Null),
        (format!("{container}/readinessProbe/httpGet/path"), json!("/healthz")),
        (format!("{container}/readinessProbe/httpGet/port"), json!("admin")),
        (format!("{container}/image"), json!("weir:latest")),
        (format!("{container}/env/0/valueFrom"), json!({"secretKeyRef": {"name": "a", "key": "b"}})),
        (format!("{container}/envFrom"), json!([{"secretRef": {"name": "a"}}])),
        ("/spec/strategy/rollingUpdate/maxUnavailable".to_owned(), json!(1)),
        ("/spec/strategy/rollingUpdate/maxSurge".to_owned(), json!(0)),
    ];
    for (pointer, value) in changes {
        let mut objects = objects.clone();
        put(&mut objects[at], &pointer, value.clone());
        assert!(!pods::complaints(&objects).is_empty(), "nobody minds {pointer} = {value}");
    }
    let mut objects = objects;
    let namespace = objects.iter_mut().find(|it| it["kind"] == "Namespace").unwrap();
    put(namespace, "/metadata/labels/pod-security.kubernetes.io~1enforce", json!("baseline"));
    assert!(!pods::complaints(&objects).is_empty());
}

/// Writes a value at a place, or takes away what is there.
pub fn put(object: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    match object.pointer_mut(parent).unwrap() {
        Value::Object(fields) if value.is_null() => drop(fields.remove(&name).unwrap()),
        Value::Object(fields) => drop(fields.insert(name, value)),
        Value::Array(elements) => elements[name.parse::<usize>().unwrap()] = value,
        other => panic!("{other} has no fields"),
    }
}
