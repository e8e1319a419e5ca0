use super::Span;
use weir_core::tls::CLIENT_HEADERS;

/// Why a request field may not simply pass from a client to an origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// Meant for this hop only (RFC 9110, section 7.6.1), or for a proxy: `Connection`, `Keep-Alive`, every
    /// `Proxy-*`, and `Proxy`, which CGI programs would take for a proxy setting ("httpoxy").
    HopByHop,
    /// Says who the client is or what it asked for, which we say ourselves: `Forwarded`, `X-Forwarded-For`,
    /// `-Host`, `-Port`, `-Proto`, `-Scheme`, `X-Real-IP`, `X-Scheme`, `X-Original-Forwarded-For` and `-Host`; and
    /// what TLS has shown: `ssl-client-verify`, `-cert`, `-subject-dn` and `-issuer-dn`. So does a name with `_` in
    /// which CGI and its kin would read one of these, one of the other kinds, or the framing of the body: whoever lets
    /// names with `_` pass lets no client say those.
    Forwarded,
    /// `X-Request-ID`: kept, replaced or added, as policy says.
    RequestId,
    /// A name with `_`, which many origins cannot tell from the same name with `-`.
    Underscore,
}

/// The kind of a request field by its name, in any case of letters; `None` for an ordinary field.
///
/// The one table for both lanes. Fields that the express lane never takes (`Transfer-Encoding`, `TE`,
/// `Upgrade`, ...) are not in it.
pub fn kind_of(name: &[u8]) -> Option<FieldKind> {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    // Few known names share a length, so most fields cost one comparison or none.
    let known = match name.len() {
        5 if is("proxy") => Some(FieldKind::HopByHop),
        8 if is("x-scheme") => Some(FieldKind::Forwarded),
        9 if is("x-real-ip") || is("forwarded") => Some(FieldKind::Forwarded),
        10 if is("connection") || is("keep-alive") => Some(FieldKind::HopByHop),
        12 if is("x-request-id") => Some(FieldKind::RequestId),
        15 if is("x-forwarded-for") => Some(FieldKind::Forwarded),
        16 if is("x-forwarded-host") || is("x-forwarded-port") => Some(FieldKind::Forwarded),
        17 if is("x-forwarded-proto") => Some(FieldKind::Forwarded),
        18 if is("x-forwarded-scheme") => Some(FieldKind::Forwarded),
        24 if is("x-original-forwarded-for") => Some(FieldKind::Forwarded),
        25 if is("x-original-forwarded-host") => Some(FieldKind::Forwarded),
        _ => None,
    };
    let known = known.or_else(|| is_client_tls(name).then_some(FieldKind::Forwarded));
    known.or_else(|| {
        if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"proxy-")) {
            Some(FieldKind::HopByHop)
        } else if memchr::memchr(b'_', name).is_some() {
            Some(if stands_for_another(name) { FieldKind::Forwarded } else { FieldKind::Underscore })
        } else {
            None
        }
    })
}

/// Whether a field is one of those that say what TLS has shown of the client.
fn is_client_tls(name: &[u8]) -> bool {
    // Nearly no other field begins so.
    name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"ssl"))
        && CLIENT_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a name with `_` is that of a field that has a kind, or that frames a body, if `-` is put for it.
fn stands_for_another(name: &[u8]) -> bool {
    let mut twin = [0; LONGEST_KNOWN];
    let Some(twin) = twin.get_mut(..name.len()) else { return false };
    for (to, byte) in twin.iter_mut().zip(name) {
        *to = if *byte == b'_' { b'-' } else { *byte };
    }
    FRAMING.iter().any(|framing| twin.eq_ignore_ascii_case(framing)) || kind_of(twin).is_some()
}

/// The values of the fields called `name` (in any case of letters) in a head, in their order and without
/// surrounding whitespace. A field that stands twice gives two values; lists are not split.
///
/// `head` must have been accepted by [`read_request`](super::read_request) or
/// [`read_response`](super::read_response) and not been edited since; of other bytes the answer has no meaning.
pub fn values<'h, 'n>(head: &'h [u8], name: &'n str) -> Values<'h, 'n> {
    // The first line is no field.
    Values { rest: line(head).map_or(&[][..], |(_, rest)| rest), name }
}

/// The iterator of [`values`].
#[derive(Clone, Debug)]
pub struct Values<'h, 'n> {
    rest: &'h [u8],
    name: &'n str,
}

