use super::rig::*;
use crate::lane::pingora::flight::{Fault, Reply};
use crate::pace::{Pace, Speed};
use crate::respond::GatewayError;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use weir_core::account::End;
use weir_core::policy::Mode;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn bodies_pass_whatever_the_pieces() {
    let (origin, asked) = origin(OK).await;
    let mut rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    let head = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n";
    for split in [0, 1, 9, 10] {
        let (first, second) = "0123456789".split_at(split);
        client.send(&format!("{head}{first}")).await;
        client.send(second).await;
        assert!(client.read_response().await.ends_with("ok"));
        assert!(asked.lock().pop().unwrap().ends_with("\r\n\r\n0123456789"));
        assert_eq!(rig.ended().await.bytes_in, head.len() as u64 + 10);
    }
}

#[tokio::test]
async fn chunks_pass_without_extensions_and_trailers() {
    let (origin, asked) = origin(OK).await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send(&format!("{CHUNKED}3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: y\r\n\r\n")).await;
    assert!(client.read_response().await.ends_with("ok"));
    let request = asked.lock().pop().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(field(head, "transfer-encoding"), Some("chunked"));
    assert_eq!(field(head, "content-length"), None);
    assert!(!request.contains("X-Trailer") && !request.contains("a=b"));
    assert_eq!(unchunk(body), "abcde");
    // And the connection is where the next request begins.
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(client.read_response().await.ends_with("ok"));
}

#[tokio::test]
async fn trailers_of_a_response_are_dropped() {
    let (origin, _) = origin(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3;e=f\r\nabc\r\n0\r\nX-T: y\r\n\r\n",
    )
    .await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.read_head().await;
        assert_eq!(client.read_until("0\r\n\r\n").await.unwrap(), "3\r\nabc\r\n0\r\n\r\n");
    }
}

#[tokio::test]
async fn a_malformed_chunk_is_answered_and_goes_no_further() {
    for (sent, later) in [("zz\r\n", ""), ("3\r\nabc\r\n", "3\nabc\r\n"), ("3\r\nabcd", "\r\n0\r\n\r\n")] {
        let (origin, asked) = origin(OK).await;
        let mut rig = Rig::to(origin).await;
        let mut client = rig.client().await;
        client.send(&format!("{CHUNKED}{sent}")).await;
        client.send(later).await;
        assert!(client.read_to_end().await.starts_with("HTTP/1.1 400 Own\r\n"), "{sent:?}");
        let story = rig.ended().await.story;
        assert_eq!(story.fault, Some(Fault::MalformedBody));
        assert_eq!(story.reply, Some(Reply::Error(GatewayError::MalformedRequest)));
        assert_eq!(asked.lock().as_slice(), [""; 0], "an origin got a whole request of {sent:?}");
    }
}

