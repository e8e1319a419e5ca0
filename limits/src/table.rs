//! The bounded table of rates: for each client the TATs of its four windows, and what happens when it is full.
//!
//! Cells are removed only when they equal a fresh one, which nobody can tell. Such cells are found on the way of an
//! insertion and by a hand that moves on a few places with each, so no decision ever waits for a sweep.
//! When there is none, newcomers of one rule share a cell with the rates of that rule and no burst: a full table limits,
//! and as that cell is never more than one interval ahead, newcomers wait no longer than that once there is room again.

use std::time::Duration;

use crate::decision::{Cause, Denial};
use crate::gcra::{self, Look, Standing};
use crate::key::Key;
use crate::quota::Quota;
use crate::rule::{Rule, RuleId, Window};
use crate::slots::{Cell, Insert, Slots, Sweep};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::time::Instant;

/// All clients, in shards by key.
pub(crate) struct Table {
    shards: Box<[Shard]>,
}

/// On cache lines of its own (two, as they are fetched in pairs), so that threads in different shards do not meet.
#[repr(align(128))]
struct Shard(Mutex<Clients>);

impl Table {
    pub(crate) fn new(capacity: usize) -> Self {
        let count = shard_count(capacity);
        let shard = |_| Shard(Mutex::new(Clients::new(shard_capacity(capacity, count))));
        Self { shards: (0..count).map(shard).collect() }
    }

    /// The index of the shard that holds a key. By its low bits: the high ones say where in the shard.
    #[inline]
    pub(crate) fn shard_of(&self, key: Key) -> usize {
        key.as_u64() as usize & (self.shards.len() - 1)
    }

    #[inline]
    pub(crate) fn lock(&self, shard: usize) -> MutexGuard<'_, Clients> {
        lock(&self.shards[shard].0)
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Clients>> {
        self.shards.iter().map(|shard| lock(&shard.0))
    }

    /// Bytes beside the cells themselves.
    pub(crate) fn overhead_bytes(&self) -> usize {
        size_of_val(&*self.shards) + self.shards.len() * size_of::<[Shared; SHARED]>()
    }
}

/// One shard.
pub(crate) struct Clients {
    slots: Slots<CELL>,
    shared: Box<[Shared; SHARED]>,
    /// Until when some shared cell is not fresh, in nanoseconds.
    shared_until: u64,
    /// The longest that any rule charged here lets a cell be ahead, in nanoseconds. What is further ahead comes from
    /// a time that the clock has stepped back from.
    horizon: u64,
    /// The same for shared cells: the longest interval of any rule whose newcomers had to share.
    shared_horizon: u64,
    counters: Counters,
}

/// What happened in a shard since the start.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counters {
    /// Fresh cells dropped.
    pub(crate) evicted: u64,
    /// Charges to shared cells.
    pub(crate) shared: u64,
    /// Denials because there was not even a shared cell.
    pub(crate) refused: u64,
}

/// What a charge took, to be able to put it back.
pub(crate) struct Spent {
    pub(crate) place: Place,
    before: Tats,
}

/// Where it was taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A cell that was there.
    Held,
    /// A cell added for it.
    Added,
    /// The shared cell with this index.
    Shared(usize),
}

impl Clients {
    fn new(capacity: usize) -> Self {
        Self {
            slots: Slots::new(capacity),
            shared: Box::new([Shared::default(); SHARED]),
            shared_until: 0,
            horizon: 0,
            shared_horizon: 0,
            counters: Counters::default(),
        }
    }

    /// As [`spend`](Self::spend) for a client that is near at hand and whose windows all allow it; `false`, and nothing
    /// taken, for any other.
    #[inline(always)]
    pub(crate) fn spend_soon(&mut self, now: Instant, rule: &Rule, key: Key) -> bool {
        self.horizon = self.horizon.max(rule.horizon_nanos());
        let Some([_, tats @ ..]) = self.slots.find_near(key.as_u64()) else { return false };
        let Some(after) = one_more(tats, rule, now) else { return false };
        *tats = after;
        true
    }

    /// Takes one request from every window of the rule, or from none.
    pub(crate) fn spend(&mut self, now: Instant, rule: &Rule, key: Key) -> Result<Spent, Denial> {
        self.horizon = self.horizon.max(rule.horizon_nanos());
        let Ok(at) = self.slots.find(key.as_u64()) else {
            return self.spend_new(now, rule, key);
        };
        let [_, tats @ ..] = self.slots.cell_mut(at);
        let before = *tats;
        *tats = look(tats, rule, now)?;
        Ok(Spent { place: Place::Held, before })
    }

    /// Puts back what `spend` took, as if it had not been. Several are to be undone in reverse order.
    pub(crate) fn undo(&mut self, key: Key, spent: &Spent) {
        match (spent.place, self.slots.find(key.as_u64())) {
            (Place::Held, Ok(at)) => {
                let [_, tats @ ..] = self.slots.cell_mut(at);
                *tats = spent.before;
            }
            (Place::Added, Ok(at)) => self.slots.remove(at),
            (Place::Shared(index), _) => {
                if let Some(shared) = self.shared.get_mut(index) {
                    shared.tats = spent.before;
                }
            }
            (Place::Held | Place::Added, Err(_)) => {
                debug_assert!(false, "a charged cell is not fresh, so it stays");
            }
        }
    }

