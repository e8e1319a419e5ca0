//! From a declaration to a snapshot.

use super::hosts::{self, Hosts};
use super::origin_tls;
use super::plan::{self, Identity, Plan};
use super::{Basis, HostRules, Location, Owner, RoutePath, Snapshot, ToHttps};
use crate::account::{ObjectCounters, RouteCounters};
use crate::backend::Backend;
use crate::canonical;
use crate::declaration::{BackendName, Declaration, HostRule, Ingress, PathKind, PathRule, PortName};
use crate::finding::{Finding, ObjectRef, Severity};
use crate::identity::{AddressSet, Identification};
use crate::policy::{Policy, Settings};
use crate::route::{HostPattern, PathMatcher, Pattern, RoutesBuilder};
use crate::tls::{Certificate, OriginTls, Secrets};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use weir_limits::Seed;

/// Puts a declaration in order.
pub(super) fn build(declaration: Declaration, previous: Option<&Snapshot>, seed: &Seed) -> Snapshot {
    let Declaration { settings, mut ingresses, backends, default_backend, secrets, default_certificate } =
        declaration;
    ingresses.sort_by(|a, b| age(a).cmp(&age(b)));
    let secrets = Secrets::new(secrets, previous.map(Snapshot::secrets));
    let mut findings = Vec::new();
    let hosts = Hosts::new(&ingresses, &settings, &secrets, default_certificate.as_ref(), &mut findings);
    let mut builder = Builder {
        regex_hosts: regex_hosts(&ingresses),
        routes: RoutesBuilder::new(),
        findings,
        owners: Vec::with_capacity(ingresses.len() + 1),
        counters: lent_counters(previous),
        route_counters: lent_route_counters(previous),
        backends: lent_backends(&backends, previous),
        hosts: &hosts,
        secrets: &secrets,
        settings: &settings,
        previous,
        seed,
    };
    for ingress in ingresses {
        builder.ingress(ingress);
    }
    let default = default_backend.map(|name| builder.default_location(&name));
    let Builder { routes, findings, owners, backends, .. } = builder;
    Snapshot {
        identification: Identification::new(&settings),
        block: AddressSet::new(&settings.block),
        routes: routes.build(),
        hsts: settings.tls.hsts.header().map(Into::into),
        tls: hosts.table(&settings),
        secrets,
        unrouted: previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.unrouted)),
        settings,
        findings,
        owners,
        backends,
        default,
        basis: Basis::Declaration,
    }
}

/// Sorts the oldest first, and objects without an age last.
fn age(ingress: &Ingress) -> (bool, Option<i64>, &str, &str) {
    let ObjectRef { namespace, name, .. } = &ingress.object;
    (ingress.created.is_none(), ingress.created, namespace, name)
}

/// The hosts of which every path is a regular expression, because one Ingress says so.
fn regex_hosts(ingresses: &[Ingress]) -> HashSet<HostPattern> {
    let regex = ingresses.iter().filter(|ingress| ingress.policy.regex);
    let rules = regex.flat_map(|ingress| &ingress.rules);
    rules.filter_map(|rule| host_pattern(&rule.host).ok()).collect()
}

fn lent_counters(previous: Option<&Snapshot>) -> HashMap<(&ObjectRef, &str), &Arc<ObjectCounters>> {
    let owners = previous.map(|previous| previous.owners.as_slice()).unwrap_or_default();
    owners.iter().map(|owner| ((&*owner.object, owner.uid.as_str()), &owner.counters)).collect()
}

/// Names a route: object, `metadata.uid`, host and path as configured.
type RouteName<'a> = (&'a ObjectRef, &'a str, &'a str, RoutePath<'a>);

fn lent_route_counters(previous: Option<&Snapshot>) -> HashMap<RouteName<'_>, &Arc<RouteCounters>> {
    let routes = previous.into_iter().flat_map(Snapshot::routes);
    let lent = routes.map(|(path, location)| {
        ((&*location.object, location.owner.uid.as_str(), location.host.as_str(), path), &location.counters)
    });
    lent.collect()
}

fn lent_backends(
    specs: &BTreeMap<BackendName, crate::declaration::BackendSpec>,
    previous: Option<&Snapshot>,
) -> BTreeMap<BackendName, Arc<Backend>> {
    let backend = |(name, spec)| {
        let before = previous.and_then(|previous| previous.backends.get(name));
        (BackendName::clone(name), Backend::new(name, Some(spec), before))
    };
    specs.iter().map(backend).collect()
}

