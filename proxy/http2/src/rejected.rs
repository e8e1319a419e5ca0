//! Streams that end before anybody else hears of them, because their client broke the rules of HTTP/2.

use crate::error::Reason;

/// Why a stream never became a request, or stopped being one. The closed list behind the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// More at once than `http2-max-concurrent-streams`, or than we are done with.
    Refused,
    /// Malformed: RFC 9113 section 8.1.1.
    Protocol,
    /// It broke the rules of windows.
    FlowControl,
    /// Frames came behind its end.
    Closed,
    /// A frame had a length that its kind does not have.
    FrameSize,
}

impl Rejected {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Refused, Self::Protocol, Self::FlowControl, Self::Closed, Self::FrameSize];

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Protocol => "malformed",
            Self::FlowControl => "flow-control",
            Self::Closed => "after-its-end",
            Self::FrameSize => "frame-size",
        }
    }

    /// What the client is told.
    pub fn reason(self) -> Reason {
        match self {
            Self::Refused => Reason::REFUSED_STREAM,
            Self::Protocol => Reason::PROTOCOL_ERROR,
            Self::FlowControl => Reason::FLOW_CONTROL_ERROR,
            Self::Closed => Reason::STREAM_CLOSED,
            Self::FrameSize => Reason::FRAME_SIZE_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_in_order() {
        assert!(Rejected::ALL.iter().enumerate().all(|(place, rejected)| *rejected as usize == place));
    }
}
