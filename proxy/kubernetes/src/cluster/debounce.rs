//! When changes are acted on. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Changes that wait to be acted on together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Debounce {
    first: Option<Instant>,
    last: Option<Instant>,
    /// Not before: the last time took long, and something else is to have the processor too.
    rest: Option<Instant>,
}

impl Debounce {
    /// A change came.
    pub(super) fn change(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// When the changes so far are to be acted on: once it is quiet, or when it takes too long. `None` without any.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = (self.first?, self.last?);
        let due = (first + LONGEST).min(last + QUIET);
        Some(self.rest.map_or(due, |rest| due.max(rest)))
    }

    /// The changes were acted on, from `began` to `now`.
    pub(super) fn done(&mut self, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began);
        let rest = now.checked_add(took.saturating_mul(REST_FACTOR).min(LONGEST_REST));
        *self = Self { first: None, last: None, rest };
    }
}

/// Changes that come closer together than this are one.
const QUIET: Duration = Duration::from_millis(50);
/// A change is acted on after this long, even if others go on coming.
const LONGEST: Duration = Duration::from_millis(250);
/// At most a quarter of the time is spent on changes that never end.
const REST_FACTOR: u32 = 3;
/// So that a change to a very large cluster is still seen within seconds.
const LONGEST_REST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes at milliseconds → when they are acted on.
    #[track_caller]
    fn check(changes: &[u64], expected: Option<u64>) {
        let start = Instant::now();
        let mut debounce = Debounce::default();
        changes.iter().for_each(|at| debounce.change(start + Duration::from_millis(*at)));
        let due = debounce.due().map(|due| due.duration_since(start));
        assert_eq!(due, expected.map(Duration::from_millis));
    }

    #[test]
    fn changes_are_acted_on_when_it_is_quiet_or_after_a_quarter_of_a_second() {
        check(&[], None);
        check(&[0], Some(50));
        check(&[0, 30, 60], Some(110));
        check(&(0..100).map(|n| n * 20).collect::<Vec<_>>(), Some(250));
    }

    #[test]
    fn who_took_long_rests_longer_and_never_for_ever() {
        let start = Instant::now();
        let after = |took: u64| {
            let mut debounce = Debounce::default();
            debounce.change(start);
            let now = start + Duration::from_millis(took);
            debounce.done(start, now);
            assert_eq!(debounce.due(), None);
            debounce.change(now);
            debounce.due().map(|due| due.duration_since(now))
        };
        assert_eq!(after(1), Some(Duration::from_millis(50)));
        assert_eq!(after(100), Some(Duration::from_millis(300)));
        assert_eq!(after(100_000), Some(Duration::from_secs(2)));
    }
}
