//! Connections that ask for nothing, as weir's listeners take them: sockets of each client and of all, new ones per
//! second, and handshakes per second. Pure, but for its seed.

use super::Decision;
use super::weir::instant;
use crate::scenario::{Behaviour, Class, Transport};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use weir_core::policy::{PerSecond, Settings};
use weir_limits::{
    Charge, Config, Decision as Taken, Grant, Instant, Limiter, Quota, Rule, RuleId, Seed, Window,
};

/// A connection that asks for nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silent {
    /// How long its client holds it.
    lasts: Duration,
    transport: Transport,
}

impl Silent {
    /// What an arrival of a class is, if it is one.
    pub(super) fn of(class: &Class) -> Option<Self> {
        match class.behaviour {
            Behaviour::ConnectionFlood { lasts } => {
                Some(Self { lasts: lasts.0, transport: class.request.transport })
            }
            Behaviour::HandshakeFlood { lasts } => Some(Self { lasts: lasts.0, transport: Transport::Tls }),
            _ => None,
        }
    }
}

/// Counts such connections. Those of requests are not counted: how many there are is the generator's affair.
pub(super) struct Sockets {
    sockets: Counted,
    handshakes: Counted,
    /// When each open one ends, in nanoseconds of the plan, and its place among the grants.
    ends: BinaryHeap<Reverse<(u64, usize)>>,
    grants: Vec<Option<Grant>>,
    free: Vec<usize>,
}

impl Sockets {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            sockets: Counted::new(seed),
            handshakes: Counted::new(seed),
            ends: BinaryHeap::new(),
            grants: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Whether a connection is taken, and not closed before its client gives up.
    pub(super) fn enter(&mut self, at: u64, client: IpAddr, silent: Silent, settings: &Settings) -> Decision {
        self.end_until(at);
        let now = instant(at);
        let edge = &settings.edge;
        if edge.sockets.is_some_and(|most| self.ends.len() >= most.get() as usize) {
            return Decision::Refuse;
        }
        let client = prefix(client, settings);
        let (own, all) = (edge.socket_rate_per_client, edge.socket_rate);
        let Some(grant) = self.sockets.take(now, client, own, edge.sockets_per_client, all) else {
            return Decision::Refuse;
        };
        if silent.transport == Transport::Tls {
            let (own, all) = (edge.handshake_rate_per_client, edge.handshake_rate);
            if self.handshakes.take(now, client, own, None, all).is_none() {
                return Decision::Refuse;
            }
        }
        let idle = if edge.idle_timeout.is_zero() { edge.head_timeout } else { edge.idle_timeout };
        let held = u64::try_from(silent.lasts.min(idle).as_nanos()).unwrap_or(u64::MAX);
        self.hold(at.saturating_add(held), grant);
        if silent.lasts <= idle { Decision::Admit } else { Decision::Refuse }
    }

    fn hold(&mut self, ends: u64, grant: Grant) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.grants.push(None);
            self.grants.len() - 1
        });
        if let Some(slot) = self.grants.get_mut(place) {
            *slot = Some(grant);
        }
        self.ends.push(Reverse((ends, place)));
    }

    fn end_until(&mut self, now: u64) {
        while let Some(Reverse((_, place))) = self.ends.peek().copied().filter(|next| next.0.0 <= now) {
            self.ends.pop();
            self.free.push(place);
            if let Some(slot) = self.grants.get_mut(place) {
                *slot = None;
            }
        }
    }
}

/// What is counted for each client and for all together.
struct Counted {
    limiter: Limiter,
    client: RuleId,
    all: RuleId,
}

impl Counted {
    fn new(seed: u64) -> Self {
        let seed = Seed::from_u128(u128::from(seed));
        let (client, all) = (seed.rule_id("of a client"), seed.rule_id("of all clients"));
        let config = Config { capacity: CLIENTS, in_flight_capacity: CLIENTS, seed };
        Self { limiter: Limiter::new(config), client, all }
    }

    fn take(
        &self,
        now: Instant,
        client: [u8; 16],
        own: Option<PerSecond>,
        at_once: Option<NonZeroU32>,
        all: Option<PerSecond>,
    ) -> Option<Grant> {
        let seed = self.limiter.seed();
        let (own, all) = (rule(self.client, own).with_in_flight(at_once), rule(self.all, all));
        let charges = [
            Charge { rule: &own, key: seed.key(self.client, &[&client]) },
            Charge { rule: &all, key: seed.key(self.all, &[]) },
        ];
        match self.limiter.decide(now, &charges) {
            Taken::Grant(grant) => Some(grant),
            Taken::Deny(_) => None,
        }
    }
}

fn rule(id: RuleId, rate: Option<PerSecond>) -> Rule {
    let quota = rate.and_then(|PerSecond { rate, burst }| {
        Some(Quota::new(rate.get().into(), Duration::from_secs(1)).ok()?.with_burst(burst.into()))
    });
    match quota {
        Some(quota) => Rule::new(id).with_window(Window::Second, quota),
        None => Rule::new(id),
    }
}

/// The address without the bits that do not tell clients apart.
fn prefix(client: IpAddr, settings: &Settings) -> [u8; 16] {
    let (bits, length) = match client.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, settings.ipv4_prefix),
        IpAddr::V6(address) => (address.to_bits(), settings.ipv6_prefix),
    };
    let hidden = 128_u32.saturating_sub(u32::from(length));
    (bits & u128::MAX.checked_shl(hidden).unwrap_or(0)).to_be_bytes()
}

/// Clients of which count is kept, by far more than the generator has addresses in use at once.
const CLIENTS: usize = 100_000;
