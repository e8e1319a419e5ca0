//! How many requests of each client are in flight.

use std::num::NonZeroU32;

use crate::decision::Cause;
use crate::key::Key;
use crate::slots::{Insert, Slots};
use crate::sync::{Arc, Mutex, MutexGuard, lock};

/// Counts of requests in flight by key, in shards. A key is held only while its count is above zero.
pub(crate) struct InFlight {
    /// Each shard is counted for itself, so that permits of different clients do not meet in one reference count.
    shards: Box<[Arc<Mutex<Counts>>]>,
}

impl InFlight {
    pub(crate) fn new(capacity: usize) -> Self {
        // Rounded down, so that all shards together never hold more than `capacity`.
        let count = shard_count(capacity);
        let shard = |_| Arc::new(Mutex::new(Counts { slots: Slots::new(capacity / count), refused: 0 }));
        Self { shards: (0..count).map(shard).collect() }
    }

    /// The index of the shard that holds a key.
    pub(crate) fn shard_of(&self, key: Key) -> usize {
        key.as_u64() as usize & (self.shards.len() - 1)
    }

    pub(crate) fn lock(&self, shard: usize) -> MutexGuard<'_, Counts> {
        lock(&self.shards[shard])
    }

    /// The permit for a place that [`Counts::enter`] took.
    pub(crate) fn permit(&self, key: Key) -> Permit {
        Permit { shard: Arc::clone(&self.shards[self.shard_of(key)]), key }
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Counts>> {
        self.shards.iter().map(|shard| lock(shard))
    }
}

/// One shard: key and count.
pub(crate) struct Counts {
    slots: Slots<2>,
    /// Places refused because the shard was full.
    refused: u64,
}

impl Counts {
    /// Takes a place if fewer than `limit` are taken.
    pub(crate) fn enter(&mut self, key: Key, limit: NonZeroU32) -> Result<(), Cause> {
        match self.slots.find(key.as_u64()) {
            Ok(at) => {
                let [_, count] = self.slots.cell_mut(at);
                if *count >= u64::from(limit.get()) {
                    return Err(Cause::InFlight);
                }
                *count += 1;
                Ok(())
            }
            Err(_) => match self.slots.insert([key.as_u64(), 1], |_| false) {
                Insert::Add | Insert::Replace => Ok(()),
                Insert::Reject => {
                    self.refused += 1;
                    Err(Cause::InFlightTableFull)
                }
            },
        }
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self, key: Key) {
        let Ok(at) = self.slots.find(key.as_u64()) else {
            debug_assert!(false, "a place given back twice");
            return;
        };
        let [_, count] = self.slots.cell_mut(at);
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.slots.remove(at);
        }
    }

    /// How many places the key has taken.
    pub(crate) fn count(&self, key: Key) -> u64 {
        self.slots.find(key.as_u64()).map_or(0, |at| self.slots.cell(at)[1])
    }

    pub(crate) fn slots(&self) -> &Slots<2> {
        &self.slots
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}

/// A place in flight, given back on drop.
pub(crate) struct Permit {
    shard: Arc<Mutex<Counts>>,
    key: Key,
}

impl Drop for Permit {
    fn drop(&mut self) {
        lock(&self.shard).leave(self.key);
    }
}

/// A power of two, and one for small tables, so that they hold exactly what they promise.
fn shard_count(capacity: usize) -> usize {
    match capacity / SHARD_CAPACITY_MIN {
        0 => 1,
        most => (1 << most.ilog2()).min(SHARDS_MAX),
    }
}

const SHARD_CAPACITY_MIN: usize = 1024;
const SHARDS_MAX: usize = 64;
