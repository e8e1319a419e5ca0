//! Shapes by which one parser can be made to see another message than the next one. None may be taken.

use super::*;

/// Requests whose body or boundaries are in dispute. Each stands in front of a second, hidden request.
const REQUESTS: &[&str] = &[
    // CL.TE, TE.CL, TE.TE
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n8\r\nSMUGGLED\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n",
    // Transfer-Encoding in disguise
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n : chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: Chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunk\u{212a}ed\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\n\0Transfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\0: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\n\u{feff}Transfer-Encoding: chunked\r\n\r\n",
    // Content-Length in disguise
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3,5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3.0\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3e0\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"3\"\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\0\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\x0b\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\u{a0}\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \u{663}\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551619\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4294967299\r\n\r\nabc",
    // Line ends
    "POST / HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc",
    "GET / HTTP/1.1\r\nHost: a\r\n\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\rHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n",
    "GET / HTTP/1.1\n\rHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\rGET /admin HTTP/1.1\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    // The request line
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
    "GET / HTTP/01.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1,1\r\nHost: a\r\n\r\n",
    "GET /\r\nHost: a\r\n\r\n",
    "GET / \r\nHost: a\r\n\r\n",
    "GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a HTTP/1.1 /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET //b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET @b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n",
    // Who is asked
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n",
    "GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n Host: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a#b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "GET / HTTP/1.1\r\nX: y\r\n\r\n",
    // Fields taken away from the next hop
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: X-Real-IP\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close;\r\n\r\n",
    // Other protocols on the same connection
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
];

#[test]
fn no_request_of_the_corpus_is_taken() {
    for request in REQUESTS {
        let hidden = format!("{request}GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(declined(hidden.as_bytes()).is_some(), "taken: {}", request.escape_debug());
    }
}

#[test]
fn no_request_of_the_corpus_is_taken_in_pieces() {
    for request in REQUESTS {
        for end in 0..=request.len() {
            let reading = read_request(&request.as_bytes()[..end]);
            assert!(!matches!(reading, RequestReading::Complete(_)), "taken: {}", request[..].escape_debug());
        }
    }
}

/// Responses by which an origin could make the client or the next proxy see another message.
const RESPONSES: &[(&str, Fault)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::Ambiguous),
    ("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", Fault::Ambiguous),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n", Fault::ContentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n", Fault::ContentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", Fault::ContentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", Fault::ContentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\n", Fault::ContentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", Fault::ContentLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551619\r\n\r\n", Fault::ContentLength),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Fault::TransferEncoding),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        Fault::TransferEncoding,
    ),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", Fault::TransferEncoding),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", Fault::TransferEncoding),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::TransferEncoding),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n", Fault::Syntax),
    ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Fault::Syntax),
    ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", Fault::Syntax),
    ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", Fault::Syntax),
    ("HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", Fault::Syntax),
    ("HTTP/1.1 200 OK\r\nA\r\n\r\n", Fault::Syntax),
    ("HTTP/1.1 200 OK\nA: b\r\n\r\n", Fault::LineEnd),
    ("HTTP/1.1 200 OK\r\nA: b\n\r\n", Fault::LineEnd),
    ("HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", Fault::LineEnd),
    ("HTTP/1.1 200 OK\r\nA: b\r\n\n", Fault::LineEnd),
    ("HTTP/1.1 200 OK\n\n", Fault::LineEnd),
    ("\r\nHTTP/1.1 200 OK\r\n\r\n", Fault::LineEnd),
    ("HTTP/1.2 200 OK\r\n\r\n", Fault::Version),
    ("HTTP/2 200 OK\r\n\r\n", Fault::Version),
    ("ICY 200 OK\r\n\r\n", Fault::Version),
    ("HTTP/1.1 20 OK\r\n\r\n", Fault::Status),
    ("HTTP/1.1 2000 OK\r\n\r\n", Fault::Status),
    ("HTTP/1.1 099 OK\r\n\r\n", Fault::Status),
    ("HTTP/1.1 -20 OK\r\n\r\n", Fault::Status),
    ("HTTP/1.1  200 OK\r\n\r\n", Fault::Status),
    ("HTTP/1.1 200 O\0K\r\n\r\n", Fault::Status),
    ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", Fault::Switching),
    ("HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\n", Fault::Connection),
    (
        "HTTP/1.1 200 OK\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n",
        Fault::Connection,
    ),
    ("HTTP/1.1 200 OK\r\nConnection: close; x\r\n\r\n", Fault::Connection),
    ("HTTP/1.1 200 OK\r\nConnection: a b\r\n\r\n", Fault::Connection),
];

#[test]
fn no_response_of_the_corpus_is_passed_on() {
    for (response, fault) in RESPONSES {
        for asked in [Method::Get, Method::Head] {
            match read_response(response.as_bytes(), asked) {
                ResponseReading::Bad(found) => assert_eq!(found, *fault, "{}", response.escape_debug()),
                other => panic!("{other:?}: {}", response.escape_debug()),
            }
        }
    }
}
