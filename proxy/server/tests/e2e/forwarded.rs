//! Clients that proxies in front name: in `Forwarded` (RFC 7239), and by the PROXY protocol in front of TLS. The list of
//! trusted peers is the same for all.

use crate::support::tls::trusting;
use crate::support::{
    Client, LANES, Lane, Origin, Reaction, Request, WITH_SETTINGS, Weir, ingress, ip, settings,
};

const BY_FORWARDED: [(&str, &str); 3] = [
    ("forwarded-for-header", "Forwarded"),
    ("use-forwarded-headers", "true"),
    ("proxy-real-ip-cidr", "127.0.0.60, 10.0.0.0/8, 2001:db8:ffff::/48"),
];

fn start(lane: Lane, origin: &Origin, annotations: &[(&str, &str)], keys: &[(&str, &str)]) -> Weir {
    let keys = [&BY_FORWARDED[..], keys].concat();
    lane.start(&(ingress("id", "id.example", origin.address, annotations) + &settings(&keys)), &WITH_SETTINGS)
}

/// What the origin saw of a request with these fields from 127.0.0.`last`.
fn seen(weir: &Weir, origin: &Origin, last: u8, fields: &str) -> Request {
    let reply = Client::connect_from(ip(last), weir.http).get_with("id.example", "/", fields);
    assert_eq!(reply.status, 200, "{fields}");
    origin.seen().pop().unwrap()
}

