//! Where proxies in front speak `Forwarded` (RFC 7239): what is believed of it, and what the origin is told in its words.

use super::{Believed, ForwardedFor, Host, Inputs, MAX_LIST, SEPARATOR, is_host, port_of, scheme_of};
use crate::respond::is_field_value;
use crate::text::{Address, Text};
use std::net::IpAddr;
use weir_core::identity::{ELEMENTS_MAX, Step, forwarded};
use weir_core::policy::TrustMode;

/// Host, port and scheme that the client used, by the word of the outermost trusted proxy. A port is the host's, or else
/// that of the scheme.
pub(super) fn believed(inputs: &Inputs<'_>) -> Believed {
    let mut believed = Believed::default();
    inputs.client.outermost(inputs.headers, &mut |element| {
        let mut room = [0; super::MAX_HOST];
        let host = element.host.and_then(|host| host.copy(&mut room)).filter(|host| is_host(host));
        believed.host = host.and_then(Host::copy);
        let mut room = [0; SCHEME_BYTES_MAX];
        believed.scheme = element.proto.and_then(|proto| proto.copy(&mut room)).and_then(scheme_of);
        let of_scheme =
            believed.scheme.map(|scheme| if matches!(scheme, "https" | "wss") { 443 } else { 80 });
        believed.port = host.and_then(port_in).or(of_scheme);
    });
    believed
}

/// `X-Forwarded-For` and `Forwarded` for the origin.
pub(super) fn put(inputs: &Inputs<'_>, believed: &Believed, put: &mut impl FnMut(&'static str, &[u8])) {
    let client = inputs.client;
    let scheme = inputs.scheme.as_str();
    if inputs.forwarded_for == ForwardedFor::Client || client.trust == TrustMode::Ignore {
        put("X-Forwarded-For", Address::of_ip(client.address).as_bytes());
        let host = believed.host.as_ref().map_or(inputs.host, Host::as_bytes);
        let own = element(client.address, host, believed.scheme.unwrap_or(scheme));
        return put("Forwarded", own.as_bytes());
    }

    let mut way = Leftwards::new();
    way.put(Address::of_ip(client.peer).as_bytes());
    client.visit_believed(inputs.headers, &mut |hop| {
        if let Some(address) = hop.address {
            way.put(Address::of_ip(address).as_bytes());
        }
    });
    put("X-Forwarded-For", way.as_bytes());

    let mut way = Leftwards::new();
    way.put(element(client.peer, inputs.host, scheme).as_bytes());
    forwarded::visit(inputs.headers, ELEMENTS_MAX, &mut |hop| {
        if is_field_value(hop.text) && way.put(hop.text) { Step::Continue } else { Step::Stop }
    });
    put("Forwarded", way.as_bytes());
}

/// What we say of a request from `node`.
fn element(node: IpAddr, host: &[u8], scheme: &str) -> Text<ELEMENT_BYTES_MAX> {
    let mut text = Text::EMPTY;
    let address = Address::of_ip(node);
    let (before, behind): (&[u8], &[u8]) = match node {
        IpAddr::V4(_) => (b"for=", b""),
        IpAddr::V6(_) => (b"for=\"[", b"]\""),
    };
    [before, address.as_bytes(), behind].iter().for_each(|part| text.push(part));
    if is_host(host) {
        let quote: &[u8] = if host.iter().any(|byte| b":[]".contains(byte)) { b"\"" } else { b"" };
        [b";host=", quote, host, quote].iter().for_each(|part| text.push(part));
    }
    [b";proto=", scheme.as_bytes()].iter().for_each(|part| text.push(part));
    text
}

/// A list that is written from right to left, so that elements of its left are missing if it is too long.
struct Leftwards {
    start: usize,
    bytes: [u8; MAX_LIST],
}

impl Leftwards {
    fn new() -> Self {
        Self { start: MAX_LIST, bytes: [0; MAX_LIST] }
    }

    /// Puts an element in front of the others; returns whether there was room.
    fn put(&mut self, element: &[u8]) -> bool {
        let separator = if self.start == MAX_LIST { &[][..] } else { SEPARATOR };
        let len = element.len().saturating_add(separator.len());
        let Some(start) = self.start.checked_sub(len) else { return false };
        let Some((left, right)) =
            self.bytes.get_mut(start..self.start).and_then(|room| room.split_at_mut_checked(element.len()))
        else {
            return false;
        };
        left.copy_from_slice(element);
        right.copy_from_slice(separator);
        self.start = start;
        true
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The port behind a host, if there is one.
fn port_in(host: &[u8]) -> Option<u16> {
    let colon = host.iter().rposition(|byte| *byte == b':')?;
    let (name, port) = host.split_at_checked(colon)?;
    let is_whole = name.ends_with(b"]") || !name.contains(&b':');
    port_of(port.get(1..)?).filter(|_| is_whole)
}

/// The longest scheme that is known.
const SCHEME_BYTES_MAX: usize = 5;
/// An address, a host and a scheme with what stands between them.
const ELEMENT_BYTES_MAX: usize = 384;
