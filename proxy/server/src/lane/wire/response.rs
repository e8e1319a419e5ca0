use std::mem::MaybeUninit;

use super::fields::{BareLineEnd, FieldLine, FieldLines, Values, decimal, is_token_byte, values};
use super::{CAP, Edits, Method, Persistence, Treat};

/// The most header fields of a response that the express lane passes on.
pub const MAX_RESPONSE_FIELDS: usize = 128;

/// What [`read_response`] makes of the bytes received so far.
#[derive(Clone, Copy, Debug)]
pub enum ResponseReading {
    /// A whole head.
    Complete(ResponseHead),
    /// Nothing wrong so far; ask again with more bytes.
    Partial,
    /// Cannot be passed on safely: the client gets 502 and the origin connection is dropped.
    Bad(Fault),
}

/// What is wrong with a response head.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Fault {
    /// Not the grammar of a response head, or a folded line.
    #[error("malformed response head")]
    Syntax,
    /// A line that does not end in CRLF, or something in front of the status line.
    #[error("response line does not end in CRLF")]
    LineEnd,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("unsupported response version")]
    Version,
    /// A status below 100.
    #[error("invalid response status")]
    Status,
    /// 101, though no upgrade was asked for.
    #[error("101 without an upgrade")]
    Switching,
    /// More than [`MAX_RESPONSE_FIELDS`] fields.
    #[error("too many response fields")]
    FieldCount,
    /// The head does not fit [`CAP`] bytes.
    #[error("response head too large")]
    HeadSize,
    /// A Content-Length that is not 1 to 18 digits, or two that differ.
    #[error("invalid or contradicting Content-Length")]
    ContentLength,
    /// A coding other than exactly `chunked`, more than one, or any in HTTP/1.0.
    #[error("unsupported Transfer-Encoding")]
    TransferEncoding,
    /// Transfer-Encoding and Content-Length together.
    #[error("Transfer-Encoding together with Content-Length")]
    Ambiguous,
    /// A Connection field that is no list of tokens, names more than 16 fields or one that frames the message.
    #[error("invalid Connection field")]
    Connection,
    /// More than 32 separate ranges to cut.
    #[error("too many hop-by-hop fields")]
    HopByHop,
}

impl Fault {
    /// Every fault there is.
    pub const ALL: [Self; 12] = [
        Self::Syntax,
        Self::LineEnd,
        Self::Version,
        Self::Status,
        Self::Switching,
        Self::FieldCount,
        Self::HeadSize,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::Ambiguous,
        Self::Connection,
        Self::HopByHop,
    ];

    /// A name that stays the same from release to release, for metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::LineEnd => "line-end",
            Self::Version => "version",
            Self::Status => "status",
            Self::Switching => "switching-protocols",
            Self::FieldCount => "field-count",
            Self::HeadSize => "head-size",
            Self::ContentLength => "content-length",
            Self::TransferEncoding => "transfer-encoding",
            Self::Ambiguous => "ambiguous-length",
            Self::Connection => "connection",
            Self::HopByHop => "hop-by-hop",
        }
    }
}

/// How the end of a response body is found (RFC 9112, section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes follow.
    Length(u64),
    /// Chunks follow; [`Chunks`](super::Chunks) finds their end.
    Chunked,
    /// The body ends when the origin closes its connection.
    Close,
}

/// A response head that can be passed on.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead {
    /// Bytes of the head, with the empty line that ends it.
    pub head: usize,
    /// Status code, 100 to 999 without 101.
    pub status: u16,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the origin wants to go on using its connection. Always `Close` with [`Framing::Close`].
    pub persistence: Persistence,
    /// Number of header fields.
    pub fields: usize,
    edits: Edits,
}

impl ResponseHead {
    /// True for 1xx: this head is passed on and another one follows.
    pub fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// The edits that make the head fit for the client: what was meant for our hop is cut (`Connection` with
    /// what it names, `Keep-Alive`, `Proxy-Connection`, `TE`, `Upgrade`), so are repeated Content-Lengths and
    /// lengths that 1xx and 204 may not have, and the version becomes HTTP/1.1.
    ///
    /// A final head with [`Framing::Close`], or any after which the client connection closes, needs
    /// [`CONNECTION_CLOSE`] inserted.
    pub fn edits(&self) -> &Edits {
        &self.edits
    }

    /// The values of the fields called `name`, found by looking through the head again. `data` are the bytes
    /// that the head was read from, not edited since.
    pub fn values<'d, 'n>(&self, data: &'d [u8], name: &'n str) -> Values<'d, 'n> {
        values(data.get(..self.head).unwrap_or_default(), name)
    }
}

/// The field line that tells a peer not to expect another message on this connection.
pub const CONNECTION_CLOSE: &[u8] = b"Connection: close\r\n";

/// Reads the response head at the front of `data`, the answer to a request with method `asked`.
///
/// Bytes behind the head are not looked at.
pub fn read_response(data: &[u8], asked: Method) -> ResponseReading {
    read_response_without(data, asked, "")
}

/// As [`read_response`]; fields called `unwanted` are cut, for they are replaced by ours.
pub fn read_response_without(data: &[u8], asked: Method, unwanted: &str) -> ResponseReading {
    match read(data, asked, unwanted) {
        Ok(Some(head)) => ResponseReading::Complete(head),
        Ok(None) => ResponseReading::Partial,
        Err(fault) => ResponseReading::Bad(fault),
    }
}

