//! The table of ConfigMap keys, and reading them.
//!
//! Every annotation with [`ClassDefault::Key`] is a key too: it says what holds for the objects that do not say it
//! themselves. Here are the keys that annotations do not have.

use super::annotations::ANNOTATIONS;
use super::row::{ClassDefault, Group, Heritage, OnInvalid, Row, field, nearest};
use super::unsupported::{self, Consequence, Unsupported};
use super::value::{
    Flag, ForwardedHeaders, HeaderName, Http2, InFlight, Invalid, MaxAge, Nets, Note, PathStarts, Positive,
    Prefix4, Prefix6, Rate, RealIp, RedirectStatus, RejectUnknown, Seconds, Status, Versions, ZoneVariable,
};
use super::{Policy, Profile, Settings, TrustMode, report};
use crate::finding::{Finding, ObjectRef, Severity};
use std::collections::BTreeMap;

/// Reads the ConfigMap `object`. What it does not say is as in the profile.
///
/// It never fails; see [`read`](super::read()). A protection whose value is invalid closes what it protects: an invalid
/// class default goes to [`Settings::broken`], an invalid `block-cidrs` refuses everything, and an invalid
/// `proxy-real-ip-cidr` or `forwarded-for-header` makes that no peer's header is believed.
#[must_use]
pub fn settings(
    object: &ObjectRef,
    data: &BTreeMap<String, String>,
    profile: Profile,
) -> (Settings, Vec<Finding>) {
    let mut reader = Reader {
        object,
        data,
        settings: Settings::of(profile),
        closed: Vec::new(),
        distrust: false,
        findings: Vec::new(),
    };
    for row in ANNOTATIONS.iter().rev().filter(|row| is_class_default(row)) {
        reader.class_default(row);
    }
    for row in KEYS {
        reader.setting(row);
    }
    for (key, value) in data {
        reader.other(key, value);
    }
    reader.finish()
}

/// Whether the key of an annotation is a key of the ConfigMap, and no row of [`KEYS`] says it better.
pub fn is_class_default(row: &Row<Policy>) -> bool {
    row.class == ClassDefault::Key && !KEYS.iter().any(|key| key.name == row.name)
}

