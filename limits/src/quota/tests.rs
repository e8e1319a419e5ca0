use proptest::prelude::*;

use super::*;

fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

#[test]
fn the_interval_is_rounded_up() {
    assert_eq!(quota("3/s").interval(), Duration::from_nanos(333_333_334));
    assert_eq!(quota("1000000000/s").interval(), Duration::from_nanos(1));
    assert_eq!(quota("600000000/s").interval(), Duration::from_nanos(2));
    assert_eq!(quota("7/m").interval(), Duration::from_nanos(8_571_428_572));
    assert_eq!(quota("1000/ns").interval(), Duration::from_nanos(1));
}

#[test]
fn allowance_and_recovery_follow_from_the_burst() {
    let quota = quota("5/s burst 25");
    assert_eq!((quota.limit(), quota.period(), quota.burst()), (5, Duration::from_secs(1), 25));
    assert_eq!(quota.allowance(), 26);
    assert_eq!(quota.recovery(), Duration::from_millis(5_200));
}

#[test]
fn what_is_no_quota_says_why() {
    let second = Duration::from_secs(1);
    assert_eq!(Quota::new(0, second), Err(QuotaError::ZeroLimit));
    assert_eq!(Quota::new(Quota::LIMIT_MAX + 1, second), Err(QuotaError::LimitTooLarge));
    assert_eq!(Quota::new(1, Duration::ZERO), Err(QuotaError::ZeroPeriod));
    assert_eq!(Quota::new(1, Quota::PERIOD_MAX + Duration::from_nanos(1)), Err(QuotaError::PeriodTooLong));
    for (text, error) in [
        ("", QuotaError::Malformed),
        ("5", QuotaError::Malformed),
        ("5/", QuotaError::Malformed),
        ("/s", QuotaError::Malformed),
        ("5/x", QuotaError::Malformed),
        ("5/10", QuotaError::Malformed),
        ("+5/s", QuotaError::Malformed),
        ("-5/s", QuotaError::Malformed),
        ("5 /s", QuotaError::Malformed),
        ("5/s ", QuotaError::Malformed),
        ("5/é", QuotaError::Malformed),
        ("5/s burst", QuotaError::Malformed),
        ("5/s burst ", QuotaError::Malformed),
        ("5/s burst x", QuotaError::Malformed),
        ("0/s", QuotaError::ZeroLimit),
        ("5/0s", QuotaError::ZeroPeriod),
        ("5/367d", QuotaError::PeriodTooLong),
        ("5/99999999999999999d", QuotaError::PeriodTooLong),
        ("99999999999999999999/s", QuotaError::LimitTooLarge),
        ("1/366d burst 145", QuotaError::BurstTooLarge),
    ] {
        assert_eq!(text.parse::<Quota>(), Err(error), "{text:?}");
    }
}

#[test]
fn the_bounds_themselves_are_quotas() {
    let longest = Quota::new(1, Quota::PERIOD_MAX).unwrap();
    assert_eq!(longest.burst_max(), 144);
    assert_eq!(longest.with_burst(u64::MAX).burst(), 144);
    let fastest = Quota::new(Quota::LIMIT_MAX, Duration::from_nanos(1)).unwrap();
    assert_eq!(fastest.with_burst(u64::MAX).allowance(), 1 << 62);
    assert!(longest.with_burst(u64::MAX).recovery() <= Duration::from_nanos(1 << 62));
}

#[test]
fn periods_are_written_in_the_largest_unit() {
    for text in
        ["5/s", "300/10m", "90/90s", "1/h", "1000/d", "2/36h", "7/1500ms", "7/3us", "7/ns", "5/s burst 25"]
    {
        assert_eq!(quota(text).to_string(), text);
    }
    assert_eq!(quota("5/60s").to_string(), "5/m");
    assert_eq!(quota("5/1s burst 0").to_string(), "5/s");
}

proptest! {
    #[test]
    fn display_and_parse_are_inverses(
        limit in 1..=Quota::LIMIT_MAX,
        period in prop_oneof![1..=10_u64.pow(12), (1..=366_u64 * 24).prop_map(|hours| hours * 3_600_000_000_000)],
        burst in prop_oneof![Just(0), 1..100_000_u64, any::<u64>()],
    ) {
        let quota = Quota::new(limit, Duration::from_nanos(period)).unwrap().with_burst(burst);
        prop_assert_eq!(quota.to_string().parse::<Quota>(), Ok(quota));
    }

    #[test]
    fn never_faster_than_the_limit(limit in 1..=Quota::LIMIT_MAX, period in 1..=Quota::PERIOD_MAX.as_nanos() as u64) {
        let quota = Quota::new(limit, Duration::from_nanos(period)).unwrap();
        prop_assert!(u128::from(quota.interval_nanos()) * u128::from(limit) >= u128::from(period));
        prop_assert!(u128::from(quota.interval_nanos() - 1) * u128::from(limit) < u128::from(period));
    }

    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = text.parse::<Quota>();
    }
}
