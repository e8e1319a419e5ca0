//! Keys: what is counted, as 64 bits under a secret seed.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::rule::RuleId;

use self::fold::Secrets;

mod fold;

/// The secret under which rules and clients become numbers.
///
/// It is drawn once per process. Whoever knows neither it nor keys made with it cannot choose clients that meet in one
/// cell or in one shard.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed {
    secrets: Secrets,
}

impl Seed {
    /// The seed with the given bits. For tests and replays; a process that serves draws one with [`Seed::random`].
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self { secrets: Secrets::new([(bits >> 64) as u64, bits as u64]) }
    }

    /// A seed from the randomness that the standard library keeps for its own hash maps.
    #[must_use]
    pub fn random() -> Self {
        let word = |which: u8| {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u8(which);
            hasher.finish()
        };
        Self { secrets: Secrets::new([word(0), word(1)]) }
    }

    /// The identity of a rule, from a text that names what the rule counts.
    ///
    /// The text should name the rule, the parts of its key and the object that owns it, and none of its numbers.
    #[must_use]
    pub fn rule_id(&self, identity: &str) -> RuleId {
        let mut hasher = self.secrets.hasher();
        hasher.part(identity.as_bytes());
        RuleId(hasher.finish())
    }

    /// The key of what is counted: a rule and the parts that tell its clients apart, in order.
    ///
    /// Parts cannot run into each other: `["ab", "c"]`, `["a", "bc"]` and `["ab", "c", ""]` are three keys.
    #[must_use]
    #[inline]
    pub fn key(&self, rule: RuleId, parts: &[&[u8]]) -> Key {
        parts.iter().fold(self.key_builder(rule), |key, part| key.part(part)).finish()
    }

    /// As [`Seed::key`], part by part.
    #[inline]
    pub fn key_builder(&self, rule: RuleId) -> KeyBuilder {
        let mut hasher = self.secrets.hasher();
        hasher.word(rule.0);
        KeyBuilder { hasher }
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(secret)")
    }
}

/// A key in the making; see [`Seed::key_builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it is finished"]
pub struct KeyBuilder {
    hasher: fold::Hasher,
}

impl KeyBuilder {
    /// Adds a part.
    #[inline]
    pub fn part(mut self, part: &[u8]) -> Self {
        self.hasher.part(part);
        self
    }

    /// The key of the rule and all parts added so far.
    #[must_use]
    #[inline]
    pub fn finish(self) -> Key {
        Key::from_hash(self.hasher.finish())
    }
}

impl fmt::Debug for KeyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBuilder(secret)")
    }
}

/// What is counted: a keyed hash of a rule and the parts that tell its clients apart, under the seed.
///
/// The hash is fast and spreads evenly, and it is not cryptographic: who sees many keys could work out the seed. So
/// keys, and [`RuleId`]s likewise, are not for responses, metrics or logs that clients can read.
///
/// Two clients share a key, and so a limit, with probability 2^-64. A newcomer meets one of n clients held with
/// probability n / 2^64: among 10 million, one in 1.8 * 10^12. A collision can only limit too much, never too little.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// Zero marks a free place in the tables, so it is nobody's key.
    const fn from_hash(hash: u64) -> Self {
        Self(if hash == 0 { 1 } else { hash })
    }

    /// The hash, never zero. For spreading within the process; it means nothing in another one.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:016x})", self.0)
    }
}

#[cfg(test)]
mod tests;
