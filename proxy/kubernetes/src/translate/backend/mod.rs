//! Backends of Ingresses → addresses.

mod endpoints;
mod port;

use super::findings::Findings;
use super::options::{ExternalNames, ObjectName, Options};
use crate::objects::{Kind, Objects};
use endpoints::Slices;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::IngressBackend;
use port::FoundBy;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use weir_core::Finding;
use weir_core::declaration::{BackendName, BackendSpec, PortName};
use weir_core::finding::{ObjectRef, Severity};
use weir_core::policy::Via;

/// Resolves backends, each once.
pub(super) struct Backends<'a> {
    objects: &'a Objects,
    options: &'a Options,
    slices: Slices<'a>,
    resolved: BTreeMap<BackendName, Resolved>,
    used_overrides: BTreeSet<BackendName>,
    /// About objects other than the Ingress that asked.
    findings: Vec<Finding>,
}

/// What stands behind these backends, and nothing about anything else.
pub(super) fn resolve(
    objects: &Objects,
    options: &Options,
    names: &BTreeSet<BackendName>,
) -> BTreeMap<BackendName, BackendSpec> {
    let services = names.iter().map(|name| (name.namespace.as_str(), name.service.as_str())).collect();
    let mut backends = Backends::with(objects, options, Slices::of(objects, &services));
    names.iter().for_each(|name| drop(backends.resolve(name)));
    backends.resolved.into_iter().map(|(name, resolved)| (name, resolved.spec)).collect()
}

/// Whose reference to a backend it is.
#[derive(Clone, Copy)]
pub(super) struct Referrer<'a> {
    /// The namespace, which is that of the Service too.
    pub(super) namespace: &'a str,
    /// What is to stand for the pods of Services.
    pub(super) via: Via,
}

struct Resolved {
    spec: BackendSpec,
    problem: Option<Problem>,
}

/// Why a backend is not what its Ingress asked for.
#[derive(Clone, Debug)]
struct Problem {
    /// Which part of the reference is wrong, after `backend`.
    part: Part,
    severity: Severity,
    code: &'static str,
    message: String,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Service,
    Port,
}

impl<'a> Backends<'a> {
    pub(super) fn new(objects: &'a Objects, options: &'a Options) -> Self {
        Self::with(objects, options, Slices::new(objects))
    }

    fn with(objects: &'a Objects, options: &'a Options, slices: Slices<'a>) -> Self {
        Self {
            objects,
            options,
            slices,
            resolved: BTreeMap::new(),
            used_overrides: BTreeSet::new(),
            findings: Vec::new(),
        }
    }

    /// The name of the backend that an Ingress refers to in `field`. `None` is one that is not a Service.
    ///
    /// A name is given even to a Service that does not exist: its requests are answered 503, and stay with their rule.
    pub(super) fn refer(
        &mut self,
        referrer: Referrer<'_>,
        backend: &IngressBackend,
        field: &str,
        findings: &mut Findings<'_>,
    ) -> Option<BackendName> {
        let Some(service) = &backend.service else {
            let (value, message) = match &backend.resource {
                Some(resource) => (resource.name.as_str(), "only Services are served; requests get 404"),
                None => ("", "expected a service; requests get 404"),
            };
            let part = if backend.resource.is_some() { ".resource" } else { "" };
            findings.fail(format!("{field}{part}"), value, "no-service", message);
            return None;
        };
        let port = service.port.as_ref();
        let name = port.and_then(|port| port.name.as_deref()).filter(|name| !name.is_empty());
        let port = match (name, port.and_then(|port| port.number)) {
            (Some(name), None) => PortName::Name(name.to_owned()),
            (None, Some(number)) if let Ok(number @ 1..) = u16::try_from(number) => PortName::Number(number),
            (name, number) => {
                let field = format!("{field}.service.port");
                let value = number.map(|number| number.to_string()).unwrap_or_default();
                let message = match (name, number) {
                    (Some(_), Some(_)) => "expected either a name or a number, not both; requests get 503",
                    (None, Some(_)) => "expected a number from 1 to 65535; requests get 503",
                    (_, None) => "expected the name or number of a port; requests get 503",
                };
                findings.fail(field, &value, "invalid-port", message);
                // No Service port has this name.
                let nothing = PortName::Name(String::new());
                return Some(BackendName::new(referrer.namespace, &service.name, nothing));
            }
        };
        let mut name = BackendName::new(referrer.namespace, &service.name, port);
        if referrer.via == Via::ClusterIp {
            match self.cluster_ip(&name) {
                ClusterIp::Given => name.via = Via::ClusterIp,
                ClusterIp::Missing => {
                    let message = "the Service has no ClusterIP, which service-upstream asks for; its endpoints are used";
                    findings.warn(format!("{field}.service.name"), &name.service, "no-cluster-ip", message);
                }
                ClusterIp::NotMeant => {}
            }
        }
        if let Some(problem) = self.resolve(&name) {
            let (part, value) = match (problem.part, &name.port) {
                (Part::Service, _) => ("name", name.service.clone()),
                (Part::Port, PortName::Number(number)) => ("port.number", number.to_string()),
                (Part::Port, PortName::Name(port)) => ("port.name", port.clone()),
            };
            findings.push(
                format!("{field}.service.{part}"),
                &value,
                problem.severity,
                problem.code,
                &problem.message,
            );
        }
        Some(name)
    }

