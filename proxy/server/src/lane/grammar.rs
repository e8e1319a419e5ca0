//! What holds for a request whatever version of HTTP it came by: its method, its host, its target, its length.
//!
//! Called by the judges of heads ([`strict`](super::pingora::strict) for HTTP/1) before anything is keyed on a request.
//! The express lane's wire code takes less than this and needs no judge. `docs/grammar.md` lists every rule with its
//! answer and its test.

use http::StatusCode;
use weir_core::canonical;

/// Why a head has no reading, or none that we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not the grammar of a request head, or a line that does not end in CRLF.
    #[error("the request head is not HTTP/1.1 grammar")]
    Syntax,
    /// A request line that is too long.
    #[error("the request line is too long")]
    RequestLine,
    /// A header field that is too long.
    #[error("a header field is too long")]
    FieldLine,
    /// A head that is too long as a whole.
    #[error("the request head is too long")]
    HeadLength,
    /// More header fields than are taken.
    #[error("too many header fields")]
    FieldCount,
    /// A protocol version other than 1.0 and 1.1.
    #[error("unsupported protocol version")]
    Version,
    /// `TRACE`, `TRACK` or `CONNECT`.
    #[error("the method is not served here")]
    Method,
    /// A method whose name is not made of upper-case letters, digits, `-` and `_`, or is very long.
    #[error("the method has no usual name")]
    MethodName,
    /// A target in no form that the method allows, or with bytes that no target has.
    #[error("the request target has no known form")]
    Target,
    /// No `Host`, more than one, one that names no host, or one that is not the target's authority.
    #[error("the Host field is missing, repeated, malformed or not that of the target")]
    Host,
    /// More than one `Content-Length`, or one that is not a number of 1 to 18 digits.
    #[error("the Content-Length field is repeated or no number")]
    ContentLength,
    /// `Transfer-Encoding` together with `Content-Length`, in HTTP/1.0, repeated, or without `chunked` at its end.
    #[error("the Transfer-Encoding field leaves the length of the body open")]
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    #[error("only the chunked transfer coding is served")]
    TransferCoding,
    /// `Connection` with malformed options, too many of them, or naming a field that is not its business.
    #[error("the Connection field is malformed")]
    Connection,
    /// An `Expect` other than one `100-continue`.
    #[error("the expectation cannot be met")]
    Expect,
}

impl Malformed {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Syntax,
        Self::RequestLine,
        Self::FieldLine,
        Self::HeadLength,
        Self::FieldCount,
        Self::Version,
        Self::Method,
        Self::MethodName,
        Self::Target,
        Self::Host,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::TransferCoding,
        Self::Connection,
        Self::Expect,
    ];

    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::RequestLine => "request-line",
            Self::FieldLine => "field-line",
            Self::HeadLength => "head-length",
            Self::FieldCount => "field-count",
            Self::Version => "version",
            Self::Method => "method",
            Self::MethodName => "method-name",
            Self::Target => "target",
            Self::Host => "host",
            Self::ContentLength => "content-length",
            Self::TransferEncoding => "transfer-encoding",
            Self::TransferCoding => "transfer-coding",
            Self::Connection => "connection",
            Self::Expect => "expect",
        }
    }

    /// The response status.
    pub fn status(self) -> StatusCode {
        match self {
            Self::RequestLine => StatusCode::URI_TOO_LONG,
            Self::FieldCount | Self::FieldLine | Self::HeadLength => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Expect => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Checks the name of a method. Methods are told apart by case (RFC 9110 section 9.1), but not by every origin: `get`
/// would be no GET to the rules and one to such an origin.
///
/// # Errors
/// [`Malformed::Method`] or [`Malformed::MethodName`].
pub fn check_method(name: &str) -> Result<(), Malformed> {
    if UNSERVED.iter().any(|unserved| name.eq_ignore_ascii_case(unserved)) {
        return Err(Malformed::Method);
    }
    let usual = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let starts = name.as_bytes().first().is_some_and(u8::is_ascii_uppercase);
    let legal = starts && name.len() <= MAX_METHOD && name.bytes().all(usual);
    legal.then_some(()).ok_or(Malformed::MethodName)
}

/// Whether origins may leave the body of such a request unread, because the method gives it no meaning (RFC 9110
/// section 9.3). What they take for the next request then must not come to be one.
pub fn may_ignore_content(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "DELETE" | "OPTIONS")
}

/// Whether `value` names a host: what the core can bring into canonical form, with an optional port. An empty value
/// names none.
pub fn is_host(value: &[u8]) -> bool {
    canonical::host(value).is_ok_and(|name| !name.is_empty())
}

/// Checks a target that is in origin-form or `*`: visible characters without `#`, in UTF-8. What the path means is for
/// the core to say.
///
/// # Errors
/// [`Malformed::Target`].
pub fn check_target(method: &str, target: &[u8]) -> Result<(), Malformed> {
    let has_form = target.first() == Some(&b'/') || (target == b"*" && method == "OPTIONS");
    let visible = |byte: &u8| !matches!(byte, 0..=b' ' | b'#' | 0x7f);
    let legal = has_form && target.iter().all(visible) && std::str::from_utf8(target).is_ok();
    legal.then_some(()).ok_or(Malformed::Target)
}

/// Reads a `Content-Length`: 1 to 18 digits, so that no implementation's integers overflow.
pub fn decimal(value: &[u8]) -> Option<u64> {
    let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// Reads all `Expect` fields of a request: whether the client waits for `100 Continue`.
///
/// # Errors
/// [`Malformed::Expect`] for more than one, and for any other expectation.
pub fn expects_continue<'v>(mut values: impl Iterator<Item = &'v [u8]>) -> Result<bool, Malformed> {
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        _ => Err(Malformed::Expect),
    }
}

