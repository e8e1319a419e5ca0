//! Closing a connection whose client is still sending, so that it can read the answer.
//!
//! A socket closed with unread bytes sends a reset, and a reset destroys the answer on its way. So we shut our side
//! down, read and drop what comes for a short while, and then close.

use crate::buffers;
use crate::deadline::Deadline;
use crate::socket::Socket;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Closes `socket` in the background: at most [`MOST_TIME`] and [`MOST_BYTES`], and at most [`MOST_AT_ONCE`] at a time.
/// Beyond that number sockets are closed at once.
pub fn close(socket: Socket) {
    close_in(&PLACES, socket);
}

/// Returns when no socket lingers any more: soon, as none does so for long.
pub async fn ended() {
    while lingering() > 0 {
        tokio::time::sleep(LOOK).await;
    }
}

/// Sockets that linger now.
pub fn lingering() -> usize {
    PLACES.taken.load(Ordering::Relaxed)
}

fn close_in(places: &'static Places, socket: Socket) {
    let Some(place) = places.take() else { return };
    tokio::spawn(async move {
        let deadline = Deadline::new();
        deadline.set(MOST_TIME);
        let mut draining = pin!(drain(socket));
        poll_fn(|cx| match draining.as_mut().poll(cx) {
            Poll::Pending if !deadline.passed(cx) => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
        drop(place);
    });
}

async fn drain(mut socket: Socket) {
    if socket.shutdown().await.is_err() {
        return;
    }
    // Nobody reads what comes, so nobody decrypts it either.
    let stream = socket.tcp();
    let mut left = MOST_BYTES;
    // Small on purpose: nobody waits for these bytes. Borrowed only while some are there.
    while stream.readable().await.is_ok() {
        let mut block = buffers::take_block();
        let read = stream.try_read(&mut block);
        buffers::give_block(block);
        match read {
            Ok(0) => return,
            Ok(n) if n >= left => return,
            Ok(n) => left -= n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Places for lingering sockets, so many.
struct Places {
    taken: AtomicUsize,
    most: usize,
}

impl Places {
    const fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most }
    }

    fn take(&'static self) -> Option<Place> {
        let taken =
            self.taken.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.most).then_some(n + 1));
        taken.ok().map(|_| Place(self))
    }
}

/// One of them; given back on drop.
struct Place(&'static Places);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Those of this process.
static PLACES: Places = Places::new(MOST_AT_ONCE);
/// Most sockets that linger at once.
const MOST_AT_ONCE: usize = 1024;
/// How often the end looks whether all are gone.
const LOOK: Duration = Duration::from_millis(10);
/// Longest time a socket lingers.
const MOST_TIME: Duration = Duration::from_secs(2);
/// Most bytes read and dropped of one socket.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests;
