//! Who may come in: sockets per client, and new sockets per second, taken when a connection is accepted and before
//! anything is allocated for it. One for all workers.
//!
//! A client is an address cut to the prefix of the settings, as for limits of requests.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use weir_core::policy::{PerSecond, Settings};
use weir_limits::{
    Cause, Charge, Config, Decision, Grant, Instant, Limiter, Quota, Rule, RuleId, Seed, Stats, Window,
};

/// Why a connection is closed before it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// The process has as many sockets as it may have.
    Sockets,
    /// The process takes no more new sockets this second.
    Rate,
    /// The client has as many sockets as it may have.
    ClientSockets,
    /// The client gets no more new sockets this second.
    ClientRate,
    /// There are more clients than are counted.
    TableFull,
    /// The process has no descriptor left for it.
    Descriptors,
    /// A trusted peer did not begin with a header of the PROXY protocol, or with a broken one.
    ProxyHeader,
    /// A trusted peer's header did not come in time.
    ProxyHeaderTimeout,
    /// A trusted peer closed before its header was whole.
    ProxyHeaderEnd,
    /// A peer that is not trusted sent a header of the PROXY protocol.
    ProxyHeaderUntrusted,
}

impl Shed {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Sockets,
        Self::Rate,
        Self::ClientSockets,
        Self::ClientRate,
        Self::TableFull,
        Self::Descriptors,
        Self::ProxyHeader,
        Self::ProxyHeaderTimeout,
        Self::ProxyHeaderEnd,
        Self::ProxyHeaderUntrusted,
    ];

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sockets => "sockets",
            Self::Rate => "rate",
            Self::ClientSockets => "client-sockets",
            Self::ClientRate => "client-rate",
            Self::TableFull => "table-full",
            Self::Descriptors => "descriptors",
            Self::ProxyHeader => "proxy-header",
            Self::ProxyHeaderTimeout => "proxy-header-timeout",
            Self::ProxyHeaderEnd => "proxy-header-end",
            Self::ProxyHeaderUntrusted => "proxy-header-untrusted",
        }
    }

    /// Whether it is about the header of the PROXY protocol.
    pub fn is_of_proxy_protocol(self) -> bool {
        match self {
            Self::ProxyHeader
            | Self::ProxyHeaderTimeout
            | Self::ProxyHeaderEnd
            | Self::ProxyHeaderUntrusted => true,
            Self::Sockets
            | Self::Rate
            | Self::ClientSockets
            | Self::ClientRate
            | Self::TableFull
            | Self::Descriptors => false,
        }
    }
}

/// The counters of all clients' sockets. Their memory is bounded by what [`Arrivals::new`] is told.
#[derive(Debug)]
pub struct Arrivals {
    limiter: Limiter,
    client: RuleId,
    process: RuleId,
}

impl Arrivals {
    /// Nobody here yet, and at most `sockets` at once.
    pub fn new(sockets: usize) -> Self {
        let seed = Seed::random();
        let (client, process) = (seed.rule_id("sockets of a client"), seed.rule_id("sockets of all clients"));
        let in_flight_capacity = sockets.clamp(1, MOST_CLIENTS);
        Self {
            limiter: Limiter::new(Config { capacity: COUNTED, in_flight_capacity, seed }),
            client,
            process,
        }
    }

    /// How full the tables are.
    pub fn stats(&self) -> Stats {
        self.limiter.stats()
    }

    /// A new socket, of nobody in particular: a proxy's. It counts for the process.
    ///
    /// # Errors
    /// [`Shed`], and nothing is counted then.
    pub fn enter_proxy(&self, now: Instant, settings: &Settings) -> Result<Grant, Shed> {
        let process = rule(self.process, settings.edge.socket_rate, None);
        let key = self.limiter.seed().key(self.process, &[]);
        self.decide(now, &[Charge { rule: &process, key }])
    }

