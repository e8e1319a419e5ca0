//! Streams through both lanes: what an origin sees and what a client gets must not depend on the lane.

use crate::support::h2::*;
use crate::support::*;
use ::h2::Reason;
use std::collections::HashMap;

const H2C: [&str; 1] = ["--h2c"];

/// What an origin answers, and what the client then has: status, body, fields, and why it was broken off.
struct Case {
    name: &'static str,
    method: &'static str,
    answer: Vec<u8>,
    closes: bool,
    gets: (u16, Vec<u8>),
    fields: &'static [(&'static str, &'static str)],
    reset: Option<Reason>,
}

fn case(name: &'static str, answer: impl Into<Vec<u8>>, status: u16, body: impl Into<Vec<u8>>) -> Case {
    Case {
        name,
        method: "GET",
        answer: answer.into(),
        closes: false,
        gets: (status, body.into()),
        fields: &[],
        reset: None,
    }
}

impl Case {
    fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn closes(self) -> Self {
        Self { closes: true, ..self }
    }

    fn fields(self, fields: &'static [(&'static str, &'static str)]) -> Self {
        Self { fields, ..self }
    }

    fn cut_off(self) -> Self {
        Self { closes: true, reset: Some(Reason::INTERNAL_ERROR), ..self }
    }
}

