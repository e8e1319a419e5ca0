use super::rig::*;
use crate::lane::pingora::flight::{Dialect, Underscores};
use http::HeaderValue;
use std::sync::Arc;
use tokio::sync::Notify;
use weir_core::account::{End, UpstreamResult};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_request_passes_and_the_connection_comes_back() {
    let (origin, asked) = origin(OK).await;
    let mut rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    for _ in 0..3 {
        let request = "GET /a/../%2e?b=%20 HTTP/1.1\r\nHost: x\r\nAccept: y\r\n\r\n";
        client.send(request).await;
        let response = client.read_response().await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert_eq!(field(&response, "connection"), Some("keep-alive"));
        assert!(response.ends_with("\r\n\r\nok"));
        let ended = rig.ended().await;
        assert_eq!((ended.story.status, ended.story.end, ended.story.reply), (200, End::Complete, None));
        let upstream = ended.story.upstream.unwrap();
        assert_eq!((upstream.address, upstream.tries, upstream.status), (origin, 1, 200));
        assert_eq!(upstream.result, UpstreamResult::Respond);
        assert_eq!(ended.bytes_in, request.len() as u64);
        assert_eq!(ended.bytes_out, response.len() as u64);
    }
    assert_eq!(
        asked.lock().as_slice(),
        ["GET /a/../%2e?b=%20 HTTP/1.1\r\nHost: x\r\nAccept: y\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"; 3]
    );
}

#[tokio::test]
async fn fields_of_one_hop_and_fields_that_we_say_ourselves_are_cut() {
    let (origin, asked) = origin(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: x\r\nTrailer: y\r\nUpgrade: h2c\r\nX-Stays: 1\r\n\r\n",
    )
    .await;
    let rig = Rig::with(backend([origin]), |plan| {
        plan.fields = vec![("X-Request-ID", b"ours".to_vec()), ("X-Real-IP", b"192.0.2.1".to_vec())];
        plan.response_fields = vec![("RateLimit", HeaderValue::from_static("\"a\";r=1;t=1"))];
    })
    .await;
    let mut client = rig.client().await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
             Trailer: a\r\nProxy-Authorization: b\r\nProxy: c\r\nX-Forwarded-For: forged\r\nX-Real-IP: forged\r\n\
             Forwarded: for=forged\r\nX-Request-ID: theirs\r\nX_Forwarded_For: forged\r\nA_b: c\r\nHTTP2-Settings: AAAA\r\n\
             Upgrade: h2c\r\nCookie: d\r\n\r\n",
        )
        .await;
    let response = client.read_response().await;
    let lower = response.to_ascii_lowercase();
    for gone in ["x-hop", "keep-alive:", "proxy-connection", "trailer", "upgrade"] {
        assert!(!lower.contains(gone), "{gone} in {response}");
    }
    assert_eq!(field(&response, "x-stays"), Some("1"));
    assert_eq!(field(&response, "ratelimit"), Some("\"a\";r=1;t=1"));
    assert_eq!(
        asked.lock().as_slice(),
        ["GET / HTTP/1.1\r\nHost: x\r\nCookie: d\r\nX-Request-ID: ours\r\nX-Real-IP: 192.0.2.1\r\n\r\n"]
    );
}

