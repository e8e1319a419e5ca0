//! Closing a connection whose client is still sending, so that it can read the answer.
//!
//! A socket closed with unread bytes sends a reset, and a reset destroys the answer on its way. So we shut our side
//! down, read and drop what comes for a short while, and then close.

use crate::buffers;
use crate::socket::Socket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Closes `socket` in the background: at most [`MOST_TIME`] and [`MOST_BYTES`], and at most [`MOST_AT_ONCE`] at a time.
/// Beyond that number sockets are closed at once.
pub fn close(socket: Socket) {
    let Some(place) = Place::take() else { return };
    tokio::spawn(async move {
        let _ = tokio::time::timeout(MOST_TIME, drain(socket)).await;
        drop(place);
    });
}

/// Returns when no socket lingers any more: soon, as none does so for long.
pub async fn ended() {
    while LINGERING.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(LOOK).await;
    }
}

/// Sockets that linger now.
pub fn lingering() -> usize {
    LINGERING.load(Ordering::Relaxed)
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

/// One of the places for lingering sockets; given back on drop.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let taken = LINGERING
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < MOST_AT_ONCE).then_some(n + 1));
        taken.ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        LINGERING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sockets of this process that linger now.
static LINGERING: AtomicUsize = AtomicUsize::new(0);
/// Most sockets that linger at once.
const MOST_AT_ONCE: usize = 1024;
/// How often the end looks whether all are gone.
const LOOK: Duration = Duration::from_millis(10);
/// Longest time a socket lingers.
const MOST_TIME: Duration = Duration::from_secs(2);
/// Most bytes read and dropped of one socket.
const MOST_BYTES: usize = 16 << 20;
