//! TLS to origins: what is verified, what is sent, and which connections may stand for one another.

use crate::support::inside::{Hosts, Inside, secret};
use crate::support::pki::{Ca, Certificate};
use crate::support::tls::trusting;
use crate::support::{Client, LANES, Lane, PATIENCE, Reply, until};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use weir::upstream::tls::OriginTlsFailure;
use weir_core::policy::{Policy, Protocol};
use weir_core::tls::{SecretContent, TlsVersions};

/// An origin that speaks nothing but TLS, and says which name it was asked for and who asked.
pub struct TlsOrigin {
    pub address: SocketAddr,
    handshakes: Arc<AtomicUsize>,
}

/// How an origin ends its responses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// With a length, and the connection stays.
    Length,
    /// With a length, and then it closes without having said so.
    LengthAndClose,
    /// By closing, with `close_notify`.
    Close,
    /// By closing, without it.
    Cut,
}

impl TlsOrigin {
    pub fn start(certificate: &Certificate) -> Self {
        Self::with(certificate, None, &[&TLS12, &TLS13], Ends::Length)
    }

    fn with(
        certificate: &Certificate,
        clients: Option<&Ca>,
        versions: &[&'static SupportedProtocolVersion],
        ends: Ends,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(ca.der.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = Arc::new(builder.with_cert_resolver(certificate.resolver()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let count = handshakes.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, config, count) = (stream.unwrap(), config.clone(), count.clone());
                std::thread::spawn(move || talk(stream, config, &count, ends));
            }
        });
        Self { address, handshakes }
    }

    fn handshakes(&self) -> usize {
        self.handshakes.load(SeqCst)
    }
}

fn talk(stream: TcpStream, config: Arc<ServerConfig>, count: &AtomicUsize, ends: Ends) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    if tls.conn.complete_io(&mut tls.sock).is_err() || tls.conn.is_handshaking() {
        return;
    }
    count.fetch_add(1, SeqCst);
    let mut read = Vec::new();
    let mut block = [0; 4096];
    loop {
        while !read.windows(4).any(|four| four == b"\r\n\r\n") {
            match tls.read(&mut block) {
                Ok(n) if n > 0 => read.extend_from_slice(&block[..n]),
                _ => return,
            }
        }
        // Chunked bodies of the tests are one chunk and its end, in one piece or two.
        let chunked = String::from_utf8_lossy(&read).to_lowercase().contains("transfer-encoding: chunked");
        while chunked && !read.ends_with(b"0\r\n\r\n") {
            let n = tls.read(&mut block).unwrap();
            read.extend_from_slice(&block[..n]);
        }
        read.clear();
        let name = tls.conn.server_name().unwrap_or("none").to_owned();
        let shown = if tls.conn.peer_certificates().is_some() { "shown" } else { "not shown" };
        let version = tls.conn.protocol_version().unwrap();
        let body = format!("{name}, {shown}, {version:?}");
        let length = if matches!(ends, Ends::Length | Ends::LengthAndClose) {
            format!("Content-Length: {}\r\n", body.len())
        } else {
            String::new()
        };
        write!(tls, "HTTP/1.1 200 OK\r\n{length}\r\n{body}").unwrap();
        tls.flush().unwrap();
        match ends {
            Ends::Length => {}
            Ends::Close | Ends::LengthAndClose => {
                tls.conn.send_close_notify();
                tls.flush().unwrap();
                return;
            }
            Ends::Cut => return,
        }
    }
}

/// Speaks TLS, with these changes.
fn https(change: impl FnOnce(&mut Policy)) -> impl FnOnce(&mut Policy) {
    move |policy| {
        policy.origin.protocol = Protocol::Https;
        policy.origin.next.tries = 1;
        policy.tls.redirect.with_certificate = false;
        change(policy);
    }
}

/// Verifies with the authority of Secret `ca`, for this name.
fn verifies(name: &'static str) -> impl FnOnce(&mut Policy) {
    https(move |policy| {
        policy.origin.tls.secret = Some(secret("ca"));
        policy.origin.tls.verify = true;
        policy.origin.tls.name = Some(name.to_owned());
    })
}

fn failures(weir: &Inside, failure: OriginTlsFailure) -> u64 {
    weir.counters.read().origin_tls_failures.iter().find(|(known, _)| *known == failure).unwrap().1
}

