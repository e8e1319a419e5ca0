//! From a request that is ready to the head of a response: endpoints, connections, retries.

use super::Response;
use super::client::Client;
use crate::buffers;
use crate::conn::{self, Stop};
use crate::exchange::Exchange;
use crate::lane::wire::{Buffer, Method, ResponseHead, ResponseReading, read_response_without};
use crate::respond::GatewayError;
use crate::shared::Shared;
use crate::upstream::pool::{self, Care};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use tokio::net::TcpStream;
use weir_core::account::{UpstreamOutcome, UpstreamResult};
use weir_core::backend::Pick;
use weir_core::policy::NextUpstream;
use weir_core::ticket::Ticket;
use weir_limits::Instant;

/// A connection to an endpoint, in use.
pub(crate) struct Origin {
    /// The connection.
    pub(crate) tcp: TcpStream,
    /// The endpoint; counts this request as in flight.
    pub(crate) pick: Pick,
}

/// Why there is no response.
pub(crate) enum Failure {
    /// The client went away.
    Client(Stop),
    /// No endpoint gave one; this is what the client is told.
    Origin(GatewayError),
}

/// Sends the request of `client` to an endpoint and reads the head of its response, on other endpoints too where the
/// policy says so. `told` becomes what the last endpoint did. `began` is when the request was ready.
///
/// # Errors
/// [`Failure`].
pub(crate) async fn run<C: Client>(
    client: &mut C,
    method: Method,
    began: Instant,
    exchange: &Exchange,
    told: &mut Option<UpstreamOutcome>,
    shared: &Shared,
) -> Result<Response, Failure> {
    let Some(ticket) = exchange.ticket() else { return Err(Failure::Origin(GatewayError::Internal)) };
    let origin = &ticket.policy().origin;
    let next = &origin.next;
    // The clock is read once per try: when it ends, and the next one begins.
    let mut now = began;
    let mut tried: Vec<SocketAddr> = Vec::new();
    loop {
        let Ok(pick) = ticket.pick(now, fastrand::u64(..), &tried) else {
            return Err(Failure::Origin(GatewayError::NoEndpoint));
        };
        let address = pick.address;
        let unwanted = exchange.replaced_field();
        let mut attempt = Attempt { client: &mut *client, method, origin, unwanted, shared };
        let ended = attempt.on(pick).await;
        let tries = tried.len() as u32 + 1;
        let ended_at = shared.clock.now();
        let mut upstream = UpstreamOutcome {
            address,
            tries,
            status: 0,
            latency: ended_at.saturating_since(now),
            result: UpstreamResult::Respond,
        };
        now = ended_at;
        let may_repeat = may_repeat(next, method, tries, began, now);
        match ended {
            Ok(response) => {
                upstream.status = response.head.status;
                *told = Some(upstream);
                if next.on_status.contains(&response.head.status)
                    && may_repeat
                    && has_other(ticket, &tried, address)
                {
                    tried.push(address);
                    buffers::give(response.buffer);
                    continue;
                }
                return Ok(response);
            }
            Err(Broken::Client(stop)) => {
                *told = Some(upstream);
                return Err(Failure::Client(stop));
            }
            Err(Broken::Origin { result, sent }) => {
                upstream.result = result;
                *told = Some(upstream);
                let listed = match result {
                    UpstreamResult::TimeoutConnect | UpstreamResult::TimeoutRead => next.on_timeout,
                    UpstreamResult::InvalidResponse => next.on_invalid_header,
                    _ => next.on_error,
                };
                // What was never sent can be sent elsewhere, whatever its method.
                let repeatable = may_repeat || (!sent && within(next, tries, began, now));
                if listed && repeatable && has_other(ticket, &tried, address) {
                    tried.push(address);
                    continue;
                }
                let error = GatewayError::of_upstream(result).unwrap_or(GatewayError::Internal);
                return Err(Failure::Origin(error));
            }
        }
    }
}

/// Whether there is an endpoint besides `address` and those of `tried`.
fn has_other(ticket: &Ticket, tried: &[SocketAddr], address: SocketAddr) -> bool {
    ticket.backend().addresses().iter().any(|other| *other != address && !tried.contains(other))
}

/// Whether a request that an endpoint may have seen is sent to another one.
fn may_repeat(next: &NextUpstream, method: Method, tries: u32, began: Instant, now: Instant) -> bool {
    (method.idempotent() || next.non_idempotent) && within(next, tries, began, now)
}

/// Whether there are tries and time left.
fn within(next: &NextUpstream, tries: u32, began: Instant, now: Instant) -> bool {
    (next.tries == 0 || tries < next.tries)
        && (next.timeout.is_zero() || now.saturating_since(began) < next.timeout)
}

/// Why one endpoint gave no response.
enum Broken {
    Client(Stop),
    Origin {
        result: UpstreamResult,
        /// Whether it may have seen the request.
        sent: bool,
    },
}

struct Attempt<'a, C> {
    client: &'a mut C,
    method: Method,
    origin: &'a weir_core::policy::Origin,
    /// The field of the response that is replaced by ours; empty if there is none.
    unwanted: &'static str,
    shared: &'a Shared,
}

