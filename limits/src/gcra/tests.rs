use proptest::prelude::*;

use super::*;

fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// Looks and, if it conforms, takes.
fn take(tat: &mut u64, quota: &Quota, now: Instant, cost: u64) -> Result<(), Duration> {
    match look(*tat, quota, now, cost) {
        Look::Conforms { tat: after } => {
            *tat = after;
            Ok(())
        }
        Look::Exceeds { tat: healed, retry_after } => {
            *tat = healed;
            Err(retry_after)
        }
    }
}

#[test]
fn burst_plus_one_at_once_then_one_an_interval() {
    let (quota, mut tat) = (quota("10/s burst 3"), FRESH);
    let now = at(1_000_000_000);
    for _ in 0..4 {
        assert_eq!(take(&mut tat, &quota, now, 1), Ok(()));
    }
    assert_eq!(take(&mut tat, &quota, now, 1), Err(Duration::from_millis(100)));
    let almost = at(1_099_999_999);
    assert_eq!(take(&mut tat, &quota, almost, 1), Err(Duration::from_nanos(1)));
    assert_eq!(take(&mut tat, &quota, at(1_100_000_000), 1), Ok(()));
    assert_eq!(take(&mut tat, &quota, at(1_100_000_000), 1), Err(Duration::from_millis(100)));
}

#[test]
fn a_cost_is_that_many_requests() {
    let (quota, mut tat) = (quota("10/s burst 3"), FRESH);
    assert_eq!(take(&mut tat, &quota, at(0), 5), Err(Duration::MAX));
    assert_eq!(take(&mut tat, &quota, at(0), u64::MAX), Err(Duration::MAX));
    assert_eq!(take(&mut tat, &quota, at(0), 3), Ok(()));
    assert_eq!(take(&mut tat, &quota, at(0), 3), Err(Duration::from_millis(200)));
    assert_eq!(take(&mut tat, &quota, at(0), 0), Ok(()));
    assert_eq!(take(&mut tat, &quota, at(0), 1), Ok(()));
}

#[test]
fn a_state_from_the_future_heals_and_counts_as_spent() {
    let (quota, mut tat) = (quota("10/s burst 3"), u64::MAX);
    assert_eq!(take(&mut tat, &quota, at(0), 1), Err(Duration::from_millis(100)));
    assert_eq!(take(&mut tat, &quota, at(100_000_000), 1), Ok(()));
}

#[test]
fn the_end_of_time_limits() {
    let (quota, mut tat) = (quota("1/366d").with_burst(u64::MAX), FRESH);
    for _ in 0..quota.allowance() {
        assert_eq!(take(&mut tat, &quota, Instant::MAX, 1), Ok(()));
    }
    assert!(take(&mut tat, &quota, Instant::MAX, 1).is_err());
}

#[test]
fn standings_count_down_and_up() {
    let (quota, mut tat) = (quota("10/s burst 3"), FRESH);
    let here = |tat| standing(tat, &quota, at(0));
    assert_eq!(
        (here(tat).remaining, here(tat).until_next, here(tat).until_whole),
        (4, Duration::ZERO, Duration::ZERO)
    );
    take(&mut tat, &quota, at(0), 4).unwrap();
    let (next, whole) = (Duration::from_millis(100), Duration::from_millis(400));
    assert_eq!((here(tat).remaining, here(tat).until_next, here(tat).until_whole), (0, next, whole));
    let later = standing(tat, &quota, at(130_000_000));
    assert_eq!((later.remaining, later.until_next), (1, Duration::from_millis(70)));
}

fn quotas() -> impl Strategy<Value = Quota> {
    (1..2_000_u64, 1..5_000_u64, 0..20_u64).prop_map(|(limit, period, burst)| {
        Quota::new(limit, Duration::from_nanos(period)).unwrap().with_burst(burst)
    })
}

proptest! {
    #[test]
    fn retry_after_is_exact(quota in quotas(), tat in 0..20_000_u64, now in 0..20_000_u64, cost in 1..10_u64) {
        let Look::Exceeds { tat: healed, retry_after } = look(tat, &quota, at(now), cost) else { return Ok(()) };
        if cost > quota.allowance() {
            prop_assert_eq!(retry_after, Duration::MAX);
            return Ok(());
        }
        let then = at(now).saturating_add(retry_after);
        let conforms = |now| matches!(look(healed, &quota, now, cost), Look::Conforms { .. });
        prop_assert!(conforms(then));
        prop_assert!(!conforms(then.saturating_sub(Duration::from_nanos(1))));
    }

    #[test]
    fn remaining_is_what_would_pass(quota in quotas(), tat in 0..20_000_u64, now in 0..20_000_u64) {
        let standing = standing(tat, &quota, at(now));
        let mut cell = tat;
        let mut passed = 0;
        while take(&mut cell, &quota, at(now), 1).is_ok() {
            passed += 1;
        }
        prop_assert_eq!(standing.remaining, passed);
        let then = at(now).saturating_add(standing.until_next);
        let more = super::standing(look_healed(tat, &quota, now), &quota, then).remaining;
        prop_assert_eq!(more, (passed + 1).min(quota.allowance()));
        let whole = at(now).saturating_add(standing.until_whole);
        prop_assert_eq!(super::standing(look_healed(tat, &quota, now), &quota, whole).remaining, quota.allowance());
    }

    /// Whatever happens after a charge, taking it back leaves no more than if it had never been made.
    #[test]
    fn a_refund_never_gives_too_much(
        quota in quotas(),
        tat in 0..5_000_u64,
        now in 0..5_000_u64,
        later in prop::collection::vec((0..2_000_u64, any::<bool>()), 0..12),
        until in 0..2_000_u64,
    ) {
        let (mut with, mut without) = (tat, tat);
        if take(&mut with, &quota, at(now), 1).is_err() {
            return Ok(());
        }
        let mut time = now;
        for (step, asks) in later {
            time += step;
            // Only what passes in both worlds; else they differ by more than the one request.
            let both = matches!(look(with, &quota, at(time), 1), Look::Conforms { .. });
            if asks && both {
                take(&mut with, &quota, at(time), 1).unwrap();
                prop_assert!(take(&mut without, &quota, at(time), 1).is_ok());
            }
        }
        time += until;
        let back = refund(with, &quota, at(now), at(time), 1);
        prop_assert!(back.max(time) >= without.max(time));
        if time == now {
            prop_assert_eq!(back.max(time), without.max(time));
        }
    }
}

fn look_healed(tat: u64, quota: &Quota, now: u64) -> u64 {
    tat.min(now + quota.allowance_nanos())
}
