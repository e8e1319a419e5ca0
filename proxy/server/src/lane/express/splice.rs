//! Large bodies from socket to socket through a pipe: the kernel moves pages, and we never see the bytes.

use crate::conn::{Conn, Stop};
use crate::pace::Toll;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A pipe of this worker.
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    _place: Arc<()>,
}

/// Why a body was cut off.
pub(super) enum Cut {
    Client(Stop),
    OriginEnd,
    OriginLate,
}

impl Pipe {
    /// An empty pipe; `None` when this worker may have no more of them.
    pub(super) fn take() -> Option<Self> {
        PIPES.with_borrow_mut(|pipes| {
            if let Some(pipe) = pipes.free.pop() {
                return Some(pipe);
            }
            let place = Arc::strong_count(&pipes.pipes) <= MOST;
            let place = place.then(|| pipes.pipes.clone())?;
            let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
            // Larger is better, but an unprivileged process may be denied it.
            let _ = fcntl_setpipe_size(&write, SIZE);
            Some(Self { read, write, _place: place })
        })
    }

    /// Gives an empty pipe back. One that is dropped instead is closed, with what is in it.
    pub(super) fn give(self) {
        PIPES.with_borrow_mut(|pipes| pipes.free.push(self));
    }

    /// Moves exactly `left` bytes, to a client whose socket is plain. Returns how many reached the client, and how it ended.
    pub(super) async fn run(
        &mut self,
        origin: &TcpStream,
        conn: &mut Conn,
        left: u64,
        read_timeout: Duration,
        stall: Duration,
    ) -> (u64, Result<(), Cut>) {
        let mut flow = Flow { to_read: left, in_pipe: 0, moved: 0, waits: Waits::Nobody, toll: Toll::new() };
        let ended = poll_fn(|cx| flow.poll(self, origin, conn, (read_timeout, stall), cx)).await;
        (flow.moved, ended)
    }
}

struct Flow {
    to_read: u64,
    in_pipe: usize,
    moved: u64,
    waits: Waits,
    toll: Toll,
}

/// For whom the deadline is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    Nobody,
    Origin,
    Client,
}

impl Flow {
    fn poll(
        &mut self,
        pipe: &Pipe,
        origin: &TcpStream,
        conn: &mut Conn,
        (read_timeout, stall): (Duration, Duration),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Cut>> {
        loop {
            if self.in_pipe > 0 {
                match move_pages(conn.socket.tcp(), Interest::WRITABLE, || {
                    splice_some(&pipe.read, conn.socket.tcp(), self.in_pipe)
                }) {
                    Ok(0) => return Poll::Ready(Err(Cut::Client(Stop::End))),
                    Ok(n) => {
                        self.in_pipe = self.in_pipe.saturating_sub(n);
                        self.moved += n as u64;
                        self.toll.pay(n);
                        if !self.toll.is_owed() {
                            self.waits = Waits::Nobody;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if conn.socket.tcp().poll_write_ready(cx)?.is_ready() {
                            continue;
                        }
                        return self.wait(Waits::Client, stall, conn, cx);
                    }
                    Err(_) => return Poll::Ready(Err(Cut::Client(Stop::Fail))),
                }
            } else if self.to_read > 0 {
                let most = usize::try_from(self.to_read).unwrap_or(usize::MAX).min(SIZE);
                match move_pages(origin, Interest::READABLE, || splice_some(origin, &pipe.write, most)) {
                    Ok(0) => return Poll::Ready(Err(Cut::OriginEnd)),
                    Ok(n) => {
                        self.in_pipe = n;
                        self.to_read = self.to_read.saturating_sub(n as u64);
                        self.waits = Waits::Nobody;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if origin.poll_read_ready(cx).map_err(|_| Cut::OriginEnd)?.is_ready() {
                            continue;
                        }
                        return self.wait(Waits::Origin, read_timeout, conn, cx);
                    }
                    Err(_) => return Poll::Ready(Err(Cut::OriginEnd)),
                }
            } else {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn wait(
        &mut self,
        whom: Waits,
        most: Duration,
        conn: &mut Conn,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Cut>> {
        if self.waits != whom {
            self.waits = whom;
            self.toll = Toll::new();
            match whom {
                Waits::Client => self.toll.wait(&conn.deadline, most),
                Waits::Origin | Waits::Nobody => conn.deadline.set(most),
            }
        }
        match super::client::watch(conn, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Stop::Late) if whom == Waits::Origin => Poll::Ready(Err(Cut::OriginLate)),
            Poll::Ready(stop) => Poll::Ready(Err(Cut::Client(stop))),
        }
    }
}

impl From<io::Error> for Cut {
    fn from(_: io::Error) -> Self {
        Self::Client(Stop::Fail)
    }
}

fn move_pages(
    socket: &TcpStream,
    interest: Interest,
    splice: impl FnOnce() -> io::Result<usize>,
) -> io::Result<usize> {
    socket.try_io(interest, splice)
}

fn splice_some(from: &impl std::os::fd::AsFd, to: &impl std::os::fd::AsFd, most: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, most, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
}

#[derive(Default)]
struct Pipes {
    free: Vec<Pipe>,
    /// Each pipe holds a clone, so that the count of clones is the number of pipes.
    pipes: Arc<()>,
}

thread_local! {
    static PIPES: RefCell<Pipes> = RefCell::default();
}

/// Bodies with at least so much left are spliced; below that copying is cheaper than the two extra system calls.
pub(super) const WORTH_IT: u64 = 64 * 1024;
/// Bytes a pipe may hold.
const SIZE: usize = 1 << 20;
/// Most pipes of a worker, each two descriptors.
const MOST: usize = 128;
