//! Short texts without the allocator.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

/// At most `N` bytes, held where it is made.
#[derive(Clone, Copy)]
pub(crate) struct Text<const N: usize> {
    len: usize,
    bytes: [u8; N],
}

/// An address as the standard library displays it, with its port and brackets where it has them.
pub(crate) type Address = Text<64>;

impl<const N: usize> Text<N> {
    /// No bytes.
    pub(crate) const EMPTY: Self = Self { len: 0, bytes: [0; N] };

    /// A copy of `text`, if it fits.
    pub(crate) fn copy(text: &[u8]) -> Option<Self> {
        let mut new = Self::EMPTY;
        new.bytes.get_mut(..text.len())?.copy_from_slice(text);
        new.len = text.len();
        Some(new)
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Appends; what does not fit as a whole is left out.
    pub(crate) fn push(&mut self, more: &[u8]) {
        let end = self.len.saturating_add(more.len());
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(more);
            self.len = end;
        }
    }

    /// Keeps the last `keep` bytes.
    pub(crate) fn keep_right(&mut self, keep: usize) {
        self.bytes.copy_within(self.len.saturating_sub(keep)..self.len, 0);
        self.len = keep.min(self.len);
    }
}

impl Address {
    /// An address.
    pub(crate) fn of_ip(address: IpAddr) -> Self {
        let mut text = Self::EMPTY;
        match address {
            // By far the most frequent, and three times as fast as the general way.
            IpAddr::V4(v4) => {
                for (i, octet) in v4.octets().into_iter().enumerate() {
                    if i > 0 {
                        text.push(b".");
                    }
                    text.push(itoa::Buffer::new().format(octet).as_bytes());
                }
            }
            IpAddr::V6(v6) => {
                let mut room = text.bytes.as_mut_slice();
                let before = room.len();
                // Always fits: an IPv6 address takes 45 bytes at most.
                let fits = write!(room, "{v6}").is_ok();
                text.len = if fits { before.saturating_sub(room.len()) } else { 0 };
            }
        }
        text
    }

    /// An address and a port.
    pub(crate) fn of_socket(address: SocketAddr) -> Self {
        let ip = Self::of_ip(address.ip());
        let mut text = Self::EMPTY;
        match address {
            SocketAddr::V4(_) => text.push(ip.as_bytes()),
            SocketAddr::V6(_) => [b"[", ip.as_bytes(), b"]"].iter().for_each(|part| text.push(part)),
        }
        text.push(b":");
        text.push(itoa::Buffer::new().format(address.port()).as_bytes());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_are_written_as_the_standard_library_does(ip: IpAddr, port: u16) {
            let text = Address::of_ip(ip);
            prop_assert_eq!(String::from_utf8_lossy(text.as_bytes()), ip.to_string());
            let text = Address::of_socket((ip, port).into());
            let socket = SocketAddr::from((ip, port)).to_string();
            prop_assert_eq!(String::from_utf8_lossy(text.as_bytes()), socket);
        }
    }

    #[test]
    fn the_longest_addresses_fit() {
        let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(Address::of_ip(all.parse().unwrap()).as_bytes(), all.as_bytes());
        let socket = format!("[{all}]:65535");
        assert_eq!(Address::of_socket(socket.parse().unwrap()).as_bytes(), socket.as_bytes());
    }
}
