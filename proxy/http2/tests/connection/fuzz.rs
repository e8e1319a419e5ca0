//! Garbage: nothing panics, nothing grows, and it does not matter how bytes are cut.

use crate::peer::*;
use fastrand::Rng;
use proptest::prelude::*;
use std::task::Poll;
use weir_http2::connection::OUTPUT_MOST;
use weir_http2::frame::*;
use weir_http2::{Connection, Error, Options, Stream};

/// Frames of a client that is nearly right.
fn traffic(random: &mut Rng) -> Vec<u8> {
    let mut peer = Peer::new();
    let mut all = Vec::new();
    let mut next = 1;
    for _ in 0..random.usize(1..40) {
        let some: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
        let (mut stream, mut kind) = (random.u32(..6).min(next / 2) * 2 + 1, HEADERS);
        let (flags, payload) = match random.u8(..14) {
            0..=5 => {
                (stream, next) = (next, next + 2);
                let names = ["x", "cookie", "content-length", "te", "x-long-name", "host"];
                let mut fields = request(if random.bool() { "GET" } else { "POST" }).to_vec();
                (0..random.usize(..3)).for_each(|_| fields.push((names[random.usize(..6)], "12")));
                let block = peer.block(&fields);
                match random.u8(..4) {
                    0 => (0xd, [&[0][..], &block].concat()),
                    1 => (0x24, [&[0; 5][..], &block].concat()),
                    2 => (0x5, block),
                    _ => (0x4, block),
                }
            }
            6..=8 => {
                kind = DATA;
                (random.choice([0, 1, 0]).unwrap(), some)
            }
            9 => {
                kind = WINDOW_UPDATE;
                stream = if random.bool() { 0 } else { stream };
                (0, random.u32(..70_000).to_be_bytes().to_vec())
            }
            10 => {
                (kind, stream) = (SETTINGS, 0);
                (0, pairs(&[(random.choice([1, 3, 4, 6, 9]).unwrap(), random.u32(..70_000))]))
            }
            11 => {
                kind = RST_STREAM;
                (0, vec![0, 0, 0, 8])
            }
            12 => {
                (kind, stream) = (PING, 0);
                (random.u8(..2), vec![7; 8])
            }
            _ if random.u8(..8) == 0 => {
                (kind, stream) = (random.u8(..), random.u32(..9));
                (random.u8(..), some)
            }
            _ => {
                kind = 0x2;
                (0, vec![0; 5])
            }
        };
        all.extend_from_slice(&bytes(kind, flags, stream, &payload));
    }
    if random.u8(..9) == 0 {
        let at = random.usize(..all.len());
        all[at] = random.u8(..);
    }
    all
}

/// Bytes sent, the error that ended it, methods and paths of requests.
type Served = (Vec<u8>, Option<Error>, Vec<(Vec<u8>, Vec<u8>)>);

/// What a server that always answers the same makes of `pieces`: what it sends, and how it ends.
fn serve<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Served {
    let server = Connection::new(OPTIONS, T0);
    let (mut sent, mut ended, mut asked) = (Vec::new(), None, Vec::new());
    for piece in pieces {
        ended = ended.or_else(|| server.receive(piece, T0).err());
    }
    let mut streams: Vec<Stream> = Vec::new();
    while let Some(request) = server.next_request() {
        server.accepted();
        let path = request.head.path().unwrap_or_default().to_vec();
        asked.push((request.head.method().to_vec(), path));
        streams.push(request.stream);
    }
    for mut stream in streams {
        while let Poll::Ready(Some(Ok(data))) = poll(|cx| stream.poll_body(cx)) {
            stream.release(data.len());
        }
        if stream.send_head(200, [(&b"x"[..], &b"1"[..])], false).is_ok() {
            let _ = send(&mut stream, b"hello", true);
        }
    }
    while server
        .write(|bytes| {
            sent.extend_from_slice(bytes);
            (bytes.len(), ())
        })
        .is_some()
    {}
    (sent, ended, asked)
}

#[test]
fn it_does_not_matter_how_bytes_are_cut_and_what_is_sent_is_whole() {
    let seed = std::env::var("WEIR_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Rng::with_seed(seed);
    let mut answered = 0;
    for round in 0..4000 {
        let begin = [PREFACE, &bytes(SETTINGS, 0, 0, &[])].concat();
        let all = [begin, traffic(&mut random)].concat();
        let whole = serve([&all[..]]);
        let bytewise = serve(all.chunks(1));
        assert_eq!(whole, bytewise, "round {round} of seed {seed}");
        let cut = random.usize(1..50);
        assert_eq!(whole, serve(all.chunks(cut)), "round {round} of seed {seed}, pieces of {cut}");
        let frames = split(&whole.0);
        answered += frames.iter().filter(|sent| sent.kind == DATA).count();
        assert_eq!(whole.1.is_some(), frames.iter().any(|sent| sent.kind == GOAWAY), "round {round}");
    }
    assert!(answered > 2000, "{answered}: it is not all garbage");
}

#[test]
fn garbage_never_panics() {
    let mut random = Rng::with_seed(7);
    for _ in 0..3000 {
        let server = Connection::new(OPTIONS, T0);
        let _ = server.receive(PREFACE, T0);
        let _ = server.receive(&bytes(SETTINGS, 0, 0, &[]), T0);
        let garbage: Vec<u8> = (0..random.usize(..300)).map(|_| random.u8(..)).collect();
        let _ = server.receive(&garbage, T0);
        while let Some(request) = server.next_request() {
            drop(request);
        }
    }
}

/// A step of a client and a server that obey.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Upload(usize, u16),
    Read(usize),
    Respond(usize, u16),
    Room(usize, u16),
    Written(u16),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Open),
        4 => (0..6_usize, any::<u16>()).prop_map(|(n, bytes)| Step::Upload(n, bytes)),
        4 => (0..6_usize).prop_map(Step::Read),
        4 => (0..6_usize, any::<u16>()).prop_map(|(n, bytes)| Step::Respond(n, bytes)),
        3 => (0..7_usize, 1..u16::MAX).prop_map(|(n, bytes)| Step::Room(n, bytes)),
        3 => any::<u16>().prop_map(Step::Written),
        1 => (0..6_usize).prop_map(Step::Drop),
    ]
}

