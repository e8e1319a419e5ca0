use super::*;
use crate::deadline;
use crate::timeouts::Given;
use std::task::Waker;
use weir_core::policy::Edge;

#[test]
fn a_byte_now_and_then_is_not_enough() {
    let cx = Context::from_waker(Waker::noop());
    let (deadline, mut toll, period) = (Deadline::new(), Toll::new(), Duration::from_secs(1));
    assert!(!toll.is_late(&deadline, period, &cx));
    for _ in 0..9 {
        deadline::sweep();
        toll.pay(1);
        assert!(!toll.is_late(&deadline, period, &cx), "a period has not passed");
    }
    (0..3).for_each(|_| deadline::sweep());
    assert!(toll.is_late(&deadline, period, &cx));
}

#[test]
fn who_takes_enough_may_go_on() {
    let cx = Context::from_waker(Waker::noop());
    let (deadline, mut toll, period) = (Deadline::new(), Toll::new(), Duration::from_secs(1));
    for _ in 0..100 {
        assert!(!toll.is_late(&deadline, period, &cx));
        (0..6).for_each(|_| deadline::sweep());
        toll.pay(256);
    }
    toll.pay(usize::MAX);
    assert!(!toll.is_owed());
}

const PACE: Pace = Pace {
    rate: NonZeroU64::new(100).unwrap(),
    grace: Duration::from_secs(5),
    ahead: Duration::from_secs(20),
};

fn at(seconds: u64) -> Instant {
    Instant::START.saturating_add(Duration::from_secs(seconds))
}

#[test]
fn a_pace_is_an_average_with_grace() {
    let mut patience = Patience::new(PACE);
    let left = |patience: &mut Patience, now| patience.wait(at(now)).as_secs();
    assert_eq!([left(&mut patience, 10), left(&mut patience, 13)], [5, 2]);
    patience.got(1000, at(13));
    assert_eq!([left(&mut patience, 13), left(&mut patience, 25), left(&mut patience, 99)], [12, 0, 0]);
}

#[test]
fn a_byte_now_and_then_does_not_make_a_body() {
    let mut patience = Patience::new(PACE);
    let end = (0..99).find(|second| {
        let late = patience.wait(at(*second)).is_zero();
        patience.got(1, at(second + 1));
        late
    });
    assert_eq!(end, Some(6), "the grace, and what six bytes earn");
    patience.got(usize::MAX, at(8));
    assert_eq!(patience.wait(at(8)), Duration::ZERO, "what comes too late comes too late");
}

#[test]
fn being_ahead_counts_for_so_much() {
    let mut patience = Patience::new(PACE);
    patience.wait(at(0));
    patience.got(usize::MAX, at(0));
    assert_eq!(patience.wait(at(0)), PACE.grace + PACE.ahead);
}

#[test]
fn time_in_which_nothing_is_read_costs_nothing() {
    let mut patience = Patience::new(PACE);
    patience.wait(at(0));
    patience.got(1, at(4));
    // The origin takes an hour for what there is.
    assert_eq!(patience.wait(at(3600)), Duration::from_millis(1010));
    patience.rest(at(3600));
    patience.rest(at(7200));
    assert_eq!(patience.wait(at(7200)), Duration::from_millis(1010));
}

fn timeouts() -> Timeouts {
    Timeouts::of(&Given::default(), &Edge::default())
}

#[test]
fn who_asks_for_nothing_gets_what_is_safe() {
    let unasked = Pace {
        rate: 512.try_into().unwrap(),
        grace: Duration::from_secs(60),
        ahead: Duration::from_secs(60),
    };
    let asked = |rate: NonZeroU64| {
        Speed::Least(Pace { rate, grace: Duration::from_secs(5), ahead: Duration::from_secs(60) })
    };
    for (rate, nature, speed) in [
        (BodyRate::Unset, Nature::Announced, Speed::Least(unasked)),
        (BodyRate::Unset, Nature::Open, Speed::LeastAlone(unasked)),
        (BodyRate::Unset, Nature::Call, Speed::Any),
        (BodyRate::Off, Nature::Announced, Speed::Any),
        (BodyRate::Off, Nature::Open, Speed::Any),
        (BodyRate::Least(PACE.rate), Nature::Open, asked(PACE.rate)),
        (BodyRate::Least(PACE.rate), Nature::Call, asked(PACE.rate)),
    ] {
        assert_eq!(Speed::forwarded(rate, nature, &timeouts()), speed, "{rate:?}, {nature:?}");
    }
}

/// How many seconds a body of a byte each second lasts, if it does not last for an hour.
fn lasts(speed: Speed, talk: impl Fn(u64) -> Talk) -> Option<u64> {
    let cx = Context::from_waker(Waker::noop());
    let mut clock = BodyClock::new(Duration::from_secs(3), speed);
    (0..3600).find(|&second| {
        let late = clock.is_late(at(second), talk(second), &cx);
        (0..10).for_each(|_| deadline::sweep());
        let late = late || clock.is_late(at(second + 1), talk(second), &cx);
        clock.got(1, at(second + 1));
        late
    })
}

#[test]
fn a_conversation_may_be_slow_while_it_is_one() {
    let both = |_| Talk::Both;
    let alone = |_| Talk::Client;
    assert_eq!(lasts(Speed::Any, alone), None);
    assert_eq!(lasts(Speed::LeastAlone(PACE), both), None);
    assert_eq!(lasts(Speed::Least(PACE), both), lasts(Speed::Least(PACE), alone));
    let early = lasts(Speed::LeastAlone(PACE), alone).unwrap();
    assert!((4..8).contains(&early), "{early}");
    // From the second second on the origin answers, for two minutes.
    let middle = |second| if (2..120).contains(&second) { Talk::Both } else { Talk::Client };
    let late = lasts(Speed::LeastAlone(PACE), middle).unwrap();
    assert!((120..128).contains(&late), "{late}");
}

#[test]
fn a_pause_has_its_own_bound_and_an_excuse() {
    let cx = Context::from_waker(Waker::noop());
    let mut clock = BodyClock::new(Duration::from_secs(1), Speed::Any);
    for _ in 0..50 {
        clock.excuse(at(0), &cx);
        (0..9).for_each(|_| deadline::sweep());
    }
    clock.rest(at(0));
    assert!(!clock.is_late(at(0), Talk::Both, &cx));
    (0..12).for_each(|_| deadline::sweep());
    assert!(clock.is_late(at(0), Talk::Both, &cx));
}