fn read(data: &[u8], asked: Method, unwanted: &str) -> Result<Option<ResponseHead>, Fault> {
    let full = data.len() >= CAP;
    let data = data.get(..CAP).unwrap_or(data);
    // The parser would skip empty lines here and tell nobody.
    if data.first().is_some_and(|&first| first <= b' ') {
        return Err(Fault::LineEnd);
    }
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_RESPONSE_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let head = match parser.parse_response_with_uninit_headers(&mut parsed, data, &mut slots) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if full => return Err(Fault::HeadSize),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Fault::FieldCount),
        Err(httparse::Error::Version) => return Err(Fault::Version),
        Err(httparse::Error::Status) => return Err(Fault::Status),
        Err(_) => return Err(Fault::Syntax),
    };
    let version = match parsed.version {
        Some(1) => Version::Http11,
        Some(0) => Version::Http10,
        _ => return Err(Fault::Version),
    };
    let status = match parsed.code {
        Some(101) => return Err(Fault::Switching),
        Some(status @ 100..) => status,
        _ => return Err(Fault::Status),
    };
    let connection = Connection::read(parsed.headers)?;
    let lines = FieldLines::new(data, head, parsed.headers).ok_or(Fault::LineEnd)?;
    let first_line = lines.first_line();
    let mut fields = Fields {
        edits: Edits::new(first_line, head),
        // RFC 9110, section 8.6 and RFC 9112, section 6.1: an origin may not send them, so neither may we.
        lengths: if status < 200 || status == 204 { Treat::Cut } else { Treat::Keep },
        content_length: None,
        chunked: false,
    };
    for line in lines {
        fields.take(&line.map_err(|BareLineEnd| Fault::LineEnd)?, &connection, unwanted)?;
    }
    if version == Version::Http10 {
        fields.edits.send_as_http11();
    }
    let framing = fields.framing(version, status, asked)?;
    let closes = connection.close
        || framing == Framing::Close
        || (version == Version::Http10 && !connection.keep_alive);
    Ok(Some(ResponseHead {
        head,
        status,
        framing,
        persistence: if closes { Persistence::Close } else { Persistence::KeepAlive },
        fields: parsed.headers.len(),
        edits: fields.edits,
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// What the fields of a head say, one field after the other.
struct Fields {
    edits: Edits,
    lengths: Treat,
    content_length: Option<u64>,
    chunked: bool,
}

impl Fields {
    fn take(
        &mut self,
        line: &FieldLine<'_>,
        connection: &Connection<'_>,
        unwanted: &str,
    ) -> Result<(), Fault> {
        let is = |known: &str| line.name.eq_ignore_ascii_case(known);
        let treat = match line.name.len() {
            2 if is("te") => Treat::Cut,
            7 if is("upgrade") => Treat::Cut,
            10 if is("connection") || is("keep-alive") => Treat::Cut,
            14 if is("content-length") => self.take_content_length(line.value)?,
            16 if is("proxy-connection") => Treat::Cut,
            17 if is("transfer-encoding") => self.take_transfer_encoding(line.value)?,
            _ if connection.names(line.name) || is(unwanted) => Treat::Cut,
            _ => Treat::Keep,
        };
        match treat {
            Treat::Keep => Ok(()),
            Treat::Cut => self.edits.cut(line.span).map_err(|_| Fault::HopByHop),
        }
    }

    fn take_content_length(&mut self, value: &[u8]) -> Result<Treat, Fault> {
        let length = decimal(value, MAX_LENGTH_DIGITS).ok_or(Fault::ContentLength)?;
        match self.content_length.replace(length) {
            None => Ok(self.lengths),
            Some(same) if same == length => Ok(Treat::Cut),
            Some(_) => Err(Fault::ContentLength),
        }
    }

    fn take_transfer_encoding(&mut self, value: &[u8]) -> Result<Treat, Fault> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::TransferEncoding);
        }
        self.chunked = true;
        Ok(self.lengths)
    }

    fn framing(&self, version: Version, status: u16, asked: Method) -> Result<Framing, Fault> {
        if self.chunked && version == Version::Http10 {
            return Err(Fault::TransferEncoding);
        }
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(Fault::Ambiguous),
            _ if asked.is_head() || status < 200 || matches!(status, 204 | 304) => Ok(Framing::None),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::Close),
        }
    }
}

/// What all Connection fields of a head say together (RFC 9110, section 7.6.1).
struct Connection<'d> {
    close: bool,
    keep_alive: bool,
    count: usize,
    named: [&'d [u8]; MAX_NAMED],
}

impl<'d> Connection<'d> {
    fn read(fields: &[httparse::Header<'d>]) -> Result<Self, Fault> {
        let mut connection = Self { close: false, keep_alive: false, count: 0, named: [&[]; MAX_NAMED] };
        let is_connection = |name: &str| name.len() == 10 && name.eq_ignore_ascii_case("connection");
        for field in fields.iter().filter(|field| is_connection(field.name)) {
            for option in field.value.split(|&byte| byte == b',') {
                connection.take(option.trim_ascii())?;
            }
        }
        Ok(connection)
    }

    fn take(&mut self, option: &'d [u8]) -> Result<(), Fault> {
        let is = |known: &[u8]| option.eq_ignore_ascii_case(known);
        if is(b"close") {
            self.close = true;
        } else if is(b"keep-alive") {
            self.keep_alive = true;
        } else if is(b"content-length") || is(b"transfer-encoding") || !option.iter().all(is_token_byte) {
            return Err(Fault::Connection);
        } else if !option.is_empty() {
            *self.named.get_mut(self.count).ok_or(Fault::Connection)? = option;
            self.count += 1;
        }
        Ok(())
    }

    fn names(&self, field: &str) -> bool {
        self.named.iter().take(self.count).any(|named| named.eq_ignore_ascii_case(field.as_bytes()))
    }
}

/// Field names that the Connection fields of one head may name: each is compared with each field.
const MAX_NAMED: usize = 16;

/// The largest number of digits that cannot overflow 64 bits, with one to spare.
const MAX_LENGTH_DIGITS: usize = 18;
