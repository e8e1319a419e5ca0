//! Who asks: the client's address, never taken from a header that an untrusted peer sent.

use crate::facts::Facts;
use crate::policy::{Trust, TrustMode};
use std::net::IpAddr;

/// The client of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Address that limits and lists look at, and that the origin is told.
    pub address: IpAddr,
    /// Address of the socket's other end.
    pub peer: IpAddr,
    /// What of the peer's forwarded headers is believed; [`TrustMode::Ignore`] for peers that are not trusted.
    pub trust: TrustMode,
}

/// Finds the client of a request.
pub fn identify(facts: &Facts<'_>, trust: &Trust) -> Client {
    let mode = if trust.believes(facts.peer) { trust.address } else { TrustMode::Ignore };
    Client { address: facts.peer, peer: facts.peer, trust: mode }
}
