//! Every kind of message through both lanes: what an origin sees and what a client gets must not depend on the lane.
//!
//! The differences that there are, and no others:
//! - a body that the origin ends by closing ends so for the client too, and is chunked by pingora;
//! - pingora says `Connection: keep-alive` where nothing need be said.

use crate::support::{Client, LANES, Lane, Origin, Reaction, case, ingress, run_cases};

#[test]
fn methods() {
    run_cases(
        &[
            case("get").seen("GET", "/", "").told("content-length", None).told("transfer-encoding", None),
            case("post without a body")
                .send("POST /p HTTP/1.1\r\nHost: a.test\r\n@Content-Length: 0\r\n\r\n")
                .seen("POST", "/p", "")
                .told("content-length", Some("0")),
            case("post")
                .send("POST /p HTTP/1.1\r\nHost: a.test\r\n@Content-Length: 5\r\n\r\nhello")
                .seen("POST", "/p", "hello"),
            case("put")
                .send("PUT /p HTTP/1.1\r\nHost: a.test\r\n@Content-Length: 5\r\n\r\nhello")
                .seen("PUT", "/p", "hello"),
            case("patch")
                .send("PATCH /p HTTP/1.1\r\nHost: a.test\r\n@Content-Length: 5\r\n\r\nhello")
                .seen("PATCH", "/p", "hello"),
            case("delete").send("DELETE /p HTTP/1.1\r\nHost: a.test\r\n@\r\n").seen("DELETE", "/p", ""),
            case("delete with a body")
                .send("DELETE /p HTTP/1.1\r\nHost: a.test\r\n@Content-Length: 2\r\n\r\nno")
                .seen("DELETE", "/p", "no"),
            case("get with a body")
                .send("GET /p HTTP/1.1\r\nHost: a.test\r\n@Content-Length: 2\r\n\r\nno")
                .seen("GET", "/p", "no"),
            case("options").send("OPTIONS /p HTTP/1.1\r\nHost: a.test\r\n@\r\n").seen("OPTIONS", "/p", ""),
            case("a method of its own")
                .send("PROPFIND /p HTTP/1.1\r\nHost: a.test\r\n@\r\n")
                .seen("PROPFIND", "/p", ""),
            case("head with a length")
                .send("HEAD /p HTTP/1.1\r\nHost: a.test\r\n@\r\n")
                .answer("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
                .seen("HEAD", "/p", "")
                .gets(200, "")
                .field("content-length", Some("1234")),
            case("head without a length")
                .send("HEAD /p HTTP/1.1\r\nHost: a.test\r\n@\r\n")
                .answer("HTTP/1.1 200 OK\r\nETag: \"a\"\r\n\r\n")
                .gets(200, "")
                .field("etag", Some("\"a\"")),
            case("head of chunks")
                .send("HEAD /p HTTP/1.1\r\nHost: a.test\r\n@\r\n")
                .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .gets(200, ""),
        ],
        &[],
    );
}

#[test]
fn bodies_of_requests() {
    run_cases(
        &[
            case("chunked")
                .send(
                    "POST /p HTTP/1.1\r\nHost: a.test\r\n@Transfer-Encoding: chunked\r\n\r\n\
                     5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",
                )
                .seen("POST", "/p", "hello, world")
                .told("content-length", None),
            case("chunked and empty")
                .send("POST /p HTTP/1.1\r\nHost: a.test\r\n@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                .seen("POST", "/p", ""),
            case("chunked with extensions and trailers")
                .send(
                    "POST /p HTTP/1.1\r\nHost: a.test\r\n@Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                     5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
                )
                .seen("POST", "/p", "hello")
                .told("x-sum", None)
                .told("trailer", None),
            case("more than the express lane holds")
                .send(
                    [
                        b"POST /p HTTP/1.1\r\nHost: a.test\r\n@Content-Length: 200000\r\n\r\n".to_vec(),
                        vec![b'x'; 200_000],
                    ]
                    .concat(),
                )
                .seen("POST", "/p", vec![b'x'; 200_000]),
            case("told to continue")
                .send("POST /p HTTP/1.1\r\nHost: a.test\r\n@Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
                .interim(&[100])
                .seen("POST", "/p", "hi"),
        ],
        &[],
    );
}

#[test]
fn bodies_of_responses() {
    let chunks = "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n";
    run_cases(
        &[
            case("chunked")
                .answer(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"))
                .gets(200, "hello, world")
                .field("content-length", None)
                .field("transfer-encoding", Some("chunked")),
            case("chunked and empty")
                .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                .gets(200, ""),
            case("empty").answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").gets(200, ""),
            case("until closed")
                .answer("HTTP/1.1 200 OK\r\n\r\nuntil the end")
                .until_closed()
                .gets(200, "until the end"),
            case("until closed, announced")
                .answer("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
                .until_closed()
                .gets(200, "until the end"),
            case("an origin that closes after a length")
                .answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
                .origin_closes(),
            case("an origin of HTTP/1.0")
                .answer("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .origin_closes(),
            case("an origin of HTTP/1.0 that keeps the connection")
                .answer("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"),
            case("an origin of HTTP/1.0 until closed")
                .answer("HTTP/1.0 200 OK\r\n\r\nold")
                .until_closed()
                .gets(200, "old"),
            case("equal lengths")
                .answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok")
                .field("content-length", Some("2")),
            case("204")
                .answer("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n")
                .gets(204, "")
                .field("x-a", Some("b")),
            case("304")
                .answer("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n")
                .gets(304, "")
                .field("etag", Some("\"a\"")),
            case("304 with the length of what it does not send")
                .answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n")
                .gets(304, ""),
            case("early hints")
                .answer(
                    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                     HTTP/1.1 103 Early Hints\r\n\r\n\
                     HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                )
                .interim(&[103, 103]),
            case("a status without a name")
                .answer("HTTP/1.1 299 \r\nContent-Length: 2\r\n\r\nok")
                .gets(299, "ok"),
            case("an error of the origin")
                .answer("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nbusy")
                .gets(503, "busy")
                .field("retry-after", Some("7")),
            case("a large one")
                .answer(
                    [b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n".to_vec(), vec![b'y'; 300_000]]
                        .concat(),
                )
                .gets(200, vec![b'y'; 300_000]),
            case("a large chunk")
                .answer(
                    [
                        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n".to_vec(),
                        vec![b'y'; 200_000],
                        b"\r\n0\r\n\r\n".to_vec(),
                    ]
                    .concat(),
                )
                .gets(200, vec![b'y'; 200_000]),
        ],
        &[],
    );
}

#[test]
fn fields_of_one_hop() {
    run_cases(
        &[
            case("of a request")
                .send(
                    "GET / HTTP/1.1\r\nHost: a.test\r\n@Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
                     Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy: http://p.test\r\n\
                     Proxy-Authorization: Basic eDp5\r\nTE: trailers\r\nX-End: 1\r\n\r\n",
                )
                .seen("GET", "/", "")
                .told("x-hop", None)
                .told("connection", None)
                .told("keep-alive", None)
                .told("proxy-connection", None)
                .told("proxy", None)
                .told("proxy-authorization", None)
                .told("te", None)
                .told("x-end", Some("1")),
            case("of a request of the express lane")
                .send(
                    "GET / HTTP/1.1\r\nHost: a.test\r\n@Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\
                     Proxy-Connection: keep-alive\r\nProxy: http://p.test\r\nX_Under: 1\r\nX-End: 1\r\n\r\n",
                )
                .seen("GET", "/", "")
                .told("connection", None)
                .told("keep-alive", None)
                .told("proxy-connection", None)
                .told("proxy", None)
                .told("x_under", None)
                .told("x-end", Some("1")),
            case("of a response")
                .answer(
                    "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                     Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-End: 1\r\nContent-Length: 2\r\n\r\nok",
                )
                .field("x-hop", None)
                .field("keep-alive", None)
                .field("proxy-connection", None)
                .field("upgrade", None)
                .field("x-end", Some("1")),
            case("a client that closes")
                .send("GET / HTTP/1.1\r\nHost: a.test\r\n@Connection: close\r\n\r\n")
                .field("connection", Some("close"))
                .seen("GET", "/", "")
                .told("connection", None)
                .closes(),
        ],
        &[],
    );
}

#[test]
fn targets_pass_byte_for_byte() {
    run_cases(
        &[
            case("query").send("GET /a/b?x=%2F%20+&&y=?/../ HTTP/1.1\r\nHost: a.test\r\n@\r\n").seen(
                "GET",
                "/a/b?x=%2F%20+&&y=?/../",
                "",
            ),
            case("empty query").send("GET /a? HTTP/1.1\r\nHost: a.test\r\n@\r\n").seen("GET", "/a?", ""),
            case("encoded").send("GET /%7Ea/%2e%2E/b HTTP/1.1\r\nHost: a.test\r\n@\r\n").seen(
                "GET",
                "/%7Ea/%2e%2E/b",
                "",
            ),
            case("dots and slashes").send("GET //a/./b/../c HTTP/1.1\r\nHost: a.test\r\n@\r\n").seen(
                "GET",
                "//a/./b/../c",
                "",
            ),
            case("reserved characters")
                .send("GET /a;b=c,d:e!$&'()*+~ HTTP/1.1\r\nHost: a.test\r\n@\r\n")
                .seen("GET", "/a;b=c,d:e!$&'()*+~", ""),
            case("absolute form")
                .send("GET http://a.test/x?y HTTP/1.1\r\nHost: a.test\r\n@\r\n")
                .seen("GET", "/x?y", "")
                .told("host", Some("a.test")),
            case("absolute form without a path")
                .send("GET http://a.test HTTP/1.1\r\nHost: a.test\r\n@\r\n")
                .seen("GET", "/", ""),
            case("host with a port")
                .send("GET / HTTP/1.1\r\nHost: A.test:81\r\n@\r\n")
                .seen("GET", "/", "")
                .told("host", Some("A.test:81")),
            case("asterisk").send("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n@\r\n").gets(400, ""),
        ],
        &[],
    );
}

#[test]
fn http_1_0_clients() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    run_cases(
        &[
            case("no host")
                .send("GET /p HTTP/1.0\r\n@\r\n")
                .seen("GET", "/p", "")
                .told("host", Some(""))
                .closes(),
            case("keep-alive")
                .send("GET /p HTTP/1.0\r\nHost: a.test\r\n@Connection: keep-alive\r\n\r\n")
                .field("connection", Some("keep-alive")),
            case("chunks")
                .send("GET /p HTTP/1.0\r\nHost: a.test\r\n@\r\n")
                .answer(chunks)
                .gets(200, "hello")
                .field("transfer-encoding", None)
                .closes(),
            case("chunks although it asks to keep")
                .send("GET /p HTTP/1.0\r\nHost: a.test\r\n@Connection: keep-alive\r\n\r\n")
                .answer(chunks)
                .gets(200, "hello")
                .field("transfer-encoding", None)
                .closes(),
            case("no interim responses")
                .send("GET /p HTTP/1.0\r\nHost: a.test\r\n@\r\n")
                .answer("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .interim(&[])
                .closes(),
            case("post")
                .send("POST /p HTTP/1.0\r\nHost: a.test\r\n@Content-Length: 3\r\n\r\nabc")
                .seen("POST", "/p", "abc")
                .closes(),
        ],
        &[],
    );
}

#[test]
fn trailers_of_a_response_are_dropped() {
    for lane in LANES {
        let origin = Origin::start(|_| {
            let answer =
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n";
            Reaction::Write(answer.as_bytes().to_vec())
        });
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &[]);
        let mut client = Client::connect(weir.http);
        for _ in 0..2 {
            let reply = client.get("a.test", "/");
            assert_eq!((reply.text().as_str(), &reply.trailers[..]), ("ok", &[][..]));
        }
    }
}
