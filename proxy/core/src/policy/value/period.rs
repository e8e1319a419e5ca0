//! Lengths of time: a whole number and a unit.

use super::Invalid;
use serde::Serializer;
use std::time::Duration;

/// Reads `90s`, `10m`, `1h` or `1d`; the number may be left out when it is 1, as in `300/m`.
pub(crate) fn read(text: &str) -> Result<Duration, Invalid> {
    let (unit, seconds) = UNITS
        .into_iter()
        .find(|(unit, _)| text.ends_with(*unit))
        .ok_or_else(|| Invalid::Part(super::shown(text)))?;
    let count = match text.strip_suffix(unit).unwrap_or_default() {
        "" => 1,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse::<u64>().map_err(|_| Invalid::Range)?
        }
        _ => return Err(Invalid::Part(super::shown(text))),
    };
    match count.checked_mul(seconds) {
        Some(seconds) if (1..=MAX_PERIOD_SECONDS).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(Invalid::Range),
    }
}

/// The text in the largest unit that divides it; `0s` for zero.
pub(crate) fn print(period: Duration) -> String {
    let seconds = period.as_secs();
    let (unit, length) = UNITS
        .into_iter()
        .find(|(_, length)| seconds != 0 && seconds.is_multiple_of(*length))
        .unwrap_or(("s", 1));
    format!("{}{unit}", seconds / length)
}

pub(crate) fn serialize<S: Serializer>(period: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&print(*period))
}

/// Units and their seconds, longest first.
const UNITS: [(&str, u64); 4] = [("d", 24 * 60 * 60), ("h", 60 * 60), ("m", 60), ("s", 1)];
/// The longest window: 366 days.
const MAX_PERIOD_SECONDS: u64 = 366 * 24 * 60 * 60;
