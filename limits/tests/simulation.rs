//! An adversary with a virtual clock against a limiter, with a shadow that has no bounds and forgets nothing.
//!
//! Every seed is a run of some thousand steps: requests of one or several rules and clients, sprays of new ones,
//! bursts, a clock that stands, runs, jumps ten years ahead or steps back, numbers and modes edited, refunds, requests
//! that end. After each step the limiter is compared with the shadow.
//!
//! A failure prints its seed and step; `WEIR_SIM_SEED=<seed> cargo test -p weir-limits --test simulation` replays it,
//! and `WEIR_SIM_SEEDS=<count>` widens the sweep.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::time::Duration;

use weir_limits::{
    Cause, Charge, Config, Decision, Denial, Grant, Instant, Limiter, Mode, Quota, Rule, Seed, Window,
};

#[test]
fn the_limiter_agrees_with_a_shadow_that_forgets_nothing() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    if let Some(seed) = number("WEIR_SIM_SEED") {
        return run(seed);
    }
    let totals =
        (0..number("WEIR_SIM_SEEDS").unwrap_or(128)).map(run_counted).fold([0; 5], |mut sum, seen| {
            sum.iter_mut().zip(seen).for_each(|(sum, seen)| *sum += seen);
            sum
        });
    // An adversary that never gets anywhere would prove nothing.
    assert!(
        totals.iter().all(|&count| count > 0),
        "grants, denials, overflows, table full, evictions: {totals:?}"
    );
}

fn run(seed: u64) {
    run_counted(seed);
}

fn run_counted(seed: u64) -> [u64; 5] {
    let mut simulation = Simulation::new(seed);
    for step in 0..STEPS {
        let _on_panic = Report { seed, step };
        simulation.step();
        simulation.check();
    }
    let stats = simulation.limiter.stats();
    simulation.running.clear();
    assert_eq!(simulation.limiter.stats().in_flight_held, 0, "seed {seed}: everything in flight comes back");
    let Simulation { granted, denied, .. } = simulation;
    [granted, denied, stats.overflow_uses, stats.denied_table_full, stats.evicted_fresh]
}

const STEPS: u64 = 3_000;

/// Says how to replay when a step panics.
struct Report {
    seed: u64,
    step: u64,
}

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("step {} failed; replay with WEIR_SIM_SEED={}", self.step, self.seed);
        }
    }
}

type Client = (usize, u32);

struct Running {
    grant: Grant,
    at: u64,
    /// Each charge with the rule as it was, and whether it was charged.
    charged: Vec<(Client, Rule, bool)>,
}

impl Running {
    fn has(&self, rule: usize) -> bool {
        self.charged.iter().any(|((charged, _), ..)| *charged == rule)
    }
}

/// What the limiter should hold, for each client and rule.
///
/// When the clock steps back, the limiter may have dropped cells that were fresh in a future that is no more. So the
/// shadow keeps two states: `strict` remembers everything and heals only what is looked at, `lenient` takes every
/// client for fresh after a step back and heals those who may have shared a cell when their rule is edited. What strict
/// allows must pass unless the table was full, what lenient forbids must not. While the clock does not step back the two are the same, and the limiter has to agree exactly.
#[derive(Clone, Copy, Default)]
struct Cell {
    strict: [i128; 4],
    lenient: [i128; 4],
}

