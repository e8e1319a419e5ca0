//! Numbers, and strings in the Huffman code.

use super::super::{Broken, huffman, integer};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Each symbol's code, counted up in the order of length and symbol; the last is EOS.
fn codes() -> &'static [(u32, u32)] {
    static CODES: LazyLock<Vec<(u32, u32)>> = LazyLock::new(count_up);
    &CODES
}

fn count_up() -> Vec<(u32, u32)> {
    let mut order: Vec<usize> = (0..huffman::LENGTHS.len()).collect();
    order.sort_by_key(|&symbol| (huffman::LENGTHS[symbol], symbol));
    let mut codes = vec![(0, 0); order.len()];
    let (mut next, mut before) = (0_u32, u32::from(huffman::LENGTHS[order[0]]));
    for symbol in order {
        let length = u32::from(huffman::LENGTHS[symbol]);
        next <<= length - before;
        codes[symbol] = (next, length);
        next += 1;
        before = length;
    }
    codes
}

/// Bits of these symbols with padding of ones, `more` bits of which are beyond what is needed.
fn coded(symbols: impl IntoIterator<Item = usize>, more: usize) -> Vec<u8> {
    let codes = codes();
    let mut bits: Vec<bool> = Vec::new();
    for symbol in symbols {
        let (code, length) = codes[symbol];
        bits.extend((0..length).rev().map(|place| code >> place & 1 == 1));
    }
    bits.resize(bits.len().next_multiple_of(8) + more, true);
    bits.chunks(8).map(|octet| octet.iter().fold(0, |value, &bit| value << 1 | u8::from(bit))).collect()
}

fn in_code(text: &[u8]) -> Vec<u8> {
    coded(text.iter().map(|&octet| octet.into()), 0)
}

fn decoded(octets: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut out = Vec::new();
    huffman::decode(octets, &mut out)?;
    Ok(out)
}

/// Kraft's sum is one: each row of bits begins with just one code.
#[test]
fn the_code_is_complete() {
    let sum: u64 = huffman::LENGTHS.iter().map(|&length| 1_u64 << (32 - length)).sum();
    assert_eq!(sum, 1 << 32);
}

/// Some rows of appendix B, from each group of lengths.
#[test]
fn codes_are_those_of_the_standard() {
    let codes = codes();
    assert_eq!(codes[usize::from(b'0')], (0x0, 5));
    assert_eq!(codes[usize::from(b't')], (0x9, 5));
    assert_eq!(codes[usize::from(b' ')], (0x14, 6));
    assert_eq!(codes[usize::from(b'z')], (0x7b, 7));
    assert_eq!(codes[usize::from(b'Z')], (0xfd, 8));
    assert_eq!(codes[usize::from(b'!')], (0x3f8, 10));
    assert_eq!(codes[usize::from(b'~')], (0x1ffd, 13));
    assert_eq!(codes[usize::from(b'\\')], (0x7fff0, 19));
    assert_eq!(codes[128], (0xfffe6, 20));
    assert_eq!(codes[9], (0xffffea, 24));
    assert_eq!(codes[249], (0xffffffe, 28));
    assert_eq!(codes[22], (0x3ffffffe, 30));
    assert_eq!(codes[256], (0x3fffffff, 30));
}

#[test]
fn every_octet_comes_back_alone_and_behind_each_other_one() {
    for first in 0..=255 {
        assert_eq!(decoded(&in_code(&[first])).unwrap(), [first]);
        for second in 0..=255 {
            // Nine in front, so that the short ones go through every path.
            let text = [b'0', first, second, b'a', b'a', b'a', b'z', first, second, first];
            assert_eq!(decoded(&in_code(&text)).unwrap(), text);
        }
    }
}

