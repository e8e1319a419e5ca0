//! Where a message of HTTP/1.1 ends. Bytes in, progress out; no I/O.

use thiserror::Error;

/// Reads one message after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    state: State,
    /// The part of a head, or of a chunk's frame, that has come.
    partial: Vec<u8>,
    status: u16,
    closes: bool,
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not HTTP/1.1")]
pub(crate) struct Malformed;

/// A whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Sized(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailer,
    UntilClose,
}

/// What the head of a message says of its body.
enum Framing {
    Interim,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Reader {
    /// Takes bytes; `Some` when a response is complete, with how many of the bytes belong to it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Option<(Response, usize)>, Malformed> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match self.state {
                State::Head => {
                    let Some((framing, used)) = self.head(rest)? else { return Ok(None) };
                    at += used;
                    match framing {
                        Framing::Interim => {}
                        Framing::Length(0) => return Ok(Some((self.complete(), at))),
                        Framing::Length(length) => self.state = State::Sized(length),
                        Framing::Chunked => self.state = State::ChunkSize,
                        Framing::UntilClose => self.state = State::UntilClose,
                    }
                }
                State::Sized(left) | State::ChunkData(left) => {
                    let used = left.min(rest.len() as u64);
                    at += used as usize;
                    let chunk = matches!(self.state, State::ChunkData(_));
                    match left - used {
                        0 if chunk => self.state = State::ChunkEnd,
                        0 => return Ok(Some((self.complete(), at))),
                        left if chunk => self.state = State::ChunkData(left),
                        left => self.state = State::Sized(left),
                    }
                    if at == bytes.len() && self.state != State::ChunkEnd {
                        return Ok(None);
                    }
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => {
                    let Some(used) = self.line(rest)? else { return Ok(None) };
                    at += used;
                    if self.frame()? {
                        return Ok(Some((self.complete(), at)));
                    }
                }
                State::UntilClose => return Ok(None),
            }
        }
    }

    /// The connection ended: whether that completes a response.
    pub(crate) fn end(&mut self) -> Option<Response> {
        (self.state == State::UntilClose).then(|| self.complete())
    }

    /// Whether nothing of a response has come.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state == State::Head && self.partial.is_empty()
    }

    fn complete(&mut self) -> Response {
        let response =
            Response { status: self.status, closes: self.closes || self.state == State::UntilClose };
        self.state = State::Head;
        self.partial.clear();
        response
    }

    /// A head: from the bytes themselves where it is in them as a whole, which is nearly always.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<(Framing, usize)>, Malformed> {
        if self.partial.is_empty() {
            return match self.parse(bytes)? {
                Some(found) => Ok(Some(found)),
                None => {
                    self.partial.extend_from_slice(bytes);
                    Ok(None)
                }
            };
        }
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST_HEAD {
            return Err(Malformed);
        }
        let all = std::mem::take(&mut self.partial);
        match self.parse(&all)? {
            Some((framing, used)) => Ok(Some((framing, used - before))),
            None => {
                self.partial = all;
                Ok(None)
            }
        }
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<Option<(Framing, usize)>, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let used = match response.parse(bytes) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Malformed),
        };
        self.status = response.code.ok_or(Malformed)?;
        self.closes = response.version != Some(1);
        let (mut length, mut chunked) = (None, false);
        for field in response.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let text = std::str::from_utf8(field.value).map_err(|_| Malformed)?;
                length = Some(text.trim().parse::<u64>().map_err(|_| Malformed)?);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked |= has_token(field.value, b"chunked");
            } else if field.name.eq_ignore_ascii_case("connection") {
                self.closes |= has_token(field.value, b"close");
            }
        }
        let framing = match (self.status, chunked, length) {
            (100..=199, ..) => Framing::Interim,
            (204 | 304, ..) => Framing::Length(0),
            (_, true, _) => Framing::Chunked,
            (_, false, Some(length)) => Framing::Length(length),
            (_, false, None) => Framing::UntilClose,
        };
        Ok(Some((framing, used)))
    }

    /// Takes a line into `partial`, with its end; `None` until it is whole.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let used = end.unwrap_or(bytes.len());
        self.partial.extend_from_slice(bytes.get(..used).unwrap_or_default());
        if self.partial.len() > LONGEST_LINE {
            return Err(Malformed);
        }
        Ok(end)
    }

    /// Reads a line of the frame of chunks; true at the end of the body.
    fn frame(&mut self) -> Result<bool, Malformed> {
        let line = std::mem::take(&mut self.partial);
        let line = line.strip_suffix(b"\r\n").ok_or(Malformed)?;
        self.state = match self.state {
            State::ChunkSize => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
                match u64::from_str_radix(digits.trim(), 16).map_err(|_| Malformed)? {
                    0 => State::Trailer,
                    size => State::ChunkData(size),
                }
            }
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::Trailer if line.is_empty() => return Ok(true),
            State::Trailer => State::Trailer,
            _ => return Err(Malformed),
        };
        Ok(false)
    }
}

/// Whether a list has a token, without case.
pub(crate) fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
}

const FIELDS: usize = 64;
const LONGEST_HEAD: usize = 64 * 1024;
const LONGEST_LINE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
        HTTP/1.1 429 Too Many\r\ntransfer-encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n\
        HTTP/1.1 204 No Content\r\nConnection: x, CLOSE\r\n\r\nHTTP/1.0 500 Bad\r\n\r\nall of this";

    /// The same responses, in whatever pieces they come.
    #[test]
    fn responses_end_where_they_should_in_whatever_pieces_they_come() {
        for piece in 1..STREAM.len() {
            let mut reader = Reader::default();
            let mut found = Vec::new();
            for bytes in STREAM.chunks(piece) {
                let mut rest = bytes;
                while let Some((response, used)) = reader.feed(rest).unwrap() {
                    found.push((response.status, response.closes));
                    rest = &rest[used..];
                    if rest.is_empty() {
                        break;
                    }
                }
            }
            found.extend(reader.end().map(|response| (response.status, response.closes)));
            assert_eq!(found, [(200, false), (429, false), (204, true), (500, true)], "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_response_is_malformed() {
        for bytes in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"] {
            assert_eq!(Reader::default().feed(bytes), Err(Malformed));
        }
        let mut reader = Reader::default();
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
        assert_eq!(reader.feed(chunks), Err(Malformed));
        let mut reader = Reader::default();
        assert_eq!(reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"), Ok(None));
        assert_eq!(reader.end(), None);
        assert!(!reader.is_fresh());
    }
}
