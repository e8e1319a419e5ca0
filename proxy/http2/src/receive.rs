//! What each frame of the peer does.

use crate::error::{Error, Gone, Reason};
use crate::frame::{self, Frame, Kind, Setting};
use crate::head::{Draft, Head, Malformed, is_field};
use crate::input::{Block, Data, Reading};
use crate::rejected::Rejected;
use crate::state::{LAST_CALL, Stage, State};
use crate::table::{Entry, Incoming, Known};
use weir_limits::Instant;

impl State {
    /// A frame has begun.
    pub(crate) fn begin(&mut self, frame: Frame, now: Instant) -> Result<(), Error> {
        self.meter.received(frame.kind, now).map_err(Error::Flood)?;
        if frame.length > frame::FRAME_MOST {
            return Err(Error::Protocol(Reason::FRAME_SIZE_ERROR));
        }
        let is_expected = match &self.input.block {
            Some(block) => frame.kind == Kind::Continuation && frame.stream == block.stream,
            None => frame.kind != Kind::Continuation,
        };
        let is_first = !std::mem::replace(&mut self.input.settled, true);
        if !is_expected || is_first && (frame.kind != Kind::Settings || frame.has(frame::ACK)) {
            return Err(Error::Protocol(Reason::PROTOCOL_ERROR));
        }
        match frame.kind {
            Kind::Data => {
                self.take_window(frame, now)?;
                match frame.has(frame::PADDED) {
                    true if frame.length == 0 => Err(Error::Protocol(Reason::FRAME_SIZE_ERROR)),
                    true => {
                        self.input.reading = Reading::Padding(frame);
                        Ok(())
                    }
                    false => self.data(frame, frame.length, 0, now),
                }
            }
            _ if frame.length == 0 => self.whole(frame, &[], now),
            _ => {
                self.input.reading = Reading::Payload(frame);
                Ok(())
            }
        }
    }

    /// A frame other than `DATA` is whole.
    pub(crate) fn whole(&mut self, frame: Frame, payload: &[u8], now: Instant) -> Result<(), Error> {
        let protocol = Err(Error::Protocol(Reason::PROTOCOL_ERROR));
        let size = Err(Error::Protocol(Reason::FRAME_SIZE_ERROR));
        let is_on_connection = frame.stream == 0;
        match frame.kind {
            Kind::Headers => self.headers(frame, payload, now),
            Kind::Continuation => self.continuation(frame, payload, now),
            Kind::Settings if !is_on_connection => protocol,
            Kind::Settings if frame.has(frame::ACK) => {
                if payload.is_empty() {
                    Ok(())
                } else {
                    size
                }
            }
            Kind::Settings if !payload.len().is_multiple_of(6) => size,
            Kind::Settings => self.settings(payload),
            Kind::Ping if !is_on_connection => protocol,
            Kind::Ping if payload.len() != 8 => size,
            Kind::Ping => {
                self.ping(frame, payload);
                Ok(())
            }
            Kind::Goaway if !is_on_connection => protocol,
            Kind::Goaway if payload.len() < 8 => size,
            Kind::Goaway => {
                self.peer.leaves = true;
                Ok(())
            }
            Kind::WindowUpdate if payload.len() != 4 => size,
            Kind::WindowUpdate => self.window_update(frame.stream, frame::number(payload) & frame::MOST, now),
            Kind::Reset if is_on_connection || self.table.known(frame.stream) == Known::Idle => protocol,
            Kind::Reset if payload.len() != 4 => size,
            Kind::Reset => {
                let reason = Reason(frame::number(payload));
                self.table.get(frame.stream).into_iter().for_each(|entry| entry.go(Gone::Reset(reason)));
                Ok(())
            }
            Kind::Priority if is_on_connection => protocol,
            Kind::Priority if payload.len() != 5 => match self.table.known(frame.stream) {
                Known::Idle => size,
                _ => self.reject(frame.stream, Rejected::FrameSize, now),
            },
            // Nothing is pushed to a server.
            Kind::Push => protocol,
            Kind::Priority | Kind::PriorityUpdate | Kind::Data | Kind::Other => Ok(()),
        }
    }

    fn headers(&mut self, frame: Frame, payload: &[u8], now: Instant) -> Result<(), Error> {
        let block = block_of(frame, payload).ok_or(Error::Protocol(Reason::PROTOCOL_ERROR))?;
        if frame.stream.is_multiple_of(2) {
            return Err(Error::Protocol(Reason::PROTOCOL_ERROR));
        }
        let (stream, ends) = (frame.stream, frame.has(frame::END_STREAM));
        if frame.has(frame::END_HEADERS) {
            return self.head(stream, ends, block, now);
        }
        self.input.block = Some(Block { stream, ends, bytes: block.to_vec() });
        Ok(())
    }

