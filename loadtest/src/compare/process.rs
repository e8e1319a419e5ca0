//! Programs that the comparison starts, each pinned to its cores, and stopped by its own number on every way out.

use super::proc::{Stat, family_of};
use super::{Failure, Stop};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a program runs and writes.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// This program, which becomes the other one; see [`become_program`].
    pub(crate) launcher: PathBuf,
    /// Where it runs, and where its output goes.
    pub(crate) folder: PathBuf,
    /// Cores that it may use.
    pub(crate) cpus: Vec<usize>,
}

/// A program that was started; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts a program with its output in files of the folder.
    ///
    /// To be called from the thread that ends last: when it ends, the program is told to end too.
    pub(crate) fn start(name: &str, arguments: &[OsString], place: &Place) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::Tool(format!("cannot start {name}: {error}"));
        let file = |kind: &str| place.folder.join(format!("{name}.{kind}"));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        let cpus: Vec<String> = place.cpus.iter().map(usize::to_string).collect();
        let mut command = Command::new(&place.launcher);
        command
            .arg(LAUNCH)
            .arg("--cpus")
            .arg(cpus.join(","))
            .arg("--parent")
            .arg(std::process::id().to_string());
        command.arg("--").args(arguments).current_dir(&place.folder);
        command.stdin(Stdio::null());
        command.stdout(File::create(&stdout).map_err(failed)?);
        command.stderr(File::create(&stderr).map_err(failed)?);
        // Keys pressed at a terminal are for us alone: we stop the others in order.
        command.process_group(0);
        let child = command.spawn().map_err(failed)?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its standard output so far.
    pub(crate) fn output(&self) -> String {
        read(&self.stdout)
    }

    /// Its last words.
    pub(crate) fn words(&self) -> String {
        let all = read(&self.stderr) + &read(&self.stdout);
        let from = all.trim().char_indices().rev().nth(LAST_WORDS).map_or(0, |(at, _)| at);
        let words = all.trim().get(from..).unwrap_or_default();
        if words.is_empty() { "no message".to_owned() } else { words.to_owned() }
    }

    /// Fails with its last words if it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                Err(Failure::Tool(format!("{} ended with {status}: {}", self.name, self.words())))
            }
            Err(error) => Err(Failure::Tool(format!("{}: {error}", self.name))),
        }
    }

    /// Waits until it ends by itself, at most so long; what it wrote to its standard output.
    pub(crate) fn finish(mut self, patience: Duration, stop: &Stop) -> Result<String, Failure> {
        let end = Instant::now() + patience;
        while !self.ended_within(SLICE) {
            stop.check()?;
            if Instant::now() > end {
                return Err(Failure::Tool(format!("{} did not end: {}", self.name, self.words())));
            }
        }
        match self.child.wait() {
            Ok(status) if status.success() => Ok(self.output()),
            Ok(status) => Err(Failure::Tool(format!("{} ended with {status}: {}", self.name, self.words()))),
            Err(error) => Err(Failure::Tool(format!("{}: {error}", self.name))),
        }
    }

    /// Sends SIGTERM, waits a few seconds, then kills it and the workers that it had.
    fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let family = family_of(self.pid());
        if let Some(pid) = Pid::from_raw(self.pid().cast_signed()) {
            // Ours and not waited for, so the number is still its own.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        if !self.ended_within(PATIENCE) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        family.into_iter().filter(|(pid, _)| *pid != self.pid()).for_each(|(pid, stat)| kill(pid, stat));
    }

    fn ended_within(&mut self, patience: Duration) -> bool {
        let Some(pid) = Pid::from_raw(self.pid().cast_signed()) else { return true };
        let Ok(file) = pidfd_open(pid, PidfdFlags::empty()) else {
            return !matches!(self.child.try_wait(), Ok(None));
        };
        let timeout = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        let _ = poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&timeout));
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Kills a worker that outlived its master, if the number is still its own.
fn kill(pid: u32, before: Stat) {
    let file = Pid::from_raw(pid.cast_signed()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // Looked at with the descriptor in hand, so nobody else can get the number meanwhile.
    if let (Some(file), Some(now)) = (file, Stat::of(pid))
        && now.start == before.start
        && now.state != 'Z'
    {
        let _ = pidfd_send_signal(&file, Signal::KILL);
    }
}

/// Turns this process into another program: pinned to cores, and told to end when its parent does.
///
/// A process of our own in between does this without any code between fork and exec.
///
/// # Errors
///
/// Returns only if it is not possible.
pub fn become_program(cpus: &[usize], parent: u32, arguments: &[OsString]) -> io::Error {
    let mut set = CpuSet::new();
    cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(*cpu));
    if let Err(error) = sched_setaffinity(None, &set) {
        return error.into();
    }
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.into();
    }
    // It may have ended before we asked to be told.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned()) != Some(parent) {
        return io::Error::other("the comparison has ended");
    }
    match arguments.split_first() {
        Some((program, rest)) => Command::new(program).args(rest).exec(),
        None => io::Error::other("no program"),
    }
}

/// So many different free ports of loopback, for programs that cannot say which one the system has chosen.
///
/// They are below those that the system gives to clients: a proxy that is started afresh must find its port free, and
/// among thousands of connections one would have it. Who takes one of them meanwhile says so by failing.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(EPHEMERAL);
    let last = if first > LOWEST + ROOM { first } else { u16::MAX };
    let mut held = std::collections::BTreeMap::new();
    for _ in 0..ATTEMPTS {
        let port = fastrand::u16(LOWEST..last);
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) {
            held.insert(port, listener);
        }
        if held.len() == count {
            return Ok(held.into_keys().collect());
        }
    }
    Err(Failure::Tool("no free ports".to_owned()))
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// The subcommand that calls [`become_program`].
pub const LAUNCH: &str = "launch";
const PATIENCE: Duration = Duration::from_secs(5);
const SLICE: Duration = Duration::from_millis(50);
/// Where Linux begins to give ports to clients unless told otherwise.
const EPHEMERAL: u16 = 32_768;
/// Ports for proxies are looked for from here on, if there are so many.
const LOWEST: u16 = 10_000;
const ROOM: u16 = 1_000;
const ATTEMPTS: usize = 10_000;
/// Characters of what a program said last.
const LAST_WORDS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_different_and_can_be_listened_on() {
        let ports = free_ports(20).unwrap();
        let listeners: Vec<_> =
            ports.iter().map(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).unwrap()).collect();
        assert_eq!(listeners.len(), 20);
    }
}
