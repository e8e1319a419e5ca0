//! Values that a scenario writes as text.

use ipnet::IpNet;
use serde::Deserialize;
use std::time::Duration;

/// A length of time, written `250ms`, `5s` or `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

/// A number of bytes, written `100B`, `16KiB` or `1MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

/// A share of a whole, written `2%`; 1 is the whole. May exceed it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub struct Share(pub f64);

/// A network of client addresses, written `127.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(pub IpNet);

/// A text, or a list of texts; never none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct Several(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Several {
    fn from(value: OneOrMore) -> Self {
        match value {
            OneOrMore::One(text) => Self(vec![text]),
            OneOrMore::More(texts) => Self(texts),
        }
    }
}

impl Several {
    /// Just this.
    pub fn one(text: &str) -> Self {
        Self(vec![text.to_owned()])
    }

    /// One of them, counted round and round.
    pub fn get(&self, number: usize) -> &str {
        self.0.get(number % self.0.len().max(1)).map_or("", String::as_str)
    }
}

/// A status, or a hundred of them by their first digit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum StatusOf {
    /// One.
    Code(u16),
    /// All that begin alike, written `2xx`.
    Hundred(String),
}

impl StatusOf {
    /// Whether a status is one of these.
    pub fn has(&self, status: u16) -> bool {
        match self {
            Self::Code(code) => *code == status,
            Self::Hundred(name) => name.strip_suffix("xx") == Some((status / 100).to_string().as_str()),
        }
    }
}

impl std::fmt::Display for StatusOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Hundred(name) => f.write_str(name),
        }
    }
}

/// A kind of text: how it is described, matched in the schema, and checked.
#[derive(Debug)]
pub struct Form {
    /// What is expected, for people.
    pub what: &'static str,
    /// Pattern in the schema. No narrower than `check`.
    pub pattern: &'static str,
    /// Whether a text is one.
    pub check: fn(&str) -> bool,
}

/// [`Span`].
pub static SPAN: Form = Form {
    what: "a length of time such as 250ms, 5s or 2m",
    pattern: "^[0-9]{1,9}(ms|s|m)$",
    check: |text| span(text).is_some(),
};
/// [`Size`].
pub static SIZE: Form = Form {
    what: "a size such as 100B, 16KiB or 1MiB, at most 1024MiB",
    pattern: "^[0-9]{1,10}(B|KiB|MiB)$",
    check: |text| size(text).is_some(),
};
/// [`Share`].
pub static SHARE: Form = Form {
    what: "a share such as 2% or 0.5%",
    pattern: "^[0-9]{1,6}(\\.[0-9]{1,6})?%$",
    check: |text| share(text).is_some(),
};
/// [`Network`].
pub static NETWORK: Form = Form {
    what: "a network such as 127.1.0.0/16 or 2001:db8::/64",
    pattern: "^[0-9a-fA-F.:]+/[0-9]{1,3}$",
    check: |text| text.parse::<IpNet>().is_ok(),
};
/// A name of a class or phase.
pub static NAME: Form = Form {
    what: "a name of lower-case letters, digits and hyphens, at most 40",
    pattern: "^[a-z0-9-]{1,40}$",
    check: |text| (1..=40).contains(&text.len()) && text.bytes().all(is_name_byte),
};
/// Text of one line.
pub static LINE: Form = Form {
    what: "a text of one line, at most 2000 bytes",
    pattern: "^[^\\r\\n]{1,2000}$",
    check: |text| (1..=2000).contains(&text.len()) && !text.contains(['\r', '\n']),
};
/// Any text.
pub static TEXT: Form = Form {
    what: "a text of at most 1 MiB",
    pattern: "^[\\s\\S]{0,1048576}$",
    check: |text| text.len() <= 1 << 20,
};
/// A token of RFC 9110 section 5.6.2.
pub static TOKEN: Form = Form {
    what: "a token of HTTP, at most 200 bytes",
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$",
    check: |text| (1..=200).contains(&text.len()) && text.bytes().all(is_token_byte),
};
/// A path with an optional query.
pub static PATH: Form = Form {
    what: "a path that begins with / and has no spaces, at most 2000 bytes",
    pattern: "^/[!-~]{0,1999}$",
    check: |text| {
        text.starts_with('/') && text.len() <= 2000 && text.bytes().all(|byte| byte.is_ascii_graphic())
    },
};
fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|_| digits <= 9)?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|_| digits <= 10)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.checked_mul(factor).filter(|bytes| *bytes <= 1 << 30)
}

fn share(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let long = number.split('.').any(|part| part.is_empty() || part.len() > 6);
    (plain && !long).then(|| number.parse::<f64>().ok()).flatten().map(|percent| percent / 100.0)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte)
}

impl TryFrom<String> for Span {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        span(&text).map(Self).ok_or(SPAN.what)
    }
}

impl TryFrom<String> for Size {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        size(&text).map(Self).ok_or(SIZE.what)
    }
}

impl TryFrom<String> for Share {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        share(&text).map(Self).ok_or(SHARE.what)
    }
}

impl TryFrom<String> for Network {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|_| NETWORK.what)
    }
}
