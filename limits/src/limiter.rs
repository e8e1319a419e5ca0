//! The decision: look at everything that a request is charged for, then take from all of it, or from none.

use std::time::Duration;

use crate::decision::{Cause, Decision, Denial, Grant};
use crate::gcra::Standing;
use crate::inflight::{Counts, InFlight};
use crate::key::{Key, Seed};
use crate::rule::{Mode, Rule, Window};
use crate::stats::{Sizes, Stats};
use crate::sync::MutexGuard;
use crate::table::{Clients, Place, Spent, Table};
use crate::time::Instant;

/// What a limiter is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Clients times rules whose rates are counted at once; at most [`CAPACITY_MAX`]. Costs at most 64 bytes each,
    /// from some 4,000 on.
    pub capacity: usize,
    /// Clients times rules with requests in flight at once; at most [`CAPACITY_MAX`].
    pub in_flight_capacity: usize,
    /// The secret under which clients become keys.
    pub seed: Seed,
}

/// One rule that a request is charged to, and the client that is charged.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// The rule, with its numbers as they are now.
    pub rule: &'a Rule,
    /// The client, as a key made for this rule.
    pub key: Key,
}

/// All counters of all rules.
pub struct Limiter {
    table: Table,
    in_flight: InFlight,
    capacity: usize,
    seed: Seed,
}

