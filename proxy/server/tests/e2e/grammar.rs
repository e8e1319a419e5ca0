//! What is HTTP here, rule by rule: a message that breaks one is refused before anything is counted, keyed or forwarded,
//! on both lanes, with and without TLS, and its connection is closed. `docs/grammar.md` names these tests.

use crate::support::h2::{H2, request};
use crate::support::{
    Client, LANES, Lane, Origin, WITH_SETTINGS, Weir, case, ingress, run_cases, settings, tls,
};

const LINE: &str = "GET / HTTP/1.1\r\n";
const HOST: &str = "Host: a.test\r\n";

/// How a client connects.
#[derive(Clone, Copy, Debug)]
enum Link {
    Plain,
    Tls,
}

fn connect(weir: &Weir, link: Link) -> Client {
    match link {
        Link::Plain => Client::connect(weir.http),
        Link::Tls => Client::connect_tls(weir.https(), "a.test", tls::trusting()),
    }
}

/// Each of `messages` must be answered with `status` and the connection closed, and no origin may hear of it.
fn refused(status: u16, messages: &[String]) {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &["--https", "127.0.0.1:0"]);
        for (link, message) in
            [Link::Plain, Link::Tls].iter().flat_map(|link| messages.iter().map(|message| (*link, message)))
        {
            let what =
                format!("{lane:?}, {link:?}: {}", message.escape_debug().take(200).collect::<String>());
            let mut client = connect(&weir, link);
            let _ = client.try_send(message);
            // What stands behind it must not be taken for a request.
            let _ = client.try_send("GET /behind HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let reply = client.try_read("POST").unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{what}");
            assert!(client.is_closed(), "{what}");
        }
        assert!(origin.seen().is_empty(), "{lane:?}: {:?}", origin.seen());
        for lane in ["express", "pingora"] {
            let series = format!(r#"weir_lane_requests_total{{lane="{lane}"}}"#);
            assert_eq!(weir.metric(&series), Some(0.0), "nothing was admitted");
        }
    }
}

fn heads(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|lines| format!("{LINE}{lines}\r\n")).collect()
}

fn bodies(lines: &[&str]) -> Vec<String> {
    let body = "0\r\n\r\n";
    lines.iter().map(|lines| format!("POST / HTTP/1.1\r\n{HOST}{lines}\r\n{body}")).collect()
}

#[test]
fn a_host_that_is_missing_empty_double_or_malformed_is_refused() {
    refused(
        400,
        &heads(&[
            "",
            "Host:\r\n",
            "Host: \t\r\n",
            "Host: a.test\r\nHost: a.test\r\n",
            "Host: a.test\r\nhOST: b.test\r\n",
            "Host: a.test, b.test\r\n",
            "Host: a.test b.test\r\n",
            "Host: a..test\r\n",
            "Host: a.test/x\r\n",
            "Host: me@a.test\r\n",
            "Host: http://a.test\r\n",
            "Host: a.test:x\r\n",
            "Host: a.test:65536\r\n",
            "Host: :80\r\n",
            "Host: [::1\r\n",
            "Host: ::1\r\n",
            "Host: a%2etest\r\n",
            "Host: a_\u{e4}.test\r\n",
        ]),
    );
}

#[test]
fn an_absolute_form_that_disagrees_with_the_host_is_refused() {
    let targets = [
        "http://b.test/",
        "http://a.test:81/",
        "http://a.test.b.test/",
        "http://me@a.test/",
        "http://a.test@b.test/",
        "http:///",
        "http:/",
        "ftp://a.test/",
        "a.test/",
    ];
    let mut messages: Vec<_> =
        targets.iter().map(|target| format!("GET {target} HTTP/1.1\r\n{HOST}\r\n")).collect();
    messages.push("GET http://a.test/ HTTP/1.1\r\n\r\n".to_owned());
    messages.push("GET http://a.test/ HTTP/1.1\r\nHost:\r\n\r\n".to_owned());
    refused(400, &messages);
}

