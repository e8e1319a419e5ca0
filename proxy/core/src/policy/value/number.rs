//! Booleans, whole numbers, sizes and seconds.

use super::{Invalid, Kind, Note};
use crate::policy::{BodyLimit, BodyRate};
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A boolean, in the words of Go's `ParseBool`.
pub struct Flag;

impl Kind for Flag {
    type Value = bool;
    const FORM: &'static str =
        "`true` or `false` (also `1`, `t`, `T`, `TRUE`, `True`, `0`, `f`, `F`, `FALSE`, `False`)";

    fn read(value: &mut bool, text: &str) -> Result<Note, Invalid> {
        *value = match text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            _ => return Err(Invalid::Form),
        };
        Ok(None)
    }

    fn print(value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

/// A limit of requests: a whole number, off if it is not positive.
pub struct Count;

impl Kind for Count {
    type Value = Option<NonZeroU64>;
    const FORM: &'static str = "a whole number up to 1000000000, `0` for off";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let (number, note) = limit(text, MAX_LIMIT)?;
        *value = NonZeroU64::new(number);
        Ok(note)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.map(|n| n.to_string())
    }
}

/// A limit of requests in flight: a whole number, off if it is not positive.
pub struct InFlight;

impl Kind for InFlight {
    type Value = Option<NonZeroU32>;
    const FORM: &'static str = "a whole number up to 4294967295, `0` for off";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let (number, note) = limit(text, u32::MAX.into())?;
        *value = NonZeroU32::new(u32::try_from(number).map_err(|_| Invalid::Range)?);
        Ok(note)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.map(|n| n.to_string())
    }
}

/// Most tries, the first included; 0 is no limit.
pub struct Tries;

impl Kind for Tries {
    type Value = u32;
    const FORM: &'static str = "a whole number up to 1000, `0` for no limit";

    fn read(value: &mut u32, text: &str) -> Result<Note, Invalid> {
        *value = within(text, 0..=1000)?;
        Ok(None)
    }

    fn print(value: &u32) -> Option<String> {
        Some(value.to_string())
    }
}

/// A status that a refusal may have.
pub struct Status;

impl Kind for Status {
    type Value = u16;
    const FORM: &'static str = "a status from 400 to 599";

    fn read(value: &mut u16, text: &str) -> Result<Note, Invalid> {
        *value = within(text, 400..=599)?;
        Ok(None)
    }

    fn print(value: &u16) -> Option<String> {
        Some(value.to_string())
    }
}

/// A status that may be left to the profile.
pub struct OptionalStatus;
optional!(OptionalStatus, Status, u16);

/// The bits of an IPv4 address that tell clients apart.
pub struct Prefix4;

impl Kind for Prefix4 {
    type Value = u8;
    const FORM: &'static str = "a whole number of bits from 0 to 32";

    fn read(value: &mut u8, text: &str) -> Result<Note, Invalid> {
        *value = within(text, 0..=32)?;
        Ok(None)
    }

    fn print(value: &u8) -> Option<String> {
        Some(value.to_string())
    }
}

/// The bits of an IPv6 address that tell clients apart.
pub struct Prefix6;

impl Kind for Prefix6 {
    type Value = u8;
    const FORM: &'static str = "a whole number of bits from 0 to 128";

    fn read(value: &mut u8, text: &str) -> Result<Note, Invalid> {
        *value = within(text, 0..=128)?;
        Ok(None)
    }

    fn print(value: &u8) -> Option<String> {
        Some(value.to_string())
    }
}

/// An IPv4 prefix that may be left to the settings.
pub struct OptionalPrefix4;
optional!(OptionalPrefix4, Prefix4, u8);

/// An IPv6 prefix that may be left to the settings.
pub struct OptionalPrefix6;
optional!(OptionalPrefix6, Prefix6, u8);

/// A time that must pass some day: whole seconds, at least one.
pub struct Seconds;

impl Kind for Seconds {
    type Value = Duration;
    const FORM: &'static str = "a whole number of seconds from 1 to 31536000, without a unit";

    fn read(value: &mut Duration, text: &str) -> Result<Note, Invalid> {
        *value = Duration::from_secs(within(text, 1..=YEAR_SECONDS)?);
        Ok(None)
    }

    fn print(value: &Duration) -> Option<String> {
        Some(value.as_secs().to_string())
    }
}

/// Whole seconds; 0 is no limit.
pub struct SecondsOrNone;

impl Kind for SecondsOrNone {
    type Value = Duration;
    const FORM: &'static str = "a whole number of seconds up to 31536000, without a unit, `0` for no limit";

    fn read(value: &mut Duration, text: &str) -> Result<Note, Invalid> {
        *value = Duration::from_secs(within(text, 0..=YEAR_SECONDS)?);
        Ok(None)
    }

    fn print(value: &Duration) -> Option<String> {
        Some(value.as_secs().to_string())
    }
}

/// Most bytes of a request body.
pub struct BodySize;

impl Kind for BodySize {
    type Value = BodyLimit;
    const FORM: &'static str = "a size such as `512k`, `8m` or `1g`, `0` for no limit";

