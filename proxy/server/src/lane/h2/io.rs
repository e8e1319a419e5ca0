//! The socket under an HTTP/2 connection: what comes is metered before it is read, and a client that takes nothing is
//! left.

use super::meter::{Flood, Meter};
use super::rejected::Rejected;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::linger;
use crate::pace::Toll;
use crate::socket::Socket;
use parking_lot::Mutex;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the loop of a connection and its socket tell each other. Both are in one task: no lock here is waited for.
#[derive(Debug)]
pub(super) struct Gauge(Mutex<Readings>);

#[derive(Debug)]
struct Readings {
    meter: Meter,
    flood: Option<Flood>,
    stalled: bool,
}

impl Gauge {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Readings { meter: Meter::new(clock.now()), flood: None, stalled: false })))
    }

    /// What the client has sent too much of. From then on nothing more is read.
    pub(super) fn flood(&self) -> Option<Flood> {
        self.0.lock().flood
    }

    /// How many streams were ended for which fault of the client, since it was asked last.
    pub(super) fn take_rejected(&self) -> impl Iterator<Item = (Rejected, u32)> + use<> {
        self.0.lock().meter.take_rejected()
    }

    /// Whether the client has stopped taking what is sent.
    pub(super) fn is_stalled(&self) -> bool {
        self.0.lock().stalled
    }

    /// Whether the client may send nothing of any body until we have passed on what is there.
    pub(super) fn is_starved(&self) -> bool {
        self.0.lock().meter.is_starved()
    }

    /// Whether a header block has begun that is not yet whole.
    pub(super) fn is_in_head(&self) -> bool {
        self.0.lock().meter.is_in_head()
    }

    /// A stream was taken up.
    pub(super) fn accepted(&self) {
        self.0.lock().meter.accepted();
    }
}

/// The socket under an HTTP/2 connection.
pub(super) struct Metered {
    socket: Option<Socket>, // taken on drop
    ahead: Vec<u8>,
    ahead_at: usize,
    gauge: Arc<Gauge>,
    clock: Clock,
    stall: Duration,
    deadline: Deadline,
    toll: Toll,
}

impl Metered {
    /// `ahead` was read from `socket` before. A client that takes nothing for `stall` is left.
    pub(super) fn new(
        socket: Socket,
        ahead: Vec<u8>,
        gauge: Arc<Gauge>,
        clock: Clock,
        stall: Duration,
    ) -> Self {
        Self {
            socket: Some(socket),
            ahead,
            ahead_at: 0,
            gauge,
            clock,
            stall,
            deadline: Deadline::new(),
            toll: Toll::new(),
        }
    }

    fn socket(&mut self) -> io::Result<Pin<&mut Socket>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let ahead = self.ahead.get(self.ahead_at..).unwrap_or_default();
        if ahead.is_empty() {
            return self.socket()?.poll_read(cx, buf);
        }
        let (now, _) = ahead.split_at(ahead.len().min(buf.remaining()));
        buf.put_slice(now);
        self.ahead_at += now.len();
        if self.ahead_at == self.ahead.len() {
            self.ahead = Vec::new();
            self.ahead_at = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Looks at the outcome of a write: a client that has no room must take what we have at a least speed.
    fn written(&mut self, polled: Poll<io::Result<usize>>, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Pending if self.toll.is_late(&self.deadline, self.stall, cx) => {
                self.gauge.0.lock().stalled = true;
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Ready(Ok(n)) => self.toll.pay(*n),
            _ => {}
        }
        polled
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.gauge.flood().is_some() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(this.poll_fill(cx, buf))?;
        let got = buf.filled().get(before..).unwrap_or_default();
        let mut readings = this.gauge.0.lock();
        match readings.meter.received(got, this.clock.now()) {
            Ok(()) => Poll::Ready(Ok(())),
            // The loop looks at the gauge whenever it has polled, so nobody needs to be woken.
            Err(flood) => {
                readings.flood = Some(flood);
                buf.set_filled(before);
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.socket()?.poll_write(cx, bytes);
        let n = ready!(this.written(polled, cx))?;
        this.gauge.0.lock().meter.sent(bytes.get(..n).unwrap_or_default());
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.socket()?.poll_write_vectored(cx, slices);
        let n = ready!(this.written(polled, cx))?;
        let mut left = n;
        let mut readings = this.gauge.0.lock();
        for slice in slices {
            let (part, _) = slice.split_at(slice.len().min(left));
            readings.meter.sent(part);
            left -= part.len();
        }
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.socket()?.poll_flush(cx);
        if polled.is_ready() {
            this.toll = Toll::new();
        }
        // With TLS the last bytes may wait here.
        this.written(polled.map_ok(|()| 0), cx).map_ok(|_| ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket()?.poll_shutdown(cx)
    }
}

impl Drop for Metered {
    /// A client that is still sending could not read our last words if the socket were closed at once.
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take()
            && !self.gauge.is_stalled()
        {
            linger::close(socket);
        }
    }
}
