//! The locks, in one place, so that `loom` can put its own in their stead and try every interleaving.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};

use std::sync::PoisonError;

/// Locks, also after another thread panicked while it held the lock.
///
/// The data behind our locks is consistent after every single write, so a panic elsewhere is no reason to refuse
/// everybody from then on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
