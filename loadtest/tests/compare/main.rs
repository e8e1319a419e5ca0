//! `weir-loadtest compare` as a whole: the real command, with the proxies that are installed. Nothing is said of speed.
//!
//! A program of its own, and one test after the other: each takes all that the machine has, and other tests of the
//! harness look at the clock.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

#[path = "../e2e/schema.rs"]
mod schema;
#[allow(dead_code)] // what scenarios need
#[path = "../e2e/support.rs"]
mod support;

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use support::weir;
use weir_loadtest::compare::{Case, Proxy, find_program};

#[test]
fn every_case_is_measured_with_every_proxy_that_is_installed() {
    if !installed(&["nginx", "wrk", "h2load"]) {
        return;
    }
    let _alone = alone();
    // Each says by itself whether it is missing.
    let _ = (installed(&["haproxy"]), installed(&["envoy"]));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, svg, weir) = (file("compare.json"), file("compare.svg"), weir());
    let output = finish(command(folder.path()).arg("--weir").arg(weir).args([
        "--rounds=1",
        "--seconds=1",
        "--warm-up=0",
        "--idle-connections=50",
        "--spray-keys=2000",
        "--access-log",
        "--json",
        &json,
        "--chart",
        &svg,
    ]));
    let told = text(&output.stderr);

    let report = fs::read_to_string(json).unwrap_or_else(|error| panic!("no report: {error}: {told}"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let schema = serde_json::from_str(include_str!("../../schema/compare.json")).unwrap();
    assert_eq!(schema::mistakes(&schema, &report), [""; 0]);
    let expected: Vec<&str> = Proxy::ALL
        .map(Proxy::name)
        .into_iter()
        .filter(|name| *name == "weir" || find_program(name).is_some())
        .collect();
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(names(cases), Case::ALL.map(Case::name));
    for case in cases {
        let proxies = case["proxies"].as_array().unwrap();
        assert_eq!(names(proxies), expected, "{case}");
        for proxy in proxies {
            let round = &proxy["rounds"][0];
            assert_eq!(round["invalid"], Value::Null, "{} {}: {round}", case["name"], proxy["name"]);
            if case["unit"] == "requests per CPU-second" {
                assert!(round["figure"].as_f64().unwrap() > 0.0, "{round}");
            } else {
                assert_eq!(round["connections"], 50);
            }
        }
    }
    assert_eq!(output.status.code(), Some(0), "{told}");
    // Nobody does less than is asked.
    assert!(!told.contains("warning: weir") && !told.contains("warning: nginx"), "{told}");
    let markdown = text(&output.stdout);
    assert!(markdown.contains("| case | weir | weir / nginx |"), "{markdown}");
    assert!(markdown.contains("access logs: to a file"), "{markdown}");
    // Under `cargo test --release` it is none.
    assert_eq!(markdown.contains("(**a debug build**)"), cfg!(debug_assertions), "{markdown}");
    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("weir / nginx"), "{svg}");
    nothing_is_left(folder.path());
}

