//! Names of origins (`spec.externalName`) to addresses, for as long as their DNS records say.

use hickory_resolver::TokioResolver;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use weir_core::Engine;
use weir_core::backend::Backend;

/// Keeps the addresses of all external backends fresh, for as long as there may be `changes` of the configuration. Runs on
/// the control thread.
pub async fn run(engine: Arc<Engine>, mut changes: watch::Receiver<()>) {
    let resolver = match TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build) {
        Ok(resolver) => resolver,
        Err(error) => {
            tracing::error!(%error, "no DNS: external names stay unresolved");
            return;
        }
    };
    let mut schedule = Schedule::default();
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        changes.mark_unchanged();
        let snapshot = engine.snapshot();
        let external: Vec<&Arc<Backend>> =
            snapshot.backends().filter(|backend| backend.external().is_some()).collect();
        let mut looking = JoinSet::new();
        let now = now();
        for backend in &external {
            let Some((host, port)) = backend.external() else { continue };
            if schedule.is_due(host, backend.addresses().is_empty(), now) && looking.len() < MOST_AT_ONCE {
                looking.spawn(look_up(resolver.clone(), Arc::clone(backend), host.to_owned(), port));
            }
        }
        schedule
            .keep(|host| external.iter().any(|backend| backend.external().is_some_and(|(h, _)| h == host)));
        while let Some(Ok((host, found))) = looking.join_next().await {
            schedule.note(host, found, now);
        }
        if external.is_empty() {
            drop(snapshot);
            if changes.changed().await.is_err() {
                return;
            }
            ticks.reset_immediately();
        }
    }
}

/// When which name is looked up again.
#[derive(Default)]
struct Schedule(HashMap<String, Last>);

/// What came of looking a name up.
struct Last {
    due: Instant,
    found: bool,
}

impl Schedule {
    /// Whether a backend's name is to be looked up now.
    fn is_due(&self, host: &str, has_no_addresses: bool, now: Instant) -> bool {
        // A backend without addresses is a new one, unless its name could not be resolved just now.
        self.0.get(host).is_none_or(|last| last.due <= now || (last.found && has_no_addresses))
    }

    /// A name was looked up `at` that time. `good_for` is what is left of its records' time to live; `None` if it could
    /// not be resolved.
    fn note(&mut self, host: String, good_for: Option<Duration>, at: Instant) {
        let wait = good_for.map_or(AFTER_FAILURE, |left| left.clamp(SHORTEST, LONGEST));
        self.0.insert(host, Last { due: at + wait, found: good_for.is_some() });
    }

    /// Forgets the names of which `is_used` says no.
    fn keep(&mut self, is_used: impl Fn(&str) -> bool) {
        self.0.retain(|host, _| is_used(host));
    }
}

/// Looks one name up, and says for how long the answer is good. What was known stays in force when there is none.
async fn look_up(
    resolver: TokioResolver,
    backend: Arc<Backend>,
    host: String,
    port: u16,
) -> (String, Option<Duration>) {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        backend.set_addresses(&[SocketAddr::new(address, port)]);
        return (host, Some(Duration::MAX));
    }
    // The final dot keeps search domains out: an external name is complete (RFC 1123 name in the Service).
    let name = format!("{}.", host.trim_end_matches('.'));
    let answer = tokio::time::timeout(PATIENCE, resolver.lookup_ip(name)).await;
    let fresh_for = match answer {
        Ok(Ok(found)) => {
            let mut addresses: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
            addresses.sort_unstable();
            addresses.truncate(MOST_ADDRESSES);
            backend.set_addresses(&addresses);
            Some(found.valid_until().saturating_duration_since(now()))
        }
        Ok(Err(error)) => {
            tracing::warn!(name = %host, %error, "an external name cannot be resolved");
            None
        }
        Err(_) => {
            tracing::warn!(name = %host, "an external name is not resolved in time");
            None
        }
    };
    (host, fresh_for)
}

fn now() -> Instant {
    Instant::now()
}

/// How often new and stale names are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// Longest time for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bounds of a record's time to live, as we keep it.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// When a name that could not be resolved is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// Most look-ups at once, and most addresses of one name.
const MOST_AT_ONCE: usize = 64;
const MOST_ADDRESSES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// After how many seconds a name is due whose backend has addresses.
    fn wait(good_for: Option<Duration>) -> f64 {
        let (mut schedule, start) = (Schedule::default(), now());
        schedule.note("a.test".to_owned(), good_for, start);
        let due = |millis| schedule.is_due("a.test", false, start + Duration::from_millis(millis));
        let first = (0..1_000_000).step_by(100).find(|millis| due(*millis)).unwrap();
        assert!(due(first + 1_000_000), "and stays due");
        first as f64 / 1000.0
    }

    #[test]
    fn a_name_is_looked_up_again_when_its_time_to_live_is_over() {
        assert_eq!(wait(Some(seconds(30))), 30.0);
        assert_eq!(wait(Some(Duration::from_millis(1_500))), 1.5);
    }

    #[test]
    fn a_time_to_live_has_bounds() {
        assert_eq!(wait(Some(Duration::ZERO)), 1.0);
        assert_eq!(wait(Some(seconds(86_400))), 300.0);
        assert_eq!(wait(Some(Duration::MAX)), 300.0);
    }

    #[test]
    fn a_name_that_cannot_be_resolved_is_tried_again_soon() {
        assert_eq!(wait(None), 2.0);
        // Not at once, although its backend has no address yet.
        let (mut schedule, start) = (Schedule::default(), now());
        schedule.note("a.test".to_owned(), None, start);
        assert!(!schedule.is_due("a.test", true, start + seconds(1)));
        assert!(schedule.is_due("a.test", true, start + seconds(2)));
    }

    #[test]
    fn a_new_backend_does_not_wait_for_the_time_to_live_of_its_name() {
        let (mut schedule, start) = (Schedule::default(), now());
        assert!(schedule.is_due("a.test", true, start));
        schedule.note("a.test".to_owned(), Some(seconds(300)), start);
        assert!(!schedule.is_due("a.test", false, start + seconds(1)));
        assert!(schedule.is_due("a.test", true, start + seconds(1)), "another port of the same name");
    }

    #[test]
    fn names_that_nobody_uses_are_forgotten() {
        let (mut schedule, start) = (Schedule::default(), now());
        for n in 0..1000 {
            schedule.note(format!("{n}.test"), Some(seconds(300)), start);
        }
        schedule.keep(|host| host == "7.test");
        assert_eq!(schedule.0.len(), 1);
        assert!(schedule.is_due("8.test", false, start));
    }
}
