//! Bounds of connections.

use super::number::within;
use super::{Invalid, Kind, Note};
use crate::policy::PerSecond;
use std::num::NonZeroU32;

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

const MOST: u32 = 1_000_000_000;