#[test]
fn padding_is_at_most_seven_ones() {
    assert_eq!(decoded(&[]), Ok(vec![]));
    // Eight bits of padding, behind nothing and behind symbols that end with an octet or within one.
    assert_eq!(decoded(&[0xff]), Err(Broken::BadHuffman));
    for text in [b"Z".as_slice(), b"0", b"a", b"zz", b"a longer text of many octets", b"\xf9"] {
        let symbols = || text.iter().map(|&octet| usize::from(octet));
        assert_eq!(decoded(&coded(symbols(), 0)).unwrap(), text);
        for more in [8, 16, 24, 32] {
            assert_eq!(decoded(&coded(symbols(), more)), Err(Broken::BadHuffman), "{text:?} and {more} bits");
        }
    }
    // `0` is 00000; three bits are left, of which each has to be a one.
    for padding in 0..8 {
        assert_eq!(decoded(&[padding]).is_ok(), padding == 7, "{padding:03b}");
    }
    // `z` is 1111011 in front of one bit.
    assert_eq!(decoded(&[0b1111_0111]), Ok(b"z".to_vec()));
    assert_eq!(decoded(&[0b1111_0110]), Err(Broken::BadHuffman));
    // `a` (00011) and nine bits that begin a longer code, as a code of ten bits cut short.
    assert_eq!(decoded(&[0b0001_1111, 0b1111_1000]), Err(Broken::BadHuffman));
}

#[test]
fn eos_is_in_no_string() {
    const EOS: usize = 256;
    assert_eq!(decoded(&coded([EOS], 0)), Err(Broken::BadHuffman));
    for length in 0..20 {
        let before = std::iter::repeat_n(usize::from(b'a'), length);
        let behind = std::iter::repeat_n(usize::from(b'b'), 20);
        assert_eq!(decoded(&coded(before.clone().chain([EOS]), 0)), Err(Broken::BadHuffman), "{length}");
        let within = before.chain([EOS]).chain(behind);
        assert_eq!(decoded(&coded(within, 0)), Err(Broken::BadHuffman), "{length}");
    }
}

#[test]
fn numbers_are_those_of_the_standard() {
    // RFC 7541, appendix C.1.
    for (octets, prefix, value) in
        [([0b01010].as_slice(), 5, 10), (&[0b11111, 0b1001_1010, 0b1010], 5, 1337), (&[42], 8, 42)]
    {
        let mut rest = &octets[1..];
        assert_eq!(integer::read(octets[0], prefix, &mut rest), Ok(value));
        assert!(rest.is_empty());
        let mut out = Vec::new();
        integer::write(&mut out, 0, prefix, value);
        assert_eq!(out, octets);
    }
    // Bits above the prefix are another's.
    assert_eq!(integer::read(0b1110_1010, 5, &mut [].as_slice()), Ok(10));
}

#[test]
fn numbers_have_an_end() {
    let read = |mut rest: &[u8]| integer::read(0xff, 7, &mut rest).map(|value| (value, rest.len()));
    assert_eq!(read(&[]), Err(Broken::Truncated));
    assert_eq!(read(&[0x80]), Err(Broken::Truncated));
    assert_eq!(read(&[0x80, 0x80, 0x80]), Err(Broken::Truncated));
    // Zeros at the top are allowed as long as they are few.
    assert_eq!(read(&[0x80, 0x80, 0x80, 0x00, 9]), Ok((127, 1)));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0x7f]), Ok((127 + (1 << 28) - 1, 0)));
    assert_eq!(read(&[0x80, 0x80, 0x80, 0x80]), Err(Broken::BadInteger));
    assert_eq!(read(&[0xff; 40]), Err(Broken::BadInteger));
}

proptest! {
    #[test]
    fn numbers_come_back(value in 0_usize..1 << 28, prefix in 1_u32..=8, behind in any::<u8>()) {
        let mut out = Vec::new();
        integer::write(&mut out, 0, prefix, value);
        out.push(behind);
        let mut rest = &out[1..];
        prop_assert_eq!(integer::read(out[0], prefix, &mut rest), Ok(value));
        prop_assert_eq!(rest, &[behind][..]);
    }

    #[test]
    fn strings_come_back(text in prop::collection::vec(any::<u8>(), 0..200), letters in "[ -~]{0,200}") {
        prop_assert_eq!(decoded(&in_code(&text)).unwrap(), text);
        prop_assert_eq!(decoded(&in_code(letters.as_bytes())).unwrap(), letters.as_bytes());
    }

    /// What is read from any bits at all is what the bits are of, so that no string has two meanings.
    #[test]
    fn what_is_read_is_what_was_written(bits in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(text) = decoded(&bits) {
            prop_assert_eq!(in_code(&text), bits);
        }
    }
}
