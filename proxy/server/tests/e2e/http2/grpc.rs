//! gRPC from end to end: trailers, streaming both ways, and failures that its clients understand.

use crate::support::h2::{Answer, GrpcOrigin, H2, request};
use crate::support::pki::Ca;
use crate::support::*;
use bytes::Bytes;
use http::Request;
use std::future::poll_fn;

const H2C: [&str; 3] = ["--h2c", "--workers", "1"];

fn started(annotations: &[(&str, &str)]) -> (Weir, GrpcOrigin) {
    let origin = GrpcOrigin::start();
    let annotations = [&[("backend-protocol", "GRPC")], annotations].concat();
    (Weir::start_with(&ingress("calls", "", origin.address, &annotations), &H2C), origin)
}

fn call(path: &str, more: &[(&str, &str)]) -> Request<()> {
    request(
        "POST",
        "a",
        path,
        &[&[("content-type", "application/grpc+proto"), ("te", "trailers")], more].concat(),
    )
}

/// The status of a call, in trailers or in a response of nothing but trailers.
fn status(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200);
    let fields = answer.trailers.as_ref().unwrap_or(&answer.headers);
    fields.get("grpc-status").map_or("", |value| value.to_str().unwrap())
}

#[test]
fn a_call_goes_to_an_origin_of_http_2_with_its_trailers() {
    let (weir, origin) = started(&[]);
    let client = H2::connect(weir.http);
    for _ in 0..3 {
        let answer = client.ask(call("/test/Echo", &[]), &[&b"\0\0\0\0\x05hello"[..]]);
        assert_eq!((status(&answer), answer.text().as_str()), ("0", "\0\0\0\0\x05hello"));
        assert_eq!(answer.trailers.unwrap().get("x-after").unwrap(), "all");
        assert_eq!(answer.headers.get("content-type").unwrap(), "application/grpc");
    }
    let seen = origin.seen.lock().unwrap();
    let sent = &seen[0];
    assert_eq!(sent.uri.authority().map(http::uri::Authority::as_str), Some("a"));
    assert_eq!(sent.headers.get("te").unwrap(), "trailers");
    assert_eq!(sent.headers.get("x-forwarded-for").unwrap(), "127.0.0.1");
    assert!(!sent.headers.contains_key("host") && !sent.headers.contains_key("connection"));
}

#[test]
fn whatever_the_client_speaks_the_origin_hears_http_2() {
    let (weir, origin) = started(&[]);
    // A method that seldom has a body, and has one.
    let answer = H2::connect(weir.http).ask(request("DELETE", "a", "/test/Echo", &[]), &[&b"x"[..]]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "x"));
    let mut client = Client::connect(weir.http);
    assert_eq!(client.get("a", "/test/Echo").status, 200);
    assert_eq!(client.post("a", "/test/Echo", b"body").text(), "body");
    assert_eq!(origin.seen.lock().unwrap().len(), 3);
}

#[test]
fn calls_go_over_tls_to_origins_that_agree_to_http_2() {
    let certificate = Ca::new("ca").server(&["origin.example"]);
    let agrees = GrpcOrigin::over_tls(&certificate, &["h2"]);
    let does_not = GrpcOrigin::over_tls(&certificate, &[]);
    let in_the_clear = GrpcOrigin::start();
    let manifests = [("a", &agrees), ("old.example", &does_not), ("clear.example", &in_the_clear)]
        .map(|(host, origin)| ingress(host, host, origin.address, &[("backend-protocol", "GRPCS")]));
    let weir = Weir::start_with(&manifests.concat(), &H2C);
    let client = H2::connect(weir.http);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    for _ in 0..3 {
        let answer = client.ask(request("POST", "a", "/test/Echo", &headers), &[&b"hello"[..]]);
        assert_eq!((status(&answer), answer.text().as_str()), ("0", "hello"));
    }
    assert_eq!(agrees.seen.lock().unwrap()[0].uri.scheme_str(), Some("https"));
    for (host, origin) in [("old.example", &does_not), ("clear.example", &in_the_clear)] {
        let answer = client.ask(request("POST", host, "/test/Echo", &headers), &[&b"hello"[..]]);
        assert_eq!(status(&answer), "14", "{host}");
        assert_eq!(origin.seen.lock().unwrap().len(), 0, "{host}");
    }
}

#[test]
fn connections_that_their_origin_ends_are_replaced() {
    let (weir, origin) = started(&[]);
    let client = H2::connect(weir.http);
    // With a goodbye, and the call that was under way is finished.
    for _ in 0..5 {
        assert_eq!(status(&client.ask(call("/test/Last", &[]), &[&b"x"[..]])), "0");
    }
    // Without one: that call may have been carried out, and is not made twice.
    for _ in 0..3 {
        assert_eq!(status(&client.ask(call("/test/Die", &[]), &[&b"x"[..]])), "14");
        assert_eq!(status(&client.ask(call("/test/Echo", &[]), &[&b"x"[..]])), "0");
    }
    assert_eq!(origin.seen.lock().unwrap().len(), 11);
}

#[test]
fn a_response_of_nothing_but_trailers_passes() {
    let (weir, _origin) = started(&[]);
    let answer = H2::connect(weir.http).ask(call("/test/Refuse", &[]), &[&b"x"[..]]);
    assert_eq!((status(&answer), answer.header("grpc-message")), ("5", "none"));
}

