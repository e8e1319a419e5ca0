//! One request's connections to its origin, as pingora has them.
//!
//! Pingora takes our streams for connections without a socket, and its pool never gives such a connection out again:
//! it wants to see whom a descriptor leads to. So it makes its judgement, whether a connection may be used again, and
//! [`Dial::keep`] acts on it: what pingora has kept when a request is over is taken from it, into a pool of our own.

use super::idle;
use super::{OriginConnector, Speaks};
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_error::{Error, ErrorType, Result};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Connects one request to its origin.
#[derive(Debug)]
pub struct Dial {
    connector: Arc<OriginConnector>,
    number: u64,
    last: Mutex<Option<Last>>,
}

/// The connection that was made last: of those before it nothing is left.
#[derive(Debug)]
struct Last {
    line: Arc<Line>,
    key: idle::Key,
    reused: bool,
}

/// A connection, until it is taken from pingora.
type Line = Mutex<Option<Box<TlsStream<TcpStream>>>>;

impl Dial {
    /// A request for a policy's origins.
    pub fn new(connector: Arc<OriginConnector>) -> Arc<Self> {
        let number = match connector.speaks {
            // Nobody else may find in pingora's pool what is ours to take.
            Speaks::Http1 => NEXT.fetch_add(1, Relaxed),
            // Shared by many requests at once, all of one policy; there pingora's pool works.
            Speaks::Http2 => connector.number,
        };
        Arc::new(Self { connector, number, last: Mutex::new(None) })
    }

    /// Keeps connections apart in pingora's pool: of other policies and, but for HTTP/2, of other requests.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How long pingora keeps a connection of which nobody has use, in place of `usual`: what is ours to take is taken at
    /// once or not at all.
    pub fn idle_timeout(&self, usual: Duration) -> Duration {
        match self.connector.speaks {
            Speaks::Http1 => BRIEFLY,
            Speaks::Http2 => usual,
        }
    }

    /// Whether the last connection had served other requests before.
    pub fn has_reused(&self) -> bool {
        self.last.lock().as_ref().is_some_and(|last| last.reused)
    }

    /// The request is over and its response came whole: if pingora has kept the connection, other requests get it.
    pub fn keep(&self) {
        let Some(Last { line, key, .. }) = self.last.lock().take() else { return };
        // Pingora drops what it does not keep.
        if Arc::strong_count(&line) > 1
            && let Some(stream) = line.lock().take()
        {
            idle::give(key, *stream);
        }
    }
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet().copied() else {
            return Error::e_explain(ErrorType::InternalError, "an origin without an address");
        };
        let key = (address, self.connector.number);
        let http1 = self.connector.speaks == Speaks::Http1;
        let idle = if http1 { idle::take(key) } else { None };
        let reused = idle.is_some();
        let stream = match idle {
            Some(stream) => stream,
            None => self.fresh(address).await?,
        };
        let line: Arc<Line> = Arc::new(Mutex::new(Some(Box::new(stream))));
        if http1 {
            *self.last.lock() = Some(Last { line: line.clone(), key, reused });
        }
        Ok(VirtualSocketStream::new(Box::new(OriginSocket(line))).into())
    }
}

impl Dial {
    async fn fresh(&self, address: std::net::SocketAddr) -> Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|error| Error::because(ErrorType::ConnectError, "cannot connect to an origin", error))?;
        let _ = tcp.set_nodelay(true);
        self.connector.handshake(tcp, address).await.or_else(|failure| {
            self.connector.counters.origin_tls_failed(failure);
            Error::e_explain(ErrorType::TLSHandshakeFailure, failure.as_str())
        })
    }
}

/// A connection as pingora has it. Its lock is never waited for: one task uses it at a time.
#[derive(Debug)]
struct OriginSocket(Arc<Line>);

impl OriginSocket {
    fn with<T>(&self, gone: T, poll: impl FnOnce(Pin<&mut TlsStream<TcpStream>>) -> T) -> T {
        match self.0.lock().as_mut() {
            Some(stream) => poll(Pin::new(stream)),
            None => gone,
        }
    }
}

impl VirtualSocket for OriginSocket {
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        // Set when it was made.
        Ok(())
    }
}

impl AsyncRead for OriginSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(Poll::Ready(Ok(())), |stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for OriginSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())), |stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Poll::Ready(Ok(())), |stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Poll::Ready(Ok(())), |stream| stream.poll_shutdown(cx))
    }
}

/// Time for a request to end after its response has.
const BRIEFLY: Duration = Duration::from_millis(50);

/// 0 is what connections without TLS have.
static NEXT: AtomicU64 = AtomicU64::new(1);
