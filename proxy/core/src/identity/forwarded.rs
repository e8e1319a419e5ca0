//! The grammar of `Forwarded` (RFC 7239), read from right to left.
//!
//! The right end of a field was written by the proxy that is nearest to us, and what is left of it by those before, in
//! the end by anybody. So elements are cut off at the right, where no quotation mark that a client has left open can
//! reach: read from the left, `for="` in front would swallow what trusted proxies append.
//!
//! Two things are read that the grammar has not, since many proxies write them and they have one meaning: `:`, `[` and
//! `]` in values without quotation marks, and blanks around `;`.

use super::{Lines, Step, backwards};
use crate::facts::Headers;
use std::net::IpAddr;

/// What one proxy said of the request that it got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Element<'a> {
    /// As it was sent, without the blanks around it: printable ASCII and tabs.
    pub text: &'a [u8],
    /// The address in `for`, without its port; `None` for `unknown`, for names made up to hide it (`_x`), for what is
    /// no address, and where there is no `for`. IPv4-mapped IPv6 is IPv4 here.
    pub address: Option<IpAddr>,
    /// Value of `host`: the `Host` field that it got.
    pub host: Option<Value<'a>>,
    /// Value of `proto`: the scheme that it was asked with.
    pub proto: Option<Value<'a>>,
}

/// A value of a parameter, with or without quotation marks.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// What stands between the quotation marks.
    inner: &'a [u8],
}

impl Value<'_> {
    /// What it means: a backslash stands for the byte behind it.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        let mut rest = self.inner.iter();
        // A value was checked when it was read: there is a byte behind each backslash.
        std::iter::from_fn(move || match rest.next() {
            Some(b'\\') => rest.next().copied(),
            byte => byte.copied(),
        })
    }

    /// What it means, in `room`; `None` if that is too small.
    pub fn copy<'r>(&self, room: &'r mut [u8]) -> Option<&'r [u8]> {
        let mut len = 0_usize;
        for byte in self.bytes() {
            *room.get_mut(len)? = byte;
            len = len.saturating_add(1);
        }
        room.get(..len)
    }
}

/// An element, or something near it, does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no element of Forwarded")]
pub struct Malformed;

/// The elements of one field value from right to left, the empty ones left out. After a [`Malformed`] there is nothing:
/// where what is left of it begins, nobody knows.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: Option<&'a [u8]>,
    /// Elements that may still be looked at, empty ones included.
    left: usize,
}

impl<'a> Elements<'a> {
    /// The last `most` elements of `value`, empty ones included.
    pub fn new(value: &'a [u8], most: usize) -> Self {
        Self { rest: Some(value), left: most }
    }

    /// How many of those asked for were not looked at.
    pub fn left(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let value = self.rest.take()?;
            self.left = self.left.checked_sub(1)?;
            let Some(start) = start_of_last(value) else { return Some(Err(Malformed)) };
            let text = trim(value.get(start..).unwrap_or_default());
            if !text.is_empty() {
                let element = element(text);
                self.rest = before_comma(value, start).filter(|_| element.is_some());
                return Some(element.ok_or(Malformed));
            }
            self.rest = before_comma(value, start);
        }
    }
}

/// The elements of all fields `Forwarded` from right to left, until `visit` says that it is enough, one is malformed, or
/// `most` were looked at.
pub fn visit(headers: &dyn Headers, most: usize, visit: &mut dyn FnMut(&Element<'_>) -> Step) {
    let mut left = most;
    backwards(headers, NAME, Lines::All, &mut |value| {
        let mut elements = Elements::new(value, left);
        for element in elements.by_ref() {
            match element {
                Ok(element) if visit(&element) == Step::Continue => {}
                _ => return Step::Stop,
            }
        }
        left = elements.left();
        if left == 0 { Step::Stop } else { Step::Continue }
    });
}

/// The value in front of the comma in front of `start`; `None` if the value begins there.
fn before_comma(value: &[u8], start: usize) -> Option<&[u8]> {
    value.get(..start.checked_sub(1)?)
}

/// Where the last element begins: behind the last comma that is not between quotation marks. `None` if those do not
/// come in pairs.
fn start_of_last(value: &[u8]) -> Option<usize> {
    let mut end = value.len();
    loop {
        let outside = value.get(..end)?;
        let Some(at) = outside.iter().rposition(|byte| b",\"".contains(byte)) else { return Some(0) };
        if value.get(at) == Some(&b',') {
            return at.checked_add(1);
        }
        end = opening(outside.get(..at)?)?;
    }
}

/// Where the quoted string opens whose closing mark stands behind `text`: at the last mark that no backslash escapes.
fn opening(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    loop {
        let at = text.get(..end)?.iter().rposition(|byte| *byte == b'"')?;
        let before = text.get(..at)?;
        let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(at);
        }
        end = at;
    }
}

