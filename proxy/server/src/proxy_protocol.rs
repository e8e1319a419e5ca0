//! The PROXY protocol (versions 1 and 2, as HAProxy specifies it): what a load balancer says in front of a connection.
//!
//! Pure: bytes in, a reading out. How much may be read, for how long, and from whom a header is believed is for the
//! caller to say ([`preface`](crate::preface)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What the bytes at the front of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The beginning of a header, perhaps. No more than [`MAX_HEADER`] bytes are ever asked for.
    More,
    /// A whole header, in so many bytes; what follows belongs to the client.
    Done {
        /// Who is at the ends of the connection that the load balancer accepted.
        ends: Ends,
        /// Bytes of the header.
        len: usize,
    },
    /// No header, or a broken one.
    Malformed(Fault),
}

/// Who is at the ends of the connection that the load balancer accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// A client, and the address that it connected to.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// The address that it connected to.
        destination: SocketAddr,
    },
    /// The load balancer does not say (`UNKNOWN`, `UNSPEC`), or speaks for itself (`LOCAL`: a health check). The
    /// socket's own ends count.
    Local,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first bytes are those of no header.
    Signature,
    /// It is longer than a header may be.
    TooLong,
    /// It begins as a header and goes on as something else.
    Syntax,
    /// A version, command or kind of address that is not served; Unix sockets and datagrams among them.
    Unsupported,
}

/// Reads a header at the front of `data`, which may be any part of it from its first byte on.
pub fn read(data: &[u8]) -> Reading {
    match (begins(data, V1), begins(data, V2)) {
        (Begins::No, Begins::No) => Reading::Malformed(Fault::Signature),
        (Begins::Yes, _) => read_v1(data),
        (_, Begins::Yes) => read_v2(data),
        (Begins::Perhaps, _) | (_, Begins::Perhaps) => Reading::More,
    }
}

/// Whether `data` begins as a header does: for peers that have no business to send one.
pub fn is_header(data: &[u8]) -> bool {
    begins(data, V1) == Begins::Yes || begins(data, V2) == Begins::Yes
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Yes,
    Perhaps,
    No,
}

fn begins(data: &[u8], signature: &[u8]) -> Begins {
    if data.starts_with(signature) {
        Begins::Yes
    } else if signature.starts_with(data) {
        Begins::Perhaps
    } else {
        Begins::No
    }
}

/// A line of text: `PROXY TCP4 192.0.2.1 192.0.2.2 4711 443`.
fn read_v1(data: &[u8]) -> Reading {
    let line = data.get(..MAX_V1).unwrap_or(data);
    let Some(end) = memchr::memchr(b'\n', line) else {
        return if data.len() < MAX_V1 { Reading::More } else { Reading::Malformed(Fault::TooLong) };
    };
    let text = line.get(..end).and_then(|text| text.strip_suffix(b"\r"));
    match text.and_then(|text| std::str::from_utf8(text).ok()).map_or(Err(Fault::Syntax), ends_v1) {
        Ok(ends) => Reading::Done { ends, len: end.saturating_add(1) },
        Err(fault) => Reading::Malformed(fault),
    }
}

fn ends_v1(line: &str) -> Result<Ends, Fault> {
    let mut words = line.split(' ').skip(1);
    let family = words.next().ok_or(Fault::Syntax)?;
    if family == "UNKNOWN" {
        // "The receiver must ignore anything presented before the CRLF."
        return Ok(Ends::Local);
    }
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (address(), address());
    let mut port = || words.next().and_then(decimal);
    let (source_port, destination_port) = (port(), port());
    match (source, destination, source_port, destination_port, words.next()) {
        (Some(source), Some(destination), Some(source_port), Some(destination_port), None) => {
            Ok(Ends::Proxied {
                source: SocketAddr::new(source.to_canonical(), source_port),
                destination: SocketAddr::new(destination.to_canonical(), destination_port),
            })
        }
        _ if matches!(family, "TCP4" | "TCP6") => Err(Fault::Syntax),
        _ => Err(Fault::Unsupported),
    }
}

/// A port as the protocol writes it: digits, no sign, no leading zeros.
fn decimal(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Sixteen bytes, then addresses and extensions (TLVs) of a length that the sixteen announce.
fn read_v2(data: &[u8]) -> Reading {
    let Some(&[version_command, family, high, low]) = data.get(V2.len()..FIXED_V2) else {
        return match data.get(V2.len()) {
            // Known to be wrong before all sixteen are there.
            Some(byte) if byte >> 4 != 2 || byte & 0xf > 1 => Reading::Malformed(Fault::Unsupported),
            _ => Reading::More,
        };
    };
    if version_command >> 4 != 2 || version_command & 0xf > 1 {
        return Reading::Malformed(Fault::Unsupported);
    }
    let len = FIXED_V2.saturating_add(usize::from(u16::from_be_bytes([high, low])));
    if len > MAX_HEADER {
        return Reading::Malformed(Fault::TooLong);
    }
    let local = version_command & 0xf == 0;
    // Family and transport are judged before the addresses are there: what is refused need not be waited for.
    let size = match (local, family) {
        // Of a LOCAL connection the receiver must ignore family and addresses.
        (true, _) | (false, UNSPEC) => None,
        (false, TCP4) => Some(SIZE_V4),
        (false, TCP6) => Some(SIZE_V6),
        (false, _) => return Reading::Malformed(Fault::Unsupported),
    };
    if size.is_some_and(|size| len < FIXED_V2.saturating_add(size)) {
        return Reading::Malformed(Fault::Syntax);
    }
    let Some(header) = data.get(..len) else { return Reading::More };
    let ends = match size {
        None => Some(Ends::Local),
        Some(SIZE_V4) => header.get(FIXED_V2..).and_then(ends_of::<4>),
        Some(_) => header.get(FIXED_V2..).and_then(ends_of::<16>),
    };
    ends.map_or(Reading::Malformed(Fault::Syntax), |ends| Reading::Done { ends, len })
}

/// Two addresses of `N` bytes each, then two ports.
fn ends_of<const N: usize>(block: &[u8]) -> Option<Ends>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = block.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    let end = |address: &[u8; N], port: &[u8; 2]| {
        SocketAddr::new(IpAddr::from(*address).to_canonical(), u16::from_be_bytes(*port))
    };
    Some(Ends::Proxied { source: end(source, source_port), destination: end(destination, destination_port) })
}

/// Most bytes of a header, extensions included.
pub const MAX_HEADER: usize = 4096;
/// Most bytes of a header of version 1, its line end included.
const MAX_V1: usize = 107;
const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes in front of the addresses of version 2.
const FIXED_V2: usize = 16;
/// Family and transport, as one byte.
const UNSPEC: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
/// Bytes of two addresses and two ports.
const SIZE_V4: usize = 12;
const SIZE_V6: usize = 36;

#[cfg(test)]
mod tests;
