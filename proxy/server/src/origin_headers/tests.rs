use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::net::IpAddr;

/// Header fields of a request in a test.
struct Sent(Vec<(String, Vec<u8>)>);

impl Headers for Sent {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.0.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name)) {
            visit(value);
        }
    }
}

fn sent(fields: &[(&str, &str)]) -> Sent {
    Sent(fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
}

fn inputs(headers: &Sent, trust: TrustMode) -> Inputs<'_> {
    Inputs {
        client: Client {
            address: IpAddr::from([203, 0, 113, 9]),
            peer: IpAddr::from([10, 0, 0, 1]),
            trust,
            words: Words::List,
        },
        host: b"shop.example:8080",
        port: 8080,
        scheme: Scheme::Http,
        forwarded_for: ForwardedFor::Client,
        header: "X-Forwarded-For",
        request_id: None,
        certificate: None,
        headers,
    }
}

fn check(inputs: &Inputs<'_>, expect: &Expect) {
    let mut out = Vec::new();
    append_http1(&mut out, inputs);
    expect.assert_eq(&String::from_utf8_lossy(&out).replace("\r\n", "\n"));
}

const FORGED: &[(&str, &str)] = &[
    ("X-Forwarded-For", "198.51.100.7, 203.0.113.9"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "443"),
    ("X-Forwarded-Proto", "HTTPS"),
];

