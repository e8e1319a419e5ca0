use std::mem::MaybeUninit;
use std::net::Ipv6Addr;

use weir_core::canonical::is_canonical_path;

use super::fields::{BareLineEnd, FieldKind, FieldLine, FieldLines, Values, decimal, kind_of, values};
use super::{CAP, Edits, Persistence, Span, Treat};

/// The most header fields of a request that the express lane takes.
pub const MAX_REQUEST_FIELDS: usize = 64;

/// What [`read_request`] makes of the bytes received so far.
#[derive(Clone, Copy, Debug)]
pub enum RequestReading {
    /// A whole head that the express lane may serve.
    Complete(RequestHead),
    /// Nothing wrong so far; ask again with more bytes.
    Partial,
    /// Not for the express lane. Nothing was changed: the other lane gets the same bytes and is the judge.
    Decline(Why),
}

/// The rule by which a request is left to the other lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    /// Not HTTP/1.1.
    Version,
    /// A method other than GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.
    Method,
    /// The target is not in origin-form, or has a byte outside 0x21 to 0x7e or one of `"`, `#`, `<`, `>`, `\`, backquote.
    Target,
    /// The path is not [canonical](is_canonical_path) as it stands, so the router would read another one.
    Path,
    /// No Host, more than one, or one that is not plainly a host with an optional port.
    Host,
    /// Not the grammar of a request head: names, values, line folding, blanks where none may be.
    Syntax,
    /// A line that does not end in CRLF, or something in front of the first line.
    LineEnd,
    /// More than [`MAX_REQUEST_FIELDS`] fields.
    FieldCount,
    /// The head does not fit [`CAP`] bytes.
    HeadSize,
    /// Head and body together do not fit [`CAP`] bytes.
    BodySize,
    /// A body of GET, HEAD, DELETE or OPTIONS, which some origins take for the next request.
    Content,
    /// More than one Content-Length, or one that is not 1 to 9 digits.
    ContentLength,
    /// A Transfer-Encoding.
    TransferEncoding,
    /// A Connection field that is not exactly `keep-alive` or `close`, or more than one.
    Connection,
    /// An Upgrade or HTTP2-Settings.
    Upgrade,
    /// An Expect.
    Expect,
    /// A TE.
    Te,
    /// A Trailer.
    Trailer,
    /// More than 24 fields of a [`FieldKind`].
    MarkedFields,
}

impl Why {
    /// Every reason there is.
    pub const ALL: [Self; 19] = [
        Self::Version,
        Self::Method,
        Self::Target,
        Self::Path,
        Self::Host,
        Self::Syntax,
        Self::LineEnd,
        Self::FieldCount,
        Self::HeadSize,
        Self::BodySize,
        Self::Content,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::Connection,
        Self::Upgrade,
        Self::Expect,
        Self::Te,
        Self::Trailer,
        Self::MarkedFields,
    ];

    /// A name that stays the same from release to release, for metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Method => "method",
            Self::Target => "target",
            Self::Path => "path",
            Self::Host => "host",
            Self::Syntax => "syntax",
            Self::LineEnd => "line-end",
            Self::FieldCount => "field-count",
            Self::HeadSize => "head-size",
            Self::BodySize => "body-size",
            Self::Content => "content",
            Self::ContentLength => "content-length",
            Self::TransferEncoding => "transfer-encoding",
            Self::Connection => "connection",
            Self::Upgrade => "upgrade",
            Self::Expect => "expect",
            Self::Te => "te",
            Self::Trailer => "trailer",
            Self::MarkedFields => "marked-fields",
        }
    }
}

/// A method that the express lane takes (RFC 9110, section 9.3; PATCH: RFC 5789).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
}

impl Method {
    /// The method of this name. Names are case-sensitive (RFC 9110, section 9.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => return None,
        })
    }

    /// The name as it stands in the request line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// May be sent again when the first attempt may or may not have been carried out (RFC 9110, section 9.2.2).
    pub const fn idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }

    /// Its content has a meaning (RFC 9110, section 9.3; PATCH: RFC 5789), so every origin reads it.
    pub(crate) const fn has_content(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }

    /// HEAD: its response has no body, whatever its fields say.
    pub const fn is_head(self) -> bool {
        matches!(self, Self::Head)
    }
}

/// A field that policy may want to cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// What it is.
    pub kind: FieldKind,
    /// The field line with its CRLF.
    pub line: Span,
}

