//! The client's connection as pingora sees it during one request: exactly one message in, any bytes out.
//!
//! Our own framing ends the message, so pingora never holds a byte of the next one, and a body that the two of us would
//! read differently is broken off here. What comes behind the message is kept for our loop. Pingora drops the stream
//! without a word on most paths; the socket then goes back through [`Returned`].

use crate::conn::Stop;
use crate::lane::pingora::flight::{Fault, Flight};
use crate::lane::pingora::strict::BodyLength;
use crate::lane::wire::{Chunks, Progress};
use crate::pace::{Armed, BodyClock};
use crate::socket::Socket;
use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A client connection lent to pingora for one request.
pub(crate) struct LentStream {
    socket: Option<Socket>, // taken on drop
    ahead: Vec<u8>,         // bytes of this message received before
    ahead_at: usize,
    rest: Rest,
    next: Vec<u8>,
    out: Vec<u8>,
    out_at: usize,
    owes: bool, // whether the socket was given bytes that it may still hold
    body_clock: BodyClock,
    write_deadline: Armed,
    bytes_in: u64,
    bytes_out: u64,
    flight: Arc<Flight>,
    digest: Arc<ProxyDigest>,
    socket_digest: Arc<SocketDigest>,
}

/// What comes back when pingora is done with a connection.
#[derive(Debug)]
pub(crate) struct Returned {
    /// The socket.
    pub(crate) socket: Socket,
    /// Bytes that pingora wrote and the socket has not taken yet.
    pub(crate) unsent: Vec<u8>,
    /// Bytes received behind the message.
    pub(crate) next: Vec<u8>,
    /// Whether the message was received to its end.
    pub(crate) received: Received,
    /// Bytes of the message that were received.
    pub(crate) bytes_in: u64,
    /// Bytes sent.
    pub(crate) bytes_out: u64,
}

/// How much of a request message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// All of it.
    Whole,
    /// Not its end.
    Part,
}

/// What of the message is still to come from the socket.
#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunks(Chunks),
    Nothing,
}

impl LentStream {
    /// Lends `socket`, of which `received` was read already: a whole head of `head` bytes with its target at `target`,
    /// and whatever followed it.
    ///
    /// # Errors
    /// When what followed is no chunked body although it should be one.
    pub(crate) fn new(
        socket: Socket,
        received: Vec<u8>,
        head: usize,
        target: Range<usize>,
        body: BodyLength,
        flight: Arc<Flight>,
    ) -> Result<Self, (Socket, MalformedBody)> {
        let mut ahead = received;
        let Ok((rest, end)) = split(&ahead, head, body) else { return Err((socket, MalformedBody)) };
        let next = ahead.split_off(end);
        // What the origin gets as its target is in the plan.
        ahead.splice(target, *b"/");
        let socket_digest = SocketDigest::from_raw_fd(socket.as_raw_fd());
        let _ = socket_digest.peer_addr.set(Some(flight.plan.peer.into()));
        let digest = flight.digest();
        Ok(Self {
            bytes_in: end as u64,
            bytes_out: 0,
            socket: Some(socket),
            ahead,
            ahead_at: 0,
            rest,
            next,
            out: Vec::new(),
            out_at: 0,
            owes: false,
            body_clock: BodyClock::new(flight.plan.body_timeout, flight.plan.body_speed),
            write_deadline: Armed::new(),
            digest: Arc::new(digest),
            socket_digest: Arc::new(socket_digest),
            flight,
        })
    }