proptest! {
    /// Both sides keep to windows that a model counts: the server never sends more than it may, and a client that uses
    /// all it was given is never told that it sent too much, and gets all of it back in the end.
    #[test]
    fn windows_are_kept(steps in prop::collection::vec(step(), 1..200)) {
        let options = Options { stream_window: 30_000, connection_window: 70_000, ..OPTIONS };
        let mut peer = Peer::with(options, &[(4, 20_000)]);
        let mut may_send = (70_000_i64, vec![]); // what the client may: connection, streams
        let mut may_get = (65_535_i64, vec![]); // what the server may
        let mut streams: Vec<Option<Stream>> = Vec::new();
        let mut raw = Vec::new();
        for step in steps {
            match step {
                Step::Open if streams.len() < 6 => {
                    let stream = peer.asked(2 * streams.len() as u32 + 1, false);
                    peer.server.accepted();
                    streams.push(Some(stream));
                    streams.last_mut().unwrap().as_mut().unwrap().send_head(200, [], false).unwrap();
                    may_send.1.push(30_000_i64);
                    may_get.1.push(20_000_i64);
                }
                Step::Upload(n, bytes) if n < streams.len() && streams[n].is_some() => {
                    let bytes = i64::from(bytes).min(may_send.0).min(may_send.1[n]).min(16_384);
                    if bytes > 0 {
                        may_send.0 -= bytes;
                        may_send.1[n] -= bytes;
                        peer.send(DATA, 0, 2 * n as u32 + 1, &vec![0; bytes as usize]).unwrap();
                    }
                }
                Step::Read(n) => {
                    if let Some(Some(stream)) = streams.get_mut(n)
                        && let Poll::Ready(Some(Ok(data))) = poll(|cx| stream.poll_body(cx))
                    {
                        stream.release(data.len());
                    }
                }
                Step::Respond(n, bytes) => {
                    if let Some(Some(stream)) = streams.get_mut(n) {
                        let _ = send(stream, &vec![0; bytes.into()], false);
                    }
                }
                Step::Room(n, bytes) => {
                    let id = if n < streams.len() { 2 * n as u32 + 1 } else { 0 };
                    if id == 0 { may_get.0 += i64::from(bytes) } else { may_get.1[n] += i64::from(bytes) }
                    if peer.send(WINDOW_UPDATE, 0, id, &u32::from(bytes).to_be_bytes()).is_err() {
                        break; // a flood, after hundreds
                    }
                }
                Step::Written(most) => {
                    peer.server.write(|bytes| {
                        let now = bytes.len().min(most.into());
                        raw.extend_from_slice(&bytes[..now]);
                        (now, ())
                    });
                }
                Step::Drop(n) => {
                    if let Some(stream) = streams.get_mut(n) {
                        *stream = None;
                    }
                }
                Step::Open | Step::Upload(..) => {}
            }
            // What came out so far, frame by frame.
            while raw.len() >= 9 && raw.len() >= 9 + u32::from_be_bytes([0, raw[0], raw[1], raw[2]]) as usize {
                let rest = raw.split_off(9 + u32::from_be_bytes([0, raw[0], raw[1], raw[2]]) as usize);
                let sent = split(&std::mem::replace(&mut raw, rest)).remove(0);
                let place = (sent.stream as usize).saturating_sub(1) / 2;
                match sent.kind {
                    DATA => {
                        may_get.0 -= sent.payload.len() as i64;
                        may_get.1[place] -= sent.payload.len() as i64;
                        prop_assert!(may_get.0 >= 0 && may_get.1[place] >= 0, "more than the client has room for");
                    }
                    WINDOW_UPDATE if sent.stream == 0 => may_send.0 += i64::from(sent.number()),
                    WINDOW_UPDATE => may_send.1[place] += i64::from(sent.number()),
                    _ => {}
                }
            }
            prop_assert!(raw.len() <= 9 + 16_384);
            prop_assert!(may_send.0 <= 70_000);
        }
        // When all is over and written, at least half of the connection's window is the client's again.
        drop(streams);
        for sent in split(&[raw, drain(&peer)].concat()) {
            if (sent.kind, sent.stream) == (WINDOW_UPDATE, 0) {
                may_send.0 += i64::from(sent.number());
            }
        }
        prop_assert!(may_send.0 > 35_000, "{}", may_send.0);
    }
}

fn drain(peer: &Peer) -> Vec<u8> {
    let mut all = Vec::new();
    while peer
        .server
        .write(|bytes| {
            all.extend_from_slice(bytes);
            (bytes.len(), ())
        })
        .is_some()
    {}
    assert!(all.len() < 4 * OUTPUT_MOST);
    all
}
