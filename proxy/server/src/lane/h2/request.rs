//! One stream: judged, admitted, answered here or forwarded.

use super::express::Plain;
use super::head::{self, Head};
use super::io::Gauge;
use super::stream::{Back, LentStream, Reply};
use crate::abort::{Abort, Stage};
use crate::access_log::{Failed, Lane, Protocol, Sketch};
use crate::buffers;
use crate::conn::{ConnInfo, Stop};
use crate::connection::gateway_error;
use crate::exchange::{Exchange, with_date};
use crate::lane::grammar::Malformed;
use crate::lane::pingora::flight::{self, Dialect, Fault, Flight, Plan, Presence, Story, Upgrade};
use crate::lane::pingora::plan::{Asked, plan};
use crate::lane::wire::Persistence;
use crate::respond::{Accept, Ask, BodyPart, Code, GatewayError, Response, Then, code_of, is_grpc};
use crate::shared::Shared;
use crate::worker::Worker;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use pingora_core::protocols::SocketDigest;
use std::sync::Arc;
use std::time::Duration;
use weir_core::account::{End, Outcome};
use weir_core::facts::{Facts, Headers};
use weir_core::tls::ClientTls;

/// What the streams of one connection have in common.
pub(super) struct Link {
    pub(super) info: ConnInfo,
    pub(super) tls: Option<Arc<ClientTls>>,
    pub(super) socket: Arc<SocketDigest>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) worker: Arc<Worker>,
}

/// What becomes of a stream that was just opened.
pub(super) enum Opened {
    /// It was answered: the request was refused.
    Answered,
    /// It was answered: the request has no reading.
    Malformed,
    /// It goes on, through the express lane.
    Plain(Plain, SendResponse<Bytes>, Box<Exchange>),
    /// It goes on, through pingora's.
    Forward(Box<Admitted>),
}

/// A request on its way to an origin.
pub(super) struct Admitted {
    parts: Parts,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    exchange: Box<Exchange>,
    plan: Plan,
    head: u64,
    call: Option<Call>,
}

/// A call of gRPC.
#[derive(Clone, Copy)]
struct Call {
    timeout: Option<Duration>,
}

/// Judges and admits a request: whatever its client does next, it is charged.
pub(super) fn open(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, link: &Link) -> Opened {
    let shared = &link.worker.shared;
    let (mut parts, body) = request.into_parts();
    let ended = body.is_end_stream();
    let bounds = shared.timeouts().head_bounds;
    let head = match head::check(&parts, bounds).and_then(|()| head::read(&parts, ended)) {
        Ok(head) => head,
        Err(malformed) => {
            answer_malformed(malformed, &parts, &mut respond, link);
            return Opened::Malformed;
        }
    };
    let mut exchange = Exchange::admit(shared, &facts(&head, link), Lane::H2, Protocol::Http2);
    exchange.came_by(&link.info);
    exchange.outcome.bytes_in = head.len as u64;
    if exchange.refusal().is_some() {
        answer(&mut exchange, None, &mut respond);
        exchange.end(End::Complete);
        return Opened::Answered;
    }
    let call = is_grpc(&head.fields).then(|| Call { timeout: grpc_timeout(&head.fields) });
    if call.is_none()
        && let Some(plain) = Plain::of(&head, ended, &exchange, link)
    {
        return Opened::Plain(plain, respond, exchange);
    }
    let (length, host) = (head.len as u64, head.host.to_vec());
    let asked = Asked {
        target: head.target.to_vec(),
        host: head.host,
        dialect: Dialect::Http11,
        expects_continue: head.expects_continue,
        method: head.method,
        persistence: Persistence::KeepAlive,
        upgrade: Upgrade::Drop,
        presence: if ended { Presence::Whole } else { Presence::Part },
        content_length: head.content_length,
        headers: &head.fields,
    };
    let plan = plan(asked, (&link.info, link.tls.as_deref()), &exchange, shared);
    match plan.filter(|_| head::make_plain(&mut parts, &host).is_some()) {
        Some(plan) => {
            Opened::Forward(Box::new(Admitted { parts, body, respond, exchange, plan, head: length, call }))
        }
        None => {
            answer(&mut exchange, Some(GatewayError::Internal), &mut respond);
            exchange.end(End::Complete);
            Opened::Answered
        }
    }
}

