//! What `openssl s_client` finds: names and certificates, versions, protocols, sessions, and how many handshakes.

use crate::support::pki::Ca;
use crate::support::tls::trusting;
use crate::support::{
    Client, Origin, PATIENCE, WITH_SETTINGS, Weir, ingress, installed, ip, settings, until,
};
use crate::tls::{failures, s_client, tls_secret};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// An Ingress for a host, with the certificate of a Secret of the same name as the Ingress.
fn host(name: &str, host: &str, origin: SocketAddr, annotations: &[(&str, &str)]) -> String {
    let tls = format!("spec:\n  tls:\n  - hosts: [\"{host}\"]\n    secretName: {name}\n  rules:");
    let quoted = format!("\"{host}\"");
    ingress(name, &quoted, origin, annotations).replacen("spec:\n  rules:", &tls, 1)
}

fn start(manifests: &str, keys: &[(&str, &str)], flags: &[&str]) -> Weir {
    let open = [("client-sockets", "0"), ("client-socket-rate", "0"), ("socket-rate", "0")];
    let manifests = manifests.to_owned() + &settings(&[&open, keys].concat());
    Weir::start_with(&manifests, &[&WITH_SETTINGS[..], &["--https", "127.0.0.1:0"], flags].concat())
}

/// The subject of the certificate that is shown; `None` when there is none.
fn subject(weir: &Weir, name: Option<&str>) -> Option<String> {
    let said = match name {
        Some(name) => s_client(weir.https(), &["-servername", name]),
        None => s_client(weir.https(), &["-noservername"]),
    };
    said.lines().find_map(|line| line.strip_prefix("subject=CN = ")).map(str::to_owned)
}

#[test]
fn openssl_is_shown_the_certificate_of_each_name() {
    if !installed(&["openssl"]) {
        return;
    }
    let (ca, origin) = (Ca::new("ca"), Origin::echo());
    let manifests = host("exact", "a.test", origin.address, &[])
        + &host("wild", "*.wild.test", origin.address, &[])
        + &host("inner", "b.wild.test", origin.address, &[])
        + &tls_secret("exact", &ca.server(&["a.test"]))
        + &tls_secret("wild", &ca.server(&["*.wild.test"]))
        + &tls_secret("inner", &ca.server(&["b.wild.test"]))
        + &tls_secret("default", &ca.server(&["default.test"]));
    let flags = ["--default-ssl-certificate", "default/default"];
    let weir = start(&manifests, &[], &flags);
    for (name, expected) in [
        (Some("a.test"), "a.test"),
        (Some("A.TEST"), "a.test"),
        (Some("b.wild.test"), "b.wild.test"),
        (Some("c.wild.test"), "*.wild.test"),
        (Some("d.c.wild.test"), "default.test"),
        (Some("wild.test"), "default.test"),
        (Some("unknown.test"), "default.test"),
        (None, "default.test"),
    ] {
        assert_eq!(subject(&weir, name).as_deref(), Some(expected), "{name:?}");
    }
    let weir = start(&manifests, &[("ssl-reject-handshake", "true")], &flags);
    for (name, expected) in [
        (Some("a.test"), Some("a.test")),
        (Some("c.wild.test"), Some("*.wild.test")),
        (Some("d.c.wild.test"), None),
        (Some("unknown.test"), None),
        (None, None),
    ] {
        assert_eq!(subject(&weir, name).as_deref(), expected, "{name:?}");
    }
    let said = s_client(weir.https(), &["-servername", "unknown.test"]);
    // RFC 6066 section 3: unrecognized_name.
    assert!(said.contains("SSL alert number 112"), "{said}");
    until("the refusals are counted", || failures(&weir, "name") == 4.0);
}

