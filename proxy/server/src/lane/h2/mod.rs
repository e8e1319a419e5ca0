//! HTTP/2 in front: one connection, many streams, each stream a request like any other.
//!
//! The connection is ours, from the preface to the last goodbye. [`weir_http2`] knows what its bytes mean and does no
//! I/O; here is all the rest. In the order in which bytes meet the modules: `io` moves them between the socket and the
//! connection, this loop takes up streams, `head` judges each request, `request` admits it and answers what is refused.
//! What is plain goes through `express` and `relay`; `stream` lends the others to pingora, so that HTTP/2 clients reach
//! every kind of origin that HTTP/1.1 clients do, with the same retries, deadlines and limits. What pingora cannot finish
//! comes back and is answered here.
//!
//! A request is charged when its head is read. Resetting the stream gives nothing back but the places in flight.
//!
//! Everything that a client can make grow has a bound, see the constants below, [`weir_http2::Flood::allowance`], and
//! [`Ended`] for what happens beyond: the client is told to be calm, and the connection is over within
//! a second. A connection without a stream is over when it was idle for the idle time; one that is told to go away
//! (too many requests, or the process ends) finishes its streams first.

mod ended;
mod express;
mod head;
mod io;
mod relay;
mod request;
mod stream;

pub use ended::Ended;
pub use weir_http2::Rejected;

use crate::conn::Conn;
use crate::deadline::Deadline;
use crate::pace::Armed;
use crate::worker::Worker;
use io::Wire;
use pingora_core::protocols::SocketDigest;
use request::{Link, Opened};
use std::future::poll_fn;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinSet;
use weir_core::policy::HeadBounds;
use weir_http2::{Connection, Options, Reason, Request};

/// Serves a connection of HTTP/2, of which nothing was used yet, until it is over.
pub fn serve(conn: Conn, worker: Arc<Worker>) -> impl Future<Output = ()> {
    let shared = worker.shared.clone();
    // Made here, so that an idle connection does not pay for what it was made of.
    let mut session = Session::new(conn, worker);
    async move {
        let ended = session.run().await;
        drop(session);
        shared.counters.h2_ended(ended);
        if let Some(timeout) = ended.timeout() {
            shared.counters.client_abort(timeout);
        }
    }
}

/// What a client may do.
fn options(head: HeadBounds, streams: u32) -> Options {
    Options {
        streams,
        head_bytes: u32::try_from(head.max_bytes()).unwrap_or(u32::MAX),
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
    }
}

/// A connection and the tasks of its streams.
struct Session {
    wire: Wire,
    link: Arc<Link>,
    streams: JoinSet<()>,
    most: usize, // streams at once; more are refused where frames are read
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

impl Session {
    fn new(mut conn: Conn, worker: Arc<Worker>) -> Box<Self> {
        let shared = &worker.shared;
        let ahead = conn.take_input();
        let Conn { socket, info, .. } = conn;
        let digest = SocketDigest::from_raw_fd(socket.as_raw_fd());
        let _ = digest.peer_addr.set(Some(info.peer.into()));
        let tls = socket.client_tls().cloned();
        let timeouts = shared.timeouts();
        let streams = shared.engine.current().settings.edge.h2_streams.get();
        let connection = Connection::new(options(timeouts.head_bounds, streams), shared.clock.now());
        let wire = Wire::new(socket, ahead, connection, shared.clock, timeouts.write);
        let link = Arc::new(Link { info, tls, socket: Arc::new(digest), worker });
        Box::new(Self {
            wire,
            link,
            streams: JoinSet::new(),
            most: streams as usize,
            accepted: 0,
            malformed: 0,
            stage: Stage::Open,
            idle: Armed::new(),
            head: Armed::new(),
        })
    }

    async fn run(&mut self) -> Ended {
        let ended = loop {
            let next = poll_fn(|cx| self.poll_next(cx)).await;
            if let Err(ended) = next.and_then(|request| self.take(request)) {
                break ended;
            }
        };
        self.end(ended).await;
        ended
    }

