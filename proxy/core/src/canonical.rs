//! Host and path in the one form that is compared and counted.
//!
//! Whatever cannot be brought into it is refused with 400, so that no two parties can read one request in two ways.
//! Both functions are idempotent, and neither allocates for what is canonical already.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Brings the value of `Host` or `:authority` into canonical form: lower case, without port and without the dot at the
/// end; an IPv6 address in brackets and in the form of RFC 5952. An empty host stays empty.
///
/// # Errors
///
/// See [`HostError`].
pub fn host(raw: &[u8]) -> Result<Cow<'_, str>, HostError> {
    if raw.first() == Some(&b'[') {
        return ipv6(raw).map(Cow::Owned);
    }
    let name = match raw.iter().position(|&byte| byte == b':') {
        None => raw,
        Some(colon) => {
            let (name, port) = raw.split_at(colon);
            check_port(port)?;
            name
        }
    };
    let name = match name {
        [b'.'] => return Err(HostError::Label),
        [name @ .., b'.'] => name,
        name => name,
    };
    check_name(name)?;
    let name = std::str::from_utf8(name).map_err(|_| HostError::Character)?;
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(Cow::Owned(name.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(name))
}

/// Brings a path as sent (without the query) into canonical form.
///
/// - Percent-encodings of unreserved characters are decoded, once; all others stay, in upper case.
/// - Bytes that a URI may not hold raw (`"`, `<`, `|`, `é`, ...) are encoded.
/// - `//` becomes `/`, and dot segments are resolved, however they were encoded.
/// - An encoded slash stays encoded and separates no segments. A segment that would be a dot segment if it did separate
///   them (`..%2Fx`), or if its parameters were cut off (`..;x`), is refused: some origins read it so.
/// - An empty path is `/`.
///
/// The result holds printable ASCII only and begins with `/`.
///
/// # Errors
///
/// See [`PathError`].
pub fn path(raw: &[u8]) -> Result<Cow<'_, str>, PathError> {
    match raw.first() {
        None => return Ok(Cow::Borrowed("/")),
        Some(b'/') => {}
        Some(_) => return Err(PathError::NotAbsolute),
    }
    if is_canonical_path(raw) {
        // Canonical paths are ASCII, so this cannot fail; if it did, the path would be refused.
        return std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| PathError::Character);
    }
    let decoded = decode(raw)?;
    let resolved = resolve(&decoded)?;
    String::from_utf8(resolved).map(Cow::Owned).map_err(|_| PathError::Character)
}

/// The other reading of a path as sent that holds encoded slashes: in canonical form, with slashes in their place, as
/// origins have it that decode a path before they take it apart. `None` for a path with one reading.
///
/// # Errors
///
/// See [`PathError`].
pub fn path_with_slashes(raw: &[u8]) -> Option<Result<String, PathError>> {
    let is_slash = |three: &[u8]| matches!(three, [b'%', b'2', b'f' | b'F']);
    if !raw.contains(&b'%') || !raw.windows(3).any(is_slash) {
        return None;
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        let slash = rest.get(..3).is_some_and(is_slash);
        decoded.push(if slash { b'/' } else { *byte });
        rest = if slash { rest.get(3..).unwrap_or_default() } else { tail };
    }
    Some(path(&decoded).map(Cow::into_owned))
}

/// Whether [`path`] would return these very bytes.
pub fn is_canonical_path(raw: &[u8]) -> bool {
    if raw.first() != Some(&b'/') {
        return false;
    }
    // Most paths hold nothing that needs a second look.
    let mut before = 0;
    let mut suspicious = false;
    for &byte in raw {
        let class = class(byte);
        if !matches!(class, Class::Plain | Class::Slash | Class::Percent) {
            return false;
        }
        suspicious |= class == Class::Percent || (before == b'/' && matches!(byte, b'/' | b'.'));
        before = byte;
    }
    !suspicious || is_canonical_at_second_look(raw)
}

/// Why a host is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// A byte that no host may hold.
    #[error("a character that no host may hold")]
    Character,
    /// An empty label or one of more than 63 bytes.
    #[error("an empty label or one of more than 63 characters")]
    Label,
    /// More than 253 bytes.
    #[error("more than 253 characters")]
    TooLong,
    /// What follows the colon is no port.
    #[error("no port behind the colon")]
    Port,
    /// Brackets around what is no IPv6 address.
    #[error("no IPv6 address in the brackets")]
    Ipv6,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("does not begin with /")]
    NotAbsolute,
    /// A control character, a space, `\`, `#` or `?`, raw; or a control character or `\`, encoded.
    #[error("a character that no path may hold")]
    Character,
    /// `%` without two hexadecimal digits.
    #[error("a % without two hexadecimal digits")]
    Encoding,
    /// `..` leads above the root.
    #[error(".. above the root")]
    AboveRoot,
    /// A segment that only some would read as `..`: `..%2F` or `..;`.
    #[error("a segment that can be read as a dot segment")]
    AmbiguousDots,
}

fn ipv6(raw: &[u8]) -> Result<String, HostError> {
    let text = std::str::from_utf8(raw).map_err(|_| HostError::Character)?;
    let (address, port) =
        text.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or(HostError::Ipv6)?;
    if !port.is_empty() {
        check_port(port.as_bytes())?;
    }
    let address: Ipv6Addr = address.parse().map_err(|_| HostError::Ipv6)?;
    Ok(format!("[{address}]"))
}

