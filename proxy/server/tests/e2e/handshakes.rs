//! What a name is served with, and what is asked of clients.

use crate::support::inside::{Hosts, Inside, secret};
use crate::support::pki::{Ca, Certificate};
use crate::support::tls::{showing, trusting, wrap};
use crate::support::{Client, LANES, Lane, Origin, Reaction, until};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, HandshakeKind};
use rustls_pki_types::CertificateDer;
use std::net::TcpStream;
use std::sync::Arc;
use weir::tls::Failure;
use weir_core::policy::{PerSecond, Policy};
use weir_core::tls::{Content, SecretContent, TlsVersion, UnknownName, VerifyClient};

fn certificate(certificate: &Certificate) -> SecretContent {
    SecretContent { pair: certificate.pair(), ..SecretContent::default() }
}

fn nothing(_: &mut Policy) {}

/// Asks for certificates of the authority in Secret `ca`.
fn asks(mode: VerifyClient) -> impl FnOnce(&mut Policy) {
    move |policy| {
        policy.tls.client.secret = Some(secret("ca"));
        policy.tls.client.verify = Some(mode);
    }
}

fn origin() -> Origin {
    Origin::start(|_| Reaction::ok("hello"))
}

/// The certificate that is shown for a name.
fn shown(weir: &Inside, name: &str) -> CertificateDer<'static> {
    let mut client = Client::connect_tls(weir.https(), name, trusting());
    client.get(name, "/");
    client.tls().unwrap().peer_certificates().unwrap()[0].clone()
}

fn failures(weir: &Inside, failure: Failure) -> u64 {
    weir.counters.read().handshake_failures.iter().find(|(known, _)| *known == failure).unwrap().1
}

#[test]
fn each_host_shows_its_certificate_and_a_change_holds_from_the_next_handshake_on() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let [a, wild, default, renewed] =
        [&["a.test"][..], &["*.wild.test"], &["default.test"], &["a.test"]].map(|names| ca.server(names));
    let hosts = |of_a: SecretContent| {
        let mut hosts = Hosts::of(origin.address)
            .host("a.test", Some("a"), nothing)
            .host("*.wild.test", Some("wild"), nothing)
            .secret("a", of_a)
            .secret("wild", certificate(&wild))
            .secret("default", certificate(&default));
        hosts.declaration.default_certificate = Some(secret("default"));
        hosts
    };
    let weir = Inside::start(Lane::Auto, 2, hosts(certificate(&a)));
    let before = Client::connect_tls(weir.https(), "a.test", trusting());
    assert_eq!(shown(&weir, "a.test"), a.chain[0]);
    assert_eq!(shown(&weir, "A.Test"), a.chain[0]);
    assert_eq!(shown(&weir, "b.wild.test"), wild.chain[0]);
    assert_eq!(shown(&weir, "wild.test"), default.chain[0]);
    assert_eq!(shown(&weir, "c.b.wild.test"), default.chain[0], "a wildcard is one label");
    assert_eq!(shown(&weir, "other.test"), default.chain[0]);

    weir.engine.replace(hosts(certificate(&renewed)).declaration);
    assert_eq!(shown(&weir, "a.test"), renewed.chain[0]);
    assert_eq!(shown(&weir, "b.wild.test"), wild.chain[0]);
    // What is broken leaves the last good one where it is.
    weir.engine
        .replace(hosts(SecretContent { pair: Content::Broken, ..SecretContent::default() }).declaration);
    assert_eq!(shown(&weir, "a.test"), renewed.chain[0]);
    drop(before);
}

#[test]
fn an_open_connection_lives_on_when_its_certificate_changes() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let hosts = |content| Hosts::of(origin.address).host("a.test", Some("a"), nothing).secret("a", content);
    let weir = Inside::start(Lane::Auto, 1, hosts(certificate(&ca.server(&["a.test"]))));
    let mut client = Client::connect_tls(weir.https(), "a.test", trusting());
    assert_eq!(client.get("a.test", "/").status, 200);
    weir.engine.replace(hosts(certificate(&ca.server(&["a.test"]))).declaration);
    assert_eq!(client.get("a.test", "/").status, 200);
}

