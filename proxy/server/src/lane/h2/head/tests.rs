use super::*;
use weir_http2::head;

/// The head of a request for `uri`, which may be a path alone; `None` where it is malformed by RFC 9113.
fn try_sent(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<Sent, head::Malformed> {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("http", uri));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut all = vec![(":method", method)];
    if method != "CONNECT" {
        all.extend([(":scheme", scheme), (":path", path)]);
    }
    all.extend((!authority.is_empty()).then_some((":authority", authority)));
    all.extend(fields);
    Sent::from_fields(all.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

fn sent(method: &str, uri: &str, fields: &[(&str, &str)]) -> Sent {
    try_sent(method, uri, fields).unwrap()
}

#[test]
fn a_plain_head_is_read() {
    let sent = sent(
        "POST",
        "https://Shop.example:8443/a%20b?c=d?",
        &[("content-length", "12"), ("host", "shop.example:8443"), ("te", "trailers"), ("x", "y")],
    );
    let head = read(&sent, false).unwrap();
    assert_eq!((head.method, head.host), ("POST", &b"Shop.example:8443"[..]));
    assert_eq!((head.path, head.query, head.target), (&b"/a%20b"[..], &b"c=d?"[..], &b"/a%20b?c=d?"[..]));
    assert_eq!((head.content_length, head.expects_continue), (Some(12), false));
    let mut seen = Vec::new();
    head.fields.visit("X", &mut |value| seen.push(value.to_vec()));
    assert_eq!(seen, [b"y"]);
    assert!(head.len > 80);
}

#[test]
fn lengths_are_known_or_open() {
    let bare = sent("GET", "http://a/", &[]);
    assert_eq!(read(&bare, true).unwrap().content_length, Some(0));
    assert_eq!(read(&bare, false).unwrap().content_length, None);
    let zero = sent("GET", "http://a/", &[("content-length", "0")]);
    assert_eq!(read(&zero, true).unwrap().content_length, Some(0));
}

#[test]
fn heads_with_two_readings_or_none_are_refused() {
    for (method, uri, fields, expected) in [
        ("CONNECT", "a:80", &[][..], Malformed::Method),
        ("TRACE", "http://a/", &[], Malformed::Method),
        ("get", "http://a/", &[], Malformed::MethodName),
        ("GET", "/nobody", &[], Malformed::Host),
        ("GET", "/nobody", &[("host", "")], Malformed::Host),
        ("GET", "ftp://a/", &[], Malformed::Target),
        ("GET", "http://a/", &[("host", "b")], Malformed::Host),
        ("GET", "http://a/", &[("host", "a"), ("host", "a")], Malformed::Host),
        ("GET", "http://u@a/", &[], Malformed::Host),
        ("GET", "http://a:b/", &[], Malformed::Host),
        ("GET", "http://a/b#c", &[], Malformed::Target),
        ("GET", "http://a/b c", &[], Malformed::Target),
        ("GET", "http://a/", &[("content-length", "1"), ("content-length", "1")], Malformed::ContentLength),
        ("GET", "http://a/", &[("content-length", "+1")], Malformed::ContentLength),
        ("GET", "http://a/", &[("content-length", "1, 1")], Malformed::ContentLength),
        ("GET", "http://a/", &[("content-length", "")], Malformed::ContentLength),
        ("GET", "http://a/", &[("content-length", "1234567890123456789")], Malformed::ContentLength),
        ("GET", "http://a/", &[("transfer-encoding", "chunked")], Malformed::Connection),
        ("GET", "http://a/", &[("connection", "close")], Malformed::Connection),
        ("GET", "http://a/", &[("upgrade", "websocket")], Malformed::Connection),
        ("GET", "http://a/", &[("http2-settings", "")], Malformed::Connection),
        ("GET", "http://a/", &[("te", "gzip")], Malformed::Connection),
        ("GET", "http://a/", &[("te", "trailers"), ("te", "trailers, gzip")], Malformed::Connection),
        ("GET", "http://a/", &[("expect", "everything")], Malformed::Expect),
        ("GET", "http://a/", &[("x", " y")], Malformed::Syntax),
        ("GET", "http://a/", &[("x", "y\t")], Malformed::Syntax),
    ] {
        // What is of one connection should not get as far as here; the judge does not depend on that.
        match try_sent(method, uri, fields) {
            Err(head::Malformed) => assert_eq!(expected, Malformed::Connection, "{method} {uri} {fields:?}"),
            Ok(sent) => assert_eq!(read(&sent, false).err(), Some(expected), "{method} {uri} {fields:?}"),
        }
    }
    assert_eq!(
        read(&sent("GET", "http://a/", &[("content-length", "1")]), true).err(),
        Some(Malformed::ContentLength),
        "a length and no body"
    );
    let many: Vec<(String, &str)> = (0..129).map(|n| (format!("x-{n}"), "y")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let bounds = HeadBounds::default();
    assert_eq!(check(&sent("GET", "http://a/", &many), bounds), Err(Malformed::FieldCount));
    assert_eq!(check(&sent("GET", "http://a/", &many[..128]), bounds), Ok(()));
}

#[test]
fn a_head_is_measured_as_http_1_1_would_say_it() {
    let bounds = HeadBounds { first: 1, count: 2, size: 50, ..HeadBounds::default() };
    let field = |len: usize| "b".repeat(len - "x: \r\n".len());
    let target = |len: usize| format!("http://a/{}", "a".repeat(len - "GET / HTTP/2.0\r\n".len()));
    let look = |target: &str, fields: &[&str]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|value| ("x", *value)).collect();
        check(&sent("GET", target, &fields), bounds)
    };
    assert_eq!(look(&target(50), &[]), Ok(()));
    assert_eq!(look(&target(51), &[]), Err(Malformed::RequestLine));
    assert_eq!(look(&target(20), &[&field(50)]), Ok(()));
    assert_eq!(look(&target(20), &[&field(51)]), Err(Malformed::FieldLine));
    // `host: a`, and an empty line.
    assert_eq!(look(&target(39), &[&field(50)]), Ok(()));
    assert_eq!(look(&target(40), &[&field(50)]), Err(Malformed::HeadLength));
}

#[test]
fn only_options_asks_for_everything() {
    let star = |method: &'static str| {
        let pairs = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", "*")];
        Sent::from_fields(pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))).unwrap()
    };
    assert_eq!(read(&star("OPTIONS"), true).unwrap().path, b"*");
    assert_eq!(read(&star("GET"), true).err(), Some(Malformed::Target));
}

#[test]
fn crumbs_of_cookies_are_joined_and_the_host_is_said_once() {
    let sent = sent("GET", "http://a/x", &[("cookie", "a=b"), ("x", "y"), ("cookie", "c=d"), ("host", "A")]);
    let request = plain(&read(&sent, true).unwrap()).unwrap();
    let all =
        |name: &str| request.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!((all("cookie"), all("host"), all("x")), (vec!["a=b; c=d"], vec!["a"], vec!["y"]));
    assert_eq!((request.uri.to_string().as_str(), request.method.as_str()), ("/", "GET"));
}
