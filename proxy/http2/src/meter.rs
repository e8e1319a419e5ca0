//! Counts what a peer makes us do: a budget for each kind of frame.
//!
//! No I/O and no clock. In HTTP/2 some frames cost their sender nothing and us something: an acknowledgement, a lookup,
//! a stream opened and thrown away. All kinds are bounded, each by a token bucket of its own. Kinds that a peer needs in
//! proportion to what it is sent (`WINDOW_UPDATE`, `PING`) or asks for (`PRIORITY`, `CONTINUATION`) earn tokens with it,
//! so that no honest peer ever runs out.

use crate::frame::Kind;
use std::time::Duration;
use weir_limits::Instant;

/// What a peer did too often. The closed list behind the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flood {
    /// Streams begun, or header blocks sent, beyond what we accepted (refused streams, malformed requests).
    Headers,
    /// Streams reset by the peer: "rapid reset", CVE-2023-44487.
    Reset,
    /// Pieces of header blocks: CVE-2024-27316.
    Continuation,
    /// Settings: CVE-2019-9515.
    Settings,
    /// Pings: CVE-2019-9512.
    Ping,
    /// Priorities: CVE-2019-9513.
    Priority,
    /// Window updates, as tiny windows need them: CVE-2019-9517, CVE-2019-9511.
    WindowUpdate,
    /// Data frames with nothing in them that end nothing: CVE-2019-9518.
    EmptyData,
    /// Frames of types that say nothing to us.
    Other,
}

impl Flood {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Headers,
        Self::Reset,
        Self::Continuation,
        Self::Settings,
        Self::Ping,
        Self::Priority,
        Self::WindowUpdate,
        Self::EmptyData,
        Self::Other,
    ];

    /// What a frame counts as; `None` for data, which flow control bounds.
    fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Data => None,
            Kind::Headers => Some(Self::Headers),
            Kind::Priority | Kind::PriorityUpdate => Some(Self::Priority),
            Kind::Reset => Some(Self::Reset),
            Kind::Settings => Some(Self::Settings),
            Kind::Ping => Some(Self::Ping),
            Kind::WindowUpdate => Some(Self::WindowUpdate),
            Kind::Continuation => Some(Self::Continuation),
            Kind::Push | Kind::Goaway | Kind::Other => Some(Self::Other),
        }
    }

    /// How many are within bounds.
    pub fn allowance(self) -> Allowance {
        let allowance = |burst, per_second, most| Allowance { burst, per_second, most };
        match self {
            // A client that knows no limit yet sends what it has: some browsers' pages have hundreds of parts.
            Self::Headers => allowance(300, 10, 3000),
            // Leaving a page cancels everything that is still under way.
            Self::Reset => allowance(200, 20, 1000),
            Self::Continuation => allowance(32, 4, 200),
            Self::Settings => allowance(32, 1, 32),
            Self::Ping => allowance(60, 5, 2000),
            Self::Priority => allowance(200, 10, 1000),
            Self::WindowUpdate => allowance(500, 50, 20_000),
            Self::EmptyData | Self::Other => allowance(32, 2, 32),
        }
    }
}

/// A budget: so many frames at once, so many a second for good, and so many saved at most by earning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Frames at once.
    pub burst: u32,
    /// Frames a second.
    pub per_second: u32,
    /// Most frames that can be saved up.
    pub most: u32,
}

/// Counts the frames of one connection.
#[derive(Debug)]
pub struct Meter {
    budgets: [Budget; Flood::ALL.len()],
    faults: Budget,
}

impl Meter {
    /// A connection of which nothing was read yet.
    pub fn new(now: Instant) -> Self {
        Self {
            budgets: Flood::ALL.map(|flood| Budget::full(flood.allowance(), now)),
            faults: Budget::full(FAULTS, now),
        }
    }

