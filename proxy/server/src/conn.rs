//! A client connection that our own loop owns: its socket, its deadline, and what was read and not yet used.

use crate::buffers;
use crate::deadline::Deadline;
use crate::lane::wire::Buffer;
use crate::pace::Toll;
use crate::socket::Socket;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client connection.
pub struct Conn {
    /// The socket.
    pub socket: Socket,
    /// Who is at its ends.
    pub info: ConnInfo,
    /// When what is awaited now comes too late. Shared by everything that this connection's task waits for, since it
    /// waits for one thing at a time.
    pub deadline: Deadline,
    /// What was read and not yet used; `None` when that is nothing.
    pub input: Option<Buffer>,
    /// What was read beyond that, by pingora's lane, and did not fit into the buffer.
    ahead: Vec<u8>,
}

/// One client connection, as the lanes see it.
#[derive(Clone, Copy, Debug)]
pub struct ConnInfo {
    /// The socket's other end, or the client that the PROXY protocol named.
    pub peer: std::net::SocketAddr,
    /// Our end, or the address that the client connected to by the word of the PROXY protocol.
    pub local: std::net::SocketAddr,
    /// The load balancer at the socket's other end, when it named the client.
    pub via: Option<std::net::IpAddr>,
    /// Plain or TLS.
    pub scheme: weir_core::facts::Scheme,
    /// Requests that were begun.
    pub requests: u32,
}

impl ConnInfo {
    /// A plain connection between these ends.
    pub fn new(peer: std::net::SocketAddr, local: std::net::SocketAddr) -> Self {
        Self { peer, local, via: None, scheme: weir_core::facts::Scheme::Http, requests: 0 }
    }

    /// The client, and the connection's other end.
    pub fn ends(&self) -> (std::net::IpAddr, std::net::IpAddr) {
        let client = self.peer.ip();
        (client, self.via.unwrap_or(client))
    }
}

/// Why a socket gives or takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The other end has closed.
    End,
    /// The connection failed.
    Fail,
    /// The deadline has passed.
    Late,
}

impl Stop {
    /// What an error of a socket means. To close TCP and not TLS before it is rude, and what many clients do.
    pub fn of(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::End } else { Self::Fail }
    }
}

impl Conn {
    /// A connection from which nothing was read yet.
    pub fn new(socket: Socket, info: ConnInfo) -> Self {
        Self::resume(socket, info, Vec::new())
    }

    /// A connection from which `read` was read and not yet used.
    pub fn resume(socket: Socket, info: ConnInfo, read: Vec<u8>) -> Self {
        let mut conn = Self { socket, info, deadline: Deadline::new(), input: None, ahead: read };
        if !conn.ahead.is_empty() {
            conn.take_ahead();
        }
        conn
    }

    /// What was read and not yet used.
    pub fn data(&self) -> &[u8] {
        self.input.as_ref().map_or(&[], Buffer::data)
    }

    /// Drops the first `n` bytes of [`data`](Self::data); with the last of them the buffer goes back.
    pub fn consume(&mut self, n: usize) {
        if let Some(buffer) = &mut self.input {
            buffer.consume(n);
            if buffer.is_empty() {
                self.input.take().into_iter().for_each(buffers::give);
            }
        }
    }

    /// Takes everything that was read and not yet used, for somebody else to go on with the socket.
    pub fn take_input(&mut self) -> Vec<u8> {
        let mut all = self.data().to_vec();
        self.consume(all.len());
        all.append(&mut self.ahead);
        all
    }