    /// Reads what belongs to the message.
    fn poll_message(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let Some(socket) = self.socket.as_mut() else { return Poll::Ready(Err(gone())) };
        let polled = match &mut self.rest {
            Rest::Nothing => return self.poll_end(cx),
            Rest::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.remaining());
                if most == buf.remaining() {
                    Pin::new(socket).poll_read(cx, buf)
                } else {
                    let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
                    let polled = Pin::new(socket).poll_read(cx, &mut part);
                    let got = part.filled().len();
                    buf.advance(got);
                    polled
                }
            }
            Rest::Chunks(_) => Pin::new(socket).poll_read(cx, buf),
        };
        if polled.is_pending() {
            if self.flight.awaits_continue() {
                return Poll::Pending;
            }
            return match self.body_clock.is_late(self.flight.now(), self.flight.talk(), cx) {
                true => Poll::Ready(Err(self.fail(Fault::BodyTimeout, io::ErrorKind::TimedOut))),
                false => Poll::Pending,
            };
        }
        let got = buf.filled().len() - before;
        self.body_clock.got(got, self.flight.now());
        ready!(polled).inspect_err(|error| self.flight.note_gone(Stop::of(error)))?;
        if got == 0 {
            self.flight.note_gone(Stop::End);
        }
        self.take(before, buf)
    }

    /// Counts what was just read, and takes out of it what is behind the message.
    fn take(&mut self, before: usize, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let got = buf.filled().get(before..).unwrap_or_default();
        let mut own = got.len();
        match &mut self.rest {
            Rest::Nothing => {}
            Rest::Length(left) => {
                *left = left.saturating_sub(got.len() as u64);
                if *left == 0 {
                    self.rest = Rest::Nothing;
                }
            }
            Rest::Chunks(chunks) => match chunks.feed(got) {
                Ok(Progress::More) => {}
                Ok(Progress::End(end)) => {
                    own = end;
                    self.next.extend_from_slice(got.get(end..).unwrap_or_default());
                    self.rest = Rest::Nothing;
                }
                Err(_) => {
                    buf.set_filled(before);
                    return Poll::Ready(Err(self.fail(Fault::MalformedBody, io::ErrorKind::InvalidData)));
                }
            },
        }
        self.bytes_in += own as u64;
        buf.set_filled(before + own);
        Poll::Ready(Ok(()))
    }

    /// The message is over: waits for the client to go away, and keeps what it sends meanwhile.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(socket) = self.socket.as_mut() else { return Poll::Ready(Err(gone())) };
        loop {
            // Enough for a pipelined head. With more than that we stop listening until the response is out.
            if self.next.len() >= MOST_NEXT {
                return Poll::Pending;
            }
            let mut block = [0; PROBE];
            let mut probe = ReadBuf::new(&mut block);
            ready!(Pin::new(&mut *socket).poll_read(cx, &mut probe))
                .inspect_err(|error| self.flight.note_gone(Stop::of(error)))?;
            if probe.filled().is_empty() {
                self.flight.note_gone(Stop::End);
                return Poll::Ready(Ok(()));
            }
            self.next.extend_from_slice(probe.filled());
        }
    }

    /// An upgraded connection: bytes as they come, those first that came too early.
    fn poll_upgraded(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.next.is_empty() {
            self.ahead = std::mem::take(&mut self.next);
            self.ahead_at = 0;
            self.bytes_in += self.ahead.len() as u64;
            self.give_ahead(buf);
            return Poll::Ready(Ok(()));
        }
        let Some(socket) = self.socket.as_mut() else { return Poll::Ready(Err(gone())) };
        let before = buf.filled().len();
        ready!(Pin::new(socket).poll_read(cx, buf))?;
        self.bytes_in += (buf.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }

    fn give_ahead(&mut self, buf: &mut ReadBuf<'_>) {
        let ahead = self.ahead.get(self.ahead_at..).unwrap_or_default();
        let (now, _) = ahead.split_at(ahead.len().min(buf.remaining()));
        buf.put_slice(now);
        self.ahead_at += now.len();
        if self.ahead_at == self.ahead.len() {
            // A connection may stay long after its head; an upgraded one for hours.
            self.ahead = Vec::new();
            self.ahead_at = 0;
        }
    }

    fn has_ahead(&self) -> bool {
        self.ahead_at < self.ahead.len()
    }

    /// Sends what is buffered, then `more`. Ready with the bytes of `more` that were taken, once the buffer is empty.
    fn poll_send(&mut self, cx: &mut Context<'_>, more: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let held = self.out.get(self.out_at..).unwrap_or_default();
            let Some(socket) = self.socket.as_mut() else { return Poll::Ready(Err(gone())) };
            if held.is_empty() && more.iter().all(|slice| slice.is_empty()) {
                let Poll::Ready(flushed) = Pin::new(socket).poll_flush(cx) else {
                    return self.wait_for_room(cx);
                };
                self.write_deadline.disarm();
                self.out.clear();
                self.out_at = 0;
                self.owes = false;
                return Poll::Ready(flushed.map(|()| 0));
            }
            self.owes = true;
            let mut slices = [IoSlice::new(&[]); MOST_SLICES];
            let mut count = 0;
            let held_slice = IoSlice::new(held);
            for (slot, slice) in slices.iter_mut().zip(std::iter::once(&held_slice).chain(more)) {
                *slot = IoSlice::new(slice);
                count += 1;
            }
            let slices = slices.get(..count).unwrap_or_default();
            let Poll::Ready(sent) = Pin::new(socket).poll_write_vectored(cx, slices) else {
                return self.wait_for_room(cx);
            };
            let sent = sent.inspect_err(|error| self.flight.note_gone(Stop::of(error)))?;
            self.write_deadline.pay(sent);
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_held = sent.min(held.len());
            let all_held = of_held == held.len();
            self.out_at += of_held;
            if all_held && sent > of_held {
                // With a part of it the client still owes us what it was to take in this period.
                if sent - of_held == more.iter().map(|slice| slice.len()).sum::<usize>() {
                    self.write_deadline.disarm();
                }
                self.out.clear();
                self.out_at = 0;
                return Poll::Ready(Ok(sent - of_held));
            }
        }
    }

    /// As [`poll_send`](Self::poll_send), for pingora, which reads nothing until this is ready.
    fn poll_write_out(&mut self, cx: &mut Context<'_>, more: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = self.poll_send(cx, more);
        if polled.is_pending() {
            self.body_clock.rest(self.flight.now());
        }
        polled
    }

    fn wait_for_room(&mut self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        match self.write_deadline.late(self.flight.plan.write_timeout, cx) {
            true => Poll::Ready(Err(self.fail(Fault::WriteTimeout, io::ErrorKind::TimedOut))),
            false => Poll::Pending,
        }
    }

    fn fail(&self, fault: Fault, kind: io::ErrorKind) -> io::Error {
        self.flight.note(fault);
        kind.into()
    }
}

