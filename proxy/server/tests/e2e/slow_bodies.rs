//! Bodies that are forwarded as they come: how slow they may be, and who is to blame for it.

use crate::slow_clients::{dribble, dribble_until};
use crate::support::*;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a body may lag behind, and be ahead, here.
const LAG: &str = "1s";
/// Longer than all of that together.
const LONG: Duration = Duration::from_millis(2500);
const CHUNKED: &str = "Transfer-Encoding: chunked";

/// An origin that hears everything and says `first` to begin with, and `last` when a chunked body has ended, or one of
/// [`LENGTH`] bytes.
fn listener(first: &'static str, last: &'static str) -> Origin {
    Origin::raw(move |peer| {
        let Some(mut request) = peer.head() else { return };
        if peer.write(first) && peer.body(&mut request).is_some() {
            peer.write(last);
        }
    })
}

/// Longer than what is held until it is whole.
const LENGTH: usize = 20_000;

/// One chunk of one byte after the other.
fn chunks() -> impl Iterator<Item = u8> {
    b"1\r\nx\r\n".iter().copied().cycle()
}

/// Nothing comes back for so long.
fn assert_silent(client: &Client, most: Duration) {
    let mut stream = client.stream();
    stream.set_read_timeout(Some(most)).unwrap();
    let came = stream.read(&mut [0; 64]).map_err(|error| error.kind());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(came, Err(std::io::ErrorKind::WouldBlock), "it is ended");
}

#[test]
fn a_byte_now_and_then_does_not_hold_an_origin() {
    for lane in LANES {
        let origin = listener("", "");
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &["--body-timeout", "300ms"]);
        for (n, framing) in [(1, "Content-Length: 100000"), (2, CHUNKED)] {
            let mut client = Client::connect(weir.http);
            client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n"));
            let began = Instant::now();
            let answer = dribble(&client, chunks());
            assert!(answer.starts_with("HTTP/1.1 408 "), "{lane:?}, {framing}: {answer}");
            assert!(began.elapsed() < PATIENCE / 2, "{lane:?}, {framing}: {:?}", began.elapsed());
            until("the origin is free", || origin.closed() == n);
            weir.until("it is counted", || {
                weir.metric(r#"weir_client_aborts_total{stage="body",reason="timeout"}"#) == Some(n as f64)
            });
        }
        assert_eq!(origin.connections(), 2, "{lane:?}: the bodies were forwarded as they came");
    }
}

/// Who has answered for good is in no conversation.
#[test]
fn an_early_answer_is_no_leave_to_hold_an_origin() {
    for lane in LANES {
        let origin = listener("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "");
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &["--body-timeout", "300ms"]);
        let mut client = Client::connect(weir.http);
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{CHUNKED}\r\n\r\n"));
        let answer = dribble(&client, chunks());
        assert!(answer.ends_with("\r\n\r\nok"), "{lane:?}: {answer}");
        until("the origin is free", || origin.closed() == 1);
    }
}

#[test]
fn who_asks_for_no_speed_gets_none() {
    for lane in LANES {
        let origin = listener("", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let manifests = ingress("web", "", origin.address, &[("body-min-rate", "0")]);
        let weir = lane.start(&manifests, &["--body-timeout", LAG]);
        let mut client = Client::connect(weir.http);
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {LENGTH}\r\n\r\n"));
        let slow = 150;
        client.send(vec![b'x'; LENGTH - slow]);
        let began = Instant::now();
        let answer = dribble_until(&client, &mut std::iter::repeat_n(b'x', slow), |got, left| {
            left == 0 && got.ends_with("ok")
        });
        assert!(answer.starts_with("HTTP/1.1 200 "), "{lane:?}: {answer}");
        assert!(began.elapsed() > LONG, "{lane:?}: {:?}", began.elapsed());
    }
}

#[test]
fn a_conversation_may_be_slow() {
    for lane in LANES {
        let origin = listener(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhm\r\n",
            "3\r\nbye\r\n0\r\n\r\n",
        );
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &["--body-timeout", LAG]);
        let mut client = Client::connect(weir.http);
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{CHUNKED}\r\n\r\n"));
        let began = Instant::now();
        let mut said = chunks().take(6 * 25).chain(*b"0\r\n\r\n");
        let answer = dribble_until(&client, &mut said, |got, _| got.ends_with("0\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("bye"), "{lane:?}: {answer}");
        assert!(began.elapsed() > LONG, "{lane:?}: {:?}", began.elapsed());
    }
}

/// A client that may not send, because the origin does not take what it has sent, is not slow.
#[test]
fn an_origin_that_is_slow_is_no_fault_of_the_client() {
    const TAIL: usize = 1000;
    // More than the system holds between us and an origin.
    const LENGTH: usize = 24 << 20;
    for lane in LANES {
        let (gate, taken) = (Gate::default(), Arc::new(AtomicU64::new(0)));
        let (held, count) = (gate.clone(), taken.clone());
        let origin = Origin::raw(move |peer| {
            socket2::SockRef::from(&peer.stream).set_recv_buffer_size(64 << 10).unwrap();
            if peer.head().is_none() {
                return;
            }
            held.pass();
            count.store(peer.skip((LENGTH - TAIL) as u64), Ordering::SeqCst);
            peer.skip(TAIL as u64);
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        });
        let manifests = ingress("web", "", origin.address, &[("proxy-body-size", "0")]);
        let weir = lane.start(&manifests, &["--body-timeout", LAG]);
        let mut client = Client::connect(weir.http);
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {LENGTH}\r\n\r\n"));
        let mut sending = client.stream().try_clone().unwrap();
        let sender = std::thread::spawn(move || sending.write_all(&vec![b'x'; LENGTH - TAIL]));
        gate.wait_for(1);
        assert_silent(&client, LONG);
        assert!(!sender.is_finished(), "{lane:?}: nothing stood in its way");
        gate.open(1);
        sender.join().unwrap().unwrap();
        until("the origin has all of that", || taken.load(Ordering::SeqCst) == (LENGTH - TAIL) as u64);
        // Now it is the client's turn.
        assert_silent(&client, Duration::from_millis(300));
        client.send(vec![b'x'; TAIL]);
        assert_eq!(client.read("POST").status, 200, "{lane:?}");
    }
}
