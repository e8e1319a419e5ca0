use super::*;
use crate::lane::h2::frames::PREFACE;
use proptest::prelude::*;

const T0: Instant = Instant::START;

/// A frame with `length` zero bytes in it.
fn frame(kind: u8, flags: u8, length: u32) -> Vec<u8> {
    let [_, a, b, c] = length.to_be_bytes();
    let mut bytes = vec![a, b, c, kind, flags, 0, 0, 0, 1];
    bytes.resize(bytes.len() + length as usize, 0);
    bytes
}

fn begun() -> Meter {
    let mut meter = Meter::new(T0);
    meter.received(PREFACE, T0).unwrap();
    meter
}

/// How many of these frames pass at once.
fn passes(meter: &mut Meter, bytes: &[u8], now: Instant) -> u32 {
    (0..).find(|_| meter.received(bytes, now).is_err()).unwrap()
}

#[test]
fn each_kind_has_a_budget_of_its_own_that_time_fills_again() {
    for (kind, flags, length, flood) in [
        (0x0, 0x0, 0, Flood::EmptyData),
        (0x1, 0x5, 9, Flood::Headers),
        (0x2, 0x0, 5, Flood::Priority),
        (0x3, 0x0, 4, Flood::Reset),
        (0x4, 0x0, 6, Flood::Settings),
        (0x4, 0x1, 0, Flood::Settings),
        (0x5, 0x4, 4, Flood::Other),
        (0x6, 0x0, 8, Flood::Ping),
        (0x6, 0x1, 8, Flood::Ping),
        (0x7, 0x0, 8, Flood::Other),
        (0x8, 0x0, 4, Flood::WindowUpdate),
        (0x9, 0x0, 0, Flood::Continuation),
        (0xa, 0x0, 3, Flood::Other),
        (0xff, 0xff, 0, Flood::Other),
    ] {
        let bytes = frame(kind, flags, length);
        let allowance = flood.allowance();
        let mut meter = begun();
        assert_eq!(passes(&mut meter, &bytes, T0), allowance.burst, "{flood:?}");
        assert_eq!(meter.received(&bytes, T0), Err(flood));
        let later = T0.saturating_add(Duration::from_secs(3));
        assert_eq!(passes(&mut meter, &bytes, later), (3 * allowance.per_second).min(allowance.burst));
        assert_eq!(passes(&mut meter, &bytes, later), 0, "the same time counts once");
        let much_later = T0.saturating_add(Duration::from_secs(1_000_000));
        assert_eq!(passes(&mut meter, &bytes, much_later), allowance.burst, "no more than at first");
    }
}

#[test]
fn fractions_of_a_token_are_not_lost() {
    let bytes = frame(0x4, 0, 0);
    let mut meter = begun();
    passes(&mut meter, &bytes, T0);
    let mut passed = 0;
    for step in 1..=100 {
        passed +=
            u32::from(meter.received(&bytes, T0.saturating_add(Duration::from_millis(step * 100))).is_ok());
    }
    assert_eq!(passed, 10, "one a second for ten seconds");
}

#[test]
fn data_that_brings_or_ends_something_is_never_too_much() {
    let mut meter = begun();
    let padded = {
        let mut bytes = frame(0x0, 0x8, 9);
        bytes[9] = 7; // one byte more than its padding
        bytes
    };
    for bytes in [frame(0x0, 0x0, 1), frame(0x0, 0x1, 0), frame(0x0, 0x0, 16_384), padded] {
        for _ in 0..1000 {
            meter.received(&bytes, T0).unwrap();
        }
    }
}

#[test]
fn data_of_nothing_but_padding_is_empty() {
    let mut bytes = frame(0x0, 0x8, 9);
    bytes[9] = 8;
    assert_eq!(passes(&mut begun(), &bytes, T0), Flood::EmptyData.allowance().burst);
}

#[test]
fn what_a_peer_is_sent_it_may_acknowledge() {
    let mut meter = begun();
    let (update, ping, data) = (frame(0x8, 0, 4), frame(0x6, 0, 8), frame(0x0, 0, 100));
    passes(&mut meter, &update, T0);
    passes(&mut meter, &ping, T0);
    for _ in 0..3 {
        meter.sent(&data);
    }
    assert_eq!(passes(&mut meter, &update, T0), 12);
    assert_eq!(passes(&mut meter, &ping, T0), 6);
    for _ in 0..100_000 {
        meter.sent(&data);
    }
    assert_eq!(passes(&mut meter, &update, T0), Flood::WindowUpdate.allowance().most, "saving has an end");
    assert_eq!(passes(&mut meter, &ping, T0), Flood::Ping.allowance().most);
}

#[test]
fn resets_are_earned_by_responses_and_not_by_requests() {
    let mut meter = begun();
    let (headers, reset) = (frame(0x1, 0x4, 10), frame(0x3, 0, 4));
    let mut rapid = 0;
    while meter.received(&headers, T0).is_ok() && meter.received(&reset, T0).is_ok() {
        meter.accepted();
        rapid += 1;
    }
    assert_eq!(rapid, Flood::Reset.allowance().burst);
    meter.sent(&frame(0x1, 0x4, 20));
    assert_eq!(passes(&mut meter, &reset, T0), 1);
}

