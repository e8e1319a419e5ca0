//! How many sockets there may be: of a client, of its neighbours, of all together.

use crate::support::{Client, Origin, WITH_SETTINGS, Weir, ingress, ip, settings, until};
use std::net::{IpAddr, TcpStream};
use std::time::Instant;

fn start(origin: &Origin, keys: &[(&str, &str)]) -> Weir {
    let manifests = ingress("web", "", origin.address, &[]) + &settings(keys);
    Weir::start_with(&manifests, &[&WITH_SETTINGS[..], &["--workers", "2"]].concat())
}

/// A connection that is served, if it is.
fn enter(weir: &Weir, from: IpAddr) -> Option<Client> {
    let mut client = Client::connect_from(from, weir.http);
    let sent = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    sent.and_then(|()| client.try_read("GET")).ok().map(|_| client)
}

fn shed(weir: &Weir, reason: &str) -> f64 {
    weir.metric(&format!(r#"weir_connections_shed_total{{reason="{reason}"}}"#)).unwrap()
}

#[test]
fn addresses_of_one_prefix_share_their_sockets() {
    let origin = Origin::echo();
    let weir = start(&origin, &[("client-sockets", "3"), ("limit-ipv4-prefix", "24")]);
    let held: Vec<_> = (1..=3).map(|n| enter(&weir, ip(n)).unwrap()).collect();
    assert!(enter(&weir, ip(4)).is_none());
    assert_eq!(shed(&weir, "client-sockets"), 1.0);
    assert!(enter(&weir, [127, 0, 1, 4].into()).is_some());
    drop(held);
    until("there is room again", || enter(&weir, ip(4)).is_some());
}

#[test]
fn all_clients_together_have_so_many_sockets() {
    let origin = Origin::echo();
    let weir = start(&origin, &[("sockets", "4")]);
    let mut held: Vec<_> = (1..=4).map(|n| enter(&weir, ip(n)).unwrap()).collect();
    assert!(enter(&weir, ip(5)).is_none());
    assert_eq!(shed(&weir, "sockets"), 1.0);
    held.pop();
    until("there is room again", || enter(&weir, ip(5)).is_some());
    // Who was there is served as ever.
    assert!(held.iter_mut().all(|client| client.get("a.test", "/").status == 200));
}

#[test]
fn new_sockets_of_all_clients_come_no_faster_than_their_rate() {
    let origin = Origin::echo();
    let weir = start(&origin, &[("socket-rate", "1")]);
    let began = Instant::now();
    let served = (1..=30).filter(|n| enter(&weir, ip(*n)).is_some()).count();
    // Five and one at once, and one a second.
    let most = 6 + began.elapsed().as_secs() as usize + 1;
    assert!((6..=most).contains(&served), "{served}");
    assert_eq!(shed(&weir, "rate"), (30 - served) as f64);
}

/// Those who are sent away have cost nothing that stays: not a socket, not a place, not a line in a log.
#[test]
fn those_who_are_sent_away_leave_nothing_behind() {
    let origin = Origin::echo();
    let weir = start(&origin, &[("client-sockets", "1"), ("client-socket-rate", "0"), ("socket-rate", "0")]);
    let mut healthy = enter(&weir, ip(1)).unwrap();
    let lines = weir.stderr().lines().count();
    let grown = [500, 4_500].map(|many| {
        let (before, had) = (weir.resident(), shed(&weir, "client-sockets"));
        for _ in 0..many {
            drop(TcpStream::from(socket_from(ip(1), &weir)));
        }
        until("all are sent away", || shed(&weir, "client-sockets") == had + f64::from(many));
        weir.resident().saturating_sub(before)
    });
    println!("grown by {grown:?} bytes");
    // After the first few hundred nothing grows: 100 bytes each would be more than this.
    assert!(grown[1] < 450 << 10, "{grown:?}");
    assert_eq!(weir.stderr().lines().count(), lines);
    assert_eq!(weir.metric("weir_connections_open"), Some(1.0));
    assert_eq!(healthy.get("a.test", "/").status, 200);
}

fn socket_from(source: IpAddr, weir: &Weir) -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&weir.http.into()).unwrap();
    socket
}
