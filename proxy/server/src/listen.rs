//! Listening sockets: one per worker and address, so that the kernel spreads connections and workers share nothing.

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
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

/// From now on no connection begins at `listener`; those whose handshake has begun still arrive.
///
/// Their first segments (SYN) are dropped by a filter, so that whoever sends them tries again and finds another
/// listener or none. Where the system has no such filters nothing happens.
pub fn refuse_new(listener: &impl AsFd) {
    let _ = SockRef::from(listener).attach_filter(&[
        // The flags of the TCP header, which is what a filter of a TCP socket sees first.
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_BITS, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]);
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
    // As is this: the system takes megabytes for a client that does not read, and that is memory too.
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Connections that the kernel holds for us until we accept them.
const BACKLOG: i32 = 4096;
/// Bytes that the kernel takes for a client beyond what it has sent. Enough to keep a fast connection busy until we come
/// back; what is sent and not acknowledged is bounded by the client's window.
const UNSENT: u32 = 256 << 10;
/// Instructions of the kernel's socket filters (BPF).
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_BITS: u16 = 0x45;
const RETURN: u16 = 0x06;
const SYN: u32 = 0x02;

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
    fn a_listener_that_takes_nobody_new_keeps_those_that_wait() {
        let (address, listeners) = bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
        let early = std::net::TcpStream::connect(address).unwrap();
        refuse_new(&listeners[0]);
        let late = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(50));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (_, peer) = listeners[0].accept().unwrap();
        assert_eq!(peer, early.local_addr().unwrap());
    }

    #[test]
    fn a_port_of_another_weir_is_taken() {
        let (address, _held) = bind(([127, 0, 0, 1], 0).into(), 2).unwrap();
        let error = bind(address, 1).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()));
    }
}