    /// The backend of requests that no route takes: the first port of the Service that the operator named.
    pub(super) fn default_backend(&mut self, findings: &mut Vec<Finding>) -> Option<BackendName> {
        let ObjectName { namespace, name } = self.options.default_backend.as_ref()?;
        let object = ObjectRef::new(Kind::Service.as_str(), namespace, name);
        let mut findings = Findings::new(&object, findings);
        let Some(service) = self.objects.services.get(namespace, name) else {
            let message = "named as the default backend, but there is no such Service; requests without a route get 404";
            findings.fail("metadata.name", name, "missing-service", message);
            return None;
        };
        let port = port::ports(service).first().and_then(|port| u16::try_from(port.port).ok());
        let Some(port) = port else {
            let message = "named as the default backend, but has no port; requests without a route get 404";
            findings.fail("spec.ports", "", "missing-port", message);
            return None;
        };
        let backend = BackendName::new(namespace, name, PortName::Number(port));
        if let Some(problem) = self.resolve(&backend) {
            findings.push("spec.ports[0]".to_owned(), "", problem.severity, problem.code, &problem.message);
        }
        Some(backend)
    }

    /// All backends that were referred to.
    pub(super) fn finish(self, findings: &mut Vec<Finding>) -> BTreeMap<BackendName, BackendSpec> {
        findings.extend(self.findings);
        for unused in self.options.backends.keys().filter(|name| !self.used_overrides.contains(*name)) {
            let object = ObjectRef::new(Kind::Service.as_str(), &unused.namespace, &unused.service);
            let (port, message) =
                (port::text(&unused.port), "no Ingress leads to this port; the address is not used");
            Findings::new(&object, findings).warn("--backend", &port, "unused-backend", message);
        }
        self.resolved.into_iter().map(|(name, resolved)| (name, resolved.spec)).collect()
    }

    fn resolve(&mut self, name: &BackendName) -> Option<Problem> {
        if !self.resolved.contains_key(name) {
            let resolved = self.overridden(name).unwrap_or_else(|| self.look_up(name));
            self.resolved.insert(name.clone(), resolved);
        }
        self.resolved.get(name)?.problem.clone()
    }

    /// What `--backend` says of it. The flag and the Ingress may call the same port by name and by number.
    fn overridden(&mut self, name: &BackendName) -> Option<Resolved> {
        let key = self.overriding(name)?;
        let addresses = self.options.backends.get(&key)?.clone();
        self.used_overrides.insert(key);
        Some(Resolved { spec: BackendSpec::Addresses(addresses), problem: None })
    }

    fn overriding(&self, name: &BackendName) -> Option<BackendName> {
        let service = self.objects.services.get(&name.namespace, &name.service);
        let other = service.and_then(|service| port::other_name(service, &name.port));
        let other = other.map(|port| BackendName { port, ..name.clone() });
        let mut names = [Some(name.clone()), other].into_iter().flatten();
        names.find(|name| self.options.backends.contains_key(name))
    }

    /// Whether a Service can stand for its pods.
    fn cluster_ip(&self, name: &BackendName) -> ClusterIp {
        match self.objects.services.get(&name.namespace, &name.service) {
            // What the command line says wins, and there are no pods behind names.
            _ if self.overriding(name).is_some() => ClusterIp::NotMeant,
            None => ClusterIp::NotMeant,
            Some(service) if service_type(service) == EXTERNAL_NAME => ClusterIp::NotMeant,
            Some(service) if cluster_ips(service).next().is_some() => ClusterIp::Given,
            Some(_) => ClusterIp::Missing,
        }
    }

