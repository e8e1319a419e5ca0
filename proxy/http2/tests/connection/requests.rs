//! Requests in, responses out.

use crate::peer::*;
use std::task::Poll;
use weir_http2::frame::*;
use weir_http2::{Gone, Reason, Rejected};

#[test]
fn a_request_comes_with_its_head_and_its_response_goes_back() {
    let mut peer = Peer::new();
    let block =
        peer.block(&[&request("GET")[..], &[("x-one", "1"), ("cookie", "a=b"), ("x-one", "")]].concat());
    peer.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).unwrap();
    let mut asked = peer.taken();
    assert!(asked.ended && asked.stream.is_body_read() && !asked.head.is_cut());
    assert_eq!(asked.head.method(), b"GET");
    assert_eq!(asked.head.scheme(), Some(&b"https"[..]));
    assert_eq!(asked.head.path(), Some(&b"/"[..]));
    let fields: Vec<_> = asked.head.fields().collect();
    assert_eq!(fields, [(&b"x-one"[..], &b"1"[..]), (b"cookie", b"a=b"), (b"x-one", b"")]);
    assert!(peer.server.next_request().is_none());

    asked.stream.send_head(103, [(&b"Link"[..], &b"</x>"[..])], false).unwrap();
    asked.stream.send_head(200, [(&b"Content-Type"[..], &b"text/plain"[..])], false).unwrap();
    assert_eq!(asked.stream.send_head(200, [], false), Err(Gone::Over), "there is one head");
    assert_eq!(send(&mut asked.stream, b"hello", true), Poll::Ready(Ok(5)));
    assert_eq!(send(&mut asked.stream, b"more", true), Poll::Ready(Err(Gone::Over)));
    let sent = peer.sent();
    let kinds: Vec<_> = sent.iter().map(|sent| (sent.kind, sent.stream, sent.ends())).collect();
    assert_eq!(kinds, [(HEADERS, 1, false), (HEADERS, 1, false), (DATA, 1, true)]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(peer.fields(&sent[0].payload), [pair(":status", "103"), pair("link", "</x>")]);
    assert_eq!(peer.fields(&sent[1].payload), [pair(":status", "200"), pair("content-type", "text/plain")]);
    assert_eq!(sent[2].payload, b"hello");
    drop(asked);
    assert_eq!(peer.sent(), [], "a stream that has ended is not reset");
}

#[test]
fn trailers_end_a_response_and_those_of_a_request_its_body() {
    let mut peer = Peer::new();
    let mut stream = peer.asked(1, false);
    peer.send(DATA, 0, 1, b"body").unwrap();
    let trailers = peer.block(&[("grpc-timeout", "1S")]);
    peer.send(HEADERS, END_HEADERS | END_STREAM, 1, &trailers).unwrap();
    assert!(matches!(poll(|cx| stream.poll_body(cx)), Poll::Ready(Some(Ok(data))) if data == "body"));
    assert_eq!(poll(|cx| stream.poll_body(cx)), Poll::Ready(None));
    stream.send_head(200, [], false).unwrap();
    stream.send_trailers([(&b"grpc-status"[..], &b"0"[..])]).unwrap();
    let sent = peer.sent();
    assert!(sent[1].ends() && sent.len() == 2);
    peer.fields(&sent[0].payload);
    assert_eq!(peer.fields(&sent[1].payload), [("grpc-status".to_owned(), "0".to_owned())]);
    // Trailers that do not end anything, and such as are none.
    let wrong: [(u8, &[(&str, &str)]); 4] = [
        (0, &[("x", "1")]),
        (END_STREAM, &[(":path", "/")]),
        (END_STREAM, &[("te", "gzip")]),
        (END_STREAM, &[("x", "\n")]),
    ];
    for (n, (flags, fields)) in (1..).zip(wrong) {
        let id = 2 * n + 1;
        let _stream = peer.asked(id, false);
        let block = peer.block(fields);
        peer.send(HEADERS, END_HEADERS | flags, id, &block).unwrap();
        assert_eq!(peer.reset_of(id), Some(Reason::PROTOCOL_ERROR), "{fields:?}");
    }
}