#[test]
fn streams_that_are_accepted_are_not_counted_against_their_sender() {
    let mut meter = begun();
    for _ in 0..100_000 {
        meter.received(&frame(0x1, 0x5, 10), T0).unwrap();
        meter.accepted();
    }
    assert_eq!(passes(&mut begun(), &frame(0x1, 0x5, 10), T0), Flood::Headers.allowance().burst);
}

#[test]
fn a_head_is_told_of_from_its_first_byte_to_its_last() {
    let mut meter = begun();
    let head = [frame(0x1, 0x0, 3), frame(0x9, 0x0, 2), frame(0x9, 0x4, 2)].concat();
    let mut seen = Vec::new();
    for byte in &head {
        meter.received(&[*byte], T0).unwrap();
        seen.push(meter.is_in_head());
    }
    let inside = seen.iter().position(|inside| *inside).unwrap();
    assert_eq!(inside, 8, "since its header is known");
    assert!(seen[inside..head.len() - 1].iter().all(|inside| *inside));
    assert!(!seen[head.len() - 1]);
    meter.received(&frame(0x1, 0x4, 0), T0).unwrap();
    assert!(!meter.is_in_head());
}

#[test]
fn a_client_is_starved_while_its_windows_are_used_up_and_what_it_began_is_here() {
    let mut meter = begun();
    let data = |length| frame(0x0, 0x0, length);
    for _ in 0..3 {
        meter.received(&data(16_384), T0).unwrap();
    }
    assert!(!meter.is_starved());
    // Padding counts too.
    let mut last = data(16_383);
    last[4] = 0x8;
    last[9] = 77;
    let (begin, end) = last.split_at(10_000);
    meter.received(begin, T0).unwrap();
    assert!(!meter.is_starved(), "the client has more to say");
    meter.received(end, T0).unwrap();
    assert!(meter.is_starved());
    // More for a stream alone is nothing; more for the connection is.
    let update = |stream: u8| [&[0, 0, 4, 8, 0, 0, 0, 0, stream][..], &[0, 0, 0, 9]].concat();
    meter.sent(&update(1));
    assert!(meter.is_starved());
    meter.sent(&update(0));
    assert!(!meter.is_starved());
    meter.received(&data(9), T0).unwrap();
    assert!(meter.is_starved());
}

/// What a reader that has all the bytes at once makes of them.
fn naive(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (kind, flags) = (head[3], head[4]);
        let mut content = length;
        if kind == 0 && flags & 8 != 0 && length > 0 {
            let Some(pad) = after.first() else { break };
            content = (length - 1).saturating_sub(u32::from(*pad));
        }
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::Reset,
            4 => Kind::Settings,
            6 => Kind::Ping,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            _ => Kind::Other,
        };
        let mut number = 0;
        if matches!(kind, Kind::Reset | Kind::WindowUpdate) {
            let Some(inside) = after.get(..length.min(4) as usize) else { break };
            number = inside.try_into().map_or(0, u32::from_be_bytes);
        }
        if kind == Kind::WindowUpdate {
            number &= 0x7fff_ffff;
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        frames.push(Frame { kind, flags, length: content, payload: length, stream, number });
        rest = after.get(length as usize..).unwrap_or_default();
    }
    frames
}

fn some_frames() -> impl Strategy<Value = Vec<u8>> {
    let one = (any::<u8>(), any::<u8>(), 0..40_u32, any::<u8>()).prop_map(|(kind, flags, length, first)| {
        let mut bytes = frame(kind % 12, flags, length);
        if let Some(byte) = bytes.get_mut(9) {
            *byte = first % 48;
        }
        bytes
    });
    prop::collection::vec(one, 0..40).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn frames_are_found_however_they_are_cut(
        bytes in prop_oneof![some_frames(), prop::collection::vec(any::<u8>(), 0..400)],
        cuts in prop::collection::vec(1..50_usize, 1..20),
    ) {
        let mut frames = Frames::new();
        let mut found = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (mut part, after) = rest.split_at(rest.len().min(*cut));
            rest = after;
            while let Some((frame, behind)) = frames.next(part) {
                found.push(frame);
                part = behind;
            }
        }
        prop_assert_eq!(found, naive(&bytes));
    }

    #[test]
    fn no_peer_gets_more_than_its_budget(steps in prop::collection::vec((0..9_usize, 0..2_000_u64), 1..600)) {
        let mut meter = begun();
        let mut passed = [0_u64; 9];
        let mut now = T0;
        for (which, millis) in steps {
            now = now.saturating_add(Duration::from_millis(millis));
            let (kind, length) = [(1, 1), (3, 4), (9, 0), (4, 0), (6, 8), (2, 5), (8, 4), (0, 0), (77, 0)][which];
            for _ in 0..7 {
                match meter.received(&frame(kind, 0, length), now) {
                    Ok(()) => passed[which] += 1,
                    Err(flood) => prop_assert_eq!(flood, Flood::ALL[which]),
                }
            }
            let allowance = Flood::ALL[which].allowance();
            let seconds = now.saturating_since(T0).as_secs() + 1;
            let most = u64::from(allowance.burst) + seconds * u64::from(allowance.per_second);
            prop_assert!(passed[which] <= most);
        }
    }
}
