//! `spec.tls`, certificates and authorities.

use super::*;
use rcgen::{CertificateParams, Issuer, KeyPair};
use weir_core::tls::{Content, KeyKind, SecretName};

/// A certificate for `names`, and its key; in PEM.
fn made(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A revocation list of some authority.
fn revocation_list() -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let issuer = Issuer::new(params, key);
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2024, 1, 1),
        next_update: rcgen::date_time_ymd(2044, 1, 1),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).unwrap().pem().unwrap()
}

fn secret(name: &str, entries: &[(&str, &str)]) -> String {
    let entries: String =
        entries.iter().map(|(key, text)| format!("  {key}: |\n{}", indent(text, 4))).collect();
    format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n{entries}")
}

fn web(annotations: &str, tls: &str) -> String {
    let head = if annotations.is_empty() { String::new() } else { format!("annotations: {{{annotations}}}") };
    let rules = rule("shop.example", "/", "Prefix", "web", "{number: 80}");
    format!("{}{}  tls: {tls}\n", SERVICE, ingress("a", &head, &rules))
}

fn read(yaml: &str) -> (Declaration, Vec<String>) {
    let (declaration, findings) = translate(&objects(yaml), &Options::manifests());
    (declaration, findings.iter().map(ToString::to_string).collect())
}

fn pair_of<'a>(declaration: &'a Declaration, name: &str) -> &'a Content<weir_core::tls::KeyPair> {
    &declaration.secrets[&SecretName::new("default", name)].pair
}

#[test]
fn a_certificate_and_its_key_are_read() {
    let (certificate, key) = made(&["Shop.example", "*.shop.example"]);
    let yaml = web("", "[{hosts: [shop.example], secretName: own}]")
        + &secret("own", &[("tls.crt", &certificate), ("tls.key", &key)]);
    let (declaration, findings) = read(&yaml);
    assert_eq!(findings, [""; 0]);
    let Content::Good(pair) = pair_of(&declaration, "own") else { panic!("{declaration:?}") };
    assert_eq!(pair.names, ["shop.example", "*.shop.example"]);
    assert_eq!((pair.chain.len(), pair.key.kind()), (1, KeyKind::Pkcs8));
    assert!(pair.not_after > 1_700_000_000);
    assert_eq!(declaration.ingresses[0].tls[0].hosts, ["shop.example"]);
    let snapshot = Snapshot::build(declaration, None, &Seed::from_u128(1));
    let found = snapshot.tls().lookup(Some("shop.example"));
    assert!(found.tls.pair.is_some() && snapshot.findings.is_empty(), "{:?}", snapshot.findings);
}

#[test]
fn the_same_content_has_the_same_fingerprint_and_no_other_has() {
    let (certificate, key) = made(&["shop.example"]);
    let (other, other_key) = made(&["shop.example"]);
    let fingerprint = |certificate: &str, key: &str| {
        let yaml =
            web("", "[{secretName: own}]") + &secret("own", &[("tls.crt", certificate), ("tls.key", key)]);
        let (declaration, _) = read(&yaml);
        match pair_of(&declaration, "own") {
            Content::Good(pair) => pair.fingerprint,
            content => panic!("{content:?}"),
        }
    };
    let first = fingerprint(&certificate, &key);
    assert_eq!(first, fingerprint(&certificate, &key));
    assert_ne!(first, fingerprint(&other, &other_key));
    assert_ne!(first, fingerprint(&(certificate.clone() + &other), &key));
}