    fn read(value: &mut BodyLimit, text: &str) -> Result<Note, Invalid> {
        let (bytes, unit) = size(text)?;
        *value = match bytes {
            0 => BodyLimit::Unlimited,
            bytes => BodyLimit::Bytes(bytes),
        };
        Ok((unit == Some(b'b'))
            .then(|| "ingress-nginx ignores sizes in `b`; weir reads them as bytes".into()))
    }

    fn print(value: &BodyLimit) -> Option<String> {
        match *value {
            BodyLimit::Unlimited => Some("0".to_owned()),
            BodyLimit::Bytes(bytes) => Some(print_size(bytes)),
        }
    }
}

/// Bytes of a body that are held in memory.
pub struct BufferSize;

impl Kind for BufferSize {
    type Value = u64;
    const FORM: &'static str = "a size such as `8k` or `1m`";

    fn read(value: &mut u64, text: &str) -> Result<Note, Invalid> {
        let (bytes, unit) = size(text)?;
        *value = bytes.min(MAX_BUFFER);
        Ok(match unit {
            _ if bytes > MAX_BUFFER => Some("the most that is held is 16m; that is in force".into()),
            Some(b'b' | b'g') => Some("ingress-nginx ignores this unit here; weir does not".into()),
            _ => None,
        })
    }

    fn print(value: &u64) -> Option<String> {
        Some(print_size(*value))
    }
}

/// Least bytes per second of a body.
pub struct MinRate;

impl Kind for MinRate {
    type Value = BodyRate;
    const FORM: &'static str = "a size per second such as `500` or `1k`, `0` for off";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        *value = NonZeroU64::new(size(text)?.0).map_or(BodyRate::Off, BodyRate::Least);
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        match value {
            BodyRate::Unset | BodyRate::Off => None,
            BodyRate::Least(rate) => Some(print_size(rate.get())),
        }
    }
}

/// Most bytes of a request head.
pub struct HeadSize;

impl Kind for HeadSize {
    type Value = Option<NonZeroU32>;
    const FORM: &'static str = "a size such as `8k`, at most `1m`, `0` for off";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let bytes = u32::try_from(size(text)?.0).map_err(|_| Invalid::Range)?;
        if bytes > MAX_HEAD {
            return Err(Invalid::Range);
        }
        *value = NonZeroU32::new(bytes);
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.map(|n| print_size(n.get().into()))
    }
}

/// A whole number as Go's `Atoi` reads it: decimal digits, perhaps a sign, nothing else.
pub(in crate::policy) fn whole(text: &str) -> Result<i64, Invalid> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Invalid::Form);
    }
    text.parse().map_err(|_| Invalid::Range)
}

/// A whole number in a range.
pub(super) fn within<T: TryFrom<i64> + PartialOrd>(
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, Invalid> {
    let number = T::try_from(whole(text)?).map_err(|_| Invalid::Range)?;
    if range.contains(&number) { Ok(number) } else { Err(Invalid::Range) }
}

/// A limit up to `most`, where what is not positive is 0.
fn limit(text: &str, most: u64) -> Result<(u64, Note), Invalid> {
    match u64::try_from(whole(text)?) {
        Err(_) => Ok((0, Some("a negative limit is off, as in ingress-nginx; write `0` to say so".into()))),
        Ok(number) if number > most => Err(Invalid::Range),
        Ok(number) => Ok((number, None)),
    }
}

/// A size: digits and perhaps one of `b`, `k`, `m`, `g` in either case, spaces anywhere. Bytes, and the unit.
pub(super) fn size(text: &str) -> Result<(u64, Option<u8>), Invalid> {
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    let unit = text.bytes().last().map(|b| b.to_ascii_lowercase()).filter(u8::is_ascii_alphabetic);
    let shift = match unit {
        None | Some(b'b') => 0,
        Some(b'k') => 10,
        Some(b'm') => 20,
        Some(b'g') => 30,
        Some(_) => return Err(Invalid::Form),
    };
    let digits = text.strip_suffix(|c: char| c.is_ascii_alphabetic()).unwrap_or(&text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Invalid::Form);
    }
    let number: u64 = digits.parse().map_err(|_| Invalid::Range)?;
    number.checked_mul(1 << shift).map(|bytes| (bytes, unit)).ok_or(Invalid::Range)
}

/// A size in the largest unit that divides it.
pub(super) fn print_size(bytes: u64) -> String {
    let units = [(30, "g"), (20, "m"), (10, "k")];
    match units.into_iter().find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// A kind of which nothing may be set.
macro_rules! optional {
    ($optional:ty, $kind:ty, $value:ty) => {
        impl Kind for $optional {
            type Value = Option<$value>;
            const FORM: &'static str = <$kind as Kind>::FORM;

            fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
                let mut inner = <$value>::default();
                let note = <$kind as Kind>::read(&mut inner, text)?;
                *value = Some(inner);
                Ok(note)
            }

            fn print(value: &Self::Value) -> Option<String> {
                value.as_ref().and_then(<$kind as Kind>::print)
            }
        }
    };
}
use optional;

/// The largest limit per window; from there on a request every nanosecond would be allowed.
pub const MAX_LIMIT: u64 = 1_000_000_000;
/// The most of one body that is held in memory, whatever an object asks for: 16 MiB.
pub const MAX_BUFFER: u64 = 16 << 20;
/// The largest request head that an object can allow: 1 MiB.
const MAX_HEAD: u32 = 1 << 20;
/// The longest timeout: 365 days.
const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;
