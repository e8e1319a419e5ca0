//! The second half of the corpus: who and what is asked for, fields of one hop, other protocols, pauses.

use super::shapes::Outcome::{self, Closed, Refused, Served, ServedAndRefused, Turned};
use super::shapes::Shape;

/// Targets that two parties could read in two ways.
pub const TARGETS: &[Shape] = &[
    ("GET /N/%2e%2e/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Served(1)),
    ("GET /N/a%2fb HTTP/1.1\r\nHost: a.test\r\n\r\n", Served(1)),
    ("GET /N//./a HTTP/1.1\r\nHost: a.test\r\n\r\n", Served(1)),
    ("GET /N/a?/../../x HTTP/1.1\r\nHost: a.test\r\n\r\n", Served(1)),
    ("GET /N/a%00 HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /N/a%0d%0aX:y HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /N/a%5cb HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /N/a\\b HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /N/..%2fx HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /N/..;/x HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /../N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /N/%zz HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /N/% HTTP/1.1\r\nHost: a.test\r\n\r\n", Turned(400)),
    ("GET /N/a\0 HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET /N/a\x01 HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET /N/a\x7f HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET /N/a#b HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET \\N\\a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET * HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET ?a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET @a.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    // Absolute form
    ("GET http://a.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Served(1)),
    ("GET HTTP://A.test/N/a HTTP/1.1\r\nHost: a.TEST\r\n\r\n", Served(1)),
    ("GET http://b.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET http://a.test:81/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET http://a.test/N/a HTTP/1.1\r\nHost:\r\n\r\n", Refused(400)),
    ("GET http://a.test/N/a HTTP/1.1\r\n\r\n", Refused(400)),
    ("GET http://a.test@b.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET http://x@a.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET http://a.test\\@b.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET http://a.test#b.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET http:///N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET http:/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET http:a.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET ftp://a.test/N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET file:///N/a HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET javascript:x HTTP/1.1\r\nHost: a.test\r\n\r\n", Refused(400)),
];

/// Hosts.
pub const HOSTS: &[Shape] = &[
    ("GET /N/a HTTP/1.1\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost:\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test\r\nhOST: b.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.0\r\nHost: a.test\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test b.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test\tb.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost : a.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\n Host: b.test\r\nHost: a.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test\r\n Host: b.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test/x\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test?x\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test#x\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: x@a.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: http://a.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test\\b\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test\0b\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a%2etest\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: \u{e4}.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: \"a.test\"\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a..test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: .a.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: .\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test:80:80\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test:99999\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test:-1\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test:8o\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: :80\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: [::1\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: [::g]\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: [::1%25lo]\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: [::1]a.test\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: ::1\r\n\r\n", Refused(400)),
    ("GET /N/a HTTP/1.1\r\nHost: a.test.\r\n\r\n", Served(1)),
    ("GET /N/a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Served(1)),
    ("GET /N/a HTTP/1.0\r\nHost: a.test\r\n\r\n", Closed(1)),
    ("GET /N/a HTTP/1.0\r\nHost:\r\n\r\n", Refused(400)),
];

/// Fields that a client asks to be taken away, waits with, or wants another protocol with.
pub const HOPS: &[Shape] = &[
    ("@Connection: Content-Length\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(400)),
    ("@Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n<hidden>", Refused(400)),
    ("@Connection: close, Host\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: keep-alive, hOsT\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: X-Forwarded-For\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: X-Real-IP\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: X-Request-ID\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: Cookie\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: Authorization\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: Expect\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: \"close\"\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: close;x\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: a b\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: a,b,c,d,e,f,g,h,i,j\r\nContent-Length: 0\r\n\r\n", Refused(400)),
    ("@Connection: X-Hop\r\nX-Hop: y\r\nContent-Length: <len>\r\n\r\n<hidden>", Served(1)),
    ("@Connection: close\r\nContent-Length: <len>\r\n\r\n<hidden>", Closed(1)),
    ("@Connection: close\r\nContent-Length: 0\r\n\r\n<hidden>", Closed(1)),
    ("@Connection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n\r\n<hidden>", Closed(1)),
    ("@Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nContent-Length: 0\r\n\r\n", Served(1)),
    // Expect
    ("@Expect: 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>", Served(1)),
    ("@Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n<hex>\r\n<hidden>\r\n0\r\n\r\n", Served(1)),
    ("@Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", Served(1)),
    ("@Expect: 100-continue\r\n\r\n<hidden>", Served(2)),
    (
        "GET /N/a HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>",
        Served(1),
    ),
    (
        "OPTIONS /N/a HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>",
        Served(1),
    ),
    ("@Expect: y 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(417)),
    ("@Expect: 100-continue, 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(417)),
    ("@Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(417)),
    ("@Expect: 100-continue;x\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(417)),
    ("@Expect: \"100-continue\"\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(417)),
    ("@Expect: 200-ok\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(417)),
    ("@Expect:\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(417)),
    ("@Expect:\r\n 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(400)),
    ("@Expect : 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>", Refused(400)),
    ("@Expect_: 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>", Served(1)),
    (
        "POST /N/a HTTP/1.0\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: <len>\r\n\r\n<hidden>",
        Closed(1),
    ),
    ("@Expect: 100-continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Refused(400)),
    // Upgrades
    (
        "GET /N/a HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 1\r\n\r\n<hidden>",
        Served(2),
    ),
    (
        "GET /N/a HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n<hidden>",
        Served(2),
    ),
    ("@Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: <len>\r\n\r\n<hidden>", Served(1)),
    (
        "@Connection: Upgrade\r\nUpgrade: TLS/1.0\r\nTransfer-Encoding: chunked\r\n\r\n<hex>\r\n<hidden>\r\n0\r\n\r\n",
        Served(1),
    ),
    ("@Upgrade: websocket\r\nContent-Length: <len>\r\n\r\n<hidden>", Served(1)),
    ("@TE: trailers, chunked\r\nConnection: TE\r\nContent-Length: <len>\r\n\r\n<hidden>", Served(1)),
    (
        "@Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
        Served(1),
    ),
    // Who a proxy is told to ask
    ("@X-HTTP-Method-Override: TRACE\r\nX-Original-URL: /N/hidden\r\nContent-Length: 0\r\n\r\n", Served(1)),
    ("@Range: bytes=0-<len>\r\nContent-Length: <len>\r\n\r\n<hidden>", Served(1)),
    // Refused by a rule: what follows is the next request, or nothing.
    ("@Content-Length: 2000000\r\n\r\n<hidden>", Refused(413)),
    ("@Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n<hidden>", Refused(413)),
    ("@Content-Length: 0\r\n\r\nGET /N/hidden HTTP/1.1\r\n\r\n", ServedAndRefused(1, 400)),
    ("@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nX<hidden>", Served(2)),
    ("@Content-Length: 0\r\n\r\n\r\n<hidden>", Served(2)),
    ("@Content-Length: 0\r\n\r\n\n<hidden>", ServedAndRefused(1, 400)),
];

/// Parts between which the client waits for an answer.
pub type Paused = (&'static [&'static str], Outcome);

/// Pauses: what comes later may be the body or the next request.
pub const PAUSED: &[Paused] = &[
    // A body that stops is answered, and what comes then is no request.
    (&["@Content-Length: <len>\r\n\r\n", "<hidden>"], Refused(408)),
    (&["@Content-Length: 100000\r\n\r\n", "<hidden>"], Refused(408)),
    (&["@Transfer-Encoding: chunked\r\n\r\n", "<hidden>"], Refused(408)),
    (&["@Transfer-Encoding: chunked\r\n\r\n<hex>\r\n", "<hidden>"], Refused(408)),
    (&["@Transfer-Encoding: chunked\r\n\r\n0\r\n", "<hidden>"], Refused(408)),
    (&["@Transfer-Encoding: chunked\r\n\r\n100000000\r\n\r\n<hidden>", "<hidden>"], Refused(408)),
    (&["@Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n\r\n<hidden>", "<hidden>"], Refused(408)),
    (&["GET /N/a HTTP/1.1\r\nHost: a.test\r\nContent-Length: <len>\r\n\r\n", "<hidden>"], Refused(408)),
    // So is a head.
    (&["GET /N/a HTTP/1.1\r\nHost: a.test\r\n", "X: y\r\n\r\n<hidden>"], Refused(408)),
    (&["GET /N/a HTTP/1.1\r\nHost: a.test\r\n\r", "\n<hidden>"], Refused(408)),
    // A refusal by length: the body is announced and never taken for a request.
    (&["@Content-Length: 2000000\r\n\r\n", "<hidden>"], Refused(413)),
    (&["@Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n", "<hidden>"], Refused(413)),
    (&["@Content-Length: 1\r\n\r\nx", "<hidden>"], Served(2)),
];
