//! The origin, and the proxies in front of it: started, stopped, and asked what they use.

use super::case::Setup;
use super::client::{answers, get};
use super::peers::{ALLOWED_HOST, KIBIBYTE, MEBIBYTE, ORIGIN, Plan, Ports, Proxy, nginx_arguments};
use super::proc::{Used, listener_of, resident_kib};
use super::process::Process;
use super::{Failure, Stop};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// nginx answering from memory, the same for every proxy.
#[derive(Debug)]
pub(crate) struct Origin {
    port: u16,
    /// Questions of ours so far.
    asked: Cell<u64>,
    // Stopped when dropped.
    _process: Process,
}

impl Origin {
    /// Starts it on the port that the plan has for HTTP.
    pub(crate) fn start(nginx: &Path, plan: &Plan, stop: &Stop) -> Result<Self, Failure> {
        let file = plan.file("1m");
        std::fs::write(&file, vec![b'x'; MEBIBYTE])
            .map_err(|error| Failure::Tool(format!("{}: {error}", file.display())))?;
        let path = plan.write(ORIGIN, "origin.conf", &[("KIBIBYTE", "x".repeat(KIBIBYTE))])?;
        let mut arguments = vec![nginx.into()];
        arguments.extend(nginx_arguments(plan, "origin", &path)?);
        let mut process = Process::start("origin", &arguments, &plan.place)?;
        let port = plan.ports.http;
        ready("origin", &mut process, stop, || answers(port, ALLOWED_HOST, "/api/1k"))?;
        Ok(Self { port, asked: Cell::new(0), _process: process })
    }

    /// Requests answered so far, once no more come; with each question the origin has one more of its own, which is
    /// not counted.
    pub(crate) fn requests(&self, stop: &Stop) -> Result<u64, Failure> {
        let mut before = self.ask()?;
        for _ in 0..QUESTIONS {
            stop.wait(BETWEEN)?;
            let now = self.ask()?;
            if now == before {
                break;
            }
            before = now;
        }
        Ok(before)
    }

    fn ask(&self) -> Result<u64, Failure> {
        self.asked.set(self.asked.get() + 1);
        Ok(self.status()?.saturating_sub(self.asked.get()))
    }

    /// All requests so far, this question among them.
    fn status(&self) -> Result<u64, Failure> {
        let page = get(self.port, "localhost", "/status")?;
        requests_in(&String::from_utf8_lossy(&page.body))
            .ok_or_else(|| Failure::Tool("the origin's status cannot be read".to_owned()))
    }
}

/// The last number of the line below `server accepts handled requests`.
fn requests_in(page: &str) -> Option<u64> {
    let numbers = page.lines().skip_while(|line| !line.trim_end().ends_with("requests")).nth(1)?;
    numbers.split_whitespace().nth(2)?.parse().ok()
}

/// A proxy of the comparison.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) ports: Ports,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Started here, as often as a fresh process is wanted.
    Ours { proxy: Proxy, program: PathBuf, running: Option<(Setup, Process)> },
    /// Somebody else's, in front of the origin's fixed port: measured, never stopped.
    Theirs { pid: u32 },
}

impl Contestant {
    /// One that is started here.
    pub(crate) fn ours(proxy: Proxy, program: &Path, ports: Ports) -> Self {
        let kind = Kind::Ours { proxy, program: program.to_owned(), running: None };
        Self { name: proxy.name().to_owned(), ports, kind }
    }

    /// One that runs already.
    pub(crate) fn theirs(name: &str, http: u16, refused: u16) -> Result<Self, Failure> {
        let ports = Ports { http, refused, https: None, h2c: None };
        if !answers(http, ALLOWED_HOST, "/api/1k") {
            let why = format!("{name} does not answer http://{ALLOWED_HOST}/api/1k on port {http} with 200");
            return Err(Failure::Tool(why));
        }
        Ok(Self { name: name.to_owned(), ports, kind: Kind::Theirs { pid: listener_of(http)? } })
    }

    /// Which proxy it is, if it is started here.
    pub(crate) fn proxy(&self) -> Option<Proxy> {
        match &self.kind {
            Kind::Ours { proxy, .. } => Some(*proxy),
            Kind::Theirs { .. } => None,
        }
    }

    /// Makes it run with the plan's setup; does nothing if it does already.
    pub(crate) fn start(&mut self, plan: &Plan, stop: &Stop) -> Result<(), Failure> {
        let Kind::Ours { proxy, program, running } = &mut self.kind else { return Ok(()) };
        if let Some((setup, process)) = running
            && *setup == plan.setup
            && process.check_alive().is_ok()
        {
            return Ok(());
        }
        drop(running.take());
        let plan = Plan { ports: self.ports, ..plan.clone() };
        let arguments = proxy.configure(program, &plan)?;
        let mut process = Process::start(&self.name, &arguments, &plan.place)?;
        ready(&self.name, &mut process, stop, || answers(self.ports.http, ALLOWED_HOST, "/api/1k"))?;
        *running = Some((plan.setup, process));
        Ok(())
    }

    /// Ends it, if it is ours; the next [`Self::start`] gives a fresh process.
    pub(crate) fn stop(&mut self) {
        if let Kind::Ours { running, .. } = &mut self.kind {
            drop(running.take());
        }
    }

    /// Fails with its last words if it is ours and has ended.
    pub(crate) fn check_alive(&mut self) -> Result<(), Failure> {
        match &mut self.kind {
            Kind::Ours { running: Some((_, process)), .. } => process.check_alive(),
            Kind::Ours { running: None, .. } => Err(Failure::Tool(format!("{} does not run", self.name))),
            Kind::Theirs { .. } => Ok(()),
        }
    }

    /// Processor time of its processes so far.
    pub(crate) fn used(&self) -> Used {
        self.pid().map_or(Used { cpu_seconds: 0.0, pids: Vec::new() }, Used::by)
    }

    /// Resident memory of its processes.
    pub(crate) fn resident_kib(&self) -> Result<u64, Failure> {
        self.pid().map_or(Ok(0), resident_kib)
    }

    fn pid(&self) -> Option<u32> {
        match &self.kind {
            Kind::Ours { running, .. } => running.as_ref().map(|(_, process)| process.pid()),
            Kind::Theirs { pid } => Some(*pid),
        }
    }
}

/// Waits until a process answers, at most so long; fails at once if it ends.
fn ready(name: &str, process: &mut Process, stop: &Stop, answers: impl Fn() -> bool) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    while !answers() {
        process.check_alive()?;
        if Instant::now() > end {
            return Err(Failure::Tool(format!("{name} does not answer: {}", process.words())));
        }
        stop.wait(BETWEEN)?;
    }
    Ok(())
}

/// Ten thousand routes take their time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests that a proxy has taken when a round ends reach the origin a little later.
const QUESTIONS: usize = 50;
const BETWEEN: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_counts_on_its_status_page() {
        let page = "Active connections: 1 \nserver accepts handled requests\n 12 12 345 \nReading: 0\n";
        assert_eq!(requests_in(page), Some(345));
        for damaged in ["", "server accepts handled requests", "server accepts handled requests\n 1 2\n"] {
            assert_eq!(requests_in(damaged), None);
        }
    }
}
