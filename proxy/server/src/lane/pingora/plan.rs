//! The plan of a request, from what was asked and what its policy wants, whatever the version of HTTP.

use super::flight::{Dialect, Plan, Presence, Underscores, Upgrade};
use crate::conn::ConnInfo;
use crate::exchange::Exchange;
use crate::lane::grammar;
use crate::lane::wire::Persistence;
use crate::origin_headers::{self, Certificate, ForwardedFor, Inputs};
use crate::pace::{Nature, Speed};
use crate::shared::Shared;
use crate::upstream::tls::{Dial, Speaks};
use http::HeaderValue;
use std::sync::Arc;
use weir_core::facts::{Headers, Scheme};
use weir_core::policy::{BodyLimit, Origin};
use weir_core::ticket::Ticket;
use weir_core::tls::ClientTls;

/// A request, as far as a plan depends on it.
pub(crate) struct Asked<'a> {
    /// Path and query as sent.
    pub(crate) target: Vec<u8>,
    /// The authority asked for; empty when the client named none.
    pub(crate) host: &'a [u8],
    /// What the client may be sent.
    pub(crate) dialect: Dialect,
    /// The method.
    pub(crate) method: &'a str,
    /// Whether the client's connection stays.
    pub(crate) persistence: Persistence,
    /// Whether the client waits for `100 Continue`.
    pub(crate) expects_continue: bool,
    /// Whether the client asks for another protocol.
    pub(crate) upgrade: Upgrade,
    /// Whether the whole request is there.
    pub(crate) presence: Presence,
    /// Bytes of the body, where that is known.
    pub(crate) content_length: Option<u64>,
    /// The header fields.
    pub(crate) headers: &'a dyn Headers,
}

/// Makes the plan of an admitted request; `None` when it was refused.
pub(crate) fn plan(
    asked: Asked<'_>,
    (info, tls): (&ConnInfo, Option<&ClientTls>),
    exchange: &Exchange,
    shared: &Shared,
) -> Option<Plan> {
    let ticket = exchange.ticket()?;
    let timeouts = shared.timeouts();
    let snapshot = shared.engine.current();
    let settings = &snapshot.settings;
    let mut fields = Vec::with_capacity(MOST_ADDED);
    let inputs = Inputs {
        client: exchange.client(),
        host: asked.host,
        port: info.local.port(),
        scheme: info.scheme,
        forwarded_for: ForwardedFor::from_append(settings.trust.append),
        header: &settings.trust.header,
        request_id: exchange.request_id(),
        certificate: Certificate::asked(tls, &ticket.policy().tls.client),
        headers: asked.headers,
    };
    origin_headers::for_each(&inputs, |name, value| fields.push((name, value.to_vec())));
    let mut response_fields = Vec::new();
    exchange.for_each_response_field(|name, value| {
        response_fields.extend(HeaderValue::from_bytes(value).ok().map(|value| (name, value)));
    });
    Some(Plan {
        peer: info.peer,
        host: asked.host.to_vec(),
        dialect: asked.dialect,
        expects_continue: asked.expects_continue,
        persistence: asked.persistence,
        origin_persistence: origin_persistence(&asked, &ticket.policy().origin),
        upgrade: asked.upgrade,
        presence: asked.presence,
        body_limit: match (asked.content_length, ticket.body_limit()) {
            (None, (BodyLimit::Bytes(most), mode)) => Some((most, mode)),
            // A length that is known was judged with the head.
            _ => None,
        },
        origin: ticket.policy().origin.clone(),
        dial: dial(shared, ticket, info.scheme)?,
        fields,
        underscores: if settings.underscores_in_headers { Underscores::Keep } else { Underscores::Drop },
        response_fields,
        body_timeout: timeouts.body,
        body_speed: Speed::forwarded(ticket.policy().body.min_rate, nature(&asked, ticket), &timeouts),
        write_timeout: timeouts.write,
        target: asked.target,
    })
}

/// What is said of a body. Only an origin that speaks HTTP/2 can take a call, so a field in the head is no way out.
fn nature(asked: &Asked<'_>, ticket: &Ticket) -> Nature {
    match asked.content_length {
        _ if ticket.policy().origin.protocol.is_h2() => Nature::Call,
        Some(_) => Nature::Announced,
        None => Nature::Open,
    }
}

/// An origin that does not read the body of such a request would take it for the next one: one with a method that needs
/// none, or one that it answers before the client was told to continue. What follows a request that closes is not
/// processed (RFC 9112 section 9.6).
fn origin_persistence(asked: &Asked<'_>, origin: &Origin) -> Persistence {
    match asked.content_length {
        // In HTTP/2 a body is not next to anything.
        _ if origin.protocol.is_h2() => Persistence::KeepAlive,
        Some(0) => Persistence::KeepAlive,
        _ if asked.expects_continue || grammar::may_ignore_content(asked.method) => Persistence::Close,
        _ => Persistence::KeepAlive,
    }
}

/// How the request's origin is connected to over TLS, which is `None` without. Nothing at all where TLS is asked for and
/// cannot be had: such a request must not go anywhere.
#[allow(
    clippy::option_option,
    reason = "the inner one is a kind of connection, the outer one whether there is any"
)]
fn dial(shared: &Shared, ticket: &Ticket, scheme: Scheme) -> Option<Option<Arc<Dial>>> {
    let protocol = ticket.policy().origin.protocol;
    if !protocol.encrypts(scheme) {
        return Some(None);
    }
    let speaks = if protocol.is_h2() { Speaks::Http2 } else { Speaks::Http1 };
    let policy = ticket.location()?.origin_tls()?;
    shared.tls.origins.of(policy, speaks, &shared.counters).ok().map(|connector| Some(Dial::new(connector)))
}

/// Fields that an origin is told at most.
const MOST_ADDED: usize = 16;