#[test]
fn control_bytes_and_nul_are_refused() {
    let mut messages = Vec::new();
    for byte in (0..=0x1f_u8).chain([0x7f]) {
        let c = char::from(byte);
        // A tab may stand in a value; line ends have a test of their own.
        if !matches!(byte, b'\t' | b'\r' | b'\n') {
            messages.push(format!("{LINE}{HOST}X: a{c}b\r\n\r\n"));
            messages.push(format!("{c}{LINE}{HOST}\r\n"));
        }
        if !matches!(byte, b'\r' | b'\n') {
            messages.push(format!("{LINE}{HOST}X{c}: ab\r\n\r\n"));
            messages.push(format!("GET /{c} HTTP/1.1\r\n{HOST}\r\n"));
            messages.push(format!("G{c}T / HTTP/1.1\r\n{HOST}\r\n"));
        }
    }
    refused(400, &messages);
}

#[test]
fn lines_that_end_in_a_bare_cr_or_lf_are_refused() {
    let text = format!("{LINE}{HOST}X: y\r\n\r\n");
    let ends: Vec<_> = text.match_indices("\r\n").map(|(at, _)| at).collect();
    let mut messages = Vec::new();
    for at in &ends[..3] {
        for end in ["\n", "\r", "\r\r\n", "\n\r"] {
            messages.push(format!("{}{end}{}", &text[..*at], &text[at + 2..]));
        }
    }
    messages.push(text.replace("\r\n", "\n"));
    messages.push(format!("{LINE}{HOST}X: a\rb\r\n\r\n"));
    messages.push(format!("{LINE}{HOST}X: a\nb\r\n\r\n"));
    messages.push(format!("{LINE}{HOST}X: a\r\n b\r\n\r\n"));
    refused(400, &messages);
}

