//! What costs its sender nothing is bounded: each flood ends with GOAWAY, is counted under its name, and costs no
//! other client anything.

use crate::support::h2::*;
use crate::support::*;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const H2C: [&str; 3] = ["--h2c", "--workers", "1"];

fn started(flags: &[&str]) -> (Weir, Origin) {
    let origin = Origin::echo();
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[]), &[&H2C[..], flags].concat());
    (weir, origin)
}

fn ended(weir: &Weir, reason: &str) -> f64 {
    weir.metric(&format!("weir_h2_connections_ended_total{{reason={reason:?}}}")).unwrap()
}

/// Sends what `wave` makes until the server has had enough; its last word.
fn flood(weir: &Weir, mut wave: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut client = RawH2::connect(weir.http, &[]);
    let mut reader = client.reader();
    let reading = std::thread::spawn(move || reader.goaway());
    let began = Instant::now();
    let mut waves = 0;
    // What is sent behind its last word is read and dropped for a while.
    while !reading.is_finished() && client.send(&wave(waves)) {
        assert!(began.elapsed() < PATIENCE, "it never ends");
        waves += 1;
    }
    drop(client);
    reading.join().unwrap()
}

#[test]
fn each_flood_of_frames_ends_with_a_goodbye_under_its_name() {
    let (weir, _origin) = started(&[]);
    let head = |wave: u32| frame(HEADERS, END_HEADERS | END_STREAM, 2 * wave + 1, &get_fields("a", "/"));
    type Wave = Box<dyn FnMut(u32) -> Vec<u8>>;
    let floods: Vec<(&str, Wave)> = vec![
        ("ping-flood", Box::new(|_| frame(PING, 0, 0, &[0; 8]))),
        ("settings-flood", Box::new(|_| frame(SETTINGS, 0, 0, &[]))),
        ("settings-flood", Box::new(|_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]))),
        ("priority-flood", Box::new(|wave| frame(PRIORITY, 0, 2 * wave + 1, &[0, 0, 0, 0, 7]))),
        ("window-update-flood", Box::new(|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))),
        ("unknown-frame-flood", Box::new(|_| frame(0xbe, 0, 0, &[1; 100]))),
        // So fast that the resets come before anybody has looked at the streams.
        (
            "reset-flood",
            Box::new(move |wave| [head(wave), frame(RST_STREAM, 0, 2 * wave + 1, &[0, 0, 0, 8])].concat()),
        ),
        (
            "empty-data-flood",
            Box::new(|wave| match wave {
                0 => {
                    let post = fields(&[
                        (":method", "POST"),
                        (":scheme", "http"),
                        (":authority", "a"),
                        (":path", "/"),
                    ]);
                    frame(HEADERS, END_HEADERS, 1, &post)
                }
                _ => frame(DATA, 0, 1, &[]),
            }),
        ),
    ];
    for (name, wave) in floods {
        let before = ended(&weir, name);
        let reason = flood(&weir, wave);
        weir.until(name, || ended(&weir, name) > before);
        // A reset by the kernel may have overtaken the goodbye where the client was still sending.
        assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{name}: {reason:?}");
    }
    assert_eq!(H2::connect(weir.http).get("a", "/").status, 200);
}

