//! TLS of hosts: which certificate each of them shows, and what it asks of its clients.
//!
//! All of this is decided before any path is looked at, because it holds for a host as a whole, whichever object a path
//! belongs to. Where objects disagree, the oldest has its way.

use super::build::{finding, host_pattern};
use crate::declaration::{Ingress, TlsSection};
use crate::finding::{Finding, ObjectRef, Severity};
use crate::policy::{ClientCertificates, Profile, Settings, SubjectPattern};
use crate::route::HostPattern;
use crate::tls::{
    Certificate, ClientAuth, HostTls, KeyPair, SecretName, SecretState, Secrets, TlsTable, VerifyClient,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What holds for all requests of a host.
#[derive(Debug, Default)]
pub struct HostRules {
    /// Its handshake.
    pub tls: Arc<HostTls>,
    /// What its clients have to show.
    pub clients: Option<HostClients>,
    /// Why every request is refused with 403, when it is: a check was asked for that cannot be made.
    pub denied: Option<String>,
}

/// What the clients of a host have to show, and what comes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct HostClients {
    /// What the handshake asks for.
    pub auth: Arc<ClientAuth>,
    /// Where a client goes that has not what is asked for.
    pub error_page: Option<String>,
    /// What the subject must match.
    pub match_cn: Option<SubjectPattern>,
    /// Whether the origin gets the certificate.
    pub pass_certificate: bool,
}

/// The rules of all hosts that have any.
pub(super) struct Hosts {
    by_pattern: HashMap<HostPattern, Arc<HostRules>>,
    every: Arc<HostRules>,
    /// Objects that ask the clients of a host for something else than the host does.
    outvoted: HashSet<(ObjectRef, HostPattern)>,
}

impl Hosts {
    pub(super) fn new(
        ingresses: &[Ingress],
        settings: &Settings,
        secrets: &Secrets,
        default: Option<&SecretName>,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut reader = Reader {
            settings,
            secrets,
            default: default.and_then(|name| default_pair(name, secrets, findings)),
            drafts: HashMap::new(),
            outvoted: HashSet::new(),
            findings,
        };
        for ingress in ingresses {
            reader.ingress(ingress);
        }
        for (name, field) in secrets.kept() {
            let message = "It cannot be used as it is; what it held before stays in force.".to_owned();
            let code = "last-good-secret";
            reader.findings.push(finding(&name.object_ref(), field, "", Severity::Fail, code, message));
        }
        let Reader { default, mut drafts, outvoted, .. } = reader;
        let every = drafts.remove(&HostPattern::Every).unwrap_or_default();
        let every = Arc::new(every.finish(settings, default.as_ref()));
        let finish =
            |(host, draft): (HostPattern, Draft)| (host, Arc::new(draft.finish(settings, default.as_ref())));
        Self { by_pattern: drafts.into_iter().map(finish).collect(), every, outvoted }
    }

    pub(super) fn rules(&self, host: &HostPattern) -> &Arc<HostRules> {
        self.by_pattern.get(host).unwrap_or(&self.every)
    }

    /// Why nothing of `object` passes on `host`: its clients would be let in by another object's check.
    pub(super) fn outvoted(&self, object: &ObjectRef, host: &HostPattern) -> Option<String> {
        let outvoted = !self.outvoted.is_empty() && self.outvoted.contains(&(object.clone(), host.clone()));
        outvoted.then(|| format!("an older object asks the clients of {host} for another certificate"))
    }

    pub(super) fn table(&self, settings: &Settings) -> TlsTable {
        let hosts = self.by_pattern.iter().map(|(host, rules)| (host.clone(), Arc::clone(&rules.tls)));
        TlsTable::new(hosts, Arc::clone(&self.every.tls), settings.tls.unknown)
    }
}

