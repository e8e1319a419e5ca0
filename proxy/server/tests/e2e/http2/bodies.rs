//! Bodies of streams: how slow they may be, and who is to blame for it.

use crate::support::h2::{GrpcOrigin, H2, ask, request};
use crate::support::*;
use ::h2::client::ResponseFuture;
use ::h2::{RecvStream, SendStream};
use bytes::Bytes;
use http::Response;
use std::future::poll_fn;
use std::time::{Duration, Instant};
use tokio::time::timeout;

const H2C: [&str; 3] = ["--h2c", "--workers", "1"];
/// What a body may lag behind, and be ahead, here; and longer than all of that together.
const LAG: [&str; 2] = ["--body-timeout", "1s"];
const LONG: Duration = Duration::from_millis(2500);

/// Sends a byte now and then, until there is a response or so much time is over.
async fn dribble(
    stream: &mut SendStream<Bytes>,
    response: &mut ResponseFuture,
    most: Duration,
) -> Option<Response<RecvStream>> {
    let began = Instant::now();
    while began.elapsed() < most {
        if let Ok(response) = timeout(Duration::from_millis(20), &mut *response).await {
            return Some(response.unwrap());
        }
        let _ = stream.send_data(Bytes::from_static(b"x"), false);
    }
    None
}

#[test]
fn a_byte_now_and_then_does_not_hold_an_origin() {
    let origin = Origin::raw(|peer| {
        if peer.head().is_some_and(|request| request.method == "GET") {
            peer.write("HTTP/1.1 204 No Content\r\n\r\n");
        } else {
            peer.skip(u64::MAX);
        }
    });
    let weir = Weir::start_with(
        &ingress("web", "", origin.address, &[]),
        &[&H2C[..], &["--body-timeout", "300ms"]].concat(),
    );
    let client = H2::connect(weir.http);
    for (n, head) in [(1, &[("content-length", "100000")][..]), (2, &[])] {
        let status = client.run(async {
            let mut send = client.send.clone().ready().await.unwrap();
            let (mut response, mut stream) =
                send.send_request(request("POST", "a", "/", head), false).unwrap();
            dribble(&mut stream, &mut response, PATIENCE / 2).await.unwrap().status()
        });
        assert_eq!(status, 408);
        until("the origin is free", || origin.closed() == n);
        weir.until("it is counted", || {
            weir.metric(r#"weir_client_aborts_total{stage="body",reason="timeout"}"#) == Some(n as f64)
        });
    }
    assert_eq!(client.get("a", "/").status, 204, "the connection stays");
}

#[test]
fn calls_and_who_asks_for_no_speed_may_be_slow() {
    let (calls, web) = (GrpcOrigin::start(), Origin::raw(|peer| drop(peer.request())));
    let manifests = ingress("calls", "calls", calls.address, &[("backend-protocol", "GRPC")])
        + &ingress("web", "web", web.address, &[("body-min-rate", "0")]);
    let weir = Weir::start_with(&manifests, &[&H2C[..], &LAG].concat());
    let client = H2::connect(weir.http);
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    for (host, path, head) in [("calls", "/test/Hang", &grpc[..]), ("web", "/", &[])] {
        client.run(async {
            let mut send = client.send.clone().ready().await.unwrap();
            let (mut response, mut stream) =
                send.send_request(request("POST", host, path, head), false).unwrap();
            let answer = dribble(&mut stream, &mut response, LONG).await;
            assert!(answer.is_none(), "{host}: {answer:?}");
        });
    }
}

/// A field in the head makes no call: an origin of HTTP/1.1 cannot take any.
#[test]
fn who_only_says_that_it_is_a_call_must_not_be_slow() {
    let origin = Origin::raw(|peer| drop(peer.request()));
    let weir = Weir::start_with(
        &ingress("web", "", origin.address, &[]),
        &[&H2C[..], &["--body-timeout", "300ms"]].concat(),
    );
    let client = H2::connect(weir.http);
    let status = client.run(async {
        let mut send = client.send.clone().ready().await.unwrap();
        let head = [("content-type", "application/grpc"), ("te", "trailers")];
        let (mut response, mut stream) = send.send_request(request("POST", "a", "/", &head), false).unwrap();
        let answer = dribble(&mut stream, &mut response, PATIENCE / 2).await.unwrap();
        answer.headers().get("grpc-status").unwrap().clone()
    });
    assert_eq!(status, "4");
}

/// What one connection may send, all streams together, can be used up by those whose origins do not read. The others
/// wait, and are not slow.
#[test]
fn a_stream_that_may_not_send_is_not_slow() {
    let (gate, origin) = (Gate::default(), Origin::echo());
    let held = gate.clone();
    let deaf = Origin::raw(move |peer| {
        socket2::SockRef::from(&peer.stream).set_recv_buffer_size(16 << 10).unwrap();
        held.pass();
    });
    let manifests = ingress("web", "web", origin.address, &[])
        + &ingress("deaf", "deaf", deaf.address, &[("proxy-body-size", "0")]);
    let weir = Weir::start_with(&manifests, &[&H2C[..], &LAG].concat());
    let client = H2::connect(weir.http);
    let answer = client.run(async {
        let mut hogs = Vec::new();
        for _ in 0..8 {
            let mut send = client.send.clone().ready().await.unwrap();
            let (response, stream) = send.send_request(request("PUT", "deaf", "/", &[]), false).unwrap();
            hogs.push((response, stream));
        }
        // Until none of them may send more.
        loop {
            let mut sent = false;
            for (_, stream) in &mut hogs {
                stream.reserve_capacity(64 << 10);
                while let Ok(Some(Ok(room))) =
                    timeout(Duration::from_millis(40), poll_fn(|cx| stream.poll_capacity(cx))).await
                {
                    stream.send_data(vec![b'x'; room].into(), false).unwrap();
                    stream.reserve_capacity(64 << 10);
                    sent = true;
                }
                stream.reserve_capacity(0);
            }
            if !sent {
                break;
            }
        }
        let late = [&b"late"[..]];
        let asked = ask(client.send.clone(), request("POST", "web", "/late", &[]), &late);
        let mut asked = std::pin::pin!(asked);
        let early = timeout(LONG, &mut asked).await;
        assert!(early.is_err(), "{early:?}");
        gate.open(8);
        asked.await
    });
    assert_eq!((answer.status, answer.text().as_str()), (200, "POST /late"));
}