impl Admitted {
    /// The way to the origin and back.
    pub(super) async fn forward(self, link: Arc<Link>) {
        let Self { parts, body, respond, mut exchange, plan, head, call } = self;
        let shared = &link.worker.shared;
        let Some(backend) = exchange.ticket().map(|ticket| ticket.backend().clone()) else { return };
        let flight = Flight::new(plan, backend, shared.clock, shared.phase.clone());
        flight.hold(exchange.take_places());
        let (lent, back) = LentStream::new(
            parts.into(),
            body,
            respond,
            flight.clone(),
            (link.socket.clone(), link.gauge.clone()),
        );
        let mut aloft = Aloft { exchange: Some(exchange), flight: flight.clone(), back };
        let forwarding = link.worker.pingora.forward_stream(lent);
        let in_time = match call.and_then(|call| call.timeout) {
            Some(most) => tokio::time::timeout(most, forwarding).await.is_ok(),
            None => {
                forwarding.await;
                true
            }
        };
        // Whatever is answered now is short.
        flight.release();
        let mut story = flight.take_story();
        if in_time && story.end == End::Complete {
            flight.plan.dial.iter().for_each(|dial| dial.keep());
        }
        let Some(mut exchange) = aloft.exchange.take() else { return };
        if story.over_observed_limit {
            exchange.observe_body();
        }
        if !in_time {
            story.reply = Some(flight::Reply::Error(GatewayError::OriginTimeout));
            story.end = End::OriginAbort;
        } else if !flight.has_entered() {
            // Pingora did not like a head that we did.
            story.reply = Some(flight::Reply::Error(GatewayError::MalformedRequest));
        }
        exchange.outcome.upstream = story.upstream.take();
        exchange.outcome.status = story.status;
        let Some(returned) = aloft.back.lock().take() else { return };
        exchange.outcome.bytes_in = head.saturating_add(returned.bytes_in);
        exchange.outcome.bytes_out = returned.bytes_out;
        match (returned.reply, story.reply) {
            (Reply::Due(mut respond), Some(reply)) => {
                let error = match reply {
                    flight::Reply::Error(error) => Some(error),
                    flight::Reply::RefuseBody => {
                        exchange.refuse_body();
                        None
                    }
                };
                let sent = answer(&mut exchange, error, &mut respond);
                let gone = || Abort::at(Stage::Response, story.gone.unwrap_or(Stop::End));
                match story.abort_by_fault().or_else(|| (!sent).then(gone)) {
                    None => exchange.end(End::Complete),
                    Some(abort) => exchange.abort(abort),
                }
            }
            (Reply::Begun(stream), _) => {
                let status = if in_time { late_status(&story, &exchange.outcome) } else { TIMEOUT };
                break_off(stream, call.is_some().then(|| code_of(status))).await;
                let end = if story.end == End::Complete { End::OriginAbort } else { story.end };
                end_as(end, exchange, &story, returned.whole);
            }
            // Dropping what is due tells the client that nothing comes.
            (Reply::Due(_) | Reply::Done, _) => end_as(story.end, exchange, &story, returned.whole),
        }
    }
}

fn end_as(end: End, exchange: Box<Exchange>, story: &Story, whole: bool) {
    match end {
        End::ClientAbort => exchange.abort(story.abort(whole)),
        end => exchange.end(end),
    }
}

/// A request on its way through pingora. Dropped meanwhile, its connection has ended, and it with that.
struct Aloft {
    exchange: Option<Box<Exchange>>,
    flight: Arc<Flight>,
    back: Back,
}

impl Drop for Aloft {
    fn drop(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        let mut story = self.flight.take_story();
        let returned = self.back.lock().take();
        exchange.outcome.upstream = story.upstream.take();
        exchange.outcome.status = story.status;
        exchange.outcome.bytes_in += returned.as_ref().map_or(0, |returned| returned.bytes_in);
        exchange.outcome.bytes_out = returned.as_ref().map_or(0, |returned| returned.bytes_out);
        exchange.abort(story.abort(returned.is_some_and(|returned| returned.whole)));
    }
}

/// What would have been answered, had the response not begun.
fn late_status(story: &Story, outcome: &Outcome) -> u16 {
    match story.fault {
        Some(Fault::BodyLimit) => 413,
        Some(Fault::BodyTimeout | Fault::WriteTimeout) => 408,
        Some(Fault::MalformedBody) => 400,
        None => {
            let error = outcome.upstream.as_ref().and_then(|heard| GatewayError::of_upstream(heard.result));
            error.unwrap_or(GatewayError::OriginReset).status()
        }
    }
}

