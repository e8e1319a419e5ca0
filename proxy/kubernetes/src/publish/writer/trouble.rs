//! Writes that fail. Pure: time is an argument.

use std::time::{Duration, Instant};

/// What keeps writes of a kind from being tried.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<Failed>);

#[derive(Debug)]
struct Failed {
    why: String,
    pause: Duration,
    until: Instant,
}

impl Trouble {
    /// Until when nothing is tried, if it is not time yet.
    pub(super) fn pauses(&self, now: Instant) -> Option<Instant> {
        self.0.as_ref().map(|failed| failed.until).filter(|until| *until > now)
    }

    /// Something was tried, and there is more at the time that it gave. Says when to go on: later after each failure. An
    /// outage is told once.
    pub(super) fn after(&mut self, done: kube::Result<Instant>, now: Instant) -> Instant {
        let error = match done {
            Ok(next) => {
                self.0 = None;
                return next;
            }
            Err(error) => error.to_string(),
        };
        let pause = match &self.0 {
            Some(failed) if failed.why == error => failed.pause.saturating_mul(2).min(LONGEST_PAUSE),
            Some(_) | None => {
                tracing::warn!(error, "cannot write back to the cluster; it is tried again");
                FIRST_PAUSE
            }
        };
        let until = now + pause;
        self.0 = Some(Failed { why: error, pause, until });
        until
    }
}

/// After a first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// After many.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_followed_by_a_longer_pause_and_success_by_none() {
        let now = Instant::now();
        let mut trouble = Trouble::default();
        assert_eq!(trouble.pauses(now), None);
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            let until = now + Duration::from_secs(seconds);
            assert_eq!(trouble.after(failure("no"), now), until);
            assert_eq!(trouble.pauses(now), Some(until));
            assert_eq!(trouble.pauses(until), None);
        }
        assert_eq!(trouble.after(failure("something else"), now), now + FIRST_PAUSE);
        assert_eq!(trouble.after(Ok(now), now), now);
        assert_eq!(trouble.pauses(now), None);
        assert_eq!(trouble.after(failure("something else"), now), now + FIRST_PAUSE);
    }

    fn failure(why: &'static str) -> kube::Result<Instant> {
        Err(kube::Error::Service(why.into()))
    }
}
