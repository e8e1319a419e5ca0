mod backends;
mod classes;
mod endpoints;
mod pod;
mod secrets;

use super::*;
use crate::manifests::objects;
use expect_test::{Expect, expect};
use std::fmt::Write;
use weir_core::Snapshot;
use weir_core::declaration::{BackendName, BackendSpec};
use weir_core::finding::Severity;
use weir_limits::Seed;

/// Objects as YAML → what is served, one fact a line, and what is wrong.
#[track_caller]
fn check(yaml: &str, expected: &Expect) {
    check_with(&Options::manifests(), yaml, expected);
}

#[track_caller]
fn check_with(options: &Options, yaml: &str, expected: &Expect) {
    let (declaration, findings) = translate(&objects(yaml), options);
    expected.assert_eq(&render(&declaration, &findings));
}

fn render(declaration: &Declaration, findings: &[Finding]) -> String {
    let mut text = String::new();
    for ingress in &declaration.ingresses {
        let _ = writeln!(text, "{}", ingress.object);
        for rule in &ingress.rules {
            for path in &rule.paths {
                let backend = path.backend.as_ref().map_or_else(|| "404".to_owned(), name);
                let _ = writeln!(text, "  {:?} {:?} {:?} -> {backend}", rule.host, path.kind, path.path);
            }
            if rule.paths.is_empty() {
                let _ = writeln!(text, "  {:?}", rule.host);
            }
        }
        if let Some(backend) = &ingress.default_backend {
            let _ = writeln!(text, "  default -> {}", name(backend));
        }
    }
    for (backend, spec) in &declaration.backends {
        let spec = match spec {
            BackendSpec::Addresses(addresses) => format!("{addresses:?}"),
            BackendSpec::External { host, port } => format!("{host}:{port}"),
        };
        let _ = writeln!(text, "{} = {spec}", name(backend));
    }
    if let Some(backend) = &declaration.default_backend {
        let _ = writeln!(text, "without route -> {}", name(backend));
    }
    for finding in findings {
        let _ = writeln!(text, "{finding}");
    }
    text
}

fn name(backend: &BackendName) -> String {
    backend.to_string()
}

/// An Ingress with one rule, whose lines are `rules` under `spec.rules`.
fn ingress(name: &str, head: &str, rules: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n{}spec:\n  rules:\n{}",
        indent(head, 2),
        indent(rules, 2)
    )
}