fn default_pair(name: &SecretName, secrets: &Secrets, findings: &mut Vec<Finding>) -> Option<Arc<KeyPair>> {
    let problem = match pair(name, secrets) {
        Ok(pair) => return Some(pair),
        Err(problem) => problem,
    };
    let message = format!("{problem}; hosts without a certificate of their own are shown a self-signed one.");
    let object = ObjectRef::new("Settings", "", "default-ssl-certificate");
    findings.push(finding(&object, "value", &name.to_string(), Severity::Fail, "no-certificate", message));
    None
}

/// A host in the making.
#[derive(Default)]
struct Draft {
    certificate: Certificate,
    pair: Option<Arc<KeyPair>>,
    min_version: Option<crate::tls::TlsVersion>,
    alpn: Option<crate::tls::Alpn>,
    clients: Option<HostClients>,
    denied: Option<String>,
}

impl Draft {
    fn finish(self, settings: &Settings, default: Option<&Arc<KeyPair>>) -> HostRules {
        let versions = match self.min_version {
            // Nothing is left where the settings have 1.2 alone: then what the object asks for holds.
            Some(least) => settings.tls.versions.at_least(least).unwrap_or(crate::tls::TlsVersions::V13),
            None => settings.tls.versions,
        };
        let tls = HostTls {
            pair: self.pair.or_else(|| default.cloned()),
            client_auth: self.clients.as_ref().map(|clients| Arc::clone(&clients.auth)),
            versions,
            alpn: self.alpn.unwrap_or(settings.tls.alpn),
            certificate: self.certificate,
        };
        HostRules { tls: Arc::new(tls), clients: self.clients, denied: self.denied }
    }
}

