//! What a decision costs, what a client weighs, and what a spray of keys does. See `BENCHES.md`.
//!
//! `cargo bench -p weir-limits` measures; without `--bench` (as `cargo test --benches` runs it) everything runs once
//! and small, to see that it works. `cargo bench -p weir-limits -- 1000000` measures for that many clients only.
#![allow(clippy::disallowed_methods, reason = "a bench is where a clock is read")]
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant as Clock};

use weir_limits::{Charge, Config, Decision, Instant, Limiter, Quota, Rule, Seed, Window};

fn main() {
    let scale = if std::env::args().any(|arg| arg == "--bench") { Scale::FULL } else { Scale::SMALL };
    let only: Vec<u32> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    println!("a decision over three windows, clients in random order, keys hashed inside");
    println!(
        "ns each: by the wall clock, and on the processor (what others on the machine take is in the former only)"
    );
    println!(
        "{:>12} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "clients", "threads", "best", "median", "on cpu", "speed-up", "one read"
    );
    println!(
        "one read: what the machine takes for one dependent random read in a block as large as the table"
    );
    for &clients in if only.is_empty() { scale.clients } else { &only } {
        decisions(clients, &scale);
    }
    if only.is_empty() {
        println!();
        spray(&scale);
    }
}

/// How much of everything.
struct Scale {
    clients: &'static [u32],
    rounds: usize,
    decisions: u32,
    spray: u32,
    spray_capacity: usize,
}

impl Scale {
    const FULL: Self = Self {
        clients: &[1, 100_000, 1_000_000, 10_000_000],
        rounds: 7,
        decisions: 2_000_000,
        spray: 10_000_000,
        spray_capacity: 1_000_000,
    };
    const SMALL: Self =
        Self { clients: &[1, 1_000], rounds: 1, decisions: 1_000, spray: 20_000, spray_capacity: 5_000 };
}

/// Decisions for so many live clients, on one and on two threads.
fn decisions(clients: u32, scale: &Scale) {
    let limiter = limiter(clients as usize);
    let rule = rule(&limiter);
    for client in 0..clients {
        grant(&limiter, &rule, Instant::START, client);
    }
    assert_eq!(limiter.stats().held, clients as usize);
    let chain = Chain::new(limiter.sizes().table_bytes);
    let mut one = Duration::MAX;
    for threads in [1, 2] {
        // Side by side, so that both see the same neighbours.
        let mut read = Duration::MAX;
        let mut rounds: Vec<Took> = (0..scale.rounds)
            .map(|round| {
                read = read.min(chain.walk(scale.decisions / 4));
                round_of(&limiter, &rule, clients, threads, round, scale)
            })
            .collect();
        rounds.sort_unstable_by_key(|took| took.wall);
        let on_cpu = rounds.iter().map(|took| took.on_cpu).min().unwrap();
        let (best, median) = (rounds[0].wall, rounds[rounds.len() / 2].wall);
        if threads == 1 {
            one = best;
        }
        let per = |time: Duration| time.as_nanos() as f64 / f64::from(scale.decisions);
        let speed_up = per(one) * threads as f64 / per(best);
        let (best, median, on_cpu) = (per(best), per(median), per(on_cpu));
        let read = read.as_nanos() as f64 / f64::from(scale.decisions / 4);
        println!(
            "{clients:>12} {threads:>8} {best:>10.1} {median:>10.1} {on_cpu:>10.1} {speed_up:>10.2} {read:>10.1}"
        );
    }
}

/// A block of memory in which each place read says where to read next: the machine's own yardstick.
struct Chain {
    next: Vec<u32>,
}

impl Chain {
    /// One cycle through a word in each cache line of so many bytes, in random order.
    fn new(bytes: usize) -> Self {
        let lines = (bytes / LINE).max(1) as u32;
        let mut order: Vec<u32> = (0..lines).collect();
        let mut random = Random(0x2545_f491);
        for at in (1..lines).rev() {
            order.swap(at as usize, random.below(at + 1) as usize);
        }
        let mut next = vec![0; lines as usize * LINE / 4];
        for (at, line) in order.iter().enumerate() {
            next[*line as usize * LINE / 4] = order[(at + 1) % order.len()] * (LINE as u32 / 4);
        }
        Self { next }
    }

    /// The time on the processor for so many reads, each of which has to wait for the one before.
    fn walk(&self, reads: u32) -> Duration {
        let used = on_cpu();
        let end = (0..reads).fold(0, |at, _| self.next[at as usize]);
        black_box(end);
        on_cpu() - used
    }
}

/// Bytes in a cache line.
const LINE: usize = 64;

/// The time of one round, of the thread that took longest.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    on_cpu: Duration,
}

