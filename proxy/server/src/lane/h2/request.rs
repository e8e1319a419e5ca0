//! One stream: judged, admitted, answered here or forwarded.

use super::express::Plain;
use super::head::{self, Head};
use super::stream::{Back, LentStream, Progress};
use crate::abort::{Abort, Stage};
use crate::access_log::{Failed, Lane, Protocol, Sketch};
use crate::buffers;
use crate::conn::{ConnInfo, Stop};
use crate::connection::gateway_error;
use crate::exchange::{Exchange, with_date};
use crate::lane::grammar::Malformed;
use crate::lane::pingora::flight::{self, Dialect, Fault, Flight, Plan, Presence, Story, Upgrade};
use crate::lane::pingora::plan::{Asked, plan};
use crate::lane::wire::{self, Persistence};
use crate::respond::{Accept, Ask, BodyPart, Code, GatewayError, Response, Then, code_of, is_grpc};
use crate::shared::Shared;
use crate::worker::Worker;
use pingora_core::protocols::SocketDigest;
use pingora_http::RequestHeader;
use std::sync::Arc;
use std::time::Duration;
use weir_core::account::{End, Outcome};
use weir_core::facts::{Facts, Headers};
use weir_core::tls::ClientTls;
use weir_http2::{Head as Sent, Reason, Request, Stream};

/// What the streams of one connection have in common.
pub(super) struct Link {
    pub(super) info: ConnInfo,
    pub(super) tls: Option<Arc<ClientTls>>,
    pub(super) socket: Arc<SocketDigest>,
    pub(super) worker: Arc<Worker>,
}

/// What becomes of a stream that was just opened.
pub(super) enum Opened {
    /// It was answered: the request was refused.
    Answered,
    /// It was answered: the request has no reading.
    Malformed,
    /// It goes on, through the express lane.
    Plain(Plain, Stream, Box<Exchange>),
    /// It goes on, through pingora's.
    Forward(Box<Admitted>),
}

