//! The express lane for streams: a request without a body for an origin that speaks HTTP/1.1 in the clear.
//!
//! What is nearly every request goes past pingora: its head is written as HTTP/1.1, the express lane finds an endpoint
//! and reads the head of the response, and the body is sent on as the client's windows allow. All other streams are
//! lent to pingora by [`request`](super::request).

use super::head::Head;
use super::relay::{self, fields_of};
use super::request::{Link, answer};
use super::stream::stop_of;
use crate::abort::{Abort, Stage};
use crate::buffers;
use crate::conn::Stop;
use crate::deadline::Deadline;
use crate::exchange::Exchange;
use crate::lane::express::attempt::{self, Failure};
use crate::lane::express::client::Client;
use crate::lane::express::{self, treat};
use crate::lane::wire::{CAP, Method, Treat, kind_of};
use crate::origin_headers::{self, Certificate, ForwardedFor, Inputs};
use crate::respond::GatewayError;
use crate::shared::Lanes;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use weir_core::account::End;
use weir_core::facts::Headers;
use weir_http2::Stream;

/// An admitted request for this lane.
pub(super) struct Plain {
    method: Method,
    /// Its head as the origin is sent it.
    request: Vec<u8>,
}

impl Plain {
    /// The admitted request, if this lane takes it; `ended` says that it has no body.
    pub(super) fn of(head: &Head<'_>, ended: bool, exchange: &Exchange, link: &Link) -> Option<Self> {
        let shared = &link.worker.shared;
        let (_, policy) = exchange.route()?;
        let takes = shared.lanes == Lanes::Auto
            && ended
            && !head.expects_continue
            && head.target.iter().all(|byte| byte.is_ascii_graphic() && !ENCODED.contains(byte))
            && head.target.first() == Some(&b'/')
            && express::serves(&policy.origin, link.info.scheme);
        if !takes {
            return None;
        }
        let method = Method::from_name(head.method)?;
        let mut request = buffers::take_text();
        write_head(&mut request, method, head, exchange, link);
        if request.len() > CAP {
            buffers::give_text(request);
            return None;
        }
        Some(Self { method, request })
    }

    /// The way to the origin and back.
    pub(super) async fn forward(self, mut stream: Stream, exchange: Box<Exchange>, link: Arc<Link>) {
        let shared = &link.worker.shared;
        let mut flying = Flying { exchange: Some(exchange), stage: Stage::Wait };
        let Some(exchange) = flying.exchange.as_deref_mut() else { return };
        let mut waiting = Waiting { request: self.request, stream: &mut stream, deadline: Deadline::new() };
        let mut upstream = None;
        let began = exchange.began();
        let response = attempt::run(&mut waiting, self.method, began, exchange, &mut upstream, shared).await;
        exchange.outcome.upstream = upstream;
        let Waiting { request, deadline, .. } = waiting;
        buffers::give_text(request);
        match response {
            Ok(response) => relay::run(response, stream, deadline, &mut flying, shared).await,
            Err(Failure::Client(stop)) => flying.abort(Abort::at(Stage::Wait, stop)),
            Err(Failure::Origin(error)) => flying.fail(error, &mut stream),
        }
    }
}

/// Writes the head for the origin: one `Host`, one `Cookie` (RFC 9113 section 8.2.3), and what we say of the client.
fn write_head(out: &mut Vec<u8>, method: Method, head: &Head<'_>, exchange: &Exchange, link: &Link) {
    let snapshot = link.worker.shared.engine.current();
    let settings = &snapshot.settings;
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    put(&[method.name().as_bytes(), b" ", head.target, b" HTTP/1.1\r\nHost: ", head.host, b"\r\n"]);
    let mut cookies = 0;
    for (name, value) in head.fields.iter() {
        let is_cut = match name {
            b"host" | b"te" => true,
            b"cookie" => {
                cookies += 1;
                true
            }
            name => kind_of(name).is_some_and(|kind| treat(kind, settings) == Treat::Cut),
        };
        if !is_cut {
            put(&[name, b": ", value, b"\r\n"]);
        }
    }
    if cookies > 0 {
        let mut before: &[u8] = b"cookie: ";
        head.fields.visit("cookie", &mut |crumb| {
            put(&[before, crumb]);
            before = b"; ";
        });
        put(&[b"\r\n"]);
    }
    if head.content_length == Some(0) && method.has_content() && !head.fields.has("content-length") {
        // RFC 9110 section 8.6: such a method is expected to say that there is nothing.
        put(&[b"content-length: 0\r\n"]);
    }
    let inputs = Inputs {
        client: exchange.client(),
        host: head.host,
        port: link.info.local.port(),
        scheme: link.info.scheme,
        forwarded_for: ForwardedFor::from_append(settings.trust.append),
        header: &settings.trust.header,
        request_id: exchange.request_id(),
        certificate: exchange
            .route()
            .and_then(|(_, policy)| Certificate::asked(link.tls.as_deref(), &policy.tls.client)),
        headers: &head.fields,
    };
    origin_headers::append_http1(out, &inputs);
    out.extend_from_slice(b"\r\n");
}

/// A request on its way. Dropped meanwhile, its connection has ended, and it with that.
pub(super) struct Flying {
    pub(super) exchange: Option<Box<Exchange>>,
    pub(super) stage: Stage,
}

impl Flying {
    pub(super) fn end(&mut self, end: End) {
        self.exchange.take().into_iter().for_each(|exchange| exchange.end(end));
    }

    pub(super) fn abort(&mut self, abort: Abort) {
        self.exchange.take().into_iter().for_each(|exchange| exchange.abort(abort));
    }

    /// Answers what went wrong, before anything of a response was sent.
    pub(super) fn fail(&mut self, error: GatewayError, stream: &mut Stream) {
        let Some(exchange) = self.exchange.as_deref_mut() else { return };
        match answer(exchange, Some(error), stream) {
            true => self.end(End::Complete),
            false => self.abort(Abort::at(Stage::Response, Stop::End)),
        }
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.abort(Abort::at(self.stage, Stop::End));
    }
}

/// A stream whose response is waited for.
struct Waiting<'a> {
    request: Vec<u8>,
    stream: &'a mut Stream,
    deadline: Deadline,
}

impl Client for Waiting<'_> {
    fn request(&self) -> &[u8] {
        &self.request
    }

    fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        match self.stream.poll_gone(cx) {
            Poll::Ready(gone) => Poll::Ready(stop_of(gone)),
            Poll::Pending if self.deadline.passed(cx) => Poll::Ready(Stop::Late),
            Poll::Pending => Poll::Pending,
        }
    }

    /// What is no more than a hint may be lost.
    async fn interim(&mut self, head: &[u8], _: Duration) -> Result<(), Stop> {
        let status = head.get("HTTP/1.1 ".len()..).and_then(|rest| rest.get(..3));
        let status = status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        if let Some(status) = status {
            let _ = self.stream.send_head(status, fields_of(head), false);
        }
        Ok(())
    }
}

/// Bytes of a target that no URI may have, and that pingora's lane encodes.
const ENCODED: &[u8] = b"<>`\"{|}^\\";
