//! How many handshakes there may be: they are the most costly thing that a stranger can ask for.

use super::Failure;
use std::net::IpAddr;
use std::time::Duration;
use weir_core::policy::{Edge, PerSecond, Settings};
use weir_limits::{Charge, Config, Decision, Instant, Limiter, Quota, Rule, RuleId, Seed, Stats, Window};

/// Counts handshakes per client and of the process. Its memory is bounded.
pub struct Budget {
    limiter: Limiter,
    client: RuleId,
    process: RuleId,
}

impl Budget {
    /// None counted yet.
    pub fn new() -> Self {
        let seed = Seed::random();
        let (client, process) = (seed.rule_id("handshakes of a client"), seed.rule_id("handshakes"));
        Self {
            limiter: Limiter::new(Config { capacity: COUNTED, in_flight_capacity: 1, seed }),
            client,
            process,
        }
    }

    /// How full the table is.
    pub fn stats(&self) -> Stats {
        self.limiter.stats()
    }

    /// A handshake that `client` wants to begin.
    ///
    /// # Errors
    /// [`Failure::ClientRate`] or [`Failure::ProcessRate`], and nothing is counted then.
    pub fn take(&self, now: Instant, client: IpAddr, settings: &Settings) -> Result<(), Failure> {
        let Edge { handshake_rate_per_client, handshake_rate, .. } = &settings.edge;
        if handshake_rate_per_client.is_none() && handshake_rate.is_none() {
            return Ok(());
        }
        let seed = self.limiter.seed();
        let (own, all) = (rule(self.client, *handshake_rate_per_client), rule(self.process, *handshake_rate));
        let charges = [
            Charge { rule: &own, key: seed.key(self.client, &[prefix(client, settings).as_slice()]) },
            Charge { rule: &all, key: seed.key(self.process, &[]) },
        ];
        match self.limiter.decide(now, &charges) {
            Decision::Grant(_) => Ok(()),
            Decision::Deny(denial) if denial.charge == 0 => Err(Failure::ClientRate),
            Decision::Deny(_) => Err(Failure::ProcessRate),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

fn rule(id: RuleId, most: Option<PerSecond>) -> Rule {
    let quota = most.and_then(|PerSecond { rate, burst }| {
        Some(Quota::new(u64::from(rate.get()), Duration::from_secs(1)).ok()?.with_burst(u64::from(burst)))
    });
    match quota {
        Some(quota) => Rule::new(id).with_window(Window::Second, quota),
        None => Rule::new(id),
    }
}

/// The client's address, cut to the prefix that makes a client.
fn prefix(client: IpAddr, settings: &Settings) -> [u8; 17] {
    let (octets, length, kind) = match client.to_canonical() {
        IpAddr::V4(address) => {
            let bits = u128::from(address.to_bits()) << 96;
            (bits, settings.ipv4_prefix, 4)
        }
        IpAddr::V6(address) => (address.to_bits(), settings.ipv6_prefix, 6),
    };
    let cut = octets & u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(length))).unwrap_or(0);
    let mut key = [kind; 17];
    for (to, from) in key.iter_mut().skip(1).zip(cut.to_be_bytes()) {
        *to = from;
    }
    key
}

/// Clients that are counted at once, at 64 bytes each. When there are more, newcomers share what is left.
const COUNTED: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn settings(own: (u32, u32), all: (u32, u32)) -> Settings {
        let most = |(rate, burst)| NonZeroU32::new(rate).map(|rate| PerSecond { rate, burst });
        let mut settings = Settings::default();
        settings.edge.handshake_rate_per_client = most(own);
        settings.edge.handshake_rate = most(all);
        settings
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_its_own_and_all_have_one_together() {
        let (budget, settings) = (Budget::new(), settings((1, 2), (1, 4)));
        let take = |seconds, client| {
            budget.take(Instant::from_elapsed(Duration::from_secs(seconds)), ip(client), &settings)
        };
        assert_eq!([take(0, "192.0.2.1"), take(0, "::ffff:192.0.2.1"), take(0, "192.0.2.1")], [Ok(()); 3]);
        assert_eq!(take(0, "192.0.2.1"), Err(Failure::ClientRate));
        assert_eq!([take(0, "192.0.2.2"), take(0, "192.0.2.3")], [Ok(()); 2]);
        assert_eq!(take(0, "192.0.2.4"), Err(Failure::ProcessRate));
        // What was refused has cost neither.
        assert_eq!([take(1, "192.0.2.1"), take(2, "192.0.2.4")], [Ok(()); 2]);
    }

    #[test]
    fn clients_are_prefixes_and_without_bounds_there_are_none() {
        let (budget, bounded) = (Budget::new(), settings((1, 0), (0, 0)));
        let at = Instant::START;
        assert_eq!(budget.take(at, ip("2001:db8::1"), &bounded), Ok(()));
        assert_eq!(budget.take(at, ip("2001:db8::ffff:2"), &bounded), Err(Failure::ClientRate));
        assert_eq!(budget.take(at, ip("2001:db8:0:1::1"), &bounded), Ok(()));
        let free = settings((0, 0), (0, 0));
        assert!((0..1000).all(|_| budget.take(at, ip("192.0.2.9"), &free).is_ok()));
    }
}
