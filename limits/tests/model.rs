//! Properties against naive models: one that keeps every timestamp, and `governor` for a single window.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;
use weir_limits::{Cause, Charge, Config, Decision, Instant, Limiter, Quota, Rule, Seed, Window};

/// Keeps the time of every request that passed.
#[derive(Clone, Default)]
struct Naive {
    passed: Vec<u64>,
}

impl Naive {
    /// For every request that passed at t_j as the one before n - j others: n - j + 1 with the new one are at most
    /// burst + 1 and what accrued since t_j.
    fn wait(&self, quota: &Quota, now: u64) -> u64 {
        let interval = quota.interval().as_nanos() as u64;
        let earliest = |(j, at): (usize, &u64)| {
            let requests = (self.passed.len() - j + 1) as u64;
            (at + requests * interval).saturating_sub(quota.allowance() * interval)
        };
        self.passed.iter().enumerate().map(earliest).max().unwrap_or(0).saturating_sub(now)
    }
}

fn limiter(capacity: usize) -> Limiter {
    Limiter::new(Config { capacity, in_flight_capacity: 100, seed: Seed::from_u128(7) })
}

fn quotas() -> impl Strategy<Value = Quota> {
    (1..50_u64, 1..2_000_u64, 0..6_u64).prop_map(|(limit, period, burst)| {
        Quota::new(limit, Duration::from_nanos(period)).unwrap().with_burst(burst)
    })
}

fn rules() -> impl Strategy<Value = Vec<[Option<Quota>; 4]>> {
    let windows = prop::array::uniform4(prop::option::of(quotas()));
    prop::collection::vec(windows, 1..4)
}

/// Time passed since the last one, and for each rule whether it is charged, and which client.
type Request = (u64, [Option<u8>; 3]);

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let pause = prop_oneof![Just(0), 0..20_u64, 0..500_u64, 0..100_000_u64];
    prop::collection::vec((pause, prop::array::uniform3(prop::option::of(0..3_u8))), 1..200)
}

proptest! {
    #[test]
    fn several_rules_windows_and_clients_decide_as_if_every_timestamp_were_kept(
        quotas in rules(),
        requests in requests(),
    ) {
        let limiter = limiter(1000);
        let rules: Vec<Rule> = quotas.iter().enumerate().map(|(index, windows)| {
            let rule = Rule::new(limiter.seed().rule_id(&index.to_string()));
            let set = windows.iter().zip(Window::ALL).filter_map(|(quota, window)| quota.map(|quota| (window, quota)));
            set.fold(rule, |rule, (window, quota)| rule.with_window(window, quota))
        }).collect();
        let mut naive: HashMap<(usize, u8, usize), Naive> = HashMap::new();
        let mut now = 0;
        for (pause, clients) in requests {
            now += pause;
            let charged: Vec<(usize, u8)> =
                clients.iter().enumerate().filter_map(|(rule, client)| client.map(|client| (rule, client)))
                    .filter(|(rule, _)| *rule < rules.len()).collect();
            let charges: Vec<Charge<'_>> = charged.iter().map(|&(rule, client)| Charge {
                rule: &rules[rule],
                key: limiter.seed().key(rules[rule].id(), &[&[client]]),
            }).collect();
            let cells: Vec<(usize, u8, usize, Quota)> = charged.iter().flat_map(|&(rule, client)| {
                let windows = quotas[rule].iter().enumerate();
                windows.filter_map(move |(window, quota)| quota.map(|quota| (rule, client, window, quota)))
            }).collect();
            let wait = cells.iter().map(|&(rule, client, window, quota)| {
                naive.entry((rule, client, window)).or_default().wait(&quota, now)
            }).max().unwrap_or(0);
            match limiter.decide(Instant::from_nanos(now), &charges) {
                Decision::Grant(_) => {
                    prop_assert_eq!(wait, 0);
                    for (rule, client, window, _) in cells {
                        naive.entry((rule, client, window)).or_default().passed.push(now);
                    }
                }
                Decision::Deny(denial) => {
                    prop_assert_eq!(denial.retry_after, Duration::from_nanos(wait));
                    prop_assert!(wait > 0);
                    let (rule, client) = charged[denial.charge];
                    let Cause::Window(window) = denial.cause else { panic!("{denial:?}") };
                    let cell = &naive[&(rule, client, window.index())];
                    let quota = quotas[rule][window.index()].unwrap();
                    prop_assert_eq!(cell.wait(&quota, now), wait, "the window named has the longest wait");
                    prop_assert_eq!(denial.standing.unwrap().quota, quota);
                    prop_assert_eq!(denial.standing.unwrap().remaining, 0);
                }
            }
        }
    }

    /// Wherever the clock goes: while it stands, no more than burst + 1 pass; and once the allowance had time to come
    /// back, all of it is there.
    #[test]
    fn with_a_clock_that_jumps_both_ways_no_more_than_the_allowance_passes_at_once(
        quota in quotas(),
        moments in prop::collection::vec((0..100_000_u64, 0..12_u64), 1..60),
    ) {
        let limiter = limiter(10);
        let rule = Rule::new(limiter.seed().rule_id("r")).with_window(Window::Second, quota);
        let key = limiter.seed().key(rule.id(), &[]);
        let passes = |now| matches!(limiter.decide(now, &[Charge { rule: &rule, key }]), Decision::Grant(_));
        for (now, requests) in moments {
            let now = Instant::from_nanos(now);
            let passed = (0..requests).filter(|_| passes(now)).count() as u64;
            prop_assert!(passed <= quota.allowance());
            // Whether it is asked to or not, a look heals what is too far ahead.
            passes(now);
            let whole = now.saturating_add(quota.recovery());
            let peek = limiter.peek(whole, Charge { rule: &rule, key });
            prop_assert_eq!(peek.windows[0].unwrap().remaining, quota.allowance());
        }
    }

    /// `governor` counts its burst as the whole allowance and rounds intervals down, so the intervals here divide.
    #[test]
    fn one_window_decides_as_governor_does(
        per_second in prop::sample::select(vec![1_u32, 2, 5, 8, 10, 40, 100, 1000]),
        allowance in 1..30_u32,
        pauses in prop::collection::vec(prop_oneof![Just(0), 0..2_000_000_u64, 0..3_000_000_000_u64], 1..300),
    ) {
        let clock = FakeRelativeClock::default();
        let theirs = governor::Quota::per_second(NonZeroU32::new(per_second).unwrap())
            .allow_burst(NonZeroU32::new(allowance).unwrap());
        let governor = governor::RateLimiter::direct_with_clock(theirs, clock.clone());

        let limiter = limiter(10);
        let quota = Quota::new(per_second.into(), Duration::from_secs(1)).unwrap().with_burst(u64::from(allowance) - 1);
        let rule = Rule::new(limiter.seed().rule_id("r")).with_window(Window::Second, quota);
        let key = limiter.seed().key(rule.id(), &[]);
        let mut now = Instant::START;
        for pause in pauses {
            let pause = Duration::from_nanos(pause);
            clock.advance(pause);
            now = now.saturating_add(pause);
            match (governor.check(), limiter.decide(now, &[Charge { rule: &rule, key }])) {
                (Ok(()), Decision::Grant(_)) => {}
                (Err(until), Decision::Deny(denial)) => {
                    let wait = until.wait_time_from(governor::clock::Clock::now(&clock));
                    prop_assert_eq!(wait, denial.retry_after);
                }
                (theirs, ours) => panic!("governor {theirs:?}, ours {ours:?}"),
            }
        }
    }
}