#[tokio::test]
async fn names_with_underscores_pass_where_settings_allow_them_but_not_as_framing() {
    let (origin, asked) = origin(OK).await;
    let rig = Rig::with(backend([origin]), |plan| plan.underscores = Underscores::Keep).await;
    let mut client = rig.client().await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: x\r\nA_b: c\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n",
        )
        .await;
    client.read_response().await;
    assert_eq!(asked.lock()[0], "GET / HTTP/1.1\r\nHost: x\r\nA_b: c\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let (origin, asked) = origin(OK).await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client
        .send(
            "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
             POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n\
             GET /3 HTTP/1.1\r\nHost: x\r\n\r\n\
             GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
    for last in [false, false, false, true] {
        let response = client.read_response().await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(field(&response, "connection"), Some(if last { "close" } else { "keep-alive" }));
    }
    assert_eq!(client.read_to_end().await, "");
    let paths: Vec<String> =
        asked.lock().iter().map(|request| request.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(paths, ["/1", "/2", "/3", "/4"]);
}

#[tokio::test]
async fn a_request_that_comes_while_another_is_served_waits_its_turn() {
    let (asked, sent) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (heard, come) = (asked.clone(), sent.clone());
    let origin = origin_with(move |mut client| {
        let (heard, come) = (heard.clone(), come.clone());
        async move {
            client.read_request().await;
            heard.notify_one();
            // The second request has been sent while the first one waits here.
            come.notified().await;
            client.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").await;
            client.read_request().await;
            client.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2").await;
        }
    })
    .await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    asked.notified().await;
    client.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sent.notify_one();
    assert!(client.read_response().await.ends_with("\r\n\r\n1"));
    assert!(client.read_response().await.ends_with("\r\n\r\n2"));
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    for (method, response) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n"),
    ] {
        let (origin, _) = origin(response).await;
        let rig = Rig::to(origin).await;
        let mut client = rig.client().await;
        for _ in 0..2 {
            client.send(&format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            let head = client.read_head().await;
            assert_eq!(head.lines().next(), response.lines().next(), "{method} {response}");
            assert_eq!(
                field(&head, "content-length"),
                field(response, "content-length"),
                "{method} {response}"
            );
        }
        client.send(&format!("{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        client.read_head().await;
        assert_eq!(client.read_to_end().await, "", "{method} {response}");
    }
}

#[tokio::test]
async fn interim_responses_pass_to_those_who_know_them() {
    let (origin, _) =
        origin("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await;
    let mut rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.read_head().await, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    assert!(client.read_head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(rig.ended().await.story.status, 200);
    let mut old = rig.client().await;
    old.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n").await;
    assert!(old.read_to_end().await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn http10_clients_get_no_chunks() {
    let (origin, asked) =
        origin("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await;
    let rig = Rig::with(backend([origin]), |plan| assert_eq!(plan.dialect, Dialect::Http10)).await;
    let mut client = rig.client().await;
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n").await;
    let response = client.read_to_end().await;
    let mut absolute = rig.client().await;
    absolute.send("GET http://a/b HTTP/1.0\r\n\r\n").await;
    absolute.read_to_end().await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\nabcde"), "{response}");
    assert_eq!(field(&response, "transfer-encoding"), None);
    assert_eq!(field(&response, "connection"), Some("close"));
    // The origin speaks HTTP/1.1 with us, where a request without a host is malformed.
    assert_eq!(asked.lock()[0], "GET / HTTP/1.1\r\nHost: \r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
    assert_eq!(asked.lock()[1], "GET /b HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
}

#[tokio::test]
async fn http10_clients_may_keep_connections_when_the_length_is_known() {
    let (origin, _) = origin(OK).await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n").await;
        assert_eq!(field(&client.read_response().await, "connection"), Some("keep-alive"));
    }
    client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n").await;
    let response = client.read_to_end().await;
    assert_eq!(field(&response, "connection"), Some("close"));
    assert!(response.ends_with("ok"));
}

#[tokio::test]
async fn repeated_equal_lengths_of_an_origin_become_one_and_lists_are_refused() {
    for (lengths, sound) in
        [("Content-Length: 2\r\nContent-Length: 2", true), ("Content-Length: 2, 2", false)]
    {
        let response: &'static str =
            Box::leak(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nok").into_boxed_str());
        let (origin, _) = origin(response).await;
        let rig = Rig::to(origin).await;
        let mut client = rig.client().await;
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let response = client.read_response().await;
        if !sound {
            assert!(response.starts_with("HTTP/1.1 502 "), "{response}");
            continue;
        }
        assert_eq!(response.to_ascii_lowercase().matches("content-length: 2\r\n").count(), 1, "{response}");
        assert!(response.ends_with("\r\n\r\nok"));
    }
}

#[tokio::test]
async fn an_origin_that_speaks_http10_or_closes_is_understood() {
    let origin = origin_with(|mut client| async move {
        client.read_request().await;
        client.send("HTTP/1.0 200 OK\r\n\r\nuntil close").await;
    })
    .await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let head = client.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
        assert_eq!(client.read_until("0\r\n\r\n").await.unwrap(), "B\r\nuntil close\r\n0\r\n\r\n");
    }
}

#[tokio::test]
async fn methods_and_targets_pass_as_they_are() {
    let (origin, asked) = origin(OK).await;
    let rig = Rig::to(origin).await;
    let mut client = rig.client().await;
    for (sent, got) in [
        ("PROP-FIND_2 /", "PROP-FIND_2 /"),
        ("PURGE /a\"b{c}|d\\e^f", "PURGE /a\"b{c}|d\\e^f"),
        ("OPTIONS *", "OPTIONS *"),
        ("M-SEARCH //a//b/./c?d?e&f=\u{e4}", "M-SEARCH //a//b/./c?d?e&f=\u{e4}"),
        ("GET /\u{e4}", "GET /\u{e4}"),
        ("GET /?", "GET /?"),
        ("GET http://X/a", "GET /a"),
        ("OPTIONS http://x", "OPTIONS *"),
        // Not URIs, and more than pingora can carry.
        ("GET /<a>`?\"b\"", "GET /%3Ca%3E%60?%22b%22"),
    ] {
        client.send(&format!("{sent} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let response = client.read_response().await;
        assert!(response.starts_with("HTTP/1.1 200"), "{sent} {response}");
        let request = asked.lock().pop().unwrap();
        assert!(request.starts_with(&format!("{got} HTTP/1.1\r\nHost: x\r\n")), "{request}");
    }
}
