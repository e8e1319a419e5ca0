//! Why streams and connections end.

use crate::meter::Flood;
use std::fmt;

/// An error code (RFC 9113 section 7), also one that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reason(pub u32);

impl Reason {
    /// Nothing is wrong.
    pub const NO_ERROR: Self = Self(0x0);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    /// Something failed on this side.
    pub const INTERNAL_ERROR: Self = Self(0x2);
    /// The peer sent more than it had room for.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// A frame came behind the end of its stream.
    pub const STREAM_CLOSED: Self = Self(0x5);
    /// A frame has a length that its kind does not have.
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    /// The stream was not looked at.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// Nobody wants the stream any more.
    pub const CANCEL: Self = Self(0x8);
    /// A header block cannot be read.
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    /// The peer did too much of something.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::NO_ERROR => "NO_ERROR",
            Self::PROTOCOL_ERROR => "PROTOCOL_ERROR",
            Self::INTERNAL_ERROR => "INTERNAL_ERROR",
            Self::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
            Self::STREAM_CLOSED => "STREAM_CLOSED",
            Self::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
            Self::REFUSED_STREAM => "REFUSED_STREAM",
            Self::CANCEL => "CANCEL",
            Self::COMPRESSION_ERROR => "COMPRESSION_ERROR",
            Self::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
            Self(code) => return write!(f, "error code {code:#x}"),
        };
        f.write_str(name)
    }
}

/// Why a connection cannot go on. The peer's `GOAWAY` is waiting to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// What came is not HTTP/2.
    Protocol(Reason),
    /// The peer sent too much of something.
    Flood(Flood),
    /// The peer made us reset too many streams ("MadeYouReset", CVE-2025-8671), or sent a header block without end.
    Calm,
}

/// Why a stream can be used no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The peer has reset it.
    Reset(Reason),
    /// This side has ended it, or its connection is over.
    Over,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset(reason) => write!(f, "reset by the client: {reason}"),
            Self::Over => f.write_str("the stream has ended"),
        }
    }
}

impl std::error::Error for Gone {}
