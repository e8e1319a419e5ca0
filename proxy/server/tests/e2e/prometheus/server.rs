//! Prometheus as it comes from Debian, and its own tool.

use crate::support::{PATIENCE, get};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A Prometheus with a folder of its own; ended when dropped.
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes `targets` some times a second as the job `weir`, and evaluates `rules`.
    pub fn start(targets: &[SocketAddr], rules: &std::path::Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let file = folder.path().join("prometheus.yml");
        let configuration = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 1s}}\n\
             rule_files: [{:?}]\n\
             scrape_configs:\n- job_name: weir\n  static_configs:\n  - targets: [{}]\n",
            rules.canonicalize().unwrap(),
            targets.join(", ")
        );
        std::fs::write(&file, configuration).unwrap();
        // It cannot say which port the system chose, so one is chosen for it.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { child, address, folder };
        let began = Instant::now();
        let is_ready =
            || TcpStream::connect(address).is_ok() && get(address, "prometheus", "/-/ready").status == 200;
        while !is_ready() {
            assert!(began.elapsed() < PATIENCE, "Prometheus is not ready: {}", prometheus.log());
            std::thread::yield_now();
        }
        prometheus
    }

    /// What an expression gives now: its series, or what is wrong with it.
    pub fn query(&self, expression: &str) -> Result<Vec<Series>, String> {
        let answer = self.ask(&format!("/api/v1/query?query={}", encode(expression)));
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let result = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        Ok(result.into_iter().map(Series).collect())
    }

    /// The rules that it evaluates.
    pub fn rules(&self) -> Vec<Value> {
        let answer = self.ask("/api/v1/rules");
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect()
    }

    fn ask(&self, path: &str) -> Value {
        serde_json::from_slice(&get(self.address, "prometheus", path).body).unwrap()
    }

    /// What it had to say.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// One series of an answer.
pub struct Series(Value);

impl Series {
    /// Its value; not a number for what Prometheus calls `NaN`.
    pub fn value(&self) -> f64 {
        self.0["value"][1].as_str().and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
    }
}

fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
