//! A stream as the task sees it that serves its request.

use crate::error::{Gone, Reason};
use crate::state::Shared;
use crate::table::Incoming;
use bytes::Bytes;
use std::fmt;
use std::task::{Context, Poll};

/// One stream: a body in, a response out. Polled by one task at a time.
///
/// Dropped before its response has ended, the stream is reset (`CANCEL`); dropped before its body has, it is too
/// (`NO_ERROR`, RFC 9113 section 8.1).
pub struct Stream {
    shared: Shared,
    id: u32,
}

impl Stream {
    pub(crate) fn new(shared: Shared, id: u32) -> Self {
        Self { shared, id }
    }

    /// Whether the peer has ended its body and all of it was read.
    pub fn is_body_read(&self) -> bool {
        let state = self.shared.lock();
        state
            .table
            .peek(self.id)
            .is_none_or(|entry| entry.incoming == Incoming::Ended && entry.body.is_empty())
    }

    /// The next piece of the body; `None` at its end. Trailers are dropped.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Gone>>> {
        let mut state = self.shared.lock();
        let Some(entry) = state.table.get(self.id) else { return Poll::Ready(Some(Err(Gone::Over))) };
        if let Some(gone) = entry.gone {
            return Poll::Ready(Some(Err(gone)));
        }
        if !entry.body.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut entry.body).freeze())));
        }
        if entry.incoming == Incoming::Ended {
            return Poll::Ready(None);
        }
        entry.watch(cx);
        Poll::Pending
    }

    /// Lets the peer send `bytes` more, of those that [`poll_body`](Self::poll_body) gave.
    pub fn release(&mut self, bytes: usize) {
        self.shared.lock().release_body(self.id, bytes);
    }

    /// Ready when the stream is gone.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        let mut state = self.shared.lock();
        let Some(entry) = state.table.get(self.id) else { return Poll::Ready(Gone::Over) };
        if let Some(gone) = entry.gone {
            return Poll::Ready(gone);
        }
        entry.watch(cx);
        Poll::Pending
    }

    /// Sends a head. One of status 1xx goes before that of the response, and does not end it.
    ///
    /// Names may be in any case; they are sent in lower case.
    ///
    /// # Errors
    /// When the stream is gone, or the head was sent before.
    pub fn send_head<'f>(
        &mut self,
        status: u16,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        end: bool,
    ) -> Result<(), Gone> {
        self.shared.lock().send_head(self.id, status, fields, end)
    }

    /// Sends as much of `data` as the peer and the connection have room for, and says how much that was; the end goes
    /// with the last of it. Without data the end needs no room.
    ///
    /// # Errors
    /// When the stream is gone, or its response has not begun or has ended.
    pub fn poll_send(&mut self, data: &[u8], end: bool, cx: &mut Context<'_>) -> Poll<Result<usize, Gone>> {
        self.shared.lock().poll_send(self.id, data, end, cx)
    }

    /// Sends all that is left of the response as there is room, whether or not somebody waits for it: for what is short.
    ///
    /// # Errors
    /// When the stream is gone, or its response has not begun or has ended.
    pub fn send_last(&mut self, data: Vec<u8>) -> Result<(), Gone> {
        self.shared.lock().send_last(self.id, data)
    }

    /// Sends trailers, which end the response.
    ///
    /// # Errors
    /// When the stream is gone, or its response has not begun or has ended.
    pub fn send_trailers<'f>(
        &mut self,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<(), Gone> {
        self.shared.lock().send_trailers(self.id, fields)
    }

    /// Ends the stream now, behind what was sent.
    pub fn reset(&mut self, reason: Reason) {
        self.shared.lock().reset(self.id, reason);
    }

    /// Whether the peer may send nothing of any body until something is released: other streams hold it all.
    pub fn is_starved(&self) -> bool {
        let state = self.shared.lock();
        state.window_in <= 0 && state.input.is_between()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.lock().abandon(self.id);
    }
}
