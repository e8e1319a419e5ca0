//! What a connection must be like: redirects to https, and certificates of clients.

use super::{Check, Stop};
use crate::canonical;
use crate::facts::Scheme;
use crate::identity::Words;
use crate::identity::forwarded::{Element, Value};
use crate::policy::TrustMode;
use crate::snapshot::{HostClients, ToHttps};
use crate::tls::{Verified, VerifyClient, VerifyFailure};
use crate::verdict::{Reason, rule};

impl Check<'_> {
    /// A check was asked for that cannot be made: nobody passes.
    pub(super) fn closed_host(&self) -> Result<(), Stop> {
        match self.location.host_rules().denied {
            Some(_) => Err(client_certificate(403, rule::CLIENT_CERTIFICATE)),
            None => Ok(()),
        }
    }

    /// What the handshake showed, against what the host asks for.
    pub(super) fn handshake(&self) -> Result<(), Stop> {
        let Some(clients) = &self.location.host_rules().clients else { return Ok(()) };
        if clients.auth.mode == VerifyClient::Ignore || self.facts.scheme == Scheme::Http {
            return Ok(());
        }
        // A connection is made for one host and may be used for another (RFC 9110 section 7.4). Nobody gets in here by
        // what another host has asked for.
        let tls = self.facts.tls.filter(|tls| tls.demanded == Some(clients.auth.id()));
        let Some(tls) = tls else { return Err(Stop::reason(Reason::Misdirected)) };
        let passes = match (clients.auth.mode, tls.verified) {
            (_, Verified::Pass) => true,
            (mode, Verified::Absent) => mode != VerifyClient::Require,
            (mode, Verified::Fail(why)) => {
                mode == VerifyClient::OptionalNoCa && why == VerifyFailure::UnknownIssuer
            }
        };
        if !passes {
            return Err(invalid_certificate(clients));
        }
        // Whoever signs a certificate writes its subject, so only what is verified has one.
        let certificate = tls.certificate.as_ref().filter(|_| tls.verified == Verified::Pass);
        let subject = certificate.map_or("", |certificate| &certificate.subject_dn);
        match &clients.match_cn {
            Some(pattern) if !pattern.is_match(subject) => Err(client_certificate(403, rule::SUBJECT)),
            _ => Ok(()),
        }
    }

    /// There is no certificate over http, so nobody passes whose certificate matters.
    ///
    /// ingress-nginx lets everybody in who comes over http, unless `auth-tls-match-cn` is set.
    pub(super) fn plain_text(&self) -> Result<(), Stop> {
        let Some(clients) = &self.location.host_rules().clients else { return Ok(()) };
        if self.facts.scheme == Scheme::Https {
            return Ok(());
        }
        match (clients.auth.mode, &clients.match_cn) {
            (VerifyClient::Ignore, _) | (VerifyClient::Optional | VerifyClient::OptionalNoCa, None) => Ok(()),
            (VerifyClient::Require, _) => Err(client_certificate(403, rule::CLIENT_CERTIFICATE)),
            (_, Some(_)) => Err(client_certificate(403, rule::SUBJECT)),
        }
    }

    /// Sends a request over http to https, where the location wants that.
    pub(super) fn redirect(&self) -> Result<(), Stop> {
        if self.location.to_https() == ToHttps::Stay || self.scheme() == Scheme::Https {
            return Ok(());
        }
        let forwarded = match self.client.words {
            Words::List => self.forwarded("x-forwarded-host"),
            Words::Forwarded { .. } => self.told(|element| element.host),
        };
        let forwarded = forwarded.as_deref().and_then(|host| canonical::host(host).ok());
        let host = forwarded.as_deref().filter(|host| !host.is_empty()).unwrap_or(self.host);
        if host.is_empty() {
            // HTTP/1.0 without a host: there is no place to send it to.
            return Err(Stop::reason(Reason::BadRequest));
        }
        Err(Stop {
            status: self.snapshot.settings.tls.redirect_status,
            location: Some(self.secure_uri(host)),
            ..Stop::reason(Reason::HttpsOnly)
        })
    }

    /// The target over https: the host without its port, the rest as it was sent. One slash at the very end is dropped
    /// unless the object keeps it.
    fn secure_uri(&self, host: &str) -> String {
        let mut uri = String::with_capacity(16 + host.len() + self.facts.path.len() + self.facts.query.len());
        uri.push_str("https://");
        uri.push_str(host);
        push_printable(&mut uri, self.facts.path);
        if !self.facts.query.is_empty() {
            uri.push('?');
            push_printable(&mut uri, self.facts.query);
        }
        if !self.location.policy.tls.redirect.keep_slash && uri.ends_with('/') {
            uri.pop();
        }
        uri
    }

    /// The scheme that the client used, as far as a peer that is believed says.
    fn scheme(&self) -> Scheme {
        let forwarded = match self.client.words {
            Words::List => self.forwarded("x-forwarded-proto"),
            Words::Forwarded { .. } => self.told(|element| element.proto),
        };
        match forwarded.as_deref() {
            Some(scheme) if scheme.eq_ignore_ascii_case(b"https") => Scheme::Https,
            Some(scheme) if scheme.eq_ignore_ascii_case(b"http") => Scheme::Http,
            _ => self.facts.scheme,
        }
    }

    /// A parameter of `Forwarded` by the word of the outermost trusted proxy, if such a word is believed.
    fn told(&self, parameter: impl for<'e> Fn(&Element<'e>) -> Option<Value<'e>>) -> Option<Vec<u8>> {
        let mut told = None;
        self.client.outermost(self.facts.headers, &mut |element| {
            told = parameter(element).map(|value| value.bytes().collect());
        });
        told
    }

    /// The first element of a header, if the peer is believed.
    fn forwarded(&self, name: &str) -> Option<Vec<u8>> {
        if self.client.trust != TrustMode::All {
            return None;
        }
        let mut first = None;
        self.facts.headers.visit(name, &mut |value| {
            let element = value.split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
            first.get_or_insert_with(|| element.to_vec());
        });
        first
    }
}

fn client_certificate(status: u16, rule: &'static str) -> Stop {
    Stop { rule, status, ..Stop::reason(Reason::ClientCertificate) }
}

/// 400 as nginx answers, or a redirect to the page that the object names.
fn invalid_certificate(clients: &HostClients) -> Stop {
    let stop = client_certificate(400, rule::CLIENT_CERTIFICATE);
    match &clients.error_page {
        Some(page) => Stop { status: 302, location: Some(page.clone()), ..stop },
        None => stop,
    }
}

/// Appends `bytes`, with those encoded that a URI may not hold raw.
fn push_printable(uri: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_graphic() {
            uri.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase();
            uri.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