impl AsyncRead for LentStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.has_ahead() {
            me.give_ahead(buf);
            return Poll::Ready(Ok(()));
        }
        // Pingora comes here whenever it has nothing else to do: no response byte waits for the next one.
        if (me.owes || !me.out.is_empty())
            && let Poll::Ready(Err(error)) = me.poll_send(cx, &[])
        {
            return Poll::Ready(Err(error));
        }
        if me.flight.is_upgraded() { me.poll_upgraded(cx, buf) } else { me.poll_message(cx, buf) }
    }
}

impl AsyncWrite for LentStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let offered = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if !me.flight.has_entered() {
            // Pingora's own error page. The answer will be ours.
            return Poll::Ready(Ok(offered));
        }
        let taken = if me.out.len() + offered <= MOST_HELD {
            slices.iter().for_each(|slice| me.out.extend_from_slice(slice));
            offered
        } else {
            ready!(me.poll_write_out(cx, slices))?
        };
        me.bytes_out += taken as u64;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_write_out(cx, &[]).map_ok(drop)
    }

    /// Only flushes: how the connection ends is decided when it is back with us.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl Drop for LentStream {
    fn drop(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        let mut unsent = std::mem::take(&mut self.out);
        unsent.drain(..self.out_at.min(unsent.len()));
        self.flight.give_back(Returned {
            socket,
            unsent,
            next: std::mem::take(&mut self.next),
            received: if matches!(self.rest, Rest::Nothing) { Received::Whole } else { Received::Part },
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        });
    }
}

#[async_trait]
impl Shutdown for LentStream {
    async fn shutdown(&mut self) {
        let _ = self.flush().await;
    }
}

impl UniqueID for LentStream {
    fn id(&self) -> UniqueIDType {
        self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl Ssl for LentStream {}

impl GetTimingDigest for LentStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

/// The way in which the request's [`Flight`] reaches the callbacks: pingora keeps this for connections that it made
/// through a proxy and has no use for it on this side.
impl GetProxyDigest for LentStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.digest.clone())
    }
}

impl GetSocketDigest for LentStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.socket_digest.clone())
    }
}

#[async_trait]
impl Peek for LentStream {}

impl fmt::Debug for LentStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LentStream")
            .field("peer", &self.flight.plan.peer)
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

/// The bytes behind a head that announces a chunked body are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked body")]
pub(crate) struct MalformedBody;

/// What is still to come of a message of which `data` is there, and where in `data` it ends.
fn split(data: &[u8], head: usize, body: BodyLength) -> Result<(Rest, usize), MalformedBody> {
    let behind = data.get(head..).unwrap_or_default();
    Ok(match body {
        BodyLength::Known(length) => match length.checked_sub(behind.len() as u64) {
            None | Some(0) => (Rest::Nothing, head + usize::try_from(length).unwrap_or(behind.len())),
            Some(left) => (Rest::Length(left), data.len()),
        },
        BodyLength::Chunked => {
            let mut chunks = Chunks::new();
            match chunks.feed(behind).map_err(|_| MalformedBody)? {
                Progress::More => (Rest::Chunks(chunks), data.len()),
                Progress::End(end) => (Rest::Nothing, head + end),
            }
        }
    })
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

/// Bytes kept of what a client sends behind its message.
const MOST_NEXT: usize = 16 * 1024;
/// Bytes of one look at what a client sends behind its message.
const PROBE: usize = 1024;
/// Response bytes held back until pingora waits for something.
const MOST_HELD: usize = 16 * 1024;
/// What one write takes: what is held, and the three pieces of a chunk.
const MOST_SLICES: usize = 4;