#[test]
fn names_that_nobody_has_are_refused_where_that_is_asked_for() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let mut hosts = Hosts::of(origin.address)
        .host("a.test", Some("a"), nothing)
        .secret("a", certificate(&ca.server(&["a.test"])));
    hosts.declaration.settings.tls.unknown = UnknownName::Refuse;
    let weir = Inside::start(Lane::Auto, 1, hosts);
    let refused = |name: &str| {
        let mut stream = wrap(TcpStream::connect(weir.https()).unwrap(), name, trusting());
        let error = stream.conn.complete_io(&mut stream.sock).unwrap_err();
        let error = error.into_inner().unwrap().downcast::<rustls::Error>().unwrap();
        assert_eq!(*error, rustls::Error::AlertReceived(AlertDescription::UnrecognisedName), "{name}");
    };
    refused("b.test");
    refused("127.0.0.1"); // no name at all
    assert_eq!(shown(&weir, "a.test"), weir_chain(&weir, "a.test"));
    until("the refusals are counted", || failures(&weir, Failure::Name) == 2);
}

fn weir_chain(weir: &Inside, name: &str) -> CertificateDer<'static> {
    let snapshot = weir.engine.snapshot();
    let pair = snapshot.tls().lookup(Some(name)).tls.pair.clone().unwrap();
    pair.chain[0].clone().into()
}

#[test]
fn versions_are_those_of_the_host() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let hosts = Hosts::of(origin.address)
        .host("new.test", Some("tls"), |policy| policy.tls.min_version = Some(TlsVersion::V13))
        .host("both.test", Some("tls"), nothing)
        .secret("tls", certificate(&ca.server(&["new.test", "both.test"])));
    let weir = Inside::start(Lane::Auto, 1, hosts);
    let talks = |name: &str, version| {
        let mut client = Client::connect_tls(weir.https(), name, showing(None, &[version]));
        client.try_send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")).is_ok()
            && client.try_read("GET").is_ok_and(|reply| reply.status == 200)
    };
    assert!(talks("both.test", &TLS12) && talks("both.test", &TLS13) && talks("new.test", &TLS13));
    assert!(!talks("new.test", &TLS12));
    until("the failure is counted", || failures(&weir, Failure::Version) == 1);
}

/// Each kind of client certificate at each kind of host, over both versions and both lanes.
#[test]
fn who_is_let_in_with_which_certificate() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let middle = ca.below("middle");
    let low = middle.below("low");
    let cases = [
        ("none", None, "NONE"),
        ("good", Some(ca.client("anna", 5)), "SUCCESS"),
        ("below one", Some(middle.client("anna", 5).via(&middle)), "SUCCESS"),
        (
            "below two",
            Some(low.client("anna", 5).via(&low).via(&middle)),
            "FAILED:certificate chain too long",
        ),
        ("unknown", Some(other.client("eve", 5)), "FAILED:unable to verify the first certificate"),
        ("of a server", Some(ca.server(&["anna"])), "FAILED:certificate rejected"),
    ];
    let server = ca.server(&["*.test"]);
    for lane in LANES {
        let origin = Origin::start(|request| {
            let told = |name| request.header(name).unwrap_or("-").to_owned();
            let names =
                ["ssl-client-verify", "ssl-client-subject-dn", "ssl-client-issuer-dn", "ssl-client-cert"];
            Reaction::ok(names.map(told).join("|"))
        });
        let hosts = Hosts::of(origin.address)
            .host("require.test", Some("tls"), asks(VerifyClient::Require))
            .host("optional.test", Some("tls"), asks(VerifyClient::Optional))
            .host("any.test", Some("tls"), asks(VerifyClient::OptionalNoCa))
            .host("off.test", Some("tls"), asks(VerifyClient::Ignore))
            .secret("tls", certificate(&server))
            .secret("ca", ca.anchors(Vec::new()));
        let weir = Inside::start(lane, 1, hosts);
        for (what, certificate, verified) in &cases {
            for version in [&TLS12, &TLS13] {
                let ask = |host: &str| {
                    let config = showing(certificate.as_ref(), &[version]);
                    // What a client says of itself must not arrive.
                    Client::connect_tls(weir.https(), host, config).get_with(
                        host,
                        "/",
                        "ssl-client-verify: SUCCESS\r\nSSL-Client-Subject-DN: CN=root\r\nssl-client-cert: x\r\n",
                    )
                };
                let context = format!("{lane:?}, {what}, {version:?}");
                let passes = *verified == "SUCCESS";
                assert_eq!(ask("require.test").status, if passes { 200 } else { 400 }, "{context}");
                let optional = if passes || *what == "none" { 200 } else { 400 };
                assert_eq!(ask("optional.test").status, optional, "{context}");
                let any = ask("any.test");
                let expected = if *what == "of a server" || *what == "below two" { 400 } else { 200 };
                assert_eq!(any.status, expected, "{context}");
                if any.status == 200 {
                    let told = any.text();
                    let mut told = told.split('|');
                    assert_eq!(told.next(), Some(*verified), "{context}");
                    let subject = match *what {
                        "none" => "-",
                        "unknown" => "CN=eve",
                        _ => "CN=anna",
                    };
                    assert_eq!(told.next(), Some(subject), "{context}");
                    assert_eq!(told.nth(1), Some("-"), "the certificate was not asked for: {context}");
                }
                let off = ask("off.test");
                assert_eq!((off.status, off.text().as_str()), (200, "-|-|-|-"), "{context}");
            }
        }
    }
}

