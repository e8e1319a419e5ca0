//! One admitted request through pingora's state machine.

use super::flight::{Fault, Flight, Reply};
use super::gate::Gate;
use super::stream::{LentStream, MalformedBody, Received, Returned};
use super::strict::BodyLength;
use crate::respond::{GatewayError, Then};
use crate::socket::Socket;
use pingora_core::apps::HttpServerApp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::custom::server::Session;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::watch;

/// Pingora's state machine and its connections to origins. One per worker.
pub(crate) struct Forwarder {
    proxy: Arc<HttpProxy<Gate>>,
    /// What pingora takes for the word that the process stays, and that it ends: then it closes connections.
    keep: watch::Receiver<bool>,
    close: watch::Receiver<bool>,
}

/// Where a request is in what was received, and what becomes of its connection.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Bytes of its head.
    pub(crate) head: usize,
    /// Where its target is in them.
    pub(crate) target: Range<usize>,
    /// How long its body is.
    pub(crate) body: BodyLength,
    /// Whether its connection may stay.
    pub(crate) then: Then,
}

/// A connection after its request, with what is to become of it.
#[derive(Debug)]
pub(crate) struct Landed {
    /// The connection.
    pub(crate) returned: Returned,
    /// What pingora has to say about it.
    pub(crate) verdict: Reuse,
}

/// Whether a response ended in a way after which the connection may take another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// It may.
    May,
    /// It may not.
    MayNot,
}

impl Forwarder {
    pub(crate) fn new() -> Self {
        let conf = ServerConf {
            threads: 1,
            // A pool smaller than what is in flight closes and opens connections all the time.
            upstream_keepalive_pool_size: POOL,
            max_retries: MOST_TRIES,
            // Pingora's own TLS is never used. Without this every worker would read the system's certificates twice,
            // and one that is malformed would be a panic.
            ca_file: Some(NO_CERTIFICATES.to_owned()),
            ..ServerConf::default()
        };
        let mut proxy = HttpProxy::new(Gate, Arc::new(conf));
        proxy.handle_init_modules();
        let (keep, close) = (watch::channel(false).1, watch::channel(true).1);
        Self { proxy: Arc::new(proxy), keep, close }
    }

    /// Forwards one request: the first bytes of `received`.
    ///
    /// When this future is dropped the request is broken off on both sides.
    pub(crate) async fn forward(
        &self,
        socket: Socket,
        received: Vec<u8>,
        message: Message,
        flight: &Arc<Flight>,
    ) -> Option<Landed> {
        let Message { head, target, body, then } = message;
        let lent = match LentStream::new(socket, received, head, target, body, flight.clone()) {
            Ok(lent) => lent,
            Err((socket, MalformedBody)) => {
                flight.note(Fault::MalformedBody);
                flight.tell(|story| story.reply = Some(Reply::Error(GatewayError::MalformedRequest)));
                let returned = Returned {
                    socket,
                    unsent: Vec::new(),
                    next: Vec::new(),
                    received: Received::Part,
                    bytes_in: head as u64,
                    bytes_out: 0,
                };
                return Some(Landed { returned, verdict: Reuse::MayNot });
            }
        };
        let ends = if then == Then::Close { &self.close } else { &self.keep };
        let session = ServerSession::new_http1(Box::new(lent));
        let reused = self.proxy.process_new_http(session, ends).await;
        let verdict = if reused.is_some() { Reuse::May } else { Reuse::MayNot };
        // The stream hands the connection back when it is dropped, here or on one of pingora's many ways out.
        drop(reused);
        if !flight.has_entered() {
            // Pingora did not like a head that we did. Its own answer went nowhere.
            flight.tell(|story| story.reply = Some(Reply::Error(GatewayError::MalformedRequest)));
        }
        flight.take_back().map(|returned| Landed { returned, verdict })
    }

    /// Forwards one request that brings a session of its own.
    pub(crate) async fn forward_stream(&self, stream: Box<dyn Session>) {
        drop(self.proxy.process_new_http(ServerSession::new_custom(stream), &self.keep).await);
    }
}

/// A file that is always there and always empty.
const NO_CERTIFICATES: &str = "/dev/null";
/// Idle connections to origins that a worker keeps.
const POOL: usize = 1024;
/// More than any policy asks for: how often is for `proxy-next-upstream-tries` to say.
const MOST_TRIES: usize = 64;
