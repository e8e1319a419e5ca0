use super::*;
use crate::lane::bounds::MAX_FIELDS;

const NONE: BodyLength = BodyLength::Known(0);

/// Reads `head` and hands what it says to `look`.
fn read_with<T>(head: &[u8], look: impl FnOnce(Result<Head<'_, '_>, Malformed>) -> T) -> T {
    look(read(head, &mut [httparse::EMPTY_HEADER; MAX_FIELDS]))
}

fn fault(head: &str) -> Malformed {
    read_with(head.as_bytes(), |head| head.map(|_| ()).expect_err("should be refused"))
}

#[test]
fn heads_with_one_reading_pass() {
    for (head, host, path, query, body) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/", "", NONE),
        (
            "GET /a/../%2e?b?c HTTP/1.1\r\nHost: A.example.:80\r\n\r\n",
            "A.example.:80",
            "/a/../%2e",
            "b?c",
            NONE,
        ),
        ("GET /\u{e4}\"<\\ HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "[::1]:443", "/\u{e4}\"<\\", "", NONE),
        ("GET / HTTP/1.0\r\n\r\n", "", "/", "", NONE),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "a", "*", "", NONE),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n", "a", "/", "", BodyLength::Known(7)),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n",
            "a",
            "/",
            "",
            BodyLength::Known(999_999_999_999_999_999),
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "a",
            "/",
            "",
            BodyLength::Chunked,
        ),
        ("GET http://A:1/x?y HTTP/1.1\r\nHost: a:1\r\n\r\n", "a:1", "/x", "y", NONE),
        ("GET HTTPS://a HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/", "", NONE),
        ("GET http://a?q HTTP/1.0\r\n\r\n", "a", "/", "q", NONE),
        ("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "a", "*", "", NONE),
    ] {
        read_with(head.as_bytes(), |read| {
            let read = read.unwrap_or_else(|fault| panic!("{head:?}: {fault}"));
            assert_eq!(read.len, head.len(), "{head:?}");
            assert_eq!(read.host, host.as_bytes(), "{head:?}");
            assert_eq!(read.path, path.as_bytes(), "{head:?}");
            assert_eq!(read.query, query.as_bytes(), "{head:?}");
            assert_eq!(read.body, body, "{head:?}");
        });
    }
}

#[test]
fn heads_with_two_readings_or_none_are_refused() {
    use Malformed as M;
    for (head, expected) in [
        ("GET / HTTP/1.1\nHost: a\n\n", M::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n", M::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\r\n b: folded\r\n\r\n", M::Syntax),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", M::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\r\nB: c\rd\r\n\r\n", M::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\r\nB: c\0d\r\n\r\n", M::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\r\nB\r\n\r\n", M::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", M::Syntax),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", M::Syntax),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", M::Syntax),
        ("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", M::Syntax),
        ("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", M::Syntax),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", M::Syntax),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", M::Syntax),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", M::Syntax),
        ("GET /\r\n\r\n", M::Syntax),
        ("GET / HTTP\r\nHost: a\r\n\r\n", M::Syntax),
        ("GET / HTTP/1.1\r\nHost: a\r\n", M::Syntax),
        ("", M::Syntax),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", M::Version),
        ("PRI * HTTP/2.0\r\n\r\n", M::Version),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", M::MethodName),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", M::Host),
        ("GET / HTTP/1.0\r\nHost:\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", M::Host),
        ("TRACK / HTTP/1.1\r\nHost: a\r\n\r\n", M::Method),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\n\r\n", M::Connection),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Real-IP\r\n\r\n", M::Connection),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n", M::Expect),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", M::Method),
        ("Trace / HTTP/1.1\r\nHost: a\r\n\r\n", M::Method),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", M::Method),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", M::Target),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", M::Target),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", M::Target),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", M::Target),
        ("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", M::Target),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", M::Host),
        ("GET http://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n", M::Host),
        ("GET http://a/ HTTP/1.1\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", M::Host),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: a b/c?d\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", M::Host),
        ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", M::Host),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", M::ContentLength),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", M::ContentLength),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", M::ContentLength),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", M::ContentLength),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n", M::ContentLength),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3.0\r\n\r\n", M::ContentLength),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", M::ContentLength),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000000\r\n\r\n", M::ContentLength),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", M::TransferCoding),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", M::TransferCoding),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", M::TransferCoding),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", M::Syntax),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", M::TransferEncoding),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", M::TransferEncoding),
        ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", M::TransferEncoding),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            M::TransferEncoding,
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            M::TransferEncoding,
        ),
        ("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", M::TransferEncoding),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-For\r\n\r\n", M::Connection),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: \"x\"\r\n\r\n", M::Connection),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: a,b,c,d,e\r\nConnection: f,g,h,i\r\n\r\n", M::Connection),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", M::Expect),
    ] {
        assert_eq!(fault(head), expected, "{head:?}");
    }
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "B: c\r\n".repeat(MAX_FIELDS));
    assert_eq!(fault(&many), Malformed::FieldCount);
}

#[test]
fn connections_stay_as_the_version_and_the_options_say() {
    for (head, persistent) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
    ] {
        assert_eq!(read_with(head.as_bytes(), |head| head.unwrap().persistent), persistent, "{head:?}");
    }
}

#[test]
fn upgrades_are_asked_for_by_both_fields_and_without_a_body() {
    for (head, upgrades) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", false),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n",
            false,
        ),
    ] {
        assert_eq!(read_with(head.as_bytes(), |head| head.unwrap().upgrades), upgrades, "{head:?}");
    }
}

#[test]
fn targets_are_found_in_every_form() {
    for (head, sent, target) in [
        ("GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n", "/x?y", "/x?y"),
        ("GET /? HTTP/1.1\r\nHost: a\r\n\r\n", "/?", "/?"),
        ("GET http://A:1/x?y HTTP/1.1\r\nHost: a:1\r\n\r\n", "http://A:1/x?y", "/x?y"),
        ("GET https://a HTTP/1.1\r\nHost: a\r\n\r\n", "https://a", "/"),
        ("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "http://a", "*"),
        ("GET http://a?q HTTP/1.0\r\n\r\n", "http://a?q", "/?q"),
    ] {
        read_with(head.as_bytes(), |read| {
            let read = read.unwrap();
            assert_eq!(&head[read.target_span.clone()], sent);
            assert_eq!(read.origin_form(), target.as_bytes(), "{head:?}");
        });
    }
}

proptest::proptest! {
    /// No input makes it panic, and what passes names one host and one length.
    #[test]
    fn reads_anything(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        read_with(&bytes, |head| drop(head));
    }

    #[test]
    fn reads_anything_that_looks_like_a_head(
        line in "[A-Z]{0,5} ?[ -~]{0,20} HTTP/[0-9].[0-9]",
        fields in proptest::collection::vec("(Host|Content-Length|Transfer-Encoding|Connection|Upgrade|X)[ -~]{0,20}", 0..6),
    ) {
        let head = format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n"));
        read_with(head.as_bytes(), |read| {
            if let Ok(read) = read {
                proptest::prop_assert!(read.fields.values("host").count() <= 1);
                proptest::prop_assert!(read.fields.values("content-length").count() + read.fields.values("transfer-encoding").count() <= 1);
                proptest::prop_assert!(head.as_bytes()[read.target_span.clone()].ends_with(read.query));
            }
            Ok(())
        })?;
    }
}
