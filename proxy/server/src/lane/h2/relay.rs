//! From the head of an origin's response to the end of a stream.

use super::express::Flying;
use super::request::break_off;
use super::stream::stop_of;
use crate::abort::{Abort, Stage};
use crate::buffers;
use crate::conn::Stop;
use crate::deadline::Deadline;
use crate::exchange::Exchange;
use crate::lane::express::Response;
use crate::lane::express::attempt::Origin;
use crate::lane::express::left::{Cut, Left};
use crate::lane::wire;
use crate::pace::Armed;
use crate::respond::GatewayError;
use crate::shared::Shared;
use crate::upstream::pool;
use bytes::{Bytes, BytesMut};
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderName, HeaderValue, StatusCode};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use weir_core::account::{End, UpstreamResult};

/// Sends the response to the client, keeps the origin's connection if it ended cleanly, and closes the account.
pub(super) async fn run(
    response: Response,
    mut respond: SendResponse<Bytes>,
    deadline: Deadline,
    flying: &mut Flying,
    shared: &Shared,
) {
    let Response { origin, mut buffer, head } = response;
    let Some(exchange) = flying.exchange.as_deref_mut() else { return };
    let policy = exchange.route().map(|(_, policy)| policy);
    let read_timeout = policy.map_or(DEFAULT_READ_TIMEOUT, |policy| policy.origin.read_timeout);
    let body_here = buffer.data().len().saturating_sub(head.head);
    let mut left = Left::of(&head);
    let mut data = BytesMut::with_capacity(body_here);
    let first = left.take_data(buffer.data().get(head.head..).unwrap_or_default(), &mut data);
    let mut fields = buffers::take_text();
    exchange.append_response_fields(&mut fields);
    let edited = head.edits().apply(&mut buffer, &[&fields]).ok();
    buffers::give_text(fields);
    let told = first.ok().and(edited).and_then(|len| {
        let status = StatusCode::from_u16(head.status).ok()?;
        read_head(buffer.data().get(..len)?, status)
    });
    buffers::give(buffer);
    let Some(told) = told else {
        if let Some(upstream) = &mut exchange.outcome.upstream {
            upstream.result = UpstreamResult::InvalidResponse;
        }
        return flying.fail(GatewayError::InvalidResponse, &mut respond);
    };
    exchange.outcome.status = head.status;
    exchange.outcome.bytes_out =
        told.headers().iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum();
    if left.is_done() {
        exchange.release();
    }
    let ends = left.is_done() && data.is_empty();
    let sent = respond.send_response(told, ends);
    flying.stage = Stage::Response;
    let Ok(stream) = sent else {
        return flying.abort(Abort::at(Stage::Response, Stop::End));
    };
    let mut relay = Relay {
        stream,
        exchange,
        origin,
        left: &mut left,
        deadline,
        write_deadline: Armed::new(),
        read_timeout,
        stall: shared.timeouts().write,
    };
    let ended = if ends { Ok(()) } else { relay.body(data.freeze()).await };
    let Relay { stream, origin, .. } = relay;
    match ended {
        Ok(()) => {
            if left.is_clean(&head, body_here) {
                pool::give(origin.pick.address, origin.tcp);
            }
            flying.end(End::Complete);
        }
        Err(Cut::Client(stop)) => {
            if stop == Stop::Late {
                break_off(stream, None).await;
            }
            flying.abort(Abort::at(Stage::Response, stop));
        }
        Err(Cut::Origin(result)) => {
            if let Some(upstream) = flying.exchange.as_mut().and_then(|it| it.outcome.upstream.as_mut()) {
                upstream.result = result;
            }
            break_off(stream, None).await;
            flying.end(End::OriginAbort);
        }
    }
}

/// A head as the client is sent it; `None` where HTTP/2 has no way to say it.
pub(super) fn read_head(head: &[u8], status: StatusCode) -> Option<http::Response<()>> {
    let mut response = http::Response::new(());
    *response.status_mut() = status;
    // The values share one copy of the head.
    let head = Bytes::copy_from_slice(head);
    for (name, value) in wire::fields(&head) {
        if ONE_HOP.iter().any(|one| name.eq_ignore_ascii_case(one)) {
            continue;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        response.headers_mut().append(name, HeaderValue::from_maybe_shared(head.slice_ref(value)).ok()?);
    }
    Some(response)
}

struct Relay<'a> {
    stream: SendStream<Bytes>,
    exchange: &'a mut Exchange,
    origin: Origin,
    left: &'a mut Left,
    deadline: Deadline,
    write_deadline: Armed,
    read_timeout: Duration,
    stall: Duration,
}