#[test]
fn messages_stream_both_ways_one_after_the_other() {
    let (weir, _origin) = started(&[]);
    let client = H2::connect(weir.http);
    client.run(async {
        let mut send = client.send.clone().ready().await.unwrap();
        let (response, mut stream) = send.send_request(call("/test/Echo", &[]), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        for n in 0..100_u32 {
            // Each is answered before the next one is sent.
            let message = Bytes::from(format!("message {n}"));
            stream.reserve_capacity(message.len());
            poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
            stream.send_data(message.clone(), false).unwrap();
            let back = body.data().await.unwrap().unwrap();
            body.flow_control().release_capacity(back.len()).unwrap();
            assert_eq!(back, message);
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(body.data().await.is_none_or(|data| data.unwrap().is_empty()));
        assert_eq!(body.trailers().await.unwrap().unwrap().get("grpc-status").unwrap(), "0");
    });
}

#[test]
fn refusals_are_a_status_of_grpc() {
    let (weir, origin) =
        started(&[("limit-rpm", "1"), ("limit-burst-multiplier", "1"), ("proxy-body-size", "20")]);
    let client = H2::connect(weir.http);
    assert_eq!(status(&client.ask(call("/test/Echo", &[]), &[&b"x"[..]])), "0");
    // Too large, by its length and as it comes.
    let known = client.ask(call("/test/Echo", &[("content-length", "30")]), &[&[b'x'; 30]]);
    assert_eq!(status(&known), "8");
    let open = client.ask(call("/test/Echo", &[]), &[&[b'x'; 30]]);
    assert_eq!(status(&open), "8");
    let limited = client.ask(call("/test/Echo", &[]), &[&b"x"[..]]);
    assert_eq!((status(&limited), limited.body.len()), ("8", 0));
    assert_eq!(limited.header("content-type"), "application/grpc");
    assert!(!limited.header("grpc-message").is_empty());
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert_eq!(limited.header("grpc-retry-pushback-ms").parse::<u64>().unwrap(), wait * 1000);
    assert!(limited.header("ratelimit").contains("r=0"));
    // Who does not speak gRPC is told as ever.
    assert_eq!(client.get("a", "/test/Echo").status, 429);
    assert!(origin.seen.lock().unwrap().len() <= 2);
}

#[test]
fn a_body_that_grows_too_large_ends_a_response_that_has_begun_with_a_status() {
    let (weir, _origin) = started(&[("proxy-body-size", "20")]);
    let client = H2::connect(weir.http);
    client.run(async {
        let mut send = client.send.clone().ready().await.unwrap();
        let (response, mut stream) = send.send_request(call("/test/Echo", &[]), false).unwrap();
        stream.send_data("first".into(), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "first");
        stream.send_data(vec![b'x'; 30].into(), false).unwrap();
        assert!(body.data().await.is_none());
        assert_eq!(body.trailers().await.unwrap().unwrap().get("grpc-status").unwrap(), "8");
    });
}

#[test]
fn failures_are_a_status_of_grpc() {
    let origin = GrpcOrigin::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http_1 = Origin::echo();
    let grpc = [("backend-protocol", "GRPC")];
    let manifests = [
        ingress("calls", "a", origin.address, &grpc),
        ingress("nobody", "nobody.example", nobody, &grpc),
        ingress("old", "old.example", http_1.address, &grpc),
        ingress(
            "denied",
            "denied.example",
            origin.address,
            &[grpc[0], ("denylist-source-range", "127.0.0.0/8")],
        ),
    ]
    .concat();
    let weir = Weir::start_with(&manifests, &H2C);
    let client = H2::connect(weir.http);
    let ask = |host: &str| {
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        client.ask(request("POST", host, "/test/Echo", &headers), &[&b"x"[..]])
    };
    for (host, expected) in [
        ("nobody.example", "14"),
        // No way back to HTTP/1.1.
        ("old.example", "14"),
        ("denied.example", "7"),
        ("none.example", "12"),
        ("a", "0"),
    ] {
        assert_eq!(status(&ask(host)), expected, "{host}");
    }
    // A response that has begun ends with a status, too.
    let broken = client.ask(call("/test/Break", &[]), &[&b"x"[..]]);
    assert_eq!((broken.status, status(&broken)), (200, "14"));
}

#[test]
fn a_call_ends_at_the_deadline_that_it_brings() {
    let (weir, origin) = started(&[]);
    let client = H2::connect(weir.http);
    let hung = client.ask(call("/test/Hang", &[("grpc-timeout", "300m")]), &[&b"x"[..]]);
    assert_eq!(status(&hung), "4");
    let begun = client.ask(call("/test/Begin", &[("grpc-timeout", "300m")]), &[&b"x"[..]]);
    assert_eq!((begun.text().as_str(), status(&begun)), ("half", "4"));
    // The origin is told, too, so that it can stop.
    assert_eq!(origin.seen.lock().unwrap()[0].headers.get("grpc-timeout").unwrap(), "300m");
    assert_eq!(status(&client.ask(call("/test/Echo", &[("grpc-timeout", "20S")]), &[&b"x"[..]])), "0");
}
