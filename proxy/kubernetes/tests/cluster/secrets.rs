//! Secrets: those that something names, and no others.

use crate::support::{Follower, ingress, object, server};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use weir_apiserver::{Access, ApiServer, Cluster as _, Failure, Matching, Rule, Verb};
use weir_core::tls::{Content, SecretName};

fn put_secret(server: &ApiServer, name: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    server
        .put_value(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"namespace": "shop", "name": name},
            "stringData": {"tls.crt": certificate.pem(), "tls.key": key.serialize_pem()},
        }))
        .unwrap();
    certificate.pem()
}

fn with_tls(name: &str, secret: &str) -> Value {
    let mut ingress = ingress("shop", name, &json!({}));
    ingress["spec"]["tls"] = json!([{"hosts": [format!("{name}.example")], "secretName": secret}]);
    ingress
}

fn good(declaration: &weir_core::declaration::Declaration) -> Vec<&str> {
    let good = declaration.secrets.iter().filter(|(_, secret)| matches!(secret.pair, Content::Good(_)));
    good.map(|(name, _)| name.name.as_str()).collect()
}

/// Which Secrets were read as a whole.
fn read(server: &ApiServer) -> BTreeSet<String> {
    let secrets = server.requests().into_iter().filter(|it| it.resource == "secrets");
    secrets.filter(|it| it.verb == Verb::Get).map(|it| it.name).collect()
}

#[test]
fn the_first_configuration_has_its_secrets_and_reads_no_others() {
    let server = server();
    for name in ["used", "default", "unused"] {
        put_secret(&server, name);
    }
    server.put_value(with_tls("a", "used")).unwrap();
    server.put_value(with_tls("b", "missing")).unwrap();
    let follower = Follower::start_with(&server, |settings| {
        settings.options.default_certificate = Some(object("shop", "default"));
    });
    let (declaration, _) = follower.until(|_, _| true);
    assert_eq!(good(&declaration), ["default", "used"]);
    assert_eq!(read(&server), BTreeSet::from(["default".to_owned(), "used".to_owned()]));
}

#[test]
fn a_secret_that_comes_changes_or_goes_is_followed() {
    let server = server();
    server.put_value(with_tls("a", "late")).unwrap();
    let follower = Follower::start(&server);
    follower.until(|declaration, _| good(declaration).is_empty());
    put_secret(&server, "late");
    let name = SecretName::new("shop", "late");
    let (first, _) = follower.until(|declaration, _| good(declaration) == ["late"]);
    put_secret(&server, "late");
    follower.until(|declaration, _| declaration.secrets[&name] != first.secrets[&name]);
    server.delete("secrets", "shop", "late").unwrap();
    follower.until(|declaration, _| !declaration.secrets.contains_key(&name));
    put_secret(&server, "late");
    follower.until(|declaration, _| good(declaration) == ["late"]);
}

#[test]
fn a_new_ingress_comes_with_its_secret_and_not_before() {
    let server = server();
    let follower = Follower::start(&server);
    follower.until_hosts(&[]);
    for n in 0..20 {
        let (name, secret) = (format!("i{n:02}"), format!("s{n:02}"));
        put_secret(&server, &secret);
        server.put_value(with_tls(&name, &secret)).unwrap();
        let (declaration, _) = follower.until(|declaration, _| declaration.ingresses.len() == n + 1);
        assert_eq!(good(&declaration).len(), n + 1, "no handshake sees the default certificate in between");
    }
}

#[test]
fn a_secret_that_cannot_be_read_hurts_nobody_else() {
    let server = server();
    for name in ["good", "bad"] {
        put_secret(&server, name);
    }
    server.put_value(with_tls("a", "good")).unwrap();
    let follower = Follower::start_with(&server, |settings| settings.timing.secrets = Duration::ZERO);
    follower.until(|declaration, _| good(declaration) == ["good"]);
    let reads = Matching::all().verb(Verb::Get).resource("secrets");
    server.faults().fail_next(1_000_000, reads, Failure::Answer(500, None));
    server.put_value(with_tls("b", "bad")).unwrap();
    let (declaration, _) = follower.until(|declaration, _| declaration.ingresses.len() == 2);
    assert_eq!(good(&declaration), ["good"]);
    server.faults().clear();
    follower.until(|declaration, _| good(declaration) == ["bad", "good"]);
}

#[test]
fn in_one_namespace_each_secret_is_watched_by_its_name() {
    let server = server();
    for name in ["used", "unused"] {
        put_secret(&server, name);
    }
    server.put_value(with_tls("a", "used")).unwrap();
    let follower =
        Follower::start_with(&server, |settings| settings.options.watch_namespace = Some("shop".to_owned()));
    let (first, _) = follower.until(|_, _| true);
    assert_eq!(good(&first), ["used"]);
    let asked: Vec<_> = server.requests().into_iter().filter(|it| it.resource == "secrets").collect();
    assert!(asked.iter().all(|it| it.namespace == "shop" && it.name == "used"), "{asked:?}");
    put_secret(&server, "used");
    let name = SecretName::new("shop", "used");
    follower.until(|declaration, _| declaration.secrets[&name] != first.secrets[&name]);
    server.put_value(with_tls("a", "unused")).unwrap();
    follower.until(|declaration, _| good(declaration) == ["unused"]);
}

#[test]
fn in_one_namespace_a_secret_that_may_not_be_read_hurts_nobody_else() {
    let server = server();
    for name in ["good", "bad"] {
        put_secret(&server, name);
    }
    server.put_value(with_tls("a", "good")).unwrap();
    server.put_value(with_tls("b", "bad")).unwrap();
    let rule = |resources: &[&str], names: &[&str]| Rule {
        api_groups: vec!["*".to_owned()],
        resources: resources.iter().map(|&it| it.to_owned()).collect(),
        verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
        resource_names: names.iter().map(|&it| it.to_owned()).collect(),
        namespace: None,
    };
    let others = ["ingresses", "ingressclasses", "services", "endpointslices"];
    server.set_access(Access::Rules(vec![rule(&others, &[]), rule(&["secrets"], &["good"])]));
    let follower = Follower::start_with(&server, |settings| {
        settings.options.watch_namespace = Some("shop".to_owned());
        settings.timing.first_secrets = Duration::ZERO;
        settings.timing.secrets = Duration::ZERO;
    });
    follower.until(|declaration, _| declaration.ingresses.len() == 2 && good(declaration) == ["good"]);
    // Nor does one that is named later.
    server.put_value(with_tls("c", "another")).unwrap();
    follower.until(|declaration, _| declaration.ingresses.len() == 3);
    server.set_access(Access::Everything);
    follower.until(|declaration, _| good(declaration) == ["bad", "good"]);
}
