use super::rig::*;
use crate::lane::pingora::flight::Reply;
use crate::respond::GatewayError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use weir_core::account::{End, UpstreamResult};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";

/// Sends `request` and returns the first line of what comes, and how it ended.
async fn ask(rig: &mut Rig, request: &str) -> (String, Ended) {
    let mut client = rig.client().await;
    client.send(request).await;
    let line = client.read_until("\r\n").await.unwrap_or_default();
    (line.trim_end().to_owned(), rig.ended().await)
}

/// An origin that takes a request and closes without a word.
async fn resetting() -> std::net::SocketAddr {
    origin_with(|mut client| async move {
        client.read_request().await;
    })
    .await
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_is_passed_over_even_for_a_post() {
    for request in [GET, POST] {
        let (dead, (live, asked)) = (nobody(), origin(OK).await);
        let endpoints = backend([dead, live]);
        let mut rig = Rig::with(endpoints.clone(), |_| ()).await;
        let (line, ended) = ask(&mut rig, request).await;
        assert_eq!(line, "HTTP/1.1 200 OK");
        let upstream = ended.story.upstream.unwrap();
        assert_eq!((upstream.address, upstream.tries, upstream.result), (live, 2, UpstreamResult::Respond));
        let now = weir_limits::Instant::from_elapsed(Duration::ZERO);
        let ejected: Vec<bool> =
            endpoints.endpoints().iter().map(|endpoint| endpoint.is_ejected(now)).collect();
        assert_eq!(ejected, [true, false]);
        assert_eq!(asked.lock().len(), 1);
        assert_eq!(asked.lock()[0].ends_with("\r\n\r\nbody"), request == POST);
        assert_eq!(in_flight(&endpoints), 0);
    }
}

#[tokio::test]
async fn failures_have_their_status_and_the_connection_stays() {
    let garbage = origin("SSH-2.0-OpenSSH\r\n\r\n").await.0;
    let lengths = origin("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab").await.0;
    let coding = origin("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n").await.0;
    let silent = origin_with(|mut client| async move { drop(client.read_to_end().await) }).await;
    for (list, error, result) in [
        (vec![], GatewayError::NoEndpoint, None),
        (vec![nobody()], GatewayError::ConnectFailed, Some(UpstreamResult::RefuseConnect)),
        (vec![resetting().await], GatewayError::OriginReset, Some(UpstreamResult::Reset)),
        (vec![garbage], GatewayError::InvalidResponse, Some(UpstreamResult::InvalidResponse)),
        (vec![lengths], GatewayError::InvalidResponse, Some(UpstreamResult::InvalidResponse)),
        (vec![coding], GatewayError::InvalidResponse, Some(UpstreamResult::InvalidResponse)),
        (vec![silent], GatewayError::OriginTimeout, Some(UpstreamResult::TimeoutRead)),
    ] {
        let endpoints = backend(list);
        let mut rig =
            Rig::with(endpoints.clone(), |plan| plan.origin.read_timeout = Duration::from_millis(200)).await;
        let mut client = rig.client().await;
        // Twice: what failed here is not the client's connection.
        for _ in 0..2 {
            client.send(POST).await;
            let line = client.read_head().await;
            assert!(line.starts_with(&format!("HTTP/1.1 {} Own\r\n", error.status())), "{error:?} {line}");
            let story = rig.ended().await.story;
            assert_eq!((story.reply, story.end, story.status), (Some(Reply::Error(error)), End::Complete, 0));
            assert_eq!(story.upstream.map(|upstream| upstream.result), result, "{error:?}");
            assert_eq!(in_flight(&endpoints), 0);
        }
    }
}

#[tokio::test]
async fn connecting_too_long_is_a_timeout() {
    // An address that RFC 5737 keeps for documentation: packets to it go nowhere, or are refused at once.
    let endpoints = backend(["192.0.2.1:9".parse().unwrap()]);
    let mut rig = Rig::with(endpoints, |plan| plan.origin.connect_timeout = Duration::from_millis(100)).await;
    let (line, ended) = ask(&mut rig, GET).await;
    let expected = match ended.story.upstream.unwrap().result {
        UpstreamResult::TimeoutConnect => "HTTP/1.1 504 Own",
        UpstreamResult::RefuseConnect => "HTTP/1.1 502 Own",
        other => panic!("{other:?}"),
    };
    assert_eq!(line, expected);
}

#[tokio::test]
async fn what_may_have_been_carried_out_is_repeated_only_if_it_is_idempotent() {
    for (request, non_idempotent, status) in [(GET, false, 200), (POST, false, 502), (POST, true, 200)] {
        let endpoints = backend([resetting().await, origin(OK).await.0]);
        let mut rig =
            Rig::with(endpoints, move |plan| plan.origin.next.non_idempotent = non_idempotent).await;
        let (line, ended) = ask(&mut rig, request).await;
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{request} {line}");
        assert_eq!(ended.story.upstream.unwrap().tries, if status == 200 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn the_policy_says_what_is_tried_again_and_how_often() {
    // One origin for each thing that goes wrong, and another one that is fine.
    let silent = origin_with(|mut client| async move { drop(client.read_to_end().await) }).await;
    let garbage = origin("SSH-2.0-OpenSSH\r\n\r\n").await.0;
    let busy = origin("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy").await.0;
    let reset = resetting().await;
    for (first, change, status) in [
        (reset, (|next| next.on_error = true) as fn(&mut weir_core::policy::NextUpstream), 200),
        (reset, |next| next.on_error = false, 502),
        (silent, |next| next.on_timeout = true, 200),
        (silent, |next| next.on_timeout = false, 504),
        (garbage, |next| next.on_invalid_header = true, 200),
        (garbage, |next| next.on_invalid_header = false, 502),
        (busy, |next| next.on_status = vec![502, 503], 200),
        (busy, |next| next.on_status = vec![502], 503),
        (busy, |next| (next.on_status, next.tries) = (vec![503], 1), 503),
        (reset, |next| next.tries = 1, 502),
        (reset, |next| next.tries = 2, 200),
        (reset, |next| next.tries = 0, 200),
        (silent, |next| next.timeout = Duration::from_millis(100), 504),
        (silent, |next| next.timeout = Duration::from_secs(9), 200),
    ] {
        let endpoints = backend([first, origin(OK).await.0]);
        let mut rig = Rig::with(endpoints, move |plan| {
            plan.origin.read_timeout = Duration::from_millis(200);
            change(&mut plan.origin.next);
        })
        .await;
        let (line, ended) = ask(&mut rig, GET).await;
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{line} instead of {status}");
        assert_eq!(ended.story.upstream.unwrap().tries, if status == 200 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn the_last_endpoint_has_the_last_word() {
    let (busy, _) = origin("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy").await;
    let (failing, _) = origin("HTTP/1.1 500 Failing\r\nContent-Length: 4\r\n\r\nfail").await;
    let endpoints = backend([busy, failing]);
    let mut rig = Rig::with(endpoints, |plan| plan.origin.next.on_status = vec![500, 503]).await;
    let (line, ended) = ask(&mut rig, GET).await;
    assert_eq!(line, "HTTP/1.1 500 Failing");
    assert_eq!(ended.story.status, 500);
}

#[tokio::test]
async fn a_body_that_was_sent_is_sent_again() {
    let (live, asked) = origin(OK).await;
    for (size, repeated) in [(60_000, true), (200_000, false)] {
        let endpoints = backend([resetting().await, live]);
        let mut rig = Rig::with(endpoints, |_| ()).await;
        let body = "b".repeat(size);
        let (line, _) =
            ask(&mut rig, &format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n{body}"))
                .await;
        // More than pingora keeps cannot be sent again.
        assert_eq!(line, if repeated { "HTTP/1.1 200 OK" } else { "HTTP/1.1 502 Own" });
        if repeated {
            assert!(asked.lock().pop().unwrap().ends_with(&body));
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_origin_closed_meanwhile_is_no_failure() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let origin = origin_with(move |mut client| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            // Takes the second request of each connection, and closes without a word.
            client.read_request().await;
            client.send(OK).await;
            client.read_request().await;
        }
    })
    .await;
    let endpoints = backend([origin]);
    let mut rig = Rig::with(endpoints.clone(), |_| ()).await;
    let mut client = rig.client().await;
    for _ in 0..3 {
        client.send(GET).await;
        assert!(client.read_response().await.ends_with("ok"));
        assert_eq!(rig.ended().await.story.upstream.unwrap().tries, 1);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3);
    assert!(!endpoints.endpoints()[0].is_ejected(weir_limits::Instant::from_elapsed(Duration::ZERO)));
}

#[tokio::test]
async fn connections_to_origins_are_used_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let origin = origin_with(move |mut client| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            while client.read_request().await.is_some() {
                client.send(OK).await;
            }
        }
    })
    .await;
    let rig = Rig::to(origin).await;
    for _ in 0..5 {
        let mut client = rig.client().await;
        client.send(POST).await;
        client.read_response().await;
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed_while_the_origin_thinks() {
    for request in [GET, POST] {
        let origin = origin_with(|mut client| async move { drop(client.read_to_end().await) }).await;
        let endpoints = backend([origin]);
        let mut rig = Rig::with(endpoints.clone(), |_| ()).await;
        let mut client = rig.client().await;
        client.send(request).await;
        while in_flight(&endpoints) == 0 {
            tokio::task::yield_now().await;
        }
        drop(client);
        let story = rig.ended().await.story;
        assert_eq!((story.end, story.status, story.reply), (End::ClientAbort, 0, None));
        assert_eq!(in_flight(&endpoints), 0);
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_is_not_passed_off_as_whole() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n",
    ] {
        let origin = origin_with(move |mut client| async move {
            client.read_request().await;
            client.send(response).await;
        })
        .await;
        let mut rig = Rig::to(origin).await;
        let mut client = rig.client().await;
        client.send(GET).await;
        let got = client.read_to_end().await;
        assert!(got.contains("part") && !got.ends_with("0\r\n\r\n"), "{got}");
        let story = rig.ended().await.story;
        assert_eq!((story.end, story.status, story.reply), (End::OriginAbort, 200, None));
        assert_ne!(story.upstream.unwrap().result, UpstreamResult::Respond);
    }
}

#[tokio::test]
async fn an_origin_may_answer_before_it_has_the_whole_body() {
    let origin = origin_with(|mut client| async move {
        client.read_head().await;
        client.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await;
    })
    .await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").await;
    client.send(&"a".repeat(500_000)).await;
    let response = client.read_response().await;
    assert!(response.starts_with("HTTP/1.1 403 No\r\n"), "{response}");
    assert_eq!(field(&response, "connection"), Some("close"));
}
