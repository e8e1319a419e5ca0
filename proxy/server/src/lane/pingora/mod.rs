//! Requests that the express lane does not take, served by pingora one at a time.
//!
//! A request goes through the modules in this order: [`strict`] judges its head before anything is keyed on it; the
//! core admits it; `flight` holds what forwarding it takes; `stream` lends the connection to pingora for exactly this
//! message; `gate` has pingora's callbacks and `edit` what they change. Whatever pingora does, the connection comes
//! back to `landing`, and every answer that is ours is written there. What is refused never gets to pingora.

mod edit;
pub(crate) mod flight;
mod forward;
mod gate;
mod landing;
pub(crate) mod plan;
mod stream;
pub mod strict;

use crate::abort::{Abort, Cause, Stage};
use crate::conn::ConnInfo;
use crate::exchange::Exchange;
use crate::lane::bounds::MAX_FIELDS;
use crate::lane::wire::Persistence;
use crate::respond::{GatewayError, Then};
use crate::shared::Shared;
use crate::socket::Socket;
use flight::{Dialect, Flight, Plan, Presence, Reply, Story, Upgrade};
use forward::{Forwarder, Landed, Message};
use pingora_core::protocols::http::custom::server::Session;
use plan::Asked;
use std::fmt;
use std::sync::Arc;
use strict::{BodyLength, Version};
use weir_core::account::End;
use weir_core::backend::Backend;
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
        let flight = Flight::new(ready.plan, ready.backend, self.shared.clock, self.shared.phase.clone());
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
                exchange.abort(Abort { stage: Stage::Response, cause: Cause::Reset });
                None
            }
        }
    }

    /// Takes a stream of another protocol through pingora. When this future is dropped the request is broken off.
    pub(crate) async fn forward_stream(&self, stream: impl Session) {
        self.forwarder.forward_stream(Box::new(stream)).await;
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
        let presence = match head.body {
            BodyLength::Known(length) if length <= received.len().saturating_sub(head.len) as u64 => {
                Presence::Whole
            }
            _ => Presence::Part,
        };
        let asked = Asked {
            target: head.origin_form(),
            host: head.host,
            dialect: match head.version {
                Version::Http10 => Dialect::Http10,
                Version::Http11 => Dialect::Http11,
            },
            expects_continue: head.expects_continue,
            persistence: if head.persistent { Persistence::KeepAlive } else { Persistence::Close },
            method: head.method,
            upgrade: if head.upgrades { Upgrade::Offer } else { Upgrade::Drop },
            presence,
            content_length: match head.body {
                BodyLength::Known(length) => Some(length),
                BodyLength::Chunked => None,
            },
            headers: &head.fields,
        };
        Some(Ready {
            plan: plan::plan(asked, (info, tls), exchange, &self.shared)?,
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
            match story.end {
                End::ClientAbort => exchange.abort(story.abort(landed.is_at_end())),
                end => exchange.end(end),
            }
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
        let answered = landed.answer(&text, then, stall).await;
        match (story.abort_by_fault(), answered) {
            (Some(abort), _) => {
                exchange.abort(abort);
                None
            }
            (None, Ok(back)) => {
                exchange.end(End::Complete);
                back
            }
            (None, Err(stop)) => {
                exchange.abort(Abort::at(Stage::Response, stop));
                None
            }
        }
    }
}

impl fmt::Debug for PingoraLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PingoraLane").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
