//! A descriptor kept for the moment when there are none left.
//!
//! Without descriptors a connection cannot be accepted, not even to be closed: it would wait in the kernel's queue, and
//! asking again and again would burn a core. So one is kept in reserve. It is given up to accept one connection, which
//! is closed at once, and taken again. Meanwhile no other worker accepts: it would be given that very descriptor, and
//! keep it.

use parking_lot::RwLock;
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

    /// Takes a descriptor again, if there was none the last time: somebody who did not [`take`] was faster.
    pub fn refill(&mut self) {
        if self.0.is_none() {
            self.0 = open();
        }
    }

    /// Does `work`, which does not wait, with one descriptor more than there would be. What it opens must be closed with
    /// it.
    pub fn spend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let _nobody_else = LENDING.write();
        drop(self.0.take());
        let result = work();
        self.0 = open();
        result
    }
}

/// Does `work`, which does not wait and may take a descriptor to keep, while no reserve is being spent.
pub fn take<T>(work: impl FnOnce() -> T) -> T {
    let _no_reserve_is_spent = LENDING.read();
    work()
}

impl Default for Reserve {
    fn default() -> Self {
        Self::new()
    }
}

fn open() -> Option<OwnedFd> {
    File::open("/dev/null").ok().map(OwnedFd::from)
}

/// Descriptors are the process's, and so is this lock. Nothing is waited for under it.
static LENDING: RwLock<()> = RwLock::new(());
