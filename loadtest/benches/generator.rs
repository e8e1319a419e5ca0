//! What the generator itself can do: requests per second of one thread on connections that are kept, and how late it is.
//!
//! `cargo bench -p weir-loadtest --bench generator` measures, against nginx where it is installed and against the origin
//! of ours; without `--bench` (as `cargo test --benches` runs it) everything runs once and small, to see that it works.
//! Numbers among the arguments are the rates to try. What was seen is in `README.md`.
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use weir_loadtest::origin::Origin;
use weir_loadtest::run::{Aim, Reach, run};
use weir_loadtest::scenario::{self, OriginBehaviour};

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let asked: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let rates: &[u64] = match (full, asked.is_empty()) {
        (_, false) => &asked,
        (true, true) => &[20_000, 40_000, 50_000, 60_000, 80_000],
        (false, true) => &[500],
    };
    let (protocols, seconds): (&[&str], _) = if full { (&["http1"], 4) } else { (&["http1"], 1) };
    println!(
        "{:>8} {:>8} {:>10} {:>10} {:>12} {:>10} {:>10} {:>14}",
        "target", "protocol", "planned/s", "done/s", "lag p50 ms", "p99 ms", "max ms", "per CPU second"
    );
    for protocol in protocols {
        for &rate in rates {
            let nginx = Nginx::start();
            if let Some(nginx) = &nginx {
                measure("nginx", &nginx.url, protocol, rate, seconds);
            }
            drop(nginx);
            let origin = Origin::start(OriginBehaviour::default()).unwrap();
            measure("ours", &format!("http://{}", origin.address), protocol, rate, seconds);
        }
    }
}

fn measure(target: &str, url: &str, protocol: &str, rate: u64, seconds: u64) {
    let text = format!(
        "
name: generator
classes: [{{name: all, arrivals: {{kind: constant, rate: {rate}}}, request: {{protocol: {protocol}}}}}]
phases: [{{name: all, duration: {seconds}s}}]
expect: [{{kind: errors, class: all}}]
generator: {{connections: 64, lag: 60s}}
"
    );
    let aim = Aim::Url { url: url.to_owned(), pid: None, admin: None, reach: Reach::Loopback };
    let report = run(scenario::parse(&text).unwrap(), &aim, |_, _| {}).unwrap();
    let (class, lag) = (&report.classes[0], report.generator.lag.unwrap());
    assert_eq!((class.admitted, class.planned), (rate * seconds, rate * seconds), "{class:?}");
    // Whoever ends late has had longer for it.
    let took = seconds as f64 + class.latency.unwrap().max / 1000.0;
    println!(
        "{target:>8} {protocol:>8} {rate:>10} {:>10.0} {:>12.2} {:>10.2} {:>10.2} {:>14.0}",
        class.done as f64 / took,
        lag.p50,
        lag.p99,
        lag.max,
        report.generator.requests_per_cpu_second
    );
}

/// An nginx that answers `ok` from memory; ends when dropped.
struct Nginx {
    url: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// `None` if it is not installed.
    fn start() -> Option<Self> {
        let binary =
            ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).is_file())?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let here = folder.path().display();
        let configuration = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off; keepalive_requests 1000000000;
                 client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;
                 uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
                 server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }}
             }}"
        );
        std::fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
        let mut command = Command::new(binary);
        command.arg("-c").arg(folder.path().join("nginx.conf")).arg("-p").arg(folder.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { url: format!("http://127.0.0.1:{port}"), child, _folder: folder };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
