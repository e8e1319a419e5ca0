//! TLS towards clients: openssl and curl as peers, and clients of our own where a test must see inside.

use crate::support::pki::{Ca, Certificate};
use crate::support::tls::{trusting, wrap};
use crate::support::{Client, LANES, Origin, Reaction, Weir, ingress, installed, until};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const HTTPS: [&str; 2] = ["--https", "127.0.0.1:0"];

fn origin() -> Origin {
    Origin::start(|_| Reaction::ok("hello"))
}

/// What `openssl s_client` says when it has nothing to send.
pub fn s_client(to: SocketAddr, arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &to.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    format!("{out}\n{err}")
}

/// As [`s_client`], with a request, so that what comes after the handshake is read too.
fn s_client_get(to: SocketAddr, arguments: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &to.to_string(), "-ign_eof"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let _ = child.stdin.take().unwrap().write_all(request);
    let output = child.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    format!("{out}\n{err}")
}

/// Handshakes that ended in this way.
pub fn failures(weir: &Weir, result: &str) -> f64 {
    weir.metric(&format!("weir_tls_handshakes_total{{result=\"{result}\"}}")).unwrap_or_default()
}

#[test]
fn curl_over_tls_through_both_lanes() {
    if !installed(&["curl"]) {
        return;
    }
    let origin = Origin::start(|request| {
        let proto = request.header("x-forwarded-proto").unwrap_or("none").to_owned();
        Reaction::ok(format!("{proto} {}", request.body.len()))
    });
    for lane in LANES {
        let weir = lane.start(&ingress("web", "a.test", origin.address, &[]), &HTTPS);
        let port = weir.https().port();
        let curl = |arguments: &[&str]| {
            let output = Command::new("curl")
                .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--insecure"])
                // HTTP/2 has a lane of its own.
                .args(["--http1.1", "--resolve", &format!("a.test:{port}:127.0.0.1")])
                .args(arguments)
                .arg(format!("https://a.test:{port}/"))
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(curl(&[]), "https 0", "{lane:?}");
        assert_eq!(curl(&["--tls-max", "1.2"]), "https 0", "{lane:?}");
        assert_eq!(curl(&["--data", "abc"]), "https 3", "{lane:?}");
        assert_eq!(curl(&["--data", "abc", "--header", "Transfer-Encoding: chunked"]), "https 3", "{lane:?}");
        assert!(failures(&weir, "completed") >= 4.0);
    }
}

#[test]
fn tls_1_2_and_1_3_and_nothing_older() {
    if !installed(&["openssl"]) {
        return;
    }
    let origin = origin();
    let weir = Weir::start_with(&ingress("web", "a.test", origin.address, &[]), &HTTPS);
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = s_client(weir.https(), &[version, "-servername", "a.test"]);
        assert!(said.contains(&format!("New, {name}")), "{said}");
        assert!(said.contains("CN = weir default certificate"), "{said}");
    }
    let said = s_client(weir.https(), &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-servername", "a.test"]);
    assert!(said.contains("New, (NONE)") && said.contains("SSL alert number"), "{said}");
    until("the failure is counted", || failures(&weir, "version") == 1.0);
}

#[test]
fn http_1_1_is_agreed_on_and_other_protocols_are_refused() {
    if !installed(&["openssl"]) {
        return;
    }
    let origin = origin();
    let weir = Weir::start_with(&ingress("web", "a.test", origin.address, &[]), &HTTPS);
    let said = s_client(weir.https(), &["-alpn", "http/1.1"]);
    assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
    let said = s_client(weir.https(), &["-alpn", "smtp"]);
    assert!(said.contains("alert no application protocol"), "{said}");
}

/// Each worker has sockets of its own, so that some of these connections meet workers that have not seen the session.
#[test]
fn sessions_are_resumed_across_workers() {
    if !installed(&["openssl"]) {
        return;
    }
    let origin = origin();
    let weir = Weir::start_with(
        &ingress("web", "a.test", origin.address, &[]),
        &[&HTTPS[..], &["--workers", "4"]].concat(),
    );
    let folder = tempfile::tempdir().unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let session = folder.path().join(version);
        let session = session.to_str().unwrap();
        let said = s_client_get(weir.https(), &[version, "-servername", "a.test", "-sess_out", session]);
        assert!(said.contains("New, TLS") && said.contains("hello"), "{said}");
        for _ in 0..12 {
            let said = s_client_get(weir.https(), &[version, "-servername", "a.test", "-sess_in", session]);
            assert!(said.contains("Reused, TLS") && said.contains("hello"), "{said}");
        }
        // Another name is another host.
        let said = s_client_get(weir.https(), &[version, "-servername", "b.test", "-sess_in", session]);
        assert!(said.contains("New, TLS"), "{said}");
    }
}

