//! One stream as pingora sees it during its request: a body in, a response out, each with its deadline.
//!
//! Pingora has a session of its own for this, which waits for bodies without end and throws the stream away when
//! something fails. This one gives the stream back, so that what fails is answered like everywhere else.

use super::io::Gauge;
use crate::conn::Stop;
use crate::lane::pingora::flight::{Fault, Flight};
use crate::pace::{Armed, BodyClock};
use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Response, header};
use parking_lot::Mutex;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::custom::CustomMessageWrite;
use pingora_core::protocols::http::custom::server::Session;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::{Digest, SocketDigest};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A stream lent to pingora for its request.
pub(super) struct LentStream {
    request: RequestHeader,
    body: RecvStream,
    has_body: bool,
    body_ended: bool,
    reply: Option<Reply>, // taken on drop
    written: Option<Box<ResponseHeader>>,
    retry: Retry,
    flight: Arc<Flight>,
    digest: Digest,
    gauge: Arc<Gauge>,
    body_clock: BodyClock,
    write_deadline: Armed,
    bytes_in: u64,
    bytes_out: u64,
    back: Back,
}

/// Where a stream goes when pingora is done with it.
pub(super) type Back = Arc<Mutex<Option<Returned>>>;

/// A stream that came back.
pub(super) struct Returned {
    /// How far its response is.
    pub(super) reply: Reply,
    /// Bytes of the body that were received.
    pub(super) bytes_in: u64,
    /// Bytes of the response that were sent.
    pub(super) bytes_out: u64,
    /// Whether all of the body was received.
    pub(super) whole: bool,
}

/// How far a response is.
pub(super) enum Reply {
    /// Nothing was sent.
    Due(SendResponse<Bytes>),
    /// It has begun and not ended.
    Begun(SendStream<Bytes>),
    /// It was sent to its end.
    Done,
}