struct Reader<'a> {
    settings: &'a Settings,
    secrets: &'a Secrets,
    default: Option<Arc<KeyPair>>,
    drafts: HashMap<HostPattern, Draft>,
    outvoted: HashSet<(ObjectRef, HostPattern)>,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    fn ingress(&mut self, ingress: &Ingress) {
        let mut hosts: Vec<HostPattern> = Vec::with_capacity(ingress.rules.len());
        let mut seen = HashSet::new();
        for rule in &ingress.rules {
            // What is wrong with a host is told where its paths are read.
            let Ok(host) = host_pattern(&rule.host) else { continue };
            if seen.insert(host.clone()) {
                hosts.push(host);
            }
        }
        if ingress.rules.is_empty() && ingress.default_backend.is_some() {
            hosts.push(HostPattern::Every);
        }
        self.strangers(ingress, &seen);
        let sections = self.sections(ingress);
        let asked = self.asked(ingress);
        for host in hosts {
            if !ingress.tls.is_empty() && host != HostPattern::Every {
                self.certificate(ingress, &host, &sections);
            }
            self.handshake(ingress, &host);
            self.clients(ingress, &host, asked.as_ref());
        }
    }

    /// Hosts of `spec.tls` that no rule has are ignored, as in ingress-nginx.
    fn strangers(&mut self, ingress: &Ingress, hosts: &HashSet<HostPattern>) {
        for (at, section) in ingress.tls.iter().enumerate() {
            for (place, host) in section.hosts.iter().enumerate() {
                if host_pattern(host).is_ok_and(|host| hosts.contains(&host)) {
                    continue;
                }
                let field = format!("spec.tls[{at}].hosts[{place}]");
                let message = "No rule of this object has this host, so it has no effect.".to_owned();
                self.find(ingress, &field, host, Severity::Warn, "tls-host-without-rule", message);
            }
        }
    }

    /// The certificates of the sections; what is wrong with one is told once.
    fn sections(&mut self, ingress: &Ingress) -> Vec<Option<Arc<KeyPair>>> {
        let mut pairs = Vec::with_capacity(ingress.tls.len());
        let mut told = BTreeSet::new();
        for (at, section) in ingress.tls.iter().enumerate() {
            let Some(name) = &section.secret else {
                pairs.push(None);
                continue;
            };
            let found = pair(name, self.secrets);
            if let Err(problem) = &found
                && told.insert(name)
            {
                let field = format!("spec.tls[{at}].secretName");
                let message = format!("{problem}; its hosts are shown the default certificate.");
                self.find(ingress, &field, &name.name, Severity::Fail, "no-certificate", message);
            }
            pairs.push(found.ok());
        }
        pairs
    }

    fn certificate(&mut self, ingress: &Ingress, host: &HostPattern, pairs: &[Option<Arc<KeyPair>>]) {
        let draft = self.drafts.entry(host.clone()).or_default();
        if draft.certificate == Certificate::Asked {
            return;
        }
        draft.certificate = Certificate::Asked;
        let name = host.to_string();
        let names_host = |section: &TlsSection| {
            section.hosts.iter().any(|listed| host_pattern(listed).is_ok_and(|listed| listed == *host))
        };
        let Some(at) = ingress.tls.iter().position(names_host) else {
            // As ingress-nginx does: any certificate of the object that is good for the host.
            draft.pair = pairs.iter().flatten().find(|pair| pair.covers(&name)).cloned();
            return;
        };
        let Some(Some(pair)) = pairs.get(at) else { return };
        if pair.covers(&name) {
            draft.pair = Some(Arc::clone(pair));
            return;
        }
        let has: Vec<&str> = pair.names.iter().map(String::as_str).take(MOST_NAMES_SHOWN).collect();
        let message = format!(
            "The certificate in {} is not for this host but for {}; the default certificate is shown.",
            pair.source,
            if has.is_empty() { "no name at all".to_owned() } else { has.join(", ") }
        );
        let field = format!("spec.tls[{at}].secretName");
        self.find(ingress, &field, &name, Severity::Fail, "certificate-for-others", message);
    }

    fn handshake(&mut self, ingress: &Ingress, host: &HostPattern) {
        let policy = &ingress.policy.tls;
        let draft = self.drafts.entry(host.clone()).or_default();
        let mut late = Vec::new();
        if policy.min_version.is_some() {
            match draft.min_version {
                Some(before) if Some(before) != policy.min_version => late.push("tls-min-version"),
                _ => draft.min_version = policy.min_version,
            }
        }
        if policy.alpn.is_some() {
            match draft.alpn {
                Some(before) if Some(before) != policy.alpn => late.push("tls-alpn"),
                _ => draft.alpn = policy.alpn,
            }
        }
        for name in late {
            let message = format!("An older object says something else about {host} and has its way.");
            self.find(ingress, &annotation(name), "", Severity::Warn, "host-taken", message);
        }
    }

    /// What an object asks of clients; an error is why nobody may pass.
    fn asked(&mut self, ingress: &Ingress) -> Option<Result<HostClients, String>> {
        let client = &ingress.policy.tls.client;
        if let Some(why) = &client.denied {
            return Some(Err(why.clone()));
        }
        let mode = client.verify.unwrap_or_default();
        let Some(name) = &client.secret else { return self.asked_without_secret(ingress, client) };
        let problem = |problem: String| {
            let message =
                format!("{problem}. Every path of its hosts answers 403, so that nobody passes unchecked.");
            (message, problem)
        };
        let anchors = if name.namespace != ingress.object.namespace {
            Err("Secrets of other namespaces are not read".to_owned())
        } else if mode == VerifyClient::Ignore && self.secrets.has(name) {
            return None;
        } else {
            anchors(name, self.secrets)
        };
        let anchors = match anchors {
            Ok(anchors) => anchors,
            Err(why) => {
                let (message, why) = problem(why);
                let field = annotation("auth-tls-secret");
                self.find(ingress, &field, &name.to_string(), Severity::Fail, "no-authority", message);
                return Some(Err(format!("auth-tls-secret: {why}")));
            }
        };
        Some(Ok(HostClients {
            auth: Arc::new(ClientAuth { anchors, depth: client.depth, mode }),
            error_page: client.error_page.clone(),
            match_cn: client.match_cn.clone(),
            pass_certificate: client.pass_certificate,
        }))
    }

    /// ingress-nginx does nothing then; weir does not let everybody in where a check was meant.
    fn asked_without_secret(
        &mut self,
        ingress: &Ingress,
        client: &ClientCertificates,
    ) -> Option<Result<HostClients, String>> {
        let field = match client.verify {
            _ if client.match_cn.is_some() => "auth-tls-match-cn",
            Some(mode) if mode != VerifyClient::Ignore => "auth-tls-verify-client",
            _ => return None,
        };
        let why = "auth-tls-secret is missing, so no certificate can be checked";
        let (instead, result) = match self.settings.profile {
            Profile::Weir => ("Every path of its hosts answers 403", Some(Err(why.to_owned()))),
            Profile::IngressNginx => ("As in ingress-nginx, everybody passes", None),
        };
        let message = format!("{why}. {instead}.");
        self.find(ingress, &annotation(field), "", Severity::Fail, "no-authority", message);
        result
    }

    fn clients(
        &mut self,
        ingress: &Ingress,
        host: &HostPattern,
        asked: Option<&Result<HostClients, String>>,
    ) {
        let draft = self.drafts.entry(host.clone()).or_default();
        match (asked, &draft.clients) {
            (None, _) => {}
            (Some(Err(why)), _) => {
                draft.denied.get_or_insert_with(|| why.clone());
            }
            (Some(Ok(clients)), None) => draft.clients = Some(clients.clone()),
            (Some(Ok(clients)), Some(before)) if clients == before => {}
            (Some(Ok(_)), Some(_)) => {
                let instead = match self.settings.profile {
                    Profile::Weir => {
                        self.outvoted.insert((ingress.object.clone(), host.clone()));
                        "the paths of this one answer 503 there"
                    }
                    Profile::IngressNginx => "it is what the paths of this one get, too",
                };
                let message = format!(
                    "An older object asks the clients of {host} for something else and has its way; {instead}."
                );
                self.find(ingress, &annotation("auth-tls-secret"), "", Severity::Fail, "host-taken", message);
            }
        }
    }

    fn find(
        &mut self,
        ingress: &Ingress,
        field: &str,
        value: &str,
        severity: Severity,
        code: &'static str,
        message: String,
    ) {
        self.findings.push(finding(&ingress.object, field, value, severity, code, message));
    }
}

