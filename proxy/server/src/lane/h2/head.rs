//! The one judge of HTTP/2 request heads, as [`strict`](crate::lane::pingora::strict) is that of HTTP/1.1: whatever
//! passes here has one host, one target and one length, and can be said in HTTP/1.1 in one way.
//!
//! Where frames are read, what RFC 9113 section 8.2 calls malformed was refused already: upper-case names,
//! pseudo-header fields that are repeated, unknown or late, and fields of one connection. What passes there although
//! origins could read it differently is refused here.

use crate::lane::grammar::{self, Malformed, check_method, check_target, decimal, is_host};
use http::{HeaderName, HeaderValue, Method, Request, Version, header};
use pingora_http::RequestHeader;
use weir_core::facts::Headers;
use weir_core::policy::HeadBounds;
use weir_http2::Head as Sent;

/// A request head with exactly one reading.
#[derive(Debug)]
pub(super) struct Head<'h> {
    pub(super) method: &'h str,
    pub(super) host: &'h [u8],
    pub(super) path: &'h [u8],
    pub(super) query: &'h [u8],
    /// Path and query as sent.
    pub(super) target: &'h [u8],
    pub(super) content_length: Option<u64>,
    pub(super) expects_continue: bool,
    /// Bytes of the head, as many as HTTP/1.1 would have needed.
    pub(super) len: usize,
    pub(super) fields: Fields<'h>,
}

/// Header fields as they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'h>(&'h Sent);

impl<'h> Fields<'h> {
    /// All fields, also of a head that has no reading.
    pub(super) fn of(sent: &'h Sent) -> Self {
        Self(sent)
    }

    /// Names and values, in their order. Names are in lower case.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'h [u8], &'h [u8])> + use<'h> {
        self.0.fields()
    }

    /// Whether there is a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }
}

impl Headers for Fields<'_> {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        let called = self.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        called.for_each(|(_, value)| visit(value));
    }
}

/// Checks how large a head is, as HTTP/1.1 would say it.
///
/// # Errors
/// By what is too much.
pub(super) fn check(sent: &Sent, bounds: HeadBounds) -> Result<(), Malformed> {
    let most = bounds.max_line_bytes();
    if line_len(sent).saturating_add("\r\n".len()) > most {
        return Err(Malformed::RequestLine);
    }
    if sent.fields().count() > bounds.max_fields() {
        return Err(Malformed::FieldCount);
    }
    if sent.fields().any(|field| field_len(field) > most) {
        return Err(Malformed::FieldLine);
    }
    // What was cut off was more than the client had been told.
    if sent.is_cut() || len(sent) > bounds.max_bytes() { Err(Malformed::HeadLength) } else { Ok(()) }
}

/// Reads a head; `ended` says that there is no body.
///
/// # Errors
/// When the head has no single reading, or asks for what no lane serves.
pub(super) fn read(sent: &Sent, ended: bool) -> Result<Head<'_>, Malformed> {
    let method = std::str::from_utf8(sent.method()).map_err(|_| Malformed::MethodName)?;
    check_method(method)?;
    let (mut hosts, mut lengths, mut expectations) =
        (Values::default(), Values::default(), Values::default());
    for (name, value) in sent.fields() {
        // RFC 9113 section 8.2.1; an HTTP/1.1 parser would drop the blanks.
        if value.trim_ascii().len() != value.len() {
            return Err(Malformed::Syntax);
        }
        match name {
            b"host" => hosts.add(value),
            b"content-length" => lengths.add(value),
            b"expect" => expectations.add(value),
            b"te" if !value.eq_ignore_ascii_case(b"trailers") => return Err(Malformed::Connection),
            _ if ONE_HOP.contains(&name) => return Err(Malformed::Connection),
            _ => {}
        }
    }
    let target = target(sent, method)?;
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..).unwrap_or_default()),
        None => (target, &b""[..]),
    };
    Ok(Head {
        method,
        host: host(sent.authority(), hosts)?,
        path,
        query,
        target,
        content_length: content_length(lengths, ended)?,
        expects_continue: grammar::expects_continue(expectations.iter())?,
        len: len(sent),
        fields: Fields::of(sent),
    })
}

