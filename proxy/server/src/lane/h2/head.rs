//! The one judge of HTTP/2 request heads, as [`strict`](crate::lane::pingora::strict) is that of HTTP/1.1: whatever
//! passes here has one host, one target and one length, and can be said in HTTP/1.1 in one way.
//!
//! The `h2` library has read the frames and refused what RFC 9113 section 8.2 calls malformed: upper-case names,
//! pseudo-header fields that are repeated, unknown or late, and fields of one connection. What it lets pass although
//! origins could read it differently is refused here.

use crate::lane::grammar::{self, Malformed, check_method, check_target, decimal, is_host};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use weir_core::facts::Headers;
use weir_core::policy::HeadBounds;

/// A request head with exactly one reading.
#[derive(Debug)]
pub(super) struct Head<'p> {
    pub(super) method: &'p str,
    pub(super) host: &'p [u8],
    pub(super) path: &'p [u8],
    pub(super) query: &'p [u8],
    /// Path and query as sent.
    pub(super) target: &'p [u8],
    pub(super) content_length: Option<u64>,
    pub(super) expects_continue: bool,
    /// Bytes of the head, as many as HTTP/1.1 would have needed.
    pub(super) len: usize,
    pub(super) fields: Fields<'p>,
}

/// Header fields as they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'p>(&'p HeaderMap);

impl<'p> Fields<'p> {
    /// All fields, also of a head that has no reading.
    pub(super) fn of(parts: &'p Parts) -> Self {
        Self(&parts.headers)
    }

    /// Names and values, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'p HeaderName, &'p HeaderValue)> + use<'p> {
        self.0.iter()
    }

    /// Whether there is a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl Headers for Fields<'_> {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }
}

/// Checks how large a head is, as HTTP/1.1 would say it.
///
/// # Errors
/// By what is too much.
pub(super) fn check(parts: &Parts, bounds: HeadBounds) -> Result<(), Malformed> {
    let most = bounds.max_line_bytes();
    if line_len(parts).saturating_add("\r\n".len()) > most {
        return Err(Malformed::RequestLine);
    }
    if parts.headers.len() > bounds.max_fields() {
        return Err(Malformed::FieldCount);
    }
    let field =
        |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ": \r\n".len();
    if parts.headers.iter().any(|line| field(line) > most) {
        return Err(Malformed::FieldLine);
    }
    if len(parts) > bounds.max_bytes() { Err(Malformed::HeadLength) } else { Ok(()) }
}

/// Reads a head; `ended` says that there is no body.
///
/// # Errors
/// When the head has no single reading, or asks for what no lane serves.
pub(super) fn read(parts: &Parts, ended: bool) -> Result<Head<'_>, Malformed> {
    let fields = &parts.headers;
    check_method(parts.method.as_str())?;
    // RFC 9113 section 8.2.1; an HTTP/1.1 parser would drop the blanks.
    if fields.values().any(|value| value.as_bytes().trim_ascii().len() != value.len()) {
        return Err(Malformed::Syntax);
    }
    if ONE_HOP.iter().any(|name| fields.contains_key(*name))
        || fields.get_all(header::TE).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"trailers"))
    {
        return Err(Malformed::Connection);
    }
    let target = target(parts)?;
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..).unwrap_or_default()),
        None => (target, &b""[..]),
    };
    Ok(Head {
        method: parts.method.as_str(),
        host: host(parts)?,
        path,
        query,
        target,
        content_length: content_length(fields, ended)?,
        expects_continue: grammar::expects_continue(
            fields.get_all(header::EXPECT).iter().map(HeaderValue::as_bytes),
        )?,
        len: len(parts),
        fields: Fields::of(parts),
    })
}

fn target(parts: &Parts) -> Result<&[u8], Malformed> {
    // Without an authority the library has looked at the scheme and dropped it.
    if !matches!(parts.uri.scheme_str(), None | Some("http" | "https")) {
        return Err(Malformed::Target);
    }
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str()).as_bytes();
    check_target(parts.method.as_str(), target).map(|()| target)
}

/// RFC 9113 section 8.3.1: `:authority`, or `Host` where there is none; two that differ are two readings.
fn host(parts: &Parts) -> Result<&[u8], Malformed> {
    let mut hosts = parts.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let named = match (authority, hosts.next(), hosts.next()) {
        (Some(authority), None, _) => authority,
        (Some(authority), Some(host), None) if host.eq_ignore_ascii_case(authority) => authority,
        (None, Some(host), None) => host,
        _ => return Err(Malformed::Host),
    };
    is_host(named).then_some(named).ok_or(Malformed::Host)
}

fn content_length(fields: &HeaderMap, ended: bool) -> Result<Option<u64>, Malformed> {
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(ended.then_some(0)),
        (Some(length), None) => match decimal(length.as_bytes()) {
            Some(length) if !ended || length == 0 => Ok(Some(length)),
            _ => Err(Malformed::ContentLength),
        },
        _ => Err(Malformed::ContentLength),
    }
}

pub(super) fn len(parts: &Parts) -> usize {
    let host = parts.uri.authority().map_or(0, |authority| "host: \r\n".len() + authority.as_str().len());
    let fields: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    line_len(parts) + "\r\n\r\n".len() + host + fields
}

/// Bytes of the request line without its end.
fn line_len(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    parts.method.as_str().len() + target + "  HTTP/2.0".len()
}

/// What goes on to an origin: one `Host`, one `Cookie` (RFC 9113 section 8.2.3), and `/` for the target, which
/// pingora's parser might not take (the plan has it).
pub(super) fn make_plain(parts: &mut Parts, host: &[u8]) -> Option<()> {
    parts.headers.insert(header::HOST, HeaderValue::from_bytes(host).ok()?);
    if parts.headers.get_all(header::COOKIE).iter().nth(1).is_some() {
        let crumbs: Vec<&[u8]> =
            parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        let cookie = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).ok()?;
        parts.headers.insert(header::COOKIE, cookie);
    }
    parts.uri = http::Uri::from_static("/");
    Some(())
}

/// Fields that HTTP/2 does not have (RFC 9113 section 8.2.2).
const ONE_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings"];

#[cfg(test)]
mod tests;
