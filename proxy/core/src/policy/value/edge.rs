//! Bounds of connections.

use super::number::{print_size, size, within};
use super::{Invalid, Kind, Note};
use crate::policy::{HeadBounds, PerSecond};
use std::num::NonZeroU32;
use std::time::Duration;

/// A number of something of which there must be some.
pub struct Positive;

impl Kind for Positive {
    type Value = NonZeroU32;
    const FORM: &'static str = "a whole number from 1 to 1000000000";

    fn read(value: &mut NonZeroU32, text: &str) -> Result<Note, Invalid> {
        *value = NonZeroU32::new(within(text, 1..=MOST)?).ok_or(Invalid::Range)?;
        Ok(None)
    }

    fn print(value: &NonZeroU32) -> Option<String> {
        Some(value.to_string())
    }
}

/// So many a second, of which those of five seconds may come at once.
pub struct Rate;

impl Kind for Rate {
    type Value = Option<PerSecond>;
    const FORM: &'static str = "a whole number up to 1000000000, `0` for off";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        *value = NonZeroU32::new(within(text, 0..=MOST)?).map(PerSecond::times_five);
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.map(|most| most.rate.to_string())
    }
}

/// How long a connection may be idle; 0 is not at all.
pub struct KeepAlive;

impl Kind for KeepAlive {
    type Value = Duration;
    const FORM: &'static str =
        "a whole number of seconds up to 31536000, without a unit, `0` to close after each response";

    fn read(value: &mut Duration, text: &str) -> Result<Note, Invalid> {
        *value = Duration::from_secs(within(text, 0..=YEAR_SECONDS)?);
        Ok(None)
    }

    fn print(value: &Duration) -> Option<String> {
        Some(value.as_secs().to_string())
    }
}

/// Bytes of the first buffer for a request head.
pub struct FirstBuffer;

impl Kind for FirstBuffer {
    type Value = u32;
    const FORM: &'static str = "a size such as `1k`";

    fn read(value: &mut u32, text: &str) -> Result<Note, Invalid> {
        let (bytes, _) = size(text)?;
        if bytes == 0 {
            return Err(Invalid::Range);
        }
        *value = u32::try_from(bytes).unwrap_or(u32::MAX).min(HeadBounds::MOST_BYTES);
        Ok((bytes > HeadBounds::MOST_BYTES.into()).then(|| CUT.into()))
    }

    fn print(value: &u32) -> Option<String> {
        Some(print_size((*value).into()))
    }
}

/// How many further buffers there are for a request head, and the bytes of each.
pub struct LargeBuffers;

impl Kind for LargeBuffers {
    type Value = HeadBounds;
    const FORM: &'static str = "a number and a size of at least 256 bytes, such as `4 8k`";

    fn read(value: &mut HeadBounds, text: &str) -> Result<Note, Invalid> {
        let (number, each) = text.trim().split_once(' ').ok_or(Invalid::Form)?;
        let number = within(number, 1..=MOST)?;
        let (bytes, _) = size(each)?;
        if bytes < LEAST_BUFFER {
            return Err(Invalid::Range);
        }
        *value = HeadBounds { count: number, size: u32::try_from(bytes).unwrap_or(u32::MAX), ..*value };
        let all = bytes.saturating_mul(number.into());
        Ok((all > HeadBounds::MOST_BYTES.into()).then(|| CUT.into()))
    }

    fn print(value: &HeadBounds) -> Option<String> {
        Some(format!("{} {}", value.count, print_size(value.size.into())))
    }
}

/// Most header fields.
pub struct HeadFields;

impl Kind for HeadFields {
    type Value = NonZeroU32;
    const FORM: &'static str = "a whole number from 1 to 256";

    fn read(value: &mut NonZeroU32, text: &str) -> Result<Note, Invalid> {
        *value = NonZeroU32::new(within(text, 1..=HeadBounds::MOST_FIELDS)?).ok_or(Invalid::Range)?;
        Ok(None)
    }

    fn print(value: &NonZeroU32) -> Option<String> {
        Some(value.to_string())
    }
}

const MOST: u32 = 1_000_000_000;
/// 365 days.
const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;
/// Nobody can say anything in less.
const LEAST_BUFFER: u64 = 256;
const CUT: &str = "the most bytes of a head are 512k; that is in force";
