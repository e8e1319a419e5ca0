//! How well the API server can be heard.

use super::stream::Stream;
use crate::objects::Kind;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How well the API server can be heard, for metrics.
#[derive(Debug, Default)]
pub struct Health {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Watches that are broken, and since when.
    broken: BTreeMap<Stream, Broken>,
    /// Failures so far, by kind.
    failures: BTreeMap<Kind, u64>,
}

/// A watch that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    since: Instant,
    /// What was last said of it.
    why: String,
}

impl Health {
    /// How old the objects may be: for how long some watch has been broken. Zero while all of them work.
    pub fn age(&self, now: Instant) -> Duration {
        let oldest = self.lock().broken.values().map(|broken| broken.since).min();
        oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Lists and watches that failed so far, by kind.
    pub fn failures(&self) -> Vec<(Kind, u64)> {
        self.lock().failures.iter().map(|(kind, count)| (*kind, *count)).collect()
    }

    /// A watch failed. Says whether this is news: an outage is told once, not once a second.
    pub(super) fn failed(&self, stream: &Stream, why: &str, now: Instant) -> bool {
        let mut inner = self.lock();
        let count = inner.failures.entry(stream.kind()).or_default();
        *count = count.saturating_add(1);
        match inner.broken.get_mut(stream) {
            Some(broken) if broken.why == why => false,
            Some(broken) => {
                why.clone_into(&mut broken.why);
                true
            }
            None => {
                inner.broken.insert(stream.clone(), Broken { since: now, why: why.to_owned() });
                true
            }
        }
    }

    /// A watch works. Says for how long it did not, if it did not.
    pub(super) fn works(&self, stream: &Stream, now: Instant) -> Option<Duration> {
        let broken = self.lock().broken.remove(stream)?;
        Some(now.saturating_duration_since(broken.since))
    }

    /// A watch is not needed any more.
    pub(super) fn forget(&self, stream: &Stream) {
        self.lock().broken.remove(stream);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_that_of_the_watch_that_has_been_broken_longest() {
        let health = Health::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (ingresses, services) = (Stream::All(Kind::Ingress), Stream::All(Kind::Service));
        assert_eq!(health.age(at(9)), Duration::ZERO);
        assert!(health.failed(&ingresses, "refused", at(1)));
        assert!(!health.failed(&ingresses, "refused", at(2)), "the same again is no news");
        assert!(health.failed(&ingresses, "forbidden", at(3)));
        assert!(health.failed(&services, "refused", at(4)));
        assert_eq!(health.age(at(5)), Duration::from_secs(4));
        assert_eq!(health.failures(), [(Kind::Ingress, 3), (Kind::Service, 1)]);
        assert_eq!(health.works(&ingresses, at(6)), Some(Duration::from_secs(5)));
        assert_eq!(health.works(&ingresses, at(6)), None);
        assert_eq!(health.age(at(6)), Duration::from_secs(2));
        health.forget(&services);
        assert_eq!(health.age(at(9)), Duration::ZERO);
    }
}