#[test]
fn every_mistake_in_a_certificate_is_told_and_nothing_of_it_repeated() {
    let (certificate, key) = made(&["shop.example"]);
    let (_, other_key) = made(&["shop.example"]);
    let cut = certificate.replacen("MII", "MXX", 1);
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("tls.crt", &certificate)], "data[tls.key]: Expected one private key in PEM, found nothing."),
        (
            &[("tls.key", &key)],
            "data[tls.crt]: Expected certificates in PEM, the server's first, found none.",
        ),
        (
            &[("tls.crt", ""), ("tls.key", &key)],
            "data[tls.crt]: Expected certificates in PEM, the server's first, found none.",
        ),
        (
            &[("tls.crt", &certificate), ("tls.key", &other_key)],
            "data[tls.key]: Expected the key of the first certificate in tls.crt, found another.",
        ),
        (
            &[("tls.crt", &certificate), ("tls.key", &certificate)],
            "data[tls.key]: Expected one private key in PEM (PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, unencrypted).",
        ),
        (
            &[("tls.crt", &key), ("tls.key", &key)],
            "data[tls.crt]: Expected certificates in PEM, the server's first, found none.",
        ),
        (
            &[("tls.crt", &cut), ("tls.key", &key)],
            "data[tls.crt]: Expected certificates in PEM, the server's first, but number 1 is no certificate.",
        ),
    ];
    for (entries, expected) in cases {
        let yaml = web("", "[{hosts: [shop.example], secretName: own}]") + &secret("own", entries);
        let (declaration, findings) = read(&yaml);
        assert_eq!(findings, [format!("error: Secret default/own: {expected}")]);
        assert_eq!(pair_of(&declaration, "own"), &Content::Broken);
    }
}

#[test]
fn authorities_and_revocation_lists_are_read() {
    let (root, _) = made(&["ca"]);
    let list = revocation_list();
    let annotations = "weir.dev/auth-tls-secret: default/ca";
    let anchors = |entries: &[(&str, &str)]| {
        let (declaration, findings) = read(&(web(annotations, "[]") + &secret("ca", entries)));
        let anchors = declaration.secrets[&SecretName::new("default", "ca")].anchors.clone();
        (anchors, findings)
    };
    let (Content::Good(found), findings) = anchors(&[("ca.crt", &(root.clone() + &root)), ("ca.crl", &list)])
    else {
        panic!("they are good")
    };
    assert_eq!((found.roots.len(), found.crls.len(), findings.len()), (2, 1, 0));
    let (root, list) = (root.as_str(), list.as_str());
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("ca.crt", "nothing")], "data[ca.crt]"),
        (&[("ca.crt", root), ("ca.crl", "nothing")], "data[ca.crl]"),
        (&[("ca.crt", root), ("ca.crl", root)], "data[ca.crl]"),
        (&[("ca.crl", list)], "data[ca.crt]"),
    ];
    for (entries, field) in cases {
        let (found, findings) = anchors(entries);
        assert_eq!(found, Content::Broken);
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert!(finding.contains(field), "{finding}");
    }
    assert_eq!(anchors(&[("ca.crt", "")]).0, Content::Absent, "as cert-manager writes it");
}

#[test]
fn secrets_of_other_namespaces_are_not_read() {
    let (root, _) = made(&["ca"]);
    let secret = secret("ca", &[("ca.crt", &root)]).replace("{name: ca}", "{name: ca, namespace: bank}");
    for name in ["auth-tls-secret", "proxy-ssl-secret"] {
        let annotations = format!("weir.dev/{name}: bank/ca");
        let (declaration, _) = read(&(web(&annotations, "[]") + &secret));
        assert!(declaration.secrets.is_empty());
        let snapshot = Snapshot::build(declaration, None, &Seed::from_u128(1));
        let [finding] = snapshot.findings.as_slice() else { panic!("{:?}", snapshot.findings) };
        assert!(finding.message.contains("other namespaces"), "{finding}");
    }
}

#[test]
fn the_default_certificate_may_be_in_any_namespace() {
    let (certificate, key) = made(&["default.example"]);
    let yaml = web("", "[]")
        + &secret("any", &[("tls.crt", &certificate), ("tls.key", &key)])
            .replace("{name: any}", "{name: any, namespace: ingress}");
    let mut options = Options::manifests();
    options.default_certificate = Some("ingress/any".parse().unwrap());
    let (declaration, findings) = translate(&objects(&yaml), &options);
    assert_eq!(findings, []);
    let snapshot = Snapshot::build(declaration, None, &Seed::from_u128(1));
    assert!(snapshot.tls().lookup(None).tls.pair.is_some());
    options.default_certificate = Some("ingress/none".parse().unwrap());
    let (declaration, _) = translate(&objects(&yaml), &options);
    let snapshot = Snapshot::build(declaration, None, &Seed::from_u128(1));
    assert!(snapshot.tls().lookup(None).tls.pair.is_none());
    assert_eq!(snapshot.findings[0].code, "no-certificate");
}
