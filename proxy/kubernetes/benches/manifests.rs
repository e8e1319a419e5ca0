//! Ten thousand Ingresses from a folder.

use divan::Bencher;
use std::fmt::Write;
use std::fs;
use tempfile::TempDir;
use weir_kubernetes::manifests::{self, Manifests};
use weir_kubernetes::{Options, translate};

fn main() {
    divan::main();
}

/// How the objects are spread over files.
#[derive(Clone, Copy, Debug)]
enum Layout {
    /// A file for each.
    Files,
    /// Documents of one file.
    Documents,
    /// Items of one list, in the JSON that `kubectl get -o json` prints.
    List,
}

const LAYOUTS: [Layout; 3] = [Layout::Files, Layout::Documents, Layout::List];
const INGRESSES: usize = 10_000;

#[divan::bench(args = LAYOUTS, sample_count = 5, sample_size = 1)]
fn load(bencher: Bencher<'_, '_>, layout: Layout) {
    let folder = folder(layout);
    bencher.bench_local(|| {
        let loaded = manifests::load(folder.path()).expect("a folder that was just written");
        assert_eq!((loaded.objects.ingresses.len(), loaded.problems.len()), (INGRESSES, 0));
        loaded
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn translate_all(bencher: Bencher<'_, '_>) {
    let folder = folder(Layout::Documents);
    let loaded = manifests::load(folder.path()).expect("a folder that was just written");
    bencher.bench_local(|| translate(&loaded.objects, &Options::manifests()));
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn look_at_files_of_which_none_changed(bencher: Bencher<'_, '_>) {
    let folder = folder(Layout::Files);
    let mut manifests =
        Manifests::new(folder.path(), Options::manifests()).expect("a folder that was just written");
    assert!(manifests.refresh().is_some());
    bencher.bench_local(|| assert!(manifests.refresh().is_none()));
}

#[divan::bench(args = [Layout::Files, Layout::Documents], sample_count = 5, sample_size = 1)]
fn change_one(bencher: Bencher<'_, '_>, layout: Layout) {
    let folder = folder(layout);
    let mut manifests =
        Manifests::new(folder.path(), Options::manifests()).expect("a folder that was just written");
    assert!(manifests.refresh().is_some());
    let path = folder.path().join(if matches!(layout, Layout::Files) { "5000.yaml" } else { "all.yaml" });
    let mut text = fs::read_to_string(&path).expect("a folder that was just written");
    bencher.bench_local(|| {
        text.push_str("# one more line\n");
        fs::write(&path, &text).expect("a folder that was just written");
        assert!(manifests.refresh().is_some());
    });
}

fn folder(layout: Layout) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder that was just written");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a folder that was just written");
    };
    write("backend.yaml", BACKEND);
    match layout {
        Layout::Files => (0..INGRESSES).for_each(|n| write(&format!("{n}.yaml"), &yaml(n))),
        Layout::Documents => write("all.yaml", &(0..INGRESSES).map(yaml).collect::<String>()),
        Layout::List => {
            let mut text = "{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n".to_owned();
            for n in 0..INGRESSES {
                let comma = if n == 0 { "" } else { ",\n" };
                let _ = write!(text, "{comma}{}", json(n));
            }
            text.push_str("\n    ],\n    \"kind\": \"List\"\n}\n");
            write("all.json", &text);
        }
    }
    folder
}

fn yaml(n: usize) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop-{n}
  namespace: team-{}
  annotations:
    nginx.ingress.kubernetes.io/limit-rps: \"5\"
    nginx.ingress.kubernetes.io/limit-connections: \"20\"
    nginx.ingress.kubernetes.io/proxy-body-size: 8m
spec:
  ingressClassName: nginx
  rules:
  - host: shop-{n}.example
    http:
      paths:
      - path: /api
        pathType: Prefix
        backend:
          service:
            name: web
            port:
              number: 80
      - path: /
        pathType: Prefix
        backend:
          service:
            name: web
            port:
              name: http
",
        n % 100
    )
}

fn json(n: usize) -> String {
    format!(
        r#"        {{
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {{
                "annotations": {{
                    "nginx.ingress.kubernetes.io/limit-rps": "5"
                }},
                "creationTimestamp": "2024-05-01T00:00:00Z",
                "generation": 1,
                "managedFields": [
                    {{
                        "apiVersion": "networking.k8s.io/v1",
                        "fieldsType": "FieldsV1",
                        "fieldsV1": {{"f:metadata": {{"f:annotations": {{".": {{}}, "f:nginx.ingress.kubernetes.io/limit-rps": {{}}}}}}, "f:spec": {{"f:rules": {{}}}}}},
                        "manager": "kubectl",
                        "operation": "Update",
                        "time": "2024-05-01T00:00:00Z"
                    }}
                ],
                "name": "shop-{n}",
                "namespace": "default",
                "resourceVersion": "{n}",
                "uid": "0b0e0000-0000-4000-8000-{n:012}"
            }},
            "spec": {{
                "ingressClassName": "nginx",
                "rules": [
                    {{
                        "host": "shop-{n}.example",
                        "http": {{
                            "paths": [
                                {{
                                    "backend": {{"service": {{"name": "web", "port": {{"number": 80}}}}}},
                                    "path": "/",
                                    "pathType": "Prefix"
                                }}
                            ]
                        }}
                    }}
                ]
            }},
            "status": {{"loadBalancer": {{"ingress": [{{"ip": "10.0.0.1"}}]}}}}
        }}"#
    )
}

const BACKEND: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
";