impl LentStream {
    /// Lends a stream with its `request`, which ends there if `body` does.
    pub(super) fn new(
        request: RequestHeader,
        body: RecvStream,
        respond: SendResponse<Bytes>,
        flight: Arc<Flight>,
        (socket, gauge): (Arc<SocketDigest>, Arc<Gauge>),
    ) -> (Self, Back) {
        let body_clock = BodyClock::new(flight.plan.body_timeout, flight.plan.body_speed);
        let digest = Digest {
            proxy_digest: Some(Arc::new(flight.digest())),
            socket_digest: Some(socket),
            ..Digest::default()
        };
        let back = Back::default();
        let lent = Self {
            request,
            has_body: !body.is_end_stream(),
            body_ended: body.is_end_stream(),
            body,
            reply: Some(Reply::Due(respond)),
            written: None,
            retry: Retry::Off,
            flight,
            digest,
            gauge,
            body_clock,
            write_deadline: Armed::new(),
            bytes_in: 0,
            bytes_out: 0,
            back: back.clone(),
        };
        (lent, back)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        match self.body.poll_data(cx) {
            Poll::Ready(Some(Ok(data))) => {
                self.body_clock.got(data.len(), self.flight.now());
                self.bytes_in += data.len() as u64;
                self.retry.keep(&data);
                // Pingora asks for more when it has room for it, so this is when the client may send more.
                let _ = self.body.flow_control().release_capacity(data.len());
                Poll::Ready(Ok(Some(data)))
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Err(gone(&self.flight, "the body was broken off", error)))
            }
            // Trailers of a request go no further.
            Poll::Ready(None) => {
                self.body_ended = true;
                Poll::Ready(Ok(None))
            }
            Poll::Pending if self.flight.awaits_continue() => Poll::Pending,
            Poll::Pending if self.gauge.is_starved() => {
                // Other streams, whose origins do not read, have all that the client may send.
                self.body_clock.excuse(self.flight.now(), cx);
                Poll::Pending
            }
            Poll::Pending => {
                if !self.body_clock.is_late(self.flight.now(), self.flight.talk(), cx) {
                    return Poll::Pending;
                }
                self.flight.note(Fault::BodyTimeout);
                let error = Error::explain(ErrorType::ReadTimedout, "the client sends no more of its body");
                Poll::Ready(Err(error.into_down()))
            }
        }
    }

    /// Ready when the client has no use for the response any more.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        let polled = match &mut self.reply {
            Some(Reply::Due(respond)) => respond.poll_reset(cx),
            Some(Reply::Begun(stream)) => stream.poll_reset(cx),
            Some(Reply::Done) | None => return Poll::Pending,
        };
        polled.map(|reset| match reset {
            Ok(reason) => {
                self.flight.note_gone(Stop::Fail);
                Error::explain(ErrorType::ConnectionClosed, format!("the client says {reason}")).into_down()
            }
            Err(error) => gone(&self.flight, "the stream is no more", error),
        })
    }

    fn send_head(&mut self, mut response: Box<ResponseHeader>, end: bool) -> Result<()> {
        for name in [header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE] {
            response.remove_header(&name);
        }
        response.remove_header("keep-alive");
        response.remove_header("proxy-connection");
        let Some(Reply::Due(respond)) = &mut self.reply else { return Ok(()) };
        let fields: usize =
            response.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.bytes_out += fields as u64;
        let head = Response::from_parts(response.as_owned_parts(), ());
        if response.status.is_informational() {
            // What is no more than a hint may be lost.
            let _ = respond.send_informational(head);
            return Ok(());
        }
        let stream = respond
            .send_response(head, end)
            .map_err(|error| gone(&self.flight, "no response can be sent", error))?;
        self.reply = Some(if end { Reply::Done } else { Reply::Begun(stream) });
        self.written = Some(response);
        Ok(())
    }

    /// Sends a piece of the body as the client's windows allow, in which it has to make room for it at a least speed.
    async fn send_body(&mut self, mut data: Bytes, end: bool) -> Result<()> {
        while !data.is_empty() {
            let room = self.room(data.len()).await?;
            let now = data.split_to(room.min(data.len()));
            self.bytes_out += now.len() as u64;
            self.write_deadline.pay(now.len());
            self.send_data(now, end && data.is_empty())?;
        }
        self.write_deadline.disarm();
        match end {
            true => self.send_end(),
            false => Ok(()),
        }
    }

    /// Waits until the client has room for some of `wanted` bytes.
    async fn room(&mut self, wanted: usize) -> Result<usize> {
        let (deadline, flight) = (&mut self.write_deadline, &self.flight);
        let Some(Reply::Begun(stream)) = &mut self.reply else { return Err(out_of_order()) };
        stream.reserve_capacity(wanted);
        let body_clock = &mut self.body_clock;
        poll_fn(|cx| {
            match stream.capacity() {
                0 => {}
                room => return Poll::Ready(Ok(room)),
            }
            match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(0))) => {}
                Poll::Ready(Some(Ok(room))) => return Poll::Ready(Ok(room)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(gone(flight, "no room", error))),
                Poll::Ready(None) => return Poll::Ready(Err(out_of_order())),
                Poll::Pending => {}
            }
            // Nothing is read until the client has room for this.
            body_clock.rest(flight.now());
            if deadline.late(flight.plan.write_timeout, cx) {
                flight.note(Fault::WriteTimeout);
                let error = Error::explain(ErrorType::WriteTimedout, "the client reads no more");
                return Poll::Ready(Err(error.into_down()));
            }
            Poll::Pending
        })
        .await
    }

    fn send_data(&mut self, data: Bytes, end: bool) -> Result<()> {
        let Some(Reply::Begun(stream)) = &mut self.reply else { return Err(out_of_order()) };
        stream.send_data(data, end).map_err(|error| gone(&self.flight, "no data can be sent", error))?;
        if end {
            self.reply = Some(Reply::Done);
        }
        Ok(())
    }

    /// Ends a response that has begun and not ended.
    fn send_end(&mut self) -> Result<()> {
        match &self.reply {
            Some(Reply::Begun(_)) => self.send_data(Bytes::new(), true),
            _ => Ok(()),
        }
    }

    fn send_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        let Some(Reply::Begun(stream)) = &mut self.reply else { return Ok(()) };
        stream
            .send_trailers(trailers)
            .map_err(|error| gone(&self.flight, "no trailers can be sent", error))?;
        self.reply = Some(Reply::Done);
        Ok(())
    }
}

impl Drop for LentStream {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            *self.back.lock() = Some(Returned {
                reply,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                whole: self.body_ended,
            });
        }
    }
}

