//! What comes before the first byte of HTTP or TLS: a load balancer's header of the PROXY protocol.
//!
//! The socket is looked into and never read beyond the header, so that whoever comes next, TLS or HTTP, has it as it
//! would be without.

use crate::arrivals::Shed;
use crate::conn::ConnInfo;
use crate::deadline::Deadline;
use crate::proxy_protocol::{self, Ends, Reading};
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use weir_core::facts::Scheme;

/// Reads the header that a trusted peer must send within `most`, and puts what it says in the place of the socket's
/// ends. Returns whether it names a client: a load balancer that speaks for itself does not.
///
/// # Errors
/// [`Shed`]: the connection is not served.
pub async fn expect_header(tcp: &TcpStream, info: &mut ConnInfo, most: Duration) -> Result<Named, Shed> {
    let deadline = Deadline::new();
    deadline.set(most);
    let mut header = Vec::new();
    loop {
        wait(tcp, &deadline).await?;
        let known = header.len();
        header.resize(proxy_protocol::MAX_HEADER, 0);
        let space = header.get_mut(known..).unwrap_or_default();
        let seen = match tcp.try_io(Interest::READABLE, || look(tcp, space)) {
            Ok(0) => return Err(Shed::ProxyHeaderEnd),
            Ok(seen) => seen,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                header.truncate(known);
                continue;
            }
            Err(_) => return Err(Shed::ProxyHeaderEnd),
        };
        header.truncate(known.saturating_add(seen));
        let reading = proxy_protocol::read(&header);
        let own = match reading {
            Reading::Malformed(_) => return Err(Shed::ProxyHeader),
            Reading::Done { len, .. } => len.saturating_sub(known),
            Reading::More => seen,
        };
        take(tcp, own)?;
        if let Reading::Done { ends, .. } = reading {
            return Ok(apply(ends, info));
        }
    }
}

/// Waits for the first bytes of a peer that is not trusted, `most` at the longest, and refuses a header.
///
/// # Errors
/// [`Shed`] when there is one. Whatever else there is or is not is for others to judge.
pub async fn refuse_header(tcp: &TcpStream, most: Duration) -> Result<(), Shed> {
    let deadline = Deadline::new();
    deadline.set(most);
    while wait(tcp, &deadline).await.is_ok() {
        let mut first = [0; ENOUGH];
        match tcp.try_io(Interest::READABLE, || look(tcp, &mut first)) {
            Ok(seen) if proxy_protocol::is_header(first.get(..seen).unwrap_or_default()) => {
                return Err(Shed::ProxyHeaderUntrusted);
            }
            // A socket may be called ready before it is.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    Ok(())
}

/// Whether a header named a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The client's address stands in the place of the peer's now.
    Client,
    /// The peer speaks for itself.
    Peer,
}

fn apply(ends: Ends, info: &mut ConnInfo) -> Named {
    let Ends::Proxied { source, destination } = ends else { return Named::Peer };
    info.via = Some(info.peer.ip());
    info.peer = source;
    info.local = destination;
    if destination.port() == HTTPS {
        info.scheme = Scheme::Https;
    }
    Named::Client
}

async fn wait(tcp: &TcpStream, deadline: &Deadline) -> Result<(), Shed> {
    poll_fn(|cx| match tcp.poll_read_ready(cx) {
        Poll::Ready(ready) => Poll::Ready(ready.map_err(|_| Shed::ProxyHeaderEnd)),
        Poll::Pending if deadline.passed(cx) => Poll::Ready(Err(Shed::ProxyHeaderTimeout)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Copies what has arrived, and leaves it where it is.
fn look(tcp: &TcpStream, space: &mut [u8]) -> io::Result<usize> {
    let (seen, _) = rustix::net::recv(tcp, space, rustix::net::RecvFlags::PEEK)?;
    Ok(seen)
}

/// Takes so many bytes that were seen.
fn take(tcp: &TcpStream, mut n: usize) -> Result<(), Shed> {
    let mut block = [0; 256];
    while n > 0 {
        let space = block.get_mut(..n.min(256)).unwrap_or_default();
        match tcp.try_read(space) {
            Ok(taken) if taken > 0 => n = n.saturating_sub(taken),
            _ => return Err(Shed::ProxyHeaderEnd),
        }
    }
    Ok(())
}

/// The port on which a load balancer is asked for https. It has ended TLS itself if what it sends is HTTP.
const HTTPS: u16 = 443;
/// Bytes that tell a header from anything else.
const ENOUGH: usize = 16;