#[test]
fn a_coding_other_than_exactly_chunked_is_refused() {
    refused(
        400,
        &bodies(&[
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked;q=1\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
        ]),
    );
    refused(400, &[format!("POST / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]);
    refused(
        501,
        &bodies(&[
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: ,chunked\r\n",
        ]),
    );
}

#[test]
fn a_length_that_comes_twice_in_a_list_or_is_no_number_is_refused() {
    refused(
        400,
        &bodies(&[
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: 5,\r\n",
            "Content-Length:\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 5.0\r\n",
            "Content-Length: 18446744073709551621\r\n",
            "Content-Length: \u{665}\r\n",
        ]),
    );
}

#[test]
fn a_length_with_a_coding_is_refused() {
    refused(
        400,
        &bodies(&[
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        ]),
    );
}

#[test]
fn methods_in_lower_case_and_those_that_are_never_served_are_refused() {
    let of = |method: &str| format!("{method} / HTTP/1.1\r\n{HOST}\r\n");
    refused(400, &["get", "Get", "gET", "post", "G!T"].map(of));
    refused(405, &["TRACE", "trace", "TRACK", "CONNECT"].map(of));
    refused(405, &["CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n".to_owned()]);
}

#[test]
fn names_with_underscores_pass_only_where_they_are_enabled() {
    let sent = "X_Client: a\r\nX-Client: b\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\n\
                X_Forwarded_For: 192.0.2.1\r\nX-Real_IP: 192.0.2.1\r\nX_Forwarded-Proto: x\r\n";
    for lane in LANES {
        for (enabled, passed) in [("false", None), ("true", Some("a"))] {
            let origin = Origin::echo();
            let keys = settings(&[("enable-underscores-in-headers", enabled), ("client-sockets", "0")]);
            let manifests = ingress("web", "", origin.address, &[]) + &keys;
            let flags = [&WITH_SETTINGS[..], &["--https", "127.0.0.1:0", "--h2c"]].concat();
            let weir = lane.start(&manifests, &flags);
            for link in [Link::Plain, Link::Tls] {
                assert_eq!(connect(&weir, link).get_with("a.test", "/", sent).status, 200);
            }
            let answer = H2::connect(weir.http).ask(
                request(
                    "GET",
                    "a.test",
                    "/",
                    &[
                        ("x_client", "a"),
                        ("x-client", "b"),
                        ("content_length", "9"),
                        ("x_forwarded_for", "192.0.2.1"),
                    ],
                ),
                &[],
            );
            assert_eq!(answer.status, 200);
            let seen = origin.seen();
            assert_eq!(seen.len(), 3);
            for request in seen {
                assert_eq!(request.header("x_client"), passed, "{lane:?}, {enabled}");
                assert_eq!(request.header("x-client"), Some("b"), "{lane:?}, {enabled}");
                // Whatever the setting: CGI and its kin take those for the ones with a hyphen, which are ours to say.
                for (name, _) in &request.headers {
                    assert!(name.eq_ignore_ascii_case("x_client") || !name.contains('_'), "{lane:?}, {name}");
                }
                for name in ["content-length", "transfer-encoding"] {
                    assert_eq!(request.header(name), None, "{lane:?}, {enabled}, {name}");
                }
            }
        }
    }
}

#[test]
fn dot_segments_and_encoded_slashes_lead_to_where_the_rules_are() {
    for lane in LANES {
        let origin = Origin::echo();
        let manifests = ingress("web", "a.test", origin.address, &[])
            + &ingress("admin", "a.test", origin.address, &[("allowlist-source-range", "192.0.2.1")])
                .replace("path: /\n", "path: /admin\n");
        let weir = lane.start(&manifests, &["--https", "127.0.0.1:0"]);
        for link in [Link::Plain, Link::Tls] {
            let mut client = connect(&weir, link);
            for target in [
                "/admin/x",
                "/x/../admin/x",
                "/./admin/x",
                "//admin/x",
                "/admin//x",
                "/x/%2e%2e/admin/x",
                "/x/%2E./admin/x",
                "/%61dmin/x",
                "/admin/%2e/x",
                "/admin/a%2fb",
                "/x/y/../../admin",
                "http://a.test/x/../admin",
            ] {
                assert_eq!(client.get("a.test", target).status, 403, "{lane:?}, {link:?}: {target}");
            }
            // What leads nowhere for certain is refused; it has one end, so the connection stays.
            for target in [
                "/../admin",
                "/..",
                "/x/..%2fadmin",
                "/x/..;/admin",
                "/x/%2e%2e%2fadmin",
                "/admin%2fx",
                "/%2fadmin",
                "/x/%2f/../admin",
                "/%",
                "/%4",
                "/%zz",
            ] {
                assert_eq!(client.get("a.test", target).status, 400, "{lane:?}, {link:?}: {target}");
            }
            assert_eq!(client.get("a.test", "/adminx").status, 200, "{lane:?}, {link:?}");
        }
        assert!(origin.seen().iter().all(|request| request.target == "/adminx"), "{:?}", origin.seen());
    }
}

#[test]
fn backslashes_raw_or_encoded_are_refused() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &["--https", "127.0.0.1:0"]);
        for link in [Link::Plain, Link::Tls] {
            let mut client = connect(&weir, link);
            for target in ["/a\\b", "/..\\admin", "/\\", "/a%5cb", "/a%5Cb", "/%00", "/a%0d%0ab", "/%7f"] {
                assert_eq!(client.get("a.test", target).status, 400, "{lane:?}, {link:?}: {target}");
            }
        }
        assert!(origin.seen().is_empty(), "{lane:?}");
    }
    refused(400, &[format!("GET \\ HTTP/1.1\r\n{HOST}\r\n")]);
}

#[test]
fn targets_that_are_not_utf_8_are_refused() {
    for lane in LANES {
        let origin = Origin::echo();
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &["--https", "127.0.0.1:0"]);
        for link in [Link::Plain, Link::Tls] {
            for bytes in [&b"\xff"[..], b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"?\xff"] {
                let mut client = connect(&weir, link);
                client.send([b"GET /", bytes, b" HTTP/1.1\r\nHost: a.test\r\n\r\n"].concat());
                assert_eq!(client.read("GET").status, 400, "{lane:?}, {link:?}: {bytes:?}");
                assert!(client.is_closed());
                // Nor in the names of things.
                let mut client = connect(&weir, link);
                client.send([b"GET / HTTP/1.1\r\nHost: a.test\r\nX", bytes, b": y\r\n\r\n"].concat());
                assert_eq!(client.read("GET").status, 400, "{lane:?}, {link:?}: {bytes:?}");
            }
        }
        assert!(origin.seen().is_empty(), "{lane:?}");
    }
    // As the data of a value they are what they are.
    run_cases(
        &[case("obs-text")
            .send(b"GET / HTTP/1.1\r\nHost: a.test\r\n@X: \xff\r\n\r\n")
            .seen("GET", "/", "")
            .gets(200, "ok")],
        &[],
    );
}

