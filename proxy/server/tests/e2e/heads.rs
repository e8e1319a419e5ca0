//! How large a request head may be, and connections that are not kept.

use crate::support::h2::{H2, request};
use crate::support::{Client, LANES, Lane, Origin, WITH_SETTINGS, Weir, ingress, settings};

fn start(lane: Lane, origin: &Origin, keys: &[(&str, &str)], flags: &[&str]) -> Weir {
    let manifests = ingress("web", "", origin.address, &[]) + &settings(keys);
    lane.start(&manifests, &[&WITH_SETTINGS[..], flags].concat())
}

const SMALL: [(&str, &str); 3] = [
    ("large-client-header-buffers", "2 1k"),
    ("client-header-buffer-size", "300"),
    ("client-header-fields", "5"),
];

/// A request line of so many bytes.
fn line(len: usize) -> String {
    format!("GET /{} HTTP/1.1\r\n", "a".repeat(len - "GET / HTTP/1.1\r\n".len()))
}

/// A field line of so many bytes.
fn field(len: usize) -> String {
    format!("X: {}\r\n", "b".repeat(len - "X: \r\n".len()))
}

const HOST: &str = "Host: a.test\r\n";

/// Each bound at exactly what is allowed, and a byte or a field beyond.
#[test]
fn a_head_is_as_large_as_the_configmap_says_and_no_larger() {
    let origin = Origin::echo();
    for lane in LANES {
        let weir = start(lane, &origin, &SMALL, &[]);
        let rest = 2048 - 1010 - HOST.len() - "\r\n".len();
        for (what, head, status) in [
            ("request line", line(1024) + HOST, 200),
            ("request line", line(1025) + HOST, 414),
            ("field", line(100) + HOST + &field(1024), 200),
            ("field", line(100) + HOST + &field(1025), 431),
            ("head", line(1010) + HOST + &field(rest), 200),
            ("head", line(1010) + HOST + &field(rest + 1), 431),
            ("fields", line(20) + HOST + &field(10).repeat(4), 200),
            ("fields", line(20) + HOST + &field(10).repeat(5), 431),
        ] {
            let whole = format!("{head}\r\n");
            let ask = |pieces: &[&str]| {
                let before = origin.seen().len();
                let mut client = Client::connect(weir.http);
                pieces.iter().for_each(|piece| drop(client.try_send(piece)));
                let reply = client.read("GET");
                assert_eq!(reply.status, status, "{lane:?} {what} of {}", head.len());
                assert_eq!(origin.seen().len() - before, usize::from(status == 200), "{lane:?} {what}");
                assert!(status == 200 || client.is_closed(), "{lane:?} {what}");
            };
            ask(&[&whole]);
            let (left, right) = whole.split_at(whole.len() - 3);
            ask(&[left, right]);
        }
        // What will be too long is refused before it is there, so that no more of it is held.
        for (part, status) in
            [(line(2000)[..1024].to_owned(), 414), (line(20) + HOST + &field(1100)[..1024], 431)]
        {
            let mut client = Client::connect(weir.http);
            client.send(part);
            assert_eq!(client.read("GET").status, status, "{lane:?}");
        }
        for (fault, count) in
            [("request-line", 3.0), ("field-line", 3.0), ("head-length", 2.0), ("field-count", 2.0)]
        {
            let series = format!("weir_malformed_requests_total{{fault=\"{fault}\"}}");
            assert_eq!(weir.metric(&series), Some(count), "{lane:?} {fault}");
        }
    }
}

#[test]
fn a_head_is_as_large_over_http_2_as_the_configmap_says() {
    let origin = Origin::echo();
    let weir = start(Lane::Auto, &origin, &SMALL, &["--h2c"]);
    let client = H2::connect(weir.http);
    let path = |len: usize| format!("/{}", "a".repeat(len - "GET / HTTP/2.0\r\n".len()));
    let value = |len: usize| "b".repeat(len - "x: \r\n".len());
    for (path, fields, status) in [
        (path(1024), vec![], 200),
        (path(1025), vec![], 414),
        (path(100), vec![value(1024)], 200),
        (path(100), vec![value(1025)], 431),
        (path(100), vec![value(10); 5], 200),
        (path(100), vec![value(10); 6], 431),
        (path(1000), vec![value(900), value(100)], 431),
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|value| ("x", value.as_str())).collect();
        let answer = client.ask(request("GET", "a.test", &path, &fields), &[]);
        assert_eq!(answer.status, status, "{} {}", path.len(), fields.len());
    }
}

#[test]
fn large_heads_pass_where_the_configmap_allows_them() {
    let origin = Origin::echo();
    let keys = [("large-client-header-buffers", "16 16k"), ("client-header-fields", "256")];
    for lane in LANES {
        let weir = start(lane, &origin, &keys, &[]);
        let mut client = Client::connect(weir.http);
        for head in [
            line(16 << 10) + HOST,
            line(20) + HOST + &field(16 << 10).repeat(15),
            line(20) + HOST + &field(900).repeat(255),
        ] {
            client.send(format!("{head}\r\n"));
            assert_eq!(client.read("GET").status, 200, "{lane:?} {}", head.len());
            let seen = origin.seen().pop().unwrap();
            assert_eq!(seen.count("X"), head.matches("X: ").count(), "{lane:?}");
        }
        client.send(line(20) + HOST + &field(900).repeat(256) + "\r\n");
        assert_eq!(client.read("GET").status, 431, "{lane:?}");
    }
    // What is set to more than there can be is cut, and said.
    let manifests =
        ingress("web", "", origin.address, &[]) + &settings(&[("large-client-header-buffers", "4 1m")]);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    let findings = weir.findings();
    assert!(findings[0]["message"].as_str().unwrap().contains("512k"), "{findings:?}");
    let mut client = Client::connect(weir.http);
    let _ = client.try_send(line(20) + HOST + &field(600 << 10) + "\r\n");
    assert_eq!(client.read("GET").status, 431);
}

/// In nginx too, `keepalive_timeout 0` keeps no connection.
#[test]
fn a_keep_alive_of_zero_closes_after_each_response() {
    let origin = Origin::echo();
    for lane in LANES {
        let weir = start(lane, &origin, &[("keep-alive", "0")], &["--h2c"]);
        assert_eq!(weir.findings(), Vec::<serde_json::Value>::new());
        for head in [
            "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
        ] {
            let mut client = Client::connect(weir.http);
            // It may take its time for its first request.
            head.as_bytes().chunks(9).for_each(|piece| client.send(piece));
            let reply = client.read("GET");
            assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{lane:?}");
            assert!(client.is_closed(), "{lane:?}");
        }
        let client = H2::connect(weir.http);
        assert_eq!(client.get("a.test", "/").status, 200, "{lane:?}");
        assert_eq!(client.ended(), Some(::h2::Reason::NO_ERROR), "{lane:?}");
    }
}