/// Ends a response in the middle, so that nobody takes it for the whole.
pub(super) async fn break_off(mut stream: SendStream<Bytes>, code: Option<Code>) {
    let trailers = code.and_then(|Code(number, name)| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(u16::from(number)));
        trailers.insert("grpc-message", HeaderValue::from_static(name));
        stream.send_trailers(trailers).ok()
    });
    if trailers.is_none() {
        // A reset overtakes what is queued: let the connection send what the client has room for.
        tokio::task::yield_now().await;
        stream.send_reset(Reason::INTERNAL_ERROR);
    }
}

fn facts<'a>(head: &'a Head<'_>, link: &'a Link) -> Facts<'a> {
    let info = &link.info;
    Facts {
        peer: info.peer.ip(),
        port: info.local.port(),
        scheme: info.scheme,
        tls: link.tls.as_deref(),
        method: head.method,
        host: head.host,
        path: head.path,
        query: head.query,
        content_length: head.content_length,
        head_bytes: head.len,
        headers: &head.fields,
    }
}

/// Answers with the refusal of `exchange`, or with `error`. Returns whether there was somebody to tell.
pub(super) fn answer(
    exchange: &mut Exchange,
    error: Option<GatewayError>,
    respond: &mut SendResponse<Bytes>,
) -> bool {
    let mut sent = None;
    let write = |response: &Response<'_>| sent = send(response, respond);
    match error {
        Some(error) => exchange.respond_error(error, Then::Keep, write),
        None => exchange.respond(Then::Keep, write),
    }
    exchange.outcome.bytes_out = sent.unwrap_or_default();
    sent.is_some()
}

/// Tells a client what is wrong with what it sent.
fn answer_malformed(malformed: Malformed, parts: &Parts, respond: &mut SendResponse<Bytes>, link: &Link) {
    let shared: &Shared = &link.worker.shared;
    let error = gateway_error(malformed);
    shared.counters.malformed(malformed);
    shared.counters.gateway_error(error);
    let sent = with_date(shared, |date| {
        let accept = Accept::of_h2(&head::Fields::of(parts));
        let body = BodyPart::of_method(parts.method.as_str().as_bytes());
        let ask = Ask { accept, body, then: Then::Keep, request_id: None, hsts: None, date };
        send(&Response::error(error, ask), respond)
    });
    let (client, peer) = link.info.ends();
    let failed = Failed {
        client,
        peer,
        error: Some(error),
        fault: Some(malformed),
        abort: None,
        sketch: Sketch {
            method: parts.method.as_str().as_bytes(),
            host: parts.uri.host().unwrap_or_default().as_bytes(),
            path: parts.uri.path().as_bytes(),
            protocol: Some(Protocol::Http2),
        },
        bytes_in: head::len(parts),
        bytes_out: sent.and_then(|sent| usize::try_from(sent).ok()).unwrap_or_default(),
    };
    if let Some(log) = shared.access_log() {
        log.write_failed(shared.clock.wall(), &failed);
    }
}

/// Sends an answer of ours, and returns its bytes; `None` when nobody wants it.
fn send(response: &Response<'_>, respond: &mut SendResponse<Bytes>) -> Option<u64> {
    let mut head = http::Response::builder().status(response.wire_status()).body(()).ok()?;
    let mut sent = 0;
    response.for_each_header(|name, value| {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
        {
            sent += (name.as_str().len() + value.len()) as u64;
            head.headers_mut().insert(name, value);
        }
    });
    let mut stream = respond.send_response(head, !response.has_body()).ok()?;
    if response.has_body() {
        let mut body = buffers::take_text();
        response.write_body(&mut body);
        sent += body.len() as u64;
        let told = stream.send_data(Bytes::copy_from_slice(&body), true);
        buffers::give_text(body);
        told.ok()?;
    }
    Some(sent)
}

/// The time that a call of gRPC gives itself: at most eight digits and a unit.
fn grpc_timeout(headers: &dyn Headers) -> Option<Duration> {
    let mut timeout = None;
    headers.visit("grpc-timeout", &mut |value| timeout = timeout.or_else(|| read_timeout(value)));
    timeout
}

fn read_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Of a call whose own deadline has passed.
const TIMEOUT: u16 = 504;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_calls_are_read() {
        for (value, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("250m", Some(Duration::from_millis(250))),
            ("5u", Some(Duration::from_micros(5))),
            ("0n", Some(Duration::ZERO)),
            ("2M", Some(Duration::from_secs(120))),
            ("S", None),
            ("", None),
            ("1", None),
            ("1s", None),
            ("+1S", None),
            ("123456789S", None),
        ] {
            assert_eq!(read_timeout(value.as_bytes()), expected, "{value:?}");
        }
    }
}