struct Builder<'a> {
    regex_hosts: HashSet<HostPattern>,
    routes: RoutesBuilder<Arc<Location>>,
    findings: Vec<Finding>,
    owners: Vec<Arc<Owner>>,
    counters: HashMap<(&'a ObjectRef, &'a str), &'a Arc<ObjectCounters>>,
    route_counters: HashMap<RouteName<'a>, &'a Arc<RouteCounters>>,
    backends: BTreeMap<BackendName, Arc<Backend>>,
    hosts: &'a Hosts,
    secrets: &'a Secrets,
    settings: &'a Settings,
    previous: Option<&'a Snapshot>,
    seed: &'a Seed,
}

impl Builder<'_> {
    fn ingress(&mut self, ingress: Ingress) {
        let Ingress { object, uid, policy, rules, default_backend, .. } = ingress;
        let (owner, ready) = self.owner(object, uid, policy);
        let part = Part { owner: &owner, ready: &ready };
        for (at, rule) in rules.iter().enumerate() {
            self.rule(&part, at, rule, default_backend.as_ref());
        }
        if let (true, Some(backend)) = (rules.is_empty(), &default_backend) {
            self.fallback(&part, "", HostPattern::Every, backend);
        }
    }

    /// Takes the default backend of the whole proxy as an object of its own, with the settings' defaults as its policy.
    fn default_location(&mut self, backend: &BackendName) -> Arc<Location> {
        let object = ObjectRef::new("DefaultBackend", &*backend.namespace, &*backend.service);
        let (owner, ready) = self.owner(object, String::new(), self.settings.unowned());
        let part = Part { owner: &owner, ready: &ready };
        self.location(&part, (&HostPattern::Every, ""), None, Some(backend), None)
    }

    /// Makes the policy ready. One that cannot be is broken: nothing passes.
    fn owner(&mut self, object: ObjectRef, uid: String, policy: Policy) -> (Arc<Owner>, Ready) {
        let identity = Identity { object: &object, uid: &uid, seed: self.seed };
        let mut broken = policy.refuse_all.clone();
        let plan = plan::plan(&policy, self.settings, &identity).unwrap_or_else(|error| {
            let message = format!("{error}. Every path of the object answers 503.");
            self.findings.push(finding(
                &object,
                "metadata.annotations",
                "",
                Severity::Fail,
                "invalid-limit",
                message,
            ));
            broken.get_or_insert_with(|| error.to_string());
            Plan::closed(self.settings)
        });
        let origin_tls = self.origin_tls(&object, &policy, &mut broken);
        let counters =
            self.counters.get(&(&object, &*uid)).map_or_else(Arc::default, |lent| Arc::clone(lent));
        let owner = Owner { object: Arc::new(object), uid, policy: Arc::new(policy), counters, plan };
        let owner = Arc::new(owner);
        self.owners.push(Arc::clone(&owner));
        (owner, Ready { broken, origin_tls })
    }

    /// What the object's connections to origins need, but for the name. What cannot be had closes the object.
    fn origin_tls(
        &mut self,
        object: &ObjectRef,
        policy: &Policy,
        broken: &mut Option<String>,
    ) -> Option<OriginTls> {
        let (tls, problem, instead) =
            match origin_tls::ready(policy, self.settings.profile, object, self.secrets) {
                Ok(ready) => (ready.tls, ready.note, "As in ingress-nginx, requests pass in the clear"),
                Err(problem) => {
                    let why = format!("{}: {}", problem.annotation, problem.why);
                    broken.get_or_insert(why);
                    (None, Some(problem), "Every path of the object answers 503")
                }
            };
        if let Some(problem) = problem {
            let field = hosts::annotation(problem.annotation);
            let message = format!("{}. {instead}.", sentence(&problem.why));
            let code = "no-origin-tls";
            self.findings.push(finding(object, &field, &problem.value, Severity::Fail, code, message));
        }
        tls
    }

    fn rule(&mut self, part: &Part<'_>, at: usize, rule: &HostRule, default_backend: Option<&BackendName>) {
        let field = format!("spec.rules[{at}].host");
        let host = match host_pattern(&rule.host) {
            Ok(host) => host,
            Err(error) => {
                let message = format!("{error}. The rule is not in force.");
                self.report(part, &field, &rule.host, Severity::Fail, "invalid-host", message);
                return;
            }
        };
        if !rule.host.is_empty() && host.to_string() != rule.host {
            let message = format!("Kubernetes would refuse this form; taken as {host}.");
            self.report(part, &field, &rule.host, Severity::Warn, "host-form", message);
        }
        self.routes.host(host.clone());
        for (place, path) in rule.paths.iter().enumerate() {
            let field = format!("spec.rules[{at}].http.paths[{place}]");
            self.path(part, &field, &host, &rule.host, path);
        }
        if let Some(backend) = default_backend {
            self.fallback(part, &rule.host, host, backend);
        }
    }

    fn path(&mut self, part: &Part<'_>, field: &str, host: &HostPattern, raw_host: &str, path: &PathRule) {
        let text = if path.path.is_empty() { "/" } else { path.path.as_str() };
        if !text.starts_with('/') {
            let message = "expected a path that begins with /. The path is not in force.";
            self.report(part, field, text, Severity::Fail, "invalid-path", message.to_owned());
            return;
        }
        let (matcher, broken) = if self.regex_hosts.contains(host) {
            self.pattern(part, field, text)
        } else {
            match self.literal(part, field, text, path.kind) {
                Some(matcher) => (matcher, None),
                None => return,
            }
        };
        let location =
            self.location(part, (host, raw_host), Some((text, path.kind)), path.backend.as_ref(), broken);
        if let Err(holder) = self.routes.path(host.clone(), matcher, location) {
            let message = format!(
                "{} has this host and path already and keeps it; this one is not in force.",
                holder.object
            );
            self.report(part, field, text, Severity::Fail, "path-taken", message);
        }
    }

    /// A path that is compared byte by byte, or by segments.
    fn literal(&mut self, part: &Part<'_>, field: &str, text: &str, kind: PathKind) -> Option<PathMatcher> {
        let canonical = match canonical::path(text.as_bytes()) {
            Ok(canonical) => canonical,
            Err(error) => {
                let message = format!("{error}: no request can have this path. It is not in force.");
                self.report(part, field, text, Severity::Fail, "invalid-path", message);
                return None;
            }
        };
        if canonical != text {
            let message = format!("taken as {canonical}, the form that paths of requests are brought into.");
            self.report(part, field, text, Severity::Warn, "path-form", message);
        } else if text.bytes().any(|byte| LOOKS_LIKE_PATTERN.contains(&byte)) {
            let message = "compared literally; for a regular expression, annotate use-regex.".to_owned();
            self.report(part, field, text, Severity::Warn, "path-literal", message);
        }
        Some(match kind {
            PathKind::Exact => PathMatcher::Exact((*canonical).into()),
            PathKind::Prefix | PathKind::ImplementationSpecific => {
                PathMatcher::Prefix(canonical.trim_end_matches('/').into())
            }
        })
    }

    fn pattern(&mut self, part: &Part<'_>, field: &str, text: &str) -> (PathMatcher, Option<String>) {
        match Pattern::new(text) {
            Ok(pattern) => (PathMatcher::Pattern(pattern), None),
            Err((pattern, error)) => {
                let message = format!(
                    "{error}. Requests whose path begins with {:?} answer 503 unless a longer pattern takes them.",
                    pattern.literal()
                );
                self.report(part, field, text, Severity::Fail, "invalid-regex", message);
                (PathMatcher::Pattern(pattern), Some(format!("path {text:?}: {error}")))
            }
        }
    }

    fn fallback(&mut self, part: &Part<'_>, raw_host: &str, host: HostPattern, backend: &BackendName) {
        let location = self.location(part, (&host, raw_host), None, Some(backend), None);
        if let Err(holder) = self.routes.fallback(host, location) {
            // An Ingress may well have two rules for one host.
            if holder.object != part.owner.object {
                let message = format!("{} is the default of this host already and stays it.", holder.object);
                self.report(part, "spec.defaultBackend", raw_host, Severity::Warn, "default-taken", message);
            }
        }
    }

    fn location(
        &mut self,
        part: &Part<'_>,
        (host, raw_host): (&HostPattern, &str),
        path: RoutePath<'_>,
        backend: Option<&BackendName>,
        broken: Option<String>,
    ) -> Arc<Location> {
        let counters = self.route_counters.get(&(&*part.owner.object, &*part.owner.uid, raw_host, path));
        let counters = counters.map_or_else(Arc::default, |lent| Arc::clone(lent));
        let (path, kind) = path.unwrap_or(("/", PathKind::Prefix));
        let object = Arc::clone(&part.owner.object);
        let target = self.target(&object, backend);
        let rules = Arc::clone(self.hosts.rules(host));
        let outvoted = self.hosts.outvoted(&object, host);
        let name = |mut tls: OriginTls| {
            if tls.name.is_empty() {
                tls.name = origin_name(&target);
            }
            Arc::new(tls)
        };
        Arc::new(Location {
            host: raw_host.to_owned(),
            path: path.to_owned(),
            kind,
            backend: backend.cloned(),
            policy: Arc::clone(&part.owner.policy),
            broken: part.ready.broken.clone().or(outvoted).or(broken),
            to_https: self.to_https(part, path, &rules),
            origin_tls: part.ready.origin_tls.clone().map(name),
            rules,
            target,
            counters,
            owner: Arc::clone(part.owner),
            object,
        })
    }

    fn to_https(&self, part: &Part<'_>, path: &str, rules: &HostRules) -> ToHttps {
        let redirect = part.owner.policy.tls.redirect;
        let asked =
            redirect.always || (redirect.with_certificate && rules.tls.certificate == Certificate::Asked);
        let exempt = self.settings.tls.redirect_exempt.iter().any(|start| path.starts_with(start.as_str()));
        if asked && !exempt { ToHttps::Redirect } else { ToHttps::Stay }
    }

    /// The backend, known or not.
    fn target(&mut self, object: &ObjectRef, name: Option<&BackendName>) -> Arc<Backend> {
        let Some(name) = name else {
            let nowhere = BackendName::new(&object.namespace, "", PortName::Number(0));
            return Backend::new(&nowhere, None, None);
        };
        if let Some(backend) = self.backends.get(name) {
            return Arc::clone(backend);
        }
        let before = self.previous.and_then(|previous| previous.backends.get(name));
        let backend = Backend::new(name, None, before);
        self.backends.insert(name.clone(), Arc::clone(&backend));
        backend
    }

    fn report(
        &mut self,
        part: &Part<'_>,
        field: &str,
        value: &str,
        severity: Severity,
        code: &'static str,
        message: String,
    ) {
        self.findings.push(finding(&part.owner.object, field, value, severity, code, message));
    }
}