#[test]
fn a_large_head_goes_in_pieces() {
    let mut peer = Peer::new();
    let mut stream = peer.asked(1, true);
    let value = vec![b'v'; 50_000];
    stream.send_head(200, [(&b"x"[..], &value[..])], true).unwrap();
    let sent = peer.sent();
    let kinds: Vec<_> = sent.iter().map(|sent| (sent.kind, sent.flags)).collect();
    let last = (CONTINUATION, END_HEADERS);
    assert_eq!(kinds, [(HEADERS, END_STREAM), (CONTINUATION, 0), (CONTINUATION, 0), last]);
    let block: Vec<u8> = sent.into_iter().flat_map(|sent| sent.payload).collect();
    assert_eq!(peer.fields(&block)[1].1.len(), 50_000);
}

#[test]
fn malformed_heads_are_errors_of_their_stream() {
    let plain = request("GET");
    let with = |more: &[(&'static str, &'static str)]| [&plain[..], more].concat();
    let without = |name: &str| plain.iter().copied().filter(|field| field.0 != name).collect::<Vec<_>>();
    let heads = [
        with(&[(":path", "/again")]),
        with(&[(":status", "200")]),
        with(&[(":protocol", "websocket")]),
        with(&[(":", "x")]),
        with(&[("", "x")]),
        with(&[("x y", "1")]),
        with(&[("x:y", "1")]),
        with(&[("x", "a\0b")]),
        with(&[("x", "a\r\nb: c")]),
        with(&[("x", "a\x7f")]),
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("keep-alive", "1")]),
        with(&[("proxy-connection", "close")]),
        with(&[("upgrade", "h2c")]),
        with(&[("te", "gzip")]),
        [&[("x", "1")][..], &plain].concat(),
        without(":method"),
        without(":scheme"),
        without(":path"),
        vec![(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "")],
        vec![(":method", "CONNECT"), (":scheme", "https"), (":authority", "a"), (":path", "/")],
        vec![(":method", "CONNECT")],
    ];
    for head in heads {
        let mut peer = Peer::new();
        let block = peer.block(&head);
        peer.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).unwrap();
        assert_eq!(peer.reset_of(1), Some(Reason::PROTOCOL_ERROR), "{head:?}");
        assert!(peer.server.next_request().is_none());
        assert_eq!(peer.server.take_rejected().collect::<Vec<_>>(), [(Rejected::Protocol, 1)]);
        peer.ask(3, true).unwrap();
        assert_eq!(peer.taken().head.method(), b"GET", "the connection goes on");
    }
    for head in [with(&[("te", "trailers")]), with(&[("x", "\t\u{e9}")]), without(":authority")] {
        let mut peer = Peer::new();
        let block = peer.block(&head);
        peer.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).unwrap();
        assert!(peer.server.next_request().is_some(), "{head:?}");
    }
    // A capital letter, which our encoder does not write.
    let mut peer = Peer::new();
    let mut block = peer.block(&plain);
    block.extend_from_slice(&[0, 1, b'X', 1, b'1']);
    peer.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).unwrap();
    assert_eq!(peer.reset_of(1), Some(Reason::PROTOCOL_ERROR));
}

#[test]
fn a_head_that_is_too_large_is_cut_and_the_next_is_read_well() {
    let mut peer = Peer::new();
    let value = "v".repeat(8100);
    let block = peer.block(&[&request("GET")[..], &[("a", &value), ("b", &value), ("c", "1")]].concat());
    let (first, second) = block.split_at(10_000);
    peer.send(HEADERS, END_STREAM, 1, first).unwrap();
    peer.send(CONTINUATION, END_HEADERS, 1, second).unwrap();
    let cut = peer.taken();
    assert!(cut.head.is_cut() && cut.head.authority() == Some(b"a.example"));
    peer.ask(3, true).unwrap();
    assert!(!peer.taken().head.is_cut());
}

