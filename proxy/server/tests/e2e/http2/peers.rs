//! HTTP/2 and gRPC as others speak them: curl, h2load, nginx as an origin, and Python's `h2` and `grpcio`.
//!
//! Where one of them is not installed its tests say so and pass, unless `WEIR_TEST_PEERS=required`.

use crate::support::pki::{Ca, Certificate};
use crate::support::*;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const TLS: [&str; 4] = ["--https", "127.0.0.1:0", "--workers", "1"];

/// A file of this test's own.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/http2/peers").join(name)
}

fn curl(arguments: &[&str], url: &str) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--insecure"])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_speaks_http_2_over_tls_and_with_prior_knowledge() {
    if !installed(&["curl"]) {
        return;
    }
    let origin = Origin::start(|request| {
        Reaction::ok(format!(
            "{} {} ",
            request.header("x-forwarded-proto").unwrap_or("none"),
            request.body.len()
        ))
    });
    let manifests = ingress("web", "", origin.address, &[("proxy-body-size", "10m")]);
    let weir = Weir::start_with(&manifests, &[&TLS[..], &["--h2c"]].concat());
    let (plain, secure) = (format!("http://{}/", weir.http), format!("https://{}/", weir.https()));
    let upload = weir.folder().join("upload");
    std::fs::write(&upload, vec![b'x'; 3 << 20]).unwrap();
    let upload = upload.to_str().unwrap();
    let version = ["--write-out", "%{http_version}"];
    for (url, how, expected) in [
        (&secure, "--http2", "https 0 2"),
        (&secure, "--http1.1", "https 0 1.1"),
        (&plain, "--http2-prior-knowledge", "http 0 2"),
        // The upgrade of RFC 7540, which RFC 9113 has dropped: a request of HTTP/1.1 like any other.
        (&plain, "--http2", "http 0 1.1"),
    ] {
        assert_eq!(curl(&[&[how][..], &version].concat(), url), expected, "{how}");
    }
    for (url, how, expected) in
        [(&secure, "--http2", "https 3145728 2"), (&plain, "--http2-prior-knowledge", "http 3145728 2")]
    {
        assert_eq!(curl(&[&[how, "--upload-file", upload][..], &version].concat(), url), expected);
    }
}

#[test]
fn nginx_is_spoken_to_in_http_2() {
    if !installed(&["curl", "nginx"]) {
        return;
    }
    let bytes: Vec<u8> = (0..5 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let nginx = Nginx::start(|root, address| {
        std::fs::create_dir(root.join("www")).unwrap();
        std::fs::write(root.join("www/5m"), &bytes).unwrap();
        format!(
            "access_log off; server {{ listen {address} http2; root {root}/www;\n\
             location /put/ {{ dav_methods PUT; create_full_put_path on; }}\n\
             location /echo {{ return 200 \"$server_protocol $request_uri $host $http_x_forwarded_for\"; }} }}",
            root = root.display(),
        )
    });
    let annotations = [("backend-protocol", "GRPC"), ("proxy-body-size", "10m")];
    let weir = Weir::start_with(&ingress("web", "", nginx.address, &annotations), &["--h2c"]);
    let url = |path: &str| format!("http://{}{path}", weir.http);
    let upload = nginx.root().join("www/5m");
    for how in ["--http1.1", "--http2-prior-knowledge"] {
        let host = ["--header", "Host: a.test"];
        let echo = curl(&[&[how][..], &host].concat(), &url("/echo?a=%20b"));
        assert_eq!(echo, "HTTP/2.0 /echo?a=%20b a.test 127.0.0.1", "{how}");
        let download = nginx.root().join("download");
        curl(&[how, "--output", download.to_str().unwrap()], &url("/5m"));
        assert!(std::fs::read(download).unwrap() == bytes, "{how}");
        curl(&[how, "--fail", "--upload-file", upload.to_str().unwrap()], &url(&format!("/put/{how}")));
        assert!(std::fs::read(nginx.root().join("www/put").join(how)).unwrap() == bytes, "{how}");
    }
}

#[test]
fn h2load_sees_no_error() {
    if !installed(&["h2load"]) {
        return;
    }
    let origin = Origin::echo();
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[]), &[&TLS[..], &["--h2c"]].concat());
    for url in [format!("http://{}/", weir.http), format!("https://{}/", weir.https())] {
        let output = Command::new("h2load")
            .args(["--requests", "2000", "--clients", "10", "--max-concurrent-streams", "20", &url])
            .output()
            .unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        let said = |line: &str| report.lines().any(|found| found.starts_with(line));
        assert!(
            said(
                "requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout"
            ) && said("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx"),
            "{report}"
        );
        println!("{}", report.lines().find(|line| line.starts_with("finished in")).unwrap_or_default());
    }
}

