//! How long the core takes to decide about a request.
//!
//! Reading the clock once more for each request would cost more than it tells: each worker measures one of
//! [`EVERY`] decisions, its first one among them.

use std::array;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The distribution of what was measured. Shared by all workers.
#[derive(Debug)]
pub struct Decisions {
    /// Not cumulative; the last is for what is above all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// Nanoseconds.
    sum: AtomicU64,
}

/// [`Decisions`] as they were at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Counts by bucket, not cumulative: one for each of [`BOUNDS`], and one for what is above all.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// The sum of all durations.
    pub sum: Duration,
}

impl Decisions {
    /// Nothing measured.
    pub fn new() -> Self {
        Self { buckets: array::from_fn(|_| AtomicU64::new(0)), sum: AtomicU64::new(0) }
    }

    /// A decision took so long.
    pub fn record(&self, duration: Duration) {
        let place = BOUNDS.iter().take_while(|bound| **bound < duration).count();
        if let Some(count) = self.buckets.get(place) {
            count.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The numbers as they are now.
    pub fn read(&self) -> Measured {
        Measured {
            buckets: array::from_fn(|place| self.buckets.get(place).map_or(0, |count| count.load(Relaxed))),
            sum: Duration::from_nanos(self.sum.load(Relaxed)),
        }
    }
}

impl Default for Decisions {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether this worker's next decision is to be measured.
#[inline]
pub fn is_next_measured() -> bool {
    LEFT.with(|left| match left.get() {
        0 => {
            left.set(EVERY - 1);
            true
        }
        more => {
            left.set(more - 1);
            false
        }
    })
}

/// Of so many decisions one is measured.
pub const EVERY: u32 = 64;

/// Upper bounds of the buckets, inclusive, ascending. A decision takes about a microsecond; one that waits for a lock, or
/// for the processor, takes longer.
pub const BOUNDS: [Duration; 12] = [
    Duration::from_nanos(250),
    Duration::from_nanos(500),
    Duration::from_micros(1),
    Duration::from_nanos(2_500),
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
];

thread_local! {
    static LEFT: Cell<u32> = const { Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_so_many_decisions_is_measured_and_the_first_is() {
        std::thread::spawn(|| {
            let measured: Vec<_> = (0..4 * EVERY).filter(|_| is_next_measured()).collect();
            assert_eq!(measured, [0, EVERY, 2 * EVERY, 3 * EVERY]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn each_duration_is_in_the_first_bucket_that_holds_it() {
        assert!(BOUNDS.is_sorted());
        let decisions = Decisions::new();
        for nanos in [0, 250, 251, 1_000, 1_001, 100_000_000, 100_000_001] {
            decisions.record(Duration::from_nanos(nanos));
        }
        let Measured { buckets, sum } = decisions.read();
        assert_eq!(buckets, [2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(sum, Duration::from_nanos(200_002_503));
    }
}
