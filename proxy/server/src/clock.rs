//! The only reader of the clocks.
//!
//! Limits, deadlines and durations go by the monotonic clock ([`Clock::now`]); wall time ([`Clock::wall`]) is for
//! display alone and decides nothing.

use std::fmt;
use std::time::SystemTime;
use weir_limits::Instant;

/// The process's clocks. Copies of one `Clock` agree with each other; two that were started apart do not.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// Starts the clock: [`Clock::now`] counts from here. Called once, in `main`.
    pub fn start() -> Self {
        Self { start: std::time::Instant::now() }
    }

    /// Monotonic time. Read once per request, when its head is complete, and once when it ends.
    pub fn now(self) -> Instant {
        Instant::from_elapsed(self.start.elapsed())
    }

    /// Wall time, for logs and the `Date` field.
    pub fn wall(self) -> WallTime {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Wall time in milliseconds since 1970, UTC. Displays as RFC 3339, e.g. `2026-11-21T09:35:00.123Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

impl WallTime {
    /// The time so many milliseconds after 1970; at most the end of the year 9999, where RFC 3339 ends too.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > YEAR_9999 { Self(YEAR_9999) } else { Self(millis) }
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1000
    }

    fn format(self, form: &str) -> String {
        let timestamp =
            i64::try_from(self.as_seconds()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
        timestamp.unwrap_or_default().strftime(form).to_string()
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}Z", self.format(RFC_3339), self.0 % 1000)
    }
}

/// The text of the current second, made once a second. One per worker.
#[derive(Clone, Debug)]
pub struct Dates {
    second: u64,
    http: [u8; HTTP_DATE_LEN],
    rfc3339: [u8; RFC_3339_LEN],
}

impl Dates {
    /// Begins with the texts of 1970.
    pub fn new() -> Self {
        let mut dates = Self { second: u64::MAX, http: [b' '; HTTP_DATE_LEN], rfc3339: [b' '; RFC_3339_LEN] };
        dates.turn_to(WallTime::default());
        dates
    }

    /// The value of a `Date` field (RFC 9110 section 5.6.7), e.g. `Sat, 21 Nov 2026 09:35:00 GMT`.
    pub fn http(&mut self, wall: WallTime) -> &[u8; HTTP_DATE_LEN] {
        self.turn_to(wall);
        &self.http
    }

    /// The time without fraction and zone, e.g. `2026-11-21T09:35:00`.
    pub fn rfc3339(&mut self, wall: WallTime) -> &[u8; RFC_3339_LEN] {
        self.turn_to(wall);
        &self.rfc3339
    }

    /// The value of a `Date` field at the time turned to last.
    pub fn http_now(&self) -> &[u8; HTTP_DATE_LEN] {
        &self.http
    }

    /// Makes the texts of another time, if the second is another.
    pub fn turn_to(&mut self, wall: WallTime) {
        if self.second == wall.as_seconds() {
            return;
        }
        self.second = wall.as_seconds();
        // Both forms have one length for all years from 1970 to 9999.
        if let Ok(text) = wall.format(HTTP_DATE).as_bytes().try_into() {
            self.http = text;
        }
        if let Ok(text) = wall.format(RFC_3339).as_bytes().try_into() {
            self.rfc3339 = text;
        }
    }
}

impl Default for Dates {
    fn default() -> Self {
        Self::new()
    }
}

/// 9999-12-30T22:00:00.999Z, the last moment that has a year of four digits in every time zone.
const YEAR_9999: u64 = 253_402_207_200_999;
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";
const HTTP_DATE_LEN: usize = "Sat, 21 Nov 2026 09:35:00 GMT".len();
const RFC_3339: &str = "%Y-%m-%dT%H:%M:%S";
const RFC_3339_LEN: usize = "2026-11-21T09:35:00".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_step_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(clock.now() >= first);
    }

    #[test]
    fn wall_time_reads_as_rfc_3339() {
        assert_eq!(WallTime::from_millis(784_111_777_042).to_string(), "1994-11-06T08:49:37.042Z");
        assert_eq!(WallTime::default().to_string(), "1970-01-01T00:00:00.000Z");
        assert!(WallTime::from_millis(u64::MAX).to_string().starts_with("9999-12-3"));
    }

    #[test]
    fn dates_follow_the_second() {
        let mut dates = Dates::new();
        // The example of RFC 9110 section 5.6.7.
        let wall = WallTime::from_millis(784_111_777_042);
        assert_eq!(dates.http(wall), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(dates.rfc3339(wall), b"1994-11-06T08:49:37");
        assert_eq!(dates.http(WallTime::from_millis(784_111_778_000)), b"Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(dates.rfc3339(WallTime::from_millis(u64::MAX)).get(..4), Some(&b"9999"[..]));
    }
}