/// `[ pair ] *( ";" [ pair ] )`, in which no name that we know stands twice.
fn element(text: &[u8]) -> Option<Element<'_>> {
    let mut element = Element { text, ..Element::default() };
    let (mut node, mut by) = (None, None);
    let mut rest = text;
    loop {
        rest = trim(rest);
        if let Some(behind) = rest.strip_prefix(b";") {
            rest = behind;
            continue;
        }
        if rest.is_empty() {
            break;
        }
        let (name, behind) = rest.split_at_checked(rest.iter().position(|byte| !is_token_byte(*byte))?)?;
        let (value, behind) = value(behind.strip_prefix(b"=").filter(|_| !name.is_empty())?)?;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            2 if is("by") => once(&mut by, value)?,
            3 if is("for") => once(&mut node, value)?,
            4 if is("host") => once(&mut element.host, value)?,
            5 if is("proto") => once(&mut element.proto, value)?,
            _ => {}
        }
        rest = trim(behind);
        if !rest.is_empty() && !rest.starts_with(b";") {
            return None;
        }
    }
    element.address = node.and_then(|node| address(node.copy(&mut [0; NODE_BYTES_MAX])?));
    Some(element)
}

/// The value at the beginning of `text`, and what is behind it.
fn value(text: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| !is_value_byte(*byte)).unwrap_or(text.len());
        let (inner, behind) = text.split_at_checked(end)?;
        return (!inner.is_empty()).then_some((Value { inner }, behind));
    };
    let mut at = 0_usize;
    loop {
        match quoted.get(at)? {
            b'"' => break,
            b'\\' if is_text_byte(*quoted.get(at.checked_add(1)?)?) => at = at.checked_add(2)?,
            byte if *byte != b'\\' && is_text_byte(*byte) => at = at.checked_add(1)?,
            _ => return None,
        }
    }
    Some((Value { inner: quoted.get(..at)? }, quoted.get(at.checked_add(1)?..)?))
}

fn once<'a>(slot: &mut Option<Value<'a>>, value: Value<'a>) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

/// The address of a node (RFC 7239 section 6): `192.0.2.43`, `192.0.2.43:47011`, `[2001:db8::17]`, or with a port that
/// is hidden, `[2001:db8::17]:_x`.
fn address(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node).ok()?;
    let (address, behind) = match node.strip_prefix('[') {
        Some(bracketed) => {
            let (address, behind) = bracketed.split_once(']')?;
            (IpAddr::V6(address.parse().ok()?), behind)
        }
        None => {
            let (address, behind) = node.split_at(node.find(':').unwrap_or(node.len()));
            (IpAddr::V4(address.parse().ok()?), behind)
        }
    };
    let named = match behind.strip_prefix(':') {
        Some(port) => is_port(port),
        None => behind.is_empty(),
    };
    named.then_some(address.to_canonical())
}

fn is_port(port: &str) -> bool {
    let hidden = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match port.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(hidden),
        None => (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Without the blanks around it (RFC 9110 section 5.6.3).
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value_byte(byte: u8) -> bool {
    is_token_byte(byte) || b":[]".contains(&byte)
}

/// What may stand between quotation marks (RFC 9110 section 5.6.4), without bytes beyond ASCII.
fn is_text_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

/// The field.
pub(super) const NAME: &str = "forwarded";

/// An address with brackets and a port has 47 bytes; that of a hidden port may be longer, and is not read then.
const NODE_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests;