/// A request head that the express lane takes: where things are in the bytes it was read from.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead {
    /// Bytes of the head, with the empty line that ends it.
    pub head: usize,
    /// Bytes of the body; 0 without a Content-Length. Head and body together are at most [`CAP`].
    pub content_length: usize,
    /// The method.
    pub method: Method,
    /// The whole target: path and query.
    pub target: Span,
    /// The path, from its `/` up to the query. [Canonical](is_canonical_path) as it stands.
    pub path: Span,
    /// The query without its `?`. Empty when there is none; `path` and `target` tell a bare `?` from none.
    pub query: Span,
    /// The Host value: a name, IPv4 address or bracketed IPv6 address, with an optional port. Case as sent.
    pub host: Span,
    /// Whether the client wants to send more requests on this connection.
    pub persistence: Persistence,
    /// Number of header fields.
    pub fields: usize,
    first_line: Span,
    marks: [Option<Mark>; MAX_MARKS], // the first so many are there
}

impl RequestHead {
    /// Bytes of head and body together, at most [`CAP`].
    pub fn total(&self) -> usize {
        self.head + self.content_length
    }

    /// The fields that policy may want to cut, in their order.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        self.marks.iter().map_while(|mark| *mark)
    }

    /// True if there is a field of this kind.
    pub fn has(&self, kind: FieldKind) -> bool {
        self.marks().any(|mark| mark.kind == kind)
    }

    /// The edits that cut the marked fields of the kinds for which `treat` says so.
    pub fn edits(&self, treat: impl Fn(FieldKind) -> Treat) -> Edits {
        let mut edits = Edits::new(self.first_line, self.head);
        for mark in self.marks().filter(|mark| treat(mark.kind) == Treat::Cut) {
            // Marks are lines of this head in their order, and fewer than edits can hold.
            let cut = edits.cut(mark.line);
            debug_assert_eq!(cut, Ok(()));
        }
        edits
    }

    /// The values of the fields called `name`, found by looking through the head again. `data` are the bytes
    /// that the head was read from, not edited since.
    pub fn values<'d, 'n>(&self, data: &'d [u8], name: &'n str) -> Values<'d, 'n> {
        values(data.get(..self.head).unwrap_or_default(), name)
    }
}

/// Reads the request head at the front of `data`.
///
/// Takes a head only if every rule of the express lane holds for it; see [`Why`] for the rules. Bytes behind the
/// head (the body, the next request) are not looked at.
pub fn read_request(data: &[u8]) -> RequestReading {
    match read(data) {
        Ok(Some(head)) => RequestReading::Complete(head),
        Ok(None) => RequestReading::Partial,
        Err(why) => RequestReading::Decline(why),
    }
}

fn read(data: &[u8]) -> Result<Option<RequestHead>, Why> {
    let full = data.len() >= CAP;
    let data = data.get(..CAP).unwrap_or(data);
    // The parser would skip empty lines here and tell nobody.
    if data.first().is_some_and(|&first| first <= b' ') {
        return Err(Why::LineEnd);
    }
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_REQUEST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let head = match parsed.parse_with_uninit_headers(data, &mut slots) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if full => return Err(Why::HeadSize),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Why::FieldCount),
        Err(httparse::Error::Version) => return Err(Why::Version),
        Err(_) => return Err(Why::Syntax),
    };
    let (Some(method), Some(target), Some(1)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Why::Version);
    };
    let method = Method::from_name(method).ok_or(Why::Method)?;
    let path_len = path_length(target.as_bytes())?;
    let lines = FieldLines::new(data, head, parsed.headers).ok_or(Why::LineEnd)?;
    let first_line = lines.first_line();
    let fields = Fields::read(data, lines)?;
    let content_length = fields.content_length.unwrap_or(0);
    if head + content_length > CAP {
        return Err(Why::BodySize);
    }
    if content_length > 0 && !method.has_content() {
        return Err(Why::Content);
    }
    let target = Span::locate(data, target.as_bytes()).ok_or(Why::Target)?;
    let (path, query) = target.split(path_len);
    Ok(Some(RequestHead {
        head,
        content_length,
        method,
        target,
        path,
        query: query.skip("?".len()),
        host: fields.host.ok_or(Why::Host)?,
        persistence: fields.persistence.unwrap_or(Persistence::KeepAlive),
        fields: parsed.headers.len(),
        first_line,
        marks: fields.marks,
    }))
}

/// What the fields of a head say, one field after the other.
struct Fields {
    host: Option<Span>,
    content_length: Option<usize>,
    persistence: Option<Persistence>,
    marked: usize,
    marks: [Option<Mark>; MAX_MARKS],
}

impl Fields {
    fn read(data: &[u8], lines: FieldLines<'_, '_>) -> Result<Self, Why> {
        let mut fields =
            Self { host: None, content_length: None, persistence: None, marked: 0, marks: [None; MAX_MARKS] };
        for line in lines {
            let line = line.map_err(|BareLineEnd| Why::LineEnd)?;
            fields.take(data, &line)?;
        }
        Ok(fields)
    }

