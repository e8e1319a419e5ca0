//! Which Ingresses are ours.

use super::*;

pub(super) const CLASSES: &str = "\
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: public}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: mesh}
spec: {controller: example.org/mesh}
";

/// Names of the Ingresses that are served, and the findings about classes.
#[track_caller]
fn check_classes(options: &Options, classes: &str, expected: &Expect) {
    let classed = |name: &str, class: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}}}\n\
             spec: {{ingressClassName: {class}, defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}}}\n"
        )
    };
    let annotated = |name: &str, class: &str| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n\
             metadata: {{name: {name}, annotations: {{kubernetes.io/ingress.class: {class}}}}}\n\
             spec: {{defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}}}\n"
        )
    };
    let ingresses = [
        classed("spec-mesh", "mesh"),
        classed("spec-nginx", "nginx"),
        classed("spec-none", "''"),
        classed("spec-nobody", "nobody"),
        classed("spec-public", "public"),
        classed("spec-weir", "weir"),
        annotated("annotation-mesh", "mesh"),
        annotated("annotation-nginx", "nginx"),
        annotated("annotation-nobody", "nobody"),
    ];
    let (declaration, findings) = translate(&objects(&(classes.to_owned() + &ingresses.concat())), options);
    let mut text: String =
        declaration.ingresses.iter().map(|ingress| format!("{}\n", ingress.object.name)).collect();
    for finding in findings.iter().filter(|finding| finding.code == "unclaimed-ingress") {
        let _ = writeln!(text, "{finding}");
    }
    expected.assert_eq(&text);
}

#[test]
fn a_folder_without_classes_serves_ingresses_of_usual_classes_and_of_none() {
    check_classes(
        &Options::manifests(),
        "",
        &expect![[r#"
        annotation-nginx
        spec-nginx
        spec-none
        spec-weir
        warning: Ingress default/annotation-mesh: metadata.annotations[kubernetes.io/ingress.class] = "mesh": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
        warning: Ingress default/annotation-nobody: metadata.annotations[kubernetes.io/ingress.class] = "nobody": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
        warning: Ingress default/spec-mesh: spec.ingressClassName = "mesh": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
        warning: Ingress default/spec-nobody: spec.ingressClassName = "nobody": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
        warning: Ingress default/spec-public: spec.ingressClassName = "public": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
    "#]],
    );
}

#[test]
fn a_folder_with_classes_follows_them() {
    check_classes(
        &Options::manifests(),
        CLASSES,
        &expect![[r#"
        annotation-nginx
        spec-public
        warning: Ingress default/annotation-nobody: metadata.annotations[kubernetes.io/ingress.class] = "nobody": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
        warning: Ingress default/spec-nginx: spec.ingressClassName = "nginx": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
        warning: Ingress default/spec-nobody: spec.ingressClassName = "nobody": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
        warning: Ingress default/spec-none: spec.ingressClassName: No class is named and no IngressClass is the default; this Ingress is not served.
        warning: Ingress default/spec-weir: spec.ingressClassName = "weir": There is no such IngressClass and it is none of the names served (weir, nginx); this Ingress is not served.
    "#]],
    );
}

#[test]
fn a_default_class_takes_ingresses_without_one() {
    let default = |name: &str| {
        CLASSES.replace(
            &format!("{{name: {name}}}"),
            &format!(
                "{{name: {name}, annotations: {{ingressclass.kubernetes.io/is-default-class: 'true'}}}}"
            ),
        )
    };
    let served = |yaml: &str| {
        let yaml =
            yaml.to_owned() + &ingress("a", "", &rule("a.example", "/", "Prefix", "web", "{number: 80}"));
        let (declaration, findings) = translate(&objects(&yaml), &Options::manifests());
        (declaration.ingresses.len(), findings.iter().any(|finding| finding.code == "unclaimed-ingress"))
    };
    assert_eq!(served(&default("public")), (1, false));
    assert_eq!(served(&default("mesh")), (0, false), "another controller's, and nobody's mistake");
    assert_eq!(served(CLASSES), (0, true));
}

#[test]
fn a_cluster_serves_its_own_controller_and_says_nothing_of_others() {
    check_classes(&Options::cluster(), CLASSES, &expect![[""]]);
    let takeover = Options { controllers: vec!["k8s.io/ingress-nginx".to_owned()], ..Options::cluster() };
    check_classes(
        &takeover,
        CLASSES,
        &expect![[r#"
        spec-public
    "#]],
    );
    let by_name = Options {
        class_names: vec!["mesh".to_owned()],
        class_by_name: ClassByName::Always,
        without_class: WithoutClass::Serve,
        ..Options::cluster()
    };
    check_classes(
        &by_name,
        CLASSES,
        &expect![[r#"
        annotation-mesh
        spec-mesh
        spec-none
    "#]],
    );
}

#[test]
fn only_the_watched_namespace_is_served() {
    let yaml = ingress("a", "namespace: one", &rule("a.example", "/", "Prefix", "web", "{number: 80}"))
        + &ingress("b", "namespace: two", &rule("a.example", "/", "Prefix", "web", "{number: 80}"));
    let options = Options { watch_namespace: Some("two".to_owned()), ..Options::manifests() };
    let (declaration, _) = translate(&objects(&yaml), &options);
    assert_eq!(
        declaration.ingresses.iter().map(|ingress| ingress.object.name.as_str()).collect::<Vec<_>>(),
        ["b"]
    );
}
