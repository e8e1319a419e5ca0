//! Windows: who may send how much, both ways.

use crate::peer::*;
use bytes::Bytes;
use std::task::{Context, Poll};
use weir_http2::connection::OUTPUT_MOST;
use weir_http2::frame::*;
use weir_http2::{Gone, Options, Reason, Stream};

fn read(stream: &mut Stream) -> Bytes {
    match poll(|cx| stream.poll_body(cx)) {
        Poll::Ready(Some(Ok(data))) => data,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_is_read_as_it_comes_however_it_is_cut() {
    let mut peer = Peer::new();
    let mut stream = peer.asked(1, false);
    let frames = [bytes(DATA, 0, 1, b"abc"), bytes(DATA, PADDED | END_STREAM, 1, b"\x02defPP")].concat();
    let mut got = Vec::new();
    for byte in &frames {
        peer.server.receive(&[*byte], T0).unwrap();
        if let Poll::Ready(Some(Ok(data))) = poll(|cx| stream.poll_body(cx)) {
            got.extend_from_slice(&data);
        }
    }
    assert_eq!(got, b"abcdef");
    assert!(stream.is_body_read());
    assert_eq!(poll(|cx| stream.poll_body(cx)), Poll::Ready(None));
}

#[test]
fn the_client_may_send_more_when_what_it_sent_is_released() {
    let options = Options { stream_window: 4000, connection_window: 65_535, ..OPTIONS };
    let mut peer = Peer::with(options, &[]);
    let mut stream = peer.asked(1, false);
    peer.send(DATA, 0, 1, &[0; 3000]).unwrap();
    assert_eq!(read(&mut stream).len(), 3000);
    assert_eq!(peer.sent(), []);
    stream.release(1999);
    assert_eq!(peer.sent(), []);
    stream.release(1);
    let more = |stream, bytes: u32| Sent {
        kind: WINDOW_UPDATE,
        flags: 0,
        stream,
        payload: bytes.to_be_bytes().into(),
    };
    assert_eq!(peer.answer(), more(1, 2000));
    stream.release(1_000_000);
    assert_eq!(peer.sent(), [], "no more than was held is released");
    // The connection's window: half of it at once.
    let mut total = 3000_u32;
    while total < 32_768 {
        peer.send(DATA, 0, 1, &[0; 1000]).unwrap();
        let length = read(&mut stream).len();
        stream.release(length);
        total += 1000;
    }
    let told: Vec<_> = peer.sent().into_iter().filter(|sent| sent.stream == 0).collect();
    assert_eq!(told, [more(0, 33_000)]);
}

#[test]
fn what_nobody_reads_gives_its_room_back() {
    let options = Options { stream_window: 40_000, connection_window: 65_535, ..OPTIONS };
    let mut peer = Peer::with(options, &[]);
    // Dropped unread, and sent when it was reset already; padding; of 1000 bytes each 10 times.
    for n in 0..40 {
        let id = 2 * n + 1;
        let stream = peer.asked(id, false);
        peer.send(DATA, PADDED, id, &[&[99][..], &[0; 999]].concat()).unwrap();
        drop(stream);
        peer.send(DATA, 0, id, &[0; 1000]).unwrap();
        peer.server.accepted();
    }
    let told: u32 = peer
        .sent()
        .iter()
        .filter(|sent| (sent.kind, sent.stream) == (WINDOW_UPDATE, 0))
        .map(Sent::number)
        .sum();
    assert!((80_000 - 32_768..=80_000).contains(&told), "{told}");
}

#[test]
fn a_client_is_starved_while_other_streams_hold_its_window_and_what_it_began_is_here() {
    let options = Options { stream_window: 65_535, connection_window: 65_535, ..OPTIONS };
    let mut peer = Peer::with(options, &[]);
    let mut holding = peer.asked(1, false);
    let waiting = peer.asked(3, false);
    for _ in 0..3 {
        peer.send(DATA, 0, 1, &[0; 16_384]).unwrap();
    }
    assert!(!waiting.is_starved());
    let last = bytes(DATA, PADDED, 1, &[&[77][..], &[0; 16_382]].concat());
    let (begin, end) = last.split_at(10_000);
    peer.server.receive(begin, T0).unwrap();
    assert!(!waiting.is_starved(), "the client has more to say");
    peer.server.receive(end, T0).unwrap();
    assert!(waiting.is_starved());
    let length = read(&mut holding).len();
    holding.release(length);
    assert!(!waiting.is_starved());
}

#[test]
fn we_send_no_more_than_both_windows_allow() {
    let mut peer = Peer::with(OPTIONS, &[(4, 10)]);
    let mut stream = peer.asked(1, true);
    stream.send_head(200, [], false).unwrap();
    assert_eq!(send(&mut stream, b"0123456789abcdef", true), Poll::Ready(Ok(10)));
    let (bell, waker) = Bell::new();
    let mut cx = Context::from_waker(&waker);
    assert!(stream.poll_send(b"abcdef", true, &mut cx).is_pending());
    assert!(!peer.sent().iter().any(Sent::ends));
    peer.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 2]).unwrap();
    assert_eq!(bell.rung(), 1);
    assert_eq!(stream.poll_send(b"abcdef", true, &mut cx), Poll::Ready(Ok(2)));
    // A smaller window of settings may be one below nothing.
    peer.send(SETTINGS, 0, 0, &pairs(&[(4, 0)])).unwrap();
    peer.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 10]).unwrap();
    assert!(stream.poll_send(b"cdef", true, &mut cx).is_pending());
    peer.send(SETTINGS, 0, 0, &pairs(&[(4, 100)])).unwrap();
    assert_eq!(stream.poll_send(b"cdef", true, &mut cx), Poll::Ready(Ok(4)));
    assert!(peer.sent().last().unwrap().ends());
    // The end alone needs no window.
    peer.send(SETTINGS, 0, 0, &pairs(&[(4, 0)])).unwrap();
    let mut stream = peer.asked(3, true);
    stream.send_head(200, [], false).unwrap();
    assert_eq!(send(&mut stream, b"", true), Poll::Ready(Ok(0)));
    assert!(peer.sent().last().unwrap().ends());
}

