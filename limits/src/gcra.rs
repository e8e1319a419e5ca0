//! The generic cell rate algorithm (GCRA, ITU-T I.371) in integers, as pure functions.
//!
//! The state of a cell is one `u64`: the theoretical arrival time (TAT), in nanoseconds since the start of time. It is
//! the moment at which the whole allowance is back; a cell whose TAT is not in the future equals a fresh one.
//! A request of cost c moves the TAT forward by c intervals, and conforms if the TAT then is at most the full
//! allowance, (burst + 1) intervals, ahead of now.

use std::time::Duration;

use crate::quota::Quota;
use crate::time::Instant;

/// The TAT of a cell that was never charged.
pub const FRESH: u64 = 0;

/// Whether a request may pass, and the state of the cell afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It may. `tat` is the state once it is charged.
    Conforms {
        /// The state to store if the request passes.
        tat: u64,
    },
    /// It may not.
    Exceeds {
        /// The state to store if it was further ahead than the allowance (see [`look`]); else equal in meaning to the
        /// state that was looked at.
        tat: u64,
        /// Exactly how long until the same request conforms if nothing else happens; [`Duration::MAX`] if it never
        /// will, because its cost is above the allowance.
        retry_after: Duration,
    },
}

/// Looks at a cell for a request of `cost` at `now`. Changes nothing.
///
/// A stored TAT further ahead than the full allowance (now + (burst + 1) intervals) counts as exactly that. So a cell
/// heals within one [`Quota::recovery`] after a limit was raised or the clock stepped back, provided that the caller
/// stores the TAT of [`Look::Exceeds`]; and as the cell then counts as wholly spent, it never admits too much.
#[inline]
#[must_use]
pub fn look(tat: u64, quota: &Quota, now: Instant, cost: u64) -> Look {
    let (held, room) = held_and_room(tat, quota, now);
    match quota.interval_nanos().checked_mul(cost) {
        Some(price) if price <= room => Look::Conforms { tat: held + price },
        Some(price) if price <= quota.allowance_nanos() => {
            Look::Exceeds { tat: held, retry_after: Duration::from_nanos(price - room) }
        }
        _ => Look::Exceeds { tat: held, retry_after: Duration::MAX },
    }
}

/// [`look`] for a cost of one: the state after the request if that conforms, else `None`.
///
/// A cell conforms if it is at most burst intervals ahead of now, and that needs no more of it than one comparison.
/// Nothing overflows where it conforms: now is below 2^63 and an allowance at most 2^62.
#[inline(always)]
pub(crate) fn one_more(tat: u64, quota: &Quota, now: Instant) -> Option<u64> {
    let (now, interval) = (now.as_nanos(), quota.interval_nanos());
    let latest = now + quota.allowance_nanos() - interval;
    (tat <= latest).then(|| tat.max(now) + interval)
}

/// The state of a cell at `now` after giving back a `cost` that was charged at `charged_at`.
///
/// Time gives a charge back by itself, at the pace of time; what it has given back since `charged_at` is not given
/// again. So at `charged_at` the refund is exact, later it is never too much, and a cell never gets better than fresh.
/// All that as long as nothing has healed the cell in between (see [`look`]): after the quota was edited or the clock
/// stepped back, a refund may give up to `cost` old intervals too much. One before `charged_at` gives nothing.
#[must_use]
pub fn refund(tat: u64, quota: &Quota, charged_at: Instant, now: Instant, cost: u64) -> u64 {
    let price = quota.interval_nanos().saturating_mul(cost);
    let elapsed = now.as_nanos().checked_sub(charged_at.as_nanos()).unwrap_or(price);
    tat.saturating_sub(price.saturating_sub(elapsed))
}

/// Where a client stands in one window: what the `RateLimit` header fields are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The quota of the window.
    pub quota: Quota,
    /// Requests that would pass at once now, at most [`Quota::allowance`].
    pub remaining: u64,
    /// Time until one more than `remaining` would pass; zero if nothing is spent.
    pub until_next: Duration,
    /// Time until the whole allowance is back; zero if nothing is spent.
    pub until_whole: Duration,
}

/// Where a cell stands at `now`.
#[must_use]
pub fn standing(tat: u64, quota: &Quota, now: Instant) -> Standing {
    let (held, room) = held_and_room(tat, quota, now);
    let interval = quota.interval_nanos();
    let until_whole = held - now.as_nanos();
    let until_next = if until_whole == 0 { 0 } else { interval - room % interval };
    Standing {
        quota: *quota,
        remaining: room / interval,
        until_next: Duration::from_nanos(until_next),
        until_whole: Duration::from_nanos(until_whole),
    }
}

/// The TAT with past and excess cut off, and the nanoseconds of allowance left.
///
/// Cannot overflow: now is below 2^63 and an allowance at most 2^62.
#[inline]
fn held_and_room(tat: u64, quota: &Quota, now: Instant) -> (u64, u64) {
    let horizon = now.as_nanos() + quota.allowance_nanos();
    let held = tat.max(now.as_nanos()).min(horizon);
    (held, horizon - held)
}

#[cfg(test)]
mod tests;
