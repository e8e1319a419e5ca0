//! A weir from the tree: started with manifests, stopped by its own process number.

use super::settings;
use crate::drive::Target;
use crate::scenario::Spawn;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use thiserror::Error;

/// Why there is no weir.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// Files or processes cannot be had.
    #[error("weir cannot be started: {0}")]
    System(#[from] io::Error),
    /// It does not say where it listens.
    #[error("weir does not say where it listens:\n{0}")]
    Silent(String),
}

/// A running weir; ends when dropped.
#[derive(Debug)]
pub struct Weir {
    child: Child,
    /// Where it listens for clients.
    pub target: Target,
    /// Where it listens for operators.
    pub admin: SocketAddr,
    folder: tempfile::TempDir,
}

impl Weir {
    /// Starts a binary with the manifests of a scenario, in front of an origin.
    ///
    /// # Errors
    ///
    /// If it does not start, or does not say where it listens within a minute.
    pub fn start(
        binary: &Path,
        spawn: &Spawn,
        manifests: &str,
        origin: SocketAddr,
    ) -> Result<Self, SpawnError> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("manifests.yaml"), manifests)?;
        std::fs::write(folder.path().join("settings.yaml"), settings(spawn))?;
        let mut command = Command::new(binary);
        command.args(["serve", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.args(["--access-log", "off", "--configmap", "weir/settings"]);
        command.arg("--source").arg(format!("manifests={}", folder.path().display()));
        command.arg("--backend").arg(format!("{}={origin}", spawn.backend)).args(&spawn.arguments);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let target = Target { http: None, https: None };
        let mut weir = Self { child, target, admin: unknown, folder };
        weir.listen()?;
        Ok(weir)
    }

    /// Reads where it listens from what it prints, and goes on reading so that it never waits for us.
    fn listen(&mut self) -> Result<(), SpawnError> {
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = self.child.stdout.take() {
            std::thread::Builder::new().spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            })?;
        }
        let (errors, said) = mpsc::channel();
        if let Some(mut stderr) = self.child.stderr.take() {
            std::thread::Builder::new().spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                    let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default()).into_owned();
                    let _ = errors.send(text);
                }
            })?;
        }
        let mut admin = None;
        while admin.is_none() || self.target.http.is_none() || self.target.https.is_none() {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                let text: String =
                    said.recv_timeout(Duration::from_secs(1)).into_iter().chain(said.try_iter()).collect();
                return Err(SpawnError::Silent(text));
            };
            match listening(&line) {
                Some(("http", address)) => self.target.http = Some(address),
                Some(("https", address)) => self.target.https = Some(address),
                Some(("admin", address)) => admin = Some(address),
                _ => {}
            }
        }
        self.admin = admin.unwrap_or(self.admin);
        Ok(())
    }

    /// Replaces its manifests in one step, as editors do.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn apply(&self, manifests: &str) -> io::Result<()> {
        let (new, file) = (self.folder.path().join(".new"), self.folder.path().join("manifests.yaml"));
        std::fs::write(&new, manifests)?;
        std::fs::rename(new, file)
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has: it answers what it has begun.
    pub fn drain(mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary: the one that is named, the one beside ours, or the one on the path.
pub fn binary(named: Option<&Path>) -> PathBuf {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("weir")).filter(|path| path.is_file());
    named.map(Path::to_owned).or_else(beside).unwrap_or_else(|| PathBuf::from("weir"))
}

/// The listener that a line tells of: `KIND ADDRESS`.
fn listening(line: &str) -> Option<(&str, SocketAddr)> {
    let (kind, address) = line.trim().split_once(' ')?;
    Some((kind, address.parse().ok()?))
}

const PATIENCE: Duration = Duration::from_secs(60);