#[test]
fn forwarded_names_the_client_of_trusted_peers_only() {
    let origin = Origin::echo();
    for lane in LANES {
        let weir = start(lane, &origin, &[], &[]);
        for (fields, client) in [
            ("for=198.51.100.1", "198.51.100.1"),
            (r#"for=192.0.2.66, FOR="198.51.100.2:5678";proto=https"#, "198.51.100.2"),
            (r#"for="[2001:db8::7]:8080", for=10.9.9.9 ; by=_x"#, "2001:db8::7"),
            (r#"for="[2001:db8::8]", for="[2001:db8:ffff::1]:_p""#, "2001:db8::8"),
            ("for=192.0.2.1\r\nForwarded: for=198.51.100.10", "198.51.100.10"),
            (r#"for="192.0.2.1, for=198.51.100.11"#, "198.51.100.11"),
            (r#"ext="a, for=192.0.2.1;\"";for=198.51.100.12"#, "198.51.100.12"),
            ("for=198.51.100.13, for=unknown, for=10.1.1.1", "10.1.1.1"),
            ("for=198.51.100.13, for=_hidden", "127.0.0.60"),
            ("for=198.51.100.13;for=198.51.100.14", "127.0.0.60"),
        ] {
            let request =
                seen(&weir, &origin, 60, &format!("Forwarded: {fields}\r\nX-Forwarded-For: 192.0.2.99\r\n"));
            for name in ["X-Real-IP", "X-Forwarded-For"] {
                assert_eq!(
                    (request.count(name), request.header(name)),
                    (1, Some(client)),
                    "{lane:?} {fields}"
                );
            }
            let told = request.header("Forwarded").unwrap();
            let node = if client.contains(':') { format!("\"[{client}]\"") } else { client.to_owned() };
            assert!(told.starts_with(&format!("for={node};host=id.example;proto=http")), "{lane:?} {told}");
            assert_eq!(request.count("Forwarded"), 1, "{lane:?} {fields}");
        }
        // A stranger's word reaches nobody as if it were true.
        let request = seen(&weir, &origin, 61, "Forwarded: for=198.51.100.1;host=evil;proto=https\r\n");
        assert_eq!(request.header("X-Real-IP"), Some("127.0.0.61"), "{lane:?}");
        assert_eq!(request.header("X-Forwarded-Proto"), Some("http"), "{lane:?}");
        assert_eq!(request.count("Forwarded"), 1, "{lane:?}");
        assert_eq!(
            request.header("Forwarded"),
            Some("for=127.0.0.61;host=id.example;proto=http"),
            "{lane:?}"
        );
    }
}

#[test]
fn host_and_scheme_are_those_that_the_outermost_trusted_proxy_was_asked_for() {
    let origin = Origin::echo();
    for lane in LANES {
        let weir = start(lane, &origin, &[], &[]);
        let fields = "Forwarded: for=192.0.2.1;host=evil;proto=ws, \
                      for=198.51.100.1;host=\"shop.example:8443\";proto=HTTPS, for=10.1.1.1;host=inner\r\n\
                      X-Forwarded-Host: forged\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 1\r\n";
        let request = seen(&weir, &origin, 60, fields);
        for (name, value) in [
            ("X-Real-IP", "198.51.100.1"),
            ("X-Forwarded-Host", "shop.example:8443"),
            ("X-Forwarded-Port", "8443"),
            ("X-Forwarded-Proto", "https"),
            ("X-Scheme", "https"),
            ("Forwarded", "for=198.51.100.1;host=\"shop.example:8443\";proto=https"),
        ] {
            assert_eq!((request.count(name), request.header(name)), (1, Some(value)), "{lane:?} {name}");
        }
        // What is not in it is our own, and no other field's.
        let request = seen(&weir, &origin, 60, "Forwarded: for=198.51.100.1\r\nX-Forwarded-Proto: https\r\n");
        assert_eq!(request.header("X-Forwarded-Proto"), Some("http"), "{lane:?}");
    }
}

#[test]
fn the_whole_way_is_told_in_both_fields_where_the_configmap_says_so() {
    let origin = Origin::echo();
    for lane in LANES {
        let weir = start(lane, &origin, &[], &[("compute-full-forwarded-for", "true")]);
        let came = "for=192.0.2.1, for=\"198.51.100.1:1\";proto=https, for=10.1.1.1";
        let request =
            seen(&weir, &origin, 60, &format!("Forwarded: {came}\r\nX-Forwarded-For: 192.0.2.99\r\n"));
        let whole = format!("{came}, for=127.0.0.60;host=id.example;proto=http");
        assert_eq!(request.header("Forwarded"), Some(&*whole), "{lane:?}");
        assert_eq!(request.header("X-Forwarded-For"), Some("198.51.100.1, 10.1.1.1, 127.0.0.60"), "{lane:?}");
        let request = seen(&weir, &origin, 61, &format!("Forwarded: {came}\r\n"));
        assert_eq!(
            request.header("Forwarded"),
            Some("for=127.0.0.61;host=id.example;proto=http"),
            "{lane:?}"
        );
        assert_eq!(request.header("X-Forwarded-For"), Some("127.0.0.61"), "{lane:?}");
    }
}

#[test]
fn clients_that_forwarded_names_have_limits_of_their_own() {
    let origin = Origin::echo();
    for lane in LANES {
        let weir = start(lane, &origin, &[("limit-rph", "2")], &[]);
        let passed = |last, fields: &dyn Fn(usize) -> String| {
            let mut client = Client::connect_from(ip(last), weir.http);
            let ask = |i| client.get_with("id.example", "/", &format!("Forwarded: {}\r\n", fields(i))).status;
            (0..20).map(ask).filter(|status| *status == 200).count()
        };
        assert_eq!(passed(60, &|_| "for=198.51.100.1".to_owned()), 11, "{lane:?}");
        // Neither a port nor a forged left end nor a mark left open makes anybody another client.
        assert_eq!(passed(60, &|i| format!("for=\"198.51.100.1:{i}\"")), 0, "{lane:?}");
        assert_eq!(passed(60, &|i| format!("for=203.0.113.{i}, for=198.51.100.1")), 0, "{lane:?}");
        assert_eq!(passed(60, &|i| format!("for=\"203.0.113.{i}, for=198.51.100.1")), 0, "{lane:?}");
        assert_eq!(passed(60, &|i| format!("for=203.0.113.{i}, , for=198.51.100.1;")), 0, "{lane:?}");
        assert_eq!(passed(60, &|_| "for=198.51.100.2".to_owned()), 11, "{lane:?}");
        // Nor does a stranger get another budget, or spend one.
        assert_eq!(passed(62, &|i| format!("for=203.0.113.{i}")), 11, "{lane:?}");
        assert_eq!(passed(63, &|_| "for=198.51.100.3".to_owned()), 11, "{lane:?}");
        assert_eq!(passed(60, &|_| "for=198.51.100.3".to_owned()), 11, "{lane:?}");
    }
}

/// Who the origin was told the client is, over which port and scheme.
fn telling() -> Origin {
    Origin::start(|request| {
        let told = |name| request.header(name).unwrap_or("-").to_owned();
        Reaction::ok(["x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"].map(told).join(" "))
    })
}

#[test]
fn one_list_of_trusted_peers_holds_for_the_proxy_protocol_and_for_fields() {
    let origin = telling();
    for (header, field) in [("Forwarded", "for="), ("X-Forwarded-For", "")] {
        let mut keys = BY_FORWARDED.to_vec();
        keys[0].1 = header;
        keys.push(("use-proxy-protocol", "true"));
        let manifests = ingress("id", "id.example", origin.address, &[]) + &settings(&keys);
        let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
        let ask = |source: &str| {
            let mut client = Client::connect_from(ip(60), weir.http);
            client.send(format!("PROXY TCP4 {source} 198.51.100.1 4711 80\r\n"));
            client.get_with("id.example", "/", &format!("{header}: {field}198.51.100.7\r\n")).text()
        };
        // Whom the balancer names is believed in turn only if he is trusted.
        assert_eq!(ask("192.0.2.9"), "192.0.2.9 80 http", "{header}");
        assert_eq!(ask("10.1.1.1"), "198.51.100.7 80 http", "{header}");
        // Nobody else's fields are, and no PROXY protocol either.
        let own = Client::connect_from(ip(61), weir.http)
            .get_with("id.example", "/", &format!("{header}: {field}198.51.100.7\r\n"))
            .text();
        assert!(own.starts_with("127.0.0.61 "), "{own}");
    }
}

const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb\x04\x00\x00";

#[test]
fn the_proxy_protocol_comes_before_the_tls_handshake() {
    let origin = telling();
    let keys = [("use-proxy-protocol", "true"), ("proxy-real-ip-cidr", "127.0.0.60")];
    for lane in LANES {
        let manifests = ingress("id", "id.example", origin.address, &[]) + &settings(&keys);
        let weir = lane.start(&manifests, &[&WITH_SETTINGS[..], &["--https", "127.0.0.1:0"]].concat());
        let ask = |last: u8, header: &[u8]| {
            let mut client = Client::connect_from(ip(last), weir.https());
            client.send(header);
            let mut client = client.start_tls("id.example", trusting());
            client.try_send("GET / HTTP/1.1\r\nHost: id.example\r\n\r\n")?;
            client.try_read("GET").map(|reply| reply.text())
        };
        let v1 = b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 8443\r\n";
        assert_eq!(ask(60, v1).unwrap(), "2001:db8::9 8443 https", "{lane:?}");
        assert_eq!(ask(60, V2).unwrap(), "192.0.2.7 443 https", "{lane:?}");
        // Without one the balancer gets no handshake, and with one a stranger gets none.
        assert!(ask(60, b"").is_err(), "{lane:?}");
        assert!(ask(61, V2).is_err(), "{lane:?}");
        assert!(ask(61, b"").unwrap().starts_with("127.0.0.61 "), "{lane:?}");
        for reason in ["proxy-header", "proxy-header-untrusted"] {
            let shed = weir.metric(&format!(r#"weir_connections_shed_total{{reason="{reason}"}}"#));
            assert_eq!(shed, Some(1.0), "{lane:?} {reason}");
        }
        assert_eq!(weir.metric(r#"weir_tls_handshakes_total{result="completed"}"#), Some(3.0), "{lane:?}");
    }
}
