//! The state that all tasks of a connection share, and what they do with it in common.

use crate::connection::{Options, Request};
use crate::error::{Error, Gone, Reason};
use crate::frame;
use crate::head::Head;
use crate::hpack::{Decoder, Encoder};
use crate::input::Input;
use crate::meter::Meter;
use crate::output::Output;
use crate::rejected::Rejected;
use crate::stream::Stream;
use crate::table::{Incoming, Outgoing, Owner, Table};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use weir_limits::Instant;

pub(crate) type Shared = Arc<Mutex<State>>;

pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) input: Input,
    pub(crate) decoder: Decoder,
    pub(crate) encoder: Encoder,
    pub(crate) meter: Meter,
    pub(crate) output: Output,
    pub(crate) table: Table,
    /// Requests that nobody took up.
    pub(crate) ready: VecDeque<(u32, Head, bool)>,
    pub(crate) peer: Peer,
    /// Bytes of bodies that the peer may send, all streams together.
    pub(crate) window_in: i64,
    /// Bytes that were released since the peer was told of them.
    pub(crate) released: u32,
    /// Bytes of bodies that we may send, all streams together.
    pub(crate) window_out: i64,
    /// Streams that wait for room, the longest first.
    pub(crate) waiting: VecDeque<u32>,
    pub(crate) rejected: [u32; Rejected::ALL.len()],
    pub(crate) stage: Stage,
    /// The task that owns the socket.
    pub(crate) task: Option<Waker>,
}

/// What the peer has said of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) stream_window: i64,
    pub(crate) leaves: bool,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// New streams are welcome.
    Open,
    /// The peer is told that there will be no more, but streams that it opened before it knew are served.
    Leaving,
    /// The peer knows which stream was the last.
    Left { last: u32 },
    /// The last word was said.
    Ended,
}

impl State {
    pub(crate) fn new(options: Options, now: Instant) -> Self {
        let mut state = Self {
            options,
            input: Input::new(),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            meter: Meter::new(now),
            output: Output::default(),
            table: Table::default(),
            ready: VecDeque::new(),
            peer: Peer { stream_window: DEFAULT_WINDOW, leaves: false },
            window_in: DEFAULT_WINDOW,
            released: 0,
            window_out: DEFAULT_WINDOW,
            waiting: VecDeque::new(),
            rejected: Default::default(),
            stage: Stage::Open,
            task: None,
        };
        let mut settings = Vec::with_capacity(3 * 6);
        for (id, value) in [(3_u16, options.streams), (4, options.stream_window), (6, options.head_bytes)] {
            settings.extend_from_slice(&id.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        frame::whole(state.output.end(), frame::SETTINGS, 0, 0, &settings);
        let more = i64::from(options.connection_window).saturating_sub(DEFAULT_WINDOW);
        if let Ok(more @ 1..) = u32::try_from(more) {
            state.released = more;
            state.tell_released();
        }
        state
    }

    /// The next request that nobody took up, for a handle that shares this state.
    pub(crate) fn next_request(&mut self, shared: &Shared) -> Option<Request> {
        let (id, head, ended) = self.ready.pop_front()?;
        if self.ready.is_empty() {
            self.ready = VecDeque::new();
        }
        Some(Request { head, ended, stream: Stream::new(shared.clone(), id) })
    }

    /// Whether there was a goodbye that the peer knows of, and no stream is left.
    pub(crate) fn is_over(&self) -> bool {
        let is_leaving = self.peer.leaves || matches!(self.stage, Stage::Left { .. } | Stage::Ended);
        is_leaving && self.table.is_empty() && self.output.rest().is_empty()
    }

    pub(crate) fn leave(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Leaving;
            frame::goaway(self.output.end(), frame::MOST, Reason::NO_ERROR);
            frame::whole(self.output.end(), frame::PING, 0, 0, &LAST_CALL);
        }
    }

    /// The peer has read all that we said before the last call.
    pub(crate) fn leave_for_good(&mut self) {
        if self.stage == Stage::Leaving {
            let last = self.table.last();
            self.stage = Stage::Left { last };
            frame::goaway(self.output.end(), last, Reason::NO_ERROR);
        }
    }

    /// The last word.
    pub(crate) fn end(&mut self, reason: Reason) {
        if self.stage != Stage::Ended {
            let last = self.table.last();
            frame::goaway(self.output.end(), last, reason);
        }
        self.close();
    }

    /// All streams are gone: the connection is over.
    pub(crate) fn close(&mut self) {
        self.stage = Stage::Ended;
        self.table.iter_mut().for_each(|entry| entry.go(Gone::Over));
    }

    /// The connection cannot go on, and the peer is told.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.end(match error {
            Error::Protocol(reason) => reason,
            Error::Flood(_) | Error::Calm => Reason::ENHANCE_YOUR_CALM,
        });
        error
    }

    /// Ends a stream from this side, at once.
    pub(crate) fn reset(&mut self, id: u32, reason: Reason) {
        if let Some(entry) = self.table.get(id) {
            if entry.gone.is_some() {
                return;
            }
            entry.go(Gone::Over);
        }
        frame::whole(self.output.end(), frame::RST_STREAM, 0, id, &reason.0.to_be_bytes());
        self.table.excuse(id);
        self.wake_task();
    }

    /// The peer broke the rules of a stream.
    pub(crate) fn reject(&mut self, id: u32, rejected: Rejected, now: Instant) -> Result<(), Error> {
        if let Some(count) = self.rejected.get_mut(rejected as usize) {
            *count = count.saturating_add(1);
        }
        self.reset(id, rejected.reason());
        match rejected {
            // What was not looked at is bounded by the number of heads.
            Rejected::Refused => Ok(()),
            _ => self.meter.faulted(now).map_err(|_| Error::Calm),
        }
    }

    /// A stream's handle was dropped.
    pub(crate) fn abandon(&mut self, id: u32) {
        let Some(entry) = self.table.get(id) else { return };
        if entry.gone.is_none() && !entry.last.is_empty() {
            entry.owner = Owner::Nobody;
            return;
        }
        let reason = match (entry.gone, entry.outgoing, entry.incoming) {
            (Some(_), ..) | (None, Outgoing::Ended, Incoming::Ended) => None,
            (None, Outgoing::Ended, Incoming::Open) => Some(Reason::NO_ERROR),
            (None, ..) => Some(Reason::CANCEL),
        };
        if let Some(reason) = reason {
            self.reset(id, reason);
        }
        self.forget(id);
    }

    /// Lets go of a stream that is over, and of the room that its body took.
    pub(crate) fn forget(&mut self, id: u32) {
        if let Some(entry) = self.table.remove(id) {
            self.release(entry.held);
        }
        self.wake_task();
    }

    /// Lets the peer send `bytes` more, on whatever stream.
    pub(crate) fn release(&mut self, bytes: u32) {
        self.released = self.released.saturating_add(bytes);
        if self.released.saturating_mul(2) >= self.options.connection_window {
            self.tell_released();
        }
    }

    fn tell_released(&mut self) {
        let bytes = std::mem::take(&mut self.released);
        if bytes > 0 && self.stage != Stage::Ended {
            self.window_in = self.window_in.saturating_add(bytes.into());
            frame::whole(self.output.end(), frame::WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes());
            self.wake_task();
        }
    }

    pub(crate) fn wake_task(&mut self) {
        self.task.take().into_iter().for_each(Waker::wake);
    }
}

