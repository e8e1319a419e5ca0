//! The real binary with a folder of manifests.

use super::{PATIENCE, get};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// A running weir; killed when dropped.
pub struct Weir {
    child: Child,
    /// Where it listens for clients.
    pub http: SocketAddr,
    /// Where it listens for operators.
    pub admin: SocketAddr,
    folder: tempfile::TempDir,
}

impl Weir {
    /// With these manifests.
    pub fn start(manifests: &str) -> Self {
        Self::start_with(manifests, &[])
    }

    /// With these manifests and flags.
    pub fn start_with(manifests: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("manifests.yaml"), manifests).unwrap();
        let mut child = Self::command(folder.path())
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().unwrap();
        let (tx, addresses) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
                // One line a listener: its kind and its address.
                if let Some((kind, address)) = line.trim().split_once(' ')
                    && let Ok(address) = address.parse::<SocketAddr>()
                {
                    let _ = tx.send((kind.to_owned(), address));
                }
                line.clear();
            }
            let _ = lines.read(&mut []);
        });
        let (mut http, mut admin) = (None, None);
        while http.is_none() || admin.is_none() {
            match addresses.recv_timeout(PATIENCE) {
                Ok((kind, address)) if kind == "http" => http = Some(address),
                Ok((kind, address)) if kind == "admin" => admin = Some(address),
                Ok(_) => {}
                Err(error) => {
                    let _ = child.kill();
                    panic!("weir does not say where it listens: {error}; {:?}", child.wait());
                }
            }
        }
        Self { child, http: http.unwrap(), admin: admin.unwrap(), folder }
    }

    /// `weir serve` on this folder, on ports that the system chooses.
    pub fn command(folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", "off"]);
        command.arg("--source").arg(format!("manifests={}", folder.display()));
        command
    }

    /// Changes the manifests as a whole and waits until they are in force.
    pub fn apply(&self, manifests: &str) {
        self.apply_file("manifests.yaml", manifests);
    }

    /// Writes a file of manifests, in one step as editors do, and waits until it is in force.
    pub fn apply_file(&self, name: &str, manifests: &str) {
        let before = self.generation();
        let (new, file) = (self.folder.path().join(".new"), self.folder.path().join(name));
        std::fs::write(&new, manifests).unwrap();
        std::fs::rename(new, file).unwrap();
        self.until("the change is in force", || self.generation() > before);
    }

    /// The folder of the manifests.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Counts configurations that were put in force.
    pub fn generation(&self) -> u64 {
        let metrics = get(self.admin, "admin", "/metrics").text();
        let line = metrics.lines().find_map(|line| line.strip_prefix("weir_snapshot_generation "));
        line.and_then(|value| value.parse::<f64>().ok()).map_or(0, |value| value as u64)
    }

    /// Asks again and again until `condition` holds; gives up after [`PATIENCE`].
    pub fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !condition() {
            assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
            std::thread::yield_now();
        }
    }

    /// The value of a metric, with its labels as printed.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let metrics = get(self.admin, "admin", "/metrics").text();
        metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Manifests of one Ingress `name` for `host` with these annotations (`key: value`, without prefix), whose path `/`
/// leads to `origin`.
pub fn ingress(name: &str, host: &str, origin: SocketAddr, annotations: &[(&str, &str)]) -> String {
    let annotations: String =
        annotations.iter().map(|(key, value)| format!("    weir.dev/{key}: {value:?}\n")).collect();
    format!(
        r#"apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: default
  annotations:
    weir.dev/test: "yes"
{annotations}spec:
  rules:
  - host: {host}
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: {name}
            port:
              number: 80
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: default
spec:
  ports:
  - port: 80
    targetPort: {port}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-1
  namespace: default
  labels:
    kubernetes.io/service-name: {name}
addressType: IPv4
ports:
- port: {port}
endpoints:
- addresses: ["{ip}"]
  conditions:
    ready: true
---
"#,
        port = origin.port(),
        ip = origin.ip(),
    )
    .replace(
        "    weir.dev/test: \"yes\"\n",
        if annotations.is_empty() { "    example.dev/none: \"\"\n" } else { "" },
    )
}
