//! How many lines there may be in a log: which are written, and which are only counted.
//!
//! Whoever floods us with requests must not fill a disk. So lines of one kind have a [`Ration`], so many a second, of all
//! threads together; what is left out is added up, to be told of. Where only a share is wanted anyway, a [`Sampler`]
//! chooses it at random.
//!
//! Nothing here reads a clock: time is an argument.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Lines of one kind. Shared by all workers.
#[derive(Debug, Default)]
pub struct Ration {
    /// The second that is counted, in the upper half, and how many lines were asked for in it, in the lower.
    current: AtomicU64,
    /// Lines left out that nobody has told of yet.
    withheld: AtomicU64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is written.
    Write,
    /// It is left out, and counted.
    Withhold,
}

impl Ration {
    /// One more line in this second; of each second no more than `most` are written. A second just before the one that
    /// is counted counts as that one, for clocks of several threads may cross. One further back is another: the clock was
    /// set back.
    pub fn take(&self, second: u64, most: u32) -> Fate {
        let second = second.min(LOWER);
        let after = |word: u64| {
            let (counted, asked) = split(word);
            let is_same = second <= counted && counted - second <= SKEW;
            if is_same { join(counted, asked.saturating_add(1).min(LOWER)) } else { join(second, 1) }
        };
        // The function never declines.
        let (Ok(before) | Err(before)) =
            self.current.fetch_update(Relaxed, Relaxed, |word| Some(after(word)));
        let (_, asked) = split(after(before));
        if asked <= u64::from(most) {
            return Fate::Write;
        }
        self.withheld.fetch_add(1, Relaxed);
        Fate::Withhold
    }

    /// How many were left out since this was last asked. One of several who ask at once gets them.
    pub fn tell(&self) -> u64 {
        match self.withheld.load(Relaxed) {
            0 => 0,
            _ => self.withheld.swap(0, Relaxed),
        }
    }
}

/// A share of something, from none to all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(1.0);

    /// From 0, none, to 1, all; `None` if it is neither nor between.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// Chooses a share at random, each by itself. Equal seeds choose alike.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// How many of 2^32 numbers are chosen.
    chosen: u64,
    state: u64,
}

impl Sampler {
    /// For a share, under a seed that need not be secret.
    pub fn new(share: Share, seed: u64) -> Self {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "from 0 to 2^32"
        )]
        let chosen = (share.0 * NUMBERS as f64).round() as u64;
        Self { chosen, state: seed }
    }

    /// Whether the next one is chosen.
    pub fn choose(&mut self) -> bool {
        if self.chosen >= NUMBERS {
            return true;
        }
        // splitmix64, by Steele, Lea and Flood (OOPSLA 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) >> 32 < self.chosen
    }
}

fn split(word: u64) -> (u64, u64) {
    (word >> 32, word & LOWER)
}

fn join(second: u64, asked: u64) -> u64 {
    (second << 32) | asked
}

/// Seconds by which clocks of threads may differ.
const SKEW: u64 = 2;
const LOWER: u64 = u32::MAX as u64;
const NUMBERS: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn each_second_has_its_lines_and_the_rest_is_added_up() {
        let ration = Ration::default();
        let take =
            |second, count: usize| (0..count).filter(|_| ration.take(second, 3) == Fate::Write).count();
        assert_eq!([take(7, 2), take(7, 2), take(7, 2), take(8, 9), take(20, 1)], [2, 1, 0, 3, 1]);
        assert_eq!((ration.tell(), ration.tell()), (9, 0));
        // Whose clock is behind gets no second ration.
        assert_eq!([take(19, 4), take(20, 4)], [2, 0]);
        assert_eq!(ration.tell(), 6);
        // A clock that was set back an hour is no reason to be silent for an hour.
        assert_eq!([take(4000, 1), take(400, 2), take(401, 2)], [1, 2, 2]);
    }

    #[test]
    fn none_is_none_from_the_first_on() {
        let ration = Ration::default();
        for second in [0, 0, 1, 1, 5] {
            assert_eq!(ration.take(second, 0), Fate::Withhold);
        }
        assert_eq!(ration.tell(), 5);
    }

    #[test]
    fn nobody_is_lost_between_threads() {
        let ration = Ration::default();
        let written: usize = std::thread::scope(|scope| {
            let take = || (0..1000).filter(|_| ration.take(7, 5) == Fate::Write).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((written, ration.tell()), (5, 3995));
    }

    proptest! {
        /// Whatever the clocks do, no second has more lines than its ration, and no line is forgotten.
        #[test]
        fn no_second_has_more_than_its_ration(steps in prop::collection::vec((0..2_u64, 0..=SKEW), 0..300), most in 0..9_u32) {
            let ration = Ration::default();
            // Time goes on, and clocks lag behind it by a little.
            let seconds: Vec<u64> = steps
                .iter()
                .scan(100_u64, |time, (step, lag)| {
                    *time += step;
                    Some(*time - lag)
                })
                .collect();
            let mut written: BTreeMap<u64, u32> = BTreeMap::new();
            let mut latest = 0;
            let mut withheld = 0;
            for second in &seconds {
                latest = latest.max(*second);
                match ration.take(*second, most) {
                    Fate::Write => *written.entry(latest).or_default() += 1,
                    Fate::Withhold => withheld += 1,
                }
            }
            prop_assert!(written.values().all(|count| *count <= most));
            prop_assert_eq!(ration.tell(), withheld);
            prop_assert_eq!(u64::from(written.values().sum::<u32>()) + withheld, seconds.len() as u64);
            // And none is left out of a second that has room.
            let mut asked: BTreeMap<u64, u32> = BTreeMap::new();
            let mut latest = 0;
            for second in &seconds {
                latest = latest.max(*second);
                *asked.entry(latest).or_default() += 1;
            }
            for (second, asked) in asked {
                prop_assert_eq!(written.get(&second).copied().unwrap_or_default(), asked.min(most));
            }
        }

        #[test]
        fn a_share_is_chosen_and_equal_seeds_choose_alike(share in 0.0..=1.0_f64, seed: u64) {
            let share = Share::new(share).unwrap();
            let choices = |seed| {
                let mut sampler = Sampler::new(share, seed);
                (0..10_000).map(|_| sampler.choose()).collect::<Vec<_>>()
            };
            let chosen = choices(seed);
            prop_assert_eq!(&chosen, &choices(seed));
            // Six standard deviations.
            let count = chosen.iter().filter(|chosen| **chosen).count() as f64;
            let expected = share.get() * 10_000.0;
            prop_assert!((count - expected).abs() <= 6.0 * (expected * (1.0 - share.get())).sqrt() + 1.0, "{} of {}", count, expected);
        }
    }

    #[test]
    fn all_is_all_and_none_is_none() {
        let mut all = Sampler::new(Share::ALL, 1);
        let mut none = Sampler::new(Share::new(0.0).unwrap(), 1);
        assert!((0..10_000).all(|_| all.choose()) && (0..10_000).all(|_| !none.choose()));
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::new(bad), None);
        }
    }
}