/// The time that the slowest thread takes for its decisions.
fn round_of(
    limiter: &Limiter,
    rule: &Rule,
    clients: u32,
    threads: usize,
    round: usize,
    scale: &Scale,
) -> Took {
    // Each client comes at its sustained rate, so that nearly everything passes and nobody's cell becomes fresh.
    let step = (40_000_000 / u64::from(clients)).max(1);
    let start = (round as u64 + 1) * step * u64::from(scale.decisions);
    let barrier = Barrier::new(threads);
    let work = |thread: usize| {
        let mut random = Random(0x9e37_79b9 + (round * 8 + thread) as u64);
        barrier.wait();
        let (began, used) = (Clock::now(), on_cpu());
        for turn in 0..u64::from(scale.decisions) {
            let now = Instant::from_nanos(start + turn * step);
            black_box(grant(limiter, rule, now, random.below(clients)));
        }
        Took { wall: began.elapsed(), on_cpu: on_cpu() - used }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let mine = work(0);
        let longest = |a: Took, b: Took| Took { wall: a.wall.max(b.wall), on_cpu: a.on_cpu.max(b.on_cpu) };
        others.into_iter().map(|other| other.join().unwrap()).fold(mine, longest)
    })
}

/// Ten times more keys than there is room for, each once, while one client is being limited.
fn spray(scale: &Scale) {
    let before = resident_bytes();
    let limiter = limiter(scale.spray_capacity);
    let rule = rule(&limiter);
    let sizes = limiter.sizes();
    println!(
        "a table for {} clients: {} bytes, {} a client",
        scale.spray_capacity, sizes.table_bytes, sizes.bytes_per_client
    );
    let victim = u32::MAX;
    let now = Instant::START;
    while grant(&limiter, &rule, now, victim) {}

    println!("worst: by the wall clock, and less what the thread waited for a processor;");
    println!("idle: the same where no decision is made, for as long: what the machine does by itself");
    println!(
        "{:>12} {:>14} {:>10} {:>10} {:>12} {:>12} {:>12} {:>12}",
        "sprayed", "resident", "of bound", "ns each", "worst", "less waiting", "idle", "less waiting"
    );
    let rounds = 10;
    let mut let_through = 0;
    for round in 0..rounds {
        let began = Clock::now();
        let mut clients = scale.spray / rounds * round..scale.spray / rounds * (round + 1);
        let worst = gaps(|| clients.next().map(|client| black_box(grant(&limiter, &rule, now, client))));
        let took = began.elapsed();
        let_through += u32::from(grant(&limiter, &rule, now, victim));
        let grown = resident_bytes().saturating_sub(before);
        let began = Clock::now();
        let idle = gaps(|| (began.elapsed() < took).then_some(true));
        println!(
            "{:>12} {:>14} {:>9.1}% {:>10.1} {:>12.1?} {:>12.1?} {:>12.1?} {:>12.1?}",
            scale.spray / rounds * (round + 1),
            grown,
            grown as f64 / sizes.table_bytes as f64 * 100.0,
            took.as_nanos() as f64 / f64::from(scale.spray / rounds),
            worst.wall,
            worst.running,
            idle.wall,
            idle.running
        );
    }
    println!("the client that was being limited got {let_through} requests through");
    println!("{:?}", limiter.stats());
}

/// The longest that one of many calls took.
#[derive(Default)]
struct Worst {
    wall: Duration,
    /// Without what the thread waited for a processor.
    running: Duration,
}

/// Calls `step` until it gives nothing.
fn gaps(mut step: impl FnMut() -> Option<bool>) -> Worst {
    let mut worst = Worst::default();
    let (mut last, mut waited) = (Clock::now(), waited_for_cpu());
    while step().is_some() {
        let at = Clock::now();
        // Every wait is longer than that, so each is taken off the step that it fell into and no other.
        if at - last > Duration::from_micros(10) {
            worst.wall = worst.wall.max(at - last);
            let now_waited = waited_for_cpu();
            worst.running = worst.running.max((at - last).saturating_sub(now_waited - waited));
            waited = now_waited;
        }
        // Not the time that reading the waiting takes.
        last = Clock::now();
    }
    worst
}

fn limiter(capacity: usize) -> Limiter {
    Limiter::new(Config { capacity, in_flight_capacity: 0, seed: Seed::from_u128(0x5eed) })
}

fn rule(limiter: &Limiter) -> Rule {
    let quota =
        |limit, seconds, burst| Quota::new(limit, Duration::from_secs(seconds)).unwrap().with_burst(burst);
    Rule::new(limiter.seed().rule_id("bench"))
        .with_window(Window::Second, quota(100, 1, 500))
        .with_window(Window::Minute, quota(3_000, 60, 15_000))
        .with_window(Window::Hour, quota(100_000, 3_600, 500_000))
}

/// Whether one request of a client passes: an address becomes a key, and the key is decided on.
#[inline]
fn grant(limiter: &Limiter, rule: &Rule, now: Instant, client: u32) -> bool {
    let key = limiter.seed().key(rule.id(), &[&client.to_be_bytes()]);
    matches!(limiter.decide(now, &[Charge { rule, key }]), Decision::Grant(_))
}

/// xorshift64*
struct Random(u64);

impl Random {
    #[inline]
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((high * u64::from(bound)) >> 32) as u32
    }
}

/// Time that this thread has spent on a processor, from `/proc/thread-self/schedstat`.
fn on_cpu() -> Duration {
    schedstat(0)
}

/// Time that this thread could have run and had no processor.
fn waited_for_cpu() -> Duration {
    schedstat(1)
}

fn schedstat(field: usize) -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').nth(field).and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Resident memory of this process, from `/proc/self/statm`; zero where there is none.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}
