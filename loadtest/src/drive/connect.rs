//! Sockets that connect without blocking.

use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

/// How much the system may take for a connection that nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// As much as it likes.
    Usual,
    /// As little as it allows.
    Small,
}

/// Begins a connection from an address of loopback, or from wherever the system chooses.
pub(crate) fn begin(source: Ipv4Addr, target: SocketAddr, window: Window) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if window == Window::Small {
        // Before it connects, or the window has been agreed on.
        socket.set_recv_buffer_size(1)?;
    }
    if source != Ipv4Addr::LOCALHOST && target.is_ipv4() {
        socket.bind(&SockAddr::from(SocketAddr::from((source, 0))))?;
    }
    match socket.connect(&SockAddr::from(target)) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}
