//! The real binary, with a folder of manifests or whatever else a test gives it.

use super::{PATIENCE, get, until};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// A running weir; killed when dropped.
pub struct Weir {
    child: Child,
    /// Where it listens for clients.
    pub http: SocketAddr,
    /// Where it listens for clients with TLS, if it was told to: announced between the others.
    https: Option<SocketAddr>,
    /// Where it listens for operators.
    pub admin: SocketAddr,
    folder: tempfile::TempDir,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Weir {
    /// With these manifests.
    pub fn start(manifests: &str) -> Self {
        Self::start_with(manifests, &[])
    }

    /// With these manifests and flags.
    pub fn start_with(manifests: &str, flags: &[&str]) -> Self {
        Self::start_in(&[("manifests.yaml", manifests)], flags)
    }

    /// With these files, by name, and flags.
    pub fn start_in(files: &[(&str, &str)], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut command = Self::command(folder.path());
        if !flags.contains(&"--configmap") {
            // Tests ask as fast as they can, and all from one address.
            let open = settings(&[
                ("client-sockets", "0"),
                ("client-socket-rate", "0"),
                ("socket-rate", "0"),
                ("keep-alive-requests", "1000000000"),
            ]);
            std::fs::write(folder.path().join("settings.yaml"), open).unwrap();
            command.args(WITH_SETTINGS);
        }
        command.args(flags);
        Self::spawn(folder, |_| command)
    }

    /// With this folder, by a command made of the usual one.
    pub fn spawn(folder: tempfile::TempDir, command: impl FnOnce(&Command) -> Command) -> Self {
        let command = command(&Self::command(folder.path()));
        Self::run(folder, command)
    }

    /// By a command that ends with the process being weir. The folder is kept for as long as that.
    pub fn run(folder: tempfile::TempDir, mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let stderr = collect(child.stderr.take().unwrap(), |_| {});
        let (tx, addresses) = mpsc::channel();
        let stdout = collect(child.stdout.take().unwrap(), move |line| {
            // One line a listener: its kind and its address.
            if let Some((kind, address)) = listening(line) {
                let _ = tx.send((kind, address));
            }
        });
        let (mut http, mut https, mut admin) = (None, None, None);
        while http.is_none() || admin.is_none() {
            // Thousands of objects take their time where tests share the cores.
            match addresses.recv_timeout(3 * PATIENCE) {
                Ok((kind, address)) if kind == "http" => http = Some(address),
                Ok((kind, address)) if kind == "https" => https = Some(address),
                Ok((kind, address)) if kind == "admin" => admin = Some(address),
                Ok(_) => {}
                Err(error) => {
                    let _ = child.kill();
                    let ended = child.wait();
                    panic!(
                        "weir does not say where it listens: {error}; {ended:?}\n{}",
                        stderr.lock().unwrap()
                    );
                }
            }
        }
        Self { child, http: http.unwrap(), https, admin: admin.unwrap(), folder, stdout, stderr }
    }

    /// `weir serve` on this folder, on ports that the system chooses.
    pub fn command(folder: &Path) -> Command {
        let mut command = Command::new(binary());
        command.args(["serve", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", "off"]);
        command.arg("--source").arg(format!("manifests={}", folder.display()));
        command
    }

    /// Where it listens for clients with TLS.
    pub fn https(&self) -> SocketAddr {
        self.https.expect("weir was told to listen for TLS")
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

    /// As [`until`].
    pub fn until(&self, what: &str, condition: impl Fn() -> bool) {
        until(what, condition);
    }

    /// Removes a file of manifests and waits until that is in force.
    pub fn remove_file(&self, name: &str) {
        let before = self.generation();
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
        self.until("the removal is in force", || self.generation() > before);
    }

    /// What `/api/findings` says.
    pub fn findings(&self) -> Vec<serde_json::Value> {
        serde_json::from_slice(&get(self.admin, "admin", "/api/findings").body).unwrap()
    }

    /// What `/api/config` says.
    pub fn config(&self) -> serde_json::Value {
        serde_json::from_slice(&get(self.admin, "admin", "/api/config").body).unwrap()
    }

    /// What it printed so far to the standard output.
    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// What it printed so far to the standard error.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The value of a metric, with its labels as printed.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let metrics = get(self.admin, "admin", "/metrics").text();
        metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most resident memory there ever was, in bytes.
    pub fn peak_resident(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Resident memory without that of the program itself, in bytes.
    pub fn allocated(&self) -> u64 {
        self.memory("RssAnon:")
    }

    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM.
    pub fn signal(&self) {
        self.signal_with(rustix::process::Signal::TERM);
    }

    /// Sends a signal.
    pub fn signal_with(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Processor time that it has used.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name in brackets; in hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// How often its threads have gone to sleep, which is how often they were woken.
    pub fn wake_ups(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of = |status: String| {
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.map_or(0, |count| count.trim().parse::<u64>().unwrap())
        };
        // A thread may end meanwhile.
        tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("status")).map_or(0, of)).sum()
    }

    /// Waits until it does next to nothing: what looks ten times a second, or once, would be seen.
    pub fn until_at_rest(&self) {
        let (began, window) = (Instant::now(), Duration::from_secs(5));
        loop {
            let (before, start) = (self.wake_ups(), Instant::now());
            while start.elapsed() < window {
                std::thread::park_timeout(window.saturating_sub(start.elapsed()));
            }
            let woken = self.wake_ups() - before;
            if woken <= 4 {
                return;
            }
            assert!(began.elapsed() < 3 * PATIENCE, "it was woken {woken} times in {window:?}");
        }
    }

    /// Waits for the end.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(self) -> ExitStatus {
        self.signal();
        self.ended()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.stderr());
        }
    }
}

/// The binary under test: the one that `WEIR_TEST_BINARY` names, such as a static one, or else the one that cargo built with
/// the tests.
pub fn binary() -> PathBuf {
    let named = std::env::var_os("WEIR_TEST_BINARY").map(PathBuf::from);
    let binary = named.unwrap_or_else(|| env!("CARGO_BIN_EXE_weir").into());
    assert!(binary.is_file(), "{} is not there", binary.display());
    binary
}

/// Reads a stream to its end on a thread of its own, shows each line to `see`, and keeps all.
fn collect(from: impl Read + Send + 'static, see: impl Fn(&str) + Send + 'static) -> Arc<Mutex<String>> {
    let all = Arc::new(Mutex::new(String::new()));
    let kept = all.clone();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
            kept.lock().unwrap().push_str(&line);
            see(&line);
            line.clear();
        }
    });
    all
}

