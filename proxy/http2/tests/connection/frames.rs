//! Frames that RFC 9113 does not allow, each with the answer that it asks for.

use crate::peer::*;
use weir_http2::frame::*;
use weir_http2::{Error, Reason};

#[test]
fn the_beginning_says_what_we_take() {
    let peer = Peer::silent(OPTIONS);
    let sent = peer.sent();
    let settings = pairs(&[(3, 100), (4, 128 << 10), (6, 16 << 10)]);
    assert_eq!(sent[0], Sent { kind: SETTINGS, flags: 0, stream: 0, payload: settings });
    let more = (512 << 10) - 65_535_u32;
    assert_eq!(
        sent[1],
        Sent { kind: WINDOW_UPDATE, flags: 0, stream: 0, payload: more.to_be_bytes().into() }
    );
    assert_eq!(sent.len(), 2);
    assert!(!peer.server.has_begun());
    for byte in PREFACE {
        peer.server.receive(&[*byte], T0).unwrap();
    }
    assert!(peer.server.has_begun());
    peer.send(SETTINGS, 0, 0, &[]).unwrap();
    assert_eq!(peer.answer(), Sent { kind: SETTINGS, flags: ACK, stream: 0, payload: vec![] });
}

#[test]
fn what_does_not_begin_as_http_2_is_none() {
    for wrong in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nXX"] {
        let peer = Peer::silent(OPTIONS);
        assert_eq!(peer.server.receive(wrong, T0), Err(Error::Protocol(Reason::PROTOCOL_ERROR)));
        assert_eq!(peer.goodbye(), Some((0, Reason::PROTOCOL_ERROR)));
    }
    // Settings come first, and they are the client's own.
    for (kind, flags) in [(PING, 0), (SETTINGS, ACK), (WINDOW_UPDATE, 0)] {
        let peer = Peer::silent(OPTIONS);
        peer.server.receive(PREFACE, T0).unwrap();
        assert_eq!(peer.send(kind, flags, 0, &[]), Err(Error::Protocol(Reason::PROTOCOL_ERROR)));
    }
}

#[test]
fn a_broken_frame_ends_the_connection_with_its_reason() {
    const PROTOCOL: Reason = Reason::PROTOCOL_ERROR;
    const SIZE: Reason = Reason::FRAME_SIZE_ERROR;
    const FLOW: Reason = Reason::FLOW_CONTROL_ERROR;
    let priority = 0x2;
    let push = 0x5;
    // Stream 1 is open, all others are idle.
    type Case = (&'static str, u8, u8, u32, &'static [u8], Reason);
    let cases: &[Case] = &[
        ("data on the connection", DATA, 0, 0, b"x", PROTOCOL),
        ("data on an idle stream", DATA, 0, 3, b"x", PROTOCOL),
        ("data on a stream of the server", DATA, 0, 2, b"x", PROTOCOL),
        ("data with more padding than bytes", DATA, PADDED, 1, &[2, 0], PROTOCOL),
        ("padded data without a length", DATA, PADDED, 1, &[], SIZE),
        ("headers on the connection", HEADERS, END_HEADERS, 0, &[0x82], PROTOCOL),
        ("headers on a stream of the server", HEADERS, END_HEADERS, 2, &[0x82], PROTOCOL),
        ("headers with more padding than bytes", HEADERS, END_HEADERS | PADDED, 3, &[9, 0x82], PROTOCOL),
        ("headers that end in their priority", HEADERS, END_HEADERS | PRIORITY, 3, &[0, 0, 0], PROTOCOL),
        ("a block that cannot be read", HEADERS, END_HEADERS, 3, &[0x80], Reason::COMPRESSION_ERROR),
        ("a continuation of nothing", CONTINUATION, END_HEADERS, 1, &[0x82], PROTOCOL),
        ("a priority on the connection", priority, 0, 0, &[0; 5], PROTOCOL),
        ("a short priority of an idle stream", priority, 0, 3, &[0; 4], SIZE),
        ("a reset of the connection", RST_STREAM, 0, 0, &[0; 4], PROTOCOL),
        ("a reset of an idle stream", RST_STREAM, 0, 3, &[0; 4], PROTOCOL),
        ("a short reset", RST_STREAM, 0, 1, &[0; 3], SIZE),
        ("settings of a stream", SETTINGS, 0, 1, &[], PROTOCOL),
        ("settings of an odd length", SETTINGS, 0, 0, &[0; 7], SIZE),
        ("an answer to settings that says something", SETTINGS, ACK, 0, &[0; 6], SIZE),
        ("a push that is neither on nor off", SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2], PROTOCOL),
        ("a window beyond the largest", SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0], FLOW),
        ("frames below the smallest", SETTINGS, 0, 0, &[0, 5, 0, 0, 0x3f, 0xff], PROTOCOL),
        ("frames beyond the largest", SETTINGS, 0, 0, &[0, 5, 1, 0, 0, 0], PROTOCOL),
        ("a push by the client", push, END_HEADERS, 1, &[0, 0, 0, 2, 0x82], PROTOCOL),
        ("a ping of a stream", PING, 0, 1, &[0; 8], PROTOCOL),
        ("a short ping", PING, 0, 0, &[0; 7], SIZE),
        ("a goodbye of a stream", GOAWAY, 0, 1, &[0; 8], PROTOCOL),
        ("a short goodbye", GOAWAY, 0, 0, &[0; 7], SIZE),
        ("a short window update", WINDOW_UPDATE, 0, 0, &[0; 3], SIZE),
        ("a window update of nothing", WINDOW_UPDATE, 0, 0, &[0; 4], PROTOCOL),
        ("a window update of an idle stream", WINDOW_UPDATE, 0, 3, &[0, 0, 0, 1], PROTOCOL),
        ("more window than there can be", WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff], FLOW),
    ];
    for (what, kind, flags, stream, payload, reason) in cases {
        let mut peer = Peer::new();
        let _held = peer.asked(1, false);
        assert_eq!(peer.send(*kind, *flags, *stream, payload), Err(Error::Protocol(*reason)), "{what}");
        assert_eq!(peer.goodbye(), Some((1, *reason)), "{what}");
        assert_eq!(peer.send(PING, 0, 0, &[0; 8]), Ok(()), "{what}: nothing more is looked at");
        assert_eq!(peer.sent(), [], "{what}");
    }
    let peer = Peer::new();
    assert_eq!(peer.send(0x77, 0, 0, &[0; 16_385]), Err(Error::Protocol(SIZE)));
}

