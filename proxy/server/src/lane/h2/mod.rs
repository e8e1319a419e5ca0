//! HTTP/2 in front: one connection, many streams, each stream a request like any other.
//!
//! The connection is ours, from the preface to the last goodbye; the `h2` library reads and writes its frames. In the
//! order in which bytes meet the modules: `io` counts what comes with [`meter`] before the library sees it, this loop
//! takes up streams, `head` judges each request, `request` admits it and answers what is refused. What is plain goes
//! through `express` and `relay`; `stream` lends the others to pingora, so that HTTP/2 clients reach every kind of origin
//! that HTTP/1.1 clients do, with the same retries, deadlines and limits. What pingora cannot finish comes back and is
//! answered here.
//!
//! A request is charged when its head is read. Resetting the stream gives nothing back but the places in flight.
//!
//! Everything that a client can make grow has a bound, see the constants below, [`meter::Flood::allowance`], and
//! [`Ended`] for what happens beyond: the client is told to be calm, and the connection is over within
//! a second. A connection without a stream is over when it was idle for the idle time; one that is told to go away
//! (too many requests, or the process ends) finishes its streams first.

mod ended;
mod express;
pub mod frames;
mod head;
mod io;
pub mod meter;
mod rejected;
mod relay;
mod request;
mod stream;

pub use ended::Ended;
pub use rejected::Rejected;

use crate::conn::Conn;
use crate::deadline::Deadline;
use crate::pace::Armed;
use crate::worker::Worker;
use bytes::Bytes;
use h2::Reason;
use h2::server::{self, SendResponse};
use h2::{RecvStream, server::Connection};
use http::Request;
use io::{Gauge, Metered};
use pingora_core::protocols::SocketDigest;
use pingora_core::protocols::http::v2::server::default_h2_options;
use request::{Link, Opened};
use std::future::poll_fn;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinSet;
use weir_core::policy::HeadBounds;

/// Serves a connection of HTTP/2, of which nothing was used yet, until it is over.
pub async fn serve(conn: Conn, worker: Arc<Worker>) {
    let shared = worker.shared.clone();
    // Boxed apart from each other: an idle connection does not pay for its beginning.
    let ended = match Box::pin(begin(conn, worker)).await {
        Ok(mut session) => session.run().await,
        Err(ended) => ended,
    };
    shared.counters.h2_ended(ended);
    if let Some(timeout) = ended.timeout() {
        shared.counters.client_abort(timeout);
    }
}

/// The handshake, and what is needed for the time after it.
async fn begin(mut conn: Conn, worker: Arc<Worker>) -> Result<Box<Session>, Ended> {
    let shared = worker.shared.clone();
    let ahead = conn.take_input();
    let Conn { socket, info, .. } = conn;
    let digest = SocketDigest::from_raw_fd(socket.as_raw_fd());
    let _ = digest.peer_addr.set(Some(info.peer.into()));
    let tls = socket.client_tls().cloned();
    let gauge = Gauge::new(shared.clock);
    let timeouts = shared.timeouts();
    let metered = Metered::new(socket, ahead, gauge.clone(), shared.clock, timeouts.write);
    let streams = shared.engine.current().settings.edge.h2_streams.get();
    let connection = handshake(metered, &options(timeouts.head_bounds, streams), timeouts.head).await?;
    let link = Arc::new(Link { info, tls, socket: Arc::new(digest), gauge: gauge.clone(), worker });
    Ok(Box::new(Session {
        connection,
        gauge,
        link,
        streams: JoinSet::new(),
        most: streams as usize,
        accepted: 0,
        malformed: 0,
        stage: Stage::Open,
        idle: Armed::new(),
        head: Armed::new(),
    }))
}

