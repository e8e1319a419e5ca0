use super::*;
use expect_test::{Expect, expect};
use weir_core::account::UpstreamResult;

fn ask(accept: Accept) -> Ask<'static> {
    Ask { accept, body: BodyPart::Send, then: Then::Keep, request_id: None, date: b"" }
}

fn text(response: &Response<'_>) -> String {
    let mut out = Vec::new();
    response.write_http1(&mut out);
    String::from_utf8(out).unwrap()
}

fn check(response: &Response<'_>, expect: &Expect) {
    expect.assert_eq(&text(response).replace("\r\n", "\n"));
}

#[test]
fn an_error_for_people_programs_and_everybody_else() {
    let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
    let id = RequestId::read(b"abc");
    let close = Ask { then: Then::Close, request_id: id.as_ref(), date, ..ask(Accept::Text) };
    check(
        &Response::error(GatewayError::RequestTimeout, close),
        &expect![[r#"
            HTTP/1.1 408 Request Timeout
            Date: Sun, 06 Nov 1994 08:49:37 GMT
            Content-Type: text/plain; charset=utf-8
            Content-Length: 37
            Cache-Control: no-store
            X-Request-ID: abc
            Connection: close

            The request took too long to arrive.
        "#]],
    );
    check(
        &Response::error(GatewayError::Overloaded, ask(Accept::Json)),
        &expect![[r#"
        HTTP/1.1 503 Service Unavailable
        Content-Type: application/problem+json
        Content-Length: 147
        Cache-Control: no-store
        Retry-After: 1

        {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The server is too busy: please try again later.","reason":"overloaded"}
    "#]],
    );
    let html = Ask { then: Then::KeepHttp10, ..ask(Accept::Html) };
    check(
        &Response::error(GatewayError::ConnectFailed, html),
        &expect![[r#"
        HTTP/1.1 502 Bad Gateway
        Content-Type: text/html; charset=utf-8
        Content-Length: 185
        Cache-Control: no-store
        Connection: keep-alive

        <!doctype html>
        <html lang="en">
        <head><title>502 Bad Gateway</title></head>
        <body>
        <h1>502 Bad Gateway</h1>
        <p>The service behind this path gave no valid response.</p>
        </body>
        </html>
    "#]],
    );
}

#[test]
fn the_answer_to_head_announces_the_body_and_sends_none() {
    let get = text(&Response::error(GatewayError::UriTooLong, ask(Accept::Html)));
    let omit = Ask { body: BodyPart::of_method(b"HEAD"), ..ask(Accept::Html) };
    let head = text(&Response::error(GatewayError::UriTooLong, omit));
    assert!(head.ends_with("\r\n\r\n") && get.starts_with(&head) && get.len() > head.len());
}

#[test]
fn every_error_of_every_kind_reads_as_http_1() {
    for error in GatewayError::ALL {
        for accept in Accept::ALL {
            for then in [Then::Keep, Then::KeepHttp10, Then::Close] {
                let response = Response::error(error, Ask { then, ..ask(accept) });
                read_back(&response, accept, error.as_str(), error.status());
            }
        }
    }
}

/// Reads a response with another parser and holds it against what it should be.
fn read_back(response: &Response<'_>, accept: Accept, reason: &str, status: u16) {
    let mut bytes = Vec::new();
    response.write_http1(&mut bytes);
    let mut room = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Response::new(&mut room);
    let head = parsed.parse(&bytes).unwrap().unwrap();
    assert_eq!(parsed.code, Some(status));
    assert!(!parsed.reason.unwrap().is_empty());
    let field = |name: &str| {
        let found = parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map(|field| std::str::from_utf8(field.value).unwrap())
    };
    assert_eq!(field("content-length"), Some((bytes.len() - head).to_string().as_str()));
    assert_eq!(field("content-type"), Some(accept.content_type()));
    assert_eq!(field("cache-control"), Some("no-store"));
    if accept == Accept::Json {
        let body: serde_json::Value = serde_json::from_slice(&bytes[head..]).unwrap();
        assert_eq!(body["status"], status);
        assert_eq!(body["reason"], reason);
        assert!(!body["title"].as_str().unwrap().is_empty());
    }
}

#[test]
fn words_and_statuses_of_errors_are_distinct_and_right() {
    let mut words: Vec<_> = GatewayError::ALL.iter().map(|error| error.as_str()).collect();
    words.extend(Reason::ALL.iter().map(|reason| reason.as_str()));
    let count = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), count, "a word means one thing in metrics and logs");
    assert!(GatewayError::ALL.iter().all(|error| (400..=599).contains(&error.status())));
}

#[test]
fn an_exchange_that_went_wrong_has_an_error() {
    assert_eq!(GatewayError::of_upstream(UpstreamResult::Respond), None);
    let status = |result| GatewayError::of_upstream(result).map(GatewayError::status);
    assert_eq!(status(UpstreamResult::RefuseConnect), Some(502));
    assert_eq!(status(UpstreamResult::Reset), Some(502));
    assert_eq!(status(UpstreamResult::InvalidResponse), Some(502));
    assert_eq!(status(UpstreamResult::TimeoutConnect), Some(504));
    assert_eq!(status(UpstreamResult::TimeoutRead), Some(504));
}

#[test]
fn a_status_that_is_no_error_is_not_sent() {
    for status in [0, 99, 200, 302, 399, 600, u16::MAX] {
        let about =
            body::About { problem: body::Problem::Blank, detail: "", reason: "", rule: None, spent: "" };
        assert_eq!(Response::new(status, about, ask(Accept::Text)).status(), 500);
    }
}
