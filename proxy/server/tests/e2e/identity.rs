//! Who a client is, and what the origin is told about it.

use crate::support::{Client, Origin, Request, WITH_SETTINGS, Weir, ingress, ip, settings};

/// What the origin saw of a request with these fields from 127.0.0.`last`.
fn seen(weir: &Weir, origin: &Origin, last: u8, fields: &str) -> Request {
    let reply = Client::connect_from(ip(last), weir.http).get_with("id.example", "/", fields);
    assert_eq!(reply.status, 200, "{fields}");
    origin.seen().pop().unwrap()
}

/// How many of `n` requests from 127.0.0.`last` pass; `fields` makes the fields of each.
fn passed(weir: &Weir, last: u8, n: usize, fields: impl Fn(usize) -> String) -> usize {
    let mut client = Client::connect_from(ip(last), weir.http);
    (0..n).filter(|i| client.get_with("id.example", "/", &fields(*i)).status == 200).count()
}

const LIMIT: [(&str, &str); 1] = [("limit-rph", "2")];

#[test]
fn forged_addresses_are_ignored_without_trust() {
    let origin = Origin::echo();
    let weir = Weir::start(&ingress("id", "id.example", origin.address, &LIMIT));
    let forged = |i: usize| {
        format!(
            "X-Forwarded-For: 198.51.100.{i}\r\nX-Real-IP: 198.51.100.{i}\r\n\
             Forwarded: for=198.51.100.{i}\r\nTrue-Client-IP: 198.51.100.{i}\r\nCF-Connecting-IP: 198.51.100.{i}\r\n"
        )
    };
    assert_eq!(passed(&weir, 50, 30, forged), 11);
    // Nor can somebody else's budget be spent.
    assert_eq!(passed(&weir, 51, 30, |_| "X-Forwarded-For: 127.0.0.52\r\n".to_owned()), 11);
    assert_eq!(passed(&weir, 52, 30, |_| String::new()), 11);

    let request = seen(
        &weir,
        &origin,
        53,
        "X-Forwarded-For: 198.51.100.1\r\nX-Real-IP: 198.51.100.2\r\nForwarded: for=198.51.100.3\r\n\
         X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n",
    );
    for name in ["X-Forwarded-For", "X-Real-IP"] {
        assert_eq!((request.count(name), request.header(name)), (1, Some("127.0.0.53")), "{name}");
    }
    assert_eq!(request.header("X-Forwarded-Host"), Some("id.example"));
    assert_eq!(request.header("X-Forwarded-Proto"), Some("http"));
    assert_eq!(request.header("X-Forwarded-Scheme"), Some("http"));
    assert_eq!(request.header("X-Forwarded-Port"), Some(weir.http.port().to_string().as_str()));
    assert_eq!(request.header("X-Original-Forwarded-For"), Some("198.51.100.1"));
    assert_eq!(request.count("Forwarded"), 0, "{request:?}");
    assert_eq!(request.count("X-Request-ID"), 1);
}

