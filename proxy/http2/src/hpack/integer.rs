//! Numbers that begin within an octet: RFC 7541, section 5.1.

use super::Broken;

/// The number that begins in the low `prefix` bits (1 to 8) of `first` and goes on in `rest`, which is left behind it.
///
/// At most 2^28 + 254: no length or index of use is larger.
///
/// # Errors
///
/// [`Broken::Truncated`] or [`Broken::BadInteger`].
#[inline]
pub(super) fn read(first: u8, prefix: u32, rest: &mut &[u8]) -> Result<usize, Broken> {
    let full = mask(prefix);
    let begun = first & full;
    if begun < full { Ok(usize::from(begun)) } else { read_on(full, rest) }
}

/// Appends `value` with `pattern` in the bits above the low `prefix` bits of the first octet.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, pattern: u8, prefix: u32, value: usize) {
    let full = mask(prefix);
    match u8::try_from(value) {
        Ok(small) if small < full => out.push(pattern | small),
        _ => write_on(out, pattern | full, value.saturating_sub(usize::from(full))),
    }
}

fn read_on(full: u8, rest: &mut &[u8]) -> Result<usize, Broken> {
    let mut value = usize::from(full);
    for octet in 0..OCTETS_MAX {
        let (&next, behind) = rest.split_first().ok_or(Broken::Truncated)?;
        *rest = behind;
        value += usize::from(next & 0x7f) << (7 * octet);
        if next & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Broken::BadInteger)
}

fn write_on(out: &mut Vec<u8>, first: u8, mut left: usize) {
    out.push(first);
    while left >= 0x80 {
        out.push(0x80 | (left & 0x7f) as u8);
        left >>= 7;
    }
    out.push(left as u8);
}

/// `prefix` ones at the low end.
const fn mask(prefix: u32) -> u8 {
    u8::MAX >> (8 - prefix)
}

/// How many octets a number may have behind its first: 4 of 7 bits each fit in 32 bits.
const OCTETS_MAX: u32 = 4;