impl<C: Client> Attempt<'_, C> {
    /// One endpoint. An idle connection may have been closed by the origin while we took it from the pool; then a
    /// fresh one is tried once, if the request may be repeated.
    async fn on(&mut self, pick: Pick) -> Result<Response, Broken> {
        let care = if self.method.idempotent() { Care::Heard } else { Care::Asked };
        if let Some(tcp) = pool::take(pick.address, care) {
            match self.exchange(tcp).await {
                Ok((tcp, buffer, head)) => {
                    pick.succeeded();
                    return Ok(Response { origin: Origin { tcp, pick }, buffer, head });
                }
                Err(Stale::Silent) if self.method.idempotent() => {}
                Err(Stale::Silent) => {
                    return Err(Broken::Origin { result: UpstreamResult::Reset, sent: true });
                }
                Err(Stale::Broken(broken)) => return Err(broken),
            }
        }
        let tcp = self.connect(pick.address).await.inspect_err(|broken| {
            if matches!(broken, Broken::Origin { .. }) {
                pick.failed(self.shared.clock.now());
            }
        })?;
        match self.exchange(tcp).await {
            Ok((tcp, buffer, head)) => {
                pick.succeeded();
                Ok(Response { origin: Origin { tcp, pick }, buffer, head })
            }
            Err(Stale::Silent) => Err(Broken::Origin { result: UpstreamResult::Reset, sent: true }),
            Err(Stale::Broken(broken)) => Err(broken),
        }
    }

    async fn connect(&mut self, address: SocketAddr) -> Result<TcpStream, Broken> {
        let failed = |result| Broken::Origin { result, sent: false };
        self.client.deadline().set(self.origin.connect_timeout);
        let mut connecting = pin!(TcpStream::connect(address));
        poll_fn(|cx| {
            if let Poll::Ready(connected) = connecting.as_mut().poll(cx) {
                let tcp = connected.map_err(|_| failed(UpstreamResult::RefuseConnect))?;
                let _ = tcp.set_nodelay(true);
                pool::opened();
                return Poll::Ready(Ok(tcp));
            }
            self.client.watch(cx).map(|stop| match stop {
                Stop::Late => Err(failed(UpstreamResult::TimeoutConnect)),
                stop => Err(Broken::Client(stop)),
            })
        })
        .await
    }

    /// Sends the request and reads the head of the response.
    async fn exchange(&mut self, mut tcp: TcpStream) -> Result<(TcpStream, Buffer, ResponseHead), Stale> {
        let reset = |sent| Stale::Broken(Broken::Origin { result: UpstreamResult::Reset, sent });
        let (request, deadline) = (self.client.request(), self.client.deadline());
        match conn::write_all(&mut tcp, deadline, request, self.origin.send_timeout).await {
            Ok(()) => {}
            Err(Stop::Late) => {
                return Err(Stale::Broken(Broken::Origin {
                    result: UpstreamResult::TimeoutRead,
                    sent: true,
                }));
            }
            Err(_) => return Err(Stale::Silent),
        }
        self.client.deadline().set(self.origin.read_timeout);
        let mut cell: Option<Buffer> = None;
        let mut interim = 0;
        loop {
            let read = poll_fn(|cx| match conn::poll_read_into(&mut tcp, &mut cell, cx) {
                Poll::Ready(read) => Poll::Ready(read.map_err(|_| None)),
                Poll::Pending => self.client.watch(cx).map(|stop| Err(Some(stop))),
            })
            .await;
            match read {
                Ok(_) => {}
                Err(None) if cell.is_none() => return Err(Stale::Silent),
                Err(None) => return Err(reset(true)),
                Err(Some(Stop::Late)) => {
                    return Err(Stale::Broken(Broken::Origin {
                        result: UpstreamResult::TimeoutRead,
                        sent: true,
                    }));
                }
                Err(Some(stop)) => return Err(Stale::Broken(Broken::Client(stop))),
            }
            while let Some(buffer) = cell.as_mut() {
                match read_response_without(buffer.data(), self.method, self.unwanted) {
                    ResponseReading::Complete(head) if head.is_interim() && interim < MOST_INTERIM => {
                        interim += 1;
                        self.pass_interim(buffer, &head).await?;
                        if buffer.is_empty() {
                            cell.take().into_iter().for_each(buffers::give);
                        }
                    }
                    ResponseReading::Complete(head) if !head.is_interim() => {
                        return match cell.take() {
                            Some(buffer) => Ok((tcp, buffer, head)),
                            None => Err(reset(true)),
                        };
                    }
                    ResponseReading::Partial => break,
                    ResponseReading::Complete(_) | ResponseReading::Bad(_) => return Err(invalid()),
                }
            }
        }
    }

    /// Sends a 1xx head on to the client and drops it from the buffer.
    async fn pass_interim(&mut self, buffer: &mut Buffer, head: &ResponseHead) -> Result<(), Stale> {
        let len = head.edits().apply(buffer, &[]).map_err(|_| invalid())?;
        let bytes = buffer.data().get(..len).ok_or_else(invalid)?;
        let stall = self.shared.timeouts().write;
        self.client.interim(bytes, stall).await.map_err(|stop| Stale::Broken(Broken::Client(stop)))?;
        buffer.consume(len);
        self.client.deadline().set(self.origin.read_timeout);
        Ok(())
    }
}

/// Why nothing came over a connection.
enum Stale {
    /// Closed without a byte of response: if it was idle before, it may have been closed before the request.
    Silent,
    Broken(Broken),
}

fn invalid() -> Stale {
    Stale::Broken(Broken::Origin { result: UpstreamResult::InvalidResponse, sent: true })
}

/// Interim responses before the final one. More than that is no progress report.
pub(crate) const MOST_INTERIM: usize = 32;