    /// The peer sent a frame of a kind other than `DATA`.
    ///
    /// # Errors
    /// With what the peer has sent too much of.
    pub fn received(&mut self, kind: Kind, now: Instant) -> Result<(), Flood> {
        Flood::of(kind).map_or(Ok(()), |flood| self.take(flood, now))
    }

    /// The peer sent a `DATA` frame that brings nothing and ends nothing.
    ///
    /// # Errors
    /// When it has sent too many of them.
    pub fn received_empty_data(&mut self, now: Instant) -> Result<(), Flood> {
        self.take(Flood::EmptyData, now)
    }

    /// The peer made us reset a stream ("MadeYouReset", CVE-2025-8671).
    ///
    /// # Errors
    /// When it has done so too often.
    pub fn faulted(&mut self, now: Instant) -> Result<(), TooManyFaults> {
        self.faults.take(now).map_err(|Spent| TooManyFaults)
    }

    /// We sent a head: what the peer may answer it may.
    pub fn sent_head(&mut self) {
        self.earn(Flood::Ping, 2);
        self.earn(Flood::Reset, 1);
    }

    /// We sent a frame with `length` bytes of data.
    pub fn sent_data(&mut self, length: usize) {
        // Windows of a few bytes make frames of a few bytes, and are no reason for updates ("data dribble"). Go's client
        // sends one for each 4 KiB that it has read, for the stream and for the connection.
        self.earn(Flood::WindowUpdate, (length / DRIBBLE).min(length / REFRESH + 4) as u32);
        self.earn(Flood::Ping, 2);
    }

    /// We took up a stream of the peer.
    pub fn accepted(&mut self) {
        self.earn(Flood::Headers, 3);
        self.earn(Flood::Continuation, 2);
        self.earn(Flood::Priority, 2);
        // Some browsers send frames of no kind with their requests, to keep servers used to them (GREASE).
        self.earn(Flood::Other, 1);
    }

    fn take(&mut self, flood: Flood, now: Instant) -> Result<(), Flood> {
        self.budget(flood).map_or(Ok(()), |budget| budget.take(now)).map_err(|Spent| flood)
    }

    fn earn(&mut self, flood: Flood, tokens: u32) {
        if let Some(budget) = self.budget(flood) {
            budget.earn(tokens);
        }
    }

    fn budget(&mut self, flood: Flood) -> Option<&mut Budget> {
        self.budgets.get_mut(flood as usize)
    }
}

/// The peer broke the rules of streams too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyFaults;

/// Nothing is left.
struct Spent;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
struct Budget {
    allowance: Allowance,
    tokens: u32,
    since: Instant, // up to here time was turned into tokens
}

impl Budget {
    fn full(allowance: Allowance, now: Instant) -> Self {
        Self { allowance, tokens: allowance.burst, since: now }
    }

    fn take(&mut self, now: Instant) -> Result<(), Spent> {
        // Time is only asked for when it matters, which for an honest peer is never.
        if self.tokens == 0 {
            self.refill(now);
        }
        self.tokens = self.tokens.checked_sub(1).ok_or(Spent)?;
        Ok(())
    }

    fn earn(&mut self, tokens: u32) {
        self.tokens = self.tokens.saturating_add(tokens).min(self.allowance.most);
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_since(self.since).as_nanos();
        let rate = u128::from(self.allowance.per_second);
        let tokens = elapsed.saturating_mul(rate) / NANOS;
        let spent = Duration::from_nanos(u64::try_from(tokens * NANOS / rate.max(1)).unwrap_or(u64::MAX));
        self.since =
            if tokens >= u128::from(self.allowance.burst) { now } else { self.since.saturating_add(spent) };
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX).min(self.allowance.burst);
        self.tokens = self.tokens.max(tokens);
    }
}

/// Streams that a peer may make us reset.
const FAULTS: Allowance = Allowance { burst: 64, per_second: 1, most: 64 };
/// So many bytes that we send earn a window update.
const DRIBBLE: usize = 8;
/// Bytes of a large frame that earn one more.
const REFRESH: usize = 2 * 1024;
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests;
