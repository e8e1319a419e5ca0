//! What happens to a connection before its first request, and when the process ends.

use crate::limits::{open_request, slow_origin};
use crate::support::tls::trusting;
use crate::support::{Client, Origin, PATIENCE, WITH_SETTINGS, Weir, get, ingress, ip, settings, until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// An origin that says who it was told the client is, and from which port and scheme.
fn telling() -> Origin {
    Origin::start(|request| {
        let told = |name| request.header(name).unwrap_or("-").to_owned();
        let told = ["x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"].map(told);
        crate::support::Reaction::ok(told.join(" "))
    })
}

fn start(origin: &Origin, keys: &[(&str, &str)], flags: &[&str]) -> Weir {
    let manifests = ingress("web", "", origin.address, &[]) + &settings(keys);
    Weir::start_with(&manifests, &[&WITH_SETTINGS[..], flags].concat())
}

fn shed(weir: &Weir, reason: &str) -> f64 {
    weir.metric(&format!(r#"weir_connections_shed_total{{reason="{reason}"}}"#)).unwrap()
}

const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb\x04\x00\x00";

#[test]
fn the_proxy_protocol_names_the_client_of_trusted_peers_only() {
    let origin = telling();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let keys = [
        ("use-proxy-protocol", "true"),
        ("proxy-real-ip-cidr", "127.0.0.2/32"),
        ("proxy-protocol-header-timeout", "1"),
    ];
    let weir = start(&origin, &keys, &["--workers", "1", "--access-log", log.to_str().unwrap()]);
    let trusted = || Client::connect_from(ip(2), weir.http);
    let ask = |mut client: Client, header: &[u8]| {
        client.send(header);
        client.get("a.test", "/").text()
    };
    assert_eq!(ask(trusted(), b"PROXY TCP4 192.0.2.9 198.51.100.1 4711 8080\r\n"), "192.0.2.9 8080 http");
    assert_eq!(ask(trusted(), b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n"), "2001:db8::9 443 https");
    assert_eq!(ask(trusted(), V2), "192.0.2.7 443 https");
    // In pieces, and then the request in the same segment as the rest.
    let mut client = trusted();
    for byte in &V2[..V2.len() - 1] {
        client.send([*byte]);
    }
    client.send([&V2[V2.len() - 1..], b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"].concat());
    assert_eq!(client.read("GET").text(), "192.0.2.7 443 https");
    // A health check of the balancer's own.
    let own = ask(trusted(), b"PROXY UNKNOWN\r\n");
    assert!(own.starts_with("127.0.0.2 "), "{own}");
    // A stranger is who he is, and may not say otherwise.
    let own = Client::connect_from(ip(3), weir.http).get("a.test", "/").text();
    assert!(own.starts_with("127.0.0.3 "), "{own}");
    let mut stranger = Client::connect_from(ip(3), weir.http);
    stranger.send(b"PROXY TCP4 192.0.2.9 198.51.100.1 4711 443\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert!(stranger.try_read("GET").is_err());
    assert_eq!(shed(&weir, "proxy-header-untrusted"), 1.0);
    // From the balancer it is required, whole and in time.
    let mut bare = trusted();
    bare.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert!(bare.try_read("GET").is_err());
    assert_eq!(shed(&weir, "proxy-header"), 1.0);
    let mut late = trusted();
    late.send(b"PROXY TCP4 ");
    let began = Instant::now();
    assert!(late.try_read("GET").is_err());
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(shed(&weir, "proxy-header-timeout"), 1.0);
    drop(trusted());
    until("the end of a header that never came is counted", || shed(&weir, "proxy-header-end") == 1.0);
    assert!(weir.terminate().success());
    // The log keeps both.
    let log = std::fs::read_to_string(log).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&line["client"], &line["peer"]), (&"192.0.2.9".into(), &"127.0.0.2".into()), "{line}");
}

#[test]
fn a_client_has_so_many_sockets_whatever_connection_they_come_by() {
    let origin = Origin::echo();
    let keys = [
        ("client-sockets", "3"),
        ("client-socket-rate", "0"),
        ("use-proxy-protocol", "true"),
        ("proxy-real-ip-cidr", "127.0.0.2/32"),
    ];
    let weir = start(&origin, &keys, &["--workers", "2"]);
    let ask = |mut client: Client| {
        client
            .try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            .and_then(|()| client.try_read("GET").map(|_| client))
    };
    let mut held: Vec<Client> =
        (0..3).map(|_| ask(Client::connect_from(ip(7), weir.http)).unwrap()).collect();
    assert!(ask(Client::connect_from(ip(7), weir.http)).is_err());
    assert_eq!(shed(&weir, "client-sockets"), 1.0);
    // Another has its own, and one that goes makes room.
    assert!(ask(Client::connect_from(ip(8), weir.http)).is_ok());
    held.pop();
    until("there is room again", || ask(Client::connect_from(ip(7), weir.http)).is_ok());
    // Behind a balancer it is the client that counts, and the balancer has as many as it needs.
    let behind = |client: &str| {
        let mut socket = Client::connect_from(ip(2), weir.http);
        socket.send(format!("PROXY TCP4 {client} 198.51.100.1 4711 80\r\n"));
        ask(socket)
    };
    let _held: Vec<Client> = (0..3).map(|_| behind("192.0.2.9").unwrap()).collect();
    assert!(behind("192.0.2.9").is_err());
    let _other: Vec<Client> = (0..3).map(|_| behind("192.0.2.10").unwrap()).collect();
}

#[test]
fn new_sockets_of_a_client_come_no_faster_than_its_rate() {
    let origin = Origin::echo();
    let weir = start(&origin, &[("client-socket-rate", "1")], &[]);
    let connect = || {
        let mut client = Client::connect_from(ip(7), weir.http);
        let sent = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        sent.and_then(|()| client.try_read("GET")).is_ok()
    };
    let began = Instant::now();
    let served = (0..30).filter(|_| connect()).count();
    // Five and one at once, and one a second.
    let most = 6 + began.elapsed().as_secs() as usize + 1;
    assert!((6..=most).contains(&served), "{served}");
    assert!(shed(&weir, "client-rate") >= 1.0);
}

#[test]
fn running_out_of_descriptors_sheds_and_ends_with_the_flood() {
    for (workers, https) in [("1", false), ("1", true), ("3", false)] {
        let context = format!("{workers} workers, https {https}");
        let origin = Origin::echo();
        let folder = tempfile::tempdir().unwrap();
        let open = settings(&[("client-sockets", "0"), ("client-socket-rate", "0"), ("sockets", "0")]);
        let manifests = ingress("web", "", origin.address, &[]) + &open;
        std::fs::write(folder.path().join("all.yaml"), manifests).unwrap();
        let weir = Weir::spawn(folder, |command| {
            let mut limited = std::process::Command::new("sh");
            limited
                .args(["-c", "ulimit -n 96 && exec \"$0\" \"$@\""])
                .arg(command.get_program())
                .args(command.get_args());
            limited.args(["--https", "127.0.0.1:0", "--workers", workers, "--connections", "1000"]);
            limited.args(WITH_SETTINGS);
            limited
        });
        let to = if https { weir.https() } else { weir.http };
        let connect = || {
            let client = Client::connect(to);
            if https { client.start_tls("a.test", trusting()) } else { client }
        };
        let mut healthy = connect();
        assert_eq!(healthy.get("a.test", "/").status, 200);
        let flood: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(to).unwrap()).collect();
        // Those beyond the descriptors are sent away, and not left to wait.
        let mut gone = 0;
        for mut socket in flood.iter().rev().take(100) {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            gone += usize::from(
                socket
                    .read(&mut [0; 8])
                    .map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |n| n == 0),
            );
        }
        assert_eq!(gone, 100, "{context}");
        // Nobody spins: while nothing happens, no time is spent.
        let before = weir.cpu();
        let began = Instant::now();
        until("a while has passed", || began.elapsed() > Duration::from_millis(500));
        let spent = weir.cpu() - before;
        assert!(spent < Duration::from_millis(100), "{context}: {spent:?}");
        // Who is there is served meanwhile.
        assert_eq!(healthy.get("a.test", "/").status, 200, "{context}");
        drop(flood);
        let began = Instant::now();
        until("a healthy client is served", || {
            let mut client = connect();
            client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").is_ok()
                && client.try_read("GET").is_ok_and(|reply| reply.status == 200)
        });
        assert!(began.elapsed() < Duration::from_secs(1), "{context}: {:?}", began.elapsed());
        assert!(shed(&weir, "descriptors") >= 100.0, "{context}");
    }
}

/// Asks without pause, over kept and over new connections, until nobody accepts any more. Returns requests that were
/// sent and not answered.
fn hammer(to: std::net::SocketAddr, keep: bool, answered: &AtomicUsize) -> usize {
    let mut lost = 0;
    let mut kept: Option<Client> = None;
    loop {
        let mut client = match kept.take() {
            Some(client) => client,
            None => match TcpStream::connect_timeout(&to, Duration::from_millis(500)) {
                Ok(stream) => Client::of(stream),
                Err(_) => return lost,
            },
        };
        let sent = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        match sent.and_then(|()| client.try_read("GET")) {
            Ok(reply) => {
                answered.fetch_add(1, Ordering::Relaxed);
                if keep && reply.header("connection") != Some("close") {
                    kept = Some(client);
                }
            }
            Err(_) => lost += 1,
        }
    }
}

#[test]
fn a_drain_loses_no_request() {
    let (origin, gate) = slow_origin();
    let manifests = ingress("slow", "slow.test", origin.address, &[]);
    let echo = Origin::echo();
    let manifests = manifests + &ingress("web", "a.test", echo.address, &[]);
    let weir = Weir::start_with(&manifests, &["--workers", "2", "--shutdown-timeout", "60s"]);
    let mut slow = open_request(weir.http, "slow.test", "/slow");
    gate.wait_for(1);
    let mut idle = Client::connect(weir.http);
    assert_eq!(idle.get("a.test", "/").status, 200);
    let answered = AtomicUsize::new(0);
    let lost: usize = std::thread::scope(|scope| {
        let (to, answered) = (weir.http, &answered);
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || hammer(to, n % 2 == 0, answered))).collect();
        until("there is load", || answered.load(Ordering::Relaxed) > 200);
        weir.signal();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(lost, 0, "of {}", answered.load(Ordering::Relaxed));
    // What was idle is closed properly, what was in flight is answered, and says that it was the last.
    assert!(idle.is_closed());
    assert!(get(weir.admin, "admin", "/readyz").status == 503);
    gate.open(1);
    let reply = slow.read("GET");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(weir.ended().success());
}

#[test]
fn an_edge_at_rest_does_nothing() {
    let origin = Origin::echo();
    let weir = start(&origin, &[], &[]);
    weir.until_at_rest();
    weir.apply(&(ingress("b", "b.test", origin.address, &[]) + &settings(&[])));
    assert_eq!(get(weir.http, "b.test", "/").status, 200);
}

#[test]
fn accepting_goes_on_for_the_delay_and_readiness_does_not() {
    let origin = Origin::echo();
    let weir = start(&origin, &[("client-socket-rate", "0")], &["--shutdown-delay", "1500ms"]);
    let ready = || get(weir.admin, "admin", "/readyz").status;
    assert_eq!(ready(), 200);
    let began = Instant::now();
    weir.signal();
    until("nobody should be sent here", || ready() == 503);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let mut kept = Client::connect(weir.http);
    assert_eq!(kept.get("a.test", "/").status, 200);
    assert_eq!(kept.get("a.test", "/").header("connection"), None, "as if nothing were");
    until("accepting ends", || TcpStream::connect_timeout(&weir.http, Duration::from_millis(50)).is_err());
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    assert!(weir.ended().success());
}

#[test]
fn a_second_signal_ends_at_once_and_so_does_an_interrupt() {
    for second in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let (origin, gate) = slow_origin();
        let weir = Weir::start_with(&ingress("slow", "", origin.address, &[]), &["--shutdown-delay", "1h"]);
        let _slow = open_request(weir.http, "slow.test", "/slow");
        gate.wait_for(1);
        weir.signal();
        until("the signal was heard", || get(weir.admin, "admin", "/readyz").status == 503);
        weir.signal_with(second);
        assert_eq!(weir.ended().code(), Some(1));
        gate.open(1);
    }
}

#[test]
fn what_is_in_flight_ends_at_the_shutdown_timeout() {
    let (origin, gate) = slow_origin();
    let weir = Weir::start_with(&ingress("slow", "", origin.address, &[]), &["--shutdown-timeout", "1s"]);
    let mut slow = open_request(weir.http, "slow.test", "/slow");
    gate.wait_for(1);
    let began = Instant::now();
    weir.signal();
    assert!(slow.try_read("GET").is_err());
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(weir.ended().success());
    gate.open(1);
}

#[test]
fn a_hang_up_reads_the_manifests_again_and_ends_nothing() {
    let origin = Origin::echo();
    let weir = Weir::start(&ingress("web", "a.test", origin.address, &[]));
    let mut client = Client::connect(weir.http);
    assert_eq!(client.get("a.test", "/").status, 200);
    let heard = AtomicBool::new(false);
    weir.signal_with(rustix::process::Signal::HUP);
    until("it is in the log", || {
        heard.fetch_or(weir.stderr().contains("reading the manifests again"), Ordering::Relaxed);
        heard.load(Ordering::Relaxed)
    });
    assert_eq!(client.get("a.test", "/").status, 200);
    let _ = client.stream().flush();
}
