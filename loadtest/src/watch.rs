//! What the target's processes use, from `/proc`, and what the target says of itself.

use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the processes used at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Seconds from the start of the run.
    pub at: f64,
    /// Resident memory of all together, in bytes.
    pub resident: u64,
    /// Processor time since the start of the run, in seconds.
    pub cpu: f64,
}

/// Watches processes until it is asked what it saw.
#[derive(Debug)]
pub struct Watcher {
    pids: Arc<Mutex<Vec<u32>>>,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Watcher {
    /// Begins.
    ///
    /// # Errors
    ///
    /// If there is no thread.
    pub fn start(pids: Vec<u32>, clock: crate::drive::Clock) -> io::Result<Self> {
        let pids = Arc::new(Mutex::new(pids));
        let (stop, stopped) = mpsc::channel();
        let watched = Arc::clone(&pids);
        let thread = std::thread::Builder::new().name("watcher".to_owned()).spawn(move || {
            let mut before: HashMap<u32, f64> = HashMap::new();
            let mut samples = Vec::new();
            let mut cpu = 0.0;
            while stopped.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                let pids = watched.lock().clone();
                let mut resident = 0;
                for pid in pids {
                    let Some((bytes, seconds)) = usage(pid) else { continue };
                    resident += bytes;
                    let last = before.insert(pid, seconds).unwrap_or(seconds);
                    cpu += (seconds - last).max(0.0);
                }
                samples.push(Sample { at: clock.now() as f64 / 1e9, resident, cpu });
            }
            samples
        })?;
        Ok(Self { pids, stop, thread })
    }

    /// Watches another process in the place of one.
    pub fn replace(&self, old: u32, new: u32) {
        let mut pids = self.pids.lock();
        pids.retain(|pid| *pid != old);
        pids.push(new);
    }

    /// Ends, with what it saw; nothing if there was no process.
    pub fn finish(self) -> Vec<Sample> {
        let none = self.pids.lock().is_empty();
        drop(self.stop);
        let samples = self.thread.join().unwrap_or_default();
        if none { Vec::new() } else { samples }
    }
}

/// Resident bytes and processor seconds of a process.
pub fn usage(pid: u32) -> Option<(u64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name in brackets: the state, and then numbers; user and system time are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some((kib * 1024, ticks as f64 / per_second as f64))
}

/// A page of the target's metrics.
///
/// # Errors
///
/// If it does not answer.
pub fn metrics(admin: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&admin, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    socket.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

/// The value of a series on a page of metrics.
pub fn metric(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
}

const EVERY: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a page of metrics.
const MOST: u64 = 16 << 20;
