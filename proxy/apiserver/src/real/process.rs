//! A program that runs beside the test and ends with it.

use super::StartError;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A running program. It is ended when dropped: asked, and after a while made.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `name` of a folder of programs; what it says goes to a file of the working folder.
    pub(super) fn start(
        assets: &Path,
        name: &'static str,
        arguments: &[String],
        folder: &Path,
    ) -> Result<Self, StartError> {
        let log = folder.join(format!("{name}.log"));
        let start = || -> io::Result<Child> {
            let out = File::create(&log)?;
            let err = out.try_clone()?;
            let mut command = Command::new(assets.join(name));
            command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(out).stderr(err).spawn()
        };
        let child = start().map_err(|source| StartError::Run { program: name, source })?;
        Ok(Self { name, child, log })
    }

    /// Waits until a probe succeeds.
    pub(super) fn wait(&mut self, ready: impl Fn() -> bool) -> Result<(), StartError> {
        let began = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || began.elapsed() > START {
                return Err(StartError::Unready { program: self.name, log: self.last_lines() });
            }
            // Another process has no other way to say that it is ready.
            thread::park_timeout(PAUSE);
        }
        Ok(())
    }

    /// The end of what it said.
    fn last_lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(LINES).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if began.elapsed() > STOP {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::park_timeout(PAUSE);
        }
    }
}

/// The longest that a start takes.
const START: Duration = Duration::from_secs(90);
/// The longest that an end takes before it is forced.
const STOP: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
/// So many lines of a log are shown when a start fails.
const LINES: usize = 20;