/// A request on its way to an origin.
pub(super) struct Admitted {
    request: RequestHeader,
    ended: bool,
    stream: Stream,
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
pub(super) fn open(request: Request, link: &Link) -> Opened {
    let shared = &link.worker.shared;
    let Request { head: sent, ended, mut stream } = request;
    let bounds = shared.timeouts().head_bounds;
    let head = match head::check(&sent, bounds).and_then(|()| head::read(&sent, ended)) {
        Ok(head) => head,
        Err(malformed) => {
            answer_malformed(malformed, &sent, &mut stream, link);
            return Opened::Malformed;
        }
    };
    let mut exchange = Exchange::admit(shared, &facts(&head, link), Lane::H2, Protocol::Http2);
    exchange.came_by(&link.info);
    exchange.outcome.bytes_in = head.len as u64;
    if exchange.refusal().is_some() {
        answer(&mut exchange, None, &mut stream);
        exchange.end(End::Complete);
        return Opened::Answered;
    }
    let call = is_grpc(&head.fields).then(|| Call { timeout: grpc_timeout(&head.fields) });
    if call.is_none()
        && let Some(plain) = Plain::of(&head, ended, &exchange, link)
    {
        return Opened::Plain(plain, stream, exchange);
    }
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
    match plan.zip(head::plain(&head)) {
        Some((plan, request)) => {
            let head = head.len as u64;
            Opened::Forward(Box::new(Admitted { request, ended, stream, exchange, plan, head, call }))
        }
        None => {
            answer(&mut exchange, Some(GatewayError::Internal), &mut stream);
            exchange.end(End::Complete);
            Opened::Answered
        }
    }
}

impl Admitted {
    /// The way to the origin and back.
    pub(super) async fn forward(self, link: Arc<Link>) {
        let Self { request, ended, stream, mut exchange, plan, head, call } = self;
        let shared = &link.worker.shared;
        let Some(backend) = exchange.ticket().map(|ticket| ticket.backend().clone()) else { return };
        let flight = Flight::new(plan, backend, shared.clock, shared.phase.clone());
        flight.hold(exchange.take_places());
        let (lent, back) = LentStream::new(request, ended, stream, flight.clone(), link.socket.clone());
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
        let mut stream = returned.stream;
        match (returned.progress, story.reply) {
            (Progress::Due, Some(reply)) => {
                let error = match reply {
                    flight::Reply::Error(error) => Some(error),
                    flight::Reply::RefuseBody => {
                        exchange.refuse_body();
                        None
                    }
                };
                let sent = answer(&mut exchange, error, &mut stream);
                let gone = || Abort::at(Stage::Response, story.gone.unwrap_or(Stop::End));
                match story.abort_by_fault().or_else(|| (!sent).then(gone)) {
                    None => exchange.end(End::Complete),
                    Some(abort) => exchange.abort(abort),
                }
            }
            (Progress::Begun, _) => {
                let status = if in_time { late_status(&story, &exchange.outcome) } else { TIMEOUT };
                break_off(&mut stream, call.is_some().then(|| code_of(status)));
                let end = if story.end == End::Complete { End::OriginAbort } else { story.end };
                end_as(end, exchange, &story, returned.whole);
            }
            // Dropping what is due tells the client that nothing comes.
            (Progress::Due | Progress::Done, _) => end_as(story.end, exchange, &story, returned.whole),
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
pub(super) fn break_off(stream: &mut Stream, code: Option<Code>) {
    let told = code.is_some_and(|Code(number, name)| {
        let mut digits = itoa::Buffer::new();
        let number = digits.format(number).as_bytes();
        stream.send_trailers([(&b"grpc-status"[..], number), (b"grpc-message", name.as_bytes())]).is_ok()
    });
    if !told {
        stream.reset(Reason::INTERNAL_ERROR);
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
pub(super) fn answer(exchange: &mut Exchange, error: Option<GatewayError>, stream: &mut Stream) -> bool {
    let mut sent = None;
    let write = |response: &Response<'_>| sent = send(response, stream);
    match error {
        Some(error) => exchange.respond_error(error, Then::Keep, write),
        None => exchange.respond(Then::Keep, write),
    }
    exchange.outcome.bytes_out = sent.unwrap_or_default();
    sent.is_some()
}

/// Tells a client what is wrong with what it sent.
fn answer_malformed(malformed: Malformed, head: &Sent, stream: &mut Stream, link: &Link) {
    let shared: &Shared = &link.worker.shared;
    let error = gateway_error(malformed);
    shared.counters.malformed(malformed);
    shared.counters.gateway_error(error);
    let sent = with_date(shared, |date| {
        let accept = Accept::of_h2(&head::Fields::of(head));
        let body = BodyPart::of_method(head.method());
        let ask = Ask { accept, body, then: Then::Keep, request_id: None, hsts: None, date };
        send(&Response::error(error, ask), stream)
    });
    let (client, peer) = link.info.ends();
    let (host, path) = (head.authority().unwrap_or_default(), head.path().unwrap_or_default());
    let failed = Failed {
        client,
        peer,
        error: Some(error),
        fault: Some(malformed),
        abort: None,
        sketch: Sketch {
            method: head.method(),
            // Without a user, and without a query, which may hold secrets.
            host: host.rsplit(|byte| *byte == b'@').next().unwrap_or_default(),
            path: path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default(),
            protocol: Some(Protocol::Http2),
        },
        bytes_in: head::len(head),
        bytes_out: sent.and_then(|sent| usize::try_from(sent).ok()).unwrap_or_default(),
    };
    if let Some(log) = shared.access_log() {
        log.write_failed(shared.clock.wall(), &failed);
    }
}

/// Sends an answer of ours, and returns its bytes; `None` when nobody wants it.
fn send(response: &Response<'_>, stream: &mut Stream) -> Option<u64> {
    let mut text = buffers::take_text();
    let sent = send_in(&mut text, response, stream);
    buffers::give_text(text);
    sent
}

/// As [`send`], with an empty scratch space.
fn send_in(text: &mut Vec<u8>, response: &Response<'_>, stream: &mut Stream) -> Option<u64> {
    // No status line is needed, but its place.
    text.extend_from_slice(b"\r\n");
    let mut sent = 0;
    response.for_each_header(|name, value| {
        sent += name.len() + value.len();
        [name.as_bytes(), b": ", value, b"\r\n"].iter().for_each(|piece| text.extend_from_slice(piece));
    });
    stream.send_head(response.wire_status(), wire::fields(text), !response.has_body()).ok()?;
    if response.has_body() {
        let head = text.len();
        response.write_body(text);
        let body = text.get(head..).unwrap_or_default();
        sent += body.len();
        stream.send_last(body.to_vec()).ok()?;
    }
    Some(sent as u64)
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
