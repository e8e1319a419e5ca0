//! A client's socket, plain or with TLS around it.
//!
//! Everything between accept and close works on this one type, so that both kinds of connection take the same way. For
//! a plain one each call is a branch and the call itself.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use weir_core::tls::ClientTls;

/// A client's socket.
pub enum Socket {
    /// Bytes as they are.
    Plain(TcpStream),
    /// TLS, after its handshake. Boxed, so that a plain connection does not pay for its size.
    Tls(Box<TlsSocket>),
}

/// A client's socket with TLS, and what its handshake has shown.
pub struct TlsSocket {
    /// The stream inside TLS.
    pub stream: TlsStream<TcpStream>,
    /// What the handshake has shown of the client.
    pub client: Arc<ClientTls>,
}

impl Socket {
    /// The socket below, for its options and for waiting. Bytes of a TLS connection must not go past TLS.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.stream.get_ref().0,
        }
    }

    /// What the handshake has shown of the client; `None` where there was none.
    pub fn client_tls(&self) -> Option<&Arc<ClientTls>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(&tls.client),
        }
    }

    /// The protocol that client and server have agreed on in the handshake (RFC 7301).
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => tls.stream.get_ref().1.alpn_protocol(),
        }
    }

    /// The socket, if what is written to it is what the client reads: then the kernel may move the bytes.
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Tls(_) => None,
        }
    }

    /// Whether client and server have agreed on HTTP/2 (ALPN).
    pub fn speaks_h2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Closes it after its last byte. A client of TLS is told that this is the end, if there is room for it at once, so
    /// that it need not fear that something was cut off.
    pub fn close(self) {
        if let Self::Tls(mut tls) = self {
            let _ = Pin::new(&mut tls.stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Must follow the last write: TLS may take bytes for which the socket has no room yet.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }

    /// Says that nothing more will be sent: with TLS first in its own words (`close_notify`), then as TCP does.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.tcp().as_raw_fd()
    }
}

impl From<TcpStream> for Socket {
    fn from(tcp: TcpStream) -> Self {
        Self::Plain(tcp)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.plain().is_some() { "Plain" } else { "Tls" };
        f.debug_tuple(kind).field(&self.as_raw_fd()).finish()
    }
}
