//! Other proxies, each judged by its own algorithm.

use crate::support::{against, failed};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use weir_loadtest::report::Report;
use weir_loadtest::scenario::parse;

/// A proxy that runs in a folder of its own; ends when dropped.
struct Peer {
    url: String,
    child: Child,
    judged: u32,
    _folder: tempfile::TempDir,
}

impl Peer {
    /// `None` if it is not installed. In the configuration, `@port@` and `@folder@` are filled in.
    fn start(name: &str, configuration: &str, arguments: &[&str]) -> Option<Self> {
        let binary = installed(name)?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = folder.path().join("configuration");
        let here = folder.path().to_str().unwrap();
        let text = configuration.replace("@port@", &port.to_string()).replace("@folder@", here);
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(binary);
        command.args(arguments).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "{name} does not start");
            std::thread::yield_now();
        }
        Some(Self { url: format!("http://127.0.0.1:{port}"), child, judged: 0, _folder: folder })
    }

    /// Judged with clients that it has never seen.
    fn judged(&mut self, oracle: &str, arrivals: &str) -> (Report, Vec<String>) {
        self.judged += 1;
        let network = format!("127.{}.0.0/24", self.judged);
        let text = format!(
            "
name: peer
oracle: {oracle}
classes: [{{name: a, clients: 4, identity: {{kind: source, network: {network}}}, arrivals: {arrivals}}}]
phases: [{{name: all, duration: 3s}}]
expect: [{{kind: admitted, class: a, within: 3%, slack: 4}}, {{kind: errors, class: a}}]
generator: {{lag: 100ms}}
"
        );
        let report = against(parse(&text).unwrap(), self.url.clone());
        let failed = failed(&report);
        (report, failed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn installed(name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .map(|folder| Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("WEIR_TEST_PEERS").is_none(), "{name} is required and not installed");
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: {name} is not installed\n"),
        );
    }
    found
}

const NGINX: &str = "
daemon off; master_process off; pid @folder@/pid; error_log @folder@/error.log;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path @folder@/body; proxy_temp_path @folder@/proxy; fastcgi_temp_path @folder@/fastcgi;
    uwsgi_temp_path @folder@/uwsgi; scgi_temp_path @folder@/scgi;
    limit_req_zone $binary_remote_addr zone=a:10m rate=10r/s;
    limit_req_status 429;
    server { listen 127.0.0.1:@port@; root @folder@; location / { limit_req zone=a burst=5 nodelay; try_files /configuration =404; } }
}
";

const HAPROXY: &str = "
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 1s
frontend f
  bind 127.0.0.1:@port@
  stick-table type ip size 1k expire 30s store http_req_rate(1s)
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 10 }
  http-request return status 200 content-type text/plain string ok
";

#[test]
fn limit_req_of_nginx_is_a_leaky_bucket_with_its_numbers_and_no_others() {
    let Some(mut nginx) = Peer::start("nginx", NGINX, &["-c"]) else { return };
    let arrivals = "{kind: constant, rate: 100}";
    let (report, failed) = nginx.judged("{kind: nginx-leaky-bucket, rate: 10, burst: 5}", arrivals);
    assert_eq!((failed, report.invalid), (vec![], None));
    assert!(report.classes[0].admitted > 100 && report.classes[0].refused > 100);
    for (oracle, where_) in [
        ("{kind: nginx-leaky-bucket, rate: 12, burst: 5}", "part in second 0"),
        ("{kind: nginx-leaky-bucket, rate: 10, burst: 9}", "part in second 0"),
        ("{kind: fixed-window, limit: 15, window: 1s}", "part in second 1"),
    ] {
        let (_, failed) = nginx.judged(oracle, arrivals);
        assert!(failed.len() == 1 && failed[0].contains(where_), "{oracle}: {failed:?}");
    }
    // With a burst of one more it is what a token bucket says, too.
    let (_, failed) = nginx.judged("{kind: token-bucket, rate: 10, burst: 6}", arrivals);
    assert_eq!(failed, [""; 0]);
}

/// HAProxy looks back over a second that slides, and counts what it refuses. For bursts that are further apart this is a
/// fixed window, and for a client that never stops it is a wall.
#[test]
fn rates_of_haproxy_are_a_fixed_window_only_for_bursts() {
    let Some(mut haproxy) = Peer::start("haproxy", HAPROXY, &["-db", "-f"]) else { return };
    let oracle = "{kind: fixed-window, limit: 10, window: 2s}";
    let (report, failed) = haproxy.judged(oracle, "{kind: burst, size: 80, every: 2500ms}");
    assert_eq!((failed, report.classes[0].admitted), (vec![], 80));
    let (report, failed) =
        haproxy.judged("{kind: fixed-window, limit: 10, window: 1s}", "{kind: constant, rate: 160}");
    assert!(failed.len() == 1 && failed[0].contains("part in second 1"), "{failed:?}");
    assert!(report.classes[0].admitted < 80, "{}", report.classes[0].admitted);
}
