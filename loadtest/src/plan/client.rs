//! What makes a client one: its address and what it says of itself.

use crate::scenario::Identity;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A client as the target can tell it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Source address of its sockets.
    pub source: Ipv4Addr,
    /// Address in a PROXY header, when it sends one.
    pub proxied: Option<IpAddr>,
    /// What it says in its class's header field ([`Identity::field`]), behind what all values begin with.
    pub says: Option<Says>,
}

/// What tells a client from others in a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Its address.
    Address(IpAddr),
    /// Its number.
    Number(u32),
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// The client of a number.
pub fn client(identity: &Identity, number: u32) -> Client {
    let plain = Client { source: Ipv4Addr::LOCALHOST, proxied: None, says: None };
    match identity {
        Identity::Shared => plain,
        Identity::Source { network } => match address(&network.0, number) {
            IpAddr::V4(source) => Client { source, ..plain },
            IpAddr::V6(_) => plain,
        },
        Identity::ForwardedFor { network } => {
            Client { says: Some(Says::Address(address(&network.0, number))), ..plain }
        }
        Identity::ProxyHeader { network } => Client { proxied: Some(address(&network.0, number)), ..plain },
        Identity::ApiKey { .. } => Client { says: Some(Says::Number(number)), ..plain },
    }
}

impl Client {
    /// The line that goes before everything else on its connections; version 1 of the PROXY protocol.
    pub fn preamble(&self) -> String {
        match self.proxied {
            None => String::new(),
            Some(IpAddr::V4(address)) => format!("PROXY TCP4 {address} 127.0.0.1 40000 80\r\n"),
            Some(IpAddr::V6(address)) => format!("PROXY TCP6 {address} ::1 40000 80\r\n"),
        }
    }

    /// Its header field, name and value.
    pub fn field(&self, identity: &Identity) -> Option<(String, String)> {
        let ((name, prefix), says) = (identity.field()?, self.says?);
        Some((name.to_owned(), format!("{prefix}{says}")))
    }

    /// The address that the target sees without looking into requests.
    pub fn peer(&self) -> IpAddr {
        self.proxied.unwrap_or(IpAddr::V4(self.source))
    }
}

/// The address of a number in a network. In a network of four addresses or more, the first is left out while that is
/// possible: nobody has the address of a network.
fn address(network: &IpNet, number: u32) -> IpAddr {
    match network {
        IpNet::V4(network) => {
            let first = u32::from(network.network());
            let size = 1_u64 << (32 - network.prefix_len());
            let offset = (u64::from(number) + 1) % size;
            IpAddr::V4(Ipv4Addr::from(first.wrapping_add(offset as u32)))
        }
        IpNet::V6(network) => {
            // By /64, for that is what counts as a client; where the network is narrower, by address.
            let shift = if network.prefix_len() <= 32 { 64 } else { 0 };
            let first = u128::from(network.network());
            IpAddr::V6(Ipv6Addr::from(first.wrapping_add((u128::from(number) + 1) << shift)))
        }
    }
}
