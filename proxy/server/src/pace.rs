//! How slow a client may be.
//!
//! A deadline between two reads or writes alone lets a client hold a connection for as long as it likes, with a byte
//! now and then. So there is a least speed as well: a [`Toll`] for clients that take what we send, and a [`Pace`] for
//! bodies that they send.

use crate::conn::{Conn, Stop};
use crate::deadline::Deadline;
use crate::shared::Shared;
use std::num::NonZeroU64;
use std::task::Context;
use std::time::Duration;
use weir_limits::Instant;

/// What a client that does not take our bytes at once must take in each period: [`LEAST`] on average.
#[derive(Debug, Default)]
pub struct Toll(Option<u64>);

impl Toll {
    /// Nobody has to wait yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many bytes were taken.
    pub fn pay(&mut self, bytes: usize) {
        self.0 = self.0.map(|owed| owed.saturating_sub(bytes as u64)).filter(|owed| *owed > 0);
    }

    /// Whether a period is running: what was to be taken in it was not taken yet.
    pub fn is_owed(&self) -> bool {
        self.0.is_some()
    }

    /// No more bytes are taken for now. A period begins if none is running.
    pub fn wait(&mut self, deadline: &Deadline, period: Duration) {
        if self.0.is_none() {
            self.0 = Some(toll(period));
            deadline.set(period);
        }
    }

    /// As [`wait`](Self::wait), and whether the period is over. If not, the task of `cx` will be woken when it is.
    pub fn is_late(&mut self, deadline: &Deadline, period: Duration, cx: &Context<'_>) -> bool {
        self.wait(deadline, period);
        deadline.passed(cx)
    }
}

/// A deadline that starts to run when somebody first waits, and takes no slot before.
#[derive(Debug, Default)]
pub struct Armed {
    deadline: Option<Deadline>,
    set: bool,
    toll: Toll,
}

impl Armed {
    /// Not running.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it has passed; if it does not run it starts to, and ends `after` from now. Wakes the task of `cx`.
    pub fn passed(&mut self, after: Duration, cx: &Context<'_>) -> bool {
        let deadline = self.deadline.get_or_insert_with(Deadline::new);
        if !self.set {
            deadline.set(after);
            self.set = true;
        }
        deadline.passed(cx)
    }

    /// As [`passed`](Self::passed), for a client that takes what we send; see [`Toll`].
    pub fn late(&mut self, period: Duration, cx: &Context<'_>) -> bool {
        self.set = true;
        self.toll.is_late(self.deadline.get_or_insert_with(Deadline::new), period, cx)
    }

    /// The client has taken so many bytes.
    pub fn pay(&mut self, bytes: usize) {
        self.toll.pay(bytes);
    }

    /// Stops it: there is something else to wait for next.
    pub fn disarm(&mut self) {
        if self.set {
            self.toll = Toll::new();
            self.deadline.iter().for_each(Deadline::clear);
            self.set = false;
        }
    }
}

/// Bytes that are to be taken in `period`.
fn toll(period: Duration) -> u64 {
    let bytes = period.as_millis().saturating_mul(u128::from(LEAST.get())) / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
}

/// Least speed of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes per second.
    pub rate: NonZeroU64,
    /// By so much it may lag behind: a connection needs time to get going.
    pub grace: Duration,
}

impl Pace {
    /// How much longer one may wait for the next byte, `elapsed` after the first of `bytes`.
    pub fn left(self, bytes: u64, elapsed: Duration) -> Duration {
        let earned =
            Duration::try_from_secs_f64(bytes as f64 / self.rate.get() as f64).unwrap_or(Duration::MAX);
        self.grace.saturating_add(earned).saturating_sub(elapsed)
    }

    /// As `body-min-rate` asks for.
    pub fn asked(rate: NonZeroU64) -> Self {
        Self { rate, grace: GRACE }
    }
}

/// A body that is received as a whole before anything is done with it, or that is received and dropped.
///
/// Nobody but the client decides how long that takes, so it has a pace even where none is asked for. What is forwarded
/// as it comes has one only if it is asked for: an upload may have reasons to pause.
#[derive(Debug)]
pub struct Intake {
    pace: Pace,
    began: Option<Instant>,
    bytes: u64,
}

impl Intake {
    /// With the least speed that is asked for, if one is.
    pub fn new(asked: Option<NonZeroU64>, shared: &Shared) -> Self {
        let timeouts = shared.timeouts();
        let own = Pace { rate: timeouts.body_rate.into(), grace: timeouts.body };
        let pace = asked.map_or(own, Pace::asked);
        Self { pace, began: None, bytes: 0 }
    }

    /// Reads more.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn fill(&mut self, conn: &mut Conn, shared: &Shared) -> Result<(), Stop> {
        let now = shared.clock.now();
        let began = *self.began.get_or_insert(now);
        let left = self.pace.left(self.bytes, now.saturating_since(began));
        conn.deadline.set(left.min(shared.timeouts().body));
        let read = conn.fill().await?;
        self.bytes = self.bytes.saturating_add(read as u64);
        Ok(())
    }
}

/// Bytes per second that any client can manage.
const LEAST: NonZeroU64 = match NonZeroU64::new(512) {
    Some(rate) => rate,
    None => NonZeroU64::MIN,
};
/// How long a body may be slower than `body-min-rate` at first.
const GRACE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline;
    use std::task::Waker;

    #[test]
    fn a_byte_now_and_then_is_not_enough() {
        let cx = Context::from_waker(Waker::noop());
        let (deadline, mut toll, period) = (Deadline::new(), Toll::new(), Duration::from_secs(1));
        assert!(!toll.is_late(&deadline, period, &cx));
        for _ in 0..9 {
            deadline::sweep();
            toll.pay(1);
            assert!(!toll.is_late(&deadline, period, &cx), "a period has not passed");
        }
        (0..3).for_each(|_| deadline::sweep());
        assert!(toll.is_late(&deadline, period, &cx));
    }

    #[test]
    fn who_takes_enough_may_go_on() {
        let cx = Context::from_waker(Waker::noop());
        let (deadline, mut toll, period) = (Deadline::new(), Toll::new(), Duration::from_secs(1));
        for _ in 0..100 {
            assert!(!toll.is_late(&deadline, period, &cx));
            (0..6).for_each(|_| deadline::sweep());
            toll.pay(256);
        }
        toll.pay(usize::MAX);
        assert!(!toll.is_owed());
    }

    #[test]
    fn a_pace_is_an_average_with_grace() {
        let pace = Pace { rate: 100.try_into().unwrap(), grace: Duration::from_secs(5) };
        let left = |bytes, seconds| pace.left(bytes, Duration::from_secs(seconds)).as_secs();
        assert_eq!([left(0, 0), left(0, 5), left(1000, 5), left(1000, 16)], [5, 0, 10, 0]);
    }
}
