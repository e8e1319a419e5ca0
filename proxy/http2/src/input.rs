//! Where frames begin and end in the bytes of the peer.

use crate::error::{Error, Reason};
use crate::frame::{self, Frame, Kind};
use crate::state::{Stage, State};
use weir_limits::Instant;

/// How far the bytes of the peer were read.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) reading: Reading,
    /// What came of a header or a payload that is not yet whole.
    held: Vec<u8>,
    /// A header block that goes on in the next frame.
    pub(crate) block: Option<Block>,
    pub(crate) settled: bool, // the first settings have come
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Reading {
    Preface {
        seen: usize,
    },
    Header,
    Payload(Frame),
    /// The byte that says how much padding there is.
    Padding(Frame),
    Data(Data),
}

/// What is to come of a `DATA` frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data {
    pub(crate) stream: u32,
    pub(crate) content: u32,
    pub(crate) padding: u32,
    pub(crate) ends: bool,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) stream: u32,
    pub(crate) ends: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { reading: Reading::Preface { seen: 0 }, held: Vec::new(), block: None, settled: false }
    }

    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.reading, Reading::Preface { .. })
    }

    pub(crate) fn is_in_head(&self) -> bool {
        let is_head = |frame: &Frame| matches!(frame.kind, Kind::Headers | Kind::Continuation);
        self.block.is_some() || matches!(&self.reading, Reading::Payload(frame) if is_head(frame))
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.held.capacity()
    }

    /// Whether no frame has begun that is not yet whole.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.reading, Reading::Header) && self.held.is_empty()
    }

    /// Collects `bytes` until `most` are held; what is over, and whether that is so.
    fn hold<'b>(&mut self, bytes: &'b [u8], most: usize) -> (&'b [u8], bool) {
        let (now, rest) = bytes.split_at(bytes.len().min(most.saturating_sub(self.held.len())));
        self.held.extend_from_slice(now);
        (rest, self.held.len() >= most)
    }
}

impl State {
    /// Takes what the peer sent, cut anywhere.
    pub(crate) fn receive(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Error> {
        while !bytes.is_empty() && self.stage != Stage::Ended {
            bytes = self.step(bytes, now).map_err(|error| self.fail(error))?;
        }
        Ok(())
    }

    fn step<'b>(&mut self, bytes: &'b [u8], now: Instant) -> Result<&'b [u8], Error> {
        match self.input.reading {
            Reading::Preface { seen } => {
                let expected = frame::PREFACE.get(seen..).unwrap_or_default();
                let (came, rest) = bytes.split_at(bytes.len().min(expected.len()));
                if !expected.starts_with(came) {
                    return Err(Error::Protocol(Reason::PROTOCOL_ERROR));
                }
                let seen = seen.saturating_add(came.len());
                let is_whole = seen >= frame::PREFACE.len();
                self.input.reading = if is_whole { Reading::Header } else { Reading::Preface { seen } };
                Ok(rest)
            }
            Reading::Header => {
                if self.input.held.is_empty()
                    && let Some((header, rest)) = bytes.split_first_chunk()
                {
                    self.begin(Frame::read(*header), now)?;
                    return Ok(rest);
                }
                let (rest, is_whole) = self.input.hold(bytes, frame::HEADER);
                if let (true, Some(header)) = (is_whole, self.input.held.first_chunk().copied()) {
                    self.input.held = Vec::new();
                    self.begin(Frame::read(header), now)?;
                }
                Ok(rest)
            }
            Reading::Payload(frame) => {
                let length = frame.length as usize;
                if self.input.held.is_empty()
                    && let Some((payload, rest)) = bytes.split_at_checked(length)
                {
                    self.input.reading = Reading::Header;
                    self.whole(frame, payload, now)?;
                    return Ok(rest);
                }
                let (rest, is_whole) = self.input.hold(bytes, length);
                if is_whole {
                    self.input.reading = Reading::Header;
                    let payload = std::mem::take(&mut self.input.held);
                    self.whole(frame, &payload, now)?;
                }
                Ok(rest)
            }
            Reading::Padding(frame) => {
                let Some((padding, rest)) = bytes.split_first() else { return Ok(bytes) };
                self.credit(frame.stream, 1);
                let behind = frame.length.saturating_sub(1);
                let Some(content) = behind.checked_sub(u32::from(*padding)) else {
                    return Err(Error::Protocol(Reason::PROTOCOL_ERROR));
                };
                self.data(frame, content, u32::from(*padding), now)?;
                Ok(rest)
            }
            Reading::Data(mut data) => {
                let (now_content, rest) = bytes.split_at(bytes.len().min(data.content as usize));
                data.content = data.content.saturating_sub(now_content.len() as u32);
                self.deliver(data.stream, now_content);
                let (now_padding, rest) = rest.split_at(rest.len().min(data.padding as usize));
                data.padding = data.padding.saturating_sub(now_padding.len() as u32);
                self.credit(data.stream, now_padding.len() as u32);
                self.input.reading = Reading::Data(data);
                if data.content == 0 && data.padding == 0 {
                    self.end_of_data(data, now)?;
                }
                Ok(rest)
            }
        }
    }
}