#[test]
fn streams_beyond_the_bound_are_refused_until_one_ends() {
    let mut peer = Peer::with(weir_http2::Options { streams: 2, ..OPTIONS }, &[]);
    let mut first = peer.asked(1, true);
    let _second = peer.asked(3, false);
    peer.ask(5, true).unwrap();
    assert_eq!(peer.reset_of(5), Some(Reason::REFUSED_STREAM));
    assert_eq!(peer.server.take_rejected().collect::<Vec<_>>(), [(Rejected::Refused, 1)]);
    first.send_head(204, [], true).unwrap();
    let _third = peer.asked(7, true);
    peer.send(RST_STREAM, 0, 3, &[0, 0, 0, 8]).unwrap();
    let _fourth = peer.asked(9, true);
    peer.ask(11, true).unwrap();
    assert_eq!(peer.reset_of(11), Some(Reason::REFUSED_STREAM));
}

#[test]
fn a_stream_that_the_client_resets_is_gone_and_its_task_hears_of_it() {
    let mut peer = Peer::new();
    let mut stream = peer.asked(1, false);
    let (bell, waker) = Bell::new();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(stream.poll_body(&mut cx).is_pending() && stream.poll_gone(&mut cx).is_pending());
    peer.send(RST_STREAM, 0, 1, &[0, 0, 0, 8]).unwrap();
    assert_eq!(bell.rung(), 1);
    let gone = Gone::Reset(Reason::CANCEL);
    assert_eq!(stream.poll_gone(&mut cx), Poll::Ready(gone));
    assert_eq!(stream.poll_body(&mut cx), Poll::Ready(Some(Err(gone))));
    assert_eq!(stream.send_head(200, [], true), Err(gone));
    drop(stream);
    assert_eq!(peer.sent(), [], "nobody asks any more");
    // One that is reset before anybody took it up is taken up all the same, to be charged.
    peer.ask(3, true).unwrap();
    peer.send(RST_STREAM, 0, 3, &[0, 0, 0, 8]).unwrap();
    assert_eq!(peer.taken().stream.send_head(200, [], true), Err(gone));
}

#[test]
fn a_stream_that_is_dropped_is_reset() {
    let mut peer = Peer::new();
    drop(peer.asked(1, true));
    assert_eq!(peer.reset_of(1), Some(Reason::CANCEL));
    let mut answered = peer.asked(3, false);
    answered.send_head(200, [], true).unwrap();
    peer.sent();
    drop(answered);
    assert_eq!(peer.reset_of(3), Some(Reason::NO_ERROR), "the response is whole, and the rest is not wanted");
    let mut stream = peer.asked(5, true);
    stream.reset(Reason::INTERNAL_ERROR);
    assert_eq!(peer.reset_of(5), Some(Reason::INTERNAL_ERROR));
    drop(stream);
    assert_eq!(peer.sent(), [], "once");
    // What the client sent before it knew is put up with; what it sends to a stream that ended is not.
    for (kind, flags, payload) in
        [(DATA, 0, &b"late"[..]), (RST_STREAM, 0, &[0; 4]), (WINDOW_UPDATE, 0, &[0, 0, 0, 1])]
    {
        peer.send(kind, flags, 3, payload).unwrap();
    }
    assert_eq!(peer.sent(), []);
}

#[test]
fn the_connections_task_is_woken_when_a_stream_has_something_to_say() {
    let mut peer = Peer::new();
    let mut stream = peer.asked(1, true);
    let (bell, waker) = Bell::new();
    peer.server.watch(&std::task::Context::from_waker(&waker));
    stream.send_head(200, [], false).unwrap();
    assert_eq!(bell.rung(), 1);
    peer.server.watch(&std::task::Context::from_waker(&waker));
    drop(stream);
    assert!(bell.rung() >= 2);
}