#[test]
fn there_is_no_early_data() {
    if !installed(&["openssl"]) {
        return;
    }
    let origin = origin();
    let weir = Weir::start_with(&ingress("web", "a.test", origin.address, &[]), &HTTPS);
    let said = s_client_get(weir.https(), &["-tls1_3", "-servername", "a.test"]);
    assert!(said.contains("Max Early Data: 0"), "{said}");
}

#[test]
fn a_handshake_that_stalls_is_cut_at_the_deadline() {
    let origin = origin();
    let weir = Weir::start_with(
        &ingress("web", "a.test", origin.address, &[]),
        &[&HTTPS[..], &["--handshake-timeout", "1s"]].concat(),
    );
    let began = Instant::now();
    let silent = TcpStream::connect(weir.https()).unwrap();
    let mut trickle = TcpStream::connect(weir.https()).unwrap();
    // A record of a handshake message that does not come.
    trickle.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).unwrap();
    // One that says hello and no more.
    let mut hello = wrap(TcpStream::connect(weir.https()).unwrap(), "a.test", trusting());
    hello.conn.write_tls(&mut hello.sock).unwrap();
    for mut stream in [silent, trickle, hello.sock] {
        stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        // What is said before the cut does not matter.
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
    }
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    until("the failures are counted", || failures(&weir, "deadline") == 3.0);
    assert_eq!(Client::connect(weir.http).get("a.test", "/").status, 200);
}

#[test]
fn what_goes_wrong_is_counted_by_reason_and_not_logged() {
    let origin = origin();
    let weir = Weir::start_with(&ingress("web", "a.test", origin.address, &[]), &HTTPS);
    let mut plain = Client::connect(weir.https());
    plain.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let _ = plain.rest();
    until("not-tls", || failures(&weir, "not-tls") == 1.0);
    drop(TcpStream::connect(weir.https()).unwrap());
    until("closed", || failures(&weir, "closed") == 1.0);
    // A client that trusts nobody says so.
    let nobody =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
    let mut client = Client::connect_tls(weir.https(), "a.test", Arc::new(nobody));
    assert!(client.try_send("x").is_err());
    until("alert", || failures(&weir, "alert") == 1.0);
    assert!(!weir.stderr().to_lowercase().contains("handshake"), "{}", weir.stderr());
}

/// What is written to TLS may wait inside for the socket: it must not be forgotten there.
#[test]
fn large_bodies_come_whole_to_a_client_that_takes_its_time() {
    let body: Vec<u8> = (0..8 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let answer = body.clone();
    let origin = Origin::start(move |_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        Reaction::Write([head.into_bytes(), answer.clone()].concat())
    });
    for lane in LANES {
        let weir = lane.start(&ingress("web", "a.test", origin.address, &[]), &HTTPS);
        let mut client = Client::connect_tls(weir.https(), "a.test", trusting());
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let head = client.read_head().unwrap();
        assert_eq!(head.status, 200);
        let mut got = Vec::new();
        while got.len() < body.len() {
            got.extend(client.exactly((body.len() - got.len()).min(100_000)).unwrap());
        }
        assert!(got == body, "{lane:?}");
        assert_eq!(client.get("b.test", "/").status, 404, "{lane:?}");
    }
}

/// A Secret, with its texts in PEM.
pub fn secret(name: &str, data: &[(&str, String)]) -> String {
    let lines = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let data: String = data.iter().map(|(key, text)| format!("  {key}: |\n{}", lines(text))).collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: default\nstringData:\n{data}---\n"
    )
}

/// One with a certificate and its key.
pub fn tls_secret(name: &str, certificate: &Certificate) -> String {
    secret(name, &[("tls.crt", certificate.chain_pem()), ("tls.key", certificate.key_pem())])
}

/// [`ingress`] with a certificate from the Secret `cert`.
fn tls_ingress(host: &str, origin: SocketAddr, annotations: &[(&str, &str)]) -> String {
    let tls = format!("spec:\n  tls:\n  - hosts: [{host}]\n    secretName: cert\n  rules:");
    ingress("web", host, origin, annotations).replacen("spec:\n  rules:", &tls, 1)
}

