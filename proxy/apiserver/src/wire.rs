//! A connection as bytes: slow, and reset, when a test says so.

use crate::shared::Shared;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

/// What is known of a connection, and whether it was told to end.
#[derive(Debug, Default)]
pub(crate) struct Control {
    reset: AtomicBool,
    certified: AtomicBool,
    told: Notify,
}

/// A TCP connection under [`Control`], at the pace that is set.
pub(crate) struct Wire {
    stream: TcpStream,
    control: Arc<Control>,
    shared: Arc<Shared>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Control {
    /// Resets the connection.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.told.notify_one();
    }

    /// Notes that the client has shown a certificate.
    pub(crate) fn certify(&self) {
        self.certified.store(true, Ordering::Release);
    }

    pub(crate) fn is_certified(&self) -> bool {
        self.certified.load(Ordering::Acquire)
    }

    /// Comes back when it was told to end.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, control: Arc<Control>, shared: Arc<Shared>) -> Self {
        Self { stream, control, shared, pause: None }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.control.reset.load(Ordering::Acquire) {
            // Closed like that, the peer gets RST and not FIN.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let Some(pace) = self.shared.faults.pace() else {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        };
        let piece = bytes.get(..pace.bytes.max(1)).unwrap_or(bytes);
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, piece))?;
        self.pause = Some(Box::pin(sleep(pace.every)));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
