//! From a socket that was accepted to one that speaks TLS.

use super::{Choice, Failure, Tls};
use crate::deadline::Deadline;
use crate::socket::Socket;
use rustls::server::Acceptor;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

/// The handshake with a client, which has `most` for all of it.
///
/// # Errors
/// [`Failure`]. The client was told as far as TLS has words for it, and the socket is closed.
pub async fn accept(tcp: TcpStream, tls: &Tls, most: Duration) -> Result<Socket, Failure> {
    let deadline = Deadline::new();
    deadline.set(most);
    within(&deadline, negotiate(tcp, tls)).await
}

async fn negotiate(tcp: TcpStream, tls: &Tls) -> Result<Socket, Failure> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), tcp).await.map_err(|e| Failure::of_hello(&e))?;
    let config = match tls.choose(start.client_hello().server_name()) {
        Choice::Serve(config) => config,
        Choice::Reject => {
            let mut tcp = start.io;
            // One small record: it fits an empty socket.
            poll_fn(|cx| Pin::new(&mut tcp).poll_write(cx, &UNRECOGNIZED_NAME).map(drop)).await;
            crate::linger::close(Socket::Plain(tcp));
            return Err(Failure::Name);
        }
    };
    let stream = start.into_stream(config).await.map_err(|error| Failure::of(&error))?;
    Ok(Socket::Tls(Box::new(stream)))
}

async fn within<T>(
    deadline: &Deadline,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Pending if deadline.passed(cx) => Poll::Ready(Err(Failure::Deadline)),
        polled => polled,
    })
    .await
}

/// The fatal alert `unrecognized_name` (RFC 6066 section 3) in a record by itself. It is ours to write because rustls
/// has nothing that sends it, and possible because nothing is encrypted before the ServerHello.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