#[test]
fn a_revoked_certificate_is_refused_from_the_next_handshake_on_even_a_resumed_one() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let server = ca.server(&["a.test"]);
    let hosts = |crls| {
        Hosts::of(origin.address)
            .host("a.test", Some("tls"), asks(VerifyClient::Require))
            .secret("tls", certificate(&server))
            .secret("ca", ca.anchors(crls))
    };
    for version in [&TLS12, &TLS13] {
        let weir = Inside::start(Lane::Auto, 1, hosts(Vec::new()));
        let config = remembering(Some(&ca.client("anna", 7)), version);
        let ask = || {
            let mut client = Client::connect_tls(weir.https(), "a.test", config.clone());
            let status = client.get("a.test", "/").status;
            (status, client.tls().unwrap().handshake_kind())
        };
        assert_eq!(ask(), (200, Some(HandshakeKind::Full)));
        assert_eq!(ask(), (200, Some(HandshakeKind::Resumed)), "the certificate comes with the session");
        weir.engine.replace(hosts(vec![ca.revoke(7)]).declaration);
        assert_eq!(ask(), (400, Some(HandshakeKind::Full)), "{version:?}");
        assert_eq!(ask().0, 400, "{version:?}");
    }
}

fn remembering(
    certificate: Option<&Certificate>,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut config = (*showing(certificate, &[version])).clone();
    config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(32)));
    Arc::new(config)
}

/// A session remembers that nobody was asked for a certificate. So it must not be taken where somebody is, neither
/// under another name nor when the host begins to ask.
#[test]
fn nobody_gets_in_with_a_session_from_where_no_certificate_was_asked_for() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let server = ca.server(&["*.test"]);
    let hosts = |of_a: Option<VerifyClient>| {
        let hosts = Hosts::of(origin.address);
        let hosts = match of_a {
            None => hosts.host("a.test", Some("tls"), nothing),
            Some(mode) => hosts.host("a.test", Some("tls"), asks(mode)),
        };
        hosts
            .host("b.test", Some("tls"), asks(VerifyClient::Require))
            .secret("tls", certificate(&server))
            .secret("ca", ca.anchors(Vec::new()))
    };
    for version in [&TLS12, &TLS13] {
        let weir = Inside::start(Lane::Auto, 2, hosts(None));
        // One that takes any session for any name.
        let mut config = (*showing(None, &[version])).clone();
        config.resumption = Resumption::store(Arc::new(AnyName(ClientSessionMemoryCache::new(32))));
        let config = Arc::new(config);
        let ask = |host: &str| {
            let mut client = Client::connect_tls(weir.https(), host, config.clone());
            let status = client.get(host, "/").status;
            (status, client.tls().unwrap().handshake_kind())
        };
        assert_eq!(ask("a.test"), (200, Some(HandshakeKind::Full)));
        assert_eq!(ask("a.test"), (200, Some(HandshakeKind::Resumed)));
        assert_eq!(ask("b.test"), (400, Some(HandshakeKind::Full)), "{version:?}");
        assert_eq!(ask("a.test").0, 200);
        weir.engine.replace(hosts(Some(VerifyClient::Require)).declaration);
        assert_eq!(ask("a.test"), (400, Some(HandshakeKind::Full)), "{version:?}");
        // A session that saw no certificate where one may be missing is not one for where it must be there.
        weir.engine.replace(hosts(Some(VerifyClient::Optional)).declaration);
        assert_eq!(ask("a.test"), (200, Some(HandshakeKind::Full)));
        weir.engine.replace(hosts(Some(VerifyClient::Require)).declaration);
        assert_eq!(ask("a.test"), (400, Some(HandshakeKind::Full)), "{version:?}");
    }
}

