//! slowhttptest against the binary: slow heads, slow bodies, slow reading, and the ranges of the Apache killer.
//!
//! With the caps of each client off the deadlines must do it; as shipped the caps cut the attack first.

use crate::support::tls::trusting;
use crate::support::{Client, Nginx, PATIENCE, WITH_SETTINGS, Weir, ingress, installed, settings};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Attackers at once, where nothing but deadlines stops them.
const MANY: usize = 200;

/// Memory that an attacker's connection may take while it lasts: where a body is passed on as it comes, pingora has 64
/// KiB for it, and a record of TLS is up to 16 KiB, once as it came and once as it was. And as much again as those for
/// everything else.
const EACH: u64 = 160 << 10;

/// Memory that may be left of all attacks together, when there was one before them: what the allocator keeps.
/// There are a thousand connections in them, so that 8 KiB lost with each would be seen.
const LEFT: u64 = 8 << 20;

fn nginx() -> Nginx {
    Nginx::start(|root, address| {
        std::fs::create_dir(root.join("www")).unwrap();
        std::fs::write(root.join("www/index.html"), "hello").unwrap();
        std::fs::write(root.join("www/large"), vec![b'x'; 4 << 20]).unwrap();
        format!(
            "access_log off; server {{ listen {address} backlog=1024; root {root}/www;\n\
             location /put/ {{ dav_methods PUT; create_full_put_path on; }} }}",
            root = root.display(),
        )
    })
}

/// A listener to attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Plain,
    Tls,
}

impl Door {
    fn address(self, weir: &Weir) -> SocketAddr {
        match self {
            Self::Plain => weir.http,
            Self::Tls => weir.https(),
        }
    }

    fn url(self, weir: &Weir, path: &str) -> String {
        let scheme = if self == Self::Plain { "http" } else { "https" };
        format!("{scheme}://{}{path}", self.address(weir))
    }

    /// How long somebody else, who is new, waits for an answer.
    fn ask(self, weir: &Weir) -> Duration {
        // Each time somebody else: whoever asks without pause is one whom the caps send away too.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let began = Instant::now();
        let client = Client::connect_from([127, 1, high, low].into(), self.address(weir));
        let mut client = match self {
            Self::Plain => client,
            Self::Tls => client.start_tls("a.test", trusting()),
        };
        assert_eq!(client.get("a.test", "/").status, 200);
        began.elapsed()
    }
}

/// The tool at work; ended when dropped.
struct Attack(Child);