    /// Reads more, until the deadline. Returns how much.
    ///
    /// # Errors
    /// [`Stop`], also when there is no space left.
    pub async fn fill(&mut self) -> Result<usize, Stop> {
        if let Some(buffer) = &mut self.input
            && buffer.spare().is_empty()
        {
            buffer.compact();
        }
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Moves what was read ahead into the buffer, as much as fits. Returns how much.
    fn take_ahead(&mut self) -> usize {
        let buffer = self.input.get_or_insert_with(buffers::take);
        let space = buffer.spare();
        let n = space.len().min(self.ahead.len());
        for (to, from) in space.iter_mut().zip(self.ahead.drain(..n)) {
            *to = from;
        }
        buffer.advance(n);
        n
    }

    /// As [`fill`](Self::fill), without making space first.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Stop>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(match self.take_ahead() {
                0 => Err(Stop::Fail),
                n => Ok(n),
            });
        }
        match poll_read_into(&mut self.socket, &mut self.input, cx) {
            Poll::Pending if self.deadline.passed(cx) => Poll::Ready(Err(Stop::Late)),
            polled => polled,
        }
    }

    /// Writes all of `bytes`; in each `stall` some progress must be made; see [`Toll`].
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn write_all(&mut self, bytes: &[u8], stall: Duration) -> Result<(), Stop> {
        write_all(&mut self.socket, &self.deadline, bytes, stall).await
    }
}

/// Reads from `stream` behind what `cell` holds. A buffer is borrowed only for a poll that finds bytes, so that a
/// connection that waits for its next message holds none.
pub fn poll_read_into<S: AsyncRead + Unpin>(
    stream: &mut S,
    cell: &mut Option<Buffer>,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Stop>> {
    let mut buffer = cell.take().unwrap_or_else(buffers::take);
    let mut space = ReadBuf::new(buffer.spare());
    let polled = Pin::new(stream).poll_read(cx, &mut space);
    let read = space.filled().len();
    buffer.advance(read);
    if buffer.is_empty() {
        buffers::give(buffer);
    } else {
        *cell = Some(buffer);
    }
    match ready!(polled) {
        Ok(()) if read > 0 => Poll::Ready(Ok(read)),
        Ok(()) => Poll::Ready(Err(Stop::End)),
        Err(error) => Poll::Ready(Err(Stop::of(&error))),
    }
}

/// Writes all of `bytes` to `stream`; in each `stall` some progress must be made; see [`Toll`].
///
/// # Errors
/// [`Stop`].
pub async fn write_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    deadline: &Deadline,
    mut bytes: &[u8],
    stall: Duration,
) -> Result<(), Stop> {
    let mut toll = Toll::new();
    poll_fn(|cx| {
        loop {
            // TLS may hold what it has taken; a socket by itself never does.
            let polled = match bytes {
                [] => Pin::new(&mut *stream).poll_flush(cx).map_ok(|()| 0),
                _ => Pin::new(&mut *stream).poll_write(cx, bytes),
            };
            match polled {
                Poll::Ready(Ok(0)) if bytes.is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Stop::Fail)),
                Poll::Ready(Ok(n)) => {
                    bytes = bytes.get(n..).unwrap_or_default();
                    toll.pay(n);
                }
                // The deadline is not touched by a write that finds room at once, as nearly all do.
                Poll::Pending if toll.is_late(deadline, stall, cx) => return Poll::Ready(Err(Stop::Late)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline;
    use std::task::Waker;

    /// The peer reads `each` bytes a tick. Returns how it ended and after how many ticks.
    fn read_slowly(bytes: usize, each: usize) -> (Result<(), Stop>, usize) {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        let (deadline, bytes) = (Deadline::new(), vec![b'x'; bytes]);
        let cx = &mut Context::from_waker(Waker::noop());
        let mut writing = std::pin::pin!(write_all(&mut ours, &deadline, &bytes, deadline::TICK * 10));
        for tick in 0.. {
            if let Poll::Ready(ended) = writing.as_mut().poll(cx) {
                return (ended, tick);
            }
            let mut block = vec![0; each];
            let _ = Pin::new(&mut theirs).poll_read(cx, &mut ReadBuf::new(&mut block));
            deadline::sweep();
        }
        unreachable!()
    }

    #[test]
    fn a_byte_now_and_then_does_not_hold_a_connection() {
        // A period is a second here, and asks for 512 bytes.
        assert_eq!(read_slowly(10_000, 0), (Err(Stop::Late), 11));
        assert_eq!(read_slowly(10_000, 1), (Err(Stop::Late), 11));
        assert_eq!(read_slowly(10_000, 40), (Err(Stop::Late), 11));
        let (ended, ticks) = read_slowly(10_000, 60);
        assert_eq!(ended, Ok(()));
        assert!(ticks > 150, "{ticks}");
    }
}