    /// Gives back a request charged at `charged_at`, to the shared cell of the rule if it was taken there.
    pub(crate) fn refund(&mut self, now: Instant, rule: &Rule, key: Key, charged_at: Instant, shared: bool) {
        let tats = if shared {
            self.shared.iter_mut().find(|cell| cell.rule == Some(rule.id())).map(|cell| &mut cell.tats)
        } else {
            self.slots.find(key.as_u64()).ok().map(|at| {
                let [_, tats @ ..] = self.slots.cell_mut(at);
                tats
            })
        };
        // Not there: its cell was fresh, so time has given everything back already.
        for (tat, quota) in tats.into_iter().flatten().zip(rule.windows()) {
            if let Some(quota) = quota {
                *tat = gcra::refund(*tat, quota, charged_at, now, 1);
            }
        }
    }

    /// Where a client stands in each window of the rule.
    pub(crate) fn standings(&self, now: Instant, rule: &Rule, key: Key) -> [Option<Standing>; Window::COUNT] {
        let (tats, shares) = match self.slots.find(key.as_u64()) {
            Ok(at) => {
                let [_, tats @ ..] = self.slots.cell(at);
                (*tats, false)
            }
            Err(_) => match self.shared_by(now, rule.id()) {
                Some(index) => (self.shared[index].tats, self.slots.held() >= self.slots.capacity()),
                None => (UNTOUCHED, false),
            },
        };
        std::array::from_fn(|window| {
            let quota = rule.windows()[window].as_ref()?;
            if !shares {
                return Some(gcra::standing(tats[window], quota, now));
            }
            let without_burst = gcra::standing(tats[window], &quota.with_burst(0), now);
            Some(Standing { quota: *quota, ..without_burst })
        })
    }

