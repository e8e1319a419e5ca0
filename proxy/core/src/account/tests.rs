use super::*;
use crate::policy::Mode;
use crate::verdict::rule;

#[test]
fn numbers_of_outcomes_are_places_in_their_lists() {
    for (place, end) in End::ALL.into_iter().enumerate() {
        assert_eq!(end as usize, place);
    }
    for (place, result) in UpstreamResult::ALL.into_iter().enumerate() {
        assert_eq!(result as usize, place);
    }
    for (place, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, place);
    }
}

/// A hit that has no counter would be lost.
#[test]
fn every_pair_of_reason_and_rule_is_counted() {
    let windows = [rule::RPS, rule::RPM, rule::RPH, rule::RPD, rule::WINDOW, rule::OVERRIDES];
    let connections = [rule::CONNECTIONS, rule::OVERRIDES];
    let mut hits = vec![
        (Reason::Address, rule::BLOCK),
        (Reason::Address, rule::DENY),
        (Reason::Address, rule::ALLOW),
        (Reason::Method, rule::METHODS),
        (Reason::Path, rule::PATHS),
        (Reason::Head, rule::HEAD),
        (Reason::Body, rule::BODY),
        (Reason::Body, rule::OVERRIDES),
    ];
    hits.extend(windows.map(|rule| (Reason::Rate, rule)));
    hits.extend(windows.map(|rule| (Reason::TableFull, rule)));
    hits.extend(connections.map(|rule| (Reason::Connections, rule)));
    hits.extend(connections.map(|rule| (Reason::TableFull, rule)));
    hits.sort_unstable_by_key(|(reason, rule)| (*reason as usize, *rule));
    hits.dedup();
    let plain = [
        Reason::BadRequest,
        Reason::NoConfiguration,
        Reason::NoRoute,
        Reason::NoBackend,
        Reason::NoEndpoint,
        Reason::BrokenPolicy,
    ];
    hits.extend(plain.map(|reason| (reason, "")));
    for mode in [Mode::Enforce, Mode::Observe] {
        let counters = ObjectCounters::new();
        for (reason, rule) in &hits {
            counters.count_hit(RuleHit { rule, reason: *reason, mode });
        }
        for (reason, rule) in &hits {
            let counted = counters
                .refusals()
                .filter(|(r, n, m, count)| r == reason && n == rule && *m == mode && *count == 1);
            assert_eq!(counted.count(), 1, "{reason:?} {rule}");
        }
        assert_eq!(counters.refusals().map(|(.., count)| count).sum::<u64>(), hits.len() as u64);
    }
}

#[test]
fn bounds_of_buckets_ascend() {
    assert!(Histogram::BOUNDS.is_sorted_by(|a, b| a < b));
}
