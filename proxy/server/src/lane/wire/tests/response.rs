use super::*;

#[test]
fn framing_follows_the_rfc() {
    use Framing::*;
    let get = Method::Get;
    for (response, asked, framing) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", get, Length(5)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", get, Length(0)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n",
            get,
            Length(999_999_999_999_999_999),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 05\r\n\r\n", get, Length(5)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", get, Chunked),
        ("HTTP/1.1 200 OK\r\n\r\n", get, Close),
        ("HTTP/1.1 200\r\n\r\n", get, Close),
        ("HTTP/1.1 200 \r\n\r\n", get, Close),
        ("HTTP/1.0 200 OK\r\nA: b\r\n\r\n", get, Close),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", get, Length(5)),
        ("HTTP/1.1 100 Continue\r\n\r\n", get, None),
        ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", get, None),
        ("HTTP/1.1 204 No Content\r\n\r\n", get, None),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", get, None),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", get, None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::Head, None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::Head, None),
        ("HTTP/1.1 200 OK\r\n\r\n", Method::Head, None),
        ("HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", get, Length(0)),
        ("HTTP/1.1 404 Nicht gefunden \u{e4}\r\nContent-Length: 1\r\n\r\n", Method::Options, Length(1)),
        ("HTTP/1.1 999 Odd\r\nContent-Length: 1\r\n\r\n", get, Length(1)),
    ] {
        let head = passed(response.as_bytes(), asked);
        assert_eq!(head.framing, framing, "{}", response.escape_debug());
        assert_eq!(head.head, response.len());
        assert_eq!(head.is_interim(), response.starts_with("HTTP/1.1 10"));
    }
}

#[test]
fn the_origin_connection_is_kept_when_both_sides_may() {
    use Persistence::*;
    for (version, fields, persistence) in [
        ("1.1", "Content-Length: 1\r\n", KeepAlive),
        ("1.1", "Content-Length: 1\r\nConnection: keep-alive\r\n", KeepAlive),
        ("1.1", "Content-Length: 1\r\nConnection: CLOSE\r\n", Close),
        ("1.1", "Content-Length: 1\r\nConnection: x-a ,, close\r\n", Close),
        ("1.1", "Content-Length: 1\r\nConnection: keep-alive\r\nConnection: close\r\n", Close),
        ("1.1", "Transfer-Encoding: chunked\r\n", KeepAlive),
        ("1.1", "", Close),
        ("1.1", "Connection: keep-alive\r\n", Close),
        ("1.0", "Content-Length: 1\r\n", Close),
        ("1.0", "Content-Length: 1\r\nConnection: Keep-Alive\r\n", KeepAlive),
        ("1.0", "Content-Length: 1\r\nConnection: Keep-Alive, close\r\n", Close),
    ] {
        let response = format!("HTTP/{version} 200 OK\r\n{fields}\r\n");
        assert_eq!(passed(response.as_bytes(), Method::Get).persistence, persistence, "{response}");
    }
}

/// The head as the client gets it, with nothing inserted.
fn edited(response: &str) -> String {
    let mut buffer = buffer_of(response.as_bytes());
    let head = passed(buffer.data(), Method::Get);
    let length = head.edits().apply(&mut buffer, &[]).unwrap();
    assert_eq!(length, head.edits().head_after(0));
    String::from_utf8(buffer.data()[..length].to_vec()).unwrap()
}

#[test]
fn what_was_meant_for_our_hop_does_not_reach_the_client() {
    let hop_by_hop = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private,\tx-other\r\nA: b\r\nKeep-Alive: timeout=5\r\n\
        x-private: 1\r\nX-Other: 2\r\nProxy-Connection: close\r\nTE: a\r\nUpgrade: h2,h2c\r\nX-Private: 3\r\n\
        Content-Length: 0\r\nTrailer: X\r\n\r\n";
    assert_eq!(edited(hop_by_hop), "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\nTrailer: X\r\n\r\n");
    let repeated =
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(edited(repeated), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\n\r\n");
}

#[test]
fn lengths_that_a_status_may_not_have_are_cut() {
    assert_eq!(
        edited("HTTP/1.1 204 X\r\nContent-Length: 5\r\nA: b\r\n\r\n"),
        "HTTP/1.1 204 X\r\nA: b\r\n\r\n"
    );
    assert_eq!(edited("HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n"), "HTTP/1.1 103 X\r\n\r\n");
    let not_modified = "HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(edited(not_modified), not_modified);
}

#[test]
fn our_version_is_sent() {
    assert_eq!(
        edited("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_closing_response_says_so() {
    let response = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
    let mut buffer = buffer_of(response);
    let head = passed(buffer.data(), Method::Get);
    head.edits().apply(&mut buffer, &[CONNECTION_CLOSE]).unwrap();
    assert_eq!(buffer.data(), b"HTTP/1.1 200 OK\r\nConnection: close\r\nA: b\r\n\r\nbody");
}

#[test]
fn the_bounds_are_exact() {
    assert_eq!(MAX_RESPONSE_FIELDS, 128);
    let fault = |data: &[u8]| match read_response(data, Method::Get) {
        ResponseReading::Bad(fault) => Some(fault),
        _ => None,
    };
    let with = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes();
    assert_eq!(
        passed(&with(&"A: b\r\n".repeat(MAX_RESPONSE_FIELDS)), Method::Get).fields,
        MAX_RESPONSE_FIELDS
    );
    assert_eq!(fault(&with(&"A: b\r\n".repeat(MAX_RESPONSE_FIELDS + 1))), Some(Fault::FieldCount));
    // Ranges to cut: neighbours count as one.
    let separate = "TE: a\r\nA: b\r\n";
    assert_eq!(fault(&with(&separate.repeat(32))), None);
    assert_eq!(fault(&with(&separate.repeat(33))), Some(Fault::HopByHop));
    assert_eq!(fault(&with(&"TE: a\r\n".repeat(100))), None);
    // Names in Connection.
    let naming = |n: usize| with(&format!("Connection: close{}\r\n", ", a".repeat(n)));
    assert_eq!(fault(&naming(16)), None);
    assert_eq!(fault(&naming(17)), Some(Fault::Connection));
    // Size.
    let sized = |size: usize| with(&format!("A: {}\r\n", "b".repeat(size - with("A: \r\n").len())));
    assert_eq!(passed(&sized(CAP), Method::Get).head, CAP);
    assert_eq!(fault(&sized(CAP + 1)), Some(Fault::HeadSize));
    assert_eq!(fault(&sized(CAP)[..CAP - 1]), None);
    // Digits of a length.
    assert_eq!(fault(&with(&format!("Content-Length: {}\r\n", "9".repeat(18)))), None);
    assert_eq!(fault(&with(&format!("Content-Length: {}\r\n", "9".repeat(19)))), Some(Fault::ContentLength));
}

#[test]
fn values_are_found_by_name() {
    let data = b"HTTP/1.1 503 X\r\nRetry-After: 7\r\n\r\nRetry-After: 8\r\n";
    let head = passed(data, Method::Get);
    assert_eq!(head.values(data, "retry-after").collect::<Vec<_>>(), [b"7"]);
}

#[test]
fn faults_have_names_of_their_own() {
    let mut names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Fault::ALL.len());
}
