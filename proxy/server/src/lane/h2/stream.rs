//! One stream as pingora sees it during its request: a body in, a response out, each with its deadline.
//!
//! Pingora has a session of its own for this, which waits for bodies without end and throws the stream away when
//! something fails. This one gives the stream back, so that what fails is answered like everywhere else.

use crate::conn::Stop;
use crate::lane::pingora::flight::{Fault, Flight};
use crate::pace::{Armed, BodyClock};
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, header};
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
use weir_http2::{Gone, Stream};

/// A stream lent to pingora for its request.
pub(super) struct LentStream {
    request: RequestHeader,
    stream: Option<Stream>, // taken on drop
    has_body: bool,
    body_ended: bool,
    progress: Progress,
    written: Option<Box<ResponseHeader>>,
    retry: Retry,
    flight: Arc<Flight>,
    digest: Digest,
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
    /// The stream.
    pub(super) stream: Stream,
    /// How far its response is.
    pub(super) progress: Progress,
    /// Bytes of the body that were received.
    pub(super) bytes_in: u64,
    /// Bytes of the response that were sent.
    pub(super) bytes_out: u64,
    /// Whether all of the body was received.
    pub(super) whole: bool,
}

/// How far a response is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing was sent.
    Due,
    /// It has begun and not ended.
    Begun,
    /// It was sent to its end.
    Done,
}

impl LentStream {
    /// Lends a stream with its `request`; `ended` says that it has no body.
    pub(super) fn new(
        request: RequestHeader,
        ended: bool,
        stream: Stream,
        flight: Arc<Flight>,
        socket: Arc<SocketDigest>,
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
            stream: Some(stream),
            has_body: !ended,
            body_ended: ended,
            progress: Progress::Due,
            written: None,
            retry: Retry::Off,
            flight,
            digest,
            body_clock,
            write_deadline: Armed::new(),
            bytes_in: 0,
            bytes_out: 0,
            back: back.clone(),
        };
        (lent, back)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(out_of_order())) };
        match stream.poll_body(cx) {
            Poll::Ready(Some(Ok(data))) => {
                self.body_clock.got(data.len(), self.flight.now());
                self.bytes_in += data.len() as u64;
                self.retry.keep(&data);
                // Pingora asks for more when it has room for it, so this is when the client may send more.
                stream.release(data.len());
                // Said of what was given, not of what comes meanwhile: who has heard of no end asks for it.
                self.body_ended = stream.is_body_read();
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
            Poll::Pending if stream.is_starved() => {
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
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        match &mut self.stream {
            Some(stream) if self.progress != Progress::Done => {
                stream.poll_gone(cx).map(|error| gone(&self.flight, "the stream is no more", error))
            }
            _ => Poll::Pending,
        }
    }

    fn send_head(&mut self, mut response: Box<ResponseHeader>, end: bool) -> Result<()> {
        for name in [header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE] {
            response.remove_header(&name);
        }
        response.remove_header("keep-alive");
        response.remove_header("proxy-connection");
        let (Some(stream), Progress::Due) = (&mut self.stream, self.progress) else { return Ok(()) };
        let fields = || response.headers.iter().map(bytes_of);
        self.bytes_out += fields().map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>();
        let is_interim = response.status.is_informational();
        let sent = stream.send_head(response.status.as_u16(), fields(), end && !is_interim);
        if is_interim {
            // What is no more than a hint may be lost.
            return Ok(());
        }
        sent.map_err(|error| gone(&self.flight, "no response can be sent", error))?;
        self.progress = if end { Progress::Done } else { Progress::Begun };
        self.written = Some(response);
        Ok(())
    }

    /// Sends a piece of the body as the client's windows allow, in which it has to make room for it at a least speed.
    async fn send_body(&mut self, mut data: Bytes, end: bool) -> Result<()> {
        while !data.is_empty() {
            let sent = poll_fn(|cx| self.poll_send(&data, end, cx)).await?;
            self.bytes_out += sent as u64;
            self.write_deadline.pay(sent);
            data.advance(sent);
            if end && data.is_empty() {
                self.progress = Progress::Done;
            }
        }
        self.write_deadline.disarm();
        match end {
            true => self.send_end(),
            false => Ok(()),
        }
    }

    /// Sends some of `data`, once the client has room for it.
    fn poll_send(&mut self, data: &[u8], end: bool, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        let (Some(stream), Progress::Begun) = (&mut self.stream, self.progress) else {
            return Poll::Ready(Err(out_of_order()));
        };
        let flight = &self.flight;
        if let Poll::Ready(sent) = stream.poll_send(data, end, cx) {
            return Poll::Ready(sent.map_err(|error| gone(flight, "no data can be sent", error)));
        }
        // Nothing is read until the client has room for this.
        self.body_clock.rest(flight.now());
        if self.write_deadline.late(flight.plan.write_timeout, cx) {
            flight.note(Fault::WriteTimeout);
            let error = Error::explain(ErrorType::WriteTimedout, "the client reads no more");
            return Poll::Ready(Err(error.into_down()));
        }
        Poll::Pending
    }

    /// Ends a response that has begun and not ended.
    fn send_end(&mut self) -> Result<()> {
        let (Some(stream), Progress::Begun) = (&mut self.stream, self.progress) else { return Ok(()) };
        stream.send_last(Vec::new()).map_err(|error| gone(&self.flight, "no end can be sent", error))?;
        self.progress = Progress::Done;
        Ok(())
    }

    fn send_trailers(&mut self, trailers: &HeaderMap) -> Result<()> {
        let (Some(stream), Progress::Begun) = (&mut self.stream, self.progress) else { return Ok(()) };
        let sent = stream.send_trailers(trailers.iter().map(bytes_of));
        sent.map_err(|error| gone(&self.flight, "no trailers can be sent", error))?;
        self.progress = Progress::Done;
        Ok(())
    }
}

impl Drop for LentStream {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            *self.back.lock() = Some(Returned {
                stream,
                progress: self.progress,
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
        self.send_trailers(&trailers)
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
                        self.send_trailers(&trailers)?;
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
        self.body_ended
    }

    async fn finish(&mut self) -> Result<()> {
        self.send_end()
    }

    fn is_body_empty(&mut self) -> bool {
        !self.has_body
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected || self.is_body_done() {
            return Err(poll_fn(|cx| self.poll_gone(cx)).await);
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
    ) -> Option<Box<dyn futures_core::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _: Box<dyn futures_core::Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
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
fn gone(flight: &Flight, what: &'static str, error: Gone) -> Box<Error> {
    flight.note_gone(stop_of(error));
    Error::because(ErrorType::ConnectionClosed, what, error).into_down()
}

/// What it means for a client that its stream is gone.
pub(super) fn stop_of(gone: Gone) -> Stop {
    match gone {
        Gone::Reset(_) => Stop::Fail,
        Gone::Over => Stop::End,
    }
}

fn bytes_of<'f>((name, value): (&'f HeaderName, &'f HeaderValue)) -> (&'f [u8], &'f [u8]) {
    (name.as_str().as_bytes(), value.as_bytes())
}

fn out_of_order() -> Box<Error> {
    Error::explain(ErrorType::InternalError, "the response is not in order").into_in()
}

/// Bytes of a body that are kept for another try; pingora keeps as many of HTTP/1.1.
const MOST_KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests;