#[test]
fn a_trusted_peer_is_walked_past_from_right_to_left() {
    let origin = Origin::echo();
    let trust = [
        ("use-forwarded-headers", "true"),
        ("proxy-real-ip-cidr", "127.0.0.60/32, 10.0.0.0/8, 2001:db8:ffff::/48"),
    ];
    let manifests = ingress("id", "id.example", origin.address, &LIMIT) + &settings(&trust);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    for (field, client) in [
        ("198.51.100.1", "198.51.100.1"),
        // What the left end says may be anybody's words.
        ("192.0.2.66, 198.51.100.2", "198.51.100.2"),
        ("192.0.2.66, 198.51.100.3, 10.1.2.3, 10.0.0.9", "198.51.100.3"),
        ("198.51.100.4:5678", "198.51.100.4"),
        ("198.51.100.5:1, 10.1.2.3:4444", "198.51.100.5"),
        ("[2001:db8::7]:8080, 10.9.9.9", "2001:db8::7"),
        ("2001:db8::8, 2001:db8:ffff::1", "2001:db8::8"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
    ] {
        let request = seen(&weir, &origin, 60, &format!("X-Forwarded-For: {field}\r\n"));
        assert_eq!(request.header("X-Real-IP"), Some(client), "{field}");
        assert_eq!(request.header("X-Forwarded-For"), Some(client), "{field}");
    }
    // Several fields are one list.
    let request =
        seen(&weir, &origin, 60, "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 198.51.100.10\r\n");
    assert_eq!(request.header("X-Real-IP"), Some("198.51.100.10"));
    // Whoever is not named is not believed.
    let request = seen(&weir, &origin, 61, "X-Forwarded-For: 198.51.100.11\r\n");
    assert_eq!(request.header("X-Real-IP"), Some("127.0.0.61"));
    // A trusted peer's word for host, scheme and port counts too.
    let told =
        "X-Forwarded-For: 198.51.100.12\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Proto: https\r\n";
    let request = seen(&weir, &origin, 60, told);
    assert_eq!(request.header("X-Forwarded-Host"), Some("shop.example"));
    assert_eq!(request.header("X-Forwarded-Proto"), Some("https"));
}

#[test]
fn clients_behind_a_trusted_peer_have_limits_of_their_own() {
    let origin = Origin::echo();
    let trust = [("use-forwarded-headers", "true"), ("proxy-real-ip-cidr", "127.0.0.70/32")];
    let manifests = ingress("id", "id.example", origin.address, &LIMIT) + &settings(&trust);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    let behind = |address: &'static str| move |_| format!("X-Forwarded-For: {address}\r\n");
    assert_eq!(passed(&weir, 70, 20, behind("198.51.100.1")), 11);
    assert_eq!(passed(&weir, 70, 20, behind("198.51.100.2")), 11);
    // A port makes nobody another client, and a forged left end neither.
    assert_eq!(passed(&weir, 70, 5, |i| format!("X-Forwarded-For: 198.51.100.1:{}\r\n", 1000 + i)), 0);
    assert_eq!(passed(&weir, 70, 5, |i| format!("X-Forwarded-For: 203.0.113.{i}, 198.51.100.2\r\n")), 0);
    // IPv6 clients are counted by their /64.
    assert_eq!(passed(&weir, 70, 20, |i| format!("X-Forwarded-For: 2001:db8:0:1::{i:x}\r\n")), 11);
    assert_eq!(passed(&weir, 70, 20, |i| format!("X-Forwarded-For: 2001:db8:0:2:{i:x}::1\r\n")), 11);
}

#[test]
fn the_whole_way_is_kept_where_the_configmap_says_so() {
    let origin = Origin::echo();
    let trust = [
        ("use-forwarded-headers", "true"),
        ("proxy-real-ip-cidr", "127.0.0.80"),
        ("compute-full-forwarded-for", "true"),
    ];
    let manifests = ingress("id", "id.example", origin.address, &[]) + &settings(&trust);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    let request = seen(&weir, &origin, 80, "X-Forwarded-For: 192.0.2.1, 198.51.100.1\r\n");
    assert_eq!(request.header("X-Forwarded-For"), Some("192.0.2.1, 198.51.100.1, 127.0.0.80"));
    assert_eq!(request.header("X-Real-IP"), Some("198.51.100.1"));
    let request = seen(&weir, &origin, 81, "X-Forwarded-For: 192.0.2.1\r\n");
    assert_eq!(request.header("X-Forwarded-For"), Some("127.0.0.81"));
}

#[test]
fn another_header_carries_the_addresses_where_the_configmap_names_it() {
    let origin = Origin::echo();
    let trust = [
        ("enable-real-ip", "true"),
        ("proxy-real-ip-cidr", "127.0.0.90"),
        ("forwarded-for-header", "CF-Connecting-IP"),
    ];
    let manifests = ingress("id", "id.example", origin.address, &[]) + &settings(&trust);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    let fields =
        "CF-Connecting-IP: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
    let request = seen(&weir, &origin, 90, fields);
    assert_eq!(request.header("X-Real-IP"), Some("198.51.100.1"));
    assert_eq!(request.header("X-Forwarded-Proto"), Some("http"), "the address alone is believed");
    assert_eq!(request.header("X-Original-Forwarded-For"), Some("198.51.100.1"));
}

#[test]
fn trust_that_makes_no_sense_believes_nobody() {
    let origin = Origin::echo();
    let trust = [("use-forwarded-headers", "true"), ("proxy-real-ip-cidr", "127.0.0.0/8, nonsense")];
    let manifests = ingress("id", "id.example", origin.address, &LIMIT) + &settings(&trust);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    assert_eq!(passed(&weir, 100, 30, |i| format!("X-Forwarded-For: 198.51.100.{i}\r\n")), 11);
    let findings = weir.findings();
    assert!(
        findings.iter().any(|f| f["field"].as_str().unwrap().contains("proxy-real-ip-cidr")),
        "{findings:?}"
    );
}
