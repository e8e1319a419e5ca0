use super::*;
use crate::translate::{ObjectName, Pod, pod};
use std::collections::BTreeMap;

fn check_pod(annotations: &[(&str, &str)], expected: &Expect) -> (Declaration, Vec<Finding>) {
    let annotations: BTreeMap<_, _> =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let pod_of = Pod {
        name: ObjectName { namespace: "shop".to_owned(), name: "api-0".to_owned() },
        annotations,
        upstreams: vec!["127.0.0.1:8081".parse().unwrap(), "[::1]:8082".parse().unwrap()],
    };
    let (declaration, findings) = pod(&pod_of, &Objects::default(), &Options::cluster());
    expected.assert_eq(&render(&declaration, &findings));
    (declaration, findings)
}

#[test]
fn a_pod_has_one_route_and_annotations_of_others_are_none_of_our_business() {
    let annotations = [
        ("kubernetes.io/config.seen", "2026-11-21T09:35:00Z"),
        ("kubernetes.io/config.source", "api"),
        ("kubernetes.io/ingress.class", "other"),
        ("prometheus.io/scrape", "true"),
        ("kubectl.kubernetes.io/restartedAt", "2026-11-21T09:35:00Z"),
        ("cni.projectcalico.org/podIP", "10.0.0.7/32"),
        ("container.apparmor.security.beta.kubernetes.io/app", "runtime/default"),
        ("limit-rps", "nonsense"),
        ("nginx.ingress.kubernetes.io/limit-rps", "5"),
        ("weir.dev/limit-rpm", "100"),
    ];
    let (declaration, _) = check_pod(
        &annotations,
        &expect![[r#"
        Pod shop/api-0
          "" Prefix "/" -> shop/api-0:8081
        shop/api-0:8081 = [127.0.0.1:8081, [::1]:8082]
    "#]],
    );
    let limits = &declaration.ingresses[0].policy.limits;
    assert_eq!(limits.per_second.map(std::num::NonZero::get), Some(5));
    assert_eq!(limits.per_minute.map(std::num::NonZero::get), Some(100));
}

#[test]
fn mistakes_of_a_pod_are_told_as_those_of_an_ingress() {
    let annotations =
        [("weir.dev/limit-rps", "many"), ("weir.dev/limt-rpm", "5"), ("weir.dev/proxy-body-size", "1q")];
    let (declaration, _) = check_pod(
        &annotations,
        &expect![[r#"
        Pod shop/api-0
          "" Prefix "/" -> shop/api-0:8081
        shop/api-0:8081 = [127.0.0.1:8081, [::1]:8082]
        error: Pod shop/api-0: metadata.annotations[weir.dev/limit-rps] = "many": Expected a whole number up to 1000000000, `0` for off, but this is something else. Every path of this object answers 503 until it is mended.
        error: Pod shop/api-0: metadata.annotations[weir.dev/limt-rpm] = "5": There is no such annotation, so it has no effect; did you mean limit-rpm?
        error: Pod shop/api-0: metadata.annotations[weir.dev/proxy-body-size] = "1q": Expected a size such as `512k`, `8m` or `1g`, `0` for no limit, but this is something else. In force instead: 1m.
    "#]],
    );
    assert!(declaration.ingresses[0].policy.refuse_all.is_some(), "an invalid limit is not no limit");
}

#[test]
fn what_is_about_other_objects_has_no_effect_and_says_so() {
    let annotations = [
        ("nginx.ingress.kubernetes.io/canary", "true"),
        ("nginx.ingress.kubernetes.io/service-upstream", "true"),
        ("nginx.ingress.kubernetes.io/limit-rps", "5"),
    ];
    let (declaration, _) = check_pod(
        &annotations,
        &expect![[r#"
        Pod shop/api-0
          "" Prefix "/" -> shop/api-0:8081
        shop/api-0:8081 = [127.0.0.1:8081, [::1]:8082]
        warning: Pod shop/api-0: metadata.annotations[canary] = "true": There is no other object that a pod could be the canary of; it has no effect.
        warning: Pod shop/api-0: metadata.annotations[service-upstream] = "true": Requests go to --upstream, and there is no Service in between; it has no effect.
    "#]],
    );
    assert_eq!(declaration.ingresses[0].policy.refuse_all, None);
}

#[test]
fn secrets_that_are_not_mounted_let_nobody_pass_unchecked() {
    let annotations = [
        ("nginx.ingress.kubernetes.io/auth-tls-secret", "shop/ca"),
        ("nginx.ingress.kubernetes.io/backend-protocol", "HTTPS"),
        ("nginx.ingress.kubernetes.io/proxy-ssl-secret", "other/origin"),
        ("nginx.ingress.kubernetes.io/proxy-ssl-verify", "on"),
    ];
    let (declaration, _) = check_pod(
        &annotations,
        &expect![[r#"
            Pod shop/api-0
              "" Prefix "/" -> shop/api-0:8081
            shop/api-0:8081 = [127.0.0.1:8081, [::1]:8082]
            error: Pod shop/api-0: metadata.annotations[proxy-ssl-verify] = "on": An --upstream is an address and has no name that its certificate could be for: expected proxy-ssl-name beside it. Every path of this object answers 503 until it is there.
            error: Pod shop/api-0: metadata.annotations[auth-tls-secret] = "shop/ca": No Secret is fetched here: mount it, and say where with --secret-dir shop/ca=DIR.
        "#]],
    );
    let snapshot = Snapshot::build(declaration, None, &Seed::from_u128(1));
    let findings: String = snapshot.findings.iter().map(|finding| format!("{finding}\n")).collect();
    expect![[r#"
        error: Pod shop/api-0: metadata.annotations[auth-tls-secret] = "shop/ca": There is no Secret shop/ca. Every path of its hosts answers 403, so that nobody passes unchecked.
        error: Pod shop/api-0: metadata.annotations[proxy-ssl-secret] = "other/origin": Secrets of other namespaces are not read. Every path of the object answers 503.
    "#]].assert_eq(&findings);
}