fn ask(weir: &Inside, host: &str) -> Reply {
    Client::connect(weir.http()).get(host, "/")
}

#[test]
fn requests_of_every_kind_reach_an_origin_over_tls() {
    let ca = Ca::new("ca");
    let origin = TlsOrigin::start(&ca.server(&["web.shop.svc"]));
    for lane in LANES {
        let weir = Inside::start(lane, 1, Hosts::of(origin.address).host("a.test", None, https(|_| ())));
        let mut client = Client::connect(weir.http());
        let said = client.get("a.test", "/").text();
        assert_eq!(
            said, "none, not shown, TLSv1_3",
            "nothing is verified, and no name is sent, unless asked for"
        );
        assert_eq!(client.post("a.test", "/", b"").status, 200);
        client.send(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        );
        assert_eq!(client.read("POST").status, 200);
        let mut client = Client::connect_tls(weir.https(), "a.test", trusting());
        assert_eq!(client.get("a.test", "/").status, 200);
    }
}

#[test]
fn plain_text_never_stands_for_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let got = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut block = [0; 1024];
        let n = stream.read(&mut block).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        block[..n].to_vec()
    });
    let weir = Inside::start(Lane::Auto, 1, Hosts::of(address).host("a.test", None, https(|_| ())));
    assert_eq!(ask(&weir, "a.test").status, 502);
    assert_eq!(failures(&weir, OriginTlsFailure::Handshake), 1);
    assert_eq!(got.join().unwrap()[..2], [22, 3], "a handshake and no request");
}

#[test]
fn the_origin_speaks_what_the_client_spoke() {
    let ca = Ca::new("ca");
    let origin = TlsOrigin::start(&ca.server(&["web.shop.svc"]));
    let auto = |policy: &mut Policy| {
        https(|_| ())(policy);
        policy.origin.protocol = Protocol::AutoHttp;
    };
    let weir = Inside::start(Lane::Auto, 1, Hosts::of(origin.address).host("a.test", None, auto));
    assert_eq!(Client::connect_tls(weir.https(), "a.test", trusting()).get("a.test", "/").status, 200);
    assert_eq!(ask(&weir, "a.test").status, 502, "the origin is asked in the clear");
}

/// The traps: verification that a missing name turns off, and certificates for others.
#[test]
fn an_origin_is_verified_whether_or_not_a_name_is_sent() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let good = TlsOrigin::start(&ca.server(&["web.test"]));
    let wrong_name = TlsOrigin::start(&ca.server(&["else.test"]));
    let stranger = TlsOrigin::start(&other.server(&["web.test"]));
    // A client's certificate is none for a server, whoever signed it.
    let client = TlsOrigin::start(&ca.client("web.test", 3));
    for send in [true, false] {
        let run = |origin: &TlsOrigin| {
            let hosts = Hosts::of(origin.address)
                .host("a.test", None, |policy| {
                    verifies("web.test")(policy);
                    policy.origin.tls.send_name = send;
                })
                .secret("ca", ca.anchors(Vec::new()));
            let weir = Inside::start(Lane::Auto, 1, hosts);
            let reply = ask(&weir, "a.test");
            (reply.status, reply.text(), failures(&weir, OriginTlsFailure::Certificate))
        };
        let name = if send { "web.test" } else { "none" };
        assert_eq!(run(&good), (200, format!("{name}, not shown, TLSv1_3"), 0));
        for (what, origin) in [("name", &wrong_name), ("authority", &stranger), ("usage", &client)] {
            let (status, _, failures) = run(origin);
            assert_eq!((status, failures, origin.handshakes()), (502, 1, 0), "{what}, name sent: {send}");
        }
    }
}

#[test]
fn chains_to_origins_are_no_longer_than_allowed() {
    let ca = Ca::new("ca");
    let middle = ca.below("middle");
    let low = middle.below("low");
    let one = TlsOrigin::start(&middle.server(&["web.test"]).via(&middle));
    let two = TlsOrigin::start(&low.server(&["web.test"]).via(&low).via(&middle));
    for (depth, expected) in [(0, [502, 502]), (1, [200, 502]), (2, [200, 200])] {
        let statuses = [&one, &two].map(|origin| {
            let hosts = Hosts::of(origin.address)
                .host("a.test", None, |policy| {
                    verifies("web.test")(policy);
                    policy.origin.tls.depth = depth;
                })
                .secret("ca", ca.anchors(Vec::new()));
            ask(&Inside::start(Lane::Auto, 1, hosts), "a.test").status
        });
        assert_eq!(statuses, expected, "depth {depth}");
    }
}

