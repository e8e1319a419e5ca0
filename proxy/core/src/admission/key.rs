//! What tells clients apart.

mod jwt;

use crate::facts::{Facts, Headers};
use crate::policy::KeyPart;
use crate::snapshot::KeyPlan;
use std::net::IpAddr;
use weir_limits::{Key, KeyBuilder, RuleId, Seed};

/// A client of one object, from which the key under each of its rules is made.
pub(super) enum ClientKey {
    V4([u8; 4]),
    V6([u8; 16]),
    /// A hash of all parts.
    Parts([u8; 8]),
}

impl ClientKey {
    #[inline]
    pub(super) fn of(
        seed: &Seed,
        plan: &KeyPlan,
        address: IpAddr,
        host: &str,
        path: &str,
        facts: &Facts<'_>,
    ) -> Self {
        let address = plan.cut(address);
        match (plan.parts.as_slice(), address) {
            ([KeyPart::Ip], IpAddr::V4(address)) => Self::V4(address.octets()),
            ([KeyPart::Ip], IpAddr::V6(address)) => Self::V6(address.octets()),
            (parts, address) => {
                let start = seed.key_builder(seed.rule_id(PARTS));
                let key =
                    parts.iter().fold(start, |key, part| add(&key, part, address, host, path, facts.headers));
                Self::Parts(key.finish().as_u64().to_le_bytes())
            }
        }
    }

    #[inline]
    pub(super) fn key(&self, seed: &Seed, rule: RuleId) -> Key {
        let builder = seed.key_builder(rule);
        match self {
            Self::V4(address) => builder.part(address),
            Self::V6(address) => builder.part(address),
            Self::Parts(hash) => builder.part(hash),
        }
        .finish()
    }
}

/// Adds one part. What the request lacks, has twice, or has at a length that no honest client needs, falls back to the
/// address: whoever wants many budgets must not get them by sending nonsense beside what the origin looks at.
fn add(
    key: &KeyBuilder,
    part: &KeyPart,
    address: IpAddr,
    host: &str,
    path: &str,
    headers: &dyn Headers,
) -> KeyBuilder {
    let added = match part {
        KeyPart::Ip => None,
        KeyPart::Header(name) => single(headers, name, |value| tagged(key, Tag::Header, value)),
        KeyPart::Cookie(name) => cookie(headers, name, |value| tagged(key, Tag::Cookie, value)),
        KeyPart::JwtClaim(claim) => single(headers, "authorization", |value| jwt::claim(value, claim))
            .flatten()
            .map(|value| tagged(key, Tag::Claim, &value)),
        KeyPart::Host => Some(tagged(key, Tag::Host, host.as_bytes())),
        KeyPart::Path => Some(tagged(key, Tag::Path, path.as_bytes())),
    };
    added.unwrap_or_else(|| match address {
        IpAddr::V4(address) => tagged(key, Tag::Address, &address.octets()),
        IpAddr::V6(address) => tagged(key, Tag::Address, &address.octets()),
    })
}

/// What a part is, so that no header can look like an address.
#[derive(Clone, Copy)]
enum Tag {
    Address,
    Header,
    Cookie,
    Claim,
    Host,
    Path,
}

fn tagged(key: &KeyBuilder, tag: Tag, value: &[u8]) -> KeyBuilder {
    key.clone().part(&[tag as u8]).part(value)
}

/// What `read` makes of the value of a header that is there once, is not empty and not too long.
fn single<T>(headers: &dyn Headers, name: &str, mut read: impl FnMut(&[u8]) -> T) -> Option<T> {
    let mut lines = 0_usize;
    let mut result = None;
    headers.visit(name, &mut |value| {
        lines += 1;
        let value = value.trim_ascii();
        if lines == 1 && (1..=VALUE_MAX).contains(&value.len()) {
            result = Some(read(value));
        }
    });
    result.filter(|_| lines == 1)
}

/// What `read` makes of the value of a cookie that is there once (RFC 6265 section 4.2.1), over all `Cookie` lines.
fn cookie<T>(headers: &dyn Headers, name: &str, mut read: impl FnMut(&[u8]) -> T) -> Option<T> {
    let mut found = 0_usize;
    let mut result = None;
    headers.visit("cookie", &mut |line| {
        for pair in line.split(|&byte| byte == b';') {
            let pair = pair.trim_ascii();
            let Some(value) = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
            else {
                continue;
            };
            found += 1;
            if found == 1 && (1..=VALUE_MAX).contains(&value.len()) {
                result = Some(read(value));
            }
        }
    });
    result.filter(|_| found == 1)
}

/// Longest value of a header or cookie that tells clients apart; also bounds the token that is decoded.
const VALUE_MAX: usize = 8 << 10;

/// Under which the parts of a client are hashed into one; no rule has this identity.
const PARTS: &str = "parts of a client";

#[cfg(test)]
mod tests;
