//! The keys under which sessions are given to clients to keep (tickets: RFC 8446 section 4.6.1, RFC 5077).
//!
//! Whoever gets hold of such a key can read the sessions that were resumed with it. So none is used for new tickets
//! longer than [`PERIOD`], none opens tickets longer than twice that, and then it is forgotten. rustls has a rotation of
//! its own that goes by the wall clock and starts only when it is used: after a quiet week it would still open the
//! tickets of the week before. This one goes by the monotonic clock and counts from when a key was made.

use crate::clock::Clock;
use parking_lot::Mutex;
use rustls::Error;
use rustls::crypto::ring;
use rustls::server::ProducesTickets;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use weir_limits::Instant;

/// Makes tickets and reads them, under keys that change. One for all workers, so that each resumes what another began.
pub(super) struct Tickets {
    clock: Clock,
    keys: Mutex<Keys<Arc<dyn ProducesTickets>>>,
}

impl Tickets {
    /// With a key of its own.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(super) fn new(clock: Clock) -> Result<Arc<Self>, Error> {
        let keys = Keys::new(clock.now(), ring::Ticketer::new()?);
        Ok(Arc::new(Self { clock, keys: Mutex::new(keys) }))
    }

    fn seal(&self, now: Instant, plain: &[u8]) -> Option<Vec<u8>> {
        self.in_force(now).current?.encrypt(plain)
    }

    fn open(&self, now: Instant, cipher: &[u8]) -> Option<Vec<u8>> {
        let InForce { current, previous } = self.in_force(now);
        [current, previous].into_iter().flatten().find_map(|key| key.decrypt(cipher))
    }

    /// Without random numbers there is no new key, and an old one is none: no new tickets then.
    fn in_force(&self, now: Instant) -> InForce<Arc<dyn ProducesTickets>> {
        self.keys.lock().at(now, || ring::Ticketer::new().ok())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    /// Told to clients: how long a ticket may be worth keeping, in seconds.
    fn lifetime(&self) -> u32 {
        2 * PERIOD.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(self.clock.now(), plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(self.clock.now(), cipher)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

/// Which keys there are, by when they were made.
struct Keys<K> {
    current: Option<(Instant, K)>,
    previous: Option<(Instant, K)>,
}

/// Keys that may be used.
#[derive(Debug, PartialEq, Eq)]
struct InForce<K> {
    /// Makes tickets and opens them.
    current: Option<K>,
    /// Opens them.
    previous: Option<K>,
}

impl<K: Clone> Keys<K> {
    fn new(now: Instant, key: K) -> Self {
        Self { current: Some((now, key)), previous: None }
    }

    /// The keys in force at `now`. Those whose time is over are forgotten, and `make` is asked for a new one.
    fn at(&mut self, now: Instant, make: impl FnOnce() -> Option<K>) -> InForce<K> {
        let age = |made: Instant| now.saturating_since(made);
        if self.current.as_ref().is_none_or(|(made, _)| age(*made) >= PERIOD) {
            self.previous = self.current.take().or_else(|| self.previous.take());
            self.current = make().map(|key| (now, key));
        }
        if self.previous.as_ref().is_some_and(|(made, _)| age(*made) >= 2 * PERIOD) {
            self.previous = None;
        }
        let key = |kept: &Option<(Instant, K)>| kept.as_ref().map(|(_, key)| key.clone());
        InForce { current: key(&self.current), previous: key(&self.previous) }
    }
}

/// How long a key makes tickets.
const PERIOD: Duration = Duration::from_secs(6 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60;

    /// Keys are numbered in the order in which they are made; the first is made at the start.
    struct Made {
        keys: Keys<u32>,
        count: u32,
    }

    impl Made {
        fn start() -> Self {
            Self { keys: Keys::new(Instant::START, 1), count: 1 }
        }

        fn at(&mut self, seconds: u64) -> (Option<u32>, Option<u32>) {
            let now = Instant::from_elapsed(Duration::from_secs(seconds));
            let InForce { current, previous } = self.keys.at(now, || {
                self.count += 1;
                Some(self.count)
            });
            (current, previous)
        }
    }

    #[test]
    fn a_key_makes_tickets_for_six_hours_and_opens_them_for_twelve() {
        let mut made = Made::start();
        assert_eq!(made.at(0), (Some(1), None));
        assert_eq!(made.at(6 * HOUR - 1), (Some(1), None));
        assert_eq!(made.at(6 * HOUR), (Some(2), Some(1)));
        assert_eq!(made.at(12 * HOUR - 1), (Some(2), Some(1)));
        assert_eq!(made.at(12 * HOUR), (Some(3), Some(2)));
        assert_eq!(made.at(18 * HOUR), (Some(4), Some(3)));
    }

    #[test]
    fn a_quiet_time_makes_no_key_older() {
        let mut made = Made::start();
        assert_eq!(made.at(11 * HOUR), (Some(2), Some(1)));
        assert_eq!(made.at(12 * HOUR), (Some(2), None), "by its own age, whenever the next was made");
        assert_eq!(made.at(7 * 24 * HOUR), (Some(3), None), "the second was not used for a week");
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing_and_makes_nothing() {
        let mut made = Made::start();
        assert_eq!(made.at(7 * HOUR), (Some(2), Some(1)));
        assert_eq!(made.at(0), (Some(2), Some(1)));
    }

    #[test]
    fn without_random_numbers_there_are_no_new_tickets_and_no_old_keys() {
        let mut keys = Keys::new(Instant::START, 1);
        let mut at = |hours: u64, new: Option<u32>| {
            let InForce { current, previous } =
                keys.at(Instant::from_elapsed(Duration::from_secs(hours * HOUR)), || new);
            (current, previous)
        };
        assert_eq!(at(6, None), (None, Some(1)));
        assert_eq!(at(7, None), (None, Some(1)));
        assert_eq!(at(8, Some(2)), (Some(2), Some(1)));
        assert_eq!(at(14, None), (None, Some(2)));
        assert_eq!(at(20, None), (None, None));
    }

    #[test]
    fn a_ticket_is_opened_for_as_long_as_its_key_is_there_and_by_nobody_else() {
        let [ours, others] = [0, 1].map(|_| Tickets::new(Clock::start()).unwrap());
        let at = |hours: u64| Instant::from_elapsed(Duration::from_secs(hours * HOUR));
        let ticket = ours.seal(at(1), b"session").unwrap();
        assert_ne!(ticket, b"session");
        assert_eq!(others.open(at(1), &ticket), None);
        for hours in [1, 5, 7, 11] {
            assert_eq!(ours.open(at(hours), &ticket).as_deref(), Some(&b"session"[..]), "{hours}");
        }
        assert_eq!(ours.open(at(13), &ticket), None);
        assert_eq!((ours.enabled(), ours.lifetime()), (true, 12 * 60 * 60));
    }
}
