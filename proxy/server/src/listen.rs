//! Listening sockets: one per worker and address, so that the kernel spreads connections and workers share nothing.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use weir_core::facts::Scheme;

/// A socket that is listened on, and what is spoken there.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// Plain HTTP, or HTTP over TLS.
    pub scheme: Scheme,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// `workers` sockets on `address`, all with the same port even when it asks for port 0.
///
/// # Errors
/// When the address is not ours or the port is taken, by another process of ours included.
pub fn bind(address: SocketAddr, workers: usize) -> Result<(SocketAddr, Vec<TcpListener>), ListenError> {
    let fail = |source| ListenError { address, source };
    // Sockets that share a port would join those of another running weir without a word.
    // A socket that does not want to share finds out.
    let probe = socket(address, Port::Alone).map_err(fail)?;
    let bound = probe.local_addr().ok().and_then(|bound| bound.as_socket()).unwrap_or(address);
    drop(probe);
    let listeners: Result<Vec<_>, _> = (0..workers.max(1)).map(|_| listener(bound)).collect();
    Ok((bound, listeners.map_err(fail)?))
}

/// One socket that shares nothing.
///
/// # Errors
/// As [`bind`].
pub fn bind_one(address: SocketAddr) -> Result<(SocketAddr, TcpListener), ListenError> {
    let fail = |source| ListenError { address, source };
    let socket = socket(address, Port::Alone).map_err(fail)?;
    socket.listen(BACKLOG).map_err(fail)?;
    let listener: TcpListener = socket.into();
    Ok((listener.local_addr().map_err(fail)?, listener))
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Port::Shared)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[derive(Clone, Copy)]
enum Port {
    Alone,
    Shared,
}

fn socket(address: SocketAddr, port: Port) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if matches!(port, Port::Shared) {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `[::]` takes IPv4 clients too, as people expect.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it: one system call less for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Connections that the kernel holds for us until we accept them.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_the_port_that_the_system_chose() {
        let (address, listeners) = bind(([127, 0, 0, 1], 0).into(), 3).unwrap();
        assert_ne!(address.port(), 0);
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
    }

    #[test]
    fn a_port_of_another_weir_is_taken() {
        let (address, _held) = bind(([127, 0, 0, 1], 0).into(), 2).unwrap();
        let error = bind(address, 1).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()));
    }
}
