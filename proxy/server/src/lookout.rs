//! Looks out for load balancers that nobody has told us of, behind which all clients are one.
//!
//! What [`weir_core::identity::lookout`] judges is collected here: each worker adds up what it sees without asking
//! others, and hands it over once a second. A change is told once: in the log, and as a finding for as long as it holds.

use crate::counters::Counters;
use crate::state::State;
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use weir_core::finding::{ObjectRef, Severity};
use weir_core::identity::Client;
use weir_core::identity::lookout::{Change, Lookout, Sightings};
use weir_core::policy::Trust;
use weir_core::{Finding, Snapshot};

/// A request was counted for `client`.
#[inline]
pub fn see(snapshot: &Snapshot, client: &Client) {
    let sight = snapshot.identification().sight(client);
    SEEN.with_borrow_mut(|seen| seen.see(sight));
}

/// Hands over what this worker has seen.
pub fn hand_over(counters: &Counters) {
    let seen = SEEN.take();
    if seen.total() > 0 {
        counters.add_sightings(&seen);
    }
}

/// Looks at what the workers have seen, for as long as it is polled. Findings are about `settings`, where who is trusted
/// is written.
pub async fn run(state: Arc<State>, settings: ObjectRef) {
    let mut lookout = Lookout::new();
    let trusted = |snapshot: &Snapshot| {
        let settings = &snapshot.settings;
        (settings.trust.clone(), settings.edge.proxy_protocol.required)
    };
    let mut trust = trusted(&state.engine.snapshot());
    let mut changes = state.changes();
    loop {
        tokio::time::sleep(EVERY).await;
        if lookout.is_idle() {
            tokio::select! {
                () = state.counters.sighted() => {}
                _ = changes.changed() => {}
            }
        }
        let seen = state.counters.take_sightings();
        let snapshot = state.engine.snapshot();
        let now = trusted(&snapshot);
        let change = if trust == now {
            lookout.look(state.clock.now(), &seen)
        } else {
            trust = now;
            lookout.forget()
        };
        match change {
            Some(Change::Warn(addresses)) => {
                let finding = finding(&settings, &snapshot.settings.trust, &addresses);
                let Finding { object, field, code, message, .. } = &finding;
                tracing::warn!(%object, field, code, "{message}");
                state.observe(CODE, Some(finding));
            }
            Some(Change::Relent) => {
                tracing::info!(code = CODE, "limits no longer count a load balancer in place of its clients");
                state.observe(CODE, None);
            }
            None => {}
        }
    }
}

fn finding(settings: &ObjectRef, trust: &Trust, addresses: &[IpAddr]) -> Finding {
    let shown: Vec<String> = addresses.iter().take(MOST_SHOWN).map(IpAddr::to_string).collect();
    let more = match addresses.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let is_trusted = |address: &IpAddr| trust.proxies.iter().any(|net| net.contains(address));
    let mend = if addresses.iter().all(is_trusted) {
        "They are trusted, but their requests name nobody: let them send the header that forwarded-for-header says, or \
         the PROXY protocol (use-proxy-protocol)."
    } else {
        "If they are load balancers, name them here, and let them send a header (use-forwarded-headers) or the PROXY \
         protocol (use-proxy-protocol). If they are clients, all is well."
    };
    Finding {
        object: settings.clone(),
        field: "data[proxy-real-ip-cidr]".to_owned(),
        value: String::new(),
        severity: Severity::Warn,
        code: CODE,
        message: format!(
            "Nearly all requests are counted for a few private or trusted addresses ({}{more}): limits and lists see \
             them, and no clients behind them. {mend}",
            shown.join(", ")
        ),
    }
}

/// The code of the finding.
pub const CODE: &str = "balancer-in-between";
/// How often it is looked. Workers hand over as often.
pub const EVERY: Duration = Duration::from_secs(1);
/// Addresses that are named in a message.
const MOST_SHOWN: usize = 4;

thread_local! {
    static SEEN: RefCell<Sightings> = const { RefCell::new(Sightings::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(proxies: &[&str], addresses: &[&str]) -> String {
        let proxies = proxies.iter().map(|net| net.parse().unwrap()).collect();
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let object = ObjectRef::new("ConfigMap", "weir", "settings");
        finding(&object, &Trust { proxies, ..Trust::default() }, &addresses).message
    }

    #[test]
    fn a_finding_says_what_was_seen_and_what_to_do() {
        let one = message(&[], &["10.0.0.1"]);
        assert!(one.contains("(10.0.0.1):") && one.contains("name them here"), "{one}");
        let many = message(
            &["10.0.0.1/32"],
            &["10.0.0.1", "10.0.0.2", "fd00::1", "10.0.0.4", "10.0.0.5", "10.0.0.6"],
        );
        assert!(many.contains("(10.0.0.1, 10.0.0.2, fd00::1, 10.0.0.4 and 2 more):"), "{many}");
        assert!(many.contains("name them here"), "{many}");
        let silent = message(&["10.0.0.0/8"], &["10.0.0.1", "10.0.0.2"]);
        assert!(silent.contains("their requests name nobody"), "{silent}");
    }

    #[test]
    fn what_workers_have_seen_is_handed_over_once() {
        let (counters, snapshot) = (Counters::new(), weir_core::Engine::default().snapshot());
        let address = IpAddr::from([10, 0, 0, 1]);
        let client = Client { address, peer: address, trust: Default::default(), words: Default::default() };
        (0..3).for_each(|_| see(&snapshot, &client));
        hand_over(&counters);
        hand_over(&counters);
        see(&snapshot, &client);
        hand_over(&counters);
        assert_eq!(counters.take_sightings().total(), 4);
        assert_eq!(counters.take_sightings().total(), 0);
    }
}
