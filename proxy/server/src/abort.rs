//! Where and how clients' connections end early. Closed lists, for metrics and the access log.

use crate::arrivals::Shed;
use crate::conn::Stop;
use crate::tls::Failure;

/// A client's side of a connection broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// What was going on.
    pub stage: Stage,
    /// What happened.
    pub cause: Cause,
}

/// What was going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing: between requests.
    Idle,
    /// The head of a request had begun.
    Head,
    /// The head was there and the body was not.
    Body,
    /// The request was there and the origin had not responded.
    Wait,
    /// The response was being sent.
    Response,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The client closed its side.
    Close,
    /// The connection failed.
    Reset,
    /// The client took too long: to send, or to read.
    Timeout,
    /// What the client sent is no body.
    Malformed,
}

impl Abort {
    /// `stop` came while `stage` was going on.
    pub fn at(stage: Stage, stop: Stop) -> Self {
        let cause = match stop {
            Stop::End => Cause::Close,
            Stop::Fail => Cause::Reset,
            Stop::Late => Cause::Timeout,
        };
        Self { stage, cause }
    }
}

impl Stage {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Idle, Self::Head, Self::Body, Self::Wait, Self::Response];

    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Body => "body",
            Self::Wait => "wait",
            Self::Response => "response",
        }
    }

    /// What can happen meanwhile. To close an idle connection is no abort, and heads that are malformed are counted by
    /// what is wrong with them.
    pub fn causes(self) -> &'static [Cause] {
        match self {
            Self::Idle => &[Cause::Reset, Cause::Timeout],
            Self::Body => &Cause::ALL,
            Self::Wait => &[Cause::Close, Cause::Reset],
            Self::Head | Self::Response => &[Cause::Close, Cause::Reset, Cause::Timeout],
        }
    }
}

impl Cause {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Close, Self::Reset, Self::Timeout, Self::Malformed];

    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
        }
    }
}

/// Why a connection ended before a request could begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// It was sent away.
    Shed(Shed),
    /// There was no TLS.
    Handshake(Failure),
}

impl Unserved {
    /// What was going on, as it stands in logs.
    pub fn stage(self) -> &'static str {
        match self {
            Self::Shed(shed) if shed.is_of_proxy_protocol() => PROXY_PROTOCOL,
            Self::Shed(_) => ACCEPT,
            Self::Handshake(_) => HANDSHAKE,
        }
    }

    /// What happened, as it stands in metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Shed(shed) => shed.as_str(),
            Self::Handshake(failure) => failure.as_str(),
        }
    }
}

/// Stages before the first request, as they stand in logs.
pub const ACCEPT: &str = "accept";
/// See [`ACCEPT`].
pub const PROXY_PROTOCOL: &str = "proxy-protocol";
/// See [`ACCEPT`].
pub const HANDSHAKE: &str = "handshake";