/// What becomes of a client that does what `acts` say, each on a connection of its own.
fn abuse(weir: &Weir, acts: &[&str]) -> Vec<String> {
    let output =
        Command::new(PYTHON).arg(file("abuse.py")).arg(weir.https().to_string()).args(acts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verdicts: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(verdicts.len(), acts.len(), "{verdicts:?}");
    verdicts
}

#[test]
fn floods_of_pythons_h2_end_within_a_bound_and_hurt_nobody() {
    if !installed_in_python(&["h2"]) {
        return;
    }
    let origin = Origin::start(|request| match request.target.as_str() {
        "/large" => Reaction::ok(vec![b'x'; 100_000]),
        _ => Reaction::ok("hello"),
    });
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[]), &TLS);
    let peak = weir.peak_resident();
    // How often each can be done at most. The client is a little ahead of what it hears,
    // and a slow one is allowed more as time goes by.
    let floods = [
        ("rapid-reset", 600),
        ("made-you-reset by windows", 300),
        ("made-you-reset by length", 300),
        ("made-you-reset after the end", 300),
        ("settings", 200),
        ("pings", 300),
        ("empty-data", 200),
        ("window-updates", 2000),
        ("tiny-windows", 2000),
        ("priorities", 600),
        ("continuations", 200),
    ];
    let verdicts = abuse(&weir, &floods.map(|(name, _)| name));
    for ((name, most), verdict) in floods.into_iter().zip(verdicts) {
        println!("{verdict}");
        let (what, times) = verdict.rsplit_once(" after ").unwrap_or((&verdict, "0"));
        let times: u32 = times.parse().unwrap();
        assert!(times <= most && what.starts_with(&format!("{name}: goaway ")), "{verdict}");
    }
    let bomb = abuse(&weir, &["header-bomb"]);
    assert_eq!(bomb, ["header-bomb: status 431"]);
    let began = Instant::now();
    assert_eq!(abuse(&weir, &["plain"]), ["plain: status 200"]);
    println!("a client that behaves is served in {:?}", began.elapsed());
    let grown = weir.peak_resident().saturating_sub(peak);
    assert!(grown < 32 << 20, "{grown} bytes");
}

#[test]
fn malformed_requests_of_pythons_h2_reach_no_origin() {
    if !installed_in_python(&["h2"]) {
        return;
    }
    let origin = Origin::echo();
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[]), &TLS);
    // What is malformed to RFC 9113 is an error of its stream (1 is PROTOCOL_ERROR); what is not, and could be read in
    // two ways or is not served, is answered.
    let cases = [
        ("upper-case name", "reset 1"),
        ("connection", "reset 1"),
        ("transfer-encoding", "reset 1"),
        ("upgrade", "reset 1"),
        ("te", "reset 1"),
        ("line feed in a value", "reset 1"),
        ("NUL in a value", "reset 1"),
        ("blank around a value", "status 400"),
        ("line feed in a name", "reset 1"),
        ("line feed in a path", "reset 1"),
        ("blank in a path", "status 400"),
        ("blank in an authority", "status 400"),
        ("a line in a method", "reset 1"),
        ("two hosts", "status 400"),
        ("colon in a name", "reset 1"),
        ("no method", "reset 1"),
        ("no scheme", "reset 1"),
        ("no path", "reset 1"),
        ("empty path", "reset 1"),
        ("no authority", "status 400"),
        ("two paths", "reset 1"),
        ("late pseudo-header", "reset 1"),
        ("unknown pseudo-header", "reset 1"),
        ("status in a request", "reset 1"),
        ("absolute path", "status 400"),
        ("fragment in a path", "status 400"),
        ("userinfo", "status 400"),
        ("connect", "status 405"),
        ("extended connect", "reset 1"),
        ("trace", "status 405"),
        ("lower-case method", "status 400"),
        ("length too long", "reset 1"),
        ("length too short", "reset 1"),
        ("two lengths", "status 400"),
        ("list of lengths", "status 400"),
        ("many fields", "status 431"),
        ("a long head", "status 431"),
    ];
    let verdicts = abuse(&weir, &cases.map(|(name, _)| name));
    for ((name, expected), verdict) in cases.into_iter().zip(verdicts) {
        assert_eq!(verdict, format!("{name}: {expected}"));
    }
    assert_eq!(origin.seen().len(), 0);
    let resets = cases.iter().filter(|(_, verdict)| *verdict == "reset 1").count();
    let counted = || weir.metric(r#"weir_h2_streams_rejected_total{reason="malformed"}"#).unwrap();
    weir.until("they are counted", || counted() >= resets as f64);
}