/// Keys that are no class defaults of annotations.
pub static KEYS: &[Row<Settings>] = &[
    Row {
        name: "limit-conn-status-code",
        summary: "Status of a refusal by `limit-connections`.",
        details: "503 with the profile `ingress-nginx`. An object's `limit-status-code` wins.",
        good: "429",
        bad: "200",
        field: field!(Status => connections_status),
        ..SETTING
    },
    Row {
        name: "limit-conn-zone-variable",
        summary: "What ingress-nginx counts by; weir takes `limit-key` instead.",
        details: "`$binary_remote_addr` and `$remote_addr` are the client's address, which is the default here. Any other \
                  variable is reported and not read.",
        good: "$binary_remote_addr",
        bad: "remote_addr",
        field: field!(ZoneVariable => defaults),
        ..SETTING
    },
    Row {
        name: "limit-ipv4-prefix",
        heritage: Heritage::Weir,
        summary: "IPv4 addresses with the same first so many bits are one client.",
        good: "24",
        bad: "33",
        field: field!(Prefix4 => ipv4_prefix),
        ..SETTING
    },
    Row {
        name: "limit-ipv6-prefix",
        heritage: Heritage::Weir,
        summary: "IPv6 addresses with the same first so many bits are one client.",
        details: "128 with the profile `ingress-nginx`.",
        good: "56",
        bad: "129",
        field: field!(Prefix6 => ipv6_prefix),
        ..SETTING
    },
    Row {
        name: "limit-req-status-code",
        summary: "Status of a refusal by rate.",
        details: "503 with the profile `ingress-nginx`. An object's `limit-status-code` wins.",
        good: "429",
        bad: "99",
        field: field!(Status => rate_status),
        ..SETTING
    },
    Row {
        name: "block-cidrs",
        group: Group::Access,
        on_invalid: OnInvalid::Refuse,
        summary: "These client addresses get 403 everywhere.",
        details: "It holds beside the lists of objects; in ingress-nginx an object's own list switches it off in silence.",
        good: "192.0.2.0/24, 198.51.100.7",
        bad: "192.0.2.0/24 198.51.100.7",
        field: field!(Nets => block),
        ..SETTING
    },
    Row {
        name: "retry-non-idempotent",
        group: Group::Origin,
        summary: "Requests with methods that are not idempotent are repeated too.",
        details: "As if every `proxy-next-upstream` said `non_idempotent`.",
        good: "false",
        bad: "never",
        field: field!(Flag => retry_non_idempotent),
        ..SETTING
    },
    Row {
        name: "compute-full-forwarded-for",
        group: Group::Addresses,
        summary: "`X-Forwarded-For` to the origin keeps what came and appends the peer.",
        details: "Otherwise it is the one address that was derived. Where `forwarded-for-header` names `Forwarded`, that field \
                  is sent too, with all of the way or with the client alone.",
        good: "true",
        bad: "full",
        field: field!(Flag => trust.append),
        ..SETTING
    },
    Row {
        name: "enable-real-ip",
        group: Group::Addresses,
        summary: "The client's address is read from the header of a trusted peer.",
        details: "Host, scheme and port are not. The peers are those of `proxy-real-ip-cidr`.",
        good: "false",
        bad: "on",
        field: field!(RealIp => trust.address),
        ..SETTING
    },
    Row {
        name: "enable-underscores-in-headers",
        group: Group::Addresses,
        summary: "Header names with `_` pass to the origin.",
        good: "true",
        bad: "on",
        field: field!(Flag => underscores_in_headers),
        ..SETTING
    },
    Row {
        name: "forwarded-for-header",
        group: Group::Addresses,
        on_invalid: OnInvalid::TrustNobody,
        summary: "The header with the addresses.",
        details: "`Forwarded` is read by the grammar of RFC 7239, and with `use-forwarded-headers` its `host` and `proto` \
                  stand for `X-Forwarded-Host`, `-Proto` and `-Port`, which are not read then. ingress-nginx cannot read it.",
        good: "CF-Connecting-IP",
        bad: "CF Connecting IP",
        field: field!(HeaderName => trust.header),
        ..SETTING
    },
    Row {
        name: "generate-request-id",
        group: Group::Addresses,
        summary: "A request without `X-Request-ID` gets one.",
        good: "false",
        bad: "no",
        field: field!(Flag => generate_request_id),
        ..SETTING
    },
    Row {
        name: "proxy-protocol-header-timeout",
        group: Group::Addresses,
        summary: "How long a trusted peer may take for its header of the PROXY protocol.",
        good: "5",
        bad: "soon",
        field: field!(Seconds => edge.proxy_protocol.timeout),
        ..SETTING
    },
    Row {
        name: "proxy-real-ip-cidr",
        group: Group::Addresses,
        on_invalid: OnInvalid::TrustNobody,
        summary: "Peers whose forwarded headers and PROXY protocol are believed.",
        details: "Nobody by default. With the profile `ingress-nginx` all of IPv4, so that every client chooses its own \
                  address; name your load balancers.",
        good: "10.0.0.0/8",
        bad: "10.0.0.0/8/8",
        field: field!(Nets => trust.proxies),
        ..SETTING
    },
    Row {
        name: "use-forwarded-headers",
        group: Group::Addresses,
        summary: "The client's address, host, scheme and port are read from the headers of a trusted peer.",
        details: "The peers are those of `proxy-real-ip-cidr`; with the profile `weir` they must be named.",
        good: "false",
        bad: "on",
        field: field!(ForwardedHeaders => trust.address),
        ..SETTING
    },
    Row {
        name: "use-proxy-protocol",
        group: Group::Addresses,
        summary: "Connections of trusted peers begin with a header of the PROXY protocol.",
        details: "Version 1 or 2, and it names the client. The peers are those of `proxy-real-ip-cidr`; with the profile `weir` they must be named. Theirs without \
                  a header are closed, and those of others with one too. The port of the header is what \
                  `X-Forwarded-Port` says, and 443 means https.",
        good: "false",
        bad: "on",
        field: field!(Flag => edge.proxy_protocol.required),
        ..SETTING
    },
    Row {
        name: "hsts",
        group: Group::Tls,
        summary: "Responses over https say that the host wants no other (`Strict-Transport-Security`).",
        details: "It replaces what the origin says.",
        good: "false",
        bad: "on",
        field: field!(Flag => tls.hsts.send),
        ..SETTING
    },
    Row {
        name: "hsts-include-subdomains",
        group: Group::Tls,
        summary: "The promise of `hsts` holds for subdomains too.",
        good: "false",
        bad: "on",
        field: field!(Flag => tls.hsts.subdomains),
        ..SETTING
    },
    Row {
        name: "hsts-max-age",
        group: Group::Tls,
        summary: "How long the promise of `hsts` holds.",
        good: "86400",
        bad: "1y",
        field: field!(MaxAge => tls.hsts.max_age),
        ..SETTING
    },
    Row {
        name: "hsts-preload",
        group: Group::Tls,
        summary: "Browsers may ship the promise of `hsts`.",
        good: "true",
        bad: "on",
        field: field!(Flag => tls.hsts.preload),
        ..SETTING
    },
    Row {
        name: "http-redirect-code",
        group: Group::Tls,
        summary: "Status of a redirect from http to https.",
        good: "301",
        bad: "303",
        field: field!(RedirectStatus => tls.redirect_status),
        ..SETTING
    },
    Row {
        name: "no-tls-redirect-locations",
        group: Group::Tls,
        summary: "Paths of Ingresses that begin so are not sent to https.",
        details: "The path of the rule is compared, letter by letter, not that of the request.",
        good: "/.well-known/acme-challenge,/plain",
        bad: "plain",
        field: field!(PathStarts => tls.redirect_exempt),
        ..SETTING
    },
    Row {
        name: "ssl-protocols",
        group: Group::Tls,
        summary: "Versions of TLS that are spoken with clients.",
        details: "Versions before 1.2 are never spoken; a note says so. `tls-min-version` of an object can only take away.",
        good: "TLSv1.3",
        bad: "TLSv1.4",
        field: field!(Versions => tls.versions),
        ..SETTING
    },
    Row {
        name: "ssl-reject-handshake",
        group: Group::Tls,
        summary: "Handshakes for names that no rule has are refused, and so are those without a name.",
        details: "Otherwise they are shown the default certificate.",
        good: "true",
        bad: "on",
        field: field!(RejectUnknown => tls.unknown),
        ..SETTING
    },
    Row {
        name: "use-http2",
        group: Group::Tls,
        summary: "HTTP/2 is offered to clients over TLS.",
        good: "false",
        bad: "on",
        field: field!(Http2 => tls.alpn),
        ..SETTING
    },
    Row {
        name: "client-body-timeout",
        group: Group::Connections,
        summary: "How long may pass between two reads of a request body.",
        good: "60",
        bad: "0",
        field: field!(Seconds => edge.body_timeout),
        ..SETTING
    },
    Row {
        name: "client-handshake-rate",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Most TLS handshakes of one client a second.",
        details: "A client is an address, cut to `limit-ipv4-prefix` or `limit-ipv6-prefix`. Five times as many may come at once. Off with the profile `ingress-nginx`.",
        good: "50",
        bad: "50/s",
        field: field!(Rate => edge.handshake_rate_per_client),
        ..SETTING
    },
    Row {
        name: "client-handshake-timeout",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Most seconds for a whole TLS handshake.",
        details: "60 with the profile `ingress-nginx`.",
        good: "5",
        bad: "5s",
        field: field!(Seconds => edge.handshake_timeout),
        ..SETTING
    },
    Row {
        name: "client-header-timeout",
        group: Group::Connections,
        summary: "How long a request head may take, from its first byte to its last.",
        details: "60 with the profile `ingress-nginx`.",
        good: "10",
        bad: "10s",
        field: field!(Seconds => edge.head_timeout),
        ..SETTING
    },
    Row {
        name: "client-send-timeout",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "How long may pass between two writes to a client that does not read.",
        good: "60",
        bad: "soon",
        field: field!(Seconds => edge.send_timeout),
        ..SETTING
    },
    Row {
        name: "client-socket-rate",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "New sockets of one client in a second; five times as many may come at once.",
        details: "Others are closed when they are accepted. Off with the profile `ingress-nginx`.",
        good: "100",
        bad: "many",
        field: field!(Rate => edge.socket_rate_per_client),
        ..SETTING
    },
    Row {
        name: "client-sockets",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Open sockets of one client; others are closed when they are accepted.",
        details: "Off with the profile `ingress-nginx`. Proxies that `proxy-real-ip-cidr` names and that are believed have no such cap.",
        good: "512",
        bad: "many",
        field: field!(InFlight => edge.sockets_per_client),
        ..SETTING
    },
    Row {
        name: "handshake-rate",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Most TLS handshakes of all clients together a second.",
        details: "Five times as many may come at once. Off with the profile `ingress-nginx`.",
        good: "5000",
        bad: "5k",
        field: field!(Rate => edge.handshake_rate),
        ..SETTING
    },
    Row {
        name: "keep-alive",
        group: Group::Connections,
        summary: "How long a connection may be idle, before its first request and between requests.",
        good: "75",
        bad: "-",
        field: field!(Seconds => edge.idle_timeout),
        ..SETTING
    },
    Row {
        name: "keep-alive-requests",
        group: Group::Connections,
        summary: "Requests of one connection, after which it is closed.",
        good: "1000",
        bad: "0",
        field: field!(Positive => edge.requests_per_connection),
        ..SETTING
    },
    Row {
        name: "socket-rate",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "New sockets of all clients in a second; five times as many may come at once.",
        details: "Others are closed when they are accepted. Off with the profile `ingress-nginx`.",
        good: "20000",
        bad: "many",
        field: field!(Rate => edge.socket_rate),
        ..SETTING
    },
    Row {
        name: "sockets",
        group: Group::Connections,
        heritage: Heritage::Weir,
        summary: "Open sockets of all clients; others are closed when they are accepted.",
        details: "Off with the profile `ingress-nginx`. Half the descriptors of the process is always a cap.",
        good: "65536",
        bad: "many",
        field: field!(InFlight => edge.sockets),
        ..SETTING
    },
];

