//! From a socket that was accepted to one that speaks TLS.

use super::config::Choice;
use super::{Failure, client};
use crate::deadline::Deadline;
use crate::linger;
use crate::shared::Shared;
use crate::socket::{Socket, TlsSocket};
use rustls::server::Acceptor;
use rustls_pki_types::UnixTime;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

/// The handshake with `client`: all of it within its deadline.
///
/// # Errors
/// [`Failure`]. The client was told as far as TLS has words for it, and the socket is closed.
pub async fn accept(tcp: TcpStream, client: IpAddr, shared: &Shared) -> Result<Socket, Failure> {
    let deadline = Deadline::new();
    deadline.set(shared.timeouts().handshake);
    let mut work = pin!(negotiate(tcp, client, shared));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Pending if deadline.passed(cx) => Poll::Ready(Err(Failure::Deadline)),
        polled => polled,
    })
    .await
}

async fn negotiate(tcp: TcpStream, client: IpAddr, shared: &Shared) -> Result<Socket, Failure> {
    let start =
        LazyConfigAcceptor::new(Acceptor::default(), tcp).await.map_err(|error| Failure::of_hello(&error))?;
    let snapshot = shared.engine.snapshot();
    // Nothing was computed yet: a client that sends no ClientHello costs nothing and is charged nothing.
    shared.tls.budget.take(shared.clock.now(), client, &snapshot.settings)?;
    let choice = shared.tls.configs.choose(&snapshot, start.client_hello().server_name());
    drop(snapshot);
    let served = match choice.map_err(|_| Failure::Internal)? {
        Choice::Serve(served) => served,
        Choice::Reject => {
            let mut tcp = start.io;
            // One small record: it fits an empty socket.
            poll_fn(|cx| Pin::new(&mut tcp).poll_write(cx, &UNRECOGNIZED_NAME).map(drop)).await;
            linger::close(Socket::Plain(tcp));
            return Err(Failure::Name);
        }
    };
    let stream = start.into_stream(served.config.clone()).await.map_err(|error| Failure::of(&error))?;
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(shared.clock.wall().as_millis()));
    let shown = client::seen(stream.get_ref().1, served.authorities.as_ref(), served.demanded, now);
    Ok(Socket::Tls(Box::new(TlsSocket { stream, client: Arc::new(shown) })))
}

/// The fatal alert `unrecognized_name` (RFC 6066 section 3) in a record by itself. It is ours to write because rustls
/// has nothing that sends it, and possible because nothing is encrypted before the ServerHello.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
