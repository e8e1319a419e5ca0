//! EndpointSlice.

use super::{EndpointAddresses, Findings, items, label, names, text};
use serde_json::{Value, json};
use std::net::IpAddr;

pub(super) fn slice(
    object: &Value,
    old: Option<&Value>,
    allowed: EndpointAddresses,
    findings: &mut Findings<'_>,
) {
    let kind = text(object, "/addressType");
    match kind {
        "" => findings.require("addressType", ""),
        "IPv4" | "IPv6" | "FQDN" => {}
        _ => {
            let supported = "supported values: \"FQDN\", \"IPv4\", \"IPv6\"";
            findings.invalid("addressType", &object["addressType"], supported);
        }
    }
    findings.immutable(object, old, "/addressType");
    if items(object, "/endpoints").count() > 1000 {
        findings.forbid("endpoints", "must have at most 1000 items");
    }
    for (index, endpoint) in items(object, "/endpoints") {
        let at = format!("endpoints[{index}]");
        if items(endpoint, "/addresses").next().is_none() {
            findings.require(format!("{at}.addresses"), "must contain at least 1 address");
        }
        if items(endpoint, "/addresses").count() > 100 {
            findings.forbid(format!("{at}.addresses"), "must have at most 100 items");
        }
        for (number, address) in items(endpoint, "/addresses") {
            if let Err(why) = check_address(kind, address.as_str().unwrap_or_default(), allowed) {
                findings.invalid(format!("{at}.addresses[{number}]"), address, why);
            }
        }
        for (number, zone) in items(endpoint, "/hints/forZones") {
            if text(zone, "/name").is_empty() {
                findings.require(format!("{at}.hints.forZones[{number}].name"), "");
            }
        }
    }
    ports(object, findings);
}

fn check_address(kind: &str, text: &str, allowed: EndpointAddresses) -> Result<(), &'static str> {
    let address = text.parse::<IpAddr>();
    let address = match (kind, address) {
        ("FQDN", _) => return names::subdomain(text),
        ("IPv4", Ok(IpAddr::V4(address))) => IpAddr::V4(address),
        ("IPv6", Ok(IpAddr::V6(address))) => IpAddr::V6(address),
        ("IPv4", _) => return Err("must be a valid IPv4 address"),
        ("IPv6", _) => return Err("must be a valid IPv6 address"),
        _ => return Ok(()),
    };
    let (loopback, link_local) = match address {
        IpAddr::V4(address) => (address.is_loopback(), address.is_link_local()),
        IpAddr::V6(address) => (address.is_loopback(), address.is_unicast_link_local()),
    };
    let multicast = match address {
        IpAddr::V4(address) => address.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(address) => address.segments().first() == Some(&0xff02),
    };
    match allowed {
        EndpointAddresses::Any => Ok(()),
        EndpointAddresses::Routable if address.is_unspecified() => {
            Err("may not be unspecified (0.0.0.0 or ::)")
        }
        EndpointAddresses::Routable if loopback => {
            Err("may not be in the loopback range (127.0.0.0/8, ::1/128)")
        }
        EndpointAddresses::Routable if link_local => {
            Err("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
        }
        EndpointAddresses::Routable if multicast => {
            Err("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
        }
        EndpointAddresses::Routable => Ok(()),
    }
}

fn ports(object: &Value, findings: &mut Findings<'_>) {
    let mut seen = Vec::new();
    for (index, port) in items(object, "/ports") {
        let at = format!("ports[{index}]");
        let name = text(port, "/name");
        if let (false, Err(why)) = (name.is_empty(), label(name)) {
            findings.invalid(format!("{at}.name"), &json!(name), why);
        }
        if seen.contains(&name) {
            findings.invalid(format!("{at}.name"), &json!(name), "duplicate value");
        }
        seen.push(name);
        if !matches!(text(port, "/protocol"), "TCP" | "UDP" | "SCTP") {
            let supported = "supported values: \"SCTP\", \"TCP\", \"UDP\"";
            findings.invalid(format!("{at}.protocol"), &port["protocol"], supported);
        }
    }
    if seen.len() > 100 {
        findings.forbid("ports", "must have at most 100 items");
    }
}
