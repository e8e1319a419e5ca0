//! Counts what a peer makes us do: bytes in, frame headers out, a budget for each kind of frame.
//!
//! No I/O and no clock. In HTTP/2 some frames cost their sender nothing and us something: an acknowledgement, a lookup,
//! a stream opened and thrown away. The library that reads them bounds a few of these kinds; here all are, each by a
//! token bucket of its own. Kinds that a peer needs in proportion to what it is sent (`WINDOW_UPDATE`, `PING`) or asks
//! for (`PRIORITY`, `CONTINUATION`) earn tokens with it, so that no honest peer ever runs out.

use super::frames::{Frame, Frames, Kind};
use super::rejected::Rejected;
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
    fn of(frame: &Frame) -> Option<Self> {
        match frame.kind {
            Kind::Data if frame.is_pointless() => Some(Self::EmptyData),
            Kind::Data => None,
            Kind::Headers => Some(Self::Headers),
            Kind::Priority => Some(Self::Priority),
            Kind::Reset => Some(Self::Reset),
            Kind::Settings => Some(Self::Settings),
            Kind::Ping => Some(Self::Ping),
            Kind::WindowUpdate => Some(Self::WindowUpdate),
            Kind::Continuation => Some(Self::Continuation),
            Kind::Other => Some(Self::Other),
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

/// Counts the frames of one connection, both ways.
#[derive(Debug)]
pub struct Meter {
    incoming: Frames,
    outgoing: Frames,
    window: u64, // bytes of bodies that the peer may send, all streams together
    rejected: [u32; Rejected::ALL.len()],
    budgets: [Budget; Flood::ALL.len()],
}

impl Meter {
    /// A connection of which a server has read nothing yet, not even the preface.
    pub fn new(now: Instant) -> Self {
        Self {
            incoming: Frames::after_preface(),
            outgoing: Frames::new(),
            window: FIRST_WINDOW,
            rejected: Default::default(),
            budgets: Flood::ALL.map(|flood| Budget::full(flood.allowance(), now)),
        }
    }

    /// The peer sent `bytes`, cut anywhere.
    ///
    /// # Errors
    /// With what the peer has sent too much of; of several the first.
    pub fn received(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        let mut verdict = Ok(());
        while let Some((frame, rest)) = self.incoming.next(bytes) {
            bytes = rest;
            if frame.kind == Kind::Data {
                self.window = self.window.saturating_sub(frame.payload.into());
            }
            if let Some(flood) = Flood::of(&frame) {
                let taken = self.budget(flood).map_or(Ok(()), |budget| budget.take(now));
                verdict = verdict.and_then(|()| taken.map_err(|Spent| flood));
            }
        }
        verdict
    }

    /// We sent `bytes`, cut anywhere: what the peer must answer it may.
    pub fn sent(&mut self, mut bytes: &[u8]) {
        while let Some((frame, rest)) = self.outgoing.next(bytes) {
            bytes = rest;
            match frame.kind {
                Kind::Data => {
                    // Windows of a few bytes make frames of a few bytes, and are no reason for updates ("data dribble").
                    self.earn(Flood::WindowUpdate, (frame.length / DRIBBLE).min(4));
                    self.earn(Flood::Ping, 2);
                }
                Kind::Headers => {
                    self.earn(Flood::Ping, 2);
                    self.earn(Flood::Reset, 1);
                }
                Kind::WindowUpdate if frame.stream == 0 => {
                    self.window = self.window.saturating_add(frame.number.into());
                }
                Kind::Reset => {
                    let place =
                        Rejected::of_code(frame.number).and_then(|why| self.rejected.get_mut(why as usize));
                    place.into_iter().for_each(|count| *count = count.saturating_add(1));
                }
                _ => {}
            }
        }
    }

    /// How many streams were ended for which fault of the peer, since it was asked last.
    pub fn take_rejected(&mut self) -> impl Iterator<Item = (Rejected, u32)> + use<> {
        let counts = std::mem::take(&mut self.rejected);
        Rejected::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// We took up a stream of the peer.
    pub fn accepted(&mut self) {
        self.earn(Flood::Headers, 3);
        self.earn(Flood::Continuation, 2);
        self.earn(Flood::Priority, 2);
    }

    /// Whether the peer has begun a header block that is not yet whole: nothing else can pass until it is.
    pub fn is_in_head(&self) -> bool {
        self.incoming.is_in_head()
    }

    /// Whether the peer may send no byte of any body, and has sent all that it began.
    pub fn is_starved(&self) -> bool {
        self.window == 0 && self.incoming.is_between()
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

/// Bytes of bodies that a peer may send on a connection before it is told of more (RFC 9113 section 6.9.2).
const FIRST_WINDOW: u64 = 65_535;
/// So many bytes that we send earn a window update.
const DRIBBLE: u32 = 8;
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests;
