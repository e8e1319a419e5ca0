//! The end of the process, as clients see it.

use crate::limits::slow_origin;
use crate::support::tls::trusting;
use crate::support::{Client, LANES, Nginx, Origin, Reaction, Weir, get, ingress, installed, until};
use rustix::process::Signal;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const HTTPS: [&str; 2] = ["--https", "127.0.0.1:0"];

/// Until nobody accepts any more: then every request in flight is one of the last.
fn accepting_has_ended(at: SocketAddr) {
    until("accepting ends", || TcpStream::connect_timeout(&at, Duration::from_millis(50)).is_err());
}

#[test]
fn what_is_in_flight_in_either_lane_is_answered_and_told_that_it_was_the_last() {
    for lane in LANES {
        let (origin, gate) = slow_origin();
        let flags = [&HTTPS[..], &["--shutdown-timeout", "1h"]].concat();
        let weir = lane.start(&ingress("slow", "slow.test", origin.address, &[]), &flags);
        let plain = Client::connect(weir.http);
        let tls = Client::connect(weir.https()).start_tls("slow.test", trusting());
        let mut clients = [plain, tls];
        for client in &mut clients {
            client.send("GET /slow HTTP/1.1\r\nHost: slow.test\r\n\r\n");
        }
        gate.wait_for(2);
        weir.signal();
        accepting_has_ended(weir.http);
        gate.open(2);
        for client in &mut clients {
            let reply = client.read("GET");
            assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{lane:?}");
            assert!(client.is_closed(), "{lane:?}");
        }
        // With the last connection, and not when the hour is over.
        assert!(weir.ended().success(), "{lane:?}");
    }
}

#[test]
fn a_tunnel_lives_through_a_drain() {
    let origin = Origin::start(|_| {
        Reaction::Take(Box::new(|stream| {
            use std::io::{Read, Write};
            let upgraded =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(upgraded.as_bytes()).unwrap();
            let mut block = [0; 64];
            while let Ok(n @ 1..) = stream.read(&mut block) {
                stream.write_all(&block[..n]).unwrap();
            }
        }))
    });
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[]), &["--shutdown-timeout", "1h"]);
    let mut client = Client::connect(weir.http);
    client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(client.read_head().unwrap().status, 101);
    weir.signal();
    accepting_has_ended(weir.http);
    for _ in 0..3 {
        client.send("ping");
        assert_eq!(client.exactly(4).unwrap(), b"ping");
    }
    drop(client);
    assert!(weir.ended().success());
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let (origin, gate) = slow_origin();
        let flags = ["--shutdown-timeout", "1h"];
        let weir = Weir::start_with(&ingress("slow", "slow.test", origin.address, &[]), &flags);
        let mut slow = Client::connect(weir.http);
        slow.send("GET /slow HTTP/1.1\r\nHost: slow.test\r\n\r\n");
        gate.wait_for(1);
        weir.signal();
        accepting_has_ended(weir.http);
        weir.signal_with(second);
        assert_eq!(weir.ended().code(), Some(1));
        assert!(slow.try_read("GET").is_err());
        gate.open(1);
    }
}

/// Whoever sits at a terminal need not wait for those who are told not to send anybody here any more.
#[test]
fn an_interrupt_drains_without_the_delay() {
    let (origin, gate) = slow_origin();
    let flags = ["--shutdown-delay", "1h", "--shutdown-timeout", "1h"];
    let weir = Weir::start_with(&ingress("slow", "slow.test", origin.address, &[]), &flags);
    let mut slow = Client::connect(weir.http);
    slow.send("GET /slow HTTP/1.1\r\nHost: slow.test\r\n\r\n");
    gate.wait_for(1);
    weir.signal_with(Signal::INT);
    accepting_has_ended(weir.http);
    gate.open(1);
    let reply = slow.read("GET");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(weir.ended().success());
}

