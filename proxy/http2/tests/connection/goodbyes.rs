//! How a connection ends.

use crate::peer::*;
use weir_http2::frame::*;
use weir_http2::{Gone, Reason};

#[test]
fn who_is_told_to_leave_may_finish_what_it_had_begun_before_it_knew() {
    let mut peer = Peer::new();
    let mut first = peer.asked(1, true);
    peer.server.leave();
    let sent = peer.sent();
    assert_eq!((sent[0].kind, sent[0].number()), (GOAWAY, 0x7fff_ffff));
    assert_eq!((sent[1].kind, sent[1].flags), (PING, 0));
    peer.server.leave();
    assert_eq!(peer.sent(), [], "once");
    // Under way when the goodbye was said.
    let mut second = peer.asked(3, true);
    peer.send(PING, ACK, 0, &sent[1].payload).unwrap();
    assert_eq!(peer.goodbye(), Some((3, Reason::NO_ERROR)));
    // Asked by one who knows: not looked at, and no error either.
    peer.ask(5, false).unwrap();
    peer.send(DATA, END_STREAM, 5, b"x").unwrap();
    assert!(peer.server.next_request().is_none());
    assert_eq!(peer.sent(), []);
    for stream in [&mut first, &mut second] {
        assert!(!peer.server.is_over());
        stream.send_head(204, [], true).unwrap();
    }
    drop((first, second));
    assert!(!peer.server.is_over(), "what was said is not written");
    peer.sent();
    assert!(peer.server.is_over());
}

#[test]
fn a_client_that_leaves_is_served_to_its_end() {
    let mut peer = Peer::new();
    let mut stream = peer.asked(1, true);
    peer.send(GOAWAY, 0, 0, &[0; 8]).unwrap();
    assert!(!peer.server.is_over());
    stream.send_head(204, [], true).unwrap();
    drop(stream);
    peer.sent();
    assert!(peer.server.is_over());
}

#[test]
fn with_the_last_word_all_streams_are_gone() {
    let mut peer = Peer::new();
    let mut stream = peer.asked(1, true);
    let (bell, waker) = Bell::new();
    assert!(stream.poll_gone(&mut std::task::Context::from_waker(&waker)).is_pending());
    peer.server.end(Reason::ENHANCE_YOUR_CALM);
    assert_eq!((bell.rung(), poll(|cx| stream.poll_gone(cx))), (1, std::task::Poll::Ready(Gone::Over)));
    assert_eq!(peer.goodbye(), Some((1, Reason::ENHANCE_YOUR_CALM)));
    peer.server.end(Reason::NO_ERROR);
    drop(stream);
    peer.ask(3, true).unwrap();
    assert_eq!((peer.sent(), peer.server.next_request().is_none()), (vec![], true));
    assert!(!peer.server.wants_input() && peer.server.is_over());
}

#[test]
fn streams_that_outlive_their_connection_are_gone() {
    let mut peer = Peer::new();
    let mut stream = peer.asked(1, true);
    drop(peer);
    assert_eq!(stream.send_head(200, [], true), Err(Gone::Over));
}
