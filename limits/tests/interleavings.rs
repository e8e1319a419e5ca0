//! What threads may do to each other: every interleaving of small cases under `loom`, exact counts of large ones
//! without.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p weir-limits --release --test interleavings`
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::num::NonZeroU32;
use std::time::Duration;

use weir_limits::{Charge, Config, Instant, Limiter, Quota, Rule, Seed, Window};

fn limiter(capacity: usize) -> Limiter {
    Limiter::new(Config { capacity, in_flight_capacity: capacity, seed: Seed::from_u128(7) })
}

fn rule(limiter: &Limiter, name: &str, burst: u64) -> Rule {
    let quota = Quota::new(100, Duration::from_secs(1)).unwrap().with_burst(burst);
    Rule::new(limiter.seed().rule_id(name)).with_window(Window::Second, quota)
}

fn charge<'a>(limiter: &Limiter, rule: &'a Rule, client: u32) -> Charge<'a> {
    Charge { rule, key: limiter.seed().key(rule.id(), &[&client.to_le_bytes()]) }
}

fn passes(limiter: &Limiter, charges: &[Charge<'_>]) -> bool {
    limiter.decide(Instant::START, charges).into_result().is_ok()
}

#[cfg(loom)]
mod interleavings {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn the_last_request_goes_to_one_of_two_threads() {
        loom::model(|| {
            let limiter = Arc::new(limiter(4));
            let other = Arc::clone(&limiter);
            let thread = thread::spawn(move || {
                let rule = rule(&other, "r", 0);
                passes(&other, &[charge(&other, &rule, 1)])
            });
            let rule = rule(&limiter, "r", 0);
            let mine = passes(&limiter, &[charge(&limiter, &rule, 1)]);
            assert!(mine ^ thread.join().unwrap());
        });
    }

    #[test]
    fn places_in_flight_come_back_and_are_never_more_than_the_limit() {
        loom::model(|| {
            let limiter = Arc::new(limiter(4));
            let enter_and_leave = |limiter: &Limiter| {
                let rule = rule(limiter, "r", 9).with_in_flight(NonZeroU32::new(1));
                let charge = charge(limiter, &rule, 1);
                let grant = limiter.decide(Instant::START, &[charge]).into_result();
                assert!(limiter.peek(Instant::START, charge).in_flight <= 1);
                u64::from(grant.is_ok())
            };
            let other = Arc::clone(&limiter);
            let thread = thread::spawn(move || enter_and_leave(&other));
            let passed = enter_and_leave(&limiter) + thread.join().unwrap();
            assert!(passed >= 1);
            let rule = rule(&limiter, "r", 9).with_in_flight(NonZeroU32::new(1));
            let peek = limiter.peek(Instant::START, charge(&limiter, &rule, 1));
            assert_eq!(peek.in_flight, 0);
            assert_eq!(peek.windows[0].unwrap().remaining, 10 - passed, "what was refused spent nothing");
            assert_eq!(limiter.stats().in_flight_held, 0);
        });
    }

    /// With two shards and charges in opposite orders: no deadlock, and one of both gets everything.
    #[test]
    fn two_charges_in_opposite_orders_are_all_or_nothing() {
        let seed = Seed::from_u128(7);
        let shard = |client: u32| seed.key(seed.rule_id("r"), &[&client.to_le_bytes()]).as_u64() & 1;
        let client_in = |index| (0..).find(|&client| shard(client) == index).unwrap();
        let (a, b) = (client_in(0), client_in(1));
        loom::model(move || {
            let limiter = Arc::new(limiter(8192));
            let other = Arc::clone(&limiter);
            let thread = thread::spawn(move || {
                let rule = rule(&other, "r", 0);
                passes(&other, &[charge(&other, &rule, b), charge(&other, &rule, a)])
            });
            let rule = rule(&limiter, "r", 0);
            let mine = passes(&limiter, &[charge(&limiter, &rule, a), charge(&limiter, &rule, b)]);
            assert!(mine ^ thread.join().unwrap());
        });
    }
}

#[cfg(not(loom))]
mod counts {
    use super::*;

    /// Runs the same on eight threads and adds up how often it said yes.
    fn on_eight_threads(turns: usize, passes: impl Fn(usize) -> bool + Sync) -> usize {
        let work = || (0..turns).filter(|&turn| passes(turn)).count();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    }

    #[test]
    fn eight_threads_at_a_standing_clock_get_exactly_the_allowance() {
        for _ in 0..50 {
            let limiter = limiter(1000);
            let rule = rule(&limiter, "r", 100);
            let passed = on_eight_threads(200, |_| passes(&limiter, &[charge(&limiter, &rule, 1)]));
            assert_eq!(passed, 101);
        }
    }

    #[test]
    fn eight_threads_with_two_charges_over_many_shards_get_exactly_the_smaller_allowance() {
        let limiter = limiter(1_000_000);
        let (all, each) = (rule(&limiter, "all", 999), rule(&limiter, "each", 4));
        let passed = on_eight_threads(1000, |turn| {
            let client = turn as u32 % 100;
            let (first, second) = (charge(&limiter, &all, 0), charge(&limiter, &each, client));
            // Both orders, so that locks would be taken both ways round if they were taken as they come.
            if turn % 3 == 0 {
                passes(&limiter, &[first, second])
            } else {
                passes(&limiter, &[second, first])
            }
        });
        assert_eq!(passed, 500, "100 clients of 5 each");
        let all = limiter.peek(Instant::START, charge(&limiter, &all, 0)).windows[0].unwrap();
        assert_eq!(all.remaining, 500, "refused requests spent nothing of what all share");
    }

    #[test]
    fn places_in_flight_of_eight_threads_are_never_more_than_the_limit_and_all_come_back() {
        let limiter = limiter(1000);
        let rule = Rule::new(limiter.seed().rule_id("r")).with_in_flight(NonZeroU32::new(3));
        let passed = on_eight_threads(5000, |turn| {
            let charge = charge(&limiter, &rule, turn as u32 % 2);
            let grant = limiter.decide(Instant::START, &[charge]).into_result();
            assert!(limiter.peek(Instant::START, charge).in_flight <= 3);
            grant.is_ok()
        });
        assert!(passed >= 3);
        assert_eq!(limiter.stats().in_flight_held, 0);
    }
}
