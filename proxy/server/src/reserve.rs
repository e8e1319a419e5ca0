//! A descriptor kept for the moment when there are none left.
//!
//! Without descriptors a connection cannot be accepted, not even to be closed: it would wait in the kernel's queue, and
//! asking again and again would burn a core. So one is kept in reserve. It is given up to accept one connection, which
//! is closed at once, and taken again.

use std::fs::File;
use std::os::fd::OwnedFd;

/// A descriptor in reserve.
#[derive(Debug)]
pub struct Reserve(Option<OwnedFd>);

impl Reserve {
    /// Takes a descriptor, if there is one.
    pub fn new() -> Self {
        Self(open())
    }

    /// Does `work` with one descriptor more than there would be. What it opens must be closed with its result.
    ///
    /// Another thread may take the descriptor first; then `work` fails, and the reserve is filled when it can be.
    pub async fn spend<T, F: Future<Output = T>>(&mut self, work: impl FnOnce() -> F) -> T {
        drop(self.0.take());
        let result = work().await;
        self.0 = open();
        result
    }
}

impl Default for Reserve {
    fn default() -> Self {
        Self::new()
    }
}

fn open() -> Option<OwnedFd> {
    File::open("/dev/null").ok().map(OwnedFd::from)
}