/// The window before anybody says anything else (RFC 9113 section 6.9.2).
const DEFAULT_WINDOW: i64 = 65_535;
/// What the `PING` behind the first goodbye holds.
pub(crate) const LAST_CALL: [u8; 8] = *b"lastcall";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_streams_holds_no_buffer() {
        assert!(size_of::<State>() < 1024, "{}", size_of::<State>());
        let connection = crate::Connection::new(
            Options { streams: 9, head_bytes: 9000, stream_window: 70_000, connection_window: 70_000 },
            Instant::START,
        );
        let mut bytes = frame::PREFACE.to_vec();
        frame::header(&mut bytes, frame::SETTINGS, 0, 0, 0);
        for id in [1, 3, 5] {
            let mut block = Vec::new();
            let encoder = Encoder::new();
            for (name, value) in
                [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
            {
                encoder.field(&mut block, name.as_bytes(), value.as_bytes());
            }
            frame::head(&mut bytes, id, false, &block, 10);
            frame::whole(&mut bytes, frame::DATA, frame::END_STREAM, id, &[b'x'; 1000]);
        }
        bytes.chunks(7).for_each(|some| connection.receive(some, Instant::START).unwrap());
        while let Some(mut request) = connection.next_request() {
            request.stream.send_head(200, [], false).unwrap();
            request.stream.send_last(vec![b'x'; 1000]).unwrap();
        }
        while connection.write(|bytes| (bytes.len().min(100), ())).is_some() {}
        let state = connection.lock();
        assert!(state.table.is_empty() && state.ready.is_empty());
        let held = [
            state.table.capacity(),
            state.ready.capacity(),
            state.waiting.capacity(),
            state.output.capacity(),
            state.input.capacity(),
        ];
        assert_eq!(held, [0; 5]);
    }
    #[test]
    fn a_stream_waits_in_one_place() {
        let options =
            Options { streams: 9, head_bytes: 9000, stream_window: 70_000, connection_window: 70_000 };
        let mut state = State::new(options, Instant::START);
        let cx = std::task::Context::from_waker(Waker::noop());
        state.window_out = 0;
        state.table.add(crate::table::Entry::new(1, true, None, (9, 9)));
        state.send_head(1, 200, [], false).unwrap();
        for _ in 0..9 {
            assert!(state.poll_send(1, b"x", true, &cx).is_pending());
            state.wake_one(1);
        }
        assert_eq!(state.waiting, [1]);
        state.window_out = 1;
        state.wake_waiting();
        assert_eq!(state.poll_send(1, b"x", true, &cx), std::task::Poll::Ready(Ok(1)));
        assert!(state.waiting.is_empty());
    }
}