/// Whether a `Connection` option names a field that is for the other end, or that other proxies have added: without it
/// the origin would see another request than the rules did.
pub fn is_end_to_end(option: &[u8]) -> bool {
    let is = |known: &str| option.eq_ignore_ascii_case(known.as_bytes());
    PROTECTED.iter().any(|name| is(name))
        || PROTECTED_FAMILIES.iter().any(|family| {
            option.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family.as_bytes()))
        })
}

/// The methods named in the `Allow` field when one was asked for that is never served.
pub const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Methods that are refused whatever the policy: two reflect credentials, one opens tunnels.
const UNSERVED: [&str; 3] = ["TRACE", "TRACK", "CONNECT"];
/// Bytes of a method's name. The longest that is registered, `UPDATEREDIRECTREF`, has 17.
const MAX_METHOD: usize = 32;
/// Fields that no `Connection` option takes away.
const PROTECTED: [&str; 15] = [
    "host",
    "transfer-encoding",
    "authorization",
    "cookie",
    "origin",
    "referer",
    "range",
    "expect",
    "forwarded",
    "via",
    "x-real-ip",
    "x-request-id",
    "x-scheme",
    "traceparent",
    "user-agent",
];
/// And those whose names begin so.
const PROTECTED_FAMILIES: [&str; 6] = ["content-", "x-forwarded-", "x-original-", "if-", "accept", "sec-"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        assert!(Malformed::ALL.iter().enumerate().all(|(place, fault)| *fault as usize == place));
    }

    #[test]
    fn methods_have_upper_case_names() {
        for name in ["GET", "M-SEARCH", "VERSION-CONTROL", "X_Y2"] {
            assert_eq!(check_method(name), Ok(()), "{name}");
        }
        for name in ["get", "Get", "GeT", "", "-GET", "GET!", "G\u{c4}T", &"A".repeat(33)] {
            assert_eq!(check_method(name), Err(Malformed::MethodName), "{name}");
        }
        for name in ["TRACE", "trace", "TRACK", "CONNECT", "Connect"] {
            assert_eq!(check_method(name), Err(Malformed::Method), "{name}");
        }
    }

    #[test]
    fn targets_are_visible_text() {
        assert_eq!(check_target("GET", b"/a?b=\xc3\xa4"), Ok(()));
        assert_eq!(check_target("OPTIONS", b"*"), Ok(()));
        for target in [&b""[..], b"a", b"*", b"/a b", b"/\t", b"/#", b"/\x7f", b"/\0", b"/\xff", b"/\xc3"] {
            assert_eq!(check_target("GET", target), Err(Malformed::Target), "{target:?}");
        }
    }

    #[test]
    fn connection_takes_no_field_of_the_other_end() {
        for option in ["Host", "content-LENGTH", "Content-Range", "X-Forwarded-For", "If-Match", "Expect"] {
            assert!(is_end_to_end(option.as_bytes()), "{option}");
        }
        for option in ["close", "keep-alive", "upgrade", "te", "http2-settings", "x-hop", "hosts"] {
            assert!(!is_end_to_end(option.as_bytes()), "{option}");
        }
    }
}