fn rule(host: &str, path: &str, kind: &str, service: &str, port: &str) -> String {
    format!(
        "- host: {host}\n  http:\n    paths:\n    - path: {path}\n      pathType: {kind}\n      backend: {}\n",
        format_args!("{{service: {{name: {service}, port: {port}}}}}")
    )
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

const SERVICE: &str = "\
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: admin, port: 81, targetPort: admin}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports:
- {name: http, port: 8080}
- {name: admin, port: 9090}
endpoints:
- addresses: [10.0.0.2]
- addresses: [10.0.0.1]
  conditions: {ready: true}
- addresses: [10.0.0.3]
  conditions: {ready: false}
";

#[test]
fn nothing_gives_nothing() {
    check("", &expect![[""]]);
}

#[test]
fn every_mistake_is_told_with_its_field_and_hurts_no_other_rule() {
    let web = |host: &str, path: &str, kind: &str| rule(host, path, kind, "web", "{number: 80}");
    let hosts = ["'*'", "a.*.example", "'*.*.example'", "a..b", "a.example:80", "'a b'"];
    let rules: String = hosts.map(|host| web(host, "/", "Prefix")).concat()
        + &web("'*.ok.example'", "no-slash", "Prefix")
        + &web("ok.example", "\"/a\\nb\"", "Prefix")
        + &web("ok.example", "'/ alias /etc/;'", "ImplementationSpecific")
        + &web("ok.example", "/content_by_lua", "ImplementationSpecific")
        + &web("ok.example", "/kind", "prefix")
        + &web("ok.example", "/none", "")
        + &web("127.0.0.1", "/address", "Exact")
        + &web("ok.example", "/fine", "Prefix");
    let (declaration, findings) =
        translate(&objects(&(SERVICE.to_owned() + &ingress("a", "", &rules))), &Options::manifests());
    let snapshot = Snapshot::build(declaration, None, &Seed::from_u128(1));
    assert_eq!(snapshot.find("ok.example", "/fine").unwrap().path, "/fine");
    assert_eq!(snapshot.find("127.0.0.1", "/address").unwrap().path, "/address");
    let told: String = snapshot
        .findings
        .iter()
        .map(|found| format!("{} {:?} {}\n", found.field, found.value, found.code))
        .collect();
    expect![[r#"
        error: Ingress default/a: spec.rules[7].http.paths[0].path = "/a\nb": Control characters are refused; requests get 404.
        error: Ingress default/a: spec.rules[8].http.paths[0].path = "/ alias /etc/;": Text of this form is refused, as it was by ingress-nginx; requests get 404.
        error: Ingress default/a: spec.rules[9].http.paths[0].path = "/content_by_lua": Text of this form is refused, as it was by ingress-nginx; requests get 404.
        error: Ingress default/a: spec.rules[10].http.paths[0].pathType = "prefix": Expected Exact, Prefix or ImplementationSpecific, the last of which is in force.
        warning: Ingress default/a: spec.rules[11].http.paths[0].pathType: Missing; Kubernetes asks for Exact, Prefix or ImplementationSpecific, the last of which is in force.
        warning: Ingress default/a: spec.rules[12].host = "127.0.0.1": Kubernetes takes only names here; it is served as it stands.
        spec.rules[0].host "*" invalid-host
        spec.rules[1].host "a.*.example" invalid-host
        spec.rules[2].host "*.*.example" invalid-host
        spec.rules[3].host "a..b" invalid-host
        spec.rules[4].host "a.example:80" invalid-host
        spec.rules[5].host "a b" invalid-host
        spec.rules[6].http.paths[0] "no-slash" invalid-path
        spec.rules[7].http.paths[0] "/a\nb" invalid-path
        spec.rules[8].http.paths[0] "/ alias /etc/;" invalid-path
    "#]].assert_eq(&(render(&Declaration::default(), &findings) + &told));
}

#[test]
fn a_rule_without_paths_keeps_its_host() {
    check(
        &ingress("a", "", "- host: a.example\n"),
        &expect![[r#"
        Ingress default/a
          "a.example"
    "#]],
    );
}

#[test]
fn a_canary_is_left_out_and_told() {
    for prefix in ["nginx.ingress.kubernetes.io", "weir.dev"] {
        let head = format!("annotations: {{{prefix}/canary: 'true'}}");
        let yaml = ingress("a", &head, &rule("a.example", "/", "Prefix", "web", "{number: 80}"));
        let (declaration, findings) = translate(&objects(&yaml), &Options::manifests());
        assert!(declaration.ingresses.is_empty());
        assert!(findings.iter().any(|finding| finding.field.contains("canary")), "{findings:?}");
    }
}

#[test]
fn annotations_and_settings_are_read() {
    let yaml = "\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: ingress}
data: {limit-req-status-code: '430'}
"
    .to_owned()
        + &ingress(
            "a",
            "uid: u-1\ncreationTimestamp: '2024-05-01T00:00:00Z'\nannotations: {nginx.ingress.kubernetes.io/limit-rps: '5', other.example/limit-rpm: '7'}",
            &rule("a.example", "/", "Prefix", "web", "{number: 80}"),
        );
    let mut options = Options::manifests();
    options.config_map = Some("ingress/settings".parse().unwrap());
    options.annotation_prefix = "other.example".to_owned();
    let (declaration, _) = translate(&objects(&yaml), &options);
    assert_eq!(declaration.settings.rate_status, 430);
    let ingress = &declaration.ingresses[0];
    assert_eq!((ingress.uid.as_str(), ingress.created), ("u-1", Some(1_714_521_600)));
    assert_eq!(ingress.policy.limits.per_second, None, "another prefix is configured");
    assert_eq!(ingress.policy.limits.per_minute.map(std::num::NonZero::get), Some(7));

    options.config_map = Some("ingress/none".parse().unwrap());
    let (declaration, findings) = translate(&objects(&yaml), &options);
    assert_eq!(declaration.settings.rate_status, 429);
    assert!(
        findings.iter().any(|found| found.code == "missing-config-map" && found.severity == Severity::Fail)
    );
}

#[test]
fn a_bad_annotation_does_not_hurt_a_neighbour() {
    let rules = |host: &str| rule(host, "/", "Prefix", "web", "{number: 80}");
    let yaml = SERVICE.to_owned()
        + &ingress("bad", "annotations: {weir.dev/limit-rps: nonsense}", &rules("bad.example"))
        + &ingress("good", "annotations: {weir.dev/limit-rps: '5'}", &rules("good.example"));
    let (declaration, findings) = translate(&objects(&yaml), &Options::manifests());
    let [bad, good] = declaration.ingresses.as_slice() else { panic!("{declaration:?}") };
    assert!(bad.policy.refuse_all.is_some(), "a limit that cannot be read never means no limit");
    assert!(good.policy.refuse_all.is_none());
    assert_eq!(good.policy.limits.per_second.map(std::num::NonZero::get), Some(5));
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.object.name.as_str(), finding.value.as_str()), ("bad", "nonsense"));
}

#[test]
fn the_order_of_objects_does_not_matter() {
    let yaml = SERVICE.to_owned()
        + classes::CLASSES
        + &ingress("b", "", &rule("a.example", "/", "Prefix", "web", "{number: 80}"))
        + &ingress(
            "a",
            "annotations: {kubernetes.io/ingress.class: public}",
            &rule("B", "/", "Prefix", "web", "{number: 9}"),
        );
    let forward = translate(&objects(&yaml), &Options::manifests());
    let mut documents: Vec<_> = yaml.split("---\n").collect();
    documents.reverse();
    let backward = translate(&objects(&documents.join("---\n")), &Options::manifests());
    assert_eq!(render(&forward.0, &forward.1), render(&backward.0, &backward.1));
}
