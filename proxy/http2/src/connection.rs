//! The connection as the task sees it that owns the socket.

use crate::error::{Error, Reason};
use crate::head::Head;
use crate::rejected::Rejected;
use crate::state::{Shared, Stage, State};
use crate::stream::Stream;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::task::Context;
use weir_limits::Instant;

/// What a client may do.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Streams at once (`SETTINGS_MAX_CONCURRENT_STREAMS`).
    pub streams: u32,
    /// Bytes of a head, each field with 32 bytes more than it has (`SETTINGS_MAX_HEADER_LIST_SIZE`).
    pub head_bytes: u32,
    /// Bytes of a body that a client may send before they are released (`SETTINGS_INITIAL_WINDOW_SIZE`); at most 2³¹-1.
    pub stream_window: u32,
    /// The same for all streams together; from 65,535 to 2³¹-1.
    pub connection_window: u32,
}

/// One connection.
pub struct Connection {
    shared: Shared,
}

/// A request of a client.
#[derive(Debug)]
pub struct Request {
    /// Its head.
    pub head: Head,
    /// Whether that is all.
    pub ended: bool,
    /// Where its body comes from and its response goes.
    pub stream: Stream,
}

impl Connection {
    /// A connection of which nothing was read, not even the preface. Our settings wait to be written.
    pub fn new(options: Options, now: Instant) -> Self {
        Self { shared: Arc::new(Mutex::new(State::new(options, now))) }
    }

    /// Takes what the peer sent, cut anywhere. After an error nothing more is taken, and the goodbye waits to be written.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub fn receive(&self, bytes: &[u8], now: Instant) -> Result<(), Error> {
        self.shared.lock().receive(bytes, now)
    }

    /// Whether the client's preface has come.
    pub fn has_begun(&self) -> bool {
        self.shared.lock().input.has_begun()
    }

    /// The next request that nobody took up yet.
    pub fn next_request(&self) -> Option<Request> {
        self.shared.lock().next_request(&self.shared)
    }

    /// Whether more should be read: not while the peer leaves too much unread of what answers it.
    pub fn wants_input(&self) -> bool {
        let state = self.shared.lock();
        state.stage != Stage::Ended && state.output.rest().len() < OUTPUT_UNREAD
    }

    /// Hands what waits to be written to `write`, which says how much of it was taken. `None` when nothing waits.
    pub fn write<T>(&self, write: impl FnOnce(&[u8]) -> (usize, T)) -> Option<T> {
        let mut state = self.shared.lock();
        if state.output.rest().is_empty() {
            return None;
        }
        let (count, told) = write(state.output.rest());
        state.wrote(count);
        Some(told)
    }

    /// Wakes the task of `cx` when a stream has something to be written, or has ended.
    pub fn watch(&self, cx: &Context<'_>) {
        let mut state = self.shared.lock();
        match &mut state.task {
            Some(task) => task.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Whether a header block has begun that is not yet whole: nothing else can pass until it is.
    pub fn is_in_head(&self) -> bool {
        self.shared.lock().input.is_in_head()
    }

    /// How many streams were ended for which fault of the client, since it was asked last.
    pub fn take_rejected(&self) -> impl Iterator<Item = (Rejected, u32)> + use<> {
        let counts = std::mem::take(&mut self.shared.lock().rejected);
        Rejected::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// A request was taken up: an honest peer earns more of what is metered.
    pub fn accepted(&self) {
        self.shared.lock().meter.accepted();
    }

    /// Tells the peer that there will be no more requests (RFC 9113 section 6.8: first that, and once it has heard it,
    /// which was the last). Those under way are finished.
    pub fn leave(&self) {
        self.shared.lock().leave();
    }

    /// Whether the peer has heard the goodbye, or said one, and no stream is left, and nothing waits to be written.
    pub fn is_over(&self) -> bool {
        self.shared.lock().is_over()
    }

    /// The last word: `GOAWAY`. All streams are gone.
    pub fn end(&self, reason: Reason) {
        self.shared.lock().end(reason);
    }

    #[cfg(test)]
    pub(crate) fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Drop for Connection {
    /// Streams that outlive their connection are gone.
    fn drop(&mut self) {
        self.shared.lock().close();
    }
}

/// Bytes that wait to be written, beyond which streams wait with their data.
pub const OUTPUT_MOST: usize = 64 * 1024;
/// Bytes that wait to be written, beyond which nothing more is read.
const OUTPUT_UNREAD: usize = 2 * OUTPUT_MOST;
