//! The engine under reloads, storms and a clock that does as it likes, step by step against a model that keeps every
//! cell by name and every request in flight in a list.
//!
//! Each run has a seed; a failure prints seed and step, and `WEIR_SEED=n cargo test -p weir-core --test simulation`
//! repeats it.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod support;

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::time::Duration;
use support::{Request, backend, declare, host, n32, path, with};
use weir_core::account::Outcome;
use weir_core::declaration::{Ingress, PathKind};
use weir_core::engine::EngineConfig;
use weir_core::policy::{Burst, Override};
use weir_core::ticket::Ticket;
use weir_core::verdict::Reason;
use weir_core::{Engine, Verdict};
use weir_limits::gcra::{self, Look};
use weir_limits::{Instant, Quota, Seed};

/// A sequence of numbers that looks random and is not.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap()]
    }
}

/// An object as its owner last wrote it.
#[derive(Clone, Debug)]
struct Object {
    name: &'static str,
    incarnation: u64,
    per_second: u64,
    per_minute: u64,
    window: u64,
    connections: u32,
    login_per_second: u64,
    denies: bool,
}

impl Object {
    fn new(name: &'static str, random: &mut Random) -> Self {
        let mut object = Self {
            name,
            incarnation: 0,
            per_second: 0,
            per_minute: 0,
            window: 0,
            connections: 0,
            login_per_second: 0,
            denies: false,
        };
        object.edit(random);
        object
    }

    /// Zero is no limit.
    fn edit(&mut self, random: &mut Random) {
        self.per_second = random.one_of(&[0, 1, 2, 5, 100]);
        self.per_minute = random.one_of(&[0, 0, 3, 30, 1_000]);
        self.window = random.one_of(&[0, 0, 4, 40]);
        self.connections = u32::try_from(random.one_of(&[0, 1, 3, 20])).unwrap();
        self.login_per_second = random.one_of(&[0, 1, 3]);
        self.denies = random.below(8) == 0;
    }

    fn ingress(&self) -> Ingress {
        let mut ingress = with(self.name, |policy| {
            let limits = &mut policy.limits;
            limits.per_second = NonZeroU64::new(self.per_second);
            limits.per_minute = NonZeroU64::new(self.per_minute);
            limits.connections = n32(self.connections);
            limits.burst = Burst::Multiplier(n32(5).unwrap());
            if let Some(limit) = NonZeroU64::new(self.window) {
                limits.windows = vec![weir_core::policy::Window { limit, period: WINDOW }];
            }
            if self.login_per_second > 0 {
                limits.overrides = vec![Override {
                    path: format!("/{}/login", self.name),
                    per_second: NonZeroU64::new(self.login_per_second),
                    ..Override::default()
                }];
            }
            if self.denies {
                policy.access.deny = vec!["10.0.0.0/30".parse().unwrap()];
            }
        });
        ingress.uid = self.incarnation.to_string();
        ingress.rules = vec![host("shop.example", vec![path(&format!("/{}", self.name), PathKind::Prefix)])];
        ingress
    }

    /// The cells that a request is charged to, and how much of each is allowed.
    fn cells(&self, login: bool) -> Vec<(&'static str, Quota)> {
        let quota = |limit: u64, period| Quota::new(limit, period).unwrap().with_burst(limit * 5);
        let second = Duration::from_secs(1);
        let mut cells = Vec::new();
        match self.login_per_second {
            limit if login && limit > 0 => cells.push(("login", quota(limit, second))),
            _ if self.per_second > 0 => cells.push(("second", quota(self.per_second, second))),
            _ => {}
        }
        if self.per_minute > 0 {
            cells.push(("minute", quota(self.per_minute, Duration::from_secs(60))));
        }
        if self.window > 0 {
            cells.push(("window", quota(self.window, WINDOW)));
        }
        cells
    }
}

type Cell = (&'static str, u64, u64, &'static str);