#[test]
fn a_revoked_origin_is_not_spoken_to() {
    let ca = Ca::new("ca");
    let origin = TlsOrigin::start(&ca.server(&["web.test"])); // serial number 1
    for (serial, expected) in [(1, 502), (2, 200)] {
        let hosts = Hosts::of(origin.address)
            .host("a.test", None, verifies("web.test"))
            .secret("ca", ca.anchors(vec![ca.revoke(serial)]));
        assert_eq!(ask(&Inside::start(Lane::Auto, 1, hosts), "a.test").status, expected);
    }
}

#[test]
fn our_certificate_is_shown_and_versions_are_those_asked_for() {
    let ca = Ca::new("ca");
    let server = ca.server(&["web.test"]);
    let asking = TlsOrigin::with(&server, Some(&ca), &[&TLS12, &TLS13], Ends::Length);
    let new = TlsOrigin::with(&server, None, &[&TLS13], Ends::Length);
    let ours = SecretContent { pair: ca.client("weir", 9).pair(), ..ca.anchors(Vec::new()) };
    let weir = |origin: &TlsOrigin, versions, content| {
        let hosts = Hosts::of(origin.address)
            .host("a.test", None, |policy| {
                verifies("web.test")(policy);
                policy.origin.tls.versions = versions;
            })
            .secret("ca", content);
        Inside::start(Lane::Auto, 1, hosts)
    };
    let reply = ask(&weir(&asking, TlsVersions::V12, ours), "a.test");
    assert_eq!((reply.status, reply.text().as_str()), (200, "none, shown, TLSv1_2"));
    let without = ask(&weir(&asking, TlsVersions::V12, ca.anchors(Vec::new())), "a.test");
    assert_eq!(without.status, 502);
    let old = weir(&new, TlsVersions::V12, ca.anchors(Vec::new()));
    assert_eq!(ask(&old, "a.test").status, 502);
    assert_eq!(failures(&old, OriginTlsFailure::Alert), 1);
    assert_eq!(ask(&weir(&new, TlsVersions::V13, ca.anchors(Vec::new())), "a.test").status, 200);
}

/// The trap: a pool that knows an address and not with which authority it was verified.
#[test]
fn connections_are_reused_within_a_policy_and_not_beyond_it() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let origin = TlsOrigin::start(&ca.server(&["web.test"]));
    let hosts = || {
        Hosts::of(origin.address)
            .host("open.test", None, https(|_| ()))
            .host("right.test", None, verifies("web.test"))
            .host("wrong.test", None, |policy| {
                verifies("web.test")(policy);
                policy.origin.tls.secret = Some(secret("other"));
            })
            .secret("ca", ca.anchors(Vec::new()))
            .secret("other", other.anchors(Vec::new()))
    };
    let weir = Inside::start(Lane::Auto, 1, hosts());
    for _ in 0..5 {
        assert_eq!(ask(&weir, "right.test").status, 200);
    }
    assert_eq!(origin.handshakes(), 1, "one connection serves all");
    for _ in 0..3 {
        assert_eq!(ask(&weir, "wrong.test").status, 502, "no connection of the others is taken");
    }
    assert_eq!(ask(&weir, "open.test").status, 200);
    assert_eq!(origin.handshakes(), 2);
    // The same policy in a new snapshot is the same policy.
    let same = hosts().secret("unused", Ca::new("unused").anchors(Vec::new()));
    let (mut same, before) = (same, weir.engine.snapshot());
    same.declaration.secrets.insert(secret("ca"), content_of(&before, "ca"));
    same.declaration.secrets.insert(secret("other"), content_of(&before, "other"));
    weir.engine.replace(same.declaration);
    assert_eq!(ask(&weir, "right.test").status, 200);
    assert_eq!(origin.handshakes(), 2);
}