    /// The client of a socket that has entered as a proxy's. The grant is the client's, until it is dropped.
    ///
    /// # Errors
    /// [`Shed`], and nothing more is counted then.
    pub fn enter_behind(&self, now: Instant, client: IpAddr, settings: &Settings) -> Result<Grant, Shed> {
        let rule = rule(self.client, settings.edge.socket_rate_per_client, settings.edge.sockets_per_client);
        self.decide(now, &[self.charge(&rule, client, settings)])
    }

    /// A new socket of `client`. The grant is the socket, until it is dropped.
    ///
    /// # Errors
    /// [`Shed`], and nothing is counted then.
    pub fn enter(&self, now: Instant, client: IpAddr, settings: &Settings) -> Result<Grant, Shed> {
        if settings.edge.socket_rate.is_none() {
            return self.enter_behind(now, client, settings);
        }
        let own = rule(self.client, settings.edge.socket_rate_per_client, settings.edge.sockets_per_client);
        let all = rule(self.process, settings.edge.socket_rate, None);
        let key = self.limiter.seed().key(self.process, &[]);
        self.decide(now, &[self.charge(&own, client, settings), Charge { rule: &all, key }])
    }

    fn charge<'a>(&self, rule: &'a Rule, client: IpAddr, settings: &Settings) -> Charge<'a> {
        let key = match prefix_of(client, settings) {
            IpAddr::V4(address) => self.limiter.seed().key(self.client, &[&address.octets()]),
            IpAddr::V6(address) => self.limiter.seed().key(self.client, &[&address.octets()]),
        };
        Charge { rule, key }
    }

    fn decide(&self, now: Instant, charges: &[Charge<'_>]) -> Result<Grant, Shed> {
        match self.limiter.decide(now, charges) {
            Decision::Grant(grant) => Ok(grant),
            Decision::Deny(denial) => {
                let whole = charges.get(denial.charge).is_some_and(|charge| charge.rule.id() == self.process);
                Err(match denial.cause {
                    Cause::Window(_) if whole => Shed::Rate,
                    Cause::Window(_) => Shed::ClientRate,
                    Cause::InFlight => Shed::ClientSockets,
                    _ => Shed::TableFull,
                })
            }
        }
    }
}

fn rule(id: RuleId, rate: Option<PerSecond>, at_once: Option<NonZeroU32>) -> Rule {
    let rule = Rule::new(id).with_in_flight(at_once);
    let quota = rate.and_then(|PerSecond { rate, burst }| {
        Some(Quota::new(rate.get().into(), Duration::from_secs(1)).ok()?.with_burst(burst.into()))
    });
    match quota {
        Some(quota) => rule.with_window(Window::Second, quota),
        None => rule,
    }
}

/// The address without the bits that do not tell clients apart.
fn prefix_of(client: IpAddr, settings: &Settings) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(u32::from(32_u8.saturating_sub(settings.ipv4_prefix)));
            IpAddr::V4((address.to_bits() & mask.unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(u32::from(128_u8.saturating_sub(settings.ipv6_prefix)));
            IpAddr::V6((address.to_bits() & mask.unwrap_or(0)).into())
        }
    }
}

