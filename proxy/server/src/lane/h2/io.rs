//! The socket under an HTTP/2 connection: bytes go from it into the [`Connection`], which does no I/O, and out of that
//! into it. A client that takes nothing is left.

use super::ended::Ended;
use crate::buffers;
use crate::clock::Clock;
use crate::linger;
use crate::pace::Armed;
use crate::socket::Socket;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use weir_http2::{Connection, Request};

/// A connection and its socket.
pub(super) struct Wire {
    socket: Option<Socket>, // taken on drop, and when the client has stalled
    connection: Connection,
    ahead: Vec<u8>,
    clock: Clock,
    stall: Duration,
    patience: Armed,
    flush: Flush,
    blocks: u32, // read since others had their turn
}

/// Whether the socket may hold what it has taken, as TLS does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    Due,
    Done,
}

impl Wire {
    /// `ahead` was read from `socket` before. A client that takes nothing for `stall` is left.
    pub(super) fn new(
        socket: Socket,
        ahead: Vec<u8>,
        connection: Connection,
        clock: Clock,
        stall: Duration,
    ) -> Self {
        Self {
            socket: Some(socket),
            connection,
            ahead,
            clock,
            stall,
            patience: Armed::new(),
            flush: Flush::Done,
            blocks: 0,
        }
    }

    /// The connection on it.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether nothing more will come in any direction, and all was written.
    pub(super) fn is_over(&self) -> bool {
        self.flush == Flush::Done && self.connection.is_over()
    }

    /// The next request, or why there will be none. Meanwhile what streams have to say is written.
    pub(super) fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<Request, Ended>> {
        // First of all, so that nothing is said between a look and the wish to be told.
        self.connection.watch(cx);
        if !self.ahead.is_empty() {
            let ahead = std::mem::take(&mut self.ahead);
            self.connection.receive(&ahead, self.clock.now()).map_err(Ended::of_error)?;
        }
        loop {
            // All that came at once is taken up before it is answered: the answers share a write.
            if let Some(request) = self.connection.next_request() {
                return Poll::Ready(Ok(request));
            }
            if let Poll::Ready(Err(ended)) = self.poll_write(cx) {
                return Poll::Ready(Err(ended));
            }
            // Whoever leaves much unread is not listened to until that is written.
            if !self.connection.wants_input() {
                return Poll::Pending;
            }
            if self.blocks >= MOST_BLOCKS {
                self.blocks = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(())) => self.blocks += 1,
                Poll::Ready(Err(ended)) => return Poll::Ready(Err(ended)),
                Poll::Pending => {
                    self.blocks = 0;
                    return Poll::Pending;
                }
            }
        }
    }

    /// Writes what waits; ready when nothing does any more. A client that has no room for it must make some at a least
    /// speed.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        match self.poll_drain(cx) {
            Poll::Ready(Ok(())) => {
                self.patience.disarm();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(Ended::of_io(&error))),
            Poll::Pending if self.patience.late(self.stall, cx) => {
                // It would not read our last words either.
                self.socket = None;
                Poll::Ready(Err(Ended::Stall))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(socket) = &mut self.socket else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let mut socket = Pin::new(socket);
        loop {
            let written = self.connection.write(|bytes| match socket.as_mut().poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => (0, Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(n)) => (n, Poll::Ready(Ok(n))),
                unwritten => (0, unwritten),
            });
            match written {
                Some(polled) => self.patience.pay(ready!(polled)?),
                None => break,
            }
            self.flush = Flush::Due;
        }
        if self.flush == Flush::Due {
            ready!(socket.poll_flush(cx))?;
            self.flush = Flush::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a block, which is borrowed for that only: a connection that waits holds none.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(Err(Ended::Broken)) };
        buffers::with_block(|block| {
            let mut space = ReadBuf::new(block);
            let read = ready!(Pin::new(socket).poll_read(cx, &mut space));
            Poll::Ready(match (read, space.filled()) {
                (Err(error), _) => Err(Ended::of_io(&error)),
                (Ok(()), []) => Err(Ended::Closed),
                (Ok(()), bytes) => self.connection.receive(bytes, self.clock.now()).map_err(Ended::of_error),
            })
        })
    }
}

impl Drop for Wire {
    /// A client that is still sending could not read our last words if the socket were closed at once.
    fn drop(&mut self) {
        self.socket.take().into_iter().for_each(linger::close);
    }
}

/// Blocks that are read of one client before the worker's other connections have their turn.
const MOST_BLOCKS: u32 = 4;
