//! Lists of addresses, methods and paths.

use super::limit::join;
use super::{Invalid, Kind, Lines, Note, is_token, shown};
use crate::canonical::is_canonical_path;
use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

/// Addresses and networks.
pub struct Nets;

impl Kind for Nets {
    type Value = Vec<IpNet>;
    const FORM: &'static str =
        "IP addresses and CIDRs, separated by commas, such as `10.0.0.0/8, 192.0.2.7, 2001:db8::/32`";
    const LINES: Lines = Lines::Many;

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let parts = list(text, MAX_NETS)?;
        let nets = parts.map(|part| net(part).ok_or_else(|| Invalid::Part(shown(part))));
        let mut nets = nets.collect::<Result<Vec<_>, _>>()?;
        nets.sort_unstable();
        nets.dedup();
        *value = nets;
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        let print = |net: &IpNet| {
            if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
        };
        join(value.iter().map(print), ", ")
    }
}

/// Addresses and networks, where having no list is something else than an empty one.
pub struct OptionalNets;

impl Kind for OptionalNets {
    type Value = Option<Vec<IpNet>>;
    const FORM: &'static str = Nets::FORM;
    const LINES: Lines = Nets::LINES;

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let mut nets = Vec::new();
        let note = Nets::read(&mut nets, text)?;
        *value = Some(nets);
        Ok(note)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.as_ref().and_then(Nets::print)
    }
}

/// An address is its own network, host bits are cut off, and an IPv4-mapped IPv6 address is the IPv4 address.
fn net(text: &str) -> Option<IpNet> {
    let net = match text.parse::<IpNet>() {
        Ok(net) => net.trunc(),
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    let IpNet::V6(v6) = net else { return Some(net) };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(bits)) => Some(IpNet::V4(Ipv4Net::new(v4, bits).ok()?.trunc())),
        _ => Some(net),
    }
}

/// Methods, in upper case.
pub struct Methods;

impl Kind for Methods {
    type Value = Option<Vec<String>>;
    const FORM: &'static str = "up to 32 methods, separated by commas, such as `GET, HEAD, POST`";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let mut methods: Vec<String> = Vec::new();
        for part in list(text, MAX_METHODS)? {
            if !is_token(part) {
                return Err(Invalid::Part(shown(part)));
            }
            // Method names are case-sensitive, and every registered one is in upper case: `get` would allow nothing.
            let method = part.to_ascii_uppercase();
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        *value = Some(methods);
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.as_ref().and_then(|methods| join(methods.iter().cloned(), ", "))
    }
}

/// Path prefixes.
pub struct Paths;

impl Kind for Paths {
    type Value = Option<Vec<String>>;
    const FORM: &'static str = "up to 64 path prefixes, separated by commas, such as `/api, /static`, each in \
                                canonical form: absolute, no `//`, no dot segments, percent-encoded only where it must be";

    fn read(value: &mut Self::Value, text: &str) -> Result<Note, Invalid> {
        let mut paths: Vec<String> = Vec::new();
        for part in list(text, MAX_PATHS)? {
            let path = path_prefix(part).ok_or_else(|| Invalid::Part(shown(part)))?;
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        *value = Some(paths);
        Ok(None)
    }

    fn print(value: &Self::Value) -> Option<String> {
        value.as_ref().and_then(|paths| join(paths.iter().cloned(), ", "))
    }
}

/// A path prefix by segments, which must be in canonical form as it is written: what would be read as something else,
/// such as `/a/..`, is a mistake here. A slash at the end means the same as none.
pub(super) fn path_prefix(text: &str) -> Option<String> {
    if text.len() > MAX_PATH || !is_canonical_path(text.as_bytes()) {
        return None;
    }
    let prefix = text.strip_suffix('/').filter(|rest| !rest.is_empty());
    Some(prefix.unwrap_or(text).to_owned())
}

/// The elements of a list, without the white space around them.
fn list(text: &str, most: usize) -> Result<impl Iterator<Item = &str>, Invalid> {
    if text.split(',').nth(most).is_some() {
        return Err(Invalid::TooMany(most));
    }
    Ok(text.split(',').map(str::trim))
}

/// Most networks of a list.
pub const MAX_NETS: usize = 16_384;
/// Most methods of a list.
pub const MAX_METHODS: usize = 32;
/// Most path prefixes of a list.
pub const MAX_PATHS: usize = 64;
/// Most bytes of a path prefix.
const MAX_PATH: usize = 1024;