/// Clients whose new sockets are counted at once: a second's worth, at 64 bytes each.
const COUNTED: usize = 100_000;
/// Most clients with sockets that are counted.
const MOST_CLIENTS: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates come at once and again within a second.
    fn limits(at_once: u32, per_second: u32, of_all: u32) -> Settings {
        let rate = |rate| Some(PerSecond { rate: NonZeroU32::new(rate)?, burst: rate - 1 });
        let mut settings = Settings::default();
        settings.edge.sockets_per_client = NonZeroU32::new(at_once);
        settings.edge.socket_rate_per_client = rate(per_second);
        settings.edge.socket_rate = rate(of_all);
        settings
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(millis: u64) -> Instant {
        Instant::from_elapsed(Duration::from_millis(millis))
    }

    #[test]
    fn a_client_has_so_many_sockets_and_no_more() {
        let (arrivals, limits) = (Arrivals::new(100), limits(2, 0, 0));
        let enter = |client: &str| arrivals.enter(at(0), ip(client), &limits);
        let first = enter("192.0.2.7").unwrap();
        let _second = enter("::ffff:192.0.2.7").unwrap();
        assert_eq!(enter("192.0.2.7").unwrap_err(), Shed::ClientSockets);
        let _other = enter("192.0.2.8").unwrap();
        drop(first);
        let _third = enter("192.0.2.7").unwrap();
        assert_eq!(enter("192.0.2.7").unwrap_err(), Shed::ClientSockets);
    }

    #[test]
    fn a_client_of_ipv6_is_a_prefix() {
        let (arrivals, limits) = (Arrivals::new(100), limits(1, 0, 0));
        let _held = arrivals.enter(at(0), ip("2001:db8:0:1::1"), &limits).unwrap();
        let same = arrivals.enter(at(0), ip("2001:db8:0:1:ffff::2"), &limits);
        assert_eq!(same.unwrap_err(), Shed::ClientSockets);
        assert!(arrivals.enter(at(0), ip("2001:db8:0:2::1"), &limits).is_ok());
    }

    #[test]
    fn a_client_is_as_wide_as_the_settings_say() {
        let mut settings = Settings { ipv4_prefix: 24, ipv6_prefix: 128, ..Settings::default() };
        let of = |client: &str, settings: &Settings| prefix_of(ip(client), settings).to_string();
        assert_eq!(of("192.0.2.7", &settings), "192.0.2.0");
        assert_eq!(of("2001:db8::7", &settings), "2001:db8::7");
        (settings.ipv4_prefix, settings.ipv6_prefix) = (0, 0);
        assert_eq!(
            (of("192.0.2.7", &settings), of("2001:db8::7", &settings)),
            ("0.0.0.0".into(), "::".into())
        );
        (settings.ipv4_prefix, settings.ipv6_prefix) = (32, 64);
        assert_eq!(of("::ffff:192.0.2.7", &settings), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6", &settings), "2001:db8:1:2::");
    }

    #[test]
    fn new_sockets_a_second_are_counted_for_the_client_and_for_all() {
        let (arrivals, limits) = (Arrivals::new(100), limits(0, 3, 5));
        let enter = |millis, client: &str| arrivals.enter(at(millis), ip(client), &limits).map(drop);
        for _ in 0..3 {
            enter(0, "192.0.2.7").unwrap();
        }
        assert_eq!(enter(0, "192.0.2.7"), Err(Shed::ClientRate));
        enter(0, "192.0.2.8").unwrap();
        drop(arrivals.enter_proxy(at(0), &limits).unwrap());
        assert_eq!(enter(0, "192.0.2.9"), Err(Shed::Rate));
        assert_eq!(arrivals.enter_proxy(at(0), &limits).unwrap_err(), Shed::Rate);
        // What was shed has cost the client nothing.
        for _ in 0..3 {
            enter(1000, "192.0.2.9").unwrap();
        }
        assert_eq!(enter(1000, "192.0.2.9"), Err(Shed::ClientRate));
    }

    #[test]
    fn behind_a_proxy_clients_are_counted_by_themselves() {
        let (arrivals, limits) = (Arrivals::new(100), limits(1, 0, 2));
        let _socket = arrivals.enter_proxy(at(0), &limits).unwrap();
        let _client = arrivals.enter_behind(at(0), ip("192.0.2.7"), &limits).unwrap();
        let _socket = arrivals.enter_proxy(at(0), &limits).unwrap();
        assert_eq!(arrivals.enter_behind(at(0), ip("192.0.2.7"), &limits).unwrap_err(), Shed::ClientSockets);
    }

    #[test]
    fn a_spray_of_clients_takes_bounded_memory_and_sheds() {
        let (arrivals, limits) = (Arrivals::new(64), limits(1, 0, 0));
        let spray = (0..100_000_u32).map(|n| IpAddr::V4(n.into()));
        let entered: Vec<_> = spray.map(|client| arrivals.enter(at(0), client, &limits)).collect();
        assert!(entered.iter().any(|entered| matches!(entered, Err(Shed::TableFull))));
        let stats = arrivals.limiter.stats();
        assert!(
            stats.in_flight_held <= stats.in_flight_capacity && stats.in_flight_capacity < 2_000,
            "{stats:?}"
        );
    }
}
