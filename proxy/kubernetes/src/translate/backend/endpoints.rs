//! EndpointSlices → addresses.

use super::port::Wanted;
use super::{Part, Problem};
use crate::objects::{HasMeta, Kind, Objects};
use crate::translate::findings::Findings;
use crate::translate::service_of;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use weir_core::Finding;
use weir_core::finding::Severity;

/// EndpointSlices by their Service.
pub(super) struct Slices<'a> {
    by_service: BTreeMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
    /// Slices whose own mistakes have been told.
    checked: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Slices<'a> {
    pub(super) fn new(objects: &'a Objects) -> Self {
        Self::index(objects.endpoint_slices.iter())
    }

    /// Those of these Services only, given as namespace and name.
    pub(super) fn of(objects: &'a Objects, services: &BTreeSet<(&str, &str)>) -> Self {
        let namespaces: BTreeSet<_> = services.iter().map(|(namespace, _)| *namespace).collect();
        let slices = namespaces.into_iter().flat_map(|namespace| objects.endpoint_slices.within(namespace));
        Self::index(
            slices.filter(|slice| service_of(slice).is_some_and(|service| services.contains(&service))),
        )
    }

    fn index(slices: impl Iterator<Item = &'a EndpointSlice>) -> Self {
        let mut by_service = BTreeMap::<_, Vec<_>>::new();
        for slice in slices {
            if let Some(service) = service_of(slice) {
                by_service.entry(service).or_default().push(slice);
            }
        }
        Self { by_service, checked: BTreeSet::new() }
    }

    /// The addresses that take requests for a port of a Service, in order, each once.
    ///
    /// These are the ready ones; where none is ready, those that are going away but still serve, as Kubernetes' own
    /// proxies do it. Of the ready ones, those that Kubernetes hints at for `zone`, if it has hints for all of them.
    pub(super) fn addresses(
        &mut self,
        service: &Service,
        wanted: &Wanted<'_>,
        zone: Option<&str>,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<SocketAddr>, Problem> {
        let key = (service.namespace(), service.name());
        let slices = self.by_service.get(&key).map(Vec::as_slice).unwrap_or_default();
        if slices.is_empty() {
            let message =
                "the Service has no EndpointSlice (label kubernetes.io/service-name); requests get 503";
            return Err(problem(Part::Service, "no-endpoints", message.to_owned()));
        }
        let mut with_port = false;
        let (mut ready, mut serving) = (BTreeSet::new(), BTreeSet::new());
        let mut nearby = Nearby::new(zone);
        for slice in slices {
            if self.checked.insert((slice.namespace(), slice.name())) {
                check(slice, findings);
            }
            for port in ports(slice, wanted) {
                with_port = true;
                for endpoint in endpoints(slice) {
                    let addresses = ips(endpoint).map(|ip| SocketAddr::new(ip, port));
                    match state(endpoint) {
                        State::Ready => {
                            nearby.note(endpoint, addresses.clone());
                            ready.extend(addresses);
                        }
                        State::Serving => serving.extend(addresses),
                        State::Out => {}
                    }
                }
            }
        }
        let chosen = if ready.is_empty() { serving } else { nearby.take().unwrap_or(ready) };
        match (chosen.is_empty(), with_port) {
            (false, _) => Ok(chosen.into_iter().collect()),
            (true, true) => {
                let message = "no endpoint of the Service is ready; requests get 503";
                Err(problem(Part::Service, "no-endpoints", message.to_owned()))
            }
            (true, false) => Err(problem(Part::Port, "no-endpoint-port", missing_port(wanted))),
        }
    }
}

/// The ready endpoints of our zone, by the rule of Kubernetes' own proxies: hints count if each ready endpoint has some,
/// and one at least is for our zone. So nothing is lost where hints are missing, or come late.
struct Nearby<'a> {
    zone: Option<&'a str>,
    addresses: BTreeSet<SocketAddr>,
}

impl<'a> Nearby<'a> {
    fn new(zone: Option<&'a str>) -> Self {
        Self { zone, addresses: BTreeSet::new() }
    }

