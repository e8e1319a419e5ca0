//! The rules of streams and windows, and what becomes of who breaks them.

use crate::peer::*;
use weir_http2::frame::*;
use weir_http2::{Error, Flood, Options, Reason, Rejected};

fn rejected(peer: &Peer) -> Vec<Rejected> {
    peer.server.take_rejected().map(|(why, _)| why).collect()
}

#[test]
fn data_behind_the_end_is_an_error_of_the_stream() {
    let mut peer = Peer::new();
    let _held = peer.asked(1, true);
    peer.send(DATA, 0, 1, b"x").unwrap();
    assert_eq!(peer.reset_of(1), Some(Reason::STREAM_CLOSED));
    // Of a stream that is long over.
    let mut over = peer.asked(3, true);
    over.send_head(204, [], true).unwrap();
    drop(over);
    peer.sent();
    peer.send(DATA, 0, 3, b"x").unwrap();
    assert_eq!(peer.reset_of(3), Some(Reason::STREAM_CLOSED));
    assert_eq!(rejected(&peer), [Rejected::Closed]);
    // What may come late from an honest client.
    let mut over = peer.asked(5, true);
    over.send_head(204, [], true).unwrap();
    drop(over);
    peer.sent();
    peer.send(RST_STREAM, 0, 5, &[0; 4]).unwrap();
    peer.send(WINDOW_UPDATE, 0, 5, &[0, 0, 0, 1]).unwrap();
    peer.send(0x2, 0, 5, &[0; 5]).unwrap();
    assert_eq!(peer.sent(), []);
    // A second head.
    assert_eq!(peer.ask(5, true), Err(Error::Protocol(Reason::STREAM_CLOSED)));
}

#[test]
fn after_its_own_reset_a_client_is_silent() {
    for (kind, payload) in [(DATA, &b"x"[..]), (HEADERS, &[0x82])] {
        let mut peer = Peer::new();
        let _held = peer.asked(1, false);
        peer.send(RST_STREAM, 0, 1, &[0, 0, 0, 8]).unwrap();
        let sent = peer.send(kind, END_HEADERS, 1, payload);
        assert_eq!(sent, Err(Error::Protocol(Reason::STREAM_CLOSED)));
    }
}

#[test]
fn streams_are_numbered_upwards() {
    let mut peer = Peer::new();
    let _later = peer.asked(7, true);
    assert_eq!(peer.ask(5, true), Err(Error::Protocol(Reason::PROTOCOL_ERROR)), "passed over");
    let mut peer = Peer::new();
    for id in [1, 3] {
        peer.asked(id, true).send_head(204, [], true).unwrap();
    }
    assert_eq!(peer.ask(1, true), Err(Error::Protocol(Reason::STREAM_CLOSED)), "used and over");
}

#[test]
fn a_body_is_as_long_as_it_said() {
    for (length, data, ends) in [("5", &b"123456"[..], false), ("5", b"1234", true), ("0", b"1", false)] {
        let mut peer = Peer::new();
        let block = peer.block(&[&request("POST")[..], &[("content-length", length)]].concat());
        peer.send(HEADERS, END_HEADERS, 1, &block).unwrap();
        let _held = peer.taken();
        peer.send(DATA, if ends { END_STREAM } else { 0 }, 1, data).unwrap();
        assert_eq!(peer.reset_of(1), Some(Reason::PROTOCOL_ERROR), "{length} {data:?}");
    }
    let mut peer = Peer::new();
    let block = peer.block(&[&request("POST")[..], &[("content-length", "5")]].concat());
    peer.send(HEADERS, END_HEADERS, 1, &block).unwrap();
    let held = peer.taken();
    peer.send(DATA, PADDED, 1, &[2, b'1', b'2', 0, 0]).unwrap();
    peer.send(DATA, END_STREAM, 1, b"345").unwrap();
    assert_eq!(peer.sent(), []);
    assert!(!held.ended && !held.stream.is_body_read());
}

