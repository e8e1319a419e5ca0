//! What goes wrong outside of the core.

use std::num::NonZeroU32;
use weir_core::account::UpstreamResult;

/// Why a lane answers a request itself, for a reason that no rule gave. The closed list behind the metric label, the
/// access log and the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum GatewayError {
    /// The head is not HTTP: 400.
    MalformedRequest,
    /// A method that is served nowhere here, `TRACE` or `CONNECT`: 405.
    MethodNotAllowed,
    /// The head or the body took too long to arrive: 408.
    RequestTimeout,
    /// The body is larger than is taken at all: 413.
    ContentTooLarge,
    /// The request line is too long: 414.
    UriTooLong,
    /// `Expect` asks for something other than `100-continue`: 417.
    ExpectationFailed,
    /// The head is too large: 431.
    HeadTooLarge,
    /// Something broke in here: 500.
    Internal,
    /// A transfer coding or a method that is not served at all: 501.
    NotImplemented,
    /// No connection to the origin could be made: 502.
    ConnectFailed,
    /// The origin's connection broke before its response was whole: 502.
    OriginReset,
    /// What the origin sent is no valid response: 502.
    InvalidResponse,
    /// No endpoint can be chosen, although there are some: 503.
    NoEndpoint,
    /// More is going on than this process may take: 503.
    Overloaded,
    /// Connecting to the origin took too long: 504.
    ConnectTimeout,
    /// The origin took too long to respond: 504.
    OriginTimeout,
    /// A version of HTTP other than 1.0 and 1.1: 505.
    Version,
}

impl GatewayError {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::MalformedRequest,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::ContentTooLarge,
        Self::UriTooLong,
        Self::ExpectationFailed,
        Self::HeadTooLarge,
        Self::Internal,
        Self::NotImplemented,
        Self::ConnectFailed,
        Self::OriginReset,
        Self::InvalidResponse,
        Self::NoEndpoint,
        Self::Overloaded,
        Self::ConnectTimeout,
        Self::OriginTimeout,
        Self::Version,
    ];

    /// The error that the client sees when an exchange with the origin ends so; `None` when a response came.
    pub fn of_upstream(result: UpstreamResult) -> Option<Self> {
        match result {
            UpstreamResult::Respond => None,
            UpstreamResult::RefuseConnect => Some(Self::ConnectFailed),
            UpstreamResult::TimeoutConnect => Some(Self::ConnectTimeout),
            UpstreamResult::TimeoutRead => Some(Self::OriginTimeout),
            UpstreamResult::Reset => Some(Self::OriginReset),
            UpstreamResult::InvalidResponse => Some(Self::InvalidResponse),
        }
    }

    /// Response status.
    pub fn status(self) -> u16 {
        match self {
            Self::MalformedRequest => 400,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::ContentTooLarge => 413,
            Self::UriTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::HeadTooLarge => 431,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::ConnectFailed | Self::OriginReset | Self::InvalidResponse => 502,
            Self::NoEndpoint | Self::Overloaded => 503,
            Self::ConnectTimeout | Self::OriginTimeout => 504,
            Self::Version => 505,
        }
    }

    /// The word in metrics, logs and problem bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed-request",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::RequestTimeout => "request-timeout",
            Self::ContentTooLarge => "content-too-large",
            Self::UriTooLong => "uri-too-long",
            Self::ExpectationFailed => "expectation-failed",
            Self::HeadTooLarge => "head-too-large",
            Self::Internal => "internal",
            Self::NotImplemented => "not-implemented",
            Self::ConnectFailed => "connect-failed",
            Self::OriginReset => "origin-reset",
            Self::InvalidResponse => "invalid-response",
            Self::NoEndpoint => "no-usable-endpoint",
            Self::Overloaded => "overloaded",
            Self::ConnectTimeout => "connect-timeout",
            Self::OriginTimeout => "origin-timeout",
            Self::Version => "version",
        }
    }

    /// What people read.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::MalformedRequest => "The request is not well-formed.",
            Self::MethodNotAllowed => "This method is not served.",
            Self::RequestTimeout => "The request took too long to arrive.",
            Self::ContentTooLarge => "The body of the request is too large.",
            Self::UriTooLong => "The target of the request is too long.",
            Self::ExpectationFailed => "The expectation of the request cannot be met.",
            Self::HeadTooLarge => "The header of the request is too large.",
            Self::Internal => "The request could not be handled.",
            Self::NotImplemented => "The request asks for something that is not implemented here.",
            Self::ConnectFailed | Self::OriginReset | Self::InvalidResponse => {
                "The service behind this path gave no valid response."
            }
            Self::NoEndpoint => "The service behind this path is not available.",
            Self::Overloaded => "The server is too busy: please try again later.",
            Self::ConnectTimeout | Self::OriginTimeout => {
                "The service behind this path took too long to respond."
            }
            Self::Version => "This version of HTTP is not served.",
        }
    }

    /// Value of `Allow`: a 405 must have one (RFC 9110 section 15.5.6).
    pub(super) fn allow(self) -> Option<&'static str> {
        match self {
            Self::MethodNotAllowed => Some(crate::lane::grammar::ALLOW),
            _ => None,
        }
    }

    /// When to come back: only where waiting helps.
    pub(super) fn retry_after(self) -> Option<NonZeroU32> {
        match self {
            Self::Overloaded => Some(NonZeroU32::MIN),
            _ => None,
        }
    }
}
