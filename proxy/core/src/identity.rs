//! Who asks: the client's address, never taken from a header that an untrusted peer sent.

mod addresses;

pub use addresses::AddressSet;

use crate::facts::{Facts, Headers};
use crate::policy::{Profile, Settings, TrustMode};
use std::net::{IpAddr, SocketAddr};

/// The client of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Address that limits and lists look at, and that the origin is told. IPv4-mapped IPv6 is IPv4 here.
    pub address: IpAddr,
    /// Address of the socket's other end, as IPv4 if it is IPv4-mapped.
    pub peer: IpAddr,
    /// What of the peer's forwarded headers is believed; [`TrustMode::Ignore`] for peers that are not trusted.
    pub trust: TrustMode,
}

/// Who is believed, and in which header: the settings' [`Trust`](crate::policy::Trust) made ready for requests.
#[derive(Debug)]
pub struct Identification {
    mode: TrustMode,
    proxies: AddressSet,
    /// Whether the proxies are some, and not simply everybody.
    named: bool,
    proxy_protocol: bool,
    header: String,
    lines: Lines,
}

/// What is known of a connection when it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// The peer is the client, as far as anybody knows.
    TakeAsClient,
    /// The peer is a proxy that was named: its connections are those of many clients.
    TrustProxy,
    /// The connection begins with a header of the PROXY protocol, and that names the client.
    ExpectHeader,
    /// The peer is the client; a header of the PROXY protocol is none that it may send.
    RefuseHeader,
}

/// Which lines of the header count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    /// All of them, as if they were one list (RFC 9110 section 5.3).
    All,
    /// The first. What nginx does with a header other than `X-Forwarded-For`.
    First,
}

impl Identification {
    /// Prepares what the settings say.
    pub fn new(settings: &Settings) -> Self {
        let trust = &settings.trust;
        let plain = trust.header.eq_ignore_ascii_case("x-forwarded-for");
        let lines = match settings.profile {
            Profile::IngressNginx if !plain => Lines::First,
            Profile::IngressNginx | Profile::Weir => Lines::All,
        };
        let proxies = AddressSet::new(&trust.proxies);
        let named = trust.proxies.iter().all(|block| block.prefix_len() > 0);
        let proxy_protocol = settings.edge.proxy_protocol.required;
        Self { mode: trust.address, proxies, named, proxy_protocol, header: trust.header.clone(), lines }
    }

    /// What a connection from `peer` begins with, and who its client is.
    #[inline]
    pub fn greet(&self, peer: IpAddr) -> Greeting {
        let peer = peer.to_canonical();
        if self.proxy_protocol {
            return if self.proxies.contains(peer) { Greeting::ExpectHeader } else { Greeting::RefuseHeader };
        }
        if self.named && self.believes(peer) { Greeting::TrustProxy } else { Greeting::TakeAsClient }
    }

    /// Whether `peer` is a proxy whose headers are believed.
    pub fn believes(&self, peer: IpAddr) -> bool {
        self.mode != TrustMode::Ignore && self.proxies.contains(peer.to_canonical())
    }

    /// Finds the client of a request.
    ///
    /// From a trusted peer the header is walked from right to left, the last line first, for as long as the address
    /// last found is trusted itself. The first that is not is the client; if all are trusted, the leftmost is. An
    /// element that is no address ends the walk, and so does the [`ELEMENTS_MAX`]th: then the last good one is the
    /// client. Empty elements are skipped (RFC 9110 section 5.6.1).
    #[inline]
    pub fn identify(&self, facts: &Facts<'_>) -> Client {
        let peer = facts.peer.to_canonical();
        if !self.believes(peer) {
            return Client { address: peer, peer, trust: TrustMode::Ignore };
        }
        Client { address: self.walk(peer, facts.headers), peer, trust: self.mode }
    }

    fn walk(&self, peer: IpAddr, headers: &dyn Headers) -> IpAddr {
        let mut lines = 0_usize;
        headers.visit(&self.header, &mut |_| lines += 1);
        if self.lines == Lines::First {
            lines = lines.min(1);
        }
        let mut walk = Walk { address: peer, left: ELEMENTS_MAX };
        // Values are visited in the order of arrival and borrowed for a moment only, so each line is a visit of its own.
        for line in (lines.saturating_sub(LINES_MAX)..lines).rev() {
            let mut number = 0_usize;
            let mut step = Step::Continue;
            headers.visit(&self.header, &mut |value| {
                if number == line {
                    step = walk.line(value, &self.proxies);
                }
                number += 1;
            });
            if step == Step::Stop {
                break;
            }
        }
        walk.address
    }
}

/// A walk in progress: the last good address, and how many elements may still be looked at.
struct Walk {
    address: IpAddr,
    left: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Continue,
    Stop,
}

impl Walk {
    fn line(&mut self, value: &[u8], proxies: &AddressSet) -> Step {
        for element in value.rsplit(|&byte| byte == b',') {
            let Some(left) = self.left.checked_sub(1) else { return Step::Stop };
            self.left = left;
            let element = element.trim_ascii();
            if element.is_empty() {
                continue;
            }
            let Some(address) = parse(element) else { return Step::Stop };
            self.address = address;
            if !proxies.contains(address) {
                return Step::Stop;
            }
        }
        Step::Continue
    }
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn parse(element: &[u8]) -> Option<IpAddr> {
    if element.len() > ELEMENT_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(element).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

/// Most elements looked at in one walk, empty ones included. A chain of proxies is shorter.
pub const ELEMENTS_MAX: usize = 64;

/// Most lines looked at, counted from the last.
const LINES_MAX: usize = 16;

/// `[ffff:...:255.255.255.255]:65535` is 55 bytes; a scope id does not belong in a forwarded address.
const ELEMENT_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests;