impl<'h> Iterator for Values<'h, '_> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        loop {
            let (field, rest) = line(self.rest)?;
            self.rest = rest;
            if let Some((name, value)) = field.split_at_checked(self.name.len())
                && let Some(value) = value.strip_prefix(b":")
                && name.eq_ignore_ascii_case(self.name.as_bytes())
            {
                return Some(value.trim_ascii());
            }
        }
    }
}

/// The fields of a head in their order, names and values without surrounding whitespace. Of `head` the same must be true
/// as for [`values`], but it may have been edited.
pub fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = line(head).map_or(&[][..], |(_, rest)| rest);
    std::iter::from_fn(move || {
        let (field, behind) = line(rest)?;
        rest = behind;
        let colon = memchr::memchr(b':', field)?;
        Some((field.get(..colon)?, field.get(colon + 1..)?.trim_ascii()))
    })
}

/// The first line of `text` without its line end, and what is behind it.
fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = text.split_at_checked(memchr::memchr(b'\n', text)?.checked_add(1)?)?;
    Some((line.trim_ascii_end(), rest))
}

/// The field lines of a parsed head in their order, each checked to end in CRLF.
pub(super) struct FieldLines<'p, 'd> {
    data: &'d [u8],
    fields: &'p [httparse::Header<'d>],
    first_line: Span,
    next: usize, // where the next field line starts
    end: usize,  // where the empty line starts
}

/// One field of a head.
pub(super) struct FieldLine<'d> {
    pub(super) name: &'d str,
    /// Without surrounding whitespace.
    pub(super) value: &'d [u8],
    /// The line with its CRLF.
    pub(super) span: Span,
}

impl FieldLine<'_> {
    /// Whether nothing but at most one space stands around the value. nginx takes no number with a tab before it.
    pub(super) fn is_tidy(&self, data: &[u8]) -> bool {
        let line = self.span.of(data);
        match line.len().checked_sub(self.name.len() + self.value.len() + ":\r\n".len()) {
            Some(0) => true,
            Some(1) => line.get(self.name.len() + 1) == Some(&b' '),
            _ => false,
        }
    }
}

/// A line ends in LF without CR: some parsers take that for a line end and some do not.
#[derive(Debug)]
pub(super) struct BareLineEnd;

impl<'p, 'd> FieldLines<'p, 'd> {
    /// The lines of the head that takes the first `head` bytes of `data` and was parsed into `fields`. `None` if
    /// the first line or the empty line does not end in CRLF.
    pub(super) fn new(data: &'d [u8], head: usize, fields: &'p [httparse::Header<'d>]) -> Option<Self> {
        let end = head.checked_sub(2)?;
        let next = match fields.first() {
            Some(field) => Span::locate(data, field.name.as_bytes())?.start(),
            None => end,
        };
        if !ends_in_crlf(data, head) || !ends_in_crlf(data, next) {
            return None;
        }
        let first_line = Span::locate(data, data.get(..next)?)?;
        Some(Self { data, fields, first_line, next, end })
    }

    /// The first line with its CRLF.
    pub(super) fn first_line(&self) -> Span {
        self.first_line
    }
}

impl<'d> Iterator for FieldLines<'_, 'd> {
    type Item = Result<FieldLine<'d>, BareLineEnd>;

    fn next(&mut self) -> Option<Self::Item> {
        let (field, rest) = self.fields.split_first()?;
        let end = match rest.first() {
            Some(next) => Span::locate(self.data, next.name.as_bytes())?.start(),
            None => self.end,
        };
        let span = Span::locate(self.data, self.data.get(self.next..end)?)?;
        (self.fields, self.next) = (rest, end);
        if !ends_in_crlf(self.data, end) {
            return Some(Err(BareLineEnd));
        }
        Some(Ok(FieldLine { name: field.name, value: field.value, span }))
    }
}

/// Whether the first `end` bytes of `data` end in CRLF.
fn ends_in_crlf(data: &[u8], end: usize) -> bool {
    end.checked_sub(2).and_then(|start| data.get(start..end)) == Some(b"\r\n")
}

/// The number that 1 to `max` decimal digits (at most 18) mean; no sign, no blank, no list.
pub(super) fn decimal(digits: &[u8], max: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > max.min(18) {
        return None;
    }
    digits
        .iter()
        .try_fold(0u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// A byte of a token, such as a field name (RFC 9110, section 5.6.2).
pub(super) fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Bytes of the longest name that has a kind, and some more: a `proxy-` may have any name.
const LONGEST_KNOWN: usize = 64;
/// Fields that frame a body and have a name with `-`.
const FRAMING: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
