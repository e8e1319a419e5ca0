//! Names of origins (`spec.externalName`) to addresses, for as long as their DNS records say.

use hickory_resolver::TokioResolver;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use weir_core::Engine;
use weir_core::backend::Backend;

/// Keeps the addresses of all external backends fresh, for ever. Runs on the control thread.
pub async fn run(engine: Arc<Engine>) {
    let resolver = match TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build) {
        Ok(resolver) => resolver,
        Err(error) => {
            tracing::error!(%error, "no DNS: external names stay unresolved");
            return;
        }
    };
    let mut due: HashMap<String, Last> = HashMap::new();
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        let snapshot = engine.snapshot();
        let external: Vec<&Arc<Backend>> =
            snapshot.backends().filter(|backend| backend.external().is_some()).collect();
        let mut looking = JoinSet::new();
        let now = now();
        for backend in &external {
            let Some((host, port)) = backend.external() else { continue };
            // A backend without addresses is a new one, unless its name could not be resolved just now.
            let is_new = |last: &Last| last.found && backend.addresses().is_empty();
            if due.get(host).is_some_and(|last| last.due > now && !is_new(last)) {
                continue;
            }
            if looking.len() < MOST_AT_ONCE {
                looking.spawn(look_up(resolver.clone(), Arc::clone(backend), host.to_owned(), port));
            }
        }
        due.retain(|host, _| {
            external.iter().any(|backend| backend.external().is_some_and(|(h, _)| h == host))
        });
        while let Some(Ok((host, found))) = looking.join_next().await {
            let fresh_for = found.unwrap_or(AFTER_FAILURE);
            due.insert(host, Last { due: now + fresh_for, found: found.is_some() });
        }
    }
}

/// What came of looking a name up.
struct Last {
    due: Instant,
    found: bool,
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
        return (host, Some(LONGEST));
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
            Some(found.valid_until().saturating_duration_since(now()).clamp(SHORTEST, LONGEST))
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
