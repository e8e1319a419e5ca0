//! Requests that the express lane does not take, served by pingora one at a time.
//!
//! A request goes through the modules in this order: [`strict`] judges its head before anything is keyed on it; the
//! core admits it; `flight` holds what forwarding it takes; `stream` lends the connection to pingora for exactly this
//! message; `gate` has pingora's callbacks and `edit` what they change. Whatever pingora does, the connection comes
//! back to `landing`, and every answer that is ours is written there. What is refused never gets to pingora.

mod edit;
mod flight;
mod forward;
mod gate;
mod landing;
mod stream;
pub mod strict;

use crate::conn::ConnInfo;
use crate::counters::Timeout;
use crate::exchange::Exchange;
use crate::lane::grammar;
use crate::lane::wire::Persistence;
use crate::origin_headers::{self, Certificate, ForwardedFor, Inputs};
use crate::pace::Pace;
use crate::respond::{GatewayError, Then};
use crate::shared::Shared;
use crate::socket::Socket;
use crate::upstream::tls::{Dial, Speaks};
use flight::{Dialect, Fault, Flight, Plan, Presence, Reply, Story, Underscores, Upgrade};
use forward::{Forwarder, Landed, Message};
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use strict::{BodyLength, Head, MAX_FIELDS, Version};
use weir_core::account::End;
use weir_core::backend::Backend;
use weir_core::facts::Scheme;
use weir_core::policy::{BodyLimit, Settings};
use weir_core::ticket::Ticket;
use weir_core::tls::ClientTls;

/// The way for requests that the express lane does not take. One per worker.
pub struct PingoraLane {
    shared: Arc<Shared>,
    forwarder: Forwarder,
}

/// A request that is ready for pingora, and what its connection needs to know of it afterwards.
struct Ready {
    plan: Plan,
    backend: Arc<Backend>,
    message: Message,
}

