use super::*;

#[test]
fn says_where_everything_is() {
    let data = b"PATCH /a/b.c?x=%2F..//yes HTTP/1.1\r\nHost: Shop.Example:8080\r\ncontent-length: 12\r\n\
        Connection: Close\r\n\r\nhello, world";
    let head = taken(data);
    assert_eq!(head.head, data.len() - 12);
    assert_eq!((head.content_length, head.total()), (12, data.len()));
    assert_eq!(head.method, Method::Patch);
    assert_eq!(head.target.text(data), "/a/b.c?x=%2F..//yes");
    assert_eq!(head.path.text(data), "/a/b.c");
    assert_eq!(head.query.text(data), "x=%2F..//yes");
    assert_eq!(head.host.text(data), "Shop.Example:8080");
    assert_eq!(head.persistence, Persistence::Close);
    assert_eq!(head.fields, 3);
}

#[test]
fn the_bytes_behind_the_head_are_not_looked_at() {
    let mut data = get_with("");
    let alone = taken(&data);
    data.extend_from_slice(b"\0\r\r\n GARBAGE");
    assert_eq!(taken(&data).head, alone.head);
}

#[test]
fn takes_the_seven_methods_and_knows_which_may_be_repeated() {
    for (name, idempotent, is_head) in [
        ("GET", true, false),
        ("HEAD", true, true),
        ("POST", false, false),
        ("PUT", true, false),
        ("PATCH", false, false),
        ("DELETE", true, false),
        ("OPTIONS", true, false),
    ] {
        let method = taken(format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).method;
        assert_eq!((method.name(), method.idempotent(), method.is_head()), (name, idempotent, is_head));
    }
}

#[test]
fn takes_plain_hosts() {
    for host in
        ["a", "a.b-c.example", "A_b", "127.0.0.1", "127.0.0.1:80", "a:65535", "[::1]", "[2001:db8::1]:443"]
    {
        let data = format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n").into_bytes();
        assert_eq!(taken(&data).host.text(&data), host);
    }
}

#[test]
fn takes_paths_that_only_look_odd() {
    for target in [
        "/",
        "/.a",
        "/..a",
        "/...",
        "/a./b../c",
        "/a/",
        "/?",
        "/a?b?c",
        "/a;b=c",
        "/?/../%zz//[{|}]",
        "/%20/%2F/%C3%A4",
        "/~a!$&'()*+,=:@",
    ] {
        let data = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        let head = taken(&data);
        assert_eq!(head.target.text(&data), target);
        assert_eq!(head.path.text(&data), target.split('?').next().unwrap());
    }
}

