//! What limits count, in which windows, and what becomes of a refusal.

use super::number::{whole, within};
use super::{Invalid, Kind, MAX_LIMIT, Note, is_token, period, shown};
use crate::policy::{Burst, KeyPart, LimitHeaders, MAX_WINDOWS, Mode, Modes, Window};
use std::num::{NonZeroU32, NonZeroU64};

/// Windows of any length.
pub struct Windows;

impl Kind for Windows {
    type Value = Vec<Window>;
    const FORM: &'static str =
        "up to 4 of `REQUESTS/PERIOD`, separated by commas, such as `300/10m, 5000/1d`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let mut windows: Vec<Window> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (limit, length) = part.split_once('/').ok_or_else(|| Invalid::Part(shown(part)))?;
            let limit =
                u64::try_from(whole(limit)?).ok().filter(|n| *n <= MAX_LIMIT).and_then(NonZeroU64::new);
            let window = Window { limit: limit.ok_or(Invalid::Range)?, period: period::read(length)? };
            if windows.iter().any(|earlier| earlier.period == window.period) {
                return Err(Invalid::Twice(period::print(window.period)));
            }
            if windows.len() == MAX_WINDOWS {
                return Err(Invalid::TooMany(MAX_WINDOWS));
            }
            windows.push(window);
        }
        *value = windows;
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        let print = |window: &Window| format!("{}/{}", window.limit, period::print(window.period));
        join(value.iter().map(print), ", ")
    }
}

/// Burst as a multiple of the limit.
pub struct BurstMultiplier;

impl Kind for BurstMultiplier {
    type Value = Burst;
    const FORM: &'static str = "a whole number from 1 to 1000000";

    fn read(value: &mut Burst, text: &str) -> Result<Note, Invalid> {
        let multiplier = within(text, 1..=1_000_000u32)?;
        *value = Burst::Multiplier(NonZeroU32::new(multiplier).ok_or(Invalid::Range)?);
        Ok(None)
    }

    fn print(value: &Burst) -> Option<String> {
        match value {
            Burst::Multiplier(multiplier) => Some(multiplier.to_string()),
            Burst::Absolute(_) => None,
        }
    }
}

/// Burst in requests.
pub struct AbsoluteBurst;

impl Kind for AbsoluteBurst {
    type Value = Burst;
    const FORM: &'static str = "a whole number up to 1000000000";

    fn read(value: &mut Burst, text: &str) -> Result<Note, Invalid> {
        *value = Burst::Absolute(within(text, 0..=MAX_LIMIT)?);
        Ok(None)
    }

    fn print(value: &Burst) -> Option<String> {
        match value {
            Burst::Multiplier(_) => None,
            Burst::Absolute(requests) => Some(requests.to_string()),
        }
    }
}

/// What a client is.
pub struct Key;

impl Kind for Key {
    type Value = Vec<KeyPart>;
    const FORM: &'static str =
        "up to 4 of `ip`, `header:NAME`, `cookie:NAME`, `jwt:CLAIM`, `path` and `host`, joined by `+`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let mut parts = Vec::new();
        for text in text.split('+').map(str::trim) {
            let part = key_part(text).ok_or_else(|| Invalid::Part(shown(text)))?;
            if parts.contains(&part) {
                return Err(Invalid::Twice(shown(text)));
            }
            if parts.len() == MAX_KEY_PARTS {
                return Err(Invalid::TooMany(MAX_KEY_PARTS));
            }
            parts.push(part);
        }
        *value = parts;
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        let print = |part: &KeyPart| match part {
            KeyPart::Ip => "ip".to_owned(),
            KeyPart::Path => "path".to_owned(),
            KeyPart::Host => "host".to_owned(),
            KeyPart::Header(name) => format!("header:{name}"),
            KeyPart::Cookie(name) => format!("cookie:{name}"),
            KeyPart::JwtClaim(name) => format!("jwt:{name}"),
        };
        join(value.iter().map(print), "+")
    }
}