/// One run.
struct Simulation {
    engine: Engine,
    random: Random,
    now: Instant,
    objects: Vec<Object>,
    /// Theoretical arrival times, by object, incarnation, client and window.
    cells: HashMap<Cell, u64>,
    held: Vec<(Ticket, &'static str, u64, u64)>,
    admitted: u64,
    refused: u64,
}

/// What the model expects.
#[derive(Debug, PartialEq, Eq)]
enum Expect {
    Forward,
    Refuse(Reason),
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config =
            EngineConfig { clients: 20_000, in_flight: 20_000, seed: Seed::from_u128(u128::from(seed)) };
        let objects = NAMES.map(|name| Object::new(name, &mut random)).to_vec();
        let engine = Engine::new(config);
        let mut simulation = Self {
            engine,
            random,
            now: Instant::from_nanos(1 << 40),
            objects,
            cells: HashMap::new(),
            held: Vec::new(),
            admitted: 0,
            refused: 0,
        };
        simulation.reload();
        simulation
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..60 => self.request(),
            60..75 => self.end_one(),
            75..90 => self.tick(),
            90..95 => self.storm(),
            95..99 => self.edit(),
            _ => self.jump(),
        }
    }

    fn request(&mut self) {
        let client = self.random.below(CLIENTS);
        let object = self.random.one_of(&[0, 1, 2]);
        let login = self.random.below(3) == 0;
        self.ask(object, client, login);
    }

    /// Asks, and compares the answer with the model's.
    fn ask(&mut self, object: usize, client: u64, login: bool) {
        let object = self.objects[object].clone();
        let path = format!("/{}/{}", object.name, if login { "login" } else { "x" });
        let peer = format!("10.0.0.{client}");
        let request = Request { peer: &peer, path: &path, ..Request::default() };
        let (expect, spent) = self.expect(&object, client, login);
        match request.ask(&self.engine, self.now) {
            Verdict::Forward(ticket) => {
                assert_eq!(expect, Expect::Forward, "{object:?} {client}");
                self.cells.extend(spent);
                self.held.push((ticket, object.name, object.incarnation, client));
                self.admitted += 1;
            }
            Verdict::Refuse(mut refusal) => {
                assert_eq!(expect, Expect::Refuse(refusal.reason), "{object:?} {client}");
                assert_eq!(refusal.retry_after.is_some(), refusal.status == 429);
                refusal.account.close(self.now, &Outcome { status: refusal.status, ..Outcome::default() });
                self.refused += 1;
            }
        }
    }

    /// What should become of a request, and what it spends if it passes.
    fn expect(&mut self, object: &Object, client: u64, login: bool) -> (Expect, Vec<(Cell, u64)>) {
        if object.denies && client < 4 {
            return (Expect::Refuse(Reason::Address), Vec::new());
        }
        // Requests that began while the object had no such limit are not counted.
        let busy = self.held.iter().filter(|(ticket, name, incarnation, who)| {
            ticket.places() > 0 && (*name, *incarnation, *who) == (object.name, object.incarnation, client)
        });
        let busy = object.connections > 0 && busy.count() >= object.connections as usize;
        let mut spent = Vec::new();
        let mut waits = false;
        for (window, quota) in object.cells(login) {
            let cell = (object.name, object.incarnation, client, window);
            let tat = self.cells.get(&cell).copied().unwrap_or(gcra::FRESH);
            match gcra::look(tat, &quota, self.now, 1) {
                Look::Conforms { tat } => spent.push((cell, tat)),
                Look::Exceeds { tat, .. } => {
                    // A cell further ahead than can be, after an edit, is mended by whoever looks at it.
                    self.cells.insert(cell, tat);
                    waits = true;
                }
            }
        }
        match (waits, busy) {
            (true, _) => (Expect::Refuse(Reason::Rate), Vec::new()),
            (false, true) => (Expect::Refuse(Reason::Connections), Vec::new()),
            (false, false) => (Expect::Forward, spent),
        }
    }

    fn end_one(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let place = self.random.below(self.held.len() as u64);
        let (ticket, ..) = self.held.swap_remove(usize::try_from(place).unwrap());
        match self.random.below(3) {
            0 => drop(ticket),
            1 => drop(ticket.refuse_body()),
            _ => drop(ticket.finish(self.now, &Outcome { status: 200, ..Outcome::default() })),
        }
    }

    fn tick(&mut self) {
        let millis = self.random.one_of(&[0, 0, 1, 10, 100, 1_000, 7_000]);
        self.now = self.now.saturating_add(Duration::from_millis(millis));
    }

    /// One client asks as fast as it can; it never gets more than its allowance.
    fn storm(&mut self) {
        let client = self.random.below(CLIENTS);
        let object = self.random.one_of(&[0, 1, 2]);
        let before = self.admitted;
        for _ in 0..60 {
            self.ask(object, client, false);
        }
        let most = self.objects[object].cells(false).iter().map(|(_, quota)| quota.allowance()).min();
        assert!(most.is_none_or(|most| self.admitted - before <= most));
    }

    fn edit(&mut self) {
        let place = usize::try_from(self.random.below(3)).unwrap();
        let object = &mut self.objects[place];
        object.edit(&mut self.random);
        if self.random.below(6) == 0 {
            object.incarnation += 1;
        }
        self.reload();
    }

    fn reload(&mut self) {
        self.engine.replace(declare(self.objects.iter().map(Object::ingress)));
        assert!(self.engine.snapshot().findings.is_empty());
    }

    /// The clock goes where it should not. The model's cells go with it as the limiter's do: see [`gcra::look`].
    fn jump(&mut self) {
        let decade = Duration::from_secs(10 * 365 * 86_400);
        self.now = match self.random.below(4) {
            0 if self.now < Instant::from_nanos(1 << 62) => self.now.saturating_add(decade),
            1 => self.now.saturating_add(Duration::from_secs(3_600)),
            _ => self.now.saturating_add(Duration::from_secs(60)),
        };
    }

    /// Everything ends, and nothing is left.
    fn finish(mut self) {
        self.held.clear();
        assert_eq!(self.engine.limiter_stats().in_flight_held, 0);
        for owner in self.engine.snapshot().objects() {
            assert_eq!(owner.counters().in_flight(), 0);
        }
        assert_eq!(self.engine.snapshot().backend(&backend()).unwrap().endpoints()[0].in_flight(), 0);
        assert!(self.admitted > 100 && self.refused > 100, "{} {}", self.admitted, self.refused);
    }
}