fn content_of(snapshot: &weir_core::Snapshot, name: &str) -> SecretContent {
    let anchors = snapshot.secrets().anchors(&secret(name)).unwrap().clone();
    SecretContent { anchors: weir_core::tls::Content::Good(anchors), ..SecretContent::default() }
}

#[test]
fn many_at_once_are_all_answered() {
    let ca = Ca::new("ca");
    let origin = TlsOrigin::start(&ca.server(&["web.test"]));
    let hosts = Hosts::of(origin.address)
        .host("a.test", None, verifies("web.test"))
        .secret("ca", ca.anchors(Vec::new()));
    let weir = Inside::start(Lane::Auto, 1, hosts);
    // More than pingora keeps under one key.
    for _ in 0..3 {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..40).map(|_| scope.spawn(|| ask(&weir, "a.test").status)).collect();
            asking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }
    assert!(origin.handshakes() < 120, "{}", origin.handshakes());
}

#[test]
fn a_connection_that_the_origin_has_closed_costs_no_request() {
    let ca = Ca::new("ca");
    let origin = TlsOrigin::with(&ca.server(&["web.test"]), None, &[&TLS12, &TLS13], Ends::LengthAndClose);
    let hosts = Hosts::of(origin.address)
        .host("a.test", None, verifies("web.test"))
        .secret("ca", ca.anchors(Vec::new()));
    let weir = Inside::start(Lane::Auto, 1, hosts);
    let mut client = Client::connect(weir.http());
    assert!((0..20).all(|_| client.get("a.test", "/").status == 200));
    assert_eq!(origin.handshakes(), 20);
}

/// A response that ends with its connection is whole only if TLS says so.
#[test]
fn a_truncated_response_is_not_taken_for_a_whole_one() {
    let ca = Ca::new("ca");
    let server = ca.server(&["web.test"]);
    let run = |ends| {
        let origin = TlsOrigin::with(&server, None, &[&TLS13], ends);
        let weir =
            Inside::start(Lane::Auto, 1, Hosts::of(origin.address).host("a.test", None, https(|_| ())));
        let mut client = Client::connect(weir.http());
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        client.try_read("GET").map(|reply| reply.text())
    };
    assert_eq!(run(Ends::Close).unwrap(), "none, not shown, TLSv1_3");
    assert!(run(Ends::Cut).is_err());
}

/// Authorities that cannot be read close the way; they do not open it.
#[test]
fn what_cannot_be_verified_is_not_asked() {
    let ca = Ca::new("ca");
    let origin = TlsOrigin::start(&ca.server(&["web.test"]));
    let hosts = Hosts::of(origin.address).host("a.test", None, verifies("web.test"));
    let weir = Inside::start(Lane::Auto, 1, hosts);
    assert!(ask(&weir, "a.test").status >= 500);
    until("nobody asked", || origin.handshakes() == 0);
}