/// wrk knows nothing of drains: it asks without pause over connections that it keeps, and makes new ones.
#[test]
fn wrk_sees_no_error_but_refused_connections_when_weir_ends() {
    if !installed(&["nginx", "wrk"]) {
        return;
    }
    let nginx = Nginx::start(|root, address| {
        std::fs::create_dir(root.join("www")).unwrap();
        std::fs::write(root.join("www/1k"), vec![b'x'; 1024]).unwrap();
        format!("access_log off; server {{ listen {address}; root {}/www; }}", root.display())
    });
    let folder = tempfile::tempdir().unwrap();
    for lane in LANES {
        for https in [false, true] {
            let context = format!("{lane:?}, https {https}");
            let log = folder.path().join(format!("{context}.log"));
            let all = ["--access-log-lines-per-second", "0"];
            let log_flags = ["--access-log", log.to_str().unwrap(), "--shutdown-delay", "500ms"];
            let weir =
                lane.start(&ingress("web", "", nginx.address, &[]), &[&HTTPS[..], &log_flags, &all].concat());
            let url = match https {
                false => format!("http://{}/1k", weir.http),
                true => format!("https://{}/1k", weir.https()),
            };
            let wrk = Command::new("wrk")
                .args(["-t1", "-c16", "-d60s", &url])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let accepted = || weir.metric("weir_connections_total{result=\"accepted\"}").unwrap_or_default();
            until("there is load", || accepted() >= 16.0);
            let (admin, began) = (weir.admin, Instant::now());
            weir.signal();
            until("nobody should be sent here", || get(admin, "admin", "/readyz").status == 503);
            assert!(weir.ended().success(), "{context}");
            assert!(began.elapsed() >= Duration::from_millis(500), "{context}");
            // It says what it has seen when it is interrupted.
            rustix::process::kill_process(rustix::process::Pid::from_child(&wrk), Signal::INT).unwrap();
            let report = String::from_utf8(wrk.wait_with_output().unwrap().stdout).unwrap();
            println!("{context}: {report}");
            assert!(!report.contains("Non-2xx"), "{context}: {report}");
            // Whom nobody accepts any more sees that when he connects or when he writes first. A response that breaks off
            // or does not come would be an error of reading.
            if let Some(errors) = report.lines().find(|line| line.contains("Socket errors")) {
                assert!(errors.contains("read 0,") && errors.ends_with("timeout 0"), "{context}: {errors}");
            }
            // And of what was accepted nothing was lost.
            let whole = report.lines().find_map(|line| line.trim().split_once(" requests in ")).unwrap().0;
            let log = std::fs::read_to_string(&log).unwrap();
            let (served, others): (Vec<_>, Vec<_>) =
                log.lines().partition(|line| line.contains("\"status\":200"));
            assert_eq!(served.len().to_string(), whole, "{context}");
            // wrk makes a connection before all others and drops it, to see whether it can.
            let first = usize::from(https);
            let dropped = others.iter().filter(|line| line.contains("\"abort\":\"handshake\""));
            assert_eq!((dropped.count(), others.len()), (first, first), "{context}: {others:?}");
        }
    }
}

/// Each of these curls makes connections for many requests each, and then new ones.
#[test]
fn curl_loses_no_request_when_weir_ends() {
    if !installed(&["curl"]) {
        return;
    }
    let origin = Origin::echo();
    for lane in LANES {
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &HTTPS);
        let urls = [format!("http://{}/[1-20]", weir.http), format!("https://{}/[1-20]", weir.https())];
        let answered = AtomicUsize::new(0);
        let ask = |url: &str| {
            loop {
                let output = Command::new("curl")
                    .args(["--silent", "--insecure", "--noproxy", "*", "--max-time", "20"])
                    .args(["--output", "/dev/null", "--write-out", "%{http_code} %{exitcode}\n", url])
                    .output()
                    .unwrap();
                let said = String::from_utf8(output.stdout).unwrap();
                for line in said.lines() {
                    match line {
                        "200 0" => answered.fetch_add(1, Ordering::Relaxed),
                        // Nobody accepts any more.
                        "000 7" => return,
                        other => panic!("{lane:?}, {url}: {other}"),
                    };
                }
            }
        };
        std::thread::scope(|scope| {
            urls.iter().for_each(|url| drop(scope.spawn(|| ask(url))));
            until("there is load", || answered.load(Ordering::Relaxed) > 60);
            weir.signal();
        });
        println!("{lane:?}: {} answered", answered.load(Ordering::Relaxed));
        assert!(weir.ended().success(), "{lane:?}");
    }
}

/// A write through another name of a file is one that no event tells of.
#[test]
fn a_hang_up_finds_what_no_event_tells_of() {
    let origin = Origin::echo();
    let weir = Weir::start(&ingress("web", "a.test", origin.address, &[]));
    let elsewhere = tempfile::tempdir_in(weir.folder().parent().unwrap()).unwrap();
    let other_name = elsewhere.path().join("manifests.yaml");
    std::fs::hard_link(weir.folder().join("manifests.yaml"), &other_name).unwrap();
    let before = weir.generation();
    std::fs::write(other_name, ingress("web", "b.test", origin.address, &[])).unwrap();
    let began = Instant::now();
    weir.signal_with(Signal::HUP);
    until("it is read again", || weir.generation() > before);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(get(weir.http, "b.test", "/").status, 200);
    assert_eq!(get(weir.http, "a.test", "/").status, 404);
}
