//! Certificates that are mounted.

use super::Pod;
use crate::origins_tls::TlsOrigin;
use crate::support::pki::{Ca, Certificate};
use crate::support::tls::{showing, trusting};
use crate::support::volume::Volume;
use crate::support::{Client, Origin, Reaction, until};

/// A volume with a Secret of type `kubernetes.io/tls`.
fn mount(volume: &Volume, certificate: &Certificate) {
    volume.swap(&[("tls.crt", &certificate.chain_pem()), ("tls.key", &certificate.key_pem())]);
}

fn shown(pod: &Pod) -> Vec<u8> {
    let mut client = Client::connect_tls(pod.weir.https(), "any.test", trusting());
    assert_eq!(client.get("any.test", "/").status, 200);
    client.tls().unwrap().peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_mounted_certificate_is_shown_and_a_new_one_from_the_next_handshake_on() {
    let ca = Ca::new("ca");
    let [first, second] = [ca.server(&["a.test"]), ca.server(&["a.test"])];
    let origin = Origin::start(|request| Reaction::ok(request.header("x-forwarded-proto").unwrap_or("none")));
    let mut tls = None;
    let pod = Pod::with(origin.address, &[("limit-rps", "1000")], |folder, command| {
        let volume = Volume::new(folder.join("tls"));
        mount(&volume, &first);
        command.args(["--https", "127.0.0.1:0", "--tls-secret-dir"]).arg(volume.folder());
        tls = Some(volume);
    });
    let tls = tls.unwrap();
    assert_eq!(shown(&pod), first.chain[0].to_vec());
    let mut old = Client::connect_tls(pod.weir.https(), "a.test", trusting());
    assert_eq!(old.get("a.test", "/").text(), "https");

    // Handshakes are not spent on waiting: a client has so many a second.
    let before = pod.weir.generation();
    mount(&tls, &second);
    until("it was read", || pod.weir.generation() > before);
    assert_eq!(shown(&pod), second.chain[0].to_vec());
    assert_eq!(old.get("a.test", "/").status, 200, "connections live on");

    // A key that is not that of the certificate, and text that is none.
    for key in
        [first.key_pem(), "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n".to_owned()]
    {
        let before = pod.weir.generation();
        tls.swap(&[("tls.crt", &second.chain_pem()), ("tls.key", &key)]);
        until("it was read", || pod.weir.generation() > before);
        assert_eq!(shown(&pod), second.chain[0].to_vec(), "the last good one stays in force");
        let said = pod.weir.findings();
        let codes: Vec<_> = said.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
        assert!(codes.contains(&"invalid-secret") && codes.contains(&"last-good-secret"), "{said:?}");
        assert_eq!(said[0]["name"], tls.folder().to_str().unwrap());
    }
    let before = pod.weir.generation();
    mount(&tls, &first);
    until("it was read", || pod.weir.generation() > before);
    assert_eq!(shown(&pod), first.chain[0].to_vec());
    assert_eq!(pod.weir.findings().len(), 0);

    // Nothing of a key is in the log, in what operators see, or in the metrics.
    let pages = ["/", "/metrics", "/api/config", "/api/findings"];
    let pages = pages.map(|path| crate::support::get(pod.weir.admin, "admin", path).text()).concat();
    let all = pages + &pod.weir.stderr() + &pod.weir.stdout();
    for key in [first.key_pem(), second.key_pem(), "c2VjcmV0".to_owned()] {
        let line = key.lines().rfind(|line| !line.starts_with('-')).unwrap();
        assert!(!all.contains(line), "a key is shown");
    }
}

#[test]
fn clients_are_checked_with_mounted_authorities() {
    let (ca, stranger) = (Ca::new("ca"), Ca::new("stranger"));
    let server = ca.server(&["a.test"]);
    let origin =
        Origin::start(|request| Reaction::ok(request.header("ssl-client-subject-dn").unwrap_or("nobody")));
    let annotations = [("nginx.ingress.kubernetes.io/auth-tls-secret", "shop/clients-ca")];
    let pod = Pod::with(origin.address, &annotations, |folder, command| {
        let (tls, clients) = (Volume::new(folder.join("tls")), Volume::new(folder.join("clients")));
        mount(&tls, &server);
        clients.swap(&[("ca.crt", &ca.pem())]);
        command.args(["--https", "127.0.0.1:0", "--tls-secret-dir"]).arg(tls.folder());
        command.arg("--secret-dir").arg(format!("shop/clients-ca={}", clients.folder().display()));
    });
    let anna = |of: &Ca| showing(Some(&of.client("anna", 1)), rustls::ALL_VERSIONS);
    let ask = |config| Client::connect_tls(pod.weir.https(), "a.test", config).get("a.test", "/");
    assert_eq!(pod.weir.findings(), Vec::<serde_json::Value>::new());
    assert_eq!(ask(trusting()).status, 400, "no certificate is no way in");
    assert_eq!(ask(anna(&stranger)).status, 400);
    let let_in = ask(anna(&ca));
    assert_eq!((let_in.status, let_in.text().as_str()), (200, "CN=anna"));

    // One that is not mounted lets nobody in, and says how it is mounted.
    pod.annotate(&[("nginx.ingress.kubernetes.io/auth-tls-secret", "shop/other")]);
    assert_eq!(ask(anna(&ca)).status, 403);
    let said = serde_json::to_string(&pod.weir.findings()).unwrap();
    assert!(said.contains("--secret-dir shop/other=DIR"), "{said}");
}

#[test]
fn an_application_that_speaks_tls_is_checked_with_mounted_authorities() {
    let ca = Ca::new("ca");
    let origin = TlsOrigin::start(&ca.server(&["api.internal"]));
    let asked = |name: &str| {
        let annotations = [
            ("backend-protocol", "HTTPS"),
            ("proxy-ssl-secret", "shop/origin"),
            ("proxy-ssl-verify", "on"),
            ("proxy-ssl-server-name", "on"),
            ("proxy-ssl-name", name),
        ];
        annotations.map(|(key, value)| (format!("nginx.ingress.kubernetes.io/{key}"), value.to_owned()))
    };
    let of = |name: &str| asked(name).map(|(key, value)| (key.leak() as &str, value.leak() as &str));
    let pod = Pod::with(origin.address, &of("api.internal"), |folder, command| {
        let volume = Volume::new(folder.join("origin"));
        volume.swap(&[("ca.crt", &ca.pem())]);
        command.arg("--secret-dir").arg(format!("shop/origin={}", volume.folder().display()));
    });
    let ask = || crate::support::get(pod.weir.http, "a.test", "/");
    assert!(ask().text().starts_with("api.internal, "), "{}", ask().text());
    pod.annotate(&of("other.internal"));
    assert_eq!(ask().status, 502, "the certificate is for another");
    pod.annotate(&of("api.internal")[..4]);
    assert_eq!(ask().status, 503, "an address has no name");
    assert!(serde_json::to_string(&pod.weir.findings()).unwrap().contains("expected proxy-ssl-name"));
}
