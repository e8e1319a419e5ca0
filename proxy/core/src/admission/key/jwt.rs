//! One claim of a bearer token. The signature is not checked: the claim tells clients apart, it grants nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The value of a claim in `Bearer HEADER.PAYLOAD.SIGNATURE`, if it is a string that is not empty, or a number.
pub(super) fn claim(authorization: &[u8], name: &str) -> Option<Vec<u8>> {
    let (scheme, token) = authorization.split_at_checked(BEARER.len())?;
    if !scheme.eq_ignore_ascii_case(BEARER) {
        return None;
    }
    let mut parts = token.trim_ascii().split(|&byte| byte == b'.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let mut json = serde_json::Deserializer::from_slice(&payload);
    let value = json.deserialize_map(Claim(name)).ok()?;
    json.end().ok()?;
    match value? {
        Value::String(text) if !text.is_empty() => Some([b"s", text.as_bytes()].concat()),
        Value::Number(number) => Some([b"n", number.to_string().as_bytes()].concat()),
        _ => None,
    }
}

/// Looks for one name in an object and skips the rest. A name that is there twice is as good as missing.
struct Claim<'a>(&'a str);

impl<'de> Visitor<'de> for Claim<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        let mut times = 0_usize;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.0 {
                times += 1;
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found.filter(|_| times == 1))
    }
}

const BEARER: &[u8] = b"Bearer ";