    fn continuation(&mut self, frame: Frame, payload: &[u8], now: Instant) -> Result<(), Error> {
        let Some(mut block) = self.input.block.take() else { return Ok(()) };
        // What is too much to be kept is read all the same, so that the peer's table and ours stay the same.
        let most = (self.options.head_bytes as usize).saturating_mul(BLOCK_HEADS).max(BLOCK_LEAST);
        if block.bytes.len().saturating_add(payload.len()) > most {
            return Err(Error::Calm);
        }
        block.bytes.extend_from_slice(payload);
        if frame.has(frame::END_HEADERS) {
            return self.head(block.stream, block.ends, &block.bytes, now);
        }
        self.input.block = Some(block);
        Ok(())
    }

    /// A header block is whole.
    fn head(&mut self, id: u32, ends: bool, block: &[u8], now: Instant) -> Result<(), Error> {
        let known = self.table.known(id);
        let mut draft = Draft::new(self.options.head_bytes);
        let mut trailers = Ok(());
        let read = self.decoder.decode(block, |name, value| {
            if known == Known::Idle {
                draft.push(name, value);
            } else if !is_field(name, value) {
                trailers = Err(Malformed);
            }
        });
        read.map_err(|_| Error::Protocol(Reason::COMPRESSION_ERROR))?;
        match known {
            Known::Idle => self.open(id, ends, draft.finish(), now),
            Known::Here => self.trailers(id, ends, trailers, now),
            Known::Reset => Ok(()),
            Known::Closed => Err(Error::Protocol(Reason::STREAM_CLOSED)),
            Known::Passed => Err(Error::Protocol(Reason::PROTOCOL_ERROR)),
        }
    }

    fn open(
        &mut self,
        id: u32,
        ends: bool,
        head: Result<Head, Malformed>,
        now: Instant,
    ) -> Result<(), Error> {
        self.table.use_up(id);
        if let Stage::Left { .. } = self.stage {
            // The peer knows that nobody looks at it.
            self.table.excuse(id);
            return Ok(());
        }
        if self.table.open_count() >= self.options.streams as usize {
            return self.reject(id, Rejected::Refused, now);
        }
        let Ok(head) = head else { return self.reject(id, Rejected::Protocol, now) };
        let windows = (self.options.stream_window, self.peer.stream_window);
        self.table.add(Entry::new(id, ends, head.content_length(), windows));
        self.ready.push_back((id, head, ends));
        Ok(())
    }

    /// Trailers go no further.
    fn trailers(
        &mut self,
        id: u32,
        ends: bool,
        verdict: Result<(), Malformed>,
        now: Instant,
    ) -> Result<(), Error> {
        let Some(entry) = self.table.get(id) else { return Ok(()) };
        match (entry.gone, entry.incoming) {
            (Some(Gone::Over), _) => Ok(()),
            (Some(Gone::Reset(_)), _) | (None, Incoming::Ended) => {
                Err(Error::Protocol(Reason::STREAM_CLOSED))
            }
            (None, Incoming::Open) if !ends || verdict.is_err() => self.reject(id, Rejected::Protocol, now),
            (None, Incoming::Open) => self.end_of_body(id, now),
        }
    }

    /// A `DATA` frame has begun: it counts with its padding.
    fn take_window(&mut self, frame: Frame, now: Instant) -> Result<(), Error> {
        let known = self.table.known(frame.stream);
        if known == Known::Idle {
            return Err(Error::Protocol(Reason::PROTOCOL_ERROR));
        }
        let length = i64::from(frame.length);
        if length > self.window_in {
            return Err(Error::Protocol(Reason::FLOW_CONTROL_ERROR));
        }
        self.window_in -= length;
        let Some(entry) = self.table.get(frame.stream) else {
            return match known {
                Known::Closed | Known::Passed => self.reject(frame.stream, Rejected::Closed, now),
                _ => Ok(()),
            };
        };
        match (entry.gone, entry.incoming) {
            (Some(Gone::Over), _) => Ok(()),
            (Some(Gone::Reset(_)), _) => Err(Error::Protocol(Reason::STREAM_CLOSED)),
            (None, Incoming::Ended) => self.reject(frame.stream, Rejected::Closed, now),
            (None, Incoming::Open) if length > entry.window_in => {
                self.reject(frame.stream, Rejected::FlowControl, now)
            }
            (None, Incoming::Open) => {
                entry.window_in -= length;
                Ok(())
            }
        }
    }

    /// It is known how much content a `DATA` frame has.
    pub(crate) fn data(
        &mut self,
        frame: Frame,
        content: u32,
        padding: u32,
        now: Instant,
    ) -> Result<(), Error> {
        let (stream, ends) = (frame.stream, frame.has(frame::END_STREAM));
        if content == 0 && !ends {
            self.meter.received_empty_data(now).map_err(Error::Flood)?;
        }
        let too_much = self.table.get(stream).is_some_and(|entry| match &mut entry.declared {
            Some(left) if entry.gone.is_none() => match left.checked_sub(content.into()) {
                Some(less) => {
                    *left = less;
                    false
                }
                None => true,
            },
            _ => false,
        });
        if too_much {
            self.reject(stream, Rejected::Protocol, now)?;
        }
        let data = Data { stream, content, padding, ends };
        self.input.reading = Reading::Data(data);
        if content == 0 && padding == 0 { self.end_of_data(data, now) } else { Ok(()) }
    }

