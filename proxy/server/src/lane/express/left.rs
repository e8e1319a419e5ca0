//! What of a response's body is still to come.

use crate::conn::Stop;
use crate::lane::wire::{Chunks, Framing, Persistence, Progress, ResponseHead};
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

    /// As `take`, for a client that is sent no chunks: the data that `part` carries, put together in `space` where it
    /// is not in one piece.
    ///
    /// # Errors
    /// When `part` is more than the body, or no valid part of it.
    pub(crate) fn take_data<'b>(&mut self, part: &'b [u8], space: &'b mut [u8]) -> Result<&'b [u8], ()> {
        let Self::Chunks(chunks) = self else {
            self.take(part)?;
            return Ok(part);
        };
        let mut data = Gathered { first: b"", space, len: 0 };
        match chunks.feed_to(part, |piece| data.add(piece)).map_err(|_| ())? {
            Progress::More => {}
            Progress::End(n) if n == part.len() => *self = Self::Bytes(0),
            Progress::End(_) => return Err(()),
        }
        data.all().ok_or(())
    }

    /// Whether the origin's connection can be used again after the body of `head`, of which `here` bytes came with it.
    pub(crate) fn is_clean(&self, head: &ResponseHead, here: usize) -> bool {
        head.persistence == Persistence::KeepAlive
            && !matches!(self, Self::UntilClose)
            && !(head.framing == Framing::None && here > 0)
    }
}

/// Pieces of data as one; nothing is copied while there is only one of them.
struct Gathered<'b> {
    first: &'b [u8],
    space: &'b mut [u8],
    len: usize, // in `space`
}

impl<'b> Gathered<'b> {
    fn add(&mut self, piece: &'b [u8]) {
        if self.first.is_empty() {
            self.first = piece;
            return;
        }
        if self.len == 0 {
            self.copy(self.first);
        }
        self.copy(piece);
    }

    fn copy(&mut self, piece: &[u8]) {
        let end = self.len + piece.len();
        let place = self.space.get_mut(self.len..end);
        place.into_iter().for_each(|place| place.copy_from_slice(piece));
        self.len = end;
    }

    /// All of it; `None` when there was too little space.
    fn all(self) -> Option<&'b [u8]> {
        let Self { first, space, len } = self;
        if len == 0 { Some(first) } else { space.get(..len) }
    }
}

/// Why a response was cut off.
pub(crate) enum Cut {
    /// The client takes no more.
    Client(Stop),
    /// The origin gives no more, or what is no part of the body.
    Origin(UpstreamResult),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_of(part: &[u8], space: usize) -> Result<Vec<u8>, ()> {
        Left::Chunks(Chunks::new()).take_data(part, &mut vec![0; space]).map(<[u8]>::to_vec)
    }

    #[test]
    fn data_of_chunks_is_put_together() {
        assert_eq!(data_of(b"5\r\nhello\r\n", 0), Ok(b"hello".to_vec()), "one piece is not copied");
        assert_eq!(data_of(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 5), Ok(b"hello".to_vec()));
        assert_eq!(data_of(b"1\r\na\r\n1\r\nb\r\n5\r\ncde", 9), Ok(b"abcde".to_vec()));
        assert_eq!(data_of(b"0\r\n\r\n", 0), Ok(Vec::new()));
        assert_eq!(data_of(b"2\r\nhe\r\n3\r\nllo\r\n", 4), Err(()), "there is no space");
        assert_eq!(data_of(b"2\r\nhe\r\n0\r\n\r\nHTTP/1.1", 9), Err(()), "more than the body");
    }

    #[test]
    fn what_has_no_chunks_stays_where_it_is() {
        let mut left = Left::Bytes(5);
        assert_eq!(left.take_data(b"hell", &mut []), Ok(&b"hell"[..]));
        assert!(!left.is_done() && left.take_data(b"ooo", &mut []).is_err());
        assert_eq!(Left::UntilClose.take_data(b"x", &mut []), Ok(&b"x"[..]));
    }
}
