//! What is there, and what changes.

use crate::support::{
    Follower, addresses_of, hosts_of, ingress, object, put_all, put_endpoints, put_ingress, put_service,
    server,
};
use serde_json::json;
use std::collections::BTreeSet;
use weir_apiserver::{Access, Cluster as _, Rule, Verb};
use weir_kubernetes::cluster::Update;
use weir_kubernetes::translate::Namespaces;

#[test]
fn the_first_configuration_has_everything() {
    let server = server();
    for n in 0..1200 {
        // More than one page of a list.
        put_all(&server, "shop", &format!("s{n}"), &["192.0.2.1"]);
    }
    let follower = Follower::start(&server);
    let Update::Configuration(declaration, findings) = follower.next() else {
        panic!("endpoints come later")
    };
    assert_eq!(declaration.ingresses.len(), 1200);
    assert_eq!(findings, []);
    assert_eq!(addresses_of(&declaration.backends, "s1199"), ["192.0.2.1:8080"]);
}

#[test]
fn nothing_at_all_is_a_configuration_too() {
    let server = server();
    server.delete("ingressclasses", "", "weir").unwrap();
    let follower = Follower::start(&server);
    follower.until_hosts(&[]);
}

#[test]
fn what_is_written_edited_and_deleted_is_handed_on() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let follower = Follower::start(&server);
    follower.until_hosts(&["a.example"]);
    put_all(&server, "shop", "b", &["192.0.2.2"]);
    follower.until_hosts(&["a.example", "b.example"]);
    put_ingress(&server, "shop", "a", &json!({"weir.dev/limit-rps": "many"}));
    let (_, findings) = follower.until(|_, findings| !findings.is_empty());
    assert_eq!(findings[0].object.name, "a");
    server.delete("ingresses", "shop", "a").unwrap();
    follower.until_hosts(&["b.example"]);
}

#[test]
fn a_change_of_endpoints_is_no_configuration() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    put_all(&server, "shop", "b", &["192.0.2.2"]);
    let follower = Follower::start(&server);
    follower.until_hosts(&["a.example", "b.example"]);
    put_endpoints(&server, "shop", "a", &["192.0.2.1", "192.0.2.9"]);
    let endpoints = follower.endpoints();
    assert_eq!(endpoints.len(), 1, "of this Service alone");
    assert_eq!(addresses_of(&endpoints, "a"), ["192.0.2.1:8080", "192.0.2.9:8080"]);
    // That there is none at all is a finding, which comes after the addresses.
    put_endpoints(&server, "shop", "a", &[]);
    assert_eq!(addresses_of(&follower.endpoints(), "a"), Vec::<String>::new());
    let (declaration, findings) = follower.until(|_, findings| !findings.is_empty());
    assert_eq!((findings[0].code, hosts_of(&declaration).len()), ("no-endpoints", 2));
    put_endpoints(&server, "shop", "a", &["192.0.2.3"]);
    assert_eq!(addresses_of(&follower.endpoints(), "a"), ["192.0.2.3:8080"]);
    follower.until(|_, findings| findings.is_empty());
    // Endpoints of what nobody leads to are nobody's business.
    put_endpoints(&server, "shop", "nobody", &["192.0.2.7"]);
    follower.nothing_but(&server, "marker");
}

#[test]
fn endpoints_do_not_matter_where_a_service_stands_for_them() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    put_ingress(&server, "shop", "a", &json!({"nginx.ingress.kubernetes.io/service-upstream": "true"}));
    let follower = Follower::start(&server);
    let declaration = follower.until_hosts(&["a.example"]);
    assert_eq!(addresses_of(&declaration.backends, "a"), ["10.96.0.10:80"]);
    put_endpoints(&server, "shop", "a", &[]);
    follower.nothing_but(&server, "marker");
}

#[test]
fn what_changes_no_configuration_is_not_handed_on() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let follower = Follower::start(&server);
    follower.until_hosts(&["a.example"]);
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.100"}]}}});
    server.patch("ingresses", "shop", "a", &status).unwrap();
    let labels = json!({"metadata": {"labels": {"team": "shop"}}});
    server.patch("ingresses", "shop", "a", &labels).unwrap();
    server.patch("endpointslices", "shop", "a-1", &labels).unwrap();
    put_service(&server, "shop", "a");
    follower.nothing_but(&server, "marker");
}

