//! `weir-loadtest run`: runs scenarios and says what came of them.

use super::{BAD_INPUT, FAILED};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use weir_loadtest::drive::Progress;
use weir_loadtest::expect;
use weir_loadtest::report::{Report, junit, page, summary};
use weir_loadtest::run::{Aim, Reach, run};
use weir_loadtest::scenario::{self, Scenario};
use weir_loadtest::spawn::binary;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Files to run, one after the other.
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// Proxy to ask; by default the scenario's own target.
    #[arg(long, conflicts_with = "spawn")]
    target: Option<String>,
    /// Start a weir with the scenario's manifests, and an origin behind it.
    #[arg(long)]
    spawn: bool,
    /// The binary that --spawn starts; by default weir beside this program, or on the path.
    #[arg(long, requires = "spawn")]
    weir: Option<PathBuf>,
    /// Process of the target, for its memory and processor time.
    #[arg(long, conflicts_with = "spawn")]
    pid: Option<u32>,
    /// Listener of the target's metrics, ADDRESS:PORT.
    #[arg(long, conflicts_with = "spawn")]
    admin: Option<SocketAddr>,
    /// Allow a target that is not on this machine.
    #[arg(long)]
    anywhere: bool,
    /// Write the report as JSON, a list of one entry a scenario.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the verdicts as JUnit XML.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Write one page of HTML with charts, which needs nothing else.
    #[arg(long)]
    html: Option<PathBuf>,
}

impl Run {
    /// 0 if all was as expected, 1 if not, 2 if a scenario or the target cannot be used.
    pub(crate) fn run(self) -> ExitCode {
        let mut scenarios = Vec::new();
        let mut bad = false;
        for path in &self.scenarios {
            match scenario::load(path) {
                Ok(scenario) => scenarios.push((path, scenario)),
                Err(error) => {
                    eprintln!("{}: {error}", path.display());
                    bad = true;
                }
            }
        }
        if bad {
            return ExitCode::from(BAD_INPUT);
        }
        let mut reports = Vec::new();
        for (path, scenario) in scenarios {
            match self.one(path, scenario) {
                Ok(report) => reports.push(report),
                Err(error) => {
                    eprintln!("{}: {error:#}", path.display());
                    return ExitCode::from(BAD_INPUT);
                }
            }
        }
        if let Err(error) = self.write(&reports) {
            eprintln!("{error:#}");
            return ExitCode::from(BAD_INPUT);
        }
        let passed = reports.iter().all(|report| report.result == expect::Result::Passed);
        if passed { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
    }

    fn one(&self, path: &Path, scenario: Scenario) -> anyhow::Result<Report> {
        let reach = if self.anywhere { Reach::Anywhere } else { Reach::Loopback };
        let url = self.target.clone().or_else(|| scenario.target.clone());
        let aim = match url {
            _ if self.spawn => Aim::Spawn { binary: binary(self.weir.as_deref()) },
            Some(url) => Aim::Url { url, pid: self.pid, admin: self.admin, reach },
            None => {
                anyhow::bail!("no target: give --target URL or --spawn, or name one in {}", path.display())
            }
        };
        let mut bar = None;
        let report = run(scenario, &aim, |planned, progress| bar = Bar::start(planned, progress))?;
        drop(bar);
        print!("{}", summary(&report));
        Ok(report)
    }

    fn write(&self, reports: &[Report]) -> anyhow::Result<()> {
        if let Some(path) = &self.json {
            let all: Vec<_> = reports.iter().map(Report::json).collect();
            std::fs::write(path, format!("[\n{}]\n", all.join(",\n")))?;
        }
        if let Some(path) = &self.junit {
            std::fs::write(path, junit(reports))?;
        }
        if let Some(path) = &self.html {
            std::fs::write(path, page(reports))?;
        }
        Ok(())
    }
}

/// A progress bar; only on a terminal.
struct Bar {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    fn start(planned: u64, progress: Arc<Progress>) -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::new(planned);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} requests, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                bar.set_position(progress.done.load(Ordering::Relaxed));
            }
            bar.finish_and_clear();
        });
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const EVERY: Duration = Duration::from_millis(100);
