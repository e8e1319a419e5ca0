//! Who asks: the client's address, never taken from a header that an untrusted peer sent.

mod addresses;
pub mod forwarded;
pub mod lookout;

pub use addresses::AddressSet;

use crate::facts::{Facts, Headers};
use crate::policy::{Profile, Settings, TrustMode};
use forwarded::Element;
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
    /// In whose words proxies speak of clients.
    pub words: Words,
}

impl Client {
    /// The elements of `Forwarded` that trusted peers have written, from right to left; none where that is not the
    /// header in force. `headers` are those of the request that it is the client of.
    pub fn visit_believed(&self, headers: &dyn Headers, visit: &mut dyn FnMut(&Element<'_>)) {
        let Words::Forwarded { believed } = self.words else { return };
        let mut left = usize::from(believed);
        forwarded::visit(headers, ELEMENTS_MAX, &mut |element| {
            let Some(rest) = left.checked_sub(1) else { return Step::Stop };
            left = rest;
            visit(element);
            Step::Continue
        });
    }

    /// The leftmost of them: what the outermost trusted proxy said of the client's own request. Nothing where peers are
    /// believed in no more than addresses.
    pub fn outermost(&self, headers: &dyn Headers, visit: &mut dyn FnMut(&Element<'_>)) {
        let Words::Forwarded { believed } = self.words else { return };
        if self.trust != TrustMode::All {
            return;
        }
        let mut left = believed;
        self.visit_believed(headers, &mut |element| {
            left = left.saturating_sub(1);
            if left == 0 {
                visit(element);
            }
        });
    }
}

/// In whose words proxies speak of clients, by the name of `forwarded-for-header`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// Of `X-Forwarded-For`, or of another list of addresses; scheme, host and port are in `X-Forwarded-Proto`, `-Host`
    /// and `-Port`.
    #[default]
    List,
    /// Of `Forwarded` (RFC 7239), where scheme and host are too. What comes as `X-Forwarded-Proto` or `-Host` counts for
    /// nothing: a proxy that writes the one need not cut the others.
    Forwarded {
        /// How many elements were written by trusted peers, counted from the right. The last of them tells of the
        /// client, or of whoever is hidden behind a name that is no address.
        believed: u8,
    },
}

/// Who is believed, and in which header: the settings' [`Trust`](crate::policy::Trust) made ready for requests.
#[derive(Debug)]
pub struct Identification {
    mode: TrustMode,
    proxies: AddressSet,
    /// Whether the proxies are some, and not simply everybody.
    named: bool,
    proxy_protocol: bool,
    header: Header,
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

/// The header with the addresses.
#[derive(Debug)]
enum Header {
    /// A list of addresses under this name.
    List(String, Lines),
    /// `Forwarded`.
    Forwarded,
}

/// Which lines of a header count.
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
        let header = match settings.profile {
            _ if trust.header.eq_ignore_ascii_case(forwarded::NAME) => Header::Forwarded,
            Profile::IngressNginx if !plain => Header::List(trust.header.clone(), Lines::First),
            Profile::IngressNginx | Profile::Weir => Header::List(trust.header.clone(), Lines::All),
        };
        let proxies = AddressSet::new(&trust.proxies);
        let named = trust.proxies.iter().all(|block| block.prefix_len() > 0);
        let proxy_protocol = settings.edge.proxy_protocol.required;
        Self { mode: trust.address, proxies, named, proxy_protocol, header }
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
            let words = match self.header {
                Header::List(..) => Words::List,
                Header::Forwarded => Words::Forwarded { believed: 0 },
            };
            return Client { address: peer, peer, trust: TrustMode::Ignore, words };
        }
        let (address, words) = match &self.header {
            Header::List(name, lines) => (self.walk(peer, facts.headers, name, *lines), Words::List),
            Header::Forwarded => self.walk_forwarded(peer, facts.headers),
        };
        Client { address, peer, trust: self.mode, words }
    }

    fn walk(&self, peer: IpAddr, headers: &dyn Headers, name: &str, lines: Lines) -> IpAddr {
        let mut walk = Walk { address: peer, left: ELEMENTS_MAX };
        backwards(headers, name, lines, &mut |value| walk.line(value, &self.proxies));
        walk.address
    }

    fn walk_forwarded(&self, peer: IpAddr, headers: &dyn Headers) -> (IpAddr, Words) {
        let mut client = peer;
        let mut believed = 0_u8;
        forwarded::visit(headers, ELEMENTS_MAX, &mut |element| {
            believed = believed.saturating_add(1);
            let Some(address) = element.address else { return Step::Stop };
            client = address;
            if self.proxies.contains(address) { Step::Continue } else { Step::Stop }
        });
        (client, Words::Forwarded { believed })
    }
}

/// The lines of a header from the last to the first, until `visit` says that it is enough.
fn backwards(headers: &dyn Headers, name: &str, count: Lines, visit: &mut dyn FnMut(&[u8]) -> Step) {
    let mut lines = 0_usize;
    headers.visit(name, &mut |_| lines += 1);
    if count == Lines::First {
        lines = lines.min(1);
    }
    // Values are visited in the order of arrival and borrowed for a moment only, so each line is a visit of its own.
    for line in (lines.saturating_sub(LINES_MAX)..lines).rev() {
        let mut number = 0_usize;
        let mut step = Step::Continue;
        headers.visit(name, &mut |value| {
            if number == line {
                step = visit(value);
            }
            number += 1;
        });
        if step == Step::Stop {
            break;
        }
    }
}

/// A walk in progress: the last good address, and how many elements may still be looked at.
struct Walk {
    address: IpAddr,
    left: usize,
}

/// Whether to look at what is left of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look at the next one.
    Continue,
    /// That was all.
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
