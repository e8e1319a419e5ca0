//! How connections of HTTP/2 end.

use crate::abort::{Abort, Cause, Stage};
use crate::conn::Stop;
use std::io;
use weir_http2::{Error, Flood, Reason};

/// How a connection ended. The closed list behind the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The client closed it, or nothing was left to do after a goodbye of ours.
    Closed,
    /// Nothing was asked for too long.
    Idle,
    /// The client's preface did not come in time.
    Preface,
    /// A header block was begun and not ended in time.
    Head,
    /// The client took too little of what was sent.
    Stall,
    /// Too many requests that have no reading.
    Malformed,
    /// The client went on asking after a goodbye.
    Goodbye,
    /// The client sent too much of something.
    Flood(Flood),
    /// The client made us reset too many streams ("MadeYouReset", CVE-2025-8671), or sent a header block without end.
    Calm,
    /// What came is not HTTP/2.
    Protocol,
    /// The connection broke.
    Broken,
}

impl Ended {
    /// All of them, in the order of [`number`](Self::number).
    pub const ALL: [Self; 10 + Flood::ALL.len()] = [
        Self::Closed,
        Self::Idle,
        Self::Preface,
        Self::Head,
        Self::Stall,
        Self::Malformed,
        Self::Goodbye,
        Self::Calm,
        Self::Protocol,
        Self::Broken,
        Self::Flood(Flood::Headers),
        Self::Flood(Flood::Reset),
        Self::Flood(Flood::Continuation),
        Self::Flood(Flood::Settings),
        Self::Flood(Flood::Ping),
        Self::Flood(Flood::Priority),
        Self::Flood(Flood::WindowUpdate),
        Self::Flood(Flood::EmptyData),
        Self::Flood(Flood::Other),
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|ended| *ended == self).unwrap_or_default()
    }

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::Preface => "preface-timeout",
            Self::Head => "head-timeout",
            Self::Stall => "write-stall",
            Self::Malformed => "malformed-requests",
            Self::Goodbye => "after-goodbye",
            Self::Calm => "too-many-resets",
            Self::Protocol => "protocol-error",
            Self::Broken => "broken",
            Self::Flood(Flood::Headers) => "headers-flood",
            Self::Flood(Flood::Reset) => "reset-flood",
            Self::Flood(Flood::Continuation) => "continuation-flood",
            Self::Flood(Flood::Settings) => "settings-flood",
            Self::Flood(Flood::Ping) => "ping-flood",
            Self::Flood(Flood::Priority) => "priority-flood",
            Self::Flood(Flood::WindowUpdate) => "window-update-flood",
            Self::Flood(Flood::EmptyData) => "empty-data-flood",
            Self::Flood(Flood::Other) => "unknown-frame-flood",
        }
    }

    /// The deadline that had passed, if one had.
    pub(super) fn timeout(self) -> Option<Abort> {
        let stage = match self {
            Self::Idle => Stage::Idle,
            Self::Preface | Self::Head => Stage::Head,
            Self::Stall => Stage::Response,
            _ => return None,
        };
        Some(Abort { stage, cause: Cause::Timeout })
    }

    /// What an error of the connection means.
    pub(super) fn of_error(error: Error) -> Self {
        match error {
            Error::Protocol(_) => Self::Protocol,
            Error::Flood(flood) => Self::Flood(flood),
            Error::Calm => Self::Calm,
        }
    }

    /// What an error of the socket means.
    pub(super) fn of_io(error: &io::Error) -> Self {
        match Stop::of(error) {
            Stop::End => Self::Closed,
            Stop::Fail | Stop::Late => Self::Broken,
        }
    }

    /// What the client is told, where it is told anything.
    pub(super) fn goodbye(self) -> Option<Reason> {
        match self {
            Self::Flood(_) | Self::Calm | Self::Malformed | Self::Goodbye => Some(Reason::ENHANCE_YOUR_CALM),
            Self::Protocol => Some(Reason::PROTOCOL_ERROR),
            Self::Idle | Self::Head => Some(Reason::NO_ERROR),
            Self::Closed | Self::Preface | Self::Stall | Self::Broken => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_once_with_words_of_their_own() {
        for (place, ended) in Ended::ALL.iter().enumerate() {
            assert_eq!(ended.number(), place);
        }
        for flood in Flood::ALL {
            assert_eq!(Ended::ALL.get(Ended::Flood(flood).number()), Some(&Ended::Flood(flood)));
        }
        let mut words: Vec<_> = Ended::ALL.iter().map(|ended| ended.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Ended::ALL.len());
    }
}
