//! The express lane: a request that is plain, strict and complete, forwarded in the buffers it was read into.
//!
//! [`serve`] is the whole way of one such request; the wire code that it calls does no I/O and lives in
//! [`lane::wire`](crate::lane::wire).

pub(crate) mod attempt;
pub(crate) mod client;
pub(crate) mod left;
mod relay;
mod splice;

use crate::abort::{Abort, Stage};
use crate::buffers;
use crate::conn::{Conn, Stop};
use crate::exchange::Exchange;
use crate::lane::wire::{Buffer, FieldKind, Persistence, RequestHead, Treat, kind_of};
use crate::origin_headers::{self, Certificate, ForwardedFor, Inputs};
use crate::pace::Intake;
use crate::respond::{GatewayError, Then};
use crate::shared::Shared;
use attempt::Failure;
pub(crate) use attempt::MOST_INTERIM;
use client::Http1;
use std::sync::Arc;
use weir_core::facts::{Headers, Scheme};
use weir_core::policy::{BodyRate, Origin, Settings};
use weir_limits::Instant;

/// What becomes of the connection after a request.
#[derive(Debug)]
pub enum After {
    /// It waits for the next one.
    Next,
    /// It is over.
    Close,
    /// It is over in the middle of a response whose end only a reset can tell from its being cut off.
    Reset,
    /// The edits do not fit into the buffer, which is unchanged: pingora's lane takes the request, already admitted.
    Defer(Box<Exchange>),
}

/// A request's header fields, looked up in the bytes it was read from.
pub struct WireHeaders<'a> {
    /// Those bytes, not edited since.
    pub data: &'a [u8],
    /// Where things are in them.
    pub head: &'a RequestHead,
}

impl Headers for WireHeaders<'_> {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        // The head was read once already: of fields of these kinds it is known whether there are any.
        if kind_of(name.as_bytes()).is_none_or(|kind| self.head.has(kind)) {
            self.head.values(self.data, name).for_each(visit);
        }
    }
}

/// Whether the lane can speak to such an origin: in the clear and with HTTP/1.1 alone.
pub fn serves(origin: &Origin, scheme: Scheme) -> bool {
    !origin.protocol.encrypts(scheme) && !origin.protocol.is_h2()
}

/// Forwards an admitted request whose head is at the front of `conn.input`, and its response back.
pub async fn serve(
    conn: &mut Conn,
    head: &RequestHead,
    mut exchange: Box<Exchange>,
    shared: &Shared,
) -> After {
    let ready = match receive_body(conn, head, &exchange, shared).await {
        Ok(ready) => ready,
        Err(stop) => {
            exchange.outcome.bytes_in = conn.data().len() as u64;
            without_body(conn, exchange, stop, shared).await;
            return After::Close;
        }
    };
    let Some(request) = rewrite(conn, head, &exchange, shared) else {
        return After::Defer(exchange);
    };
    exchange.outcome.bytes_in = head.total() as u64;
    let mut upstream = None;
    let mut client = Http1 { conn, request };
    let response = attempt::run(&mut client, head.method, ready, &exchange, &mut upstream, shared).await;
    exchange.outcome.upstream = upstream;
    // Asked now, as the end of the process may have begun while the origin thought.
    let close = head.persistence == Persistence::Close || shared.is_last(&conn.info);
    let then = if close { Then::Close } else { Then::Keep };
    match response {
        Ok(response) => {
            conn.consume(request);
            relay::run(conn, response, then, exchange, shared).await
        }
        Err(Failure::Client(stop)) => {
            exchange.abort(Abort::at(Stage::Wait, stop));
            After::Close
        }
        Err(Failure::Origin(error)) => {
            conn.consume(request);
            let sent = answer(conn, error, then, &mut exchange, shared).await;
            exchange.answered(sent);
            if close || sent.is_err() { After::Close } else { After::Next }
        }
    }
}

/// Ends an admitted request whose body did not come. A client that is only late is told.
pub async fn without_body(conn: &mut Conn, mut exchange: Box<Exchange>, stop: Stop, shared: &Shared) {
    if stop == Stop::Late {
        let _ = answer(conn, GatewayError::RequestTimeout, Then::Close, &mut exchange, shared).await;
    }
    exchange.abort(Abort::at(Stage::Body, stop));
}

/// Sends an answer of our own.
async fn answer(
    conn: &mut Conn,
    error: GatewayError,
    then: Then,
    exchange: &mut Exchange,
    shared: &Shared,
) -> Result<(), Stop> {
    let mut text = buffers::take_text();
    exchange.write_error(error, then, &mut text);
    let sent = conn.write_all(&text, shared.timeouts().write).await;
    buffers::give_text(text);
    sent
}

/// Reads the rest of the body, which fits the buffer. Returns when it was complete.
async fn receive_body(
    conn: &mut Conn,
    head: &RequestHead,
    exchange: &Exchange,
    shared: &Shared,
) -> Result<Instant, Stop> {
    if conn.data().len() >= head.total() {
        return Ok(exchange.began());
    }
    let asked = exchange.route().map_or(BodyRate::Unset, |(_, policy)| policy.body.min_rate);
    let mut intake = Intake::new(asked, shared);
    while conn.data().len() < head.total() {
        intake.fill(conn, shared).await?;
    }
    Ok(shared.clock.now())
}

/// Makes of the client's head the one for the origin, in place. Returns the bytes of head and body; `None` when the
/// buffer has no room.
fn rewrite(conn: &mut Conn, head: &RequestHead, exchange: &Exchange, shared: &Shared) -> Option<usize> {
    let snapshot = shared.engine.current();
    let settings = &snapshot.settings;
    let mut added = buffers::take_text();
    let data = conn.data();
    let client = exchange.client();
    origin_headers::append_http1(
        &mut added,
        &Inputs {
            client,
            host: head.host.of(data),
            port: conn.info.local.port(),
            scheme: conn.info.scheme,
            forwarded_for: ForwardedFor::from_append(settings.trust.append),
            header: &settings.trust.header,
            request_id: exchange.request_id(),
            certificate: exchange.route().and_then(|(_, policy)| {
                Certificate::asked(conn.socket.client_tls().map(Arc::as_ref), &policy.tls.client)
            }),
            headers: &WireHeaders { data, head },
        },
    );
    let edits = head.edits(|kind| treat(kind, settings));
    let applied = conn.input.as_mut().and_then(|buffer| edits.apply(buffer, &[&added]).ok());
    buffers::give_text(added);
    Some(applied? + head.content_length)
}

/// What becomes of a field that is not simply passed on. What was forwarded is cut whoever sent it: what of it is
/// believed stands in the fields that we add.
pub fn treat(kind: FieldKind, settings: &Settings) -> Treat {
    match kind {
        FieldKind::HopByHop | FieldKind::Forwarded | FieldKind::RequestId => Treat::Cut,
        FieldKind::Underscore if settings.underscores_in_headers => Treat::Keep,
        FieldKind::Underscore => Treat::Cut,
    }
}

/// The response that an origin has begun: its connection, and what was read of it.
pub(crate) struct Response {
    /// The connection.
    pub(crate) origin: attempt::Origin,
    /// Its head, and what of the body came with it.
    pub(crate) buffer: Buffer,
    /// Its head, read.
    pub(crate) head: crate::lane::wire::ResponseHead,
}