/// Header names are kept in lower case, so that another spelling is not another rule.
fn key_part(text: &str) -> Option<KeyPart> {
    match text {
        "ip" => return Some(KeyPart::Ip),
        "path" => return Some(KeyPart::Path),
        "host" => return Some(KeyPart::Host),
        _ => {}
    }
    let (kind, name) = text.split_once(':')?;
    match kind {
        "header" if is_token(name) => Some(KeyPart::Header(name.to_ascii_lowercase())),
        "cookie" if is_token(name) => Some(KeyPart::Cookie(name.to_owned())),
        "jwt" if is_claim(name) => Some(KeyPart::JwtClaim(name.to_owned())),
        _ => None,
    }
}

/// Claim names are often URIs, as in `https://example.com/tenant`.
fn is_claim(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:".contains(&b);
    !name.is_empty() && name.len() <= super::MAX_NAME && name.bytes().all(allowed)
}

/// Which rules refuse and which only count.
pub struct ModeList;

impl Kind for ModeList {
    type Value = Modes;
    const FORM: &'static str = "`enforce` or `observe`, and after it or instead of it `RULE=MODE` for `rate`, \
                                `connections`, `body`, `addresses`, `methods` and `paths`, separated by commas";

    fn read(value: &mut Modes, text: &str) -> Result<Note, Invalid> {
        let mut modes = Modes::default();
        let mut seen: Vec<&str> = Vec::new();
        for (index, part) in text.split(',').map(str::trim).enumerate() {
            let unknown = || Invalid::Part(shown(part));
            let Some((rule, word)) = part.split_once('=') else {
                let plain = mode(part).filter(|_| index == 0).ok_or_else(unknown)?;
                modes = Modes { rate: plain, connections: plain, body: plain, ..modes };
                continue;
            };
            if seen.contains(&rule) {
                return Err(Invalid::Twice(shown(rule)));
            }
            let (_, field) =
                rules(&mut modes).into_iter().find(|(name, _)| *name == rule).ok_or_else(unknown)?;
            *field = mode(word).ok_or_else(unknown)?;
            seen.push(rule);
        }
        *value = modes;
        Ok(None)
    }

    fn print(value: &Modes) -> Option<String> {
        let alike = value.rate == value.connections && value.rate == value.body;
        let plain = if alike { value.rate } else { Mode::Enforce };
        let mut base = Modes { rate: plain, connections: plain, body: plain, ..Modes::default() };
        let mut modes = *value;
        let apart =
            rules(&mut base).into_iter().zip(rules(&mut modes)).filter(|(base, rule)| base.1 != rule.1);
        let apart = apart.map(|(_, (name, mode))| format!("{name}={}", mode.as_str()));
        join(std::iter::once(plain.as_str().to_owned()).chain(apart), ",")
    }
}

/// When responses tell about limits.
pub struct HeadersWhen;

impl Kind for HeadersWhen {
    type Value = LimitHeaders;
    const FORM: &'static str = "`refused`, `always` or `never`";

    fn read(value: &mut LimitHeaders, text: &str) -> Result<Note, Invalid> {
        *value = match text {
            "refused" => LimitHeaders::Refused,
            "always" => LimitHeaders::Always,
            "never" => LimitHeaders::Never,
            _ => return Err(Invalid::Form),
        };
        Ok(None)
    }

    fn print(value: &LimitHeaders) -> Option<String> {
        let word = match value {
            LimitHeaders::Refused => "refused",
            LimitHeaders::Always => "always",
            LimitHeaders::Never => "never",
        };
        Some(word.to_owned())
    }
}

fn mode(word: &str) -> Option<Mode> {
    [Mode::Enforce, Mode::Observe].into_iter().find(|mode| mode.as_str() == word)
}

/// The rules that have a mode, as `limit-mode` names them.
fn rules(modes: &mut Modes) -> [(&'static str, &mut Mode); 6] {
    [
        ("rate", &mut modes.rate),
        ("connections", &mut modes.connections),
        ("body", &mut modes.body),
        ("addresses", &mut modes.addresses),
        ("methods", &mut modes.methods),
        ("paths", &mut modes.paths),
    ]
}

/// The parts with `between` between them; `None` without parts.
pub(super) fn join(parts: impl Iterator<Item = String>, between: &str) -> Option<String> {
    parts.reduce(|joined, part| joined + between + &part)
}

/// Most parts of a key.
pub const MAX_KEY_PARTS: usize = 4;