    /// A piece of a body.
    pub(crate) fn deliver(&mut self, id: u32, content: &[u8]) {
        if content.is_empty() {
            return;
        }
        let length = content.len() as u32;
        match self.table.get(id) {
            Some(entry) if entry.gone.is_none() => {
                entry.body.extend_from_slice(content);
                entry.held = entry.held.saturating_add(length);
                entry.wake();
            }
            _ => self.release(length),
        }
    }

    /// Gives back room that was taken by nothing that anybody reads.
    pub(crate) fn credit(&mut self, id: u32, bytes: u32) {
        if bytes > 0 {
            self.release(bytes);
            self.release_on(id, bytes);
        }
    }

    pub(crate) fn end_of_data(&mut self, data: Data, now: Instant) -> Result<(), Error> {
        self.input.reading = Reading::Header;
        if data.ends { self.end_of_body(data.stream, now) } else { Ok(()) }
    }

    fn end_of_body(&mut self, id: u32, now: Instant) -> Result<(), Error> {
        let Some(entry) = self.table.get(id) else { return Ok(()) };
        if entry.gone.is_some() {
            return Ok(());
        }
        if entry.declared.is_some_and(|left| left > 0) {
            return self.reject(id, Rejected::Protocol, now);
        }
        entry.incoming = Incoming::Ended;
        entry.wake();
        Ok(())
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), Error> {
        for setting in frame::settings(payload) {
            match setting {
                Setting::Push(0 | 1) | Setting::Other => {}
                Setting::Push(_) => return Err(Error::Protocol(Reason::PROTOCOL_ERROR)),
                Setting::Window(window) if window > frame::MOST => {
                    return Err(Error::Protocol(Reason::FLOW_CONTROL_ERROR));
                }
                Setting::Window(window) => {
                    let more = i64::from(window) - self.peer.stream_window;
                    self.peer.stream_window = window.into();
                    for entry in self.table.iter_mut() {
                        entry.window_out = entry.window_out.saturating_add(more);
                        if entry.window_out > frame::MOST.into() {
                            return Err(Error::Protocol(Reason::FLOW_CONTROL_ERROR));
                        }
                    }
                    self.wake_waiting();
                }
                // Ours are no larger than anybody may send.
                Setting::Frame(frame::FRAME_MOST..=LARGEST_FRAME) => {}
                Setting::Frame(_) => return Err(Error::Protocol(Reason::PROTOCOL_ERROR)),
            }
        }
        frame::header(self.output.end(), frame::SETTINGS, frame::ACK, 0, 0);
        Ok(())
    }

    fn ping(&mut self, frame: Frame, payload: &[u8]) {
        if !frame.has(frame::ACK) {
            frame::whole(self.output.end(), frame::PING, frame::ACK, 0, payload);
        } else if *payload == LAST_CALL {
            self.leave_for_good();
        }
    }

    fn window_update(&mut self, id: u32, more: u32, now: Instant) -> Result<(), Error> {
        if id == 0 {
            if more == 0 {
                return Err(Error::Protocol(Reason::PROTOCOL_ERROR));
            }
            self.window_out = self.window_out.saturating_add(more.into());
            if self.window_out > frame::MOST.into() {
                return Err(Error::Protocol(Reason::FLOW_CONTROL_ERROR));
            }
            self.wake_waiting();
            return Ok(());
        }
        match self.table.known(id) {
            Known::Idle => return Err(Error::Protocol(Reason::PROTOCOL_ERROR)),
            Known::Here => {}
            Known::Reset | Known::Closed | Known::Passed => return Ok(()),
        }
        let Some(entry) = self.table.get(id).filter(|entry| entry.gone.is_none()) else { return Ok(()) };
        entry.window_out = entry.window_out.saturating_add(more.into());
        if more == 0 {
            return self.reject(id, Rejected::Protocol, now);
        }
        if entry.window_out > frame::MOST.into() {
            return self.reject(id, Rejected::FlowControl, now);
        }
        self.wake_one(id);
        Ok(())
    }
}

/// The piece of a header block in a `HEADERS` frame; `None` where padding or priority do not fit.
fn block_of(frame: Frame, mut payload: &[u8]) -> Option<&[u8]> {
    let mut padding = 0;
    if frame.has(frame::PADDED) {
        let (length, rest) = payload.split_first()?;
        (padding, payload) = (usize::from(*length), rest);
    }
    if frame.has(frame::PRIORITY) {
        payload = payload.get(5..)?;
    }
    payload.get(..payload.len().checked_sub(padding)?)
}

/// A header block may be so many times as long as the head that it may say, before the connection ends: who sends a
/// head that is too large is answered.
const BLOCK_HEADS: usize = 4;
/// Bytes that it may have in any case.
const BLOCK_LEAST: usize = 64 * 1024;
/// RFC 9113 section 4.2.
const LARGEST_FRAME: u32 = (1 << 24) - 1;
