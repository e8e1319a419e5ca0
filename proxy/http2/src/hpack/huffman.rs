//! Strings in the Huffman code of RFC 7541, section 5.2 and appendix B: reading only, for we write none.
//!
//! The code is canonical: ordered by length, and by symbol among those of one length, the codes count upwards. So the
//! lengths alone say all, and every table here is made from them when this is compiled. Symbols of up to [`SHORT`] bits
//! (the letters, the digits and nearly all else that is in a header) are found by a look into a table of 512 bytes, the
//! others by their place among the codes of their length.

use super::Broken;

/// Appends to `out` what `coded` stands for.
///
/// # Errors
///
/// [`Broken::BadHuffman`]; `out` then ends with a part of the string.
pub(super) fn decode(mut coded: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    // No code is shorter than 5 bits; the last piece may be written longer than it is.
    out.reserve(coded.len() / 5 * 8 + 2 * PIECE);
    // The next bits of the string, the first on top; `count` of them count.
    let mut bits = 0_u64;
    let mut count = 0;
    loop {
        refill(&mut coded, &mut bits, &mut count);
        if count < ENOUGH {
            return finish(bits, count, out);
        }
        let mut piece = [0; PIECE];
        let mut symbols = 0;
        let mut used = 0;
        // Seven short codes are in the 56 bits that are there.
        for symbol in piece.iter_mut().take(7) {
            let short = SHORT_CODES[(bits >> (u64::BITS - SHORT)) as u8 as usize];
            if short.length == 0 {
                break;
            }
            *symbol = short.symbol;
            bits <<= short.length;
            used += u32::from(short.length);
            symbols += 1;
        }
        count -= used;
        let end = out.len() + symbols;
        out.extend_from_slice(&piece);
        out.truncate(end);
        if symbols < 7 && count >= LONG {
            let (symbol, length) = long(bits)?;
            out.push(u8::try_from(symbol).map_err(|_| Broken::BadHuffman)?);
            bits <<= length;
            count -= length;
        }
    }
}

/// Fills `bits` up to 56 or more as long as there is something to fill it with.
#[inline]
fn refill(coded: &mut &[u8], bits: &mut u64, count: &mut u32) {
    if let Some(eight) = coded.first_chunk::<8>() {
        // Bits of an octet that does not fit whole are set already when their turn comes: to what they are.
        *bits |= u64::from_be_bytes(*eight) >> *count;
        let whole = (63 - *count) / 8;
        *coded = coded.get(whole as usize..).unwrap_or_default();
        *count += whole * 8;
        return;
    }
    while *count < ENOUGH
        && let Some((&octet, rest)) = coded.split_first()
    {
        *bits |= u64::from(octet) << (56 - *count);
        *count += 8;
        *coded = rest;
    }
}

/// Reads the last symbols and the padding.
fn finish(bits: u64, mut count: u32, out: &mut Vec<u8>) -> Result<(), Broken> {
    // As if the padding went on: no code is whole within it, for EOS has more bits than can be left.
    let mut bits = bits | (u64::MAX >> count);
    loop {
        let short = SHORT_CODES[(bits >> (u64::BITS - SHORT)) as u8 as usize];
        let (symbol, length) = match short.length {
            0 => long(bits)?,
            length => (u16::from(short.symbol), u32::from(length)),
        };
        if length > count {
            break;
        }
        out.push(u8::try_from(symbol).map_err(|_| Broken::BadHuffman)?);
        bits = !(!bits << length);
        count -= length;
    }
    if count < 8 && bits == u64::MAX { Ok(()) } else { Err(Broken::BadHuffman) }
}

/// The symbol at the top of `bits` and the length of its code, which is longer than [`SHORT`].
#[cold]
fn long(bits: u64) -> Result<(u16, u32), Broken> {
    let top = (bits >> (u64::BITS - LONG)) as u32;
    RANGES
        .iter()
        .find(|range| top < range.end)
        .and_then(|range| {
            let nth = top.checked_sub(range.start)? >> (LONG - range.length);
            Some((*BY_CODE.get(usize::from(range.before) + nth as usize)?, range.length))
        })
        .ok_or(Broken::BadHuffman)
}

/// What a code of at most [`SHORT`] bits stands for; a length of 0 says that the code is longer.
#[derive(Clone, Copy)]
struct Short {
    symbol: u8,
    length: u8,
}

/// The codes of one length, as the first [`LONG`] bits of what begins with them.
#[derive(Clone, Copy)]
struct Range {
    length: u32,
    start: u32,
    end: u32,
    /// How many symbols have shorter codes.
    before: u16,
}

const fn short_codes() -> [Short; 1 << SHORT] {
    let mut codes = [Short { symbol: 0, length: 0 }; 1 << SHORT];
    let mut next = 0;
    let mut nth = 0;
    while nth < SYMBOLS && LENGTHS[BY_CODE[nth] as usize] as u32 <= SHORT {
        let symbol = BY_CODE[nth] as u8;
        let length = LENGTHS[symbol as usize];
        let end = next + (1 << (SHORT - length as u32));
        while next < end {
            codes[next] = Short { symbol, length };
            next += 1;
        }
        nth += 1;
    }
    codes
}

const fn ranges() -> [Range; LONG as usize] {
    let mut ranges = [Range { length: 0, start: 0, end: 0, before: 0 }; LONG as usize];
    let mut start = 0;
    let mut before = 0;
    let mut length = 1;
    while length <= LONG {
        let of_length = count(length);
        let end = start + ((of_length as u32) << (LONG - length));
        ranges[length as usize - 1] = Range { length, start, end, before };
        start = end;
        before += of_length;
        length += 1;
    }
    ranges
}

const fn by_code() -> [u16; SYMBOLS] {
    let mut symbols = [0; SYMBOLS];
    let mut nth = 0;
    let mut length = 1;
    while length <= LONG {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as u32 == length {
                symbols[nth] = symbol as u16;
                nth += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
}

/// How many codes have `length` bits.
const fn count(length: u32) -> u16 {
    let mut count = 0;
    let mut symbol = 0;
    while symbol < SYMBOLS {
        count += (LENGTHS[symbol] as u32 == length) as u16;
        symbol += 1;
    }
    count
}

/// The bits of the longest codes.
const LONG: u32 = 30;
/// The bits of the codes that a look into a table finds: all of what headers are mostly made of.
const SHORT: u32 = 8;
/// So many bits that seven short codes are in them, or one of any length.
const ENOUGH: u32 = 56;
/// Symbols are appended so many at once (and the last taken back), for that costs as little as appending one.
const PIECE: usize = 8;
/// The octets and EOS.
const SYMBOLS: usize = 257;

static SHORT_CODES: [Short; 1 << SHORT] = short_codes();
static RANGES: [Range; LONG as usize] = ranges();
const BY_CODE: [u16; SYMBOLS] = by_code();

/// The length of each symbol's code in bits (RFC 7541, appendix B); the last is EOS.
pub(super) const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];