    fn look_up(&mut self, name: &BackendName) -> Resolved {
        let resolved = match self.objects.services.get(&name.namespace, &name.service) {
            None => Err(Problem {
                part: Part::Service,
                severity: Severity::Fail,
                code: "missing-service",
                message: "there is no such Service in this namespace; requests get 503".to_owned(),
            }),
            Some(service) if service_type(service) == EXTERNAL_NAME => match self.options.external_names {
                ExternalNames::Serve => external(service, &name.port),
                ExternalNames::Refuse => Err(Problem {
                    part: Part::Service,
                    severity: Severity::Fail,
                    code: "external-name",
                    message: "the Service is an ExternalName, which --disable-svc-external-name forbids; requests get 503"
                        .to_owned(),
                }),
            },
            Some(service) => self.pods(service, name),
        };
        match resolved {
            Ok(resolved) => resolved,
            Err(problem) => Resolved { spec: BackendSpec::Addresses(Vec::new()), problem: Some(problem) },
        }
    }

    fn pods(&mut self, service: &Service, name: &BackendName) -> Result<Resolved, Problem> {
        let zone = self.options.zone.as_deref();
        let found = port::find(service, &name.port).ok_or_else(|| missing_port(service))?;
        let (addresses, problem) = match name.via {
            Via::ClusterIp => {
                let port = found.number.ok_or_else(|| missing_port(service))?;
                (cluster_ips(service).map(|ip| SocketAddr::new(ip, port)).collect(), None)
            }
            Via::Endpoints => match self.slices.addresses(service, &found.wanted, zone, &mut self.findings) {
                Ok(addresses) => (addresses, None),
                Err(problem) => (Vec::new(), Some(problem)),
            },
        };
        let problem = problem.or_else(|| match found.by {
            FoundBy::Port => None,
            FoundBy::TargetPort => Some(Problem {
                part: Part::Port,
                severity: Severity::Warn,
                code: "target-port",
                message:
                    "no port of the Service, but the targetPort of one, which is used as in ingress-nginx; \
                          Kubernetes means the port of the Service here"
                        .to_owned(),
            }),
        });
        Ok(Resolved { spec: BackendSpec::Addresses(addresses), problem })
    }
}

/// Whether a Service can stand for its pods.
enum ClusterIp {
    Given,
    Missing,
    /// It has no pods to stand for.
    NotMeant,
}

/// The addresses of a Service itself, one for each IP family, the preferred one first.
fn cluster_ips(service: &Service) -> impl Iterator<Item = IpAddr> {
    let spec = service.spec.as_ref();
    let all = spec.and_then(|spec| spec.cluster_ips.as_deref()).unwrap_or_default();
    // Objects that are older than dual stack, or written by hand, have the one alone.
    let one = spec.and_then(|spec| spec.cluster_ip.as_ref()).filter(|_| all.is_empty());
    // `None`, as headless Services have it, is no address.
    all.iter().chain(one).filter_map(|text| text.parse().ok())
}

/// `spec.externalName`: a DNS name, or an address, which needs no DNS.
fn external(service: &Service, port: &PortName) -> Result<Resolved, Problem> {
    let port = port::of_external(service, port).ok_or_else(|| missing_port(service))?;
    let host = service.spec.as_ref().and_then(|spec| spec.external_name.as_deref()).unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let spec = if let Ok(ip) = host.parse::<IpAddr>() {
        BackendSpec::Addresses(vec![SocketAddr::new(ip, port)])
    } else if host.len() <= MAX_NAME_BYTES && host.split('.').all(is_label) {
        BackendSpec::External { host, port }
    } else {
        return Err(Problem {
            part: Part::Service,
            severity: Severity::Fail,
            code: "invalid-external-name",
            message: "the externalName of the Service is no DNS name; requests get 503".to_owned(),
        });
    };
    Ok(Resolved { spec, problem: None })
}

fn missing_port(service: &Service) -> Problem {
    let ports: Vec<_> = port::ports(service).iter().map(port::describe).collect();
    let has =
        if ports.is_empty() { "it has none".to_owned() } else { format!("it has {}", ports.join(", ")) };
    Problem {
        part: Part::Port,
        severity: Severity::Fail,
        code: "missing-port",
        message: format!("the Service has no such TCP port ({has}); requests get 503"),
    }
}

fn service_type(service: &Service) -> &str {
    service.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP")
}

/// A label of a DNS name; `_` is usual in names of records though not of hosts.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

const MAX_NAME_BYTES: usize = 253;
const EXTERNAL_NAME: &str = "ExternalName";