#[test]
fn declines_by_rule() {
    let start_line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n").into_bytes();
    let target = |target: &str| start_line(&format!("GET {target} HTTP/1.1"));
    let host = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
    let table: &[(Vec<u8>, Why)] = &[
        // Rule 1: version, line ends, what stands in front.
        (start_line("GET / HTTP/1.0"), Why::Version),
        (start_line("GET / HTTP/1.2"), Why::Version),
        (start_line("GET / HTTP/2.0"), Why::Version),
        (start_line("GET / http/1.1"), Why::Version),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), Why::Version),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Why::LineEnd),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Why::LineEnd),
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n".to_vec(), Why::LineEnd),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n".to_vec(), Why::LineEnd),
        (b"GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n".to_vec(), Why::LineEnd),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n".to_vec(), Why::LineEnd),
        (b"GET / HTTP/1.1\r\nHost: a\n\n".to_vec(), Why::LineEnd),
        // Rule 2: methods.
        (start_line("get / HTTP/1.1"), Why::Method),
        (start_line("TRACE / HTTP/1.1"), Why::Method),
        (start_line("CONNECT a:443 HTTP/1.1"), Why::Method),
        (start_line("GETS / HTTP/1.1"), Why::Method),
        // Rule 3: targets in origin-form, canonical.
        (target("*"), Why::Target),
        (target("http://a/"), Why::Target),
        (target("a/b"), Why::Target),
        (target("/a#b"), Why::Target),
        (target("/a\\b"), Why::Target),
        (target("/a?b\\c"), Why::Target),
        (target("/\u{e4}"), Why::Target),
        (target("/a?\""), Why::Target),
        (target("/<a>"), Why::Target),
        (target("/`"), Why::Target),
        (target("/a%41b"), Why::Path),
        (target("/a%2fb"), Why::Path),
        (target("/a%00b"), Why::Path),
        (target("/a%5Cb"), Why::Path),
        (target("/%2e%2e/b"), Why::Path),
        (target("/..%2Fb"), Why::Path),
        (target("/a|b"), Why::Path),
        (target("/a[b]"), Why::Path),
        (target("/%"), Why::Path),
        (target("//"), Why::Path),
        (target("/a//b?c"), Why::Path),
        (target("/."), Why::Path),
        (target("/.."), Why::Path),
        (target("/a/./b"), Why::Path),
        (target("/a/../b"), Why::Path),
        (target("/a/..?b"), Why::Path),
        (target("/a/..;b=c/d"), Why::Path),
        (target("/a b"), Why::Version),
        // Rule 4: one Host, of host characters.
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Why::Host),
        (get_with("Host: a.example\r\n"), Why::Host),
        (get_with("host: b\r\n"), Why::Host),
        (host(""), Why::Host),
        (host("a b"), Why::Host),
        (host("a/b"), Why::Host),
        (host("a,b"), Why::Host),
        (host("user@a"), Why::Host),
        (host("a."), Why::Host),
        (host(".a"), Why::Host),
        (host("a..b"), Why::Host),
        (host("a:"), Why::Host),
        (host("a:b"), Why::Host),
        (host("a:80:80"), Why::Host),
        (host("a:65536"), Why::Host),
        (host("a:000080"), Why::Host),
        (host(":80"), Why::Host),
        (host("::1"), Why::Host),
        (host("[::1"), Why::Host),
        (host("[::1]a"), Why::Host),
        (host("[a]"), Why::Host),
        (host("[]"), Why::Host),
        (host("a%41"), Why::Host),
        (host(&format!("a{}", ".bcd".repeat(64))), Why::Host),
        (host(&"a".repeat(64)), Why::Host),
        // Rule 5: fields that need more than this lane.
        (get_with("Transfer-Encoding: chunked\r\n"), Why::TransferEncoding),
        (get_with("TE: trailers\r\n"), Why::Te),
        (get_with("Expect: 100-continue\r\n"), Why::Expect),
        (get_with("Upgrade: websocket\r\n"), Why::Upgrade),
        (get_with("HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), Why::Upgrade),
        (get_with("Trailer: X-Sum\r\n"), Why::Trailer),
        // Rule 6: Connection.
        (get_with("Connection: keep-alive, close\r\n"), Why::Connection),
        (get_with("Connection: close, X-Forwarded-For\r\n"), Why::Connection),
        (get_with("Connection: Upgrade\r\n"), Why::Connection),
        (get_with("Connection:\r\n"), Why::Connection),
        (get_with("Connection: close\r\nConnection: close\r\n"), Why::Connection),
        // Rule 7: Content-Length.
        (get_with("Content-Length: 16384\r\n"), Why::BodySize),
        (get_with("Content-Length: 999999999\r\n"), Why::BodySize),
        (get_with("Content-Length: 0000000001\r\n"), Why::ContentLength),
        (get_with("Content-Length: 1\r\nContent-Length: 1\r\n"), Why::ContentLength),
        // Grammar.
        (get_with("A : b\r\n"), Why::Syntax),
        (get_with(" A: b\r\n"), Why::Syntax),
        (get_with("A: b\r\n c\r\n"), Why::Syntax),
        (get_with(": b\r\n"), Why::Syntax),
        (get_with("A\r\n"), Why::Syntax),
        (get_with("A: \x07\r\n"), Why::Syntax),
        (get_with("A: b\x7f\r\n"), Why::Syntax),
        (get_with("A(: b\r\n"), Why::Syntax),
    ];
    for (data, why) in table {
        assert_eq!(declined(data), Some(*why), "{}", data.escape_ascii());
    }
}

#[test]
fn the_bounds_are_exact() {
    assert_eq!((ROOM, CAP, MAX_REQUEST_FIELDS), (1024, 16 * 1024, 64));
    // Fields.
    let fields = |n: usize| get_with(&"A: b\r\n".repeat(n - 1));
    assert_eq!(taken(&fields(MAX_REQUEST_FIELDS)).fields, MAX_REQUEST_FIELDS);
    assert_eq!(declined(&fields(MAX_REQUEST_FIELDS + 1)), Some(Why::FieldCount));
    // Marked fields.
    assert_eq!(taken(&get_with(&"A_B: c\r\n".repeat(24))).marks().count(), 24);
    assert_eq!(declined(&get_with(&"A_B: c\r\n".repeat(25))), Some(Why::MarkedFields));
    // A head of exactly the capacity, and one byte more.
    let sized = |size: usize| get_with(&format!("A: {}\r\n", "b".repeat(size - get_with("A: \r\n").len())));
    assert_eq!(taken(&sized(CAP)).head, CAP);
    assert_eq!(declined(&sized(CAP + 1)), Some(Why::HeadSize));
    assert!(matches!(read_request(&sized(CAP)[..CAP - 1]), RequestReading::Partial));
    // Head and body of exactly the capacity, and one byte more.
    let with_body =
        |length: usize| [b"PUT", &get_with(&format!("Content-Length: {length}\r\n"))[3..]].concat();
    let head = with_body(10_000).len();
    assert_eq!(taken(&with_body(CAP - head)).total(), CAP);
    assert_eq!(declined(&with_body(CAP - head + 1)), Some(Why::BodySize));
}