/// Sends our settings and waits for the client's preface.
async fn handshake(
    metered: Metered,
    options: &server::Builder,
    most: Duration,
) -> Result<Connection<Metered, Bytes>, Ended> {
    let deadline = Deadline::new();
    deadline.set(most);
    let mut handshake = pin!(options.handshake(metered));
    poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(done.map_err(|error| Ended::of_error(&error))),
        Poll::Pending if deadline.passed(cx) => Poll::Ready(Err(Ended::Preface)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// What a client may do. From pingora's, which bound what the library leaves open, and tighter.
fn options(head: HeadBounds, streams: u32) -> server::Builder {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(streams)
        .max_header_list_size(u32::try_from(head.max_bytes()).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_pending_accept_reset_streams(RESETS_BEFORE_ACCEPT)
        .max_local_error_reset_streams(Some(RESETS_OF_OURS));
    options
}

/// A connection past its handshake.
struct Session {
    connection: Connection<Metered, Bytes>,
    gauge: Arc<Gauge>,
    link: Arc<Link>,
    streams: JoinSet<()>,
    most: usize, // streams at once; more are refused by the library
    accepted: usize,
    malformed: usize,
    stage: Stage,
    idle: Armed,
    head: Armed,
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// New streams are welcome.
    Open,
    /// The client was told that there will be no more.
    Leaving,
}

type Stream = (Request<RecvStream>, SendResponse<Bytes>);

impl Session {
    async fn run(&mut self) -> Ended {
        loop {
            match poll_fn(|cx| self.poll_next(cx)).await {
                Ok((request, respond)) => {
                    if let Err(ended) = self.take(request, respond) {
                        return self.end(ended).await;
                    }
                }
                Err(ended) => return self.end(ended).await,
            }
        }
    }

    /// The next stream, or why there is none.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, Ended>> {
        while let Poll::Ready(Some(_)) = self.streams.poll_join_next(cx) {}
        if self.link.worker.shared.is_draining() {
            self.leave();
        }
        let polled = self.connection.poll_accept(cx);
        self.count_rejected();
        if let Some(flood) = self.gauge.flood() {
            return Poll::Ready(Err(Ended::Flood(flood)));
        }
        match polled {
            Poll::Ready(Some(Ok(stream))) => {
                self.idle.disarm();
                self.head.disarm();
                Poll::Ready(Ok(stream))
            }
            Poll::Ready(Some(Err(_))) if self.gauge.is_stalled() => Poll::Ready(Err(Ended::Stall)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(Ended::of_error(&error))),
            Poll::Ready(None) => Poll::Ready(Err(Ended::Closed)),
            Poll::Pending => self.poll_deadlines(cx).map(Err),
        }
    }

    fn poll_deadlines(&mut self, cx: &Context<'_>) -> Poll<Ended> {
        let timeouts = self.link.worker.shared.timeouts();
        if !self.gauge.is_in_head() {
            self.head.disarm();
        } else if self.head.passed(timeouts.head, cx) {
            return Poll::Ready(Ended::Head);
        }
        // Watched even while there are streams, to be woken when the process is about to end.
        let most = match (self.streams.is_empty(), self.stage) {
            (true, Stage::Open) if self.accepted == 0 => timeouts.first(),
            (true, Stage::Open) => timeouts.idle,
            (true, Stage::Leaving) => LAST_WORDS,
            (false, _) => Duration::MAX,
        };
        if !self.streams.is_empty() {
            self.idle.disarm();
        }
        match (self.idle.passed(most, cx), self.stage) {
            (false, _) => Poll::Pending,
            (true, Stage::Open) => Poll::Ready(Ended::Idle),
            (true, Stage::Leaving) => Poll::Ready(Ended::Closed),
        }
    }

    /// Takes up a stream.
    fn take(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), Ended> {
        self.gauge.accepted();
        self.accepted += 1;
        let most = usize::try_from(self.link.worker.shared.timeouts().requests).unwrap_or(usize::MAX);
        if self.accepted >= most {
            self.leave();
        }
        // What was under way when the client was told to leave.
        if self.accepted >= most.saturating_add(self.most) {
            return Err(Ended::Goodbye);
        }
        // Streams that were reset are none to the library, but theirs may still be busy here.
        if self.streams.len() >= self.most.saturating_mul(2) {
            respond.send_reset(Reason::REFUSED_STREAM);
            return Ok(());
        }
        match request::open(request, respond, &self.link) {
            Opened::Answered => {}
            Opened::Malformed => {
                self.malformed += 1;
                if self.malformed >= MOST_MALFORMED {
                    return Err(Ended::Malformed);
                }
            }
            Opened::Plain(plain, respond, exchange) => {
                self.streams.spawn(plain.forward(respond, exchange, self.link.clone()));
            }
            Opened::Forward(admitted) => {
                self.streams.spawn(admitted.forward(self.link.clone()));
            }
        }
        Ok(())
    }

    /// Tells the client that this connection takes no more requests. Those under way are finished.
    fn leave(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Leaving;
            self.idle.disarm();
            self.connection.graceful_shutdown();
        }
    }

    /// The last words to the client, within a bound.
    async fn end(&mut self, ended: Ended) -> Ended {
        self.streams.abort_all();
        if let Some(reason) = ended.goodbye() {
            self.connection.abrupt_shutdown(reason);
            let deadline = Deadline::new();
            deadline.set(LAST_WORDS);
            poll_fn(|cx| match self.connection.poll_closed(cx) {
                Poll::Pending if !deadline.passed(cx) => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await;
        }
        self.count_rejected();
        ended
    }

    fn count_rejected(&self) {
        for (why, count) in self.gauge.take_rejected() {
            self.link.worker.shared.counters.h2_rejected(why, count.into());
        }
    }
}

/// Requests of a connection that have no reading.
const MOST_MALFORMED: usize = 32;
/// Bytes of a request body that a client may send before we have passed them on.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same for all streams of a connection together: so much memory its bodies can take.
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Bytes of a response that wait for the client's window or socket, for each stream.
const SEND_BUFFER: usize = 32 * 1024;
/// Streams that we have reset and whose late frames are still put up with.
const RESETS_REMEMBERED: usize = 100;
/// Streams that are reset before we have seen them.
const RESETS_BEFORE_ACCEPT: usize = 50;
/// Streams that the client makes the library reset: "MadeYouReset".
const RESETS_OF_OURS: usize = 64;
/// How long a connection stays for its goodbye to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, F: Future>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_does_not_pay_for_its_beginning() {
        let sizes = (size(serve), size_of::<Session>(), size(begin));
        assert!(sizes.0 + sizes.1 < 2560, "{sizes:?}");
    }
}
