//! From the head of a response to its end.

use super::attempt::Origin;
use super::client;
use super::left::{Cut, Left};
use super::splice::{self, Pipe};
use super::{After, Response};
use crate::abort::{Abort, Stage};
use crate::buffers;
use crate::conn::{Conn, Stop};
use crate::exchange::Exchange;
use crate::lane::wire::{CONNECTION_CLOSE, Framing};
use crate::respond::{GatewayError, Then};
use crate::shared::Shared;
use crate::upstream::pool;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use weir_core::account::{End, UpstreamResult};

/// Sends the response to the client, keeps the origin's connection if it ended cleanly, and closes the account.
pub(super) async fn run(
    conn: &mut Conn,
    response: Response,
    then: Then,
    mut exchange: Box<Exchange>,
    shared: &Shared,
) -> After {
    let Response { origin, mut buffer, head } = response;
    let read_timeout =
        exchange.route().map_or(Duration::from_secs(60), |(_, policy)| policy.origin.read_timeout);
    let body_here = buffer.data().len().saturating_sub(head.head);
    // Nothing was sent to the client yet: what is wrong so far can still be told properly.
    let mut left = Left::of(&head);
    let Ok(passed) = left.take(buffer.data().get(head.head..).unwrap_or_default()) else {
        buffers::give(buffer);
        return answer_invalid(conn, then, exchange, shared).await;
    };
    let closes = then == Then::Close || head.framing == Framing::Close;
    let mut fields = buffers::take_text();
    exchange.append_response_fields(&mut fields);
    let close: &[u8] = if closes { CONNECTION_CLOSE } else { b"" };
    let applied = head.edits().apply(&mut buffer, &[close, &fields]);
    buffers::give_text(fields);
    if applied.is_err() {
        buffers::give(buffer);
        return answer_invalid(conn, then, exchange, shared).await;
    }

    exchange.outcome.status = head.status;
    if left.is_done() {
        exchange.release();
    }
    let first = buffer.data().len() - (body_here - passed.bytes);
    let sent = conn.write_all(buffer.data().get(..first).unwrap_or_default(), shared.timeouts().write).await;
    let first = (first + passed.end.len()) as u64;
    let sent = match sent {
        Ok(()) => conn.write_all(passed.end, shared.timeouts().write).await,
        failed => failed,
    };
    buffers::give(buffer);
    let mut relay = Relay {
        conn,
        exchange: &mut exchange,
        origin,
        left: &mut left,
        sent: first,
        read_timeout,
        stall: shared.timeouts().write,
    };
    let ended = match sent {
        Ok(()) => relay.body().await,
        Err(stop) => Err(Cut::Client(stop)),
    };
    let Relay { origin, sent, .. } = relay;
    exchange.outcome.bytes_out = sent;
    match ended {
        Ok(()) => {
            if left.is_clean(&head, body_here) {
                pool::give(origin.pick.address, origin.tcp);
            }
            exchange.end(End::Complete);
            if closes { After::Close } else { After::Next }
        }
        Err(Cut::Client(stop)) => {
            exchange.abort(Abort::at(Stage::Response, stop));
            After::Close
        }
        Err(Cut::Origin(result)) => {
            if let Some(upstream) = &mut exchange.outcome.upstream {
                upstream.result = result;
            }
            exchange.end(End::OriginAbort);
            if head.framing == Framing::Close { After::Reset } else { After::Close }
        }
    }
}

/// The origin's response cannot be passed on: 502, and its connection is dropped.
async fn answer_invalid(conn: &mut Conn, then: Then, mut exchange: Box<Exchange>, shared: &Shared) -> After {
    if let Some(upstream) = &mut exchange.outcome.upstream {
        upstream.result = UpstreamResult::InvalidResponse;
    }
    let sent = super::answer(conn, GatewayError::InvalidResponse, then, &mut exchange, shared).await;
    exchange.answered(sent);
    if then == Then::Close || sent.is_err() { After::Close } else { After::Next }
}

struct Relay<'a> {
    conn: &'a mut Conn,
    exchange: &'a mut Exchange,
    origin: Origin,
    left: &'a mut Left,
    sent: u64,
    read_timeout: Duration,
    stall: Duration,
}

impl Relay<'_> {
    async fn body(&mut self) -> Result<(), Cut> {
        if let Left::Bytes(left) = *self.left
            && left >= splice::WORTH_IT
            && self.conn.socket.plain().is_some()
            && let Some(pipe) = Pipe::take()
        {
            return self.splice(pipe, left).await;
        }
        if self.left.is_done() {
            return Ok(());
        }
        let mut block = buffers::take_block();
        let copied = self.copy(&mut block).await;
        buffers::give_block(block);
        copied
    }

    async fn copy(&mut self, block: &mut [u8]) -> Result<(), Cut> {
        while !self.left.is_done() {
            self.conn.deadline.set(self.read_timeout);
            let most = self.left.most(block.len());
            let n = match self.read(block.get_mut(..most).unwrap_or_default()).await {
                Ok(0) if matches!(self.left, Left::UntilClose) => return Ok(()),
                Ok(0) => return Err(Cut::Origin(UpstreamResult::Reset)),
                Ok(n) => n,
                Err(cut) => return Err(cut),
            };
            let part = block.get(..n).unwrap_or_default();
            let passed = self.left.take(part).map_err(|()| Cut::Origin(UpstreamResult::InvalidResponse))?;
            if self.left.is_done() {
                self.exchange.release();
            }
            for bytes in [part.get(..passed.bytes).unwrap_or_default(), passed.end] {
                self.conn.write_all(bytes, self.stall).await.map_err(Cut::Client)?;
                self.sent += bytes.len() as u64;
            }
        }
        Ok(())
    }

    /// Reads what the origin sends next, and notices when the client goes away before that.
    async fn read(&mut self, space: &mut [u8]) -> Result<usize, Cut> {
        poll_fn(|cx| {
            let mut into = ReadBuf::new(space);
            match Pin::new(&mut self.origin.tcp).poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(into.filled().len())),
                Poll::Ready(Err(_)) => Poll::Ready(Err(Cut::Origin(UpstreamResult::Reset))),
                Poll::Pending => client::watch(self.conn, cx).map(|stop| match stop {
                    Stop::Late => Err(Cut::Origin(UpstreamResult::TimeoutRead)),
                    stop => Err(Cut::Client(stop)),
                }),
            }
        })
        .await
    }

    async fn splice(&mut self, mut pipe: Pipe, left: u64) -> Result<(), Cut> {
        let (moved, ended) = pipe.run(&self.origin.tcp, self.conn, left, self.read_timeout, self.stall).await;
        self.sent += moved;
        match ended {
            Ok(()) => {
                *self.left = Left::Bytes(0);
                pipe.give();
                Ok(())
            }
            Err(splice::Cut::Client(stop)) => Err(Cut::Client(stop)),
            Err(splice::Cut::OriginEnd) => Err(Cut::Origin(UpstreamResult::Reset)),
            Err(splice::Cut::OriginLate) => Err(Cut::Origin(UpstreamResult::TimeoutRead)),
        }
    }
}