    /// The next stream, or why there is none.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Request, Ended>> {
        while let Poll::Ready(Some(_)) = self.streams.poll_join_next(cx) {}
        if self.link.worker.shared.is_draining() {
            self.leave();
        }
        let polled = self.wire.poll_request(cx);
        self.count_rejected();
        match polled {
            Poll::Ready(Ok(request)) => {
                self.idle.disarm();
                self.head.disarm();
                Poll::Ready(Ok(request))
            }
            Poll::Ready(Err(ended)) => Poll::Ready(Err(ended)),
            // What streams have left to do when all was sent is done first.
            Poll::Pending if self.streams.is_empty() && self.wire.is_over() => {
                Poll::Ready(Err(Ended::Closed))
            }
            Poll::Pending => self.poll_deadlines(cx).map(Err),
        }
    }

    fn poll_deadlines(&mut self, cx: &Context<'_>) -> Poll<Ended> {
        let timeouts = self.link.worker.shared.timeouts();
        let connection = self.wire.connection();
        let has_begun = connection.has_begun();
        if has_begun && !connection.is_in_head() {
            self.head.disarm();
        } else if self.head.passed(timeouts.head, cx) {
            return Poll::Ready(if has_begun { Ended::Head } else { Ended::Preface });
        }
        // Watched even while there are streams, to be woken when the process is about to end.
        let is_idle = has_begun && self.streams.is_empty();
        let most = match (is_idle, self.stage) {
            (true, Stage::Open) if self.accepted == 0 => timeouts.first(),
            (true, Stage::Open) => timeouts.idle,
            (true, Stage::Leaving) => LAST_WORDS,
            (false, _) => Duration::MAX,
        };
        if !is_idle {
            self.idle.disarm();
        }
        match (self.idle.passed(most, cx), self.stage) {
            (false, _) => Poll::Pending,
            (true, Stage::Open) => Poll::Ready(Ended::Idle),
            (true, Stage::Leaving) => Poll::Ready(Ended::Closed),
        }
    }

    /// Takes up a stream.
    fn take(&mut self, mut request: Request) -> Result<(), Ended> {
        self.wire.connection().accepted();
        self.accepted += 1;
        let most = usize::try_from(self.link.worker.shared.timeouts().requests).unwrap_or(usize::MAX);
        if self.accepted >= most {
            self.leave();
        }
        // What was under way when the client was told to leave.
        if self.accepted >= most.saturating_add(self.most) {
            return Err(Ended::Goodbye);
        }
        // Streams that were reset do not count where frames are read, but their tasks may still be busy here.
        if self.streams.len() >= self.most.saturating_mul(2) {
            request.stream.reset(Reason::REFUSED_STREAM);
            self.link.worker.shared.counters.h2_rejected(Rejected::Refused, 1);
            return Ok(());
        }
        match request::open(request, &self.link) {
            Opened::Answered => {}
            Opened::Malformed => {
                self.malformed += 1;
                if self.malformed >= MOST_MALFORMED {
                    return Err(Ended::Malformed);
                }
            }
            Opened::Plain(plain, stream, exchange) => {
                self.streams.spawn(plain.forward(stream, exchange, self.link.clone()));
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
            self.wire.connection().leave();
        }
    }

    /// The last words to the client, within a bound.
    async fn end(&mut self, ended: Ended) {
        self.streams.abort_all();
        if let Some(reason) = ended.goodbye() {
            self.wire.connection().end(reason);
            let deadline = Deadline::new();
            deadline.set(LAST_WORDS);
            poll_fn(|cx| match self.wire.poll_write(cx) {
                Poll::Pending if !deadline.passed(cx) => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await;
        }
        self.count_rejected();
    }

    fn count_rejected(&self) {
        for (why, count) in self.wire.connection().take_rejected() {
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
        let sizes = (size(serve), size_of::<Session>());
        assert!(sizes.0 < 256 && sizes.1 < 512, "{sizes:?}");
    }
}