#[test]
fn one_namespace_is_watched_where_one_is_named() {
    let server = server();
    for namespace in ["shop", "other"] {
        put_all(&server, namespace, &format!("in-{namespace}"), &["192.0.2.1"]);
    }
    let follower =
        Follower::start_with(&server, |settings| settings.options.watch_namespace = Some("shop".to_owned()));
    follower.until_hosts(&["in-shop.example"]);
    put_ingress(&server, "other", "later", &json!({}));
    follower.nothing_but(&server, "marker");
    // Nothing of other namespaces was asked for.
    let asked = server.requests().into_iter().filter(|it| it.resource != "ingressclasses");
    let namespaces: BTreeSet<_> = asked.map(|it| it.namespace).collect();
    assert_eq!(namespaces, BTreeSet::from(["shop".to_owned()]));
}

#[test]
fn who_may_not_see_classes_is_served_by_the_name_of_the_class() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let rule = |groups: &[&str], resources: &[&str], namespace: Option<&str>| Rule {
        api_groups: groups.iter().map(|&it| it.to_owned()).collect(),
        resources: resources.iter().map(|&it| it.to_owned()).collect(),
        verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
        resource_names: Vec::new(),
        namespace: namespace.map(str::to_owned),
    };
    server.set_access(Access::Rules(vec![
        rule(&["networking.k8s.io"], &["ingresses"], Some("shop")),
        rule(&["discovery.k8s.io"], &["endpointslices"], Some("shop")),
        rule(&[""], &["services"], Some("shop")),
    ]));
    let follower = Follower::start_with(&server, |settings| {
        settings.options.watch_namespace = Some("shop".to_owned());
        settings.options.class_by_name = weir_kubernetes::translate::ClassByName::WithoutClassObjects;
    });
    follower.until_hosts(&["a.example"]);
}

#[test]
fn namespaces_come_and_go_with_their_labels() {
    let server = server();
    for namespace in ["shop", "other"] {
        put_all(&server, namespace, &format!("in-{namespace}"), &["192.0.2.1"]);
    }
    let team = |team: &str| json!({"metadata": {"labels": {"team": team}}});
    server.patch("namespaces", "", "shop", &team("a")).unwrap();
    let follower = Follower::start_with(&server, |settings| {
        settings.namespace_selector = Some("team=a".to_owned());
        settings.options.namespaces = Namespaces::Selected;
    });
    follower.until_hosts(&["in-shop.example"]);
    server.patch("namespaces", "", "other", &team("a")).unwrap();
    follower.until_hosts(&["in-other.example", "in-shop.example"]);
    server.patch("namespaces", "", "shop", &team("b")).unwrap();
    follower.until_hosts(&["in-other.example"]);
}

#[test]
fn the_settings_of_the_proxy_are_followed_by_their_name() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let follower = Follower::start_with(&server, |settings| {
        settings.options.config_map = Some(object("weir", "settings"));
    });
    follower.until(|_, findings| findings.iter().any(|finding| finding.code == "missing-config-map"));
    let put = |value: &str| {
        server
            .put_value(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "weir", "name": "settings"},
                "data": {"limit-req-status-code": value},
            }))
            .unwrap();
    };
    put("503");
    follower.until(|_, findings| findings.is_empty());
    put("many");
    follower.until(|_, findings| findings.iter().any(|finding| finding.object.kind == "ConfigMap"));
    let asked = server.requests().into_iter().filter(|it| it.resource == "configmaps");
    assert!(
        asked.into_iter().all(|it| it.namespace == "weir" && matches!(it.verb, Verb::List | Verb::Watch))
    );
}

#[test]
fn classes_that_come_and_go_take_their_ingresses_along() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let mut theirs = ingress("shop", "theirs", &json!({}));
    theirs["spec"]["ingressClassName"] = json!("nginx");
    server.put_value(theirs).unwrap();
    let follower = Follower::start_with(&server, |settings| {
        settings.options.controllers =
            vec!["weir.dev/ingress-controller".into(), "k8s.io/ingress-nginx".into()];
    });
    follower.until_hosts(&["a.example"]);
    server
        .put_value(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx"},
            "spec": {"controller": "k8s.io/ingress-nginx"},
        }))
        .unwrap();
    follower.until_hosts(&["a.example", "theirs.example"]);
    server.delete("ingressclasses", "", "weir").unwrap();
    follower.until_hosts(&["theirs.example"]);
}
