//! What a sidecar costs: the time from its start to `/readyz`, its memory at rest before and after traffic, and its
//! processor time at rest.
//!
//!     cargo bench -p weir --bench sidecar
//!     cargo bench -p weir --bench sidecar --profile quick
#![allow(clippy::unwrap_used)] // a measurement that cannot be made has nothing to say

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let annotations = folder.path().join("annotations");
    fs::write(&annotations, "weir.dev/limit-connections=\"100\"\nweir.dev/limit-rps=\"1000000\"").unwrap();
    let origin = origin();

    let mut starts: Vec<Duration> = (0..STARTS).map(|_| Sidecar::start(&annotations, origin).ready).collect();
    starts.sort();
    let millis = |at: usize| starts[at].as_secs_f64() * 1000.0;
    println!(
        "start to /readyz: {:.1} ms at best, {:.1} ms median, {:.1} ms at worst, of {STARTS}",
        millis(0),
        millis(STARTS / 2),
        millis(STARTS - 1)
    );
    let sidecar = Sidecar::start(&annotations, origin);
    wait(Duration::from_secs(3));
    println!("at rest, before traffic: {}", sidecar.memory());
    println!("at rest, before traffic: {}", sidecar.effort());
    let requests = traffic(sidecar.http);
    wait(Duration::from_secs(3));
    println!("at rest, after {requests} requests: {}", sidecar.memory());
    println!("at rest, after {requests} requests: {}", sidecar.effort());
}

struct Sidecar {
    child: Child,
    http: SocketAddr,
    /// How long it took until it was.
    ready: Duration,
}

impl Sidecar {
    fn start(annotations: &Path, origin: SocketAddr) -> Self {
        let [http, admin] = [free(), free()];
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.arg("serve").arg(format!("--source=podinfo={}", annotations.display()));
        command.args([format!("--upstream={origin}"), format!("--http={http}"), format!("--admin={admin}")]);
        command.args(["--access-log", "off", "--log-level", "warn"]).stdout(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().unwrap();
        while status(admin, "/readyz") != Some(200) {
            assert!(began.elapsed() < Duration::from_secs(20), "it does not get ready");
            std::thread::yield_now();
        }
        Self { child, http, ready: began.elapsed() }
    }

    /// Resident and proportional memory.
    fn memory(&self) -> String {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).unwrap();
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kib: f64 = line.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
            kib / 1024.0
        };
        format!(
            "{:.1} MiB resident (RSS), {:.1} MiB its share (PSS), {:.1} MiB of its own",
            of("Rss:"),
            of("Pss:"),
            of("Private_Dirty:")
        )
    }

    /// Processor time and the number of times that a thread woke up.
    fn effort(&self) -> String {
        let (before, began) = (self.used(), Instant::now());
        wait(Duration::from_secs(5));
        let (after, took) = (self.used(), began.elapsed().as_secs_f64());
        let share = (after.0 - before.0) as f64 / 1e9 / took * 100.0;
        format!("{share:.3} % of a core, {:.0} wake-ups a second", (after.1 - before.1) as f64 / took)
    }

    /// Nanoseconds on a processor, and turns there, of all threads.
    fn used(&self) -> (u64, u64) {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let figures = tasks.map(|task| {
            let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            let figures: Vec<u64> = text.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
            (figures[0], figures[2])
        });
        figures.fold((0, 0), |(time, turns), (more, others)| (time + more, turns + others))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An application that says hello, for as long as the process lives.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut block = [0; 4096];
                while let Ok(1..) = stream.read(&mut block) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
                }
            });
        }
    });
    address
}

/// Some clients for two seconds; how many requests they made.
fn traffic(to: SocketAddr) -> usize {
    let until = Instant::now() + Duration::from_secs(2);
    let client = || {
        let mut stream = TcpStream::connect(to).unwrap();
        let (mut block, mut made) = ([0; 4096], 0);
        while Instant::now() < until {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
            let n = stream.read(&mut block).unwrap();
            assert!(n > 0);
            made += 1;
            // The last request that a connection may have says so (`keep-alive-requests`).
            if block[..n].windows(5).any(|five| five.eq_ignore_ascii_case(b"close")) {
                stream = TcpStream::connect(to).unwrap();
            }
        }
        made
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

fn status(at: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())
        .ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    reply.split(' ').nth(1)?.parse().ok()
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Lets time pass.
fn wait(time: Duration) {
    let (_sender, receiver) = channel::<()>();
    let _ = receiver.recv_timeout(time);
}

const STARTS: usize = 20;
const CLIENTS: usize = 16;
