//! How slow a client may be.
//!
//! A deadline between two reads or writes alone lets a client hold a connection for as long as it likes, with a byte
//! now and then. So there is a least speed as well: a [`Toll`] for clients that take what we send, and a [`Pace`] for
//! bodies that they send.

use crate::conn::{Conn, Stop};
use crate::deadline::Deadline;
use crate::shared::Shared;
use crate::timeouts::Timeouts;
use std::num::NonZeroU64;
use std::task::Context;
use std::time::Duration;
use weir_core::policy::BodyRate;
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
    /// By so much it may be ahead. What came fast at first is no leave to dribble for hours.
    pub ahead: Duration,
}

impl Pace {
    /// As `body-min-rate` asks for.
    pub fn asked(rate: NonZeroU64, timeouts: &Timeouts) -> Self {
        Self { rate, grace: GRACE, ahead: timeouts.body }
    }

    /// What is asked of bodies for which nobody asks anything.
    pub fn unasked(timeouts: &Timeouts) -> Self {
        Self { rate: timeouts.body_rate.into(), grace: timeouts.body, ahead: timeouts.body }
    }
}

/// Which least speed a body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// None.
    Any,
    /// This one, whatever it is.
    Least(Pace),
    /// This one, unless the origin answers as it listens: then slowness is in the nature of both.
    LeastAlone(Pace),
}

impl Speed {
    /// Of a body that is forwarded as it comes.
    pub fn forwarded(asked: BodyRate, nature: Nature, timeouts: &Timeouts) -> Self {
        match (asked, nature) {
            (BodyRate::Off, _) | (BodyRate::Unset, Nature::Call) => Self::Any,
            (BodyRate::Least(rate), _) => Self::Least(Pace::asked(rate, timeouts)),
            (BodyRate::Unset, Nature::Announced) => Self::Least(Pace::unasked(timeouts)),
            (BodyRate::Unset, Nature::Open) => Self::LeastAlone(Pace::unasked(timeouts)),
        }
    }
}

/// What a body is, as far as it is known from the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Its length is known.
    Announced,
    /// It may go on for as long as it likes.
    Open,
    /// It is a call of gRPC, whose messages come when there is something to say.
    Call,
}

/// How long one still waits for a client that sends a body. Time is only used up while [waiting](Self::wait): when we do
/// not read, be it that the origin does not, the client is not to blame. Who has used it up is too late, whatever comes.
#[derive(Debug)]
pub struct Patience {
    pace: Pace,
    left: Duration,
    since: Option<Instant>,
}

impl Patience {
    /// The body begins.
    pub fn new(pace: Pace) -> Self {
        Self { pace, left: pace.grace, since: None }
    }

    /// It is the client's turn. Returns how much longer one waits.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let since = *self.since.get_or_insert(now);
        self.left.saturating_sub(now.saturating_since(since))
    }

    /// It is our turn.
    pub fn rest(&mut self, now: Instant) {
        if self.since.is_some() {
            self.left = self.wait(now);
            self.since = None;
        }
    }

    /// So many bytes have come, and it is our turn.
    pub fn got(&mut self, bytes: usize, now: Instant) {
        self.rest(now);
        if self.left.is_zero() {
            return;
        }
        let earned = Duration::try_from_secs_f64(bytes as f64 / self.pace.rate.get() as f64);
        let most = self.pace.grace.saturating_add(self.pace.ahead);
        self.left = self.left.saturating_add(earned.unwrap_or(Duration::MAX)).min(most);
    }
}

/// What the client of a body has time for: a deadline for each pause, and its least speed.
#[derive(Debug)]
pub struct BodyClock {
    pause: Duration,
    speed: Speed,
    patience: Option<Patience>,
    deadline: Armed,
}

impl BodyClock {
    /// For a body that may pause for `pause`.
    pub fn new(pause: Duration, speed: Speed) -> Self {
        let patience = match speed {
            Speed::Any => None,
            Speed::Least(pace) | Speed::LeastAlone(pace) => Some(Patience::new(pace)),
        };
        Self { pause, speed, patience, deadline: Armed::new() }
    }

    /// We wait for the client. Whether it is too late; if not, the task of `cx` will be woken when it is.
    pub fn is_late(&mut self, now: Instant, talk: Talk, cx: &Context<'_>) -> bool {
        let most = match &mut self.patience {
            Some(patience) if talk == Talk::Both && matches!(self.speed, Speed::LeastAlone(_)) => {
                if patience.since.is_some() {
                    self.rest(now);
                }
                self.pause
            }
            Some(patience) => patience.wait(now).min(self.pause),
            None => self.pause,
        };
        most.is_zero() || self.deadline.passed(most, cx)
    }

    /// So many bytes have come.
    pub fn got(&mut self, bytes: usize, now: Instant) {
        self.deadline.disarm();
        self.patience.iter_mut().for_each(|patience| patience.got(bytes, now));
    }

    /// It is our turn.
    pub fn rest(&mut self, now: Instant) {
        self.deadline.disarm();
        self.patience.iter_mut().for_each(|patience| patience.rest(now));
    }

    /// The client may not send, and will not be told here when it may: the task of `cx` will be woken after a while to
    /// look again.
    pub fn excuse(&mut self, now: Instant, cx: &Context<'_>) {
        self.rest(now);
        self.deadline.passed(self.pause, cx);
    }
}

/// Who says something while a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// The client alone.
    Client,
    /// The origin too: its response has begun, of a length that nobody knows, and not ended.
    Both,
}

/// A body that is received as a whole before anything is done with it, or that is received and dropped.
///
/// Nobody but the client decides how long that takes, so it has a pace whatever is asked for.
#[derive(Debug)]
pub struct Intake(Patience);

impl Intake {
    /// With the least speed that is asked for, if one is.
    pub fn new(asked: BodyRate, shared: &Shared) -> Self {
        let timeouts = shared.timeouts();
        Self(Patience::new(match asked {
            BodyRate::Least(rate) => Pace::asked(rate, &timeouts),
            BodyRate::Off | BodyRate::Unset => Pace::unasked(&timeouts),
        }))
    }

    /// Reads more.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn fill(&mut self, conn: &mut Conn, shared: &Shared) -> Result<(), Stop> {
        let left = self.0.wait(shared.clock.now());
        conn.deadline.set(left.min(shared.timeouts().body));
        let read = conn.fill().await?;
        self.0.got(read, shared.clock.now());
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
mod tests;
