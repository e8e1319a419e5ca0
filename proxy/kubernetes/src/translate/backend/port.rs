//! Ports of Services.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use weir_core::declaration::PortName;

/// Where a port is found in the EndpointSlices of its Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// Under the name of the Service's port, which is empty for the one port that needs no name. A slice port without
    /// a number leaves the port open, and `target` is used.
    Named { name: &'a str, target: Option<u16> },
    /// A number that is the pods' own, whatever its name: a headless Service that lists no ports.
    Number(u16),
}

/// A port that was asked for.
pub(super) struct Found<'a> {
    pub(super) wanted: Wanted<'a>,
    /// Its number at the addresses of the Service itself.
    pub(super) number: Option<u16>,
    pub(super) by: FoundBy,
}

/// What the asker called the port by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoundBy {
    /// Its number or name.
    Port,
    /// The number or name of its `targetPort`, which Kubernetes does not have in mind and ingress-nginx accepts.
    TargetPort,
}

/// Finds a port of a Service that has endpoints.
pub(super) fn find<'a>(service: &'a Service, asked: &PortName) -> Option<Found<'a>> {
    if let Some(port) = by_port(service, asked) {
        return Some(Found { wanted: wanted(port), number: number(port), by: FoundBy::Port });
    }
    if let Some(port) = by_target_port(service, asked) {
        return Some(Found { wanted: wanted(port), number: number(port), by: FoundBy::TargetPort });
    }
    let headless = || service.spec.as_ref().is_some_and(|spec| spec.cluster_ip.as_deref() == Some(HEADLESS));
    match asked {
        PortName::Number(number) if ports(service).is_empty() && headless() => {
            Some(Found { wanted: Wanted::Number(*number), number: Some(*number), by: FoundBy::Port })
        }
        PortName::Number(_) | PortName::Name(_) => None,
    }
}

/// The port of an ExternalName: a number need not be listed in the Service; a name must be.
pub(super) fn of_external(service: &Service, asked: &PortName) -> Option<u16> {
    match (by_port(service, asked), asked) {
        (Some(port), _) => target(port).or_else(|| number(port)),
        (None, PortName::Number(number)) => Some(*number),
        (None, PortName::Name(_)) => None,
    }
}

/// What else a port may be called: its name if asked by number, and the other way round.
pub(super) fn other_name(service: &Service, asked: &PortName) -> Option<PortName> {
    let port = by_port(service, asked)?;
    match asked {
        PortName::Number(_) => port.name.clone().map(PortName::Name),
        PortName::Name(_) => u16::try_from(port.port).ok().map(PortName::Number),
    }
}

/// `spec.ports`
pub(super) fn ports(service: &Service) -> &[ServicePort] {
    service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default()
}

/// A port as findings call it.
pub(super) fn describe(port: &ServicePort) -> String {
    let protocol = protocol(port);
    match port.name.as_deref() {
        Some(name) if !name.is_empty() => format!("{name} = {}/{protocol}", port.port),
        _ => format!("{}/{protocol}", port.port),
    }
}

/// A port as an Ingress writes it.
pub(super) fn text(port: &PortName) -> String {
    match port {
        PortName::Number(number) => number.to_string(),
        PortName::Name(name) => name.clone(),
    }
}

fn by_port<'a>(service: &'a Service, asked: &PortName) -> Option<&'a ServicePort> {
    tcp_ports(service).find(|port| match asked {
        PortName::Number(number) => port.port == i32::from(*number),
        PortName::Name(name) => !name.is_empty() && port.name.as_deref() == Some(name),
    })
}

fn by_target_port<'a>(service: &'a Service, asked: &PortName) -> Option<&'a ServicePort> {
    tcp_ports(service).find(|port| match (&port.target_port, asked) {
        (Some(IntOrString::Int(target)), PortName::Number(number)) => *target == i32::from(*number),
        (Some(IntOrString::String(target)), PortName::Name(name)) => !name.is_empty() && target == name,
        _ => false,
    })
}

fn tcp_ports(service: &Service) -> impl Iterator<Item = &ServicePort> {
    ports(service).iter().filter(|port| protocol(port) == "TCP")
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

fn wanted(port: &ServicePort) -> Wanted<'_> {
    Wanted::Named { name: port.name.as_deref().unwrap_or_default(), target: target(port) }
}

fn number(port: &ServicePort) -> Option<u16> {
    u16::try_from(port.port).ok().filter(|port| *port != 0)
}

/// `targetPort` as a number. A missing one is the port itself; a named one is known to the pods only.
fn target(port: &ServicePort) -> Option<u16> {
    let number = match &port.target_port {
        None => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => return text.parse().ok().filter(|port| *port != 0),
    };
    u16::try_from(number).ok().filter(|port| *port != 0)
}

/// What `spec.clusterIP` says of a Service that has no address of its own.
const HEADLESS: &str = "None";
