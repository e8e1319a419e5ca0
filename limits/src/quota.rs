//! How much is allowed: an amount per period, and how much of it at once.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use crate::time::nanos_in;

/// An amount per period with a burst; never zero, never without end.
///
/// From a client that was not seen for a while, [`allowance`](Self::allowance) = burst + 1 requests pass at once;
/// from then on one passes every [`interval`](Self::interval) = period / limit, rounded up to whole nanoseconds, so
/// that the rate is never above the limit.
///
/// Written as `LIMIT/PERIOD`, with ` burst BURST` behind it unless the burst is zero, where a period is a whole number
/// (left out if 1) and one of `ns`, `us`, `ms`, `s`, `m`, `h`, `d`. [`Display`](fmt::Display) and [`FromStr`] are
/// inverses.
///
/// ```
/// use std::time::Duration;
/// use weir_limits::Quota;
///
/// let quota: Quota = "300/10m burst 1500".parse()?;
/// assert_eq!(quota, Quota::new(300, Duration::from_secs(600))?.with_burst(1500));
/// assert_eq!(quota.interval(), Duration::from_secs(2));
/// assert_eq!(quota.to_string(), "300/10m burst 1500");
/// assert_eq!(Quota::new(5, Duration::from_secs(1))?.to_string(), "5/s");
/// # Ok::<(), weir_limits::QuotaError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    limit: u64,
    period: u64,
    burst: u64,
    /// Nanoseconds between two requests at the sustained rate.
    interval: NonZeroU64,
    /// Nanoseconds that a client can be ahead: (burst + 1) intervals, at most [`ALLOWANCE_MAX`].
    allowance: u64,
}

impl Quota {
    /// The largest limit: 10^9 per period.
    pub const LIMIT_MAX: u64 = 1_000_000_000;

    /// The longest period: 366 days.
    pub const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// `limit` requests per `period`, without a burst.
    ///
    /// # Errors
    ///
    /// If `limit` is zero or above [`LIMIT_MAX`](Self::LIMIT_MAX), or `period` is zero or above
    /// [`PERIOD_MAX`](Self::PERIOD_MAX).
    pub fn new(limit: u64, period: Duration) -> Result<Self, QuotaError> {
        if limit == 0 {
            return Err(QuotaError::ZeroLimit);
        }
        if limit > Self::LIMIT_MAX {
            return Err(QuotaError::LimitTooLarge);
        }
        if period > Self::PERIOD_MAX {
            return Err(QuotaError::PeriodTooLong);
        }
        let period = nanos_in(period);
        let Some(interval) = NonZeroU64::new(period.div_ceil(limit)) else {
            return Err(QuotaError::ZeroPeriod);
        };
        Ok(Self { limit, period, burst: 0, interval, allowance: interval.get() })
    }

    /// The same rate with `burst` requests at once on top of the first.
    ///
    /// A burst above [`burst_max`](Self::burst_max) becomes that: then the allowance takes 146 years to come back.
    #[must_use]
    pub fn with_burst(self, burst: u64) -> Self {
        let burst = burst.min(self.burst_max());
        Self { burst, allowance: (burst + 1) * self.interval.get(), ..self }
    }

    /// Requests per period at the sustained rate.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The period that the limit is for.
    #[must_use]
    pub const fn period(&self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// Requests that may pass at once on top of the first.
    #[must_use]
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// The largest burst at this rate: its allowance is at most 2^62 nanoseconds, 146 years.
    #[must_use]
    pub const fn burst_max(&self) -> u64 {
        ALLOWANCE_MAX / self.interval.get() - 1
    }

    /// Requests that pass at once from a client not seen before: burst + 1.
    #[must_use]
    pub const fn allowance(&self) -> u64 {
        self.burst + 1
    }

    /// Time between two requests at the sustained rate: period / limit, rounded up to whole nanoseconds.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval.get())
    }

    /// Time until a spent allowance is whole again: (burst + 1) intervals.
    #[must_use]
    pub const fn recovery(&self) -> Duration {
        Duration::from_nanos(self.allowance)
    }

    pub(crate) const fn interval_nanos(&self) -> u64 {
        self.interval.get()
    }

    pub(crate) const fn allowance_nanos(&self) -> u64 {
        self.allowance
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.limit)?;
        let whole = |unit: &&(&str, u64)| self.period.is_multiple_of(unit.1);
        let (name, nanos) = UNITS.iter().find(whole).copied().unwrap_or(("ns", 1));
        match self.period / nanos {
            1 => f.write_str(name)?,
            count => write!(f, "{count}{name}")?,
        }
        if self.burst == 0 { Ok(()) } else { write!(f, "{BURST}{}", self.burst) }
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quota({self})")
    }
}

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let (rate, burst) = match text.split_once(BURST) {
            Some((rate, burst)) => (rate, Some(number(burst)?)),
            None => (text, None),
        };
        let (limit, period) = rate.split_once('/').ok_or(QuotaError::Malformed)?;
        let digits = period.bytes().take_while(u8::is_ascii_digit).count();
        let (count, name) = period.split_at_checked(digits).ok_or(QuotaError::Malformed)?;
        let count = if count.is_empty() { 1 } else { number(count)? };
        let unit = UNITS.iter().find(|unit| unit.0 == name).ok_or(QuotaError::Malformed)?;
        let nanos = count.checked_mul(unit.1).ok_or(QuotaError::PeriodTooLong)?;
        let quota = Self::new(number(limit)?, Duration::from_nanos(nanos))?;
        match burst {
            Some(burst) if burst > quota.burst_max() => Err(QuotaError::BurstTooLarge),
            burst => Ok(quota.with_burst(burst.unwrap_or(0))),
        }
    }
}

/// Why something is no quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaError {
    /// The limit is zero. Who wants to refuse everything says so elsewhere.
    ZeroLimit,
    /// The limit is above [`Quota::LIMIT_MAX`].
    LimitTooLarge,
    /// The period is zero.
    ZeroPeriod,
    /// The period is above [`Quota::PERIOD_MAX`].
    PeriodTooLong,
    /// The burst is above [`Quota::burst_max`].
    BurstTooLarge,
    /// The text is not of the form `300/10m` or `5/s burst 25`.
    Malformed,
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroLimit => "the limit is zero",
            Self::LimitTooLarge => "the limit is above 1000000000",
            Self::ZeroPeriod => "the period is zero",
            Self::PeriodTooLong => "the period is above 366 days",
            Self::BurstTooLarge => "the burst takes more than 146 years to come back",
            Self::Malformed => "expected a form like `300/10m` or `5/s burst 25`",
        })
    }
}

impl std::error::Error for QuotaError {}

/// Digits only: the standard parser would take a sign as well.
fn number(text: &str) -> Result<u64, QuotaError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuotaError::Malformed);
    }
    text.parse().map_err(|_| QuotaError::LimitTooLarge)
}

/// With [`crate::Instant::MAX`] at 2^63 - 1, the sum of a moment and an allowance fits in 64 bits.
const ALLOWANCE_MAX: u64 = 1 << 62;

const BURST: &str = " burst ";

/// Name and nanoseconds, longest first.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

#[cfg(test)]
mod tests;