    pub(crate) fn slots(&self) -> &Slots<CELL> {
        &self.slots
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// As `spend`, for a key without a cell.
    #[inline(never)]
    fn spend_new(&mut self, now: Instant, rule: &Rule, key: Key) -> Result<Spent, Denial> {
        self.tidy(now, STEPS);
        let shared = self.shared_by(now, rule.id());
        let mut before = shared.map_or(UNTOUCHED, |index| self.shared[index].tats);
        let [a, b, c, d] = match look(&mut before, rule, now) {
            Ok(after) => after,
            Err(denial) => {
                // What was too far ahead is healed in there, too.
                if let Some(index) = shared {
                    self.shared[index].tats = before;
                }
                return Err(denial);
            }
        };
        let cell = [key.as_u64(), a, b, c, d];
        let mut insert = self.insert(now, cell);
        if insert == Insert::Reject {
            self.tidy(now, STEPS_WHEN_FULL);
            insert = self.insert(now, cell);
        }
        match insert {
            Insert::Add | Insert::Replace => Ok(Spent { place: Place::Added, before }),
            Insert::Reject => self.spend_shared(now, rule),
        }
    }

    /// The shared cell whose state a newcomer starts with, for it may be one of those that shared it. None if it is
    /// fresh.
    fn shared_by(&self, now: Instant, rule: RuleId) -> Option<usize> {
        if self.shared_until <= now.as_nanos() {
            return None;
        }
        self.shared.iter().position(|cell| cell.rule == Some(rule))
    }

    fn insert(&mut self, now: Instant, cell: Cell<CELL>) -> Insert {
        let insert = self.slots.insert(cell, |[_, tats @ ..]| is_fresh(tats, now));
        self.counters.evicted += u64::from(insert == Insert::Replace);
        insert
    }

    /// Moves the hand on: drops cells that equal a fresh one, and takes back what a clock that was ahead has left.
    fn tidy(&mut self, now: Instant, steps: usize) {
        let latest = now.as_nanos().saturating_add(self.horizon);
        let removed = self.slots.sweep(steps, |[_, tats @ ..]| {
            if is_fresh(tats, now) {
                return Sweep::Remove;
            }
            heal(tats, latest);
            Sweep::Keep
        });
        self.counters.evicted += removed as u64;
    }

    /// Charges a newcomer without a cell of its own to the one that the rule's newcomers share.
    ///
    /// That one has no burst, so it is at most one interval ahead. It is at least as far ahead as any of those who share
    /// it would be with a cell of its own, for their requests are among those charged to it.
    fn spend_shared(&mut self, now: Instant, rule: &Rule) -> Result<Spent, Denial> {
        let without_burst = rule.without_burst();
        self.shared_horizon = self.shared_horizon.max(without_burst.horizon_nanos());
        let latest = now.as_nanos().saturating_add(self.shared_horizon);
        self.shared.iter_mut().for_each(|cell| heal(&mut cell.tats, latest));
        let own = self.shared.iter().position(|cell| cell.rule == Some(rule.id()));
        let Some(index) = own.or_else(|| self.shared.iter().position(|cell| is_fresh(&cell.tats, now)))
        else {
            self.counters.refused += 1;
            let soonest = self.shared.iter().map(|cell| until(&cell.tats)).min().unwrap_or(0);
            let wait = Duration::from_nanos(soonest.saturating_sub(now.as_nanos()));
            return Err(Denial::new(Cause::TableFull, wait));
        };
        let shared = &mut self.shared[index];
        if own.is_none() {
            *shared = Shared { rule: Some(rule.id()), tats: UNTOUCHED };
        }
        let before = shared.tats;
        shared.tats =
            look(&mut shared.tats, &without_burst, now).map_err(|denial| with_quota_of(rule, denial))?;
        self.shared_until = self.shared_until.max(until(&shared.tats));
        self.counters.shared += 1;
        Ok(Spent { place: Place::Shared(index), before })
    }
}

/// The denial with the quota that its client knows.
fn with_quota_of(rule: &Rule, mut denial: Denial) -> Denial {
    if let (Cause::Window(window), Some(standing)) = (denial.cause, &mut denial.standing)
        && let Some(quota) = rule.windows()[window.index()]
    {
        standing.quota = quota;
    }
    denial
}

/// A cell for the newcomers of one rule.
#[derive(Clone, Copy, Default)]
struct Shared {
    rule: Option<RuleId>,
    tats: Tats,
}

/// The states of the four windows; see [`gcra`].
type Tats = [u64; Window::COUNT];

/// The TATs after one more request, if all windows of the rule allow it.
///
/// The TATs before change only where they were further ahead than the rule allows; see [`gcra::look`].
#[inline]
fn look(tats: &mut Tats, rule: &Rule, now: Instant) -> Result<Tats, Denial> {
    one_more(tats, rule, now).ok_or_else(|| deny(tats, rule, now))
}

/// The TATs after one more request, if all windows of the rule allow it.
///
/// In registers, written only once everything is known: a loop over arrays took 12 ns more.
#[inline(always)]
fn one_more(&[a, b, c, d]: &Tats, rule: &Rule, now: Instant) -> Option<Tats> {
    let [second, minute, hour, day] = rule.windows();
    let after = |tat, quota: &Option<Quota>| match quota {
        Some(quota) => gcra::one_more(tat, quota, now),
        None => Some(tat),
    };
    Some([after(a, second)?, after(b, minute)?, after(c, hour)?, after(d, day)?])
}

/// Heals what was too far ahead, and says which window has the longest wait.
#[cold]
fn deny(tats: &mut Tats, rule: &Rule, now: Instant) -> Denial {
    let mut longest = Denial::new(Cause::TableFull, Duration::ZERO);
    for ((window, quota), tat) in Window::ALL.into_iter().zip(rule.windows()).zip(tats) {
        let Some(quota) = quota else { continue };
        if let Look::Exceeds { tat: healed, retry_after } = gcra::look(*tat, quota, now, 1) {
            *tat = healed.min(*tat);
            if longest.retry_after < retry_after {
                let standing = Some(gcra::standing(*tat, quota, now));
                longest = Denial { standing, ..Denial::new(Cause::Window(window), retry_after) };
            }
        }
    }
    longest
}

#[inline]
fn is_fresh(tats: &Tats, now: Instant) -> bool {
    until(tats) <= now.as_nanos()
}

/// When the cell will equal a fresh one.
#[inline]
fn until(tats: &Tats) -> u64 {
    let [a, b, c, d] = *tats;
    a.max(b).max(c.max(d))
}

fn heal(tats: &mut Tats, latest: u64) {
    for tat in tats {
        *tat = (*tat).min(latest);
    }
}

/// A power of two.
fn shard_count(capacity: usize) -> usize {
    match capacity / SHARD_CAPACITY_MIN {
        0 => 1,
        most => (1 << most.ilog2()).min(SHARDS_MAX),
    }
}

/// The share of one among `count` shards, and what chance may bring on top: six standard deviations.
fn shard_capacity(capacity: usize, count: usize) -> usize {
    let mean = capacity.div_ceil(count);
    if count == 1 { mean } else { mean + 6 * mean.isqrt() }
}

/// The state of a client not seen before.
const UNTOUCHED: Tats = [gcra::FRESH; Window::COUNT];

/// Words in a cell: the key and a TAT for each window.
const CELL: usize = 1 + Window::COUNT;

/// Rules whose newcomers can share cells in a full shard at one time.
const SHARED: usize = 16;

/// Places that the hand moves on with each newcomer: enough to go round before as many newcomers have come.
const STEPS: usize = 4;

/// Places that the hand moves on when a newcomer finds no room.
const STEPS_WHEN_FULL: usize = 32;

/// With that many, chance makes shards uneven by less than a tenth.
const SHARD_CAPACITY_MIN: usize = 4096;

/// Enough that a few dozen threads seldom meet.
const SHARDS_MAX: usize = 256;
