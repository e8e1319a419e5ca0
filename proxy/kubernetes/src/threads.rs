//! The ends of threads of ours.

use std::thread::{self, JoinHandle};

/// Waits until a thread has ended that was told to. A thread that drops what stands for it (in a callback) cannot wait for
/// itself, and ends when it comes back.
pub(crate) fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
        // A panic of the thread was reported when it happened.
        let _ = thread.join();
    }
}
