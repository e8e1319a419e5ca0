//! Whether a load balancer stands in between that nobody has told us of: then limits count it and not its clients.
//!
//! Each request is a [`Sight`]: was it counted for an address that is likely a client's, or for one that is likely a
//! balancer's? [`Sightings`] adds them up in constant memory, and [`Lookout`] judges them window by window. It warns when
//! nearly all requests were counted for a few such addresses, and takes that back when they no longer are. In between
//! nothing changes, so that traffic at the edge of the one does not warn again and again.

use super::{Client, Identification};
use crate::policy::TrustMode;
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use weir_limits::Instant;

/// What an address that a request was counted for looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A client's: a public address.
    Client,
    /// Perhaps a balancer's: a private address (RFC 1918, RFC 4193, RFC 6598, link-local), or a trusted peer's own, who
    /// named nobody.
    Balancer(IpAddr),
    /// Of this machine itself, as where things are tried out. It says nothing.
    Own,
}

impl Identification {
    /// What the client of a request looks like.
    #[inline]
    pub fn sight(&self, client: &Client) -> Sight {
        let silent = client.trust != TrustMode::Ignore && client.address == client.peer;
        if (silent && self.named) || is_private(client.address) {
            Sight::Balancer(client.address)
        } else if client.address.is_loopback() {
            Sight::Own
        } else {
            Sight::Client
        }
    }
}

/// Requests by what their clients look like. Memory is constant: of the addresses of balancers only those are kept that
/// take a large part (Misra and Gries), at most [`MOST_BALANCERS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    total: u64,
    /// As IPv6, which is quicker to look through.
    addresses: [u128; MOST_BALANCERS],
    /// Requests of each; 0 where there is none.
    counts: [u64; MOST_BALANCERS],
}

impl Sightings {
    /// None.
    pub const fn new() -> Self {
        Self { total: 0, addresses: [0; MOST_BALANCERS], counts: [0; MOST_BALANCERS] }
    }

    /// One more.
    #[inline]
    pub fn see(&mut self, sight: Sight) {
        match sight {
            Sight::Own => {}
            Sight::Client => self.total = self.total.saturating_add(1),
            Sight::Balancer(address) => {
                self.total = self.total.saturating_add(1);
                let address = match address {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                self.count(address.to_bits(), 1);
            }
        }
    }

    /// Those of somebody else too.
    pub fn add(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        for (address, count) in other.addresses.iter().zip(other.counts) {
            self.count(*address, count);
        }
    }

    /// How many requests there were, those of this machine left out.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counts `times` of an address. If there is no room, as many are taken off each of the others: an address that
    /// takes more than one in [`MOST_BALANCERS`] + 1 is never lost.
    fn count(&mut self, address: u128, mut times: u64) {
        while times > 0 {
            let place = self.addresses.iter().position(|known| *known == address);
            let place = place.or_else(|| self.counts.iter().position(|count| *count == 0));
            if let Some(place) = place
                && let (Some(known), Some(count)) =
                    (self.addresses.get_mut(place), self.counts.get_mut(place))
            {
                *known = address;
                *count = count.saturating_add(times);
                return;
            }
            let least = self.counts.into_iter().min().unwrap_or(1).clamp(1, times);
            self.counts.iter_mut().for_each(|count| *count = count.saturating_sub(least));
            times = times.saturating_sub(least);
        }
    }

    /// The addresses that look like balancers', those with the most requests first, and how many requests at least were
    /// counted for them together.
    fn balancers(&self) -> (Vec<IpAddr>, u64) {
        let known = self.counts.iter().zip(self.addresses).filter(|(count, _)| **count > 0);
        let mut known: Vec<(Reverse<u64>, u128)> =
            known.map(|(count, address)| (Reverse(*count), address)).collect();
        known.sort();
        let sum = self.counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let address = |(_, address)| Ipv6Addr::from_bits(address).to_canonical();
        (known.into_iter().map(address).collect(), sum)
    }
}

/// What the lookout has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nearly all requests are counted for these addresses, the busiest first.
    Warn(Vec<IpAddr>),
    /// They are no longer.
    Relent,
}

/// Judges sightings, window by window.
#[derive(Debug)]
pub struct Lookout {
    seen: Sightings,
    /// Since when; `None` until a request was seen.
    began: Option<Instant>,
    window: Duration,
    /// Windows in a row that speak against what is said now.
    against: u32,
    warned: bool,
}

impl Lookout {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self { seen: Sightings::new(), began: None, window: FIRST_WINDOW, against: 0, warned: false }
    }

    /// Takes what was seen up to `now`, and judges it if a window is over. A window begins with a request.
    pub fn look(&mut self, now: Instant, seen: &Sightings) -> Option<Change> {
        self.seen.add(seen);
        if self.seen.total == 0 {
            return None;
        }
        let began = *self.began.get_or_insert(now);
        if now.saturating_since(began) < self.window {
            return None;
        }
        let seen = std::mem::take(&mut self.seen);
        self.began = None;
        // Probes of health are all that an idle service gets, and say nothing of its clients.
        if seen.total < LEAST_PER_SECOND.saturating_mul(self.window.as_secs()) {
            return None;
        }
        self.window = self.window.saturating_mul(2).min(LONGEST_WINDOW);
        self.judge(&seen)
    }

    /// Whether there is nothing to judge: until something is seen, [`look`](Self::look) has nothing to say.
    pub fn is_idle(&self) -> bool {
        self.seen.total == 0
    }

    /// Begins anew, as after a change of who is trusted.
    pub fn forget(&mut self) -> Option<Change> {
        std::mem::take(self).warned.then_some(Change::Relent)
    }

    fn judge(&mut self, seen: &Sightings) -> Option<Change> {
        let (addresses, counted) = seen.balancers();
        let percent = counted.saturating_mul(100).checked_div(seen.total).unwrap_or(0);
        let is_against = if self.warned { percent < RELENT_PERCENT } else { percent >= WARN_PERCENT };
        self.against = if is_against { self.against.saturating_add(1) } else { 0 };
        if self.against < WINDOWS {
            return None;
        }
        self.against = 0;
        self.warned = !self.warned;
        Some(if self.warned { Change::Warn(addresses) } else { Change::Relent })
    }
}

impl Default for Lookout {
    fn default() -> Self {
        Self::new()
    }
}

/// Addresses that are not routed in the internet, loopback left out.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = matches!(v4.octets(), [100, 64..=127, ..]);
            v4.is_private() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Most addresses that are "a few": a cloud balancer has one or two in each zone, and a small cluster as many nodes.
pub const MOST_BALANCERS: usize = 16;
/// Of a hundred requests, so many must be counted for those addresses before it is said.
pub const WARN_PERCENT: u64 = 95;
/// With fewer than so many of a hundred it is taken back.
pub const RELENT_PERCENT: u64 = 80;
/// So many windows in a row must agree, either way.
pub const WINDOWS: u32 = 2;
/// The first window is short: who has just started weir, or changed who is trusted, is looking.
pub const FIRST_WINDOW: Duration = Duration::from_secs(4);
/// Each window is twice as long as the one before, up to this: what some job of one machine does at night is no reason.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(64);
/// Windows with fewer requests than this in a second are not judged.
pub const LEAST_PER_SECOND: u64 = 5;

#[cfg(test)]
mod tests;