#[test]
fn openssl_gets_the_versions_and_protocols_of_each_host() {
    if !installed(&["openssl"]) {
        return;
    }
    let (ca, origin) = (Ca::new("ca"), Origin::echo());
    let manifests = host("usual", "usual.test", origin.address, &[])
        + &host("new", "new.test", origin.address, &[("tls-min-version", "1.3")])
        + &host("old", "old.test", origin.address, &[("tls-min-version", "1.2"), ("tls-alpn", "http/1.1")])
        + &tls_secret("usual", &ca.server(&["usual.test"]))
        + &tls_secret("new", &ca.server(&["new.test"]))
        + &tls_secret("old", &ca.server(&["old.test"]));
    let speaks = |weir: &Weir, name: &str, version: &str| {
        let said = s_client(weir.https(), &[version, "-servername", name]);
        let spoken = said.contains("New, TLSv1");
        assert!(spoken || said.contains("alert protocol version"), "{said}");
        spoken
    };
    let agreed = |weir: &Weir, name: &str, offered: &str| {
        let said = s_client(weir.https(), &["-servername", name, "-alpn", offered]);
        said.lines().find_map(|line| line.strip_prefix("ALPN protocol: ")).unwrap_or("none").to_owned()
    };
    let weir = start(&manifests, &[], &[]);
    for (name, old) in [("usual.test", true), ("new.test", false), ("old.test", true), ("other.test", true)] {
        assert_eq!(speaks(&weir, name, "-tls1_2"), old, "{name}");
        assert!(speaks(&weir, name, "-tls1_3"), "{name}");
    }
    until("the refusal is counted", || failures(&weir, "version") == 1.0);
    assert_eq!(agreed(&weir, "usual.test", "http/1.1,h2"), "h2");
    assert_eq!(agreed(&weir, "usual.test", "http/1.1"), "http/1.1");
    assert_eq!(agreed(&weir, "old.test", "h2,http/1.1"), "http/1.1");
    // An object can take away and not give.
    let weir = start(&manifests, &[("ssl-protocols", "TLSv1.3"), ("use-http2", "false")], &[]);
    for name in ["usual.test", "new.test", "old.test", "other.test"] {
        assert!(!speaks(&weir, name, "-tls1_2"), "{name}");
        assert!(speaks(&weir, name, "-tls1_3"), "{name}");
        assert_eq!(agreed(&weir, name, "h2,http/1.1"), "http/1.1", "{name}");
    }
}

/// A handshake with this client, to its end.
fn shakes_hands(weir: &Weir, from: u8) -> bool {
    let mut client = Client::connect_from(ip(from), weir.https()).start_tls("a.test", trusting());
    let sent = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    sent.and_then(|()| client.try_read("GET")).is_ok()
}

#[test]
fn handshakes_have_a_budget_by_their_keys_and_no_line_each() {
    let origin = Origin::echo();
    let manifests = ingress("web", "a.test", origin.address, &[]);
    for (key, reason, many) in
        [("client-handshake-rate", "client-rate", false), ("handshake-rate", "process-rate", true)]
    {
        let weir = start(&manifests, &[(key, "1")], &[]);
        let began = Instant::now();
        // From one address, or each from another.
        let done = (1..=30).filter(|n| shakes_hands(&weir, if many { *n } else { 1 })).count();
        let most = 6 + began.elapsed().as_secs() as usize + 1;
        assert!((6..=most).contains(&done), "{key}: {done}");
        until("the rest is counted", || failures(&weir, reason) == (30 - done) as f64);
        assert_eq!(failures(&weir, "completed"), done as f64);
        assert!(!weir.stderr().to_lowercase().contains("handshake"), "{}", weir.stderr());
        // Those without TLS have no handshakes.
        assert_eq!(Client::connect(weir.http).get("a.test", "/").status, 200);
    }
}

#[test]
fn a_handshake_has_the_time_of_its_key_and_a_change_holds_at_once() {
    let origin = Origin::echo();
    let manifests = ingress("web", "a.test", origin.address, &[]);
    let weir = start(&manifests, &[("client-handshake-timeout", "3600")], &[]);
    let with = |seconds: &str| manifests.clone() + &settings(&[("client-handshake-timeout", seconds)]);
    let mut patient = TcpStream::connect(weir.https()).unwrap();
    weir.apply(&with("1"));
    let mut silent = TcpStream::connect(weir.https()).unwrap();
    let began = Instant::now();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    until("it is counted", || failures(&weir, "deadline") == 1.0);
    // The other has the time that it was given.
    patient.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(patient.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