/// It answers everything with 200 by itself: what should be refused, too, and the origin sees nothing.
#[test]
fn a_proxy_that_lies_makes_no_figures() {
    if !installed(&["nginx", "wrk"]) {
        return;
    }
    let _alone = alone();
    let liar = Liar::start();
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("compare.json");
    let origin = free_port();
    let extra = format!("liar={}", liar.port);
    let output = finish(
        command(folder.path())
            .args([
                "--proxies=nginx",
                "--case=allowed,refused,tls",
                "--rounds=1",
                "--seconds=1",
                "--warm-up=0",
            ])
            .args(["--extra", &extra, "--origin-port", &origin.to_string(), "--expect=allowed=0.001"])
            .arg("--json")
            .arg(&json),
    );
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");

    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let round = |case: usize, proxy: usize| &report["cases"][case]["proxies"][proxy]["rounds"][0];
    let why = |case| round(case, 1)["invalid"].as_str().unwrap();
    assert_eq!((&round(0, 0)["invalid"], &round(1, 0)["invalid"]), (&Value::Null, &Value::Null));
    assert!(why(0).contains("the origin saw only"), "{}", why(0));
    assert!(why(1).contains("were not refused"), "{}", why(1));
    assert_eq!(report["cases"][0]["proxies"][1]["figure"], Value::Null);
    // Only its ports without TLS are known.
    assert_eq!(names(report["cases"][2]["proxies"].as_array().unwrap()), ["nginx"]);
    let notes = report["notes"].to_string();
    for note in ["liar answers `/api/1m` with", "liar does not limit", "liar forwards an unknown host"] {
        assert!(notes.contains(note), "{notes}");
    }
    assert!(told.contains("allowed: no valid figure for liar"), "{told}");
    assert!(told.contains("allowed: no valid ratio of liar to nginx"), "{told}");
    nothing_is_left(folder.path());
}

/// In the middle of its rounds.
#[test]
fn a_signal_or_the_time_limit_ends_everything() {
    if !installed(&["nginx", "wrk"]) {
        return;
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    for (name, signal) in
        [("SIGTERM", rustix::process::Signal::TERM), ("SIGINT", rustix::process::Signal::INT)]
    {
        let mut child = under_way(folder.path(), &[]);
        let family = descendants(child.id());
        assert!(family.len() >= 3, "origin, proxy and its worker: {family:?}");
        rustix::process::kill_process(pid(child.id()), signal).unwrap();
        let status = child.wait().unwrap();
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(told.contains(&format!("stopped by {name}")), "{told}");
        nothing_is_left(folder.path());
    }
    let limited = finish(command(folder.path()).args(LONG).arg("--time-limit=1"));
    let told = text(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{told}");
    assert!(told.contains("stopped by the time limit of 1 s"), "{told}");
    nothing_is_left(folder.path());
}

/// Nobody can clean up then, but nobody has to.
#[test]
fn a_comparison_that_is_killed_leaves_nobody_running() {
    if !installed(&["nginx", "wrk"]) {
        return;
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut child = under_way(folder.path(), &[]);
    let open =
        |number: &u32| rustix::process::pidfd_open(pid(*number), rustix::process::PidfdFlags::empty()).ok();
    let family: Vec<OwnedFd> = descendants(child.id()).iter().filter_map(open).collect();
    assert!(family.len() >= 3, "origin, proxy and its worker: {}", family.len());
    child.kill().unwrap();
    child.wait().unwrap();
    for process in &family {
        let mut polled = [rustix::event::PollFd::new(process, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
        let ended = rustix::event::poll(&mut polled, Some(&patience)).unwrap();
        // Whatever the test finds, it leaves nobody either.
        let _ = rustix::process::pidfd_send_signal(process, rustix::process::Signal::KILL);
        assert_eq!(ended, 1, "a process goes on");
    }
}

#[test]
fn bad_input_is_named_all_at_once_and_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--case=allowd"][..], &["no such case; there are allowed, refused"][..]),
        (&["--rounds=0"], &["0 is not in 1..=99"]),
        (&["--extra=a=1"], &["--origin-port"]),
        (&["--expect=allowed=-1"], &["the number must be positive"]),
        (
            &["--proxies=weir", "--weir=nowhere", "--json=no/where"],
            &["weir is not found", "no/where: No such file"],
        ),
        (&["--proxies=apache"], &["there are weir, nginx, haproxy, envoy"]),
        (
            &["--proxies=weir", "--weir=nowhere", "--nginx=nowhere", "--case=refused", "--expect=allowed=1"],
            &[
                "weir is not found",
                "nginx is the origin",
                "allowed is not among --case",
                "compares with nginx",
            ],
        ),
    ] {
        let output = finish(command(folder.path()).args(arguments));
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        for sentence in expected {
            assert!(told.contains(sentence), "{arguments:?}: {told}");
        }
    }
}

#[test]
fn a_case_whose_tool_is_not_installed_is_not_measured_and_not_passed() {
    if !installed(&["nginx"]) {
        return;
    }
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let nginx = find_program("nginx").unwrap();
    let mut command = command(folder.path());
    command.env("PATH", folder.path()).arg("--nginx").arg(nginx);
    let output = finish(command.args(["--proxies=nginx", "--case=allowed,h2", "--rounds=1"]));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("allowed: not measured: wrk is not installed"), "{told}");
    assert!(told.contains("h2: not measured: h2load is not installed"), "{told}");
    assert!(text(&output.stdout).contains("Not measured: wrk is not installed."));
}

/// Another process, for what its processes use is measured too.
struct Liar {
    port: u16,
    nginx: Child,
    _folder: tempfile::TempDir,
}

impl Liar {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, port) = (folder.path().display(), free_port());
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {path}/temp;"))
            .concat();
        let text = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/log; events {{}}
            http {{
                access_log off; {temporary} keepalive_requests 1000000000;
                server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"{}\"; }} }}
            }}",
            "y".repeat(1024)
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text).unwrap();
        let mut nginx = Command::new(find_program("nginx").unwrap());
        nginx.arg("-e").arg(folder.path().join("log")).arg("-p").arg(folder.path()).arg("-c").arg(file);
        let mut liar = Self { port, nginx: nginx.spawn().unwrap(), _folder: folder };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(liar.nginx.try_wait().unwrap().is_none(), "nginx has ended");
            std::thread::yield_now();
        }
        liar
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