#[test]
fn what_says_nothing_to_us_is_passed_over() {
    let mut peer = Peer::new();
    let mut held = peer.asked(1, false);
    for (kind, flags, stream, payload) in [
        (0x77, 0xff, 5, &[1; 16_384][..]),
        (0x2, 0, 1, &[0, 0, 0, 1, 0]),
        (0x2, 0, 99, &[0; 5]),
        (SETTINGS, ACK, 0, &[]),
        (PING, ACK, 0, &[0; 8]),
    ] {
        peer.send(kind, flags, stream, payload).unwrap();
    }
    // Settings that nobody knows, and such as need nothing.
    peer.send(SETTINGS, 0, 0, &pairs(&[(1, 0), (2, 0), (3, 0), (6, 1), (0xbeef, 7)])).unwrap();
    assert_eq!(peer.answer().flags, ACK);
    // The reserved bit.
    peer.send(DATA, END_STREAM, 1 | 1 << 31, b"x").unwrap();
    assert!(poll(|cx| held.poll_body(cx)).is_ready());
}

#[test]
fn pings_are_answered_with_what_they_say() {
    let peer = Peer::new();
    peer.send(PING, 0, 0, b"whatever").unwrap();
    assert_eq!(peer.answer(), Sent { kind: PING, flags: ACK, stream: 0, payload: b"whatever".into() });
}

#[test]
fn padding_and_priority_are_no_part_of_a_head() {
    let mut peer = Peer::new();
    let block = peer.block(&request("GET"));
    let payload = [&[3, 0, 0, 0, 0, 7][..], &block, &[0; 3]].concat();
    peer.send(HEADERS, END_HEADERS | END_STREAM | PADDED | PRIORITY, 1, &payload).unwrap();
    assert_eq!(peer.taken().head.authority(), Some(&b"a.example"[..]));
}

#[test]
fn a_head_is_told_of_from_its_first_byte_to_its_last() {
    let mut peer = Peer::new();
    let block = peer.block(&request("GET"));
    let (first, rest) = block.split_at(5);
    let (second, third) = rest.split_at(0);
    let head = [
        bytes(HEADERS, END_STREAM, 1, first),
        bytes(CONTINUATION, 0, 1, second),
        bytes(CONTINUATION, END_HEADERS, 1, third),
    ]
    .concat();
    let mut seen = Vec::new();
    for byte in &head {
        peer.server.receive(&[*byte], T0).unwrap();
        seen.push(peer.server.is_in_head());
    }
    let inside = seen.iter().position(|inside| *inside).unwrap();
    assert_eq!(inside, 8, "since its header is known");
    assert!(seen[inside..head.len() - 1].iter().all(|inside| *inside));
    assert!(!seen[head.len() - 1]);
    assert_eq!(peer.taken().head.method(), b"GET");
    // Nothing comes between.
    for (kind, stream) in [(PING, 0), (DATA, 1), (CONTINUATION, 3), (HEADERS, 5)] {
        let mut peer = Peer::new();
        let block = peer.block(&request("GET"));
        peer.send(HEADERS, 0, 1, &block).unwrap();
        assert_eq!(peer.send(kind, 0, stream, &[0; 8]), Err(Error::Protocol(Reason::PROTOCOL_ERROR)));
    }
}
