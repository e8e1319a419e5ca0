//! The one judge of request heads that the express lane leaves alone.
//!
//! Read before anything is keyed on a request and before pingora sees it, on the bytes as they came: pingora repairs
//! some malformed heads silently, and what two parsers read differently is how requests are smuggled. Whatever passes
//! here has one reading: one host, one target, one length.

pub use crate::lane::grammar::Malformed;
use crate::lane::grammar::{self, check_method, check_target, decimal, is_end_to_end, is_host};
use std::ops::Range;

/// A request head with exactly one reading. Borrows the bytes it was read from.
#[derive(Debug)]
pub struct Head<'d, 's> {
    /// Bytes of the head, with the empty line that ends it.
    pub len: usize,
    /// The method as sent; a token, and neither `TRACE` nor `CONNECT`.
    pub method: &'d str,
    /// The protocol version.
    pub version: Version,
    /// Path part of the target; `*` for `OPTIONS *`.
    pub path: &'d [u8],
    /// Query part of the target without its `?`; empty when there is none.
    pub query: &'d [u8],
    /// The authority asked for; empty when the client named none.
    pub host: &'d [u8],
    /// Where the target stands in the head, with scheme and authority if it is in absolute-form.
    pub target_span: Range<usize>,
    /// How the end of the body is found.
    pub body: BodyLength,
    /// Whether the client wants the connection to stay.
    pub persistent: bool,
    /// Whether the client waits for `100 Continue`.
    pub expects_continue: bool,
    /// Whether the client asks for another protocol and has no body to send first.
    pub upgrades: bool,
    /// The header fields in the order of arrival.
    pub fields: Fields<'d, 's>,
    sent: &'d [u8], // the target without scheme and authority
}

impl Head<'_, '_> {
    /// The target in origin-form (or `*`), byte for byte as sent.
    pub fn origin_form(&self) -> Vec<u8> {
        // Only in absolute-form the path may be missing (RFC 9112 sections 3.2.1 and 3.2.4).
        let root = if self.sent.starts_with(self.path) { &b""[..] } else { self.path };
        [root, self.sent].concat()
    }
}

/// Protocol version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How the end of a request body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes; 0 without a body.
    Known(u64),
    /// Chunked coding.
    Chunked,
}

/// Header fields as they came.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'d, 's>(&'s [httparse::Header<'d>]);

impl<'d> Fields<'d, '_> {
    /// Values of the fields called `name` (in any case of letters), in the order of arrival.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'d [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }
}

impl weir_core::facts::Headers for Fields<'_, '_> {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.values(name).for_each(visit);
    }
}

/// Reads the complete head at the front of `data`; `slots` is room for its fields, and there may be no more of them.
///
/// # Errors
/// When the head has no single reading, or asks for what no lane serves.
pub fn read<'d, 's>(
    data: &'d [u8],
    slots: &'s mut [httparse::Header<'d>],
) -> Result<Head<'d, 's>, Malformed> {
    // httparse skips empty lines and blanks here.
    if data.first().is_none_or(|&first| first <= b' ') {
        return Err(Malformed::Syntax);
    }
    let mut parsed = httparse::Request::new(slots);
    let len = match parsed.parse(data) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Err(Malformed::Syntax),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::FieldCount),
        Err(httparse::Error::Version) if names_another_version(data) => return Err(Malformed::Version),
        Err(_) => return Err(Malformed::Syntax),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Malformed::Syntax);
    };
    if !every_line_ends_in_crlf(data.get(..len).unwrap_or_default()) {
        return Err(Malformed::Syntax);
    }
    check_method(method)?;
    // The grammar has one blank here.
    let target_span = method.len() + 1..method.len() + 1 + target.len();
    if data.get(target_span.clone()) != Some(target.as_bytes()) {
        return Err(Malformed::Syntax);
    }
    let version = if version == 0 { Version::Http10 } else { Version::Http11 };
    let fields = Fields(parsed.headers);
    let body = body_length(version, &fields)?;
    let options = Options::read(version, &fields)?;
    let (target, authority) = split_target(method, target.as_bytes())?;
    let host = host(version, &fields, authority)?;
    let (path, query) = split_query(target);
    Ok(Head {
        len,
        method,
        version,
        path: if path.is_empty() { root(method, query).as_bytes() } else { path },
        query,
        host,
        target_span,
        body,
        persistent: options.persistent,
        expects_continue: expects_continue(version, &fields)?,
        upgrades: options.upgrade
            && body == BodyLength::Known(0)
            && fields.values("upgrade").next().is_some(),
        fields,
        sent: target,
    })
}

