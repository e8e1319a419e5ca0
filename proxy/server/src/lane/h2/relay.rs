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
use bytes::{Buf, Bytes};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use weir_core::account::{End, UpstreamResult};
use weir_http2::Stream;

/// Sends the response to the client, keeps the origin's connection if it ended cleanly, and closes the account.
pub(super) async fn run(
    response: Response,
    mut stream: Stream,
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
    let mut fields = buffers::take_text();
    exchange.append_response_fields(&mut fields);
    let edited = head.edits().apply(&mut buffer, &[&fields]).ok();
    buffers::give_text(fields);
    let mut relay = Relay {
        stream: &mut stream,
        exchange,
        origin,
        left: &mut left,
        rest: Bytes::new(),
        deadline,
        write_deadline: Armed::new(),
        read_timeout,
        stall: shared.timeouts().write,
    };
    let begun = poll_fn(|cx| Poll::Ready(relay.begin(head.status, edited, buffer.data(), cx))).await;
    buffers::give(buffer);
    flying.stage = Stage::Response;
    let ended = match begun {
        Ok(()) => relay.body().await,
        Err(Unsent::Client(stop)) => Err(Cut::Client(stop)),
        Err(Unsent::Invalid) => {
            if let Some(upstream) = &mut relay.exchange.outcome.upstream {
                upstream.result = UpstreamResult::InvalidResponse;
            }
            drop(relay);
            return flying.fail(GatewayError::InvalidResponse, &mut stream);
        }
    };
    let Relay { origin, .. } = relay;
    match ended {
        Ok(()) => {
            if left.is_clean(&head, body_here) {
                pool::give(origin.pick.address, origin.tcp);
            }
            flying.end(End::Complete);
        }
        Err(Cut::Client(stop)) => {
            if stop == Stop::Late {
                break_off(&mut stream, None);
            }
            flying.abort(Abort::at(Stage::Response, stop));
        }
        Err(Cut::Origin(result)) => {
            if let Some(upstream) = flying.exchange.as_mut().and_then(|it| it.outcome.upstream.as_mut()) {
                upstream.result = result;
            }
            break_off(&mut stream, None);
            flying.end(End::OriginAbort);
        }
    }
}

/// The fields of a head as the client is sent them. Whoever read it has seen that names are tokens and values hold no
/// control characters, so that HTTP/2 can say them all.
pub(super) fn fields_of(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    wire::fields(head).filter(|(name, _)| !ONE_HOP.iter().any(|one| name.eq_ignore_ascii_case(one)))
}

/// Why a response is not sent.
enum Unsent {
    /// The client has gone away.
    Client(Stop),
    /// It cannot be passed on, and nothing of it was.
    Invalid,
}

struct Relay<'a> {
    stream: &'a mut Stream,
    exchange: &'a mut Exchange,
    origin: Origin,
    left: &'a mut Left,
    /// Of the body what was read and the client had no room for.
    rest: Bytes,
    deadline: Deadline,
    write_deadline: Armed,
    read_timeout: Duration,
    stall: Duration,
}

