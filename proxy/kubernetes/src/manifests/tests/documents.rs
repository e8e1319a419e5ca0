//! What becomes of the text of one file.

use super::*;
use expect_test::{Expect, expect};
use std::fmt::Write;

fn read(text: &str) -> file::File {
    let mut file = file::File::new(Path::new("a.yaml").into());
    assert_eq!(file.update(Ok(text.to_owned())), Change::Changed);
    file
}

/// A text → its objects with their places, and its problems as findings.
#[track_caller]
fn check(text: &str, expected: &Expect) {
    let contents = read(text);
    let mut found = String::new();
    for placed in contents.objects() {
        let _ = writeln!(found, "{} ({})", placed.object.object_ref(), placed.place);
    }
    for problem in contents.problems().cloned() {
        let _ = writeln!(found, "{}", Finding::from(problem));
    }
    if contents.ignored() != 0 {
        let _ = writeln!(found, "{} ignored", contents.ignored());
    }
    expected.assert_eq(&found);
}

#[test]
fn several_documents_of_all_kinds() {
    check(
        "\
# first
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: weir, namespace: ignored}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
---
kind: EndpointSlice
addressType: IPv4
endpoints: []
metadata: {name: web-1}
apiVersion: discovery.k8s.io/v1
---
{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"settings\"}}
---
apiVersion: v1
kind: Secret
metadata: {name: tls}
data: {tls.key: c2VjcmV0}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
",
        &expect![[r#"
            IngressClass weir (a.yaml, document 1, line 2)
            Service shop/web (a.yaml, document 2, line 6)
            EndpointSlice default/web-1 (a.yaml, document 3, line 10)
            ConfigMap default/settings (a.yaml, document 4, line 16)
            Secret default/tls (a.yaml, document 5, line 18)
            1 ignored
        "#]],
    );
}

#[test]
fn a_broken_document_hurts_no_other() {
    let text =
        ingress("a", "a") + "---\nkind: Ingress\n  bad: [\n" + &ingress("b", "b") + "---\n- 1\n---\ntext\n";
    check(
        &text,
        &expect![[r#"
        Ingress default/a (a.yaml, document 1, line 2)
        Ingress default/b (a.yaml, document 3, line 13)
        error: File a.yaml: document 2, line 11: No YAML: mapping values are not allowed in this context; it is not read.
        error: File a.yaml: document 4, line 21: No Kubernetes object; it is not read.
        error: File a.yaml: document 5, line 23: No Kubernetes object; it is not read.
    "#]],
    );
}

#[test]
fn a_bad_item_of_a_list_hurts_no_other() {
    check(
        "\
apiVersion: v1
kind: List
items:
- apiVersion: networking.k8s.io/v1
  kind: Ingress
  metadata: {name: a}
- apiVersion: networking.k8s.io/v1
  kind: Ingress
  metadata: {name: b}
  spec:
    rules:
    - host: b.example
      http:
        paths:
        - path: /
          backend: {service: {name: web, port: {number: eighty}}}
- apiVersion: v1
  kind: Pod
- nothing
- apiVersion: networking.k8s.io/v1
  kind: Ingress
  metadata: {name: c}
---
kind: ServiceList
apiVersion: v1
items:
- metadata: {name: web}
",
        &expect![[r#"
            Ingress default/a (a.yaml, document 1, line 4)
            Ingress default/c (a.yaml, document 1, line 20)
            Service default/web (a.yaml, document 2, line 27)
            error: Ingress default/b: spec.rules[0].http.paths[0].backend.service.port.number: Invalid type: string "eighty", expected i32; it is not read (a.yaml, document 1, line 16).
            warning: File a.yaml: document 1, line 19: No Kubernetes object: it has no kind; it is ignored.
            1 ignored
        "#]],
    );
}

#[test]
fn what_ought_to_be_quoted_is_read_as_written_and_told() {
    let text = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: a
  annotations:
    weir.dev/limit-rps: 5
    weir.dev/limit-rpm: 1e3
    weir.dev/limit-connections: 010
    nginx.ingress.kubernetes.io/use-regex: yes
    weir.dev/quoted: '5'
    weir.dev/empty:
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {use-forwarded-headers: true}
";
    check(
        text,
        &expect![[r#"
        Ingress default/a (a.yaml, document 1, line 1)
        ConfigMap default/settings (a.yaml, document 2, line 13)
        warning: Ingress default/a: metadata.annotations[weir.dev/limit-rps] = "5": Kubernetes takes only strings here and would refuse the object; it is read as the text that it is: quote it (a.yaml, document 1, line 6).
        warning: Ingress default/a: metadata.annotations[weir.dev/limit-rpm] = "1e3": Kubernetes takes only strings here and would refuse the object; it is read as the text that it is: quote it (a.yaml, document 1, line 7).
        warning: Ingress default/a: metadata.annotations[weir.dev/limit-connections] = "010": Kubernetes takes only strings here and would refuse the object; it is read as the text that it is: quote it (a.yaml, document 1, line 8).
        warning: Ingress default/a: metadata.annotations[nginx.ingress.kubernetes.io/use-regex] = "yes": Kubernetes takes only strings here and would refuse the object; it is read as the text that it is: quote it (a.yaml, document 1, line 9).
        warning: ConfigMap default/settings: data.use-forwarded-headers = "true": Kubernetes takes only strings here and would refuse the object; it is read as the text that it is: quote it (a.yaml, document 2, line 16).
    "#]],
    );
    let objects: crate::Objects = read(text).objects().map(|placed| placed.object.clone()).collect();
    let annotations = objects.ingresses.get("default", "a").unwrap().metadata.annotations.clone().unwrap();
    let values: Vec<_> = annotations.values().map(String::as_str).collect();
    assert_eq!(values, ["yes", "", "010", "1e3", "5", "5"]);
    let data = objects.config_maps.get("default", "settings").unwrap().data.clone().unwrap();
    assert_eq!(data["use-forwarded-headers"], "true");
}

#[test]
fn old_versions_and_other_groups_and_misspelt_fields() {
    check(
        "\
apiVersion: networking.k8s.io/v1beta1
kind: Ingress
metadata: {name: a}
---
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: b}
---
kind: Service
metadata: {name: c}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: d}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: e}
spec:
  ingresClassName: nginx
---
replicas: 3
---
apiVersion: v1
kind: Service
metadata: {name: Upper, namespace: x}
---
apiVersion: v1
kind: Service
metadata: {namespace: x}
---
apiVersion: v1
kind: Service
metadata: {name: twice, name: twice}
",
        &expect![[r#"
            Ingress default/e (a.yaml, document 5, line 16)
            error: Ingress default/a: apiVersion = "networking.k8s.io/v1beta1": Expected networking.k8s.io/v1; it is not read (a.yaml, document 1, line 1).
            error: Ingress default/b: apiVersion = "extensions/v1beta1": Expected networking.k8s.io/v1; it is not read (a.yaml, document 2, line 5).
            error: Service default/c: apiVersion: Expected v1; it is not read (a.yaml, document 3, line 9).
            warning: Ingress default/e: spec.ingresClassName: Kubernetes has no such field here; it is ignored (a.yaml, document 5, line 20).
            warning: File a.yaml: document 6, line 22: No Kubernetes object: it has no kind; it is ignored.
            error: Service x/Upper: metadata: "Upper" is no name: expected lower case letters, digits, - and .; it is not read (a.yaml, document 7, line 24).
            error: Service x/(no name): metadata: Expected a name; it is not read (a.yaml, document 8, line 28).
            error: File a.yaml: document 9, line 34: No YAML: duplicate mapping key: name not allowed here; it is not read.
            1 ignored
        "#]],
    );
}

#[test]
fn a_secret_is_never_quoted() {
    let text = "\
apiVersion: v1
kind: Secret
metadata: {name: a}
data: {key: not-base64-hunter2}
---
apiVersion: v1
kind: Secret
metadata: {name: b}
stringData: {key: 271828}
---
apiVersion: v1
kind: Secret
metadata: {name: c}
stringData: {key: hunter2, key: hunter2}
---
apiVersion: v1
kind: Secret
metadata: {name: d}
data: [hunter2]
---
apiVersion: v1
kind: Secret
metadata: {name: e}
stringData: {key: hunter2}
data: {other: aHVudGVyMg==}
";
    let contents = read(text);
    let names: Vec<_> = contents.objects().map(|placed| placed.object.object_ref().name).collect();
    assert_eq!(names, ["b", "e"]);
    let objects: crate::Objects = contents.objects().map(|placed| placed.object.clone()).collect();
    let data = objects.secrets.get("default", "e").unwrap().data.clone().unwrap();
    assert_eq!(data.values().map(|bytes| bytes.0.as_slice()).collect::<Vec<_>>(), [b"hunter2", b"hunter2"]);
    let told = format!("{contents:?} {objects:?}");
    assert!(["hunter2", "271828", "aHVudGVyMg"].iter().all(|secret| !told.contains(secret)), "{told}");
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ('b'..='i').zip('a'..='h') {
        let _ =
            writeln!(bomb, "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]");
    }
    let deep = "[".repeat(100_000);
    for text in [bomb, deep] {
        let contents = read(&text);
        assert_eq!((contents.objects().count(), contents.problems().count()), (0, 1));
    }
}

#[test]
fn a_document_that_moved_is_not_read_again_and_is_told_at_its_new_place() {
    let bad = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspek: 1\n";
    let mut file = read(&(ingress("a", "a") + bad));
    let service = |file: &file::File| {
        let mut services = file.objects().filter_map(|placed| match &placed.object {
            crate::Object::Service(service) => Some((std::sync::Arc::as_ptr(service), placed.place.clone())),
            _ => None,
        });
        services.next().unwrap()
    };
    let (before, place) = service(&file);
    assert_eq!(place.to_string(), "a.yaml, document 2, line 10");
    file.update(Ok("# one\n# two\n".to_owned() + &ingress("a", "changed") + &ingress("b", "b") + bad));
    let (after, place) = service(&file);
    assert_eq!((place.to_string().as_str(), after), ("a.yaml, document 3, line 20", before));
    let problem = file.problems().next().unwrap();
    assert_eq!(problem.place.to_string(), "a.yaml, document 3, line 23");
    assert_eq!(file.objects().count(), 3);
}