/// The object that is being added.
struct Part<'a> {
    owner: &'a Arc<Owner>,
    ready: &'a Ready,
}

/// What all locations of an object get.
struct Ready {
    /// Why nothing of it passes.
    broken: Option<String>,
    /// Without a name, unless the object says one.
    origin_tls: Option<OriginTls>,
}

/// The name that certificates of origins are for, where the object does not say it: that of the Service in the cluster.
/// (nginx would take the name of its own upstream block, which no certificate has.)
fn origin_name(target: &Backend) -> String {
    match target.external() {
        Some((host, _)) => host.to_owned(),
        None => format!("{}.{}.svc", target.name.service, target.name.namespace),
    }
}

/// `text` with a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

pub(super) fn finding(
    object: &ObjectRef,
    field: &str,
    value: &str,
    severity: Severity,
    code: &'static str,
    message: String,
) -> Finding {
    Finding {
        object: object.clone(),
        field: field.to_owned(),
        value: value.to_owned(),
        severity,
        code,
        message,
    }
}

/// A host as an Ingress writes it.
pub(super) fn host_pattern(raw: &str) -> Result<HostPattern, canonical::HostError> {
    if raw.is_empty() {
        return Ok(HostPattern::Every);
    }
    let name = |raw: &str| match canonical::host(raw.as_bytes()) {
        Ok(name) if name.is_empty() => Err(canonical::HostError::Label),
        Ok(_) if raw.ends_with(|end: char| end == ':' || end.is_ascii_digit()) && has_port(raw) => {
            Err(canonical::HostError::Port)
        }
        Ok(name) => Ok(name.into_owned().into_boxed_str()),
        Err(error) => Err(error),
    };
    match raw.strip_prefix("*.") {
        Some(rest) => Ok(HostPattern::Wildcard(name(rest)?)),
        None => Ok(HostPattern::Name(name(raw)?)),
    }
}

/// A host of a rule names no port; one of a request may.
fn has_port(raw: &str) -> bool {
    match raw.rsplit_once(']') {
        Some((_, rest)) => rest.starts_with(':'),
        None => raw.contains(':'),
    }
}

/// Characters of regular expressions that a plain path hardly holds.
const LOOKS_LIKE_PATTERN: &[u8] = b"()*$+";