fn shown(weir: &Weir, name: &str) -> Vec<u8> {
    let mut client = Client::connect_tls(weir.https(), name, trusting());
    client.get(name, "/");
    client.tls().unwrap().peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_changed_secret_holds_from_the_next_handshake_on_and_a_broken_one_changes_nothing() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let [first, second, default] = [["a.test"], ["a.test"], ["default.test"]].map(|names| ca.server(&names));
    let manifests = tls_ingress("a.test", origin.address, &[]) + &tls_secret("default", &default);
    let first_secret = tls_secret("cert", &first);
    let weir = Weir::start_in(
        &[("manifests.yaml", &manifests), ("secret.yaml", &first_secret)],
        &[&HTTPS[..], &["--default-ssl-certificate", "default/default"]].concat(),
    );
    assert_eq!(shown(&weir, "a.test"), *first.chain[0]);
    assert_eq!(shown(&weir, "b.test"), *default.chain[0]);
    let mut open = Client::connect_tls(weir.https(), "a.test", trusting());
    assert_eq!(open.get("a.test", "/").status, 200);

    weir.apply_file("secret.yaml", &tls_secret("cert", &second));
    assert_eq!(shown(&weir, "a.test"), *second.chain[0]);
    assert_eq!(open.get("a.test", "/").status, 200, "the open connection goes on");

    // The key of another certificate.
    let broken = secret("cert", &[("tls.crt", first.chain_pem()), ("tls.key", second.key_pem())]);
    weir.apply_file("secret.yaml", &broken);
    assert_eq!(shown(&weir, "a.test"), *second.chain[0]);
    let findings = weir.findings();
    let said =
        |code: &str| findings.iter().any(|finding| finding["code"] == code && finding["name"] == "cert");
    assert!(said("invalid-secret") && said("last-good-secret"), "{findings:?}");
    let told = format!("{}{}", serde_json::to_string(&findings).unwrap(), weir.stderr());
    let key_line = second.key_pem().lines().nth(1).unwrap().to_owned();
    assert!(!told.contains(&key_line), "a key is never shown");

    weir.apply_file("secret.yaml", &first_secret);
    assert_eq!(shown(&weir, "a.test"), *first.chain[0]);
}

#[test]
fn the_end_of_certificates_is_measured_and_told() {
    let (ca, origin) = (Ca::new("ca"), origin());
    let ending = ca.server_until(&["a.test"], Duration::from_secs(2 * 86_400));
    let manifests = tls_ingress("a.test", origin.address, &[]) + &tls_secret("cert", &ending);
    let weir = Weir::start_with(&manifests, &HTTPS);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let series = "weir_certificate_not_after_seconds{namespace=\"default\",secret=\"cert\"}";
    let left = weir.metric(series).unwrap() - now;
    assert!((86_400.0..3.0 * 86_400.0).contains(&left), "{left}");
    until("it is told", || weir.stderr().contains("a certificate ends within three days"));
}

#[test]
fn curl_and_openssl_show_certificates() {
    if !installed(&["curl", "openssl"]) {
        return;
    }
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let origin = Origin::start(|request| {
        let told = |name| request.header(name).unwrap_or("-").to_owned();
        Reaction::ok(format!(
            "{} {} {}",
            told("ssl-client-verify"),
            told("ssl-client-subject-dn"),
            told("ssl-client-cert")
        ))
    });
    let annotations = [("auth-tls-secret", "default/ca"), ("auth-tls-pass-certificate-to-upstream", "true")];
    let manifests = tls_ingress("a.test", origin.address, &annotations)
        + &tls_secret("cert", &ca.server(&["a.test"]))
        + &secret("ca", &[("ca.crt", ca.pem())]);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let roots = write("ca.pem", ca.pem());
    let shows = |name: &str, certificate: &Certificate| {
        (
            write(&format!("{name}.pem"), certificate.chain_pem()),
            write(&format!("{name}.key"), certificate.key_pem()),
        )
    };
    let (anna, eve) = (shows("anna", &ca.client("anna", 1)), shows("eve", &other.client("eve", 1)));
    for lane in LANES {
        let weir = lane.start(&manifests, &HTTPS);
        let port = weir.https().port();
        let curl = |arguments: &[&str]| {
            let output = Command::new("curl")
                .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--cacert", &roots])
                .args(["--resolve", &format!("a.test:{port}:127.0.0.1"), "--write-out", " %{http_code}"])
                .args(arguments)
                .arg(format!("https://a.test:{port}/"))
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let passed = curl(&["--cert", &anna.0, "--key", &anna.1]);
        assert!(passed.starts_with("SUCCESS CN=anna -----BEGIN%20CERTIFICATE-----%0A"), "{passed}");
        assert!(passed.ends_with(" 200"), "{passed}");
        assert!(curl(&[]).ends_with(" 400"), "{lane:?}");
        assert!(curl(&["--cert", &eve.0, "--key", &eve.1]).ends_with(" 400"), "{lane:?}");
        assert!(
            curl(&["--tls-max", "1.2", "--cert", &anna.0, "--key", &anna.1]).ends_with(" 200"),
            "{lane:?}"
        );
        let said = s_client(weir.https(), &["-servername", "a.test", "-CAfile", &roots]);
        assert!(
            said.contains("Acceptable client certificate CA names") && said.contains("CN = ca"),
            "{said}"
        );
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    }
}