/// As operators say it, under the names of ingress-nginx.
#[test]
fn annotations_say_how_an_origin_is_verified() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let server = ca.server(&["web.test"]);
    let origin = TlsOrigin::start(&server);
    let asking = TlsOrigin::with(&server, Some(&ca), &[&TLS12, &TLS13], Ends::Length);
    let below = ca.below("middle");
    let deep = TlsOrigin::start(&below.server(&["web.test"]).via(&below));
    let deeper = below.below("low");
    let deeper = TlsOrigin::start(&deeper.server(&["web.test"]).via(&deeper).via(&below));
    let ours = ca.client("weir", 9);
    let secrets = crate::tls::secret("ca", &[("ca.crt", ca.pem())])
        + &crate::tls::secret("other", &[("ca.crt", other.pem())])
        + &crate::tls::secret("revoking", &[("ca.crt", ca.pem()), ("ca.crl", ca.revoke_pem(1))])
        + &crate::tls::secret(
            "ours",
            &[("ca.crt", ca.pem()), ("tls.crt", ours.chain_pem()), ("tls.key", ours.key_pem())],
        );
    let (verify, name) = (("proxy-ssl-verify", "on"), ("proxy-ssl-name", "web.test"));
    let trusts = ("proxy-ssl-secret", "default/ca");
    let sends = ("proxy-ssl-server-name", "on");
    type Case<'a> = (&'a str, &'a TlsOrigin, &'a [(&'a str, &'a str)], u16, &'a str);
    let cases: [Case<'_>; 15] = [
        ("nothing is asked", &origin, &[], 200, "none, not shown, TLSv1_3"),
        ("verified", &origin, &[trusts, verify, name], 200, "none, not shown, TLSv1_3"),
        ("sent", &origin, &[trusts, verify, name, sends], 200, "web.test, not shown, TLSv1_3"),
        ("its name in the cluster", &origin, &[trusts, verify], 502, ""),
        ("unverified, with its name", &origin, &[sends, name], 200, "web.test, not shown, TLSv1_3"),
        ("another name", &origin, &[trusts, verify, ("proxy-ssl-name", "else.test")], 502, ""),
        ("another authority", &origin, &[("proxy-ssl-secret", "default/other"), verify, name], 502, ""),
        ("revoked", &origin, &[("proxy-ssl-secret", "default/revoking"), verify, name], 502, ""),
        ("no authority", &origin, &[verify, name], 503, ""),
        ("no such Secret", &origin, &[("proxy-ssl-secret", "default/none"), name], 503, ""),
        ("old", &origin, &[("proxy-ssl-protocols", "TLSv1.2")], 200, "none, not shown, TLSv1_2"),
        ("one above", &deep, &[trusts, verify, name], 200, "none, not shown, TLSv1_3"),
        ("two above", &deeper, &[trusts, verify, name], 502, ""),
        (
            "allowed",
            &deeper,
            &[trusts, verify, name, ("proxy-ssl-verify-depth", "2")],
            200,
            "none, not shown",
        ),
        ("ours", &asking, &[("proxy-ssl-secret", "default/ours"), verify, name], 200, "none, shown, TLSv1_3"),
    ];
    for lane in LANES {
        let objects = cases.iter().enumerate().map(|(n, (_, origin, annotations, ..))| {
            let full = annotations.iter().chain(&[("backend-protocol", "HTTPS")]);
            let full: Vec<(String, &str)> =
                full.map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), *value)).collect();
            let full: Vec<(&str, &str)> = full.iter().map(|(key, value)| (key.as_str(), *value)).collect();
            crate::support::ingress(&format!("web{n}"), &format!("a{n}.test"), origin.address, &full)
        });
        let weir = lane.start(&(objects.collect::<String>() + &secrets), &[]);
        for (n, (what, _, _, status, body)) in cases.iter().enumerate() {
            let reply = crate::support::get(weir.http, &format!("a{n}.test"), "/");
            assert_eq!(reply.status, *status, "{lane:?}, {what}: {}", reply.text());
            if *status == 200 {
                assert!(reply.text().starts_with(body), "{lane:?}, {what}: {}", reply.text());
            }
        }
    }
}

/// The trap: a library that reads the system's authorities at the start, and panics over one that is malformed, or
/// verifies nothing where there are none.
#[test]
fn the_systems_authorities_are_neither_needed_nor_believed() {
    let ca = Ca::new("ca");
    let origin = TlsOrigin::start(&ca.server(&["web.svc"]));
    let annotations = [("backend-protocol", "HTTPS"), ("proxy-ssl-name", "web.svc")];
    let secret = crate::tls::secret("other", &[("ca.crt", Ca::new("other").pem())]);
    let verified =
        [&annotations[..], &[("proxy-ssl-verify", "on"), ("proxy-ssl-secret", "default/other")]].concat();
    let manifests = crate::support::ingress("web", "open.test", origin.address, &annotations)
        + &crate::support::ingress("checked", "checked.test", origin.address, &verified)
        + &secret;
    let malformed = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    for bundle in [String::new(), malformed.to_owned(), ca.pem()] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("all.yaml"), &manifests).unwrap();
        let file = folder.path().join("bundle.pem");
        std::fs::write(&file, bundle).unwrap();
        let weir = crate::support::Weir::spawn(folder, |usual| {
            let mut command = std::process::Command::new(usual.get_program());
            command.args(usual.get_args()).env("SSL_CERT_FILE", file).env("SSL_CERT_DIR", "/none");
            command
        });
        assert_eq!(crate::support::get(weir.http, "open.test", "/").status, 200);
        // Whom the system believes is no authority here: only the Secret's are.
        assert_eq!(crate::support::get(weir.http, "checked.test", "/").status, 502);
    }
}