#[test]
fn responses_of_every_kind() {
    let large = vec![b'y'; 300_000];
    let with = |head: &str, body: &[u8]| [head.as_bytes(), body].concat();
    let cases = vec![
        case("length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok")
            .fields(&[("content-length", "2")]),
        case("empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""),
        case("large", with("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n", &large), 200, large.clone()),
        case(
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n",
            200,
            "hello, world",
        )
        .fields(&[("content-length", ""), ("transfer-encoding", "")]),
        case("no chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, ""),
        case(
            "large chunks",
            [
                &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n"[..],
                &large,
                b"\r\n0\r\n\r\n",
            ]
            .concat(),
            200,
            large.clone(),
        ),
        case(
            "trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
            200,
            "ok",
        )
        .fields(&[("trailer", "")]),
        case("until closed", "HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end").closes(),
        case("old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok").closes(),
        case("head", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", 200, "")
            .method("HEAD")
            .fields(&[("content-length", "1234")]),
        case("204", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", 204, "").fields(&[("x-a", "b")]),
        case("304", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, "")
            .fields(&[("etag", "\"a\"")]),
        case(
            "hints",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            200,
            "ok",
        ),
        case("error", "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nbusy", 503, "busy")
            .fields(&[("retry-after", "7")]),
        case(
            "one hop",
            "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-End: \u{e9}\r\nContent-Length: 2\r\n\r\nok"
                .chars()
                .map(|c| c as u8)
                .collect::<Vec<_>>(),
            200,
            "ok",
        )
        .fields(&[("x-hop", ""), ("connection", ""), ("keep-alive", ""), ("upgrade", "")]),
        case("less than announced", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal", 200, "hal").cut_off(),
        case("chunks cut off", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 200, "hel")
            .cut_off(),
        case("delete", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok").method("DELETE"),
        case("post", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok").method("POST"),
    ];
    for lane in LANES {
        let answers: HashMap<_, _> =
            cases.iter().map(|it| (it.name, (it.answer.clone(), it.closes))).collect();
        let origin =
            Origin::start(move |request| match request.header("x-case").and_then(|it| answers.get(it)) {
                Some((answer, true)) => Reaction::WriteAndClose(answer.clone()),
                Some((answer, false)) => Reaction::Write(answer.clone()),
                None => Reaction::ok("another"),
            });
        let manifests = ingress("web", "", origin.address, &[("proxy-next-upstream", "off")]);
        let weir = lane.start(&manifests, &H2C);
        let client = H2::connect(weir.http);
        for case in &cases {
            let told = [("x-case", case.name)];
            let got = client.ask(request(case.method, "a.example", "/", &told), &[]);
            assert_eq!((got.status, got.reset), (case.gets.0, case.reset), "{lane:?}, {}", case.name);
            assert!(got.body == case.gets.1, "{lane:?}, {}: {} bytes", case.name, got.body.len());
            assert_eq!(got.trailers, None, "{lane:?}, {}", case.name);
            for (name, value) in case.fields {
                assert_eq!(got.header(name), *value, "{lane:?}, {}: {name}", case.name);
            }
            assert_eq!(client.get("a.example", "/").text(), "another", "{lane:?}, after {}", case.name);
        }
    }
}

#[test]
fn responses_that_no_client_can_be_sent_are_errors() {
    for lane in LANES {
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "hello",
        ];
        let origin = Origin::start(move |request| {
            let which = request.target.trim_start_matches('/').parse::<usize>().unwrap();
            Reaction::WriteAndClose(answers[which].into())
        });
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &H2C);
        let client = H2::connect(weir.http);
        for (which, answer) in answers.iter().enumerate() {
            let got = client.get("a.example", &format!("/{which}"));
            assert_eq!((got.status, got.reset), (502, None), "{lane:?}: {answer:?}");
        }
    }
}

#[test]
fn what_an_origin_is_sent() {
    for lane in LANES {
        let origin = Origin::start(|request| Reaction::ok(&request.target));
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &H2C);
        let client = H2::connect(weir.http);
        for target in ["/a%20b?x=y%2F?", "/", "/a;b=c/d", "/?q=a|b", "/%7Bx%7D"] {
            let told = [
                ("cookie", "a=b"),
                ("cookie", "c=d"),
                ("te", "trailers"),
                ("x-forwarded-for", "192.0.2.1"),
                ("x_under", "1"),
                ("proxy-authorization", "Basic eDp5"),
                ("x-twice", "1"),
                ("x-twice", "2"),
                ("accept", "*/*"),
            ];
            let got = client.ask(request("GET", "a.example:80", target, &told), &[]);
            assert_eq!(got.status, 200, "{lane:?}: {target}");
            let seen = origin.seen().pop().unwrap();
            assert_eq!(seen.target.replace("%7C", "|"), target, "{lane:?}");
            for (name, value) in [
                ("host", Some("a.example:80")),
                ("cookie", Some("a=b; c=d")),
                ("te", None),
                ("x-forwarded-for", Some("127.0.0.1")),
                ("x-forwarded-proto", Some("http")),
                ("x-forwarded-host", Some("a.example:80")),
                ("x_under", None),
                ("proxy-authorization", None),
                ("accept", Some("*/*")),
                ("transfer-encoding", None),
                ("connection", None),
            ] {
                assert_eq!(seen.header(name), value, "{lane:?}: {name}");
            }
            assert_eq!((seen.count("host"), seen.count("x-twice")), (1, 2), "{lane:?}");
            assert!(seen.header("x-request-id").is_some_and(|id| id.len() == 32), "{lane:?}");
        }
        client.ask(request("POST", "a.example", "/", &[]), &[]);
        let seen = origin.seen().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.body.len()), ("POST", 0), "{lane:?}");
    }
}

#[test]
fn streams_share_the_connections_of_the_express_lane() {
    let origin = Origin::start(|request| Reaction::ok(request.connection.to_string()));
    let weir = Lane::Auto.start(&ingress("web", "", origin.address, &[]), &H2C);
    assert_eq!(Client::connect(weir.http).get("a.example", "/").text(), "1");
    let client = H2::connect(weir.http);
    for _ in 0..3 {
        assert_eq!(client.get("a.example", "/").text(), "1");
    }
    assert_eq!(Client::connect(weir.http).get("a.example", "/").text(), "1");
}

#[test]
fn a_connection_that_its_origin_has_closed_is_replaced() {
    for lane in LANES {
        let origin = Origin::start(|request| match request.target.as_str() {
            "/last" => Reaction::WriteAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast".to_vec()),
            _ => Reaction::ok("next"),
        });
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &H2C);
        let client = H2::connect(weir.http);
        for _ in 0..20 {
            assert_eq!(client.get("a.example", "/last").text(), "last", "{lane:?}");
            assert_eq!(client.get("a.example", "/").text(), "next", "{lane:?}");
        }
    }
}

#[test]
fn another_endpoint_is_tried_before_anything_is_told() {
    for lane in LANES {
        let busy =
            Origin::start(|_| Reaction::Write(b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy".to_vec()));
        let good = Origin::start(|_| Reaction::ok("good"));
        let manifests = ingress("web", "", good.address, &[("proxy-next-upstream", "error http_503")]);
        // The same Service, with one more endpoint.
        let (_, slice) = manifests.split_once("kind: EndpointSlice").unwrap();
        let another = slice
            .replace("web-1", "web-2")
            .replace(&good.address.port().to_string(), &busy.address.port().to_string());
        let another = format!("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice{another}");
        let weir = lane.start(&(manifests + &another), &H2C);
        let client = H2::connect(weir.http);
        for _ in 0..10 {
            assert_eq!(client.get("a.example", "/").text(), "good", "{lane:?}");
        }
        assert!(!busy.seen().is_empty(), "{lane:?}");
    }
}