impl Relay<'_> {
    /// Sends the head, of which `read` has `edited` bytes, and what of the body was read with it.
    fn begin(
        &mut self,
        status: u16,
        edited: Option<usize>,
        read: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), Unsent> {
        let (head, body) = edited.and_then(|len| read.split_at_checked(len)).ok_or(Unsent::Invalid)?;
        buffers::with_block(|space| {
            let data = self.left.take_data(body, space).map_err(|()| Unsent::Invalid)?;
            self.exchange.outcome.status = status;
            if self.left.is_done() {
                self.exchange.release();
            }
            let ends = self.left.is_done() && data.is_empty();
            let mut bytes = 0;
            let fields = fields_of(head).inspect(|(name, value)| bytes += name.len() + value.len());
            let sent = self.stream.send_head(status, fields, ends);
            self.exchange.outcome.bytes_out = bytes as u64;
            sent.map_err(|gone| Unsent::Client(stop_of(gone)))?;
            if ends { Ok(()) } else { self.send(data, cx).map_err(Unsent::Client) }
        })
    }

    /// Sends what comes after that. A stream that waits holds one piece of the body, and no block.
    async fn body(&mut self) -> Result<(), Cut> {
        loop {
            poll_fn(|cx| self.poll_rest(cx)).await?;
            if self.left.is_done() {
                return Ok(());
            }
            self.deadline.set(self.read_timeout);
            poll_fn(|cx| self.poll_piece(cx)).await?;
        }
    }

    /// Waits until the client has room for what is left over, which it has to make at a least speed.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        if !self.rest.is_empty() {
            let mut rest = std::mem::take(&mut self.rest);
            rest.advance(self.send_some(&rest, cx).map_err(Cut::Client)?);
            self.rest = rest;
        }
        if self.rest.is_empty() {
            self.write_deadline.disarm();
            return Poll::Ready(Ok(()));
        }
        match self.write_deadline.late(self.stall, cx) {
            true => Poll::Ready(Err(Cut::Client(Stop::Late))),
            false => Poll::Pending,
        }
    }

    /// Passes on what the origin sends next, and notices when the client goes away before that.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        buffers::with_block(|block| {
            let (piece, space) = block.split_at_mut_checked(PIECE).unwrap_or_default();
            let most = self.left.most(piece.len());
            let mut piece = ReadBuf::new(piece.get_mut(..most).unwrap_or_default());
            if let Poll::Ready(read) = Pin::new(&mut self.origin.tcp).poll_read(cx, &mut piece) {
                let sent = match read {
                    Ok(()) => self.pass(piece.filled(), space, cx),
                    Err(_) => Err(Cut::Origin(UpstreamResult::Reset)),
                };
                return Poll::Ready(sent);
            }
            match self.stream.poll_gone(cx) {
                Poll::Ready(gone) => Poll::Ready(Err(Cut::Client(stop_of(gone)))),
                Poll::Pending if self.deadline.passed(cx) => {
                    Poll::Ready(Err(Cut::Origin(UpstreamResult::TimeoutRead)))
                }
                Poll::Pending => Poll::Pending,
            }
        })
    }

    /// Passes on `part` of the body, which was read just now; nothing was read at the end of the connection.
    fn pass(&mut self, part: &[u8], space: &mut [u8], cx: &mut Context<'_>) -> Result<(), Cut> {
        if part.is_empty() {
            if !matches!(self.left, Left::UntilClose) {
                return Err(Cut::Origin(UpstreamResult::Reset));
            }
            *self.left = Left::Bytes(0);
        }
        let data = self.left.take_data(part, space);
        let data = data.map_err(|()| Cut::Origin(UpstreamResult::InvalidResponse))?;
        if self.left.is_done() {
            self.exchange.release();
        }
        self.send(data, cx).map_err(Cut::Client)
    }

    /// Sends a piece of the body, and keeps what of it the client has no room for.
    fn send(&mut self, data: &[u8], cx: &mut Context<'_>) -> Result<(), Stop> {
        let sent = self.send_some(data, cx)?;
        self.rest = Bytes::copy_from_slice(data.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Sends what there is room for, with the end of the body if that is all. Returns how much that was.
    fn send_some(&mut self, data: &[u8], cx: &mut Context<'_>) -> Result<usize, Stop> {
        let ends = self.left.is_done();
        let mut sent = 0;
        while sent < data.len() || (ends && data.is_empty()) {
            let rest = data.get(sent..).unwrap_or_default();
            let Poll::Ready(now) = self.stream.poll_send(rest, ends, cx) else { break };
            let now = now.map_err(stop_of)?;
            self.exchange.outcome.bytes_out += now as u64;
            self.write_deadline.pay(now);
            sent += now;
            if rest.is_empty() {
                break;
            }
        }
        Ok(sent)
    }
}

/// Bytes of a body that are read at once, and that a stream holds while its client has no room for them.
const PIECE: usize = 16 * 1024;
/// Where a policy says nothing.
const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(60);
/// What HTTP/2 says in another way, or not at all (RFC 9113 section 8.2.2).
const ONE_HOP: [&[u8]; 3] = [b"transfer-encoding", b"connection", b"trailer"];