impl Relay<'_> {
    /// Sends `first` and what comes after it. A stream that waits holds one piece of the body, and no block.
    async fn body(&mut self, first: Bytes) -> Result<(), Cut> {
        self.send(first).await?;
        while !self.left.is_done() {
            self.deadline.set(self.read_timeout);
            let data = self.read().await?;
            if self.left.is_done() {
                self.exchange.release();
            }
            self.send(data).await?;
        }
        Ok(())
    }

    /// Reads what the origin sends next, and notices when the client goes away before that.
    async fn read(&mut self) -> Result<Bytes, Cut> {
        poll_fn(|cx| {
            let mut block = buffers::take_block();
            let most = self.left.most(PIECE.min(block.len()));
            let mut space = ReadBuf::new(block.get_mut(..most).unwrap_or_default());
            let polled = Pin::new(&mut self.origin.tcp).poll_read(cx, &mut space);
            let read = polled.map(|read| match read {
                Ok(()) => take(self.left, space.filled()),
                Err(_) => Err(Cut::Origin(UpstreamResult::Reset)),
            });
            buffers::give_block(block);
            if read.is_ready() {
                return read;
            }
            match self.stream.poll_reset(cx) {
                Poll::Ready(reset) => Poll::Ready(Err(Cut::Client(stop_of(reset)))),
                Poll::Pending if self.deadline.passed(cx) => {
                    Poll::Ready(Err(Cut::Origin(UpstreamResult::TimeoutRead)))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Sends a piece of the body, and its end if that is all.
    async fn send(&mut self, mut data: Bytes) -> Result<(), Cut> {
        let gone = |_| Cut::Client(Stop::Fail);
        let ends = self.left.is_done();
        while !data.is_empty() {
            let room = self.room(data.len()).await?;
            let now = data.split_to(room.min(data.len()));
            self.exchange.outcome.bytes_out += now.len() as u64;
            self.write_deadline.pay(now.len());
            let is_last = ends && data.is_empty();
            self.stream.send_data(now, is_last).map_err(gone)?;
            if is_last {
                return Ok(());
            }
        }
        self.write_deadline.disarm();
        // The end came without any data.
        if ends { self.stream.send_data(Bytes::new(), true).map_err(gone) } else { Ok(()) }
    }

    /// Waits until the client has room for some of `wanted` bytes, which it has to make at a least speed.
    async fn room(&mut self, wanted: usize) -> Result<usize, Cut> {
        self.stream.reserve_capacity(wanted);
        poll_fn(|cx| {
            match self.stream.capacity() {
                0 => {}
                room => return Poll::Ready(Ok(room)),
            }
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(0))) => {}
                Poll::Ready(Some(Ok(room))) => return Poll::Ready(Ok(room)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Cut::Client(stop_of(Err(error))))),
                Poll::Ready(None) => return Poll::Ready(Err(Cut::Client(Stop::Fail))),
                Poll::Pending => {}
            }
            match self.write_deadline.late(self.stall, cx) {
                true => Poll::Ready(Err(Cut::Client(Stop::Late))),
                false => Poll::Pending,
            }
        })
        .await
    }
}

/// The data in `part`, which was read just now; nothing was read at the end of the connection.
fn take(left: &mut Left, part: &[u8]) -> Result<Bytes, Cut> {
    if part.is_empty() {
        let is_end = matches!(left, Left::UntilClose);
        *left = Left::Bytes(0);
        return if is_end { Ok(Bytes::new()) } else { Err(Cut::Origin(UpstreamResult::Reset)) };
    }
    let mut data = BytesMut::with_capacity(part.len());
    let taken = left.take_data(part, &mut data);
    taken.map_err(|()| Cut::Origin(UpstreamResult::InvalidResponse))?;
    Ok(data.freeze())
}

/// Bytes of a body that are read at once, and that a stream holds while its client has no room for them.
const PIECE: usize = 16 * 1024;
/// Where a policy says nothing.
const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(60);
/// What HTTP/2 says in another way, or not at all (RFC 9113 section 8.2.2).
const ONE_HOP: [&[u8]; 3] = [b"transfer-encoding", b"connection", b"trailer"];
