use super::*;
use proptest::prelude::*;

const T0: Instant = Instant::START;

/// A frame of the kind that `flood` counts.
fn receive(meter: &mut Meter, flood: Flood, now: Instant) -> Result<(), Flood> {
    let kind = match flood {
        Flood::EmptyData => return meter.received_empty_data(now),
        Flood::Headers => Kind::Headers,
        Flood::Reset => Kind::Reset,
        Flood::Continuation => Kind::Continuation,
        Flood::Settings => Kind::Settings,
        Flood::Ping => Kind::Ping,
        Flood::Priority => Kind::Priority,
        Flood::WindowUpdate => Kind::WindowUpdate,
        Flood::Other => Kind::Other,
    };
    meter.received(kind, now)
}

/// How many of these frames pass at once.
fn passes(meter: &mut Meter, flood: Flood, now: Instant) -> u32 {
    (0..).find(|_| receive(meter, flood, now).is_err()).unwrap()
}

#[test]
fn each_kind_has_a_budget_of_its_own_that_time_fills_again() {
    for flood in Flood::ALL {
        let allowance = flood.allowance();
        let mut meter = Meter::new(T0);
        assert_eq!(passes(&mut meter, flood, T0), allowance.burst, "{flood:?}");
        assert_eq!(receive(&mut meter, flood, T0), Err(flood));
        let others = Flood::ALL.into_iter().filter(|other| *other != flood);
        assert!(others.into_iter().all(|other| receive(&mut meter, other, T0).is_ok()));
        let later = T0.saturating_add(Duration::from_secs(3));
        assert_eq!(passes(&mut meter, flood, later), (3 * allowance.per_second).min(allowance.burst));
        assert_eq!(passes(&mut meter, flood, later), 0, "the same time counts once");
        let much_later = T0.saturating_add(Duration::from_secs(1_000_000));
        assert_eq!(passes(&mut meter, flood, much_later), allowance.burst, "no more than at first");
    }
}

#[test]
fn fractions_of_a_token_are_not_lost() {
    let mut meter = Meter::new(T0);
    passes(&mut meter, Flood::Settings, T0);
    let mut passed = 0;
    for step in 1..=100 {
        let now = T0.saturating_add(Duration::from_millis(step * 100));
        passed += u32::from(receive(&mut meter, Flood::Settings, now).is_ok());
    }
    assert_eq!(passed, 10, "one a second for ten seconds");
}

#[test]
fn data_is_never_too_much_and_what_nobody_knows_is() {
    let mut meter = Meter::new(T0);
    assert!((0..100_000).all(|_| meter.received(Kind::Data, T0).is_ok()));
    for kind in [Kind::Push, Kind::Goaway, Kind::Other] {
        let mut meter = Meter::new(T0);
        assert_eq!((0..).find(|_| meter.received(kind, T0) == Err(Flood::Other)), Some(32));
    }
}

#[test]
fn what_a_peer_is_sent_it_may_acknowledge() {
    let mut meter = Meter::new(T0);
    passes(&mut meter, Flood::WindowUpdate, T0);
    passes(&mut meter, Flood::Ping, T0);
    (0..3).for_each(|_| meter.sent_data(100));
    assert_eq!(passes(&mut meter, Flood::WindowUpdate, T0), 12);
    assert_eq!(passes(&mut meter, Flood::Ping, T0), 6);
    (0..100_000).for_each(|_| meter.sent_data(100));
    let most = Flood::WindowUpdate.allowance().most;
    assert_eq!(passes(&mut meter, Flood::WindowUpdate, T0), most, "saving has an end");
    assert_eq!(passes(&mut meter, Flood::Ping, T0), Flood::Ping.allowance().most);
    (0..100_000).for_each(|_| meter.sent_data(7));
    assert_eq!(passes(&mut meter, Flood::WindowUpdate, T0), 0, "dribbles earn nothing");
}

#[test]
fn a_client_may_make_room_for_each_4_kib_twice() {
    let mut meter = Meter::new(T0);
    for _ in 0..100_000 {
        meter.sent_data(16_384);
        assert!((0..8).all(|_| receive(&mut meter, Flood::WindowUpdate, T0).is_ok()));
    }
}

#[test]
fn resets_are_earned_by_responses_and_not_by_requests() {
    let mut meter = Meter::new(T0);
    let mut rapid = 0;
    while receive(&mut meter, Flood::Headers, T0).is_ok() && receive(&mut meter, Flood::Reset, T0).is_ok() {
        meter.accepted();
        rapid += 1;
    }
    assert_eq!(rapid, Flood::Reset.allowance().burst);
    meter.sent_head();
    assert_eq!(passes(&mut meter, Flood::Reset, T0), 1);
}

#[test]
fn streams_that_are_accepted_are_not_counted_against_their_sender() {
    let mut meter = Meter::new(T0);
    for _ in 0..100_000 {
        receive(&mut meter, Flood::Headers, T0).unwrap();
        meter.accepted();
    }
}

#[test]
fn a_frame_of_no_kind_with_each_stream_is_no_flood() {
    let mut meter = Meter::new(T0);
    for _ in 0..100_000 {
        receive(&mut meter, Flood::Other, T0).unwrap();
        meter.accepted();
    }
    assert_eq!(passes(&mut meter, Flood::Other, T0), 32);
}

#[test]
fn faults_have_a_budget_that_time_fills_again() {
    let mut meter = Meter::new(T0);
    let most = |meter: &mut Meter, now| (0..).find(|_| meter.faulted(now).is_err()).unwrap();
    assert_eq!(most(&mut meter, T0), 64);
    assert_eq!(most(&mut meter, T0.saturating_add(Duration::from_secs(10))), 10);
}

proptest! {
    #[test]
    fn no_peer_gets_more_than_its_budget(steps in prop::collection::vec((0..9_usize, 0..2_000_u64), 1..600)) {
        let mut meter = Meter::new(T0);
        let mut passed = [0_u64; 9];
        let mut now = T0;
        for (which, millis) in steps {
            now = now.saturating_add(Duration::from_millis(millis));
            let flood = Flood::ALL[which];
            for _ in 0..7 {
                match receive(&mut meter, flood, now) {
                    Ok(()) => passed[which] += 1,
                    Err(told) => prop_assert_eq!(told, flood),
                }
            }
            let allowance = flood.allowance();
            let seconds = now.saturating_since(T0).as_secs() + 1;
            let most = u64::from(allowance.burst) + seconds * u64::from(allowance.per_second);
            prop_assert!(passed[which] <= most);
        }
    }
}