#[test]
fn what_is_too_long_is_refused() {
    let long = |n: usize| "a".repeat(n);
    refused(414, &[format!("GET /{}", long(40_000))]);
    refused(
        431,
        &[
            format!("{LINE}{HOST}X: {}\r\n\r\n", long(40_000)),
            format!("{LINE}{HOST}{}: y\r\n\r\n", long(40_000)),
            format!("{LINE}{HOST}{}\r\n", "X: y\r\n".repeat(128)),
            format!("{LINE}{HOST}{}\r\n", "X: y\r\n".repeat(6_000)),
        ],
    );
    refused(
        400,
        &[
            format!("{} / HTTP/1.1\r\n{HOST}\r\n", "A".repeat(33)),
            format!("{LINE}Host: {}\r\n\r\n", long(64)),
            format!("{LINE}Host: {}test\r\n\r\n", "a.".repeat(125)),
            format!("{LINE}Host: a.test:{}80\r\n\r\n", "0".repeat(20)),
            format!("{LINE}{HOST}Connection: {}\r\n\r\n", ["x"; 9].join(",")),
            format!("POST / HTTP/1.1\r\n{HOST}Content-Length: {}5\r\n\r\n", "0".repeat(18)),
        ],
    );
    let chunked = format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n");
    for lane in LANES {
        let origin = Origin::echo();
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &["--https", "127.0.0.1:0"]);
        for link in [Link::Plain, Link::Tls] {
            for chunks in [
                format!("{}1\r\nx\r\n0\r\n\r\n", "0".repeat(16)),
                "1000000000000000\r\n".to_owned(),
                format!("1;{}\r\nx\r\n0\r\n\r\n", long(300)),
                format!("0\r\n{}\r\n", "X: y\r\n".repeat(3_000)),
            ] {
                let mut client = connect(&weir, link);
                let _ = client.try_send([&chunked, &chunks[..]].concat());
                let reply = client.read("POST");
                let what = chunks.chars().take(20).collect::<String>();
                assert_eq!((reply.status, client.is_closed()), (400, true), "{lane:?}, {link:?}: {what}");
            }
        }
    }
}

/// In HTTP/2 what is malformed is refused where frames are read; what passes there is judged by the same rules.
#[test]
fn streams_of_http_2_are_judged_by_the_same_rules() {
    let origin = Origin::echo();
    let weir = Lane::Auto.start(&ingress("web", "", origin.address, &[]), &["--h2c"]);
    let client = H2::connect(weir.http);
    let host = "x".repeat(64);
    for (method, host, path, fields, status) in [
        ("GET", "a.test", "/", &[("host", "b.test")][..], 400),
        ("GET", "a..test", "/", &[], 400),
        ("GET", &host, "/", &[], 400),
        ("get", "a.test", "/", &[], 400),
        ("TRACE", "a.test", "/", &[], 405),
        ("GET", "a.test", "/a%5cb", &[], 400),
        ("GET", "a.test", "/x/..%2fadmin", &[], 400),
        ("GET", "a.test", "/%00", &[], 400),
        ("POST", "a.test", "/", &[("expect", "x")], 417),
    ] {
        let answer = client.ask(request(method, host, path, fields), &[]);
        assert_eq!(answer.status, status, "{method} {host} {path} {fields:?}: {answer:?}");
    }
    for (fields, is_malformed) in [
        (&[("content-length", "5"), ("content-length", "5")][..], false),
        (&[("content-length", "5, 5")], false),
        (&[("transfer-encoding", "chunked")], true),
        (&[("connection", "close")], true),
    ] {
        let answer = client.ask(request("POST", "a.test", "/", fields), &[]);
        let verdict = (answer.reset.is_some(), answer.status == 400);
        assert_eq!(verdict, (is_malformed, !is_malformed), "{fields:?}: {answer:?}");
    }
    assert_eq!(client.get("a.test", "/ok").status, 200, "a stream that is refused costs no connection");
    assert_eq!(origin.seen().len(), 1);
}