#[test]
fn streams_that_are_reset_while_they_are_served_are_bounded() {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let origin = Origin::raw(move |peer| {
        if peer.head().is_some() {
            count.fetch_add(1, Ordering::SeqCst);
            peer.skip(u64::MAX);
        }
    });
    let weir = Weir::start_with(&ingress("web", "", origin.address, &[]), &H2C);
    let mut client = RawH2::connect(weir.http, &[]);
    let post = fields(&[(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]);
    let (mut sent, over, start) = (0, Cell::new(false), Instant::now());
    while !over.get() {
        let id = 2 * sent + 1;
        client.send(&frame(HEADERS, END_HEADERS, id, &post));
        sent += 1;
        // Where the origin hears of it, it was taken up.
        until("it is forwarded, or over", || {
            let forwarded = begun.load(Ordering::SeqCst) >= sent as usize;
            over.set(!forwarded && ended(&weir, "reset-flood") > 0.0);
            forwarded || over.get()
        });
        client.send(&frame(RST_STREAM, 0, id, &[0, 0, 0, 8]));
    }
    // 200 at once, and 20 a second.
    let most = 210 + 20 * u32::try_from(start.elapsed().as_secs() + 1).unwrap();
    assert!((200..=most).contains(&sent), "{sent} of {most}");
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
}

#[test]
fn the_goodbye_of_a_flood_can_be_read() {
    let (weir, _origin) = started(&[]);
    let mut client = RawH2::connect(weir.http, &[]);
    client.send(&frame(PING, 0, 0, &[0; 8]).repeat(100));
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
}

#[test]
fn a_header_block_has_a_bound_in_pieces_and_in_time() {
    let (weir, _origin) = started(&["--head-timeout", "400ms"]);
    // Pieces without end.
    let mut client = RawH2::connect(weir.http, &[]);
    client.send(&frame(HEADERS, 0, 1, &get_fields("a", "/")));
    for _ in 0..200 {
        client.send(&frame(CONTINUATION, 0, 1, &fields(&[("x", "y")])));
    }
    assert!(client.goaway().is_some_and(|reason| reason != NO_ERROR));
    // One that is never ended.
    let mut slow = RawH2::connect(weir.http, &[]);
    slow.send(&frame(HEADERS, 0, 1, &get_fields("a", "/")));
    let began = Instant::now();
    assert_eq!(slow.goaway(), Some(NO_ERROR));
    assert!(began.elapsed() > Duration::from_millis(300));
    weir.until("it is counted", || ended(&weir, "head-timeout") == 1.0);
    // A frame that is never ended.
    let mut slow = RawH2::connect(weir.http, &[]);
    slow.send(&frame(HEADERS, END_HEADERS, 1, &get_fields("a", "/"))[..12]);
    assert_eq!(slow.goaway(), Some(NO_ERROR));
    weir.until("it is counted", || ended(&weir, "head-timeout") == 2.0);
}

#[test]
fn a_preface_that_does_not_come_and_a_connection_without_requests_have_their_time() {
    let (weir, _origin) = started(&["--head-timeout", "300ms", "--idle-timeout", "600ms"]);
    let mut partial = RawH2::silent(weir.http);
    partial.send(b"PRI * HTTP/2.0\r\n");
    let began = Instant::now();
    // Up to here it could be a request of HTTP/1.1 as well.
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut partial.stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(began.elapsed() > Duration::from_millis(200));

    let mut idle = RawH2::connect(weir.http, &[]);
    assert_eq!(idle.goaway(), Some(NO_ERROR));
    weir.until("it is counted", || ended(&weir, "idle") == 1.0);
    // Frames that ask for nothing do not keep it.
    let mut busy = RawH2::connect(weir.http, &[]);
    let began = Instant::now();
    loop {
        match busy.next_within(Duration::from_millis(50)) {
            Within::Nothing => drop(busy.send(&frame(PING, 0, 0, &[0; 8]))),
            Within::Frame(frame) if frame.kind == GOAWAY => break,
            Within::Frame(_) => {}
            Within::End => panic!("no goodbye"),
        }
        assert!(began.elapsed() < PATIENCE);
    }
}

#[test]
fn streams_that_the_client_makes_us_reset_are_bounded() {
    let (weir, origin) = started(&[]);
    // A window update of nothing is an error of the stream ("MadeYouReset").
    flood(&weir, |wave| {
        let id = 2 * wave + 1;
        let post = fields(&[(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]);
        [frame(HEADERS, END_HEADERS, id, &post), frame(WINDOW_UPDATE, 0, id, &[0, 0, 0, 0])].concat()
    });
    weir.until("it is counted", || ended(&weir, "too-many-resets") == 1.0);
    assert!(origin.seen().len() < 300, "{}", origin.seen().len());
    assert_eq!(H2::connect(weir.http).get("a", "/").status, 200);
}

#[test]
fn requests_without_a_reading_are_answered_and_bounded() {
    let (weir, origin) = started(&[]);
    let bad = |id: u32| {
        let fields = fields(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/"),
            ("host", "b"),
        ]);
        frame(HEADERS, END_HEADERS | END_STREAM, id, &fields)
    };
    let mut client = RawH2::connect(weir.http, &[]);
    for id in 0..31 {
        client.send(&bad(2 * id + 1));
        let answer = client.next_of(HEADERS).unwrap();
        assert_eq!(answer.stream, 2 * id + 1);
    }
    client.send(&bad(63));
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    weir.until("it is counted", || ended(&weir, "malformed-requests") == 1.0);
    assert_eq!(weir.metric(r#"weir_malformed_requests_total{fault="host"}"#), Some(32.0));
    assert_eq!(origin.seen().len(), 0);
}

#[test]
fn a_client_that_reads_nothing_is_left() {
    let origin = Origin::start(|_| Reaction::ok(vec![b'x'; 1 << 20]));
    let weir = Weir::start_with(
        &ingress("web", "", origin.address, &[]),
        &[&H2C[..], &["--write-timeout", "500ms"]].concat(),
    );
    // No window at all: the stream is given up, the connection stays.
    let mut client = RawH2::connect(weir.http, &[(4, 0)]);
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get_fields("a", "/")));
    assert_eq!(client.next_of(RST_STREAM).map(|frame| frame.stream), Some(1));
    client.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &get_fields("a", "/")));
    assert_eq!(client.next_of(HEADERS).map(|frame| frame.stream), Some(3));
    // A byte now and then is not enough either.
    let began = Instant::now();
    let mut trickling = RawH2::connect(weir.http, &[(4, 1)]);
    trickling.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get_fields("a", "/")));
    loop {
        match trickling.next_within(Duration::from_millis(20)) {
            Within::Nothing => drop(trickling.send(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]))),
            Within::Frame(frame) if frame.kind == RST_STREAM => break,
            Within::Frame(_) => {}
            Within::End => panic!("the connection ended"),
        }
        assert!(began.elapsed() < PATIENCE);
    }
    // Windows without end, and a socket that nobody reads.
    let mut deaf = RawH2::connect(weir.http, &[(4, 0x7fff_ffff)]);
    deaf.send(&frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0, 0]));
    for n in 0..60 {
        deaf.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &get_fields("a", "/")));
    }
    weir.until("it is left", || ended(&weir, "write-stall") == 1.0);
}
