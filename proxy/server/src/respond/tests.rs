use super::*;
use expect_test::{Expect, expect};
use weir_core::Engine;
use weir_core::account::UpstreamResult;
use weir_core::engine::EngineConfig;
use weir_core::facts::{Facts, Scheme};
use weir_core::policy::Mode;
use weir_core::verdict::{RuleHit, Verdict};
use weir_limits::Instant;

fn ask(accept: Accept) -> Ask<'static> {
    Ask { accept, body: BodyPart::Send, then: Then::Keep, request_id: None, hsts: None, date: b"" }
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

/// A refusal of any kind, with an account that the real core has opened.
fn refusal(reason: Reason, status: u16, hit: Option<RuleHit>) -> Refusal {
    let engine = Engine::new(EngineConfig { clients: 16, in_flight: 16, ..EngineConfig::default() });
    let facts = Facts {
        peer: [203, 0, 113, 9].into(),
        port: 80,
        scheme: Scheme::Http,
        tls: None,
        method: "GET",
        host: b"shop.example",
        path: b"/",
        query: b"",
        content_length: None,
        head_bytes: 0,
        headers: &(),
    };
    let mut refusal = match engine.admit(Instant::START, &facts) {
        Verdict::Refuse(refusal) => refusal,
        Verdict::Forward(_) => panic!("there is no route"),
    };
    refusal.account.hit = hit;
    Refusal { status, reason, ..refusal }
}

#[test]
fn a_refusal_says_which_rule_when_to_come_back_and_what_the_policy_is() {
    let hit = RuleHit { rule: "limit-rpm", reason: Reason::Rate, mode: Mode::Enforce };
    let fields = RateLimitFields {
        policy: r#""second";q=5;w=1, "minute";q=60;w=60"#.into(),
        state: r#""second";r=4;t=1, "minute";r=0;t=7"#.to_owned(),
    };
    let refusal = Refusal {
        retry_after: NonZeroU32::new(7),
        rate_limit: Some(fields),
        ..refusal(Reason::Rate, 429, Some(hit))
    };
    check(
        &Response::refusal(&refusal, ask(Accept::Json)),
        &expect![[r#"
        HTTP/1.1 429 Too Many Requests
        Content-Type: application/problem+json
        Content-Length: 275
        Cache-Control: no-store
        Retry-After: 7
        RateLimit-Policy: "second";q=5;w=1, "minute";q=60;w=60
        RateLimit: "second";r=4;t=1, "minute";r=0;t=7

        {"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"detail":"Too many requests: please slow down.","reason":"rate","rule":"limit-rpm","violated-policies":["minute"]}
    "#]],
    );
    check(
        &Response::refusal(&refusal, ask(Accept::Text)),
        &expect![[r#"
        HTTP/1.1 429 Too Many Requests
        Content-Type: text/plain; charset=utf-8
        Content-Length: 37
        Cache-Control: no-store
        Retry-After: 7
        RateLimit-Policy: "second";q=5;w=1, "minute";q=60;w=60
        RateLimit: "second";r=4;t=1, "minute";r=0;t=7

        Too many requests: please slow down.
    "#]],
    );
}

#[test]
fn a_rule_that_was_only_observed_is_not_blamed() {
    let hit = RuleHit { rule: "limit-rps", reason: Reason::Rate, mode: Mode::Observe };
    let refusal = refusal(Reason::NoEndpoint, 503, Some(hit));
    let text = text(&Response::refusal(&refusal, ask(Accept::Json)));
    assert!(!text.contains("limit-rps"), "{text}");
}

#[test]
fn a_refused_method_names_the_allowed_ones() {
    let refusal = Refusal { allow: Some("GET, HEAD".to_owned()), ..refusal(Reason::Method, 405, None) };
    let text = text(&Response::refusal(&refusal, ask(Accept::Text)));
    assert!(text.contains("\r\nAllow: GET, HEAD\r\n"), "{text}");
}

#[test]
fn a_value_that_could_end_its_line_is_left_out() {
    let bad = "GET\r\nX-Injected: yes".to_owned();
    let fields = RateLimitFields { policy: bad.as_str().into(), state: format!("\"{bad}\";r=0") };
    let refusal =
        Refusal { allow: Some(bad), rate_limit: Some(fields), ..refusal(Reason::Method, 405, None) };
    let text = text(&Response::refusal(&refusal, ask(Accept::Json)));
    assert!(!text.contains("Injected"), "{text}");
}

#[test]
fn a_call_of_grpc_gets_its_status_in_fields_and_nothing_else() {
    let mut limited = refusal(Reason::Rate, 429, None);
    limited.retry_after = NonZeroU32::new(7);
    let closed = refusal(Reason::NoEndpoint, 503, None);
    for (refusal, expected) in [
        (
            &limited,
            &[
                ("Content-Type", "application/grpc"),
                ("grpc-status", "8"),
                ("grpc-message", "Too many requests: please slow down."),
                ("grpc-retry-pushback-ms", "7000"),
                ("Cache-Control", "no-store"),
                ("Retry-After", "7"),
            ][..],
        ),
        (
            &closed,
            &[
                ("Content-Type", "application/grpc"),
                ("grpc-status", "14"),
                ("grpc-message", "The service behind this path is not available."),
                ("Cache-Control", "no-store"),
            ],
        ),
    ] {
        let response = Response::refusal(refusal, ask(Accept::Grpc));
        assert_eq!((response.status(), response.wire_status()), (refusal.status, 200));
        assert!(!response.has_body());
        let mut fields = Vec::new();
        response
            .for_each_header(|name, value| fields.push((name, String::from_utf8(value.to_vec()).unwrap())));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(
            fields.iter().filter(|(name, _)| !name.starts_with("RateLimit")).collect::<Vec<_>>(),
            expected.iter().collect::<Vec<_>>()
        );
    }
    for status in 400..600 {
        let Code(number, name) = code_of(status);
        assert!((1..=16).contains(&number) && !name.is_empty(), "{status}");
    }
}

#[test]
fn every_refusal_of_every_kind_reads_as_http_1() {
    for reason in Reason::ALL {
        for status in [400, 429, 499, 503, 599] {
            for hit in [None, Some(RuleHit { rule: "limit-rps", reason, mode: Mode::Enforce })] {
                let refusal = refusal(reason, status, hit);
                for accept in Accept::ALL {
                    read_back(&Response::refusal(&refusal, ask(accept)), accept, reason.as_str(), status);
                }
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
        assert_eq!(Response::new(status, None, about, ask(Accept::Text)).status(), 500);
    }
}

#[test]
fn a_redirect_has_its_status_and_its_location_and_may_be_stored() {
    for status in [301, 302, 307, 308] {
        let location = Some("https://shop.example/a".to_owned());
        let refusal = Refusal { location, ..refusal(Reason::HttpsOnly, status, None) };
        let response = Response::refusal(&refusal, ask(Accept::Text));
        assert_eq!(response.status(), status);
        let mut fields = Vec::new();
        response.for_each_header(|name, value| {
            fields.push((name, String::from_utf8_lossy(value).into_owned()));
        });
        assert!(fields.contains(&("Location", "https://shop.example/a".to_owned())), "{fields:?}");
        assert!(fields.iter().all(|(name, _)| *name != "Cache-Control"), "{fields:?}");
    }
}