impl PingoraLane {
    /// A lane with connections to origins of its own.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, forwarder: Forwarder::new() }
    }

    /// Serves one admitted request, of which `received` has the whole head, unchanged, and whatever followed it.
    ///
    /// Returns the connection and what came behind the request if it can take another one; `None` when it is over:
    /// closed, closing, or a tunnel that has ended.
    pub async fn serve(
        &self,
        socket: Socket,
        received: Vec<u8>,
        info: ConnInfo,
        mut exchange: Box<Exchange>,
    ) -> Option<(Socket, Vec<u8>)> {
        let Some(ready) = self.prepare(&received, &info, socket.client_tls().map(Arc::as_ref), &exchange)
        else {
            exchange.respond_error(GatewayError::Internal, Then::Close, |_| ());
            exchange.end(End::Complete);
            return None;
        };
        let before = received.len().min(ready.message.head) as u64;
        let then = ready.message.then;
        let flight = Flight::new(ready.plan, ready.backend, self.shared.clock);
        flight.hold(exchange.take_places());
        let landed = self.forwarder.forward(socket, received, ready.message, &flight).await;
        // Whatever is answered now is short.
        flight.release();
        let story = flight.take_story();
        if story.end == End::Complete {
            flight.plan.dial.iter().for_each(|dial| dial.keep());
        }
        if story.over_observed_limit {
            exchange.observe_body();
        }
        match story.fault {
            Some(Fault::BodyTimeout) => self.shared.counters.timeout(Timeout::Body),
            Some(Fault::WriteTimeout) => self.shared.counters.timeout(Timeout::Write),
            _ => {}
        }
        exchange.outcome.upstream = story.upstream.clone();
        exchange.outcome.status = story.status;
        match landed {
            Some(landed) => {
                exchange.outcome.bytes_in = landed.returned.bytes_in;
                exchange.outcome.bytes_out = landed.returned.bytes_out;
                self.land(landed, &story, then, exchange).await
            }
            None => {
                exchange.outcome.bytes_in = before;
                exchange.end(End::ClientAbort);
                None
            }
        }
    }

    /// What pingora needs for a request.
    fn prepare(
        &self,
        received: &[u8],
        info: &ConnInfo,
        tls: Option<&ClientTls>,
        exchange: &Exchange,
    ) -> Option<Ready> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let head = strict::read(received, &mut slots).ok()?;
        let snapshot = self.shared.engine.snapshot();
        Some(Ready {
            plan: self.plan(&head, received.len(), (info, tls), exchange, &snapshot.settings)?,
            backend: exchange.ticket()?.backend().clone(),
            message: Message {
                head: head.len,
                target: head.target_span.clone(),
                body: head.body,
                then: match head.version {
                    _ if !head.persistent || self.shared.is_last(info) => Then::Close,
                    Version::Http10 => Then::KeepHttp10,
                    Version::Http11 => Then::Keep,
                },
            },
        })
    }

    fn plan(
        &self,
        head: &Head<'_, '_>,
        received: usize,
        (info, tls): (&ConnInfo, Option<&ClientTls>),
        exchange: &Exchange,
        settings: &Settings,
    ) -> Option<Plan> {
        let ticket = exchange.ticket()?;
        let mut fields = Vec::with_capacity(MOST_ADDED);
        let inputs = Inputs {
            client: exchange.client(),
            host: head.host,
            port: info.local.port(),
            scheme: info.scheme,
            forwarded_for: ForwardedFor::from_append(settings.trust.append),
            request_id: exchange.request_id(),
            certificate: Certificate::asked(tls, &ticket.policy().tls.client),
            headers: &head.fields,
        };
        origin_headers::for_each(&inputs, |name, value| fields.push((name, value.to_vec())));
        let mut response_fields = Vec::new();
        exchange.for_each_response_field(|name, value| {
            response_fields.extend(HeaderValue::from_bytes(value).ok().map(|value| (name, value)));
        });
        Some(Plan {
            peer: info.peer,
            target: head.origin_form(),
            host: head.host.to_vec(),
            dialect: match head.version {
                Version::Http10 => Dialect::Http10,
                Version::Http11 => Dialect::Http11,
            },
            expects_continue: head.expects_continue,
            persistence: if head.persistent { Persistence::KeepAlive } else { Persistence::Close },
            origin_persistence: origin_persistence(head),
            upgrade: if head.upgrades { Upgrade::Offer } else { Upgrade::Drop },
            presence: match head.body {
                BodyLength::Known(length) if length <= received.saturating_sub(head.len) as u64 => {
                    Presence::Whole
                }
                _ => Presence::Part,
            },
            body_limit: match (head.body, ticket.body_limit()) {
                (BodyLength::Chunked, (BodyLimit::Bytes(most), mode)) => Some((most, mode)),
                // A length that is known was judged with the head.
                _ => None,
            },
            origin: ticket.policy().origin.clone(),
            dial: dial(&self.shared, ticket, info.scheme)?,
            fields,
            underscores: if settings.underscores_in_headers { Underscores::Keep } else { Underscores::Drop },
            response_fields,
            body_timeout: self.shared.timeouts().body,
            body_pace: ticket.policy().body.min_rate.map(Pace::asked),
            write_timeout: self.shared.timeouts().write,
        })
    }

    /// Answers what pingora did not answer, closes the account, and says what becomes of the connection.
    async fn land(
        &self,
        landed: Landed,
        story: &Story,
        then: Then,
        mut exchange: Box<Exchange>,
    ) -> Option<(Socket, Vec<u8>)> {
        let stall = self.shared.timeouts().write;
        let Some(reply) = story.reply else {
            exchange.end(story.end);
            return landed.close_or_keep(story.end, stall).await;
        };
        let then = if landed.is_at_end() && !self.shared.is_draining() { then } else { Then::Close };
        let mut text = Vec::new();
        match reply {
            Reply::RefuseBody => {
                exchange.refuse_body();
                exchange.write_refusal(then, &mut text);
            }
            Reply::Error(error) => exchange.write_error(error, then, &mut text),
        }
        let (end, back) = landed.answer(&text, then, stall).await;
        exchange.end(end);
        back
    }
}

/// An origin that does not read the body of such a request would take it for the next one: one with a method that needs
/// none, or one that it answers before the client was told to continue. What follows a request that closes is not
/// processed (RFC 9112 section 9.6).
fn origin_persistence(head: &Head<'_, '_>) -> Persistence {
    match head.body {
        BodyLength::Known(0) => Persistence::KeepAlive,
        _ if head.expects_continue || grammar::may_ignore_content(head.method) => Persistence::Close,
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

impl fmt::Debug for PingoraLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PingoraLane").finish_non_exhaustive()
    }
}

/// Fields that an origin is told at most.
const MOST_ADDED: usize = 16;

#[cfg(test)]
mod tests;
