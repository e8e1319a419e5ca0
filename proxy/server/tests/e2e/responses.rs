//! Responses that break a rule, through both lanes.

use crate::support::{Client, LANES, Origin, Reaction, case, ingress, run_cases};

const HEAD: &str = "HTTP/1.1 200 OK\r\n";

#[test]
fn responses_with_two_lengths_or_stray_bytes_in_their_fields_are_502() {
    run_cases(
        &[
            case("a list of lengths").answer(format!("{HEAD}Content-Length: 2, 2\r\n\r\nok")).gets(502, ""),
            case("an empty length").answer(format!("{HEAD}Content-Length:\r\n\r\nok")).gets(502, ""),
            case("a hexadecimal length").answer(format!("{HEAD}Content-Length: 0x2\r\n\r\nok")).gets(502, ""),
            case("a length beyond numbers")
                .answer(format!("{HEAD}Content-Length: 18446744073709551618\r\n\r\nok"))
                .gets(502, ""),
            case("two codings")
                .answer(format!(
                    "{HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                ))
                .gets(502, ""),
            case("a coding in HTTP/1.0")
                .answer("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                .gets(502, ""),
            case("a bare CR")
                .answer(format!("{HEAD}X: a\rSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok"))
                .gets(502, ""),
            case("a NUL").answer(format!("{HEAD}X: a\0b\r\nContent-Length: 2\r\n\r\nok")).gets(502, ""),
            case("a control byte")
                .answer(format!("{HEAD}X: a\x01b\r\nContent-Length: 2\r\n\r\nok"))
                .gets(502, ""),
            case("a name that is none")
                .answer(format!("{HEAD}X y: a\r\nContent-Length: 2\r\n\r\nok"))
                .gets(502, ""),
        ],
        &[],
    );
}

#[test]
fn responses_without_content_announce_none() {
    run_cases(
        &[
            case("204")
                .answer("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                .gets(204, "")
                .field("content-length", None),
            case("204 with a coding")
                .answer("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")
                .gets(204, "")
                .field("transfer-encoding", None),
        ],
        &[],
    );
}

#[test]
fn heads_of_responses_have_a_bound() {
    let fields = |n: usize| format!("{HEAD}{}Content-Length: 2\r\n\r\nok", "X: y\r\n".repeat(n - 1));
    let bytes = |n: usize| format!("{HEAD}X: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(n));
    run_cases(
        &[
            case("as many fields as there may be").answer(fields(128)),
            case("one more").answer(fields(129)).gets(502, ""),
            case("a large field").answer(bytes(15_000)),
            case("too large a field").answer(bytes(17_000)).gets(502, ""),
            case("far too large a field").answer(bytes(200_000)).gets(502, ""),
        ],
        &[],
    );
}

#[test]
fn interim_responses_are_passed_on_and_counted() {
    let early = |n: usize| {
        format!(
            "{}{HEAD}Content-Length: 2\r\n\r\nok",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(n)
        )
    };
    run_cases(&[case("as many as there may be").answer(early(32)).interim(&[103; 32])], &[]);
}

/// An origin that never comes to its final response.
#[test]
fn an_endless_stream_of_interim_responses_ends() {
    for lane in LANES {
        let origin = Origin::raw(|peer| {
            while peer.request().is_some() {
                while peer.write("HTTP/1.1 102 Processing\r\n\r\n") {}
            }
        });
        let weir = lane.start(&ingress("web", "", origin.address, &[("proxy-next-upstream", "off")]), &[]);
        let reply = Client::connect(weir.http).get("a.test", "/");
        assert_eq!(reply.status, 502, "{lane:?}");
        // Pingora drops those that it still holds.
        assert!(reply.interim.len() <= 32, "{lane:?}: {}", reply.interim.len());
    }
}

/// What an origin adds to a response must not become fields or a response of its own.
#[test]
fn lines_of_a_response_end_in_one_way_for_the_client() {
    for lane in LANES {
        let origin =
            Origin::start(|_| Reaction::Write(b"HTTP/1.1 200 OK\nX: y\nContent-Length: 2\n\nok".to_vec()));
        let weir = lane.start(&ingress("web", "", origin.address, &[]), &[]);
        let mut client = Client::connect(weir.http);
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let text = String::from_utf8(client.rest().unwrap()).unwrap();
        assert!(
            !text.replace("\r\n", "").contains(['\r', '\n']) || text.starts_with("HTTP/1.1 502 "),
            "{text:?}"
        );
    }
}