#[test]
fn more_than_the_window_is_an_error() {
    let options = Options { stream_window: 1000, connection_window: 65_535, ..OPTIONS };
    let mut peer = Peer::with(options, &[]);
    let _held = peer.asked(1, false);
    peer.send(DATA, 0, 1, &[0; 1000]).unwrap();
    peer.send(DATA, 0, 1, b"x").unwrap();
    assert_eq!(peer.reset_of(1), Some(Reason::FLOW_CONTROL_ERROR));
    assert_eq!(rejected(&peer), [Rejected::FlowControl]);
    // Padding counts.
    let _held = peer.asked(3, false);
    let padded = [&[255][..], &[0; 1000]].concat();
    peer.send(DATA, PADDED, 3, &padded).unwrap();
    assert_eq!(peer.reset_of(3), Some(Reason::FLOW_CONTROL_ERROR));
    // The connection's.
    let options = Options { stream_window: 1 << 20, connection_window: 65_535, ..OPTIONS };
    let mut peer = Peer::with(options, &[]);
    let _held = peer.asked(1, false);
    for _ in 0..4 {
        peer.send(DATA, 0, 1, &[0; 16_000]).unwrap();
    }
    let sent = peer.send(DATA, 0, 1, &[0; 1536]);
    assert_eq!(sent, Err(Error::Protocol(Reason::FLOW_CONTROL_ERROR)));
}

#[test]
fn a_window_update_of_nothing_or_too_much_is_an_error_of_its_stream() {
    let mut peer = Peer::new();
    let _held = peer.asked(1, true);
    peer.send(WINDOW_UPDATE, 0, 1, &[0; 4]).unwrap();
    assert_eq!(peer.reset_of(1), Some(Reason::PROTOCOL_ERROR));
    let _held = peer.asked(3, true);
    peer.send(WINDOW_UPDATE, 0, 3, &[0x7f, 0xff, 0xff, 0xff]).unwrap();
    assert_eq!(peer.reset_of(3), Some(Reason::FLOW_CONTROL_ERROR));
    // A window of settings that makes another too large is one of the connection.
    let _held = peer.asked(5, true);
    peer.send(WINDOW_UPDATE, 0, 5, &[0x40, 0, 0, 0]).unwrap();
    let sent = peer.send(SETTINGS, 0, 0, &pairs(&[(4, 0x7fff_ffff)]));
    assert_eq!(sent, Err(Error::Protocol(Reason::FLOW_CONTROL_ERROR)));
    // A short priority of a stream that is open.
    let mut peer = Peer::new();
    let _held = peer.asked(1, true);
    peer.send(0x2, 0, 1, &[0; 4]).unwrap();
    assert_eq!(peer.reset_of(1), Some(Reason::FRAME_SIZE_ERROR));
}

#[test]
fn streams_that_the_client_makes_us_reset_are_bounded() {
    let mut peer = Peer::new();
    let mut last = 0;
    let error = (0..).find_map(|n| {
        last = 2 * n + 1;
        peer.ask(last, true).err().or_else(|| {
            peer.server.accepted();
            let _held = peer.taken();
            peer.send(WINDOW_UPDATE, 0, last, &[0; 4]).err()
        })
    });
    assert_eq!((error, last), (Some(Error::Calm), 2 * 64 + 1));
    assert_eq!(peer.goodbye(), Some((last, Reason::ENHANCE_YOUR_CALM)));
}

#[test]
fn a_block_of_heads_has_an_end() {
    let mut peer = Peer::new();
    let block = peer.block(&request("GET"));
    peer.send(HEADERS, 0, 1, &block).unwrap();
    let error = (0..9).find_map(|_| peer.send(CONTINUATION, 0, 1, &[0; 16 << 10]).err());
    assert_eq!(error, Some(Error::Calm));
}

#[test]
fn floods_end_the_connection_under_their_names() {
    let empty_data = |peer: &mut Peer| {
        let _held = peer.asked(1, false);
        (0..99).find_map(|_| peer.send(DATA, 0, 1, &[]).err())
    };
    let padding = |peer: &mut Peer| {
        let _held = peer.asked(1, false);
        (0..99).find_map(|_| peer.send(DATA, PADDED, 1, &[8, 0, 0, 0, 0, 0, 0, 0, 0]).err())
    };
    let pings = |peer: &mut Peer| (0..99).find_map(|_| peer.send(PING, 0, 0, &[0; 8]).err());
    let rapid = |peer: &mut Peer| {
        (0..999).find_map(|n| {
            peer.ask(2 * n + 1, true).ok()?;
            peer.server.accepted();
            peer.send(RST_STREAM, 0, 2 * n + 1, &[0, 0, 0, 8]).err()
        })
    };
    type Wave = fn(&mut Peer) -> Option<Error>;
    let waves: [(Flood, Wave); 4] = [
        (Flood::EmptyData, empty_data),
        (Flood::EmptyData, padding),
        (Flood::Ping, pings),
        (Flood::Reset, rapid),
    ];
    for (flood, wave) in waves {
        let mut peer = Peer::new();
        assert_eq!(wave(&mut peer), Some(Error::Flood(flood)));
        assert_eq!(peer.goodbye().map(|(_, reason)| reason), Some(Reason::ENHANCE_YOUR_CALM));
    }
}
