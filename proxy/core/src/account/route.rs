//! Counters of one route: a path of a host of an object.

use super::Histogram;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is counted for one route. Most routes of a large cluster are quiet: the numbers take memory from the first
/// request on.
#[derive(Debug, Default)]
pub struct RouteCounters(OnceLock<Box<Numbers>>);

#[derive(Debug, Default)]
struct Numbers {
    classes: [AtomicU64; CLASSES.len()],
    duration: Histogram,
}

impl RouteCounters {
    /// Requests that ended, by the class of the status sent (`2xx`), or `none`; all of them once there was one, so that
    /// the first error is a rise from zero, and nothing before.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let numbers = self.0.get().into_iter();
        numbers.flat_map(|numbers| CLASSES.into_iter().zip(numbers.classes.iter().map(|n| n.load(Relaxed))))
    }

    /// From the end of the request head to the end of the response. Aborted requests of which nobody knows the end are
    /// not in it. `None` before the first request.
    pub fn duration(&self) -> Option<&Histogram> {
        self.0.get().map(|numbers| &numbers.duration)
    }

    /// A request ended with this status, 0 for none.
    pub(super) fn end(&self, status: u16, duration: Option<Duration>) {
        let numbers = self.0.get_or_init(Box::default);
        // 1xx is the class of an upgrade.
        let class = match status / 100 {
            class @ 1..=5 => usize::from(class - 1),
            _ => CLASSES.len() - 1,
        };
        if let Some(count) = numbers.classes.get(class) {
            count.fetch_add(1, Relaxed);
        }
        if let Some(duration) = duration {
            numbers.duration.record(duration);
        }
    }
}

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_route_has_no_numbers_and_takes_no_memory_for_them() {
        let route = RouteCounters::default();
        assert_eq!((route.requests().count(), route.duration().is_none()), (0, true));
        assert!(size_of::<RouteCounters>() <= 16);
    }

    #[test]
    fn each_status_is_counted_in_its_class_and_nowhere_else() {
        let route = RouteCounters::default();
        for status in [101, 200, 204, 299, 301, 404, 429, 499, 500, 504, 599, 0, 600, 99] {
            route.end(status, Some(Duration::from_millis(2)));
        }
        route.end(0, None);
        let counts: Vec<_> = route.requests().collect();
        assert_eq!(counts, [("1xx", 1), ("2xx", 3), ("3xx", 1), ("4xx", 3), ("5xx", 3), ("none", 4)]);
        let duration = route.duration().unwrap();
        assert_eq!((duration.count(), duration.sum()), (14, Duration::from_millis(28)));
    }
}
