//! What holds for the whole proxy.

use super::{BodyRate, Edge, Policy, TlsSettings};
use crate::tls::TlsVersions;
use ipnet::{IpNet, Ipv4Net};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What holds for the whole proxy: the profile and the ConfigMap keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Which set of defaults and which order.
    pub profile: Profile,
    /// Status of a refusal by rate.
    pub rate_status: u16,
    /// Status of a refusal by concurrency.
    pub connections_status: u16,
    /// Prefix of an IPv4 client, unless its object says otherwise.
    pub ipv4_prefix: u8,
    /// Prefix of an IPv6 client, unless its object says otherwise.
    pub ipv6_prefix: u8,
    /// Where client addresses come from.
    pub trust: Trust,
    /// Addresses refused everywhere with 403 (`block-cidrs`), whatever an object's own lists say.
    pub block: Vec<IpNet>,
    /// Whether a client's `X-Request-ID` is kept; one is made when there is none.
    pub generate_request_id: bool,
    /// Whether header names with `_` pass.
    pub underscores_in_headers: bool,
    /// Whether `non_idempotent` goes for every object (`retry-non-idempotent`), whatever its own
    /// `proxy-next-upstream` says.
    pub retry_non_idempotent: bool,
    /// Deadlines and caps of the listeners.
    pub edge: Edge,
    /// Which requests have a line in the access log.
    pub log: LogSettings,
    /// TLS for the whole proxy.
    pub tls: TlsSettings,
    /// Defaults for what an object does not say itself.
    pub defaults: Policy,
    /// Keys of the ConfigMap whose values are invalid and that protect something, by name, with what is wrong.
    /// An object that has no valid value of its own under such a name is refused (503): a broken gate stays shut.
    pub broken: BTreeMap<&'static str, String>,
}

/// Which requests have a line in the access log. How many lines there may be is the operator's to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogSettings {
    /// Whether there are none (`disable-access-log`).
    pub disabled: bool,
    /// Paths whose requests have none when all is well (`skip-access-log-urls`): as sent, without the query.
    pub skip: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::Weir,
            rate_status: 429,
            connections_status: 429,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            trust: Trust::default(),
            block: Vec::new(),
            generate_request_id: true,
            underscores_in_headers: false,
            retry_non_idempotent: false,
            edge: Edge::default(),
            log: LogSettings::default(),
            tls: TlsSettings::default(),
            defaults: Policy::default(),
            broken: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// The settings of a profile without any ConfigMap.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Weir => Self::default(),
            Profile::IngressNginx => {
                let mut defaults = Policy::default();
                defaults.origin.tls.versions = TlsVersions::V12;
                defaults.body.min_rate = BodyRate::Off;
                Self {
                    profile,
                    rate_status: 503,
                    connections_status: 503,
                    ipv6_prefix: 128,
                    trust: Trust { proxies: vec![IpNet::V4(Ipv4Net::default())], ..Trust::default() },
                    edge: Edge::of(profile),
                    defaults,
                    ..Self::default()
                }
            }
        }
    }

    /// The policy of what belongs to no object, such as the default backend: the class defaults, or nothing passes if
    /// one of them is broken.
    #[must_use]
    pub fn unowned(&self) -> Policy {
        let reasons: Vec<&str> =
            self.defaults.refuse_all.iter().chain(self.broken.values()).map(String::as_str).collect();
        let refuse_all = (!reasons.is_empty()).then(|| reasons.join("; "));
        Policy { refuse_all, ..self.defaults.clone() }
    }
}

/// Which set of defaults (`--profile`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The safe defaults: 429, /64, trusted proxies must be named, deny lists before limits.
    #[default]
    Weir,
    /// Exact parity with ingress-nginx.
    IngressNginx,
}

/// Where client addresses come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// Whether the header below is read at all (`use-forwarded-headers` or `enable-real-ip`).
    pub address: TrustMode,
    /// Peers whose forwarded headers and PROXY protocol are believed. Empty: nobody's.
    pub proxies: Vec<IpNet>,
    /// The header with the addresses (`forwarded-for-header`).
    pub header: String,
    /// Whether `X-Forwarded-For` to the origin keeps what came and appends the peer (`compute-full-forwarded-for`).
    pub append: bool,
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            address: TrustMode::Ignore,
            proxies: Vec::new(),
            header: "X-Forwarded-For".to_owned(),
            append: false,
        }
    }
}

/// What is believed of a trusted peer's forwarded headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustMode {
    /// Nothing.
    #[default]
    Ignore,
    /// The client's address (`enable-real-ip`).
    Address,
    /// The address, host, scheme and port (`use-forwarded-headers`).
    All,
}

impl Trust {
    /// Whether `peer` is a proxy whose headers are believed.
    pub fn believes(&self, peer: IpAddr) -> bool {
        self.address != TrustMode::Ignore && self.proxies.iter().any(|net| net.contains(&peer))
    }
}