    fn note(&mut self, endpoint: &Endpoint, addresses: impl Iterator<Item = SocketAddr>) {
        let Some(zone) = self.zone else { return };
        let hints = endpoint.hints.as_ref().and_then(|hints| hints.for_zones.as_deref()).unwrap_or_default();
        if hints.is_empty() {
            self.zone = None;
        } else if hints.iter().any(|hint| hint.name == zone) {
            self.addresses.extend(addresses);
        }
    }

    /// They, if the hints count.
    fn take(self) -> Option<BTreeSet<SocketAddr>> {
        self.zone.is_some().then_some(self.addresses).filter(|addresses| !addresses.is_empty())
    }
}

/// What an endpoint is good for.
enum State {
    /// Requests.
    Ready,
    /// Requests, if nobody else takes them.
    Serving,
    /// Nothing.
    Out,
}

/// Conditions that are not given count as good, as in Kubernetes' own proxies.
fn state(endpoint: &Endpoint) -> State {
    let Some(conditions) = &endpoint.conditions else { return State::Ready };
    let serving = conditions.serving.unwrap_or(true);
    let terminating = conditions.terminating.unwrap_or(false);
    match conditions.ready {
        None | Some(true) => State::Ready,
        Some(false) if serving && terminating => State::Serving,
        Some(false) => State::Out,
    }
}

/// Port numbers in a slice that are the wanted port.
fn ports(slice: &EndpointSlice, wanted: &Wanted<'_>) -> BTreeSet<u16> {
    let ports = slice.ports.as_deref().unwrap_or_default();
    let tcp = ports.iter().filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    tcp.filter_map(|port| match *wanted {
        Wanted::Named { name, target } if port.name.as_deref().unwrap_or_default() == name => {
            number(port, target)
        }
        Wanted::Number(wanted) => number(port, Some(wanted)).filter(|port| *port == wanted),
        Wanted::Named { .. } => None,
    })
    .collect()
}

fn number(port: &EndpointPort, open: Option<u16>) -> Option<u16> {
    match port.port {
        None => open,
        Some(number) => u16::try_from(number).ok().filter(|port| *port != 0),
    }
}

fn endpoints(slice: &EndpointSlice) -> &[Endpoint] {
    match slice.address_type.as_str() {
        "FQDN" => &[],
        _ => slice.endpoints.as_deref().unwrap_or_default(),
    }
}

/// Kubernetes gives no meaning to addresses after the first; slices written by hand list several, and mean all.
fn ips(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> + Clone {
    endpoint.addresses.iter().filter_map(|text| usable(text))
}

fn usable(text: &str) -> Option<IpAddr> {
    text.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified() && !ip.is_multicast())
}

/// Tells the mistakes of a slice that are there whatever port is asked for.
fn check(slice: &EndpointSlice, findings: &mut Vec<Finding>) {
    let object = Kind::EndpointSlice.object_ref(&slice.metadata);
    let mut findings = Findings::new(&object, findings);
    if slice.address_type == "FQDN" {
        let message =
            "only IPv4 and IPv6 are served; the slice is not used (a Service with externalName takes names)";
        findings.warn("addressType", &slice.address_type, "fqdn-endpoints", message);
    }
    for (index, endpoint) in endpoints(slice).iter().enumerate() {
        for (position, text) in
            endpoint.addresses.iter().enumerate().filter(|(_, text)| usable(text).is_none())
        {
            let field = format!("endpoints[{index}].addresses[{position}]");
            findings.fail(
                field,
                text,
                "invalid-address",
                "expected the IP address of one host; it is left out",
            );
        }
    }
}

fn missing_port(wanted: &Wanted<'_>) -> String {
    match wanted {
        Wanted::Named { name: "", .. } => {
            "the Service's port has no name, and no EndpointSlice of the Service has a port without name; requests get 503"
                .to_owned()
        }
        Wanted::Named { name, .. } => {
            format!("no EndpointSlice of the Service has a port called {name:?}, as the Service calls it; requests get 503")
        }
        Wanted::Number(_) => "no EndpointSlice of the Service has this port; requests get 503".to_owned(),
    }
}

fn problem(part: Part, code: &'static str, message: String) -> Problem {
    Problem { part, severity: Severity::Warn, code, message }
}
