//! A keyed hash for short keys: each word is mixed in by a folded multiplication, 64 by 64 bits, the two halves of the
//! product added without carry (the step of wyhash and its kin), under secrets drawn from the seed.
//!
//! What it is: about two multiplications for an address, spread evenly over all bits, and without the secrets nobody
//! can tell which inputs meet. What it is not: a cryptographic function. Who sees many hashes could work the secrets
//! out, so hashes are to stay within the process.

/// What a seed becomes: the start, the multiplier of each word and the multiplier of the last step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secrets {
    start: u64,
    each: u64,
    last: u64,
}

impl Secrets {
    /// Every bit of the secrets depends on every bit of the seed, so that a seed with few bits set is as good as any.
    pub(super) const fn new([high, low]: [u64; 2]) -> Self {
        let start = scatter(scatter(high ^ GOLDEN).wrapping_add(low));
        let each = scatter(scatter(start ^ low).wrapping_add(high));
        let last = scatter(start.wrapping_add(each).wrapping_add(GOLDEN));
        Self { start, each: each | 1, last: last | 1 }
    }

    #[inline]
    pub(super) const fn hasher(&self) -> Hasher {
        Hasher { state: self.start, each: self.each, last: self.last }
    }
}

/// A hash in the making, fed with whole words only: no word ever waits for its missing bytes.
#[derive(Clone)]
pub(super) struct Hasher {
    state: u64,
    each: u64,
    last: u64,
}

impl Hasher {
    #[inline]
    pub(super) const fn word(&mut self, word: u64) {
        self.state = fold(self.state ^ word, self.each);
    }

    /// A part of any length. Up to seven bytes: one word, the length in its highest byte. More: the length in a word
    /// whose highest byte is 255, then the bytes in words, the last filled with zeros.
    /// As the first word says how many follow, no two lists of parts give the same words.
    #[inline]
    pub(super) fn part(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        if length < 8 {
            return self.word(little_endian(bytes) | length << 56);
        }
        self.word(length | 0xff << 56);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.word(little_endian(rest));
        }
    }

    /// One multiplication leaves the low bits of a hash to the low bits of the word, so there is one more.
    #[inline]
    pub(super) const fn finish(self) -> u64 {
        fold(self.state ^ self.each, self.last)
    }
}

/// Both halves of the product, one upon the other.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    (product >> 64) as u64 ^ product as u64
}

/// Spreads every bit over all others, without loss (the last steps of SplitMix64; Steele and others, 2014).
const fn scatter(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// The word of at most eight bytes.
#[inline]
fn little_endian(bytes: &[u8]) -> u64 {
    match bytes {
        // An IPv4 address, worth one load.
        [a, b, c, d] => u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        bytes => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// 2^64 divided by the golden ratio: so that a seed of zeros does not stay one.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests;