/// A colon and a port number of at most five digits; RFC 3986 lets the number be missing.
fn check_port(port: &[u8]) -> Result<(), HostError> {
    let [b':', digits @ ..] = port else { return Err(HostError::Port) };
    if digits.len() > PORT_MAX {
        return Err(HostError::Port);
    }
    let mut number = 0_u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(HostError::Port);
        }
        number = number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
        if number > u32::from(u16::MAX) {
            return Err(HostError::Port);
        }
    }
    Ok(())
}

fn check_name(name: &[u8]) -> Result<(), HostError> {
    if name.len() > HOST_MAX {
        return Err(HostError::TooLong);
    }
    let mut label = 0;
    for &byte in name {
        match byte {
            b'.' if label == 0 => return Err(HostError::Label),
            b'.' => label = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            _ => return Err(HostError::Character),
        }
        if label > LABEL_MAX {
            return Err(HostError::Label);
        }
    }
    // The dot at the end is gone already, so a name that ends in one had two.
    if label == 0 && !name.is_empty() { Err(HostError::Label) } else { Ok(()) }
}

/// Encodings and dot segments of a path that holds no byte that is refused or must be encoded.
fn is_canonical_at_second_look(raw: &[u8]) -> bool {
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let lower = high.is_ascii_lowercase() || low.is_ascii_lowercase();
                let Some(byte) = unhex(*high, *low) else { return false };
                if lower || matches!(class_of_encoded(byte), Encoded::Decode | Encoded::Refuse) {
                    return false;
                }
                tail
            }
            (b'%', _) => return false,
            _ => tail,
        };
    }
    let mut segments = raw.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if (segment.is_empty() && !last) || matches!(segment, b"." | b"..") || is_ambiguous(segment) {
            return false;
        }
    }
    true
}

/// Decodes what is unreserved, encodes what must be, refuses what may not be there.
fn decode(raw: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut out = Vec::with_capacity(raw.len() + 16);
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match class(*byte) {
            Class::Plain | Class::Slash => out.push(*byte),
            Class::Encode => push_encoded(&mut out, *byte),
            Class::Refuse => return Err(PathError::Character),
            Class::Percent => {
                let [high, low, tail @ ..] = tail else { return Err(PathError::Encoding) };
                let byte = unhex(*high, *low).ok_or(PathError::Encoding)?;
                match class_of_encoded(byte) {
                    Encoded::Decode => out.push(byte),
                    Encoded::Keep => push_encoded(&mut out, byte),
                    Encoded::Refuse => return Err(PathError::Character),
                }
                rest = tail;
            }
        }
    }
    Ok(out)
}

/// Merges slashes, then resolves dot segments (RFC 3986 section 5.2.4, in nginx's order).
fn resolve(decoded: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut out = Vec::with_capacity(decoded.len());
    let mut ends_in_slash = true;
    for segment in decoded.split(|&byte| byte == b'/') {
        ends_in_slash = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = out.iter().rposition(|&byte| byte == b'/').ok_or(PathError::AboveRoot)?;
                out.truncate(parent);
            }
            _ if is_ambiguous(segment) => return Err(PathError::AmbiguousDots),
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    if ends_in_slash || out.is_empty() {
        out.push(b'/');
    }
    Ok(out)
}

/// Whether an origin that decodes slashes or cuts off parameters would find a dot segment in this one.
fn is_ambiguous(segment: &[u8]) -> bool {
    let mut rest = segment;
    loop {
        let end = rest.windows(3).position(|window| window == b"%2F");
        let piece = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let divided = end.is_some() || rest.len() < segment.len();
        let name = piece.split(|&byte| byte == b';').next().unwrap_or_default();
        if matches!(name, b"." | b"..") && (divided || name.len() < piece.len()) {
            return true;
        }
        match end.and_then(|end| rest.get(end + 3..)) {
            Some(tail) => rest = tail,
            None => return false,
        }
    }
}

/// What a raw byte of a path is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Stands for itself: `pchar` of RFC 3986 without percent-encodings.
    Plain,
    Slash,
    Percent,
    /// May stand there only encoded.
    Encode,
    Refuse,
}

/// What becomes of a percent-encoding.
enum Encoded {
    /// Unreserved: the same as the byte itself.
    Decode,
    Keep,
    Refuse,
}

const fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

const fn classify(byte: u8) -> Class {
    match byte {
        b'/' => Class::Slash,
        b'%' => Class::Percent,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Class::Plain,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => {
            Class::Plain
        }
        0..=b' ' | 0x7f | b'\\' | b'#' | b'?' => Class::Refuse,
        _ => Class::Encode,
    }
}

const fn class_of_encoded(byte: u8) -> Encoded {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Encoded::Decode,
        0..=0x1f | 0x7f | b'\\' => Encoded::Refuse,
        _ => Encoded::Keep,
    }
}

fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
}

fn unhex(high: u8, low: u8) -> Option<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(nibble(high)? << 4 | nibble(low)?)
}

/// One look-up a byte: this runs over every path.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Refuse; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = classify(byte as u8);
        byte += 1;
    }
    classes
};

/// Longest host name in text without the dot at the end (RFC 1035 section 2.3.4: 255 bytes on the wire).
const HOST_MAX: usize = 253;

/// Longest label (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;
/// Digits of a port.
const PORT_MAX: usize = 5;

#[cfg(test)]
mod tests;