#[async_trait]
impl Session for LentStream {
    fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.request
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.body_ended {
            return Ok(None);
        }
        poll_fn(|cx| self.poll_body(cx)).await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write_response_header(&mut self, response: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.send_head(response, end)
    }

    async fn write_response_header_ref(&mut self, response: &ResponseHeader, end: bool) -> Result<()> {
        self.send_head(Box::new(response.clone()), end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.send_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.send_trailers(trailers)
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut ended = false;
        for task in tasks {
            ended |= match task {
                HttpTask::Header(response, end) => {
                    self.send_head(response, end)?;
                    end
                }
                HttpTask::Body(data, end) => {
                    self.send_body(data.unwrap_or_default(), end).await?;
                    end
                }
                HttpTask::UpgradedBody(..) => return Err(out_of_order()),
                HttpTask::Trailer(trailers) => {
                    if let Some(trailers) = trailers {
                        self.send_trailers(*trailers)?;
                    }
                    true
                }
                HttpTask::Done => true,
                HttpTask::Failed(error) => return Err(error),
            };
        }
        if ended {
            self.send_end()?;
        }
        Ok(ended)
    }

    // The stream has deadlines of its own, which know what they wait for.
    fn set_read_timeout(&mut self, _: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) {}

    fn get_write_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_total_drain_timeout(&mut self, _: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
    }

    fn request_summary(&self) -> String {
        self.request.method.to_string()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    // What is broken off is ended by whoever gets the stream back.
    async fn shutdown(&mut self, _: u32, _: &str) {}

    fn is_body_done(&mut self) -> bool {
        self.body_ended || self.body.is_end_stream()
    }

    async fn finish(&mut self) -> Result<()> {
        self.send_end()
    }

    fn is_body_empty(&mut self) -> bool {
        !self.has_body
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.is_body_done() {
            return Err(poll_fn(|cx| self.poll_reset(cx)).await);
        }
        self.read_body_bytes().await
    }

    fn body_bytes_sent(&self) -> usize {
        usize::try_from(self.bytes_out).unwrap_or(usize::MAX)
    }

    fn body_bytes_read(&self) -> usize {
        usize::try_from(self.bytes_in).unwrap_or(usize::MAX)
    }

    fn digest(&self) -> Option<&Digest> {
        Some(&self.digest)
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        Some(&mut self.digest)
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.peer_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.digest.socket_digest.as_ref()?.local_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    fn enable_retry_buffering(&mut self) {
        self.retry.turn_on();
    }

    fn retry_buffer_truncated(&self) -> bool {
        matches!(self.retry, Retry::TooMuch)
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        match &self.retry {
            Retry::Kept(kept) if !kept.is_empty() => Some(kept.clone().into()),
            _ => None,
        }
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}

/// The beginning of a body, kept for another try.
enum Retry {
    Off,
    Kept(Vec<u8>),
    TooMuch,
}

impl Retry {
    fn turn_on(&mut self) {
        if matches!(self, Self::Off) {
            *self = Self::Kept(Vec::new());
        }
    }

    fn keep(&mut self, data: &[u8]) {
        if let Self::Kept(kept) = self {
            if kept.len() + data.len() <= MOST_KEPT {
                kept.extend_from_slice(data);
            } else {
                *self = Self::TooMuch;
            }
        }
    }
}

/// The client has reset the stream, or its connection is over.
fn gone(flight: &Flight, what: &'static str, error: h2::Error) -> Box<Error> {
    flight.note_gone(stop_of_error(&error));
    Error::because(ErrorType::ConnectionClosed, what, error).into_down()
}

/// What it means that a stream was reset, or that this cannot be known any more.
pub(super) fn stop_of(reset: std::result::Result<h2::Reason, h2::Error>) -> Stop {
    reset.map_or_else(|error| stop_of_error(&error), |_| Stop::Fail)
}

fn stop_of_error(error: &h2::Error) -> Stop {
    if error.is_reset() { Stop::Fail } else { Stop::End }
}

fn out_of_order() -> Box<Error> {
    Error::explain(ErrorType::InternalError, "the response is not in order").into_in()
}

/// Bytes of a body that are kept for another try; pingora keeps as many of HTTP/1.1.
const MOST_KEPT: usize = 64 * 1024;