impl Limiter {
    /// A limiter with nothing counted yet. All its memory is reserved here.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let capacity = config.capacity.min(CAPACITY_MAX);
        Self {
            table: Table::new(capacity),
            in_flight: InFlight::new(config.in_flight_capacity.min(CAPACITY_MAX)),
            capacity,
            seed: config.seed,
        }
    }

    /// The secret under which rules and clients become numbers.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Whether a request at `now` may pass; if so, it is charged to all rules, if not, to none.
    ///
    /// Rules in [`Mode::Observe`] do not refuse: one that would have is not charged and is reported in the grant.
    /// More than [`MAX_CHARGES`] charges are refused. The same rule and key may occur several times; then each counts.
    #[inline]
    pub fn decide(&self, now: Instant, charges: &[Charge<'_>]) -> Decision {
        match charges {
            [] => Decision::Grant(Grant::new(now)),
            [charge] if charge.rule.in_flight().is_none() => self.decide_rate(now, *charge),
            charges if charges.len() > MAX_CHARGES => {
                Decision::Deny(Denial::new(Cause::TooManyCharges, Duration::ZERO).for_charge(MAX_CHARGES))
            }
            charges => self.decide_many(now, charges),
        }
    }

    /// Takes a grant back: ends its places in flight and gives back the requests it was charged, less what time has
    /// given back since ([`gcra::refund`](crate::gcra::refund)). `charges` are those it was granted for.
    ///
    /// If one of the rules was edited or the clock stepped back since, drop the grant instead: its charges are in units
    /// that no longer hold, and giving them back could give too much.
    pub fn refund(&self, now: Instant, grant: Grant, charges: &[Charge<'_>]) {
        for (index, charge) in charges.iter().enumerate().take(MAX_CHARGES) {
            if grant.charged & bit(index) != 0 {
                let shared = grant.shared & bit(index) != 0;
                let mut clients = self.table.lock(self.table.shard_of(charge.key));
                clients.refund(now, charge.rule, charge.key, grant.at, shared);
            }
        }
        drop(grant);
    }

    /// Where a client stands with one rule. Changes nothing.
    #[must_use]
    pub fn peek(&self, now: Instant, charge: Charge<'_>) -> Peek {
        let windows = if charge.rule.has_windows() {
            let clients = self.table.lock(self.table.shard_of(charge.key));
            clients.standings(now, charge.rule, charge.key)
        } else {
            [None; Window::COUNT]
        };
        let in_flight = match charge.rule.in_flight() {
            Some(_) => self.in_flight.lock(self.in_flight.shard_of(charge.key)).count(charge.key),
            None => 0,
        };
        Peek { windows, in_flight }
    }

    /// How full the tables are and what happened since the start. Locks one shard after the other.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for clients in self.table.shards() {
            let counters = clients.counters();
            stats.held += clients.slots().held();
            stats.capacity += clients.slots().capacity();
            stats.evicted_fresh += counters.evicted;
            stats.overflow_uses += counters.shared;
            stats.denied_table_full += counters.refused;
        }
        for counts in self.in_flight.shards() {
            stats.in_flight_held += counts.slots().held();
            stats.in_flight_capacity += counts.slots().capacity();
            stats.denied_in_flight_full += counts.refused();
        }
        stats
    }

    /// What the tables weigh.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let cells: usize = self.table.shards().map(|clients| clients.slots().bytes()).sum();
        let table_bytes = size_of::<Self>() + self.table.overhead_bytes() + cells;
        Sizes {
            table_bytes,
            bytes_per_client: table_bytes.div_ceil(self.capacity.max(1)),
            in_flight_bytes: self.in_flight.shards().map(|counts| counts.slots().bytes()).sum(),
        }
    }

    /// The common case, one rule with windows only: one lock, and nothing for counts in flight.
    #[inline]
    fn decide_rate(&self, now: Instant, Charge { rule, key }: Charge<'_>) -> Decision {
        if !rule.has_windows() {
            return Decision::Grant(Grant::new(now));
        }
        let mut clients = self.table.lock(self.table.shard_of(key));
        if clients.spend_soon(now, rule, key) {
            return Decision::Grant(Grant { charged: bit(0), ..Grant::new(now) });
        }
        spend_alone(clients, now, rule, key)
    }

    /// Takes from one charge after the other and puts all back if one refuses. Nobody can see the time between: all
    /// shards concerned are locked, in the order of their indexes, so that no two decisions wait for each other.
    #[inline(never)]
    fn decide_many(&self, now: Instant, charges: &[Charge<'_>]) -> Decision {
        let rated = charges.iter().filter(|charge| charge.rule.has_windows());
        let mut clients =
            Locked::new(rated.map(|c| self.table.shard_of(c.key)), |shard| self.table.lock(shard));
        let counted = charges.iter().filter(|charge| charge.rule.in_flight().is_some());
        let mut counts =
            Locked::new(counted.map(|c| self.in_flight.shard_of(c.key)), |shard| self.in_flight.lock(shard));

        let mut taken: [Option<Taken>; MAX_CHARGES] = [const { None }; MAX_CHARGES];
        let mut grant = Grant::new(now);
        let mut denied: Option<Denial> = None;
        for (index, (charge, taken)) in charges.iter().zip(&mut taken).enumerate() {
            let shard = clients.get(self.table.shard_of(charge.key)).filter(|_| charge.rule.has_windows());
            let count = counts.get(self.in_flight.shard_of(charge.key));
            match take(now, *charge, shard, count.filter(|_| charge.rule.in_flight().is_some())) {
                Ok(took) => *taken = Some(took),
                Err(denial) if charge.rule.mode() == Mode::Observe => grant.report(denial.for_charge(index)),
                Err(denial) => {
                    if denied.as_ref().is_none_or(|longest| longest.retry_after < denial.retry_after) {
                        denied = Some(denial.for_charge(index));
                    }
                }
            }
        }

        if let Some(denial) = denied {
            for (charge, taken) in charges.iter().zip(&taken).rev() {
                let shard = clients.get(self.table.shard_of(charge.key));
                let count = counts.get(self.in_flight.shard_of(charge.key));
                if let Some(taken) = taken {
                    undo(*charge, taken, shard, count);
                }
            }
            return Decision::Deny(denial);
        }
        for (index, (charge, taken)) in charges.iter().zip(&taken).enumerate() {
            if let Some(taken) = taken {
                self.enter(&mut grant, index, *charge, taken);
            }
        }
        Decision::Grant(grant)
    }

    /// Notes in the grant what a charge took.
    fn enter(&self, grant: &mut Grant, index: usize, charge: Charge<'_>, taken: &Taken) {
        if let Some(spent) = &taken.spent {
            grant.charged |= bit(index);
            if matches!(spent.place, Place::Shared(_)) {
                grant.shared |= bit(index);
            }
        }
        if taken.entered {
            grant.hold(self.in_flight.permit(charge.key));
        }
    }
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Where a client stands with one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek {
    /// By [`Window::index`]; `None` where the rule has no quota.
    pub windows: [Option<Standing>; Window::COUNT],
    /// Requests in flight; zero if the rule does not limit them.
    pub in_flight: u64,
}

/// What one charge took.
struct Taken {
    spent: Option<Spent>,
    entered: bool,
}

/// Takes a place in flight and a request from every window, or nothing.
fn take(
    now: Instant,
    Charge { rule, key }: Charge<'_>,
    clients: Option<&mut Clients>,
    mut counts: Option<&mut Counts>,
) -> Result<Taken, Denial> {
    let entered = match (counts.as_deref_mut(), rule.in_flight()) {
        (Some(counts), Some(limit)) => counts.enter(key, limit).map(|()| true),
        _ => Ok(false),
    };
    let Some(clients) = clients else {
        return match entered {
            Ok(entered) => Ok(Taken { spent: None, entered }),
            Err(cause) => Err(Denial::new(cause, Duration::ZERO)),
        };
    };
    match (entered, clients.spend(now, rule, key)) {
        (Ok(entered), Ok(spent)) => Ok(Taken { spent: Some(spent), entered }),
        (Err(cause), Ok(spent)) => {
            clients.undo(key, &spent);
            Err(Denial::new(cause, Duration::ZERO))
        }
        // The window knows how long to wait, so it is the one to report.
        (entered, Err(denial)) => {
            if let (Ok(true), Some(counts)) = (entered, counts) {
                counts.leave(key);
            }
            Err(denial)
        }
    }
}

/// All that is not the most common case: newcomers, cells far from home, denials.
#[inline(never)]
fn spend_alone(mut clients: MutexGuard<'_, Clients>, now: Instant, rule: &Rule, key: Key) -> Decision {
    let spent = clients.spend(now, rule, key);
    drop(clients);
    match spent {
        Ok(spent) => {
            let shared = matches!(spent.place, Place::Shared(_));
            Decision::Grant(Grant { charged: bit(0), shared: u8::from(shared), ..Grant::new(now) })
        }
        Err(denial) => refuse_or_report(now, rule, denial),
    }
}

#[cold]
fn refuse_or_report(now: Instant, rule: &Rule, denial: Denial) -> Decision {
    match rule.mode() {
        Mode::Enforce => Decision::Deny(denial),
        Mode::Observe => {
            let mut grant = Grant::new(now);
            grant.report(denial);
            Decision::Grant(grant)
        }
    }
}

/// Puts back what `take` took.
fn undo(charge: Charge<'_>, taken: &Taken, clients: Option<&mut Clients>, counts: Option<&mut Counts>) {
    if let (Some(clients), Some(spent)) = (clients, &taken.spent) {
        clients.undo(charge.key, spent);
    }
    if let (Some(counts), true) = (counts, taken.entered) {
        counts.leave(charge.key);
    }
}

/// The shards that one decision needs, each locked once.
struct Locked<'a, T> {
    guards: [Option<(usize, MutexGuard<'a, T>)>; MAX_CHARGES],
}

impl<'a, T> Locked<'a, T> {
    /// Locks in ascending order, whatever order the indexes come in.
    fn new(shards: impl Iterator<Item = usize>, lock: impl Fn(usize) -> MutexGuard<'a, T>) -> Self {
        // Places without a shard sort behind all others.
        let mut order = [NO_SHARD; MAX_CHARGES];
        for (place, shard) in order.iter_mut().zip(shards) {
            *place = shard;
        }
        order.sort_unstable();
        let mut guards = [const { None }; MAX_CHARGES];
        let mut last = NO_SHARD;
        for (guard, shard) in guards.iter_mut().zip(order).take_while(|(_, shard)| *shard != NO_SHARD) {
            if shard != last {
                *guard = Some((shard, lock(shard)));
                last = shard;
            }
        }
        Self { guards }
    }

    fn get(&mut self, shard: usize) -> Option<&mut T> {
        self.guards.iter_mut().flatten().find(|(index, _)| *index == shard).map(|(_, guard)| &mut **guard)
    }
}

const fn bit(index: usize) -> u8 {
    1 << index
}

const NO_SHARD: usize = usize::MAX;

/// The most rules that one request can be charged to.
pub const MAX_CHARGES: usize = 8;

/// The most clients times rules that a table holds: 2^28, about 15 GB. More asked for is taken as that.
pub const CAPACITY_MAX: usize = 1 << 28;