    fn take(&mut self, data: &[u8], line: &FieldLine<'_>) -> Result<(), Why> {
        let (name, value) = (line.name, line.value);
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            2 if is("te") => return Err(Why::Te),
            4 if is("host") => {
                let plain = is_plain_host(value) && line.is_tidy(data);
                let value = Span::locate(data, value).filter(|_| plain).ok_or(Why::Host)?;
                return once(&mut self.host, value).ok_or(Why::Host);
            }
            6 if is("expect") => return Err(Why::Expect),
            7 if is("upgrade") => return Err(Why::Upgrade),
            7 if is("trailer") => return Err(Why::Trailer),
            10 if is("connection") => {
                let persistence = persistence(value).ok_or(Why::Connection)?;
                once(&mut self.persistence, persistence).ok_or(Why::Connection)?;
            }
            14 if is("content-length") => {
                let length =
                    content_length(value).filter(|_| line.is_tidy(data)).ok_or(Why::ContentLength)?;
                return once(&mut self.content_length, length).ok_or(Why::ContentLength);
            }
            14 if is("http2-settings") => return Err(Why::Upgrade),
            17 if is("transfer-encoding") => return Err(Why::TransferEncoding),
            _ => {}
        }
        if let Some(kind) = kind_of(name.as_bytes()) {
            *self.marks.get_mut(self.marked).ok_or(Why::MarkedFields)? = Some(Mark { kind, line: line.span });
            self.marked += 1;
        }
        Ok(())
    }
}

/// Fills an empty slot; `None` if it was filled before.
fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    match slot {
        Some(_) => None,
        None => {
            *slot = Some(value);
            Some(())
        }
    }
}

/// Checks a target in origin-form and returns the length of its path.
fn path_length(target: &[u8]) -> Result<usize, Why> {
    // Without an early exit, so that the compiler need not branch on every byte.
    let plain = target.iter().fold(true, |all, &byte| all & TARGET_BYTES[usize::from(byte)]);
    if target.first() != Some(&b'/') || !plain {
        return Err(Why::Target);
    }
    let path_len = memchr::memchr(b'?', target).unwrap_or(target.len());
    let path = target.get(..path_len).unwrap_or_default();
    if !is_canonical_path(path) {
        return Err(Why::Path);
    }
    Ok(path_len)
}

/// A host name, IPv4 address or bracketed IPv6 address, with an optional port; no empty label, no userinfo.
fn is_plain_host(value: &[u8]) -> bool {
    let (host_is_plain, port) = match value.strip_prefix(b"[") {
        Some(rest) => {
            let (address, port) = split_before(rest, b']');
            let address = std::str::from_utf8(address).unwrap_or_default();
            (address.parse::<Ipv6Addr>().is_ok(), port.strip_prefix(b"]"))
        }
        None => {
            let (name, port) = split_before(value, b':');
            (is_plain_name(name), Some(port))
        }
    };
    host_is_plain
        && port.is_some_and(|port| match port {
            [] => true,
            [b':', digits @ ..] => decimal(digits, 5).is_some_and(|port| port <= u64::from(u16::MAX)),
            _ => false,
        })
}

fn is_plain_name(name: &[u8]) -> bool {
    let is_label = |label: &[u8]| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=MAX_LABEL).contains(&label.len()) && label.iter().all(plain)
    };
    name.len() <= MAX_HOST_NAME && name.split(|&byte| byte == b'.').all(is_label)
}

/// `text` in front of the first `mark`, and from it on.
fn split_before(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let at = memchr::memchr(mark, text).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or_default()
}

fn content_length(value: &[u8]) -> Option<usize> {
    decimal(value, MAX_LENGTH_DIGITS)?.try_into().ok()
}

fn persistence(value: &[u8]) -> Option<Persistence> {
    if value.eq_ignore_ascii_case(b"keep-alive") {
        Some(Persistence::KeepAlive)
    } else if value.eq_ignore_ascii_case(b"close") {
        Some(Persistence::Close)
    } else {
        None
    }
}

/// The bytes of a target: visible ASCII without those that some parsers take for its end (`#`), for a slash (`\`)
/// or refuse.
const TARGET_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte as usize] = !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'`');
        byte += 1;
    }
    table
};

/// Marked fields of one head. Browsers behind two proxies send six or so.
const MAX_MARKS: usize = 24;

/// Octets of a DNS name in text form (RFC 1035, section 2.3.4).
const MAX_HOST_NAME: usize = 253;

/// Octets of one label (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// A body that needs ten digits is no body for this lane.
const MAX_LENGTH_DIGITS: usize = 9;