#[test]
fn the_windows_of_the_connection_are_shared_in_turn() {
    let mut peer = Peer::with(OPTIONS, &[(4, 1 << 20)]);
    let mut streams: Vec<_> = (0..3).map(|n| peer.asked(2 * n + 1, true)).collect();
    streams.iter_mut().for_each(|stream| stream.send_head(200, [], false).unwrap());
    peer.sent();
    assert_eq!(send(&mut streams[0], &[0; 70_000], true), Poll::Ready(Ok(65_535)), "all of the first window");
    peer.sent();
    let (bell, waker) = Bell::new();
    let mut cx = Context::from_waker(&waker);
    for stream in &mut streams {
        assert!(stream.poll_send(&[0; 10], true, &mut cx).is_pending());
    }
    peer.send(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 20]).unwrap();
    assert_eq!(bell.rung(), 3, "all that wait look again");
    let sent: Vec<_> = streams.iter_mut().map(|stream| stream.poll_send(&[0; 10], true, &mut cx)).collect();
    assert_eq!(sent, [Poll::Ready(Ok(10)), Poll::Ready(Ok(10)), Poll::Pending]);
}

#[test]
fn what_the_client_does_not_read_is_bounded() {
    let mut peer = Peer::with(OPTIONS, &[(4, 0x7fff_ffff)]);
    peer.send(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]).unwrap();
    let mut stream = peer.asked(1, true);
    stream.send_head(200, [], false).unwrap();
    let mut queued = 0;
    while let Poll::Ready(sent) = send(&mut stream, &[0; 100_000], false) {
        queued += sent.unwrap();
    }
    assert!(queued <= OUTPUT_MOST, "{queued}");
    assert!(peer.server.wants_input(), "the client may still say that it goes");
    // Answers to what it sends meanwhile.
    let mut pings = 0;
    while peer.server.wants_input() && pings < 5000 {
        let _ = send(&mut stream, &[], false);
        peer.send(PING, 0, 0, &[0; 8]).unwrap_or(());
        pings += 1;
    }
    assert!(pings <= 5000);
    let waiting: usize = peer.sent().iter().map(|sent| sent.payload.len() + 9).sum();
    assert!(waiting < 3 * OUTPUT_MOST);
    assert!(send(&mut stream, b"more", false).is_ready() || !peer.server.wants_input());
}

#[test]
fn a_last_word_is_sent_as_there_is_room_though_nobody_waits() {
    let mut peer = Peer::with(OPTIONS, &[(4, 3)]);
    let mut stream = peer.asked(1, true);
    stream.send_head(429, [], false).unwrap();
    stream.send_last(b"too many".to_vec()).unwrap();
    assert_eq!(stream.send_last(b"again".to_vec()), Err(Gone::Over));
    drop(stream);
    let said = |peer: &Peer| -> (Vec<u8>, bool) {
        let sent = peer.sent();
        let data = sent.iter().filter(|sent| sent.kind == DATA);
        (data.flat_map(|sent| sent.payload.clone()).collect(), sent.iter().any(Sent::ends))
    };
    assert_eq!(said(&peer), (b"too".to_vec(), false));
    peer.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 4]).unwrap();
    assert_eq!(said(&peer), (b" man".to_vec(), false));
    peer.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 4]).unwrap();
    assert_eq!(said(&peer), (b"y".to_vec(), true));
    peer.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 4]).unwrap();
    assert_eq!(peer.sent(), []);
    // It counts as a stream until it has ended, and ends with the client's reset.
    let mut peer = Peer::with(Options { streams: 1, ..OPTIONS }, &[(4, 0)]);
    let mut stream = peer.asked(1, true);
    stream.send_head(429, [], false).unwrap();
    stream.send_last(b"too many".to_vec()).unwrap();
    drop(stream);
    peer.ask(3, true).unwrap();
    assert_eq!(peer.reset_of(3), Some(Reason::REFUSED_STREAM));
    peer.send(RST_STREAM, 0, 1, &[0, 0, 0, 8]).unwrap();
    peer.ask(5, true).unwrap();
    assert!(peer.server.next_request().is_some());
}