/// Whether the request line ends in a version that is neither 1.0 nor 1.1.
fn names_another_version(data: &[u8]) -> bool {
    let line = data.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let last = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    match last.strip_prefix(b"HTTP/") {
        Some(b"1.0" | b"1.1") | None => false,
        Some(version) => {
            matches!(version, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
        }
    }
}

fn every_line_ends_in_crlf(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head)
        .all(|at| at.checked_sub(1).and_then(|before| head.get(before)) == Some(&b'\r'))
}

fn body_length(version: Version, fields: &Fields<'_, '_>) -> Result<BodyLength, Malformed> {
    let mut lengths = fields.values("content-length");
    let mut codings = fields.values("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(BodyLength::Known(0)),
        (Some(length), None) if lengths.next().is_none() => {
            decimal(length).map(BodyLength::Known).ok_or(Malformed::ContentLength)
        }
        (Some(_), None) => Err(Malformed::ContentLength),
        (None, Some(coding)) if version == Version::Http11 && codings.next().is_none() => chunked(coding),
        (_, Some(_)) => Err(Malformed::TransferEncoding),
    }
}

fn chunked(coding: &[u8]) -> Result<BodyLength, Malformed> {
    let last = coding.rsplit(|&byte| byte == b',').next().unwrap_or_default();
    if coding.eq_ignore_ascii_case(b"chunked") {
        Ok(BodyLength::Chunked)
    } else if last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
        Err(Malformed::TransferCoding)
    } else {
        Err(Malformed::TransferEncoding)
    }
}

/// What `Connection` says.
struct Options {
    persistent: bool,
    upgrade: bool,
}

impl Options {
    fn read(version: Version, fields: &Fields<'_, '_>) -> Result<Self, Malformed> {
        let (mut close, mut keep_alive, mut upgrade) = (false, false, false);
        let options = fields.values("connection").flat_map(|value| value.split(|&byte| byte == b','));
        for (count, option) in options.map(<[u8]>::trim_ascii).filter(|option| !option.is_empty()).enumerate()
        {
            let is = |known: &str| option.eq_ignore_ascii_case(known.as_bytes());
            if count >= MAX_OPTIONS || !option.iter().all(is_token_byte) || is_end_to_end(option) {
                return Err(Malformed::Connection);
            }
            close |= is("close");
            keep_alive |= is("keep-alive");
            upgrade |= is("upgrade") && version == Version::Http11;
        }
        let persistent = !close && (version == Version::Http11 || keep_alive);
        Ok(Self { persistent, upgrade })
    }
}

fn expects_continue(version: Version, fields: &Fields<'_, '_>) -> Result<bool, Malformed> {
    // RFC 9110 section 10.1.1: ignored in HTTP/1.0.
    Ok(grammar::expects_continue(fields.values("expect"))? && version == Version::Http11)
}

/// The target without scheme and authority, and the authority if there was one.
fn split_target<'d>(method: &str, target: &'d [u8]) -> Result<(&'d [u8], Option<&'d [u8]>), Malformed> {
    if target.starts_with(b"/") || target == b"*" {
        return check_target(method, target).map(|()| (target, None));
    }
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    });
    let rest = rest.ok_or(Malformed::Target)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).ok_or(Malformed::Target)?;
    if authority.is_empty() {
        return Err(Malformed::Target);
    }
    if target.starts_with(b"/") {
        check_target(method, target)?;
    } else if target.contains(&b'#') || std::str::from_utf8(target).is_err() {
        return Err(Malformed::Target);
    }
    Ok((target, Some(authority)))
}

/// What stands for an empty path (RFC 9112 sections 3.2.1 and 3.2.4).
fn root(method: &str, query: &[u8]) -> &'static str {
    if method == "OPTIONS" && query.is_empty() { "*" } else { "/" }
}

fn split_query(target: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'?', target) {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..).unwrap_or_default()),
        None => (target, b""),
    }
}

fn host<'d>(
    version: Version,
    fields: &Fields<'d, '_>,
    authority: Option<&'d [u8]>,
) -> Result<&'d [u8], Malformed> {
    let mut hosts = fields.values("host");
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host),
        (None, None) if version == Version::Http10 => None,
        _ => return Err(Malformed::Host),
    };
    let named = match (host, authority) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
            return Err(Malformed::Host);
        }
        (Some(host), _) => host,
        (None, Some(authority)) => authority,
        // Only HTTP/1.0 comes here.
        (None, None) => return Ok(b""),
    };
    is_host(named).then_some(named).ok_or(Malformed::Host)
}

/// A byte of a token, such as a connection option (RFC 9110 section 5.6.2).
fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Options of all `Connection` fields. Pingora refuses ten; nobody sends more than three.
const MAX_OPTIONS: usize = 8;

#[cfg(test)]
mod tests;