#[test]
fn a_strangers_word_is_only_passed_on_as_original() {
    check(
        &inputs(&sent(FORGED), TrustMode::Ignore),
        &expect![[r#"
            X-Real-IP: 203.0.113.9
            X-Forwarded-For: 203.0.113.9
            X-Forwarded-Host: shop.example:8080
            X-Forwarded-Port: 8080
            X-Forwarded-Proto: http
            X-Forwarded-Scheme: http
            X-Scheme: http
            X-Original-Forwarded-For: 198.51.100.7, 203.0.113.9
            X-Original-Forwarded-Host: evil.example
        "#]],
    );
}

#[test]
fn a_trusted_proxys_word_is_repeated() {
    let headers = sent(FORGED);
    let all = Inputs { forwarded_for: ForwardedFor::Append, ..inputs(&headers, TrustMode::All) };
    check(
        &all,
        &expect![[r#"
            X-Real-IP: 203.0.113.9
            X-Forwarded-For: 198.51.100.7, 203.0.113.9, 10.0.0.1
            X-Forwarded-Host: evil.example
            X-Forwarded-Port: 443
            X-Forwarded-Proto: https
            X-Forwarded-Scheme: https
            X-Scheme: https
            X-Original-Forwarded-For: 198.51.100.7, 203.0.113.9
            X-Original-Forwarded-Host: evil.example
        "#]],
    );
}

#[test]
fn trust_in_the_address_alone_leaves_host_port_and_scheme_ours() {
    let headers = sent(FORGED);
    let id = RequestId::read(b"abc");
    check(
        &Inputs { request_id: id.as_ref(), ..inputs(&headers, TrustMode::Address) },
        &expect![[r#"
            X-Request-ID: abc
            X-Real-IP: 203.0.113.9
            X-Forwarded-For: 203.0.113.9
            X-Forwarded-Host: shop.example:8080
            X-Forwarded-Port: 8080
            X-Forwarded-Proto: http
            X-Forwarded-Scheme: http
            X-Scheme: http
            X-Original-Forwarded-For: 198.51.100.7, 203.0.113.9
            X-Original-Forwarded-Host: evil.example
        "#]],
    );
}

#[test]
fn a_stranger_cannot_have_its_list_appended_to() {
    let headers = sent(FORGED);
    let appending = Inputs { forwarded_for: ForwardedFor::Append, ..inputs(&headers, TrustMode::Ignore) };
    assert_eq!(get(&appending, "X-Forwarded-For"), ["203.0.113.9"]);
}

#[test]
fn words_that_make_no_sense_are_not_repeated_even_when_trusted() {
    let headers = sent(&[
        ("X-Forwarded-Host", "a b"),
        ("X-Forwarded-Port", "70000"),
        ("X-Forwarded-Proto", "javascript"),
    ]);
    let all = inputs(&headers, TrustMode::All);
    assert_eq!(get(&all, "X-Forwarded-Host"), ["shop.example:8080"]);
    assert_eq!(get(&all, "X-Forwarded-Port"), ["8080"]);
    assert_eq!(get(&all, "X-Forwarded-Proto"), ["http"]);
    assert!(get(&all, "X-Original-Forwarded-Host").is_empty());
}

#[test]
fn of_several_elements_the_peers_own_counts() {
    let headers = sent(&[
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Proto", "http, https"),
        ("X-Forwarded-For", "1.1.1.1"),
        ("X-Forwarded-For", "2.2.2.2"),
    ]);
    let all = inputs(&headers, TrustMode::All);
    assert_eq!(get(&all, "X-Forwarded-Proto"), ["https"]);
    assert_eq!(get(&all, "X-Original-Forwarded-For"), ["1.1.1.1, 2.2.2.2"]);
}

/// As ingress-nginx has it.
#[test]
fn the_original_is_the_field_that_the_addresses_come_in() {
    let both = sent(&[("CF-Connecting-IP", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.7")]);
    let other = sent(FORGED);
    fn cf(headers: &Sent) -> Inputs<'_> {
        Inputs { header: "CF-Connecting-IP", ..inputs(headers, TrustMode::All) }
    }
    assert_eq!(get(&cf(&both), "X-Original-Forwarded-For"), ["203.0.113.9"]);
    assert_eq!(get(&cf(&other), "X-Original-Forwarded-For"), [""; 0]);
    let full = Inputs { forwarded_for: ForwardedFor::Append, ..cf(&both) };
    assert_eq!(get(&full, "X-Forwarded-For"), ["198.51.100.7, 10.0.0.1"]);
}

#[test]
fn a_long_list_loses_elements_at_its_left() {
    let long: Vec<_> = (0..200).map(|i| format!("10.1.1.{i}")).collect();
    let headers = sent(&[("X-Forwarded-For", &long.join(", ")), ("X-Forwarded-For", "10.9.9.9")]);
    let list = get(&inputs(&headers, TrustMode::Ignore), "X-Original-Forwarded-For").join("");
    assert!(list.len() <= 1024 && list.len() > 1000, "{}", list.len());
    assert!(list.starts_with("10.1.1.") && list.ends_with("10.1.1.199, 10.9.9.9"), "{list}");

    // One element that is too long by itself is worth nothing.
    let headers = sent(&[("X-Forwarded-For", &"x".repeat(2000))]);
    assert!(get(&inputs(&headers, TrustMode::Ignore), "X-Original-Forwarded-For").is_empty());
}

#[test]
fn every_field_that_we_add_is_cut_from_what_comes() {
    use crate::lane::wire::{FieldKind, kind_of};
    let headers = sent(FORGED);
    let id = RequestId::read(b"abc");
    for_each(&Inputs { request_id: id.as_ref(), ..inputs(&headers, TrustMode::All) }, |name, _| {
        let kind = kind_of(name.as_bytes());
        assert!(matches!(kind, Some(FieldKind::Forwarded | FieldKind::RequestId)), "{name}: {kind:?}");
    });
}

proptest! {
    /// Whatever is sent: the lines read back as the fields, so nothing was injected, and both lanes say the same.
    #[test]
    fn lines_and_fields_agree(
        fields in prop::collection::vec((prop::sample::select(NAMES), value()), 0..6),
        host in value(),
        trust in prop::sample::select(&[TrustMode::Ignore, TrustMode::Address, TrustMode::All][..]),
        append: bool,
        words in prop::sample::select(&[
            Words::List,
            Words::Forwarded { believed: 0 },
            Words::Forwarded { believed: 2 },
        ][..]),
        id in prop::option::of(value()),
        address: IpAddr,
        peer: IpAddr,
    ) {
        let headers = Sent(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let id = id.and_then(|id| RequestId::read(&id));
        let inputs = Inputs {
            client: Client { address, peer, trust, words },
            host: &host,
            forwarded_for: ForwardedFor::from_append(append),
            request_id: id.as_ref(),
            ..inputs(&headers, trust)
        };
        let mut lines = Vec::new();
        append_http1(&mut lines, &inputs);
        lines.extend_from_slice(b"\r\n");
        let mut room = [httparse::EMPTY_HEADER; 16];
        let (read, parsed) = httparse::parse_headers(&lines, &mut room).unwrap().unwrap();
        prop_assert_eq!(read, lines.len());
        let parsed: Vec<_> = parsed.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect();
        let mut fields = Vec::new();
        for_each(&inputs, |name, value| fields.push((name.to_owned(), value.to_vec())));
        prop_assert_eq!(parsed, fields);
    }
}

const NAMES: &[&str] =
    &["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "forwarded"];

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[a-z0-9.:, \r\n]{0,40}".prop_map(String::into_bytes),
        "([0-9]{1,3}\\.){3}[0-9](, ([0-9]{1,3}\\.){3}[0-9]){0,90}".prop_map(String::into_bytes),
        Just(b"https".to_vec()),
        Just(b"443".to_vec()),
        "(for=1.2.3.4|host=\"a.b:[0-9]{1,6}\"|proto=[hH]ttps?|ext=\"\\\\.[ -~]{0,9}\"|,|;|\"){0,9}"
            .prop_map(String::into_bytes),
    ]
}

fn get(inputs: &Inputs<'_>, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for_each(inputs, |field, value| {
        if field == name {
            values.push(String::from_utf8(value.to_vec()).unwrap());
        }
    });
    values
}

/// From 10.0.0.1 for 203.0.113.9, of whom `believed` elements tell.
fn by_forwarded(headers: &Sent, trust: TrustMode, believed: u8, append: bool) -> Inputs<'_> {
    let inputs = inputs(headers, trust);
    Inputs {
        client: Client { words: Words::Forwarded { believed }, ..inputs.client },
        forwarded_for: ForwardedFor::from_append(append),
        header: "Forwarded",
        ..inputs
    }
}

const FORWARDED: &[(&str, &str)] = &[
    ("X-Forwarded-For", "198.51.100.7"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "1"),
    (
        "Forwarded",
        "for=192.0.2.1;host=a;proto=http, for=\"203.0.113.9:1\";host=\"shop.example:8443\";proto=HTTPS",
    ),
    ("Forwarded", "for=10.2.2.2;host=inner;proto=http"),
];

#[test]
fn what_forwarded_says_is_told_in_all_words() {
    let headers = sent(FORWARDED);
    check(
        &by_forwarded(&headers, TrustMode::All, 2, false),
        &expect![[r#"
            X-Real-IP: 203.0.113.9
            X-Forwarded-For: 203.0.113.9
            Forwarded: for=203.0.113.9;host="shop.example:8443";proto=https
            X-Forwarded-Host: shop.example:8443
            X-Forwarded-Port: 8443
            X-Forwarded-Proto: https
            X-Forwarded-Scheme: https
            X-Scheme: https
            X-Original-Forwarded-For: for=192.0.2.1;host=a;proto=http, for="203.0.113.9:1";host="shop.example:8443";proto=HTTPS, for=10.2.2.2;host=inner;proto=http
            X-Original-Forwarded-Host: evil.example
        "#]],
    );
    let whole = by_forwarded(&headers, TrustMode::All, 2, true);
    assert_eq!(get(&whole, "X-Forwarded-For"), ["203.0.113.9, 10.2.2.2, 10.0.0.1"]);
    assert_eq!(
        get(&whole, "Forwarded"),
        ["for=192.0.2.1;host=a;proto=http, for=\"203.0.113.9:1\";host=\"shop.example:8443\";proto=HTTPS, \
          for=10.2.2.2;host=inner;proto=http, for=10.0.0.1;host=\"shop.example:8080\";proto=http"]
    );
}

#[test]
fn without_trust_forwarded_is_replaced_by_our_own_word() {
    let headers = sent(FORWARDED);
    check(
        &by_forwarded(&headers, TrustMode::Ignore, 0, true),
        &expect![[r#"
            X-Real-IP: 203.0.113.9
            X-Forwarded-For: 203.0.113.9
            Forwarded: for=203.0.113.9;host="shop.example:8080";proto=http
            X-Forwarded-Host: shop.example:8080
            X-Forwarded-Port: 8080
            X-Forwarded-Proto: http
            X-Forwarded-Scheme: http
            X-Scheme: http
            X-Original-Forwarded-For: for=192.0.2.1;host=a;proto=http, for="203.0.113.9:1";host="shop.example:8443";proto=HTTPS, for=10.2.2.2;host=inner;proto=http
            X-Original-Forwarded-Host: evil.example
        "#]],
    );
    let address = by_forwarded(&headers, TrustMode::Address, 2, false);
    assert_eq!(get(&address, "Forwarded"), ["for=203.0.113.9;host=\"shop.example:8080\";proto=http"]);
    assert_eq!(get(&address, "X-Forwarded-Proto"), ["http"]);
    // Where another header is in force, none is sent at all.
    assert!(get(&inputs(&headers, TrustMode::All), "Forwarded").is_empty());
}

#[test]
fn ports_and_addresses_are_written_as_the_grammar_has_them() {
    for (element, port) in [
        ("proto=https", "443"),
        ("proto=http", "80"),
        ("proto=ws", "80"),
        ("proto=WSS", "443"),
        ("proto=gopher", "8080"),
        ("host=shop", "8080"),
        ("host=\"shop:81\";proto=https", "81"),
        ("host=\"[2001:db8::1]\"", "8080"),
        ("host=\"[2001:db8::1]:82\"", "82"),
        ("host=\"2001:db8::1\"", "8080"),
        ("host=\"shop:99999\"", "8080"),
    ] {
        let headers = sent(&[("Forwarded", element)]);
        let inputs = by_forwarded(&headers, TrustMode::All, 1, false);
        assert_eq!(get(&inputs, "X-Forwarded-Port"), [port], "{element}");
    }
    let headers = sent(&[("Forwarded", "host=\"a b\";proto=javascript")]);
    let mut inputs = by_forwarded(&headers, TrustMode::All, 1, false);
    inputs.client.address = "2001:db8::9".parse().unwrap();
    inputs.host = b"shop.example";
    assert_eq!(get(&inputs, "Forwarded"), ["for=\"[2001:db8::9]\";host=shop.example;proto=http"]);
    inputs.host = b"what is this";
    assert_eq!(get(&inputs, "Forwarded"), ["for=\"[2001:db8::9]\";proto=http"]);
}

#[test]
fn what_is_appended_to_ends_at_what_is_malformed_or_too_long() {
    let own = ", for=10.0.0.1;host=\"shop.example:8080\";proto=http";
    let headers = sent(&[("Forwarded", "for=1.1.1.1, for=\"2.2.2.2, for=3.3.3.3")]);
    let inputs = by_forwarded(&headers, TrustMode::All, 1, true);
    assert_eq!(get(&inputs, "Forwarded"), [format!("for=3.3.3.3{own}")]);
    let long: Vec<_> = (0..60).map(|i| format!("for=\"10.1.1.{i}:4711\"")).collect();
    let headers = sent(&[("Forwarded", &long.join(", "))]);
    let list = get(&by_forwarded(&headers, TrustMode::All, 60, true), "Forwarded").join("");
    assert!(list.len() <= 1024 && list.len() > 990, "{}", list.len());
    assert!(
        list.starts_with("for=\"10.1.1.") && list.ends_with(&format!("for=\"10.1.1.59:4711\"{own}")),
        "{list}"
    );
}

#[test]
fn what_tls_has_shown_is_told_where_a_certificate_is_asked_for() {
    use weir_core::tls::{PeerCertificate, SecretName, Verified, VerifyFailure};
    let none = sent(&[]);
    let mut policy = ClientCertificates::default();
    let mut tls = ClientTls::default();
    let told = |tls: &ClientTls, policy: &ClientCertificates| {
        let mut all = Vec::new();
        let certificate = Certificate::asked(Some(tls), policy);
        for_each(&Inputs { certificate, ..inputs(&none, TrustMode::Ignore) }, |name, value| {
            if name.starts_with("ssl-") {
                all.push(format!("{name}: {}", String::from_utf8_lossy(value)));
            }
        });
        all
    };
    assert!(told(&tls, &policy).is_empty(), "nobody has asked");
    policy.secret = Some(SecretName::new("shop", "ca"));
    assert_eq!(told(&tls, &policy), ["ssl-client-verify: NONE"]);
    tls.verified = Verified::Fail(VerifyFailure::Expired);
    tls.certificate = Some(PeerCertificate {
        der: vec![1, 2, 3],
        subject_dn: "CN=anna,O=Shop".to_owned(),
        issuer_dn: "CN=ca".to_owned(),
    });
    let named = [
        "ssl-client-verify: FAILED:certificate has expired",
        "ssl-client-subject-dn: CN=anna,O=Shop",
        "ssl-client-issuer-dn: CN=ca",
    ];
    assert_eq!(told(&tls, &policy), named);
    policy.pass_certificate = true;
    tls.verified = Verified::Pass;
    let passed = told(&tls, &policy);
    assert_eq!(passed.first().unwrap(), "ssl-client-verify: SUCCESS");
    assert_eq!(
        passed.last().unwrap(),
        "ssl-client-cert: -----BEGIN%20CERTIFICATE-----%0AAQID%0A-----END%20CERTIFICATE-----%0A"
    );
    policy.verify = Some(VerifyClient::Ignore);
    assert!(told(&tls, &policy).is_empty());
}

#[test]
fn nobody_says_of_himself_what_tls_has_shown() {
    use crate::lane::wire::{FieldKind, kind_of};
    for name in weir_core::tls::CLIENT_HEADERS {
        for name in
            [name.to_owned(), name.to_ascii_uppercase(), name.replace('-', "_"), name.replacen('-', "_", 1)]
        {
            assert_eq!(kind_of(name.as_bytes()), Some(FieldKind::Forwarded), "{name}");
        }
    }
    assert_eq!(kind_of(b"ssl-client-verif"), None);
    assert_eq!(kind_of(b"ssl-other"), None);
}