/// A service of `grpcio` and its clients.
struct Grpcio {
    child: Child,
    orders: Option<ChildStdin>,
    says: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Grpcio {
    /// With TLS if there is a certificate for it, which is kept in `folder`.
    fn start(certificate: Option<(&Certificate, &Path)>) -> Self {
        let mut command = Command::new(PYTHON);
        command.arg(file("calls.py"));
        if let Some((certificate, folder)) = certificate {
            for (name, text) in
                [("service.key", certificate.key_pem()), ("service.crt", certificate.chain_pem())]
            {
                std::fs::write(folder.join(name), text).unwrap();
                command.arg(folder.join(name));
            }
        }
        // Its own choices must not depend on the machine's.
        let mut child = command
            .env_remove("http_proxy")
            .env_remove("https_proxy")
            .env_remove("grpc_proxy")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        says.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("port: ").unwrap_or_else(|| panic!("{line}"));
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        Self { child, orders, says, address }
    }

    /// Lets a client make its checks through weir; how many held.
    fn order(&mut self, what: &str, to: SocketAddr, roots: Option<&Path>) -> usize {
        let roots = roots.map(|path| path.display().to_string()).unwrap_or_default();
        writeln!(self.orders.as_mut().unwrap(), "{what} {to} {roots}").unwrap();
        let mut held = 0;
        loop {
            let mut line = String::new();
            assert!(self.says.read_line(&mut line).unwrap() > 0, "{what} did not hold after {held}");
            match line.trim() {
                "done" => return held,
                _ => held += 1,
            }
        }
    }
}

impl Drop for Grpcio {
    fn drop(&mut self) {
        // It ends with its orders.
        drop(self.orders.take());
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if began.elapsed() > Duration::from_secs(5) {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::yield_now();
        }
    }
}

fn tls_manifests(manifests: &str, certificate: &Certificate) -> String {
    let block = |text: String| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let tls = "spec:\n  tls: [{hosts: [a.test], secretName: cert}]\n  rules:";
    format!(
        "{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: cert, namespace: default}}\nstringData:\n  \
         tls.crt: |\n{}  tls.key: |\n{}",
        manifests.replacen("spec:\n  rules:", tls, 1),
        block(certificate.chain_pem()),
        block(certificate.key_pem()),
    )
}

#[test]
fn grpcio_calls_grpcio_in_the_clear_and_over_tls() {
    if !installed_in_python(&["grpc"]) {
        return;
    }
    let ca = Ca::new("ca");
    let certificate = ca.server(&["a.test"]);
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("ca.crt");
    std::fs::write(&roots, ca.pem()).unwrap();
    let services =
        [("GRPC", Grpcio::start(None)), ("GRPCS", Grpcio::start(Some((&certificate, folder.path()))))];
    for (protocol, mut service) in services {
        let annotations =
            [("backend-protocol", protocol), ("proxy-body-size", "10m"), ("ssl-redirect", "false")];
        let manifests =
            tls_manifests(&ingress("calls", "a.test", service.address, &annotations), &certificate);
        let weir = Weir::start_with(&manifests, &[&TLS[..], &["--h2c"]].concat());
        assert_eq!(service.order("check", weir.http, None), 12, "{protocol}");
        assert_eq!(service.order("check", weir.https(), Some(&roots)), 12, "{protocol}");
    }
}

#[test]
fn grpcio_understands_refusals() {
    if !installed_in_python(&["grpc"]) {
        return;
    }
    let mut service = Grpcio::start(None);
    let annotations = [
        ("backend-protocol", "GRPC"),
        ("limit-rpm", "2"),
        ("limit-burst-multiplier", "5"),
        ("proxy-body-size", "100k"),
    ];
    let weir = Weir::start_with(&ingress("calls", "", service.address, &annotations), &["--h2c"]);
    assert_eq!(service.order("refusals", weir.http, None), 3);
}