fn free_port() -> u16 {
    // Below those that the system gives to clients, of which there are many here.
    let mut ports = std::iter::repeat_with(|| fastrand::u16(10_000..32_000));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// The command with its temporary files in a folder of ours, by which its processes are known.
fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-loadtest"));
    command.arg("compare").env("TMPDIR", folder).stdin(Stdio::null());
    command
}

fn finish(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// A comparison whose first round has begun.
fn under_way(folder: &Path, more: &[&str]) -> Child {
    let mut child =
        command(folder).args(LONG).args(more).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // One byte at a time, so that nothing is taken from whoever reads the rest.
    let mut lines = BufReader::with_capacity(1, child.stderr.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("allowed 1 nginx")));
    child
}

/// No process has files in the folder, and there is no temporary folder left.
fn nothing_is_left(folder: &Path) {
    let name = folder.to_str().unwrap();
    let running = processes().into_iter().filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(name)
    });
    assert_eq!(running.collect::<Vec<_>>(), [0; 0], "processes go on");
    let left: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!left.iter().any(|path| path.is_dir()), "{left:?}");
}

fn descendants(of: u32) -> Vec<u32> {
    let parent = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let mut found = vec![of];
    let mut at = 0;
    while let Some(one) = found.get(at).copied() {
        found.extend(processes().into_iter().filter(|pid| parent(pid) == Some(one)));
        at += 1;
    }
    found.remove(0);
    found
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn pid(number: u32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(number.cast_signed()).unwrap()
}

fn names(list: &[Value]) -> Vec<&str> {
    list.iter().map(|one| one["name"].as_str().unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Nobody else makes load as long as this is held.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether programs are there; if not, the test says so, and where they are required it fails.
fn installed(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| find_program(name).is_none()).collect();
    if !missing.is_empty() {
        assert!(std::env::var_os("WEIR_TEST_PEERS").is_none(), "{missing:?} are required and not installed");
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: {missing:?} are not installed, so nothing is compared with them\n"),
        );
    }
    missing.is_empty()
}

/// One that would take minutes.
const LONG: [&str; 5] = ["--proxies=nginx", "--case=allowed", "--rounds=99", "--seconds=1", "--warm-up=0"];