/// Runs `one` with the seed that the environment names, or with several.
fn with_seeds(count: u64, one: impl Fn(u64)) {
    match std::env::var("WEIR_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => one(seed),
        None => (0..count).for_each(one),
    }
}

/// Prints what is needed to see a failure again.
struct Trace {
    seed: u64,
    step: u64,
}

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("WEIR_SEED={} fails at step {}", self.seed, self.step);
        }
    }
}

#[test]
fn the_engine_agrees_with_a_model_that_forgets_nothing() {
    with_seeds(24, |seed| {
        let mut trace = Trace { seed, step: 0 };
        let mut simulation = Simulation::new(seed);
        for step in 0..3_000 {
            trace.step = step;
            simulation.step();
        }
        simulation.finish();
    });
}

/// With a table too small for its clients and a clock that also steps back, the model cannot know every cell. What
/// holds all the same: no client gets more than its allowance and what time has given back, whatever happens.
#[test]
fn no_client_gets_more_than_its_allowance_and_the_rate() {
    with_seeds(8, |seed| {
        let mut trace = Trace { seed, step: 0 };
        let mut random = Random(seed);
        let config = EngineConfig { clients: 64, in_flight: 64, seed: Seed::from_u128(u128::from(seed)) };
        let engine = Engine::new(config);
        let limited = |multiplier| {
            declare([with("web", |policy| {
                policy.limits.per_second = NonZeroU64::new(2);
                policy.limits.burst = Burst::Multiplier(n32(multiplier).unwrap());
            })])
        };
        engine.replace(limited(5));
        let mut now = Instant::from_nanos(1 << 40);
        let mut given = Duration::ZERO;
        let mut admitted = HashMap::<u64, u64>::new();
        for step in 0..20_000 {
            trace.step = step;
            // Eight clients that never rest among a thousand that come and go.
            let client = if random.below(2) == 0 { random.below(8) } else { random.below(1_000) };
            match random.below(1_000) {
                0 => now = now.saturating_sub(Duration::from_secs(random.below(100))),
                1..100 => {
                    let tick = Duration::from_millis(random.below(50));
                    now = now.saturating_add(tick);
                    given += tick;
                }
                100..110 => drop(engine.replace(limited(5))),
                _ => {}
            }
            let peer = format!("10.0.{}.{}", client / 256, client % 256);
            if let Verdict::Forward(ticket) =
                (Request { peer: &peer, ..Request::default() }).ask(&engine, now)
            {
                drop(ticket);
                *admitted.entry(client).or_default() += 1;
            }
            let most = 11 + given.as_nanos() * 2 / 1_000_000_000 + 1;
            assert!(admitted.values().all(|count| u128::from(*count) <= most), "{admitted:?} > {most}");
            assert!(engine.limiter_stats().held <= engine.limiter_stats().capacity);
        }
        assert!(admitted.len() > 8);
    });
}

const NAMES: [&str; 3] = ["one", "two", "three"];
const CLIENTS: u64 = 12;
const WINDOW: Duration = Duration::from_secs(30);