struct Simulation {
    random: Random,
    limiter: Limiter,
    rules: Vec<Rule>,
    now: u64,
    cells: HashMap<Client, Cell>,
    in_flight: HashMap<Client, u32>,
    running: Vec<Running>,
    next_client: u32,
    /// Those who may have been charged to a shared cell.
    sharers: HashSet<Client>,
    /// The clock has stepped back.
    stepped_back: bool,
    granted: u64,
    denied: u64,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // Every other run with room for everybody, the others soon full.
        let capacity = if seed.is_multiple_of(2) { 20_000 } else { random.below(40) as usize };
        let seed = Seed::from_u128(u128::from(seed) << 64 | 7);
        let limiter = Limiter::new(Config { capacity, in_flight_capacity: 20_000, seed });
        let rules = (0..24).map(|rule| Rule::new(limiter.seed().rule_id(&format!("rule {rule}")))).collect();
        let mut simulation = Self {
            random,
            limiter,
            rules,
            now: 0,
            cells: HashMap::new(),
            in_flight: HashMap::new(),
            running: Vec::new(),
            next_client: 1_000,
            sharers: HashSet::new(),
            stepped_back: false,
            granted: 0,
            denied: 0,
        };
        (0..24).for_each(|rule| simulation.edit(rule));
        simulation
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..45 => self.request(),
            45..55 => self.burst(),
            55..60 => self.spray(),
            60..75 => self.wait(),
            75..80 => {
                let rule = self.random.below(24) as usize;
                self.edit(rule);
            }
            80..90 => self.end(),
            90..96 => self.refund(),
            96 => self.now = (self.now + TEN_YEARS).min(Instant::MAX.as_nanos() - TEN_YEARS),
            97 if self.stepped_back || self.random.below(40) == 0 => self.step_back(),
            _ => {}
        }
    }

    /// One request charged to one to four rules, mostly of known clients.
    fn request(&mut self) {
        let count = 1 + self.random.below(4) as usize;
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..count {
            let rule = self.random.below(24) as usize;
            if clients.iter().all(|(other, _)| *other != rule) {
                clients.push((rule, self.random.below(6) as u32));
            }
        }
        self.decide(&clients);
    }

    fn burst(&mut self) {
        let client = (self.random.below(24) as usize, self.random.below(6) as u32);
        for _ in 0..self.random.below(30) {
            self.decide(&[client]);
        }
    }

    fn spray(&mut self) {
        let rules = 1 + self.random.below(24);
        for _ in 0..self.random.below(60) {
            self.next_client += 1;
            let client = (self.random.below(rules) as usize, self.next_client);
            self.decide(&[client]);
        }
    }

    fn wait(&mut self) {
        let most = [1, 1_000, 1_000_000, 1_000_000_000, 100_000_000_000][self.random.below(5) as usize];
        self.now = (self.now + self.random.below(most)).min(Instant::MAX.as_nanos() - TEN_YEARS);
    }

    fn step_back(&mut self) {
        self.stepped_back = true;
        // What was granted in a time that comes again is not to be refunded.
        let all = std::mem::take(&mut self.running);
        self.all_end(all);
        self.now -= self.random.below(self.now.clamp(1, 2 * TEN_YEARS));
        for cell in self.cells.values_mut() {
            cell.lenient = [0; 4];
        }
    }

    fn edit(&mut self, rule: usize) {
        let id = self.rules[rule].id();
        let mut edited = Rule::new(id);
        for window in Window::ALL {
            if self.random.below(2) == 0 {
                let period = [1, 60, 3_600, 86_400][window.index()];
                let quota = Quota::new(1 + self.random.below(50), Duration::from_secs(period)).unwrap();
                edited = edited.with_window(window, quota.with_burst(self.random.below(20)));
            }
        }
        if self.random.below(3) == 0 {
            edited = edited.with_in_flight(NonZeroU32::new(1 + self.random.below(4) as u32));
        }
        if self.random.below(4) == 0 {
            edited = edited.with_mode(Mode::Observe);
        }
        // Clients that share a cell heal together, to one interval, as soon as one of them is refused under the new
        // numbers.
        for client in self.sharers.iter().filter(|(charged, _)| *charged == rule) {
            let Some(cell) = self.cells.get_mut(client) else { continue };
            for (window, quota) in quotas(&edited) {
                let horizon = i128::from(self.now) + quota.interval().as_nanos() as i128;
                cell.lenient[window] = cell.lenient[window].min(horizon);
            }
        }
        self.rules[rule] = edited;
        // What was granted under other numbers is not to be refunded, only ended.
        let (gone, kept) = self.running.drain(..).partition(|running| running.has(rule));
        self.running = kept;
        self.all_end(gone);
    }

    fn end(&mut self) {
        if let Some(running) = self.some_running() {
            drop(running.grant);
            self.left(&running.charged);
        }
    }

    fn all_end(&mut self, running: Vec<Running>) {
        for Running { grant, charged, .. } in running {
            drop(grant);
            self.left(&charged);
        }
    }

    fn refund(&mut self) {
        let Some(Running { grant, at, charged }) = self.some_running() else { return };
        let charges: Vec<Charge<'_>> =
            charged.iter().map(|(client, rule, _)| self.charge(*client, rule)).collect();
        self.limiter.refund(Instant::from_nanos(self.now), grant, &charges);
        for (client, rule, was_charged) in &charged {
            if *was_charged {
                let cell = self.cells.get_mut(client).unwrap();
                for (window, quota) in quotas(rule) {
                    let interval = quota.interval().as_nanos() as i128;
                    let back = (interval - i128::from(self.now.saturating_sub(at))).max(0);
                    cell.strict[window] -= back;
                    cell.lenient[window] -= back;
                }
            }
        }
        self.left(&charged);
    }

    fn some_running(&mut self) -> Option<Running> {
        let count = self.running.len() as u64;
        (count > 0).then(|| self.running.swap_remove(self.random.below(count) as usize))
    }

    fn left(&mut self, charged: &[(Client, Rule, bool)]) {
        for (client, rule, was_charged) in charged {
            if *was_charged && rule.in_flight().is_some() {
                *self.in_flight.get_mut(client).unwrap() -= 1;
            }
        }
    }

    fn charge<'a>(&self, (_, client): Client, rule: &'a Rule) -> Charge<'a> {
        Charge { rule, key: self.limiter.seed().key(rule.id(), &[&client.to_le_bytes()]) }
    }

    /// Decides on a request and compares the answer with the shadow.
    fn decide(&mut self, clients: &[Client]) {
        let now = Instant::from_nanos(self.now);
        let rules: Vec<Rule> = clients.iter().map(|(rule, _)| self.rules[*rule].clone()).collect();
        let charges: Vec<Charge<'_>> =
            clients.iter().zip(&rules).map(|(client, rule)| self.charge(*client, rule)).collect();
        let waits: Vec<Waits> =
            clients.iter().zip(&rules).map(|(client, rule)| self.waits(*client, rule)).collect();
        let exact = !self.stepped_back && !self.was_full();
        let uses = self.limiter.stats().overflow_uses;
        match self.limiter.decide(now, &charges) {
            Decision::Grant(grant) => {
                self.granted += 1;
                if self.limiter.stats().overflow_uses > uses {
                    self.sharers.extend(clients);
                }
                let observed = grant.observed().to_vec();
                let mut charged = Vec::new();
                for (index, ((client, rule), waits)) in clients.iter().zip(&rules).zip(&waits).enumerate() {
                    let denial = observed.iter().find(|denial| denial.charge == index);
                    self.compare(rule, waits, denial, exact);
                    if denial.is_none() {
                        self.take(*client, rule);
                    }
                    charged.push((*client, rule.clone(), denial.is_none()));
                }
                self.running.push(Running { grant, at: self.now, charged });
            }
            Decision::Deny(denial) => {
                self.denied += 1;
                let rule = &rules[denial.charge];
                assert_eq!(rule.mode(), Mode::Enforce);
                self.compare(rule, &waits[denial.charge], Some(&denial), exact);
                let enforced = rules.iter().zip(&waits).filter(|(rule, _)| rule.mode() == Mode::Enforce);
                let longest = enforced.map(|(_, waits)| waits.strict).max().unwrap();
                if exact {
                    assert_eq!(denial.retry_after.as_nanos(), longest as u128);
                }
            }
        }
    }

    /// Whether one charge was rightly taken, or rightly not.
    fn compare(&self, rule: &Rule, waits: &Waits, denial: Option<&Denial>, exact: bool) {
        match denial {
            None => {
                assert_eq!(waits.lenient, 0, "never more than the limit of the client");
                assert!(!waits.crowded, "never more in flight than allowed");
            }
            Some(denial) if exact => match denial.cause {
                Cause::Window(window) => {
                    assert!(rule.windows()[window.index()].is_some());
                    assert!(waits.strict > 0);
                    assert_eq!(denial.retry_after.as_nanos(), waits.strict as u128);
                }
                Cause::InFlight => assert!(waits.crowded),
                cause => panic!("{cause:?} with room for everybody"),
            },
            Some(_) if self.was_full() => {}
            Some(_) => assert!(waits.strict > 0 || waits.crowded, "what must pass passes"),
        }
    }

    fn was_full(&self) -> bool {
        let stats = self.limiter.stats();
        stats.overflow_uses + stats.denied_table_full > 0
    }

    /// How long until the windows of a rule have room, in the strict and in the lenient state, and whether as many as
    /// allowed are in flight.
    fn waits(&mut self, client: Client, rule: &Rule) -> Waits {
        let now = i128::from(self.now);
        let cell = self.cells.entry(client).or_default();
        let wait = |tats: &mut [i128; 4]| {
            let waits = quotas(rule).map(|(window, quota)| {
                let allowance = quota.recovery().as_nanos() as i128;
                let tat = tats[window].min(now + allowance);
                let wait = (tat.max(now) + quota.interval().as_nanos() as i128 - now - allowance).max(0);
                // A denial heals what it looked at.
                if wait > 0 {
                    tats[window] = tat;
                }
                wait
            });
            waits.max().unwrap_or(0)
        };
        let in_flight = self.in_flight.get(&client).copied().unwrap_or(0);
        Waits {
            strict: wait(&mut cell.strict),
            lenient: wait(&mut cell.lenient),
            crowded: rule.in_flight().is_some_and(|limit| in_flight >= limit.get()),
        }
    }

    fn take(&mut self, client: Client, rule: &Rule) {
        let now = i128::from(self.now);
        let cell = self.cells.get_mut(&client).unwrap();
        for (window, quota) in quotas(rule) {
            let interval = quota.interval().as_nanos() as i128;
            let horizon = now + quota.recovery().as_nanos() as i128;
            for tats in [&mut cell.strict, &mut cell.lenient] {
                tats[window] = tats[window].min(horizon).max(now) + interval;
            }
        }
        if rule.in_flight().is_some() {
            *self.in_flight.entry(client).or_default() += 1;
        }
    }

    /// What holds after every step.
    fn check(&mut self) {
        let stats = self.limiter.stats();
        assert!(stats.held <= stats.capacity);
        assert_eq!(stats.in_flight_held, self.in_flight.values().filter(|&&count| count > 0).count());
        // A client that is being limited stays limited whatever else happens: one of them, picked at random.
        let client = (self.random.below(24) as usize, self.random.below(6) as u32);
        let rule = self.rules[client.0].clone();
        let peek = self.limiter.peek(Instant::from_nanos(self.now), self.charge(client, &rule));
        let cell = self.cells.get(&client).copied();
        let waits = self.waits(client, &rule);
        // A peek changes nothing.
        self.cells.insert(client, cell.unwrap_or_default());
        if waits.lenient > 0 {
            let standings = peek.windows.iter().flatten();
            assert_eq!(
                standings.map(|standing| standing.remaining).min(),
                Some(0),
                "a debtor is not forgotten"
            );
        }
        if rule.in_flight().is_some() {
            assert_eq!(peek.in_flight, u64::from(self.in_flight.get(&client).copied().unwrap_or(0)));
        }
    }
}

struct Waits {
    strict: i128,
    lenient: i128,
    crowded: bool,
}

fn quotas(rule: &Rule) -> impl Iterator<Item = (usize, &Quota)> {
    rule.windows().iter().enumerate().filter_map(|(window, quota)| Some((window, quota.as_ref()?)))
}

const TEN_YEARS: u64 = 10 * 365 * 86_400 * 1_000_000_000;

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * u128::from(bound)) >> 64) as u64
    }
}