#[tokio::test]
async fn each_event_passes_when_it_comes() {
    for (head, events) in [
        (
            "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked",
            ["8\r\ndata: a\n\r\n", "8\r\ndata: b\n\r\n"],
        ),
        ("Content-Type: text/event-stream", ["data: a\n", "data: b\n"]),
        ("Content-Length: 1000", ["data: a\n", "data: b\n"]),
    ] {
        let (go_on, gone_on) = mpsc::unbounded_channel();
        let gone_on = std::sync::Arc::new(tokio::sync::Mutex::new(gone_on));
        let origin = origin_with(move |mut client| {
            let gone_on = gone_on.clone();
            async move {
                client.read_request().await;
                client.send(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n")).await;
                for event in events {
                    // Only when the client has what was sent so far.
                    gone_on.lock().await.recv().await;
                    client.send(event).await;
                }
                gone_on.lock().await.recv().await;
            }
        })
        .await;
        let rig = Rig::to(origin).await;
        let mut client = rig.client().await;
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.read_head().await;
        for event in ["data: a\n", "data: b\n"] {
            go_on.send(()).unwrap();
            client.read_until(event).await.unwrap_or_else(|| panic!("{event} with {head}"));
        }
        go_on.send(()).unwrap();
    }
}

#[tokio::test]
async fn a_client_that_waits_gets_the_continue_of_the_origin() {
    let origin = origin_with(|mut client| async move {
        let head = client.read_head().await;
        assert_eq!(field(&head, "expect"), Some("100-continue"));
        client.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        assert_eq!(client.read_exact(4).await, "body");
        client.send(OK).await;
    })
    .await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.read_head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body").await;
    assert!(client.read_response().await.ends_with("ok"));
}

#[tokio::test]
async fn a_client_that_waits_gets_the_final_response_of_the_origin() {
    let origin = origin_with(|mut client| async move {
        client.read_head().await;
        client.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await;
    })
    .await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").await;
    let response = client.read_response().await;
    assert!(response.starts_with("HTTP/1.1 403 No\r\n"), "{response}");
    assert_eq!(field(&response, "connection"), Some("close"));
}

#[tokio::test]
async fn exactly_the_limit_passes_and_a_byte_more_does_not() {
    for (size, status) in [(100, 200), (101, 413)] {
        let (origin, asked) = origin(OK).await;
        let mut rig = Rig::with(backend([origin]), |plan| plan.body_limit = Some((100, Mode::Enforce))).await;
        let mut client = rig.client().await;
        client.send(CHUNKED).await;
        let (first, second) = (60, size - 60);
        client.send(&format!("{first:x}\r\n{}\r\n", "a".repeat(first))).await;
        client.send(&format!("{second:x}\r\n{}\r\n0\r\n\r\n", "a".repeat(second))).await;
        let response = client.read_response().await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{size} {response}");
        let story = rig.ended().await.story;
        assert_eq!(story.reply, (status == 413).then_some(Reply::RefuseBody));
        assert_eq!(
            asked.lock().len(),
            usize::from(status == 200),
            "the origin has no whole request beyond the limit"
        );
    }
}

#[tokio::test]
async fn an_observed_limit_only_counts() {
    let (origin, asked) = origin(OK).await;
    let mut rig = Rig::with(backend([origin]), |plan| plan.body_limit = Some((3, Mode::Observe))).await;
    for (body, over) in [("abc", false), ("abcd", true)] {
        let mut client = rig.client().await;
        client.send(&format!("{CHUNKED}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await;
        assert!(client.read_response().await.ends_with("ok"));
        assert_eq!(rig.ended().await.story.over_observed_limit, over);
        assert_eq!(unchunk(asked.lock().pop().unwrap().split_once("\r\n\r\n").unwrap().1), body);
    }
}

#[tokio::test]
async fn a_client_that_goes_on_sending_can_read_that_it_was_too_much() {
    for _ in 0..5 {
        let origin = origin_with(|mut client| async move {
            client.read_to_end().await;
        })
        .await;
        let mut rig =
            Rig::with(backend([origin]), |plan| plan.body_limit = Some((100_000, Mode::Enforce))).await;
        let mut client = rig.client().await;
        client.send(CHUNKED).await;
        let chunk = format!("8000\r\n{}\r\n", "a".repeat(0x8000));
        // 4 MiB without ever looking at the answer.
        for _ in 0..128 {
            client.send(&chunk).await;
        }
        let answer = client.read_head().await;
        assert!(answer.starts_with("HTTP/1.1 413 Own\r\n"), "{answer}");
        assert_eq!(rig.ended().await.story.end, End::Complete);
    }
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told() {
    for expects in ["", "Expect: 100-continue\r\n"] {
        let origin = origin_with(|mut client| async move {
            client.read_head().await;
            client.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            client.read_to_end().await;
        })
        .await;
        let mut rig =
            Rig::with(backend([origin]), |plan| plan.body_timeout = Duration::from_millis(200)).await;
        let mut client = rig.client().await;
        client.send(&format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n{expects}\r\n")).await;
        client.send("abc").await;
        let answer = client.read_to_end().await;
        assert!(answer.contains("HTTP/1.1 408 Own\r\n"), "{answer}");
        let story = rig.ended().await.story;
        assert_eq!(story.fault, Some(Fault::BodyTimeout));
        assert_eq!(story.reply, Some(Reply::Error(GatewayError::RequestTimeout)));
    }
}

#[tokio::test]
async fn a_client_that_trickles_is_told() {
    let origin = origin_with(|mut client| async move { drop(client.read_to_end().await) }).await;
    let mut rig = Rig::with(backend([origin]), |plan| {
        let (grace, ahead) = (Duration::from_millis(300), Duration::ZERO);
        plan.body_speed = Speed::Least(Pace { rate: 100_000.try_into().unwrap(), grace, ahead });
    })
    .await;
    let mut client = rig.client().await;
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n").await;
    // A byte often enough for every other deadline, until the answer is there.
    let story = loop {
        let _ = client.socket.write_all(b"a").await;
        match tokio::time::timeout(Duration::from_millis(20), rig.ended()).await {
            Ok(ended) => break ended.story,
            Err(_) => continue,
        }
    };
    assert_eq!(story.fault, Some(Fault::BodyTimeout));
    assert!(client.read_head().await.starts_with("HTTP/1.1 408 Own\r\n"));
}

#[tokio::test]
async fn a_client_that_stops_reading_is_let_go() {
    let origin = origin_with(|mut client| async move {
        client.read_request().await;
        client.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
        while client.socket.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let endpoints = backend([origin]);
    let mut rig = Rig::with(endpoints.clone(), |plan| plan.write_timeout = Duration::from_millis(200)).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let story = rig.ended().await.story;
    assert_eq!((story.fault, story.end, story.status), (Some(Fault::WriteTimeout), End::ClientAbort, 200));
    assert_eq!(in_flight(&endpoints), 0);
    drop(client);
}

/// The data of chunks.
fn unchunk(body: &str) -> String {
    let mut data = String::new();
    let mut rest = body;
    loop {
        let (size, behind) = rest.split_once("\r\n").expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return data;
        }
        data.push_str(&behind[..size]);
        rest = &behind[size + 2..];
    }
}
