//! Time as an argument: nanoseconds since a start that the caller chose.

use std::fmt;
use std::time::Duration;

/// A moment: nanoseconds since an arbitrary start, the same for all calls on one limiter.
///
/// Nothing in this crate reads a clock. The caller reads a monotonic one, once a request, and passes it on.
/// Moments end at [`Instant::MAX`], 292 years after the start; everything that would go beyond stays there.
/// That leaves room above for the arithmetic of limits, which therefore cannot overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The start.
    pub const START: Self = Self(0);

    /// The last moment, 2^63 - 1 nanoseconds after the start.
    pub const MAX: Self = Self(u64::MAX >> 1);

    /// The moment `nanos` nanoseconds after the start, at most [`Instant::MAX`].
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        if nanos > Self::MAX.0 { Self::MAX } else { Self(nanos) }
    }

    /// The moment `elapsed` after the start, at most [`Instant::MAX`].
    ///
    /// ```
    /// # use std::time::{Duration, Instant as Clock};
    /// # #[allow(clippy::disallowed_methods)]
    /// # let started = Clock::now();
    /// let now = weir_limits::Instant::from_elapsed(started.elapsed());
    /// ```
    #[must_use]
    pub fn from_elapsed(elapsed: Duration) -> Self {
        Self::START.saturating_add(elapsed)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This moment moved forward by `by`, at most [`Instant::MAX`].
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self::from_nanos(self.0.saturating_add(nanos_in(by)))
    }

    /// This moment moved back by `by`, at least [`Instant::START`].
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos_in(by)))
    }

    /// The time from `earlier` until this moment; zero if `earlier` is in fact later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start+{:?}", Duration::from_nanos(self.0))
    }
}

/// The nanoseconds in a duration; what does not fit becomes `u64::MAX`.
pub(crate) fn nanos_in(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_stay_between_start_and_max() {
        assert_eq!(Instant::from_nanos(u64::MAX), Instant::MAX);
        assert_eq!(Instant::MAX.saturating_add(Duration::from_nanos(1)), Instant::MAX);
        assert_eq!(Instant::START.saturating_add(Duration::MAX), Instant::MAX);
        assert_eq!(Instant::START.saturating_sub(Duration::MAX), Instant::START);
        assert_eq!(Instant::from_elapsed(Duration::MAX), Instant::MAX);
    }

    #[test]
    fn since_a_later_moment_is_zero() {
        let (early, late) = (Instant::from_nanos(3), Instant::from_nanos(10));
        assert_eq!(late.saturating_since(early), Duration::from_nanos(7));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
    }
}