/// The values of the fields of one name: as many as it takes to see that there are too many.
#[derive(Clone, Copy, Default)]
struct Values<'h>([Option<&'h [u8]>; 2]);

impl<'h> Values<'h> {
    fn add(&mut self, value: &'h [u8]) {
        if let Some(place) = self.0.iter_mut().find(|place| place.is_none()) {
            *place = Some(value);
        }
    }

    fn iter(self) -> impl Iterator<Item = &'h [u8]> {
        self.0.into_iter().flatten()
    }
}

fn target<'h>(sent: &'h Sent, method: &str) -> Result<&'h [u8], Malformed> {
    let is_served =
        |scheme: &[u8]| scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    if !sent.scheme().is_none_or(is_served) {
        return Err(Malformed::Target);
    }
    let target = sent.path().unwrap_or_default();
    check_target(method, target).map(|()| target)
}

/// RFC 9113 section 8.3.1: `:authority`, or `Host` where there is none; two that differ are two readings.
fn host<'h>(authority: Option<&'h [u8]>, hosts: Values<'h>) -> Result<&'h [u8], Malformed> {
    let named = match (authority, hosts.0) {
        (Some(authority), [None, _]) => authority,
        (Some(authority), [Some(host), None]) if host.eq_ignore_ascii_case(authority) => authority,
        (None, [Some(host), None]) => host,
        _ => return Err(Malformed::Host),
    };
    is_host(named).then_some(named).ok_or(Malformed::Host)
}

fn content_length(lengths: Values<'_>, ended: bool) -> Result<Option<u64>, Malformed> {
    match lengths.0 {
        [None, _] => Ok(ended.then_some(0)),
        [Some(length), None] => match decimal(length) {
            Some(length) if !ended || length == 0 => Ok(Some(length)),
            _ => Err(Malformed::ContentLength),
        },
        _ => Err(Malformed::ContentLength),
    }
}

/// Bytes of a head, as many as HTTP/1.1 would have needed.
pub(super) fn len(sent: &Sent) -> usize {
    let host = sent.authority().map_or(0, |authority| "host: \r\n".len() + authority.len());
    line_len(sent) + "\r\n\r\n".len() + host + sent.fields().map(field_len).sum::<usize>()
}

/// Bytes of the request line without its end.
fn line_len(sent: &Sent) -> usize {
    sent.method().len() + sent.path().unwrap_or_default().len() + "  HTTP/2.0".len()
}

fn field_len((name, value): (&[u8], &[u8])) -> usize {
    name.len() + value.len() + ": \r\n".len()
}

/// The head as pingora has it: one `Host`, one `Cookie` (RFC 9113 section 8.2.3), and `/` for the target, which its
/// parser might not take (the plan has it). `None` where it has no way to say it.
pub(super) fn plain(head: &Head<'_>) -> Option<RequestHeader> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(head.method.as_bytes()).ok()?;
    parts.version = Version::HTTP_2;
    let fields = &mut parts.headers;
    fields.try_insert(header::HOST, HeaderValue::from_bytes(head.host).ok()?).ok()?;
    let mut crumbs = Vec::new();
    for (name, value) in head.fields.iter() {
        match name {
            b"host" => {}
            b"cookie" => crumbs.push(value),
            _ => {
                let name = HeaderName::from_bytes(name).ok()?;
                fields.try_append(name, HeaderValue::from_bytes(value).ok()?).ok()?;
            }
        }
    }
    if !crumbs.is_empty() {
        let cookie = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).ok()?;
        fields.try_insert(header::COOKIE, cookie).ok()?;
    }
    Some(parts.into())
}

/// Fields that HTTP/2 does not have (RFC 9113 section 8.2.2).
const ONE_HOP: [&[u8]; 6] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"http2-settings"];

#[cfg(test)]
mod tests;