/// Gives the sessions of one name out for all.
#[derive(Debug)]
struct AnyName(ClientSessionMemoryCache);

impl AnyName {
    fn name() -> rustls_pki_types::ServerName<'static> {
        "every.test".try_into().unwrap()
    }
}

impl rustls::client::ClientSessionStore for AnyName {
    fn set_kx_hint(&self, _: rustls_pki_types::ServerName<'static>, group: rustls::NamedGroup) {
        self.0.set_kx_hint(Self::name(), group);
    }
    fn kx_hint(&self, _: &rustls_pki_types::ServerName<'_>) -> Option<rustls::NamedGroup> {
        self.0.kx_hint(&Self::name())
    }
    fn set_tls12_session(
        &self,
        _: rustls_pki_types::ServerName<'static>,
        value: rustls::client::Tls12ClientSessionValue,
    ) {
        self.0.set_tls12_session(Self::name(), value);
    }
    fn tls12_session(
        &self,
        _: &rustls_pki_types::ServerName<'_>,
    ) -> Option<rustls::client::Tls12ClientSessionValue> {
        self.0.tls12_session(&Self::name())
    }
    fn remove_tls12_session(&self, _: &rustls_pki_types::ServerName<'static>) {
        self.0.remove_tls12_session(&Self::name());
    }
    fn insert_tls13_ticket(
        &self,
        _: rustls_pki_types::ServerName<'static>,
        value: rustls::client::Tls13ClientSessionValue,
    ) {
        self.0.insert_tls13_ticket(Self::name(), value);
    }
    fn take_tls13_ticket(
        &self,
        _: &rustls_pki_types::ServerName<'static>,
    ) -> Option<rustls::client::Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&Self::name())
    }
}

#[test]
fn a_connection_of_one_host_is_no_way_into_another() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let hosts = Hosts::of(origin.address)
        .host("a.test", Some("tls"), nothing)
        .host("b.test", Some("tls"), asks(VerifyClient::Require))
        .secret("tls", certificate(&ca.server(&["*.test"])))
        .secret("ca", ca.anchors(Vec::new()));
    for lane in LANES {
        let weir = Inside::start(lane, 1, hosts.clone());
        let mut client =
            Client::connect_tls(weir.https(), "a.test", showing(Some(&ca.client("anna", 1)), &[&TLS13]));
        assert_eq!(client.get("a.test", "/").status, 200);
        assert_eq!(client.get("b.test", "/").status, 421, "{lane:?}");
        assert_eq!(client.get("a.test", "/").status, 200);
    }
}

#[test]
fn handshakes_have_a_budget_per_client() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let mut hosts = Hosts::of(origin.address)
        .host("a.test", Some("tls"), nothing)
        .secret("tls", certificate(&ca.server(&["a.test"])));
    // Three at once; how many more depends on how long the test takes.
    hosts.declaration.settings.edge.handshake_rate_per_client =
        Some(PerSecond { rate: 1.try_into().unwrap(), burst: 2 });
    let weir = Inside::start(Lane::Auto, 1, hosts);
    let try_once = || {
        let mut client = Client::connect_tls(weir.https(), "a.test", trusting());
        client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").is_ok() && client.try_read("GET").is_ok()
    };
    let done = (0..40).filter(|_| try_once()).count();
    assert!((3..40).contains(&done), "{done}");
    until("the rest is counted", || failures(&weir, Failure::ClientRate) == 40 - done as u64);
    // Those without TLS have no handshakes.
    assert_eq!(Client::connect(weir.http()).get("none.test", "/").status, 404);
}