/// Settings in the making.
struct Reader<'a> {
    object: &'a ObjectRef,
    data: &'a BTreeMap<String, String>,
    settings: Settings,
    /// Why nothing at all may pass.
    closed: Vec<String>,
    /// Whether the trust in peers is broken.
    distrust: bool,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    fn class_default(&mut self, row: &Row<Policy>) {
        let Some((key, value)) = self.written(row) else { return };
        match row.read_under(self.settings.profile, &mut self.settings.defaults, value) {
            Ok(note) => self.note(key, value, note),
            Err(invalid) if row.on_invalid == OnInvalid::Default => {
                let instead = report::in_force(row.print(&self.settings.defaults));
                self.invalid(key, value, row.form(), &invalid, &instead);
            }
            Err(invalid) => {
                self.settings.broken.insert(row.name, self.reason(key, &invalid));
                self.invalid(
                    key,
                    value,
                    row.form(),
                    &invalid,
                    "Every object without its own answers 503 until it is mended.",
                );
            }
        }
    }

    fn setting(&mut self, row: &Row<Settings>) {
        let Some((key, value)) = self.written(row) else { return };
        let invalid = match row.read(&mut self.settings, value) {
            Ok(note) => return self.note(key, value, note),
            Err(invalid) => invalid,
        };
        let instead = match row.on_invalid {
            OnInvalid::Default => report::in_force(row.print(&self.settings)),
            OnInvalid::TrustNobody => {
                self.distrust = true;
                "No forwarded header of any peer is believed until it is mended.".to_owned()
            }
            OnInvalid::Refuse | OnInvalid::DefaultOrRefuse | OnInvalid::Deny => {
                self.closed.push(self.reason(key, &invalid));
                "Every request answers 503 until it is mended.".to_owned()
            }
        };
        self.invalid(key, value, row.form(), &invalid, &instead);
    }

    /// What is written for `row`: under its name, or else under the first of its aliases.
    fn written<T>(&mut self, row: &Row<T>) -> Option<(&'a str, &'a str)> {
        let data = self.data;
        let found =
            row.names().filter_map(|name| data.get_key_value(name)).filter(|(_, value)| !value.is_empty());
        let mut found = found.map(|(key, value)| (key.as_str(), value.as_str()));
        let best = found.next()?;
        for (key, value) in found {
            let message = format!("{} is set too and is the one that is read; remove one of them.", best.0);
            self.find(key, value, Severity::Warn, "shadowed", message);
        }
        Some(best)
    }

    /// A key that may have no row.
    fn other(&mut self, key: &str, value: &str) {
        let known = ANNOTATIONS.iter().filter(|row| is_class_default(row)).flat_map(Row::names);
        let known = known.chain(KEYS.iter().flat_map(Row::names));
        if known.clone().any(|name| name == key) {
            return;
        }
        if ANNOTATIONS.iter().any(|row| row.name == key) {
            let message =
                "This is an annotation only: it makes sense on an object, and has no effect here.".to_owned();
            return self.find(key, value, Severity::Fail, "annotation-only", message);
        }
        let Some(unsupported) = Unsupported::key(key) else {
            let names = known.chain(Unsupported::names(unsupported::KEYS));
            let message = report::unknown("key", nearest(key, names));
            return self.find(key, value, Severity::Warn, "unknown-name", message);
        };
        if value.is_empty() || unsupported.is_idle(value) {
            return;
        }
        let (severity, message) = report::unsupported(unsupported, "Every request");
        if unsupported.consequence == Consequence::Refuse {
            self.closed.push(format!("{} in {} is not supported yet", place(key), self.object));
        }
        let shown = if unsupported.hides_value() { "" } else { value };
        self.find(key, shown, severity, "not-supported", message);
    }

    fn finish(mut self) -> (Settings, Vec<Finding>) {
        self.trust();
        let settings = &mut self.settings;
        settings.defaults.origin.next.non_idempotent |= settings.retry_non_idempotent;
        settings.defaults.refuse_all = (!self.closed.is_empty()).then(|| self.closed.join("; "));
        self.findings.sort();
        (self.settings, self.findings)
    }

    /// What the trust in peers comes to, once all keys are read.
    fn trust(&mut self) {
        if self.distrust {
            self.settings.trust.address = TrustMode::Ignore;
            self.settings.trust.proxies.clear();
            return;
        }
        let key = match self.settings.trust.address {
            TrustMode::Ignore if self.settings.edge.proxy_protocol.required => "use-proxy-protocol",
            TrustMode::Ignore => return,
            TrustMode::Address => "enable-real-ip",
            TrustMode::All => "use-forwarded-headers",
        };
        let everybody = self.settings.trust.proxies.iter().any(|net| net.prefix_len() == 0);
        if self.settings.trust.proxies.is_empty() {
            let message = "Nobody is believed, because proxy-real-ip-cidr does not name the trusted peers.";
            self.find(key, "true", Severity::Fail, "nobody-trusted", message.to_owned());
        } else if everybody {
            let message = "Every peer is believed: each client can choose its own address and so pass \
                           every limit and list. Name the trusted peers in proxy-real-ip-cidr.";
            self.find(key, "true", Severity::Warn, "everybody-trusted", message.to_owned());
        }
    }

    fn note(&mut self, key: &str, value: &str, note: Note) {
        if let Some(note) = note {
            self.find(key, value, Severity::Warn, "note", report::sentence(&note));
        }
    }

    fn invalid(&mut self, key: &str, value: &str, form: &str, invalid: &Invalid, instead: &str) {
        let message = format!("Expected {form}, but {invalid}. {instead}");
        self.find(key, value, Severity::Fail, "invalid-value", message);
    }

    fn find(&mut self, key: &str, value: &str, severity: Severity, code: &'static str, message: String) {
        self.findings.push(report::finding(self.object, place(key), value, severity, code, message));
    }

    /// Why something is shut.
    fn reason(&self, key: &str, invalid: &Invalid) -> String {
        format!("{} in {} is invalid: {invalid}", place(key), self.object)
    }
}

fn place(key: &str) -> String {
    format!("data[{key}]")
}

/// What settings have in common.
const SETTING: Row<Settings> = Row {
    name: "",
    aliases: &[],
    group: Group::Limits,
    heritage: Heritage::IngressNginx,
    on_invalid: OnInvalid::Default,
    class: ClassDefault::Key,
    since: "0.1.0",
    summary: "",
    details: "",
    good: "",
    bad: "",
    field: field!(Flag => generate_request_id),
};

#[cfg(test)]
mod tests;
