//! A set of addresses, from CIDR blocks.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixSet;
use std::net::{IpAddr, Ipv4Addr};

/// A set of addresses made of CIDR blocks. A look-up takes as many steps as the longest matching prefix has bits at
/// most, however many blocks there are.
#[derive(Clone, Debug, Default)]
pub struct AddressSet {
    v4: PrefixSet<Ipv4Net>,
    v6: PrefixSet<Ipv6Net>,
}

impl AddressSet {
    /// The addresses in any of the blocks. IPv4-mapped IPv6 blocks (`::ffff:192.0.2.0/120`) count as IPv4.
    pub fn new<'a>(blocks: impl IntoIterator<Item = &'a IpNet>) -> Self {
        let mut set = Self::default();
        for block in blocks {
            match block {
                IpNet::V4(block) => drop(set.v4.insert(block.trunc())),
                IpNet::V6(block) => match mapped(block) {
                    Some(block) => drop(set.v4.insert(block)),
                    None => drop(set.v6.insert(block.trunc())),
                },
            }
        }
        set
    }

    /// Whether the address is in one of the blocks. Expects IPv4-mapped addresses to be IPv4 already.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => !self.v4.is_empty() && self.v4.get_spm(&Ipv4Net::from(address)).is_some(),
            IpAddr::V6(address) => !self.v6.is_empty() && self.v6.get_spm(&Ipv6Net::from(address)).is_some(),
        }
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

fn mapped(block: &Ipv6Net) -> Option<Ipv4Net> {
    let address: Ipv4Addr = block.addr().to_ipv4_mapped()?;
    let length = block.prefix_len().checked_sub(96)?;
    Ipv4Net::new(address, length).ok().map(|net| net.trunc())
}
