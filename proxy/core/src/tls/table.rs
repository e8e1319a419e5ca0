//! Server names → what is shown to clients and asked of them.

use super::{Alpn, ClientAuth, ClientAuthId, Fingerprint, KeyPair, TlsVersions};
use crate::route::HostPattern;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// TLS for the clients of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTls {
    /// The certificate: the host's own, or the default one; `None` is the self-signed one that the server has made.
    pub pair: Option<Arc<KeyPair>>,
    /// What clients have to show; `None` asks for nothing.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// The versions spoken.
    pub versions: TlsVersions,
    /// The protocols offered.
    pub alpn: Alpn,
    /// Whether the host has asked for TLS.
    pub certificate: Certificate,
}

impl HostTls {
    /// What hosts with the same handshake have in common.
    pub fn id(&self) -> HostTlsId {
        HostTlsId {
            pair: self.pair.as_ref().map(|pair| pair.fingerprint),
            client_auth: self.client_auth.as_ref().map(|auth| auth.id()),
            versions: self.versions,
            alpn: self.alpn,
        }
    }
}

/// Identifies a handshake by what it shows and asks, so that the server can keep what it has compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostTlsId {
    pair: Option<Fingerprint>,
    client_auth: Option<ClientAuthId>,
    versions: TlsVersions,
    alpn: Alpn,
}

/// Whether a host has asked for TLS, in the `spec.tls` of an Ingress: then `ssl-redirect` sends its clients there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// It has not. Who connects all the same is shown the default certificate.
    #[default]
    Default,
    /// It has; perhaps it is shown the default certificate, because its own is missing.
    Asked,
}

/// What becomes of handshakes for names that no host has (`ssl-reject-handshake`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownName {
    /// They are shown the default certificate.
    #[default]
    Serve,
    /// They are refused with the alert `unrecognized_name`.
    Refuse,
}

/// All hosts.
#[derive(Debug, Default)]
pub struct TlsTable {
    names: HashMap<Box<str>, Arc<HostTls>>,
    /// By the name without `*.`.
    wildcards: HashMap<Box<str>, Arc<HostTls>>,
    every: Arc<HostTls>,
    unknown: UnknownName,
}

impl TlsTable {
    /// Puts hosts in order. `every` is for names that no host has.
    pub(crate) fn new(
        hosts: impl IntoIterator<Item = (HostPattern, Arc<HostTls>)>,
        every: Arc<HostTls>,
        unknown: UnknownName,
    ) -> Self {
        let mut table = Self { every, unknown, ..Self::default() };
        for (host, tls) in hosts {
            match host {
                HostPattern::Name(name) => drop(table.names.insert(name, tls)),
                HostPattern::Wildcard(name) => drop(table.wildcards.insert(name, tls)),
                HostPattern::Every => table.every = tls,
            }
        }
        table
    }

    /// What is shown to a client that asks for `sni`: the host of that name, then a wildcard for its first label, then
    /// the default. Upper case and a dot at the end make no difference.
    pub fn lookup(&self, sni: Option<&str>) -> Found<'_> {
        let name = sni.map(plain);
        let name = name.as_deref();
        let exact = || Some((self.names.get(name?)?, Known::Name));
        let wildcard = || {
            let (label, parent) = name?.split_once('.')?;
            (!label.is_empty()).then_some((self.wildcards.get(parent)?, Known::Wildcard))
        };
        let (tls, known) = exact().or_else(wildcard).unwrap_or((&self.every, Known::Not));
        Found { tls, known, unknown: self.unknown }
    }

    /// What is shown where no host has the name, or none was asked for.
    pub fn fallback(&self) -> &Arc<HostTls> {
        &self.every
    }

    /// All of them: each host once, in no order, and the default.
    pub fn hosts(&self) -> impl Iterator<Item = (HostPattern, &Arc<HostTls>)> {
        let names = self.names.iter().map(|(name, tls)| (HostPattern::Name(name.clone()), tls));
        let wildcards = self.wildcards.iter().map(|(name, tls)| (HostPattern::Wildcard(name.clone()), tls));
        names.chain(wildcards).chain([(HostPattern::Every, &self.every)])
    }
}

/// Lower case and no dot at the end, as the names of the table are.
fn plain(sni: &str) -> Cow<'_, str> {
    let sni = sni.strip_suffix('.').unwrap_or(sni);
    if sni.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(sni.to_ascii_lowercase())
    } else {
        Cow::Borrowed(sni)
    }
}

/// What is shown to a client.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The host's TLS, or the default's.
    pub tls: &'a Arc<HostTls>,
    /// Whether a host has the name.
    pub known: Known,
    unknown: UnknownName,
}

impl Found<'_> {
    /// Whether the handshake is refused: no host has the name, or none was asked for, and `ssl-reject-handshake` is on.
    pub fn is_refused(&self) -> bool {
        self.known == Known::Not && self.unknown == UnknownName::Refuse
    }
}

/// How a name was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A host has this name.
    Name,
    /// A wildcard host covers it.
    Wildcard,
    /// No host has it.
    Not,
}

#[cfg(test)]
mod tests;
