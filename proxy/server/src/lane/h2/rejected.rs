//! Streams that the library ends: it answers them before anybody else hears of them, so they are counted by what it says.

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

    /// What a reset of ours says by its error code (RFC 9113 section 7); `None` where the client is not to blame.
    pub fn of_code(code: u32) -> Option<Self> {
        match code {
            0x1 => Some(Self::Protocol),
            0x3 => Some(Self::FlowControl),
            0x5 => Some(Self::Closed),
            0x6 => Some(Self::FrameSize),
            0x7 => Some(Self::Refused),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_for_all_of_them() {
        let named: Vec<_> = (0..=13).filter_map(Rejected::of_code).collect();
        assert!(Rejected::ALL.iter().all(|rejected| named.contains(rejected)) && named.len() == 5);
        assert!(Rejected::ALL.iter().enumerate().all(|(place, rejected)| *rejected as usize == place));
    }
}