/// The listener that a line tells of: `http ADDRESS`, or an object where the access log goes there too.
fn listening(line: &str) -> Option<(String, SocketAddr)> {
    if let Ok(object) = serde_json::from_str::<serde_json::Value>(line) {
        let kind = object.get("listening")?.as_str()?.to_owned();
        return Some((kind, object.get("address")?.as_str()?.parse().ok()?));
    }
    let (kind, address) = line.trim().split_once(' ')?;
    Some((kind.to_owned(), address.parse().ok()?))
}

/// Manifests of one Ingress `name` for `host` with these annotations, whose path `/` leads to `origin`. Keys without
/// a prefix are those of weir.
pub fn ingress(name: &str, host: &str, origin: SocketAddr, annotations: &[(&str, &str)]) -> String {
    let annotations: String =
        annotations.iter().map(|(key, value)| format!("    {}: {value:?}\n", full(key))).collect();
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

/// The ConfigMap that [`WITH_SETTINGS`] names, with these keys.
pub fn settings(keys: &[(&str, &str)]) -> String {
    let keys: String = keys.iter().map(|(key, value)| format!("  {key}: {value:?}\n")).collect();
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  namespace: weir\ndata:\n";
    format!("{head}{keys}---\n")
}

/// Flags that put [`settings`] in force.
pub const WITH_SETTINGS: [&str; 2] = ["--configmap", "weir/settings"];

fn full(key: &str) -> String {
    if key.contains('/') { key.to_owned() } else { format!("weir.dev/{key}") }
}