#[test]
fn bodies_of_methods_that_need_none_are_declined() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"] {
        let with = |length| format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nabc");
        let needs_one = method.starts_with('P');
        assert_eq!(declined(with(3).as_bytes()), (!needs_one).then_some(Why::Content), "{method}");
        assert_eq!(declined(with(0).as_bytes()), None, "{method}");
    }
}

#[test]
fn blanks_around_what_frames_a_request_are_declined() {
    for (fields, why) in [
        ("Host:a\r\nContent-Length:0\r\n", None),
        ("Host: a\r\nContent-Length: 0\r\n", None),
        ("Host: a\r\nContent-Length:\t0\r\n", Some(Why::ContentLength)),
        ("Host: a\r\nContent-Length:0 \r\n", Some(Why::ContentLength)),
        ("Host: a\r\nContent-Length:  0\r\n", Some(Why::ContentLength)),
        ("Host:\ta\r\n", Some(Why::Host)),
        ("Host: a\t\r\n", Some(Why::Host)),
    ] {
        assert_eq!(declined(format!("POST / HTTP/1.1\r\n{fields}\r\n").as_bytes()), why, "{fields:?}");
    }
}

#[test]
fn whitespace_in_front_is_declined_at_the_first_byte() {
    for byte in [b'\r', b'\n', b' ', b'\t', 0] {
        assert_eq!(declined(&[byte]), Some(Why::LineEnd));
    }
    assert!(matches!(read_request(b""), RequestReading::Partial));
}

#[test]
fn obs_text_in_a_value_is_taken() {
    let data = [&get_with("")[..16], b"Host: a\r\nA: \x80\xff\tb\r\n\r\n"].concat();
    assert_eq!(taken(&data).values(&data, "a").next(), Some(&b"\x80\xff\tb"[..]));
}

#[test]
fn marks_what_policy_may_cut() {
    use FieldKind::*;
    for (name, kind) in [
        ("Connection", HopByHop),
        ("KEEP-ALIVE", HopByHop),
        ("Proxy", HopByHop),
        ("Proxy-Connection", HopByHop),
        ("proxy-authorization", HopByHop),
        ("Proxy-Whatever", HopByHop),
        ("Forwarded", Forwarded),
        ("x-forwarded-FOR", Forwarded),
        ("X-Forwarded-Host", Forwarded),
        ("X-Forwarded-Port", Forwarded),
        ("X-Forwarded-Proto", Forwarded),
        ("X-Forwarded-Scheme", Forwarded),
        ("X-Real-IP", Forwarded),
        ("X-Scheme", Forwarded),
        ("X-Original-Forwarded-For", Forwarded),
        ("X-Original-Forwarded-Host", Forwarded),
        ("X-Request-ID", RequestId),
        ("X_Forwarded_For", Forwarded),
        ("x-forwarded_PROTO", Forwarded),
        ("X_Real-IP", Forwarded),
        ("X_Request_ID", Forwarded),
        ("Content_Length", Forwarded),
        ("transfer_encoding", Forwarded),
        ("Keep_Alive", Forwarded),
        ("Proxy_X", Forwarded),
        ("ssl_client-VERIFY", Forwarded),
        ("X_Client", Underscore),
        ("Content_Lengths", Underscore),
        ("_", Underscore),
    ] {
        let line = format!("{name}: close\r\n");
        let data = get_with(&format!("A: b\r\n{line}C: d\r\n"));
        let head = taken(&data);
        let marks: Vec<_> = head.marks().map(|mark| (mark.kind, mark.line.text(&data))).collect();
        assert_eq!(marks, [(kind, line.as_str())]);
        assert!(head.has(kind));
    }
    for name in ["Accept", "Prox", "X-Forwarded", "X-Forwarded-Fo", "Host2", "X-Request-IDs", "Cookie"] {
        assert_eq!(taken(&get_with(&format!("{name}: close\r\n"))).marks().count(), 0, "{name}");
    }
}

#[test]
fn values_are_found_by_name() {
    let data =
        get_with("X-Forwarded-For: a, b\r\nX-Forwarded: x\r\nx-forwarded-for:c\t\r\nX-Forwarded-For:\r\n");
    let head = taken(&data);
    let found: Vec<_> = head.values(&data, "x-forwarded-FOR").collect();
    assert_eq!(found, [&b"a, b"[..], b"c", b""]);
    assert_eq!(head.values(&data, "host").collect::<Vec<_>>(), [b"a.example"]);
    assert_eq!(head.values(&data, "GET / HTTP/1.1\r\nHost").count(), 0);
    assert_eq!(head.values(&data, "").count(), 0);
    assert_eq!(head.values(b"", "host").count(), 0);
}

#[test]
fn reasons_have_names_of_their_own() {
    let mut names: Vec<_> = Why::ALL.iter().map(|why| why.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Why::ALL.len());
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
}