impl Attack {
    fn start(many: usize, url: &str, arguments: &[&str]) -> Self {
        let many = many.to_string();
        let child = Command::new("slowhttptest")
            .args(["-c", &many, "-r", &many, "-u", url, "-p", "1"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// What it says in the end.
    fn verdict(mut self) -> String {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.0.stdout.take().unwrap(), &mut said).unwrap();
        let last = said.rsplit("Exit status:").next().unwrap().lines().next().unwrap();
        // It is printed in colour.
        last.trim_start_matches("\u{1b}[1;36m").trim().to_owned()
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who attacks how, and what becomes of it.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    many: usize,
    arguments: &'static [&'static str],
    path: &'static str,
    /// The deadline that cuts each of them; `None` where nothing is slow.
    stage: Option<&'static str>,
    /// What the tool says.
    verdict: &'static str,
}

const CUT: &str = "No open connections left";

const CASES: [Case; 5] = [
    Case {
        name: "slow heads",
        many: MANY,
        arguments: &["-H", "-i", "1", "-x", "8", "-l", "15"],
        path: "/",
        stage: Some("head"),
        verdict: CUT,
    },
    Case {
        name: "slow bodies that are held until they are whole",
        many: MANY,
        arguments: &["-B", "-i", "1", "-x", "8", "-s", "4096", "-l", "15"],
        path: "/",
        stage: Some("body"),
        verdict: CUT,
    },
    Case {
        name: "slow bodies that are passed on as they come",
        many: MANY,
        arguments: &["-B", "-t", "PUT", "-i", "1", "-x", "8", "-s", "500000", "-l", "20"],
        path: "/put/x",
        stage: Some("body"),
        verdict: CUT,
    },
    Case {
        name: "slow reading",
        // What they do not read fills buffers of the system: hundreds of megabytes, if there are hundreds of them.
        many: MANY / 2,
        arguments: &["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3", "-l", "8"],
        path: "/large",
        stage: Some("response"),
        // They are gone here; what is left in buffers of the system is read at their own pace.
        verdict: "Hit test time limit",
    },
    Case {
        name: "ranges",
        many: MANY,
        arguments: &["-R", "-t", "HEAD", "-a", "10", "-b", "3000", "-l", "15"],
        path: "/",
        stage: None,
        verdict: CUT,
    },
];

fn attack_with_deadlines(door: Door) {
    if !installed(&["slowhttptest", "nginx"]) {
        return;
    }
    let nginx = nginx();
    let keys = [
        ("client-header-timeout", "2"),
        ("client-body-timeout", "2"),
        ("client-send-timeout", "2"),
        ("client-sockets", "0"),
        ("client-socket-rate", "0"),
        ("client-handshake-rate", "0"),
        ("body-min-rate", "1k"),
    ];
    let manifests = ingress("web", "", nginx.address, &[]) + &settings(&keys);
    let flags = [&WITH_SETTINGS[..], &["--https", "127.0.0.1:0", "--workers", "2"]].concat();
    let weir = Weir::start_with(&manifests, &flags);
    // What is there for the first is there for all: buffers, and the memory of as many connections.
    let idle: Vec<Client> = (0..MANY).map(|_| Client::connect(door.address(&weir))).collect();
    for _ in 0..20 {
        door.ask(&weir);
    }
    drop(idle);
    let mut base = None;
    // Buffers of all kinds are used once before anything is measured.
    for (n, case) in [CASES[2]].into_iter().chain(CASES).enumerate() {
        let Case { name, many, arguments, path, stage, verdict } = case;
        let timeouts = || {
            stage.map(|stage| {
                weir.metric(&format!("weir_client_aborts_total{{stage=\"{stage}\",reason=\"timeout\"}}"))
                    .unwrap()
            })
        };
        let before = timeouts().unwrap_or_default();
        let mut attack = Attack::start(many, &door.url(&weir, path), arguments);
        let (mut most, mut longest) = (0, Duration::ZERO);
        while attack.is_running() {
            longest = longest.max(door.ask(&weir));
            most = most.max(weir.resident());
        }
        assert_eq!(attack.verdict(), verdict, "{door:?}, {name}");
        weir.until("nobody is left", || weir.metric("weir_connections_open") == Some(0.0));
        let (after, now) = (door.ask(&weir), weir.resident());
        if n == 0 {
            base = Some(now);
        }
        let base = base.unwrap_or(now);
        let (peak, left) = (most.saturating_sub(base), now.saturating_sub(base));
        println!(
            "{door:?}, {name}: longest wait {longest:?}, then {after:?}; at most {} KiB more, then {} KiB",
            peak >> 10,
            left >> 10
        );
        assert!(after < Duration::from_secs(1), "{door:?}, {name}: {after:?}");
        assert!(n == 0 || peak <= many as u64 * EACH, "{door:?}, {name}: {peak}");
        assert!(left <= LEFT, "{door:?}, {name}: {left}");
        if let Some(cut) = timeouts().map(|count| count - before) {
            // Nearly each of the attackers: some the tool gives up itself.
            assert!(cut >= 0.9 * many as f64, "{door:?}, {name}: {cut}");
        }
    }
}

#[test]
fn deadlines_end_slow_attacks_on_http() {
    attack_with_deadlines(Door::Plain);
}

#[test]
fn deadlines_end_slow_attacks_on_https() {
    attack_with_deadlines(Door::Tls);
}

/// Nothing is set here: this is what somebody gets who sets nothing.
#[test]
fn as_shipped_one_address_has_not_enough_sockets_to_attack_with() {
    if !installed(&["slowhttptest", "nginx"]) {
        return;
    }
    let nginx = nginx();
    let manifests = ingress("web", "", nginx.address, &[]) + &settings(&[]);
    let flags = [&WITH_SETTINGS[..], &["--https", "127.0.0.1:0", "--workers", "2"]].concat();
    let weir = Weir::start_with(&manifests, &flags);
    for door in [Door::Plain, Door::Tls] {
        let shed =
            || weir.metric("weir_connections_shed_total{reason=\"client-sockets\"}").unwrap_or_default();
        let before = shed();
        // More than one address may have, and none of them at its end by itself: the deadline of a head is ten seconds.
        let arguments = ["-H", "-i", "1", "-x", "8", "-l", "4"];
        let mut attack = Attack::start(700, &door.url(&weir, "/"), &arguments);
        let mut most: f64 = 0.0;
        while attack.is_running() {
            // Who is somewhere else has nothing to do with it.
            door.ask(&weir);
            most = most.max(weir.metric("weir_connections_open").unwrap());
        }
        drop(attack.verdict());
        let after = door.ask(&weir);
        println!("{door:?}: {} shed, at most {most} open, then {after:?}", shed() - before);
        // The tool takes its time over TLS: there it may not even come to as many as it may have.
        assert!(door == Door::Tls || shed() - before >= 100.0, "{door:?}: {}", shed() - before);
        // Those of the one address, and whoever else is being served.
        assert!(most <= 512.0 + 8.0, "{door:?}: {most}");
        assert!(after < Duration::from_secs(1), "{door:?}: {after:?}");
        weir.until("they are gone", || weir.metric("weir_connections_open") == Some(0.0));
    }
    assert!(PATIENCE > Duration::from_secs(10), "long enough for the deadline of a head as shipped");
}
