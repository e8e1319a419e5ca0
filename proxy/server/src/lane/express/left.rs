//! What of a response's body is still to come.

use crate::conn::Stop;
use crate::lane::wire::{Chunks, Framing, Persistence, Progress, ResponseHead};
use bytes::BytesMut;
use weir_core::account::UpstreamResult;

/// What of a body is still to come.
#[derive(Debug)]
pub(crate) enum Left {
    Bytes(u64),
    Chunks(Chunks),
    UntilClose,
}

/// What of a part of a body is passed on.
pub(super) struct Passed {
    /// Its first bytes, so many.
    pub(super) bytes: usize,
    /// And then these.
    pub(super) end: &'static [u8],
}

impl Left {
    /// All of the body.
    pub(crate) fn of(head: &ResponseHead) -> Self {
        match head.framing {
            Framing::None => Self::Bytes(0),
            Framing::Length(length) => Self::Bytes(length),
            Framing::Close => Self::UntilClose,
            Framing::Chunked => Self::Chunks(Chunks::new()),
        }
    }

    /// Whether nothing is.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Bytes(0))
    }

    /// How many bytes may be read at once.
    pub(crate) fn most(&self, space: usize) -> usize {
        match self {
            Self::Bytes(left) => usize::try_from(*left).unwrap_or(usize::MAX).min(space),
            _ => space,
        }
    }

    /// Takes note of `part`; `Err` when it is more than the body, or no valid part of it. Trailer fields are not passed
    /// on, in this lane as in pingora's.
    pub(super) fn take(&mut self, part: &[u8]) -> Result<Passed, ()> {
        let all = Passed { bytes: part.len(), end: b"" };
        match self {
            Self::Bytes(left) => *left = left.checked_sub(part.len() as u64).ok_or(())?,
            Self::UntilClose => {}
            Self::Chunks(chunks) => {
                let progress = chunks.feed(part).map_err(|_| ())?;
                let bytes = chunks.kept(part.len());
                let trailers = chunks.has_trailers();
                return match progress {
                    Progress::More => Ok(Passed { bytes, end: b"" }),
                    Progress::End(n) if n == part.len() => {
                        *self = Self::Bytes(0);
                        Ok(Passed { bytes, end: if trailers { b"\r\n" } else { b"" } })
                    }
                    Progress::End(_) => Err(()),
                };
            }
        }
        Ok(all)
    }

    /// As `take`, for a client that is sent no chunks: appends the data that `part` carries to `data`.
    ///
    /// # Errors
    /// When `part` is more than the body, or no valid part of it.
    pub(crate) fn take_data(&mut self, part: &[u8], data: &mut BytesMut) -> Result<(), ()> {
        let Self::Chunks(chunks) = self else {
            self.take(part)?;
            data.extend_from_slice(part);
            return Ok(());
        };
        match chunks.feed_to(part, |piece| data.extend_from_slice(piece)).map_err(|_| ())? {
            Progress::More => Ok(()),
            Progress::End(n) if n == part.len() => {
                *self = Self::Bytes(0);
                Ok(())
            }
            Progress::End(_) => Err(()),
        }
    }

    /// Whether the origin's connection can be used again after the body of `head`, of which `here` bytes came with it.
    pub(crate) fn is_clean(&self, head: &ResponseHead, here: usize) -> bool {
        head.persistence == Persistence::KeepAlive
            && !matches!(self, Self::UntilClose)
            && !(head.framing == Framing::None && here > 0)
    }
}

/// Why a response was cut off.
pub(crate) enum Cut {
    /// The client takes no more.
    Client(Stop),
    /// The origin gives no more, or what is no part of the body.
    Origin(UpstreamResult),
}