/// The certificate of a Secret, or what is wrong, said without its end.
fn pair(name: &SecretName, secrets: &Secrets) -> Result<Arc<KeyPair>, String> {
    match (secrets.pair(name), secrets.pair_state(name)) {
        (Some(pair), _) => Ok(Arc::clone(pair)),
        (None, SecretState::Broken) => Err(format!("The certificate in Secret {name} cannot be used")),
        (None, _) if secrets.has(name) => {
            Err(format!("There is no certificate in Secret {name}: expected tls.crt and tls.key"))
        }
        (None, _) => Err(format!("There is no Secret {name}")),
    }
}

/// The authorities of a Secret, or what is wrong, said without its end.
pub(super) fn anchors(name: &SecretName, secrets: &Secrets) -> Result<Arc<crate::tls::TrustAnchors>, String> {
    match (secrets.anchors(name), secrets.anchors_state(name)) {
        (Some(anchors), _) => Ok(Arc::clone(anchors)),
        (None, SecretState::Broken) => Err(format!("The authorities in Secret {name} cannot be used")),
        (None, _) if secrets.has(name) => {
            Err(format!("There are no authorities in Secret {name}: expected ca.crt"))
        }
        (None, _) => Err(format!("There is no Secret {name}")),
    }
}

/// An annotation's field, whatever its prefix.
pub(super) fn annotation(name: &str) -> String {
    format!("metadata.annotations[{name}]")
}

/// Names of a certificate that a finding repeats.
const MOST_NAMES_SHOWN: usize = 5;
