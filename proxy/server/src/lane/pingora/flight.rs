//! One admitted request on its way through pingora: what it needs, and what became of it.
//!
//! Shared by the code in front of pingora, the callbacks ([`Gate`](super::gate::Gate)) and the stream. All of them run
//! in one task, so no lock here is ever waited for.

use super::stream::Returned;
use crate::abort::{Abort, Cause, Stage};
use crate::clock::Clock;
use crate::conn::Stop;
use crate::lane::wire::Persistence;
use crate::pace::{Speed, Talk};
use crate::respond::GatewayError;
use crate::shared::Phase;
use crate::upstream::tls::Dial;
use http::HeaderValue;
use parking_lot::Mutex;
use pingora_core::protocols::raw_connect::ProxyDigest;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use weir_core::account::{End, UpstreamOutcome};
use weir_core::backend::{Backend, Pick};
use weir_core::policy::{Mode, Origin};
use weir_limits::Grant;

/// What forwarding a request takes. Plain data, made when it was admitted.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The socket's other end.
    pub(crate) peer: SocketAddr,
    /// Path and query as sent. Pingora sees `/` instead: its parser of targets refuses some that origins take.
    pub(crate) target: Vec<u8>,
    /// The authority asked for, for an origin's request that would lack one.
    pub(crate) host: Vec<u8>,
    /// What the client may be sent.
    pub(crate) dialect: Dialect,
    /// Whether the client waits for `100 Continue` before it sends its body.
    pub(crate) expects_continue: bool,
    /// Whether the client's connection stays.
    pub(crate) persistence: Persistence,
    /// Whether the origin's connection may carry another request.
    pub(crate) origin_persistence: Persistence,
    /// Whether the client asks for another protocol.
    pub(crate) upgrade: Upgrade,
    /// Whether the whole request was there when it was admitted.
    pub(crate) presence: Presence,
    /// Most bytes of the body, where that is not decided yet, and what happens when there are more.
    pub(crate) body_limit: Option<(u64, Mode)>,
    /// How the origin is spoken to.
    pub(crate) origin: Origin,
    /// Connects to it over TLS; `None` without.
    pub(crate) dial: Option<Arc<Dial>>,
    /// Fields that the origin is told.
    pub(crate) fields: Vec<(&'static str, Vec<u8>)>,
    /// Whether header names with `_` pass.
    pub(crate) underscores: Underscores,
    /// Fields for the response, by name and value.
    pub(crate) response_fields: Vec<(&'static str, HeaderValue)>,
    /// Between two reads of the request body.
    pub(crate) body_timeout: Duration,
    /// How slowly a body may come.
    pub(crate) body_speed: Speed,
    /// Between two writes to a client that does not read.
    pub(crate) write_timeout: Duration,
}

/// What a client understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// HTTP/1.0: no chunks, no interim responses.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// What becomes of an `Upgrade` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// It goes to the origin, whose 101 makes the connection a tunnel.
    Offer,
    /// It is dropped, as RFC 9110 section 7.8 allows.
    Drop,
}

/// Whether a request was received in full before it was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It was.
    Whole,
    /// Some of its body is still to come.
    Part,
}

/// What becomes of header names with `_`, which many origins cannot tell from the same names with `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Underscores {
    /// They pass.
    Keep,
    /// They are dropped.
    Drop,
}

/// What the client's side of a request did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It stopped sending its body.
    BodyTimeout,
    /// Its body is not framed as it should be.
    MalformedBody,
    /// Its body is larger than allowed.
    BodyLimit,
    /// It stopped reading.
    WriteTimeout,
}

/// What is answered here because the origin did not, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The body is larger than allowed.
    RefuseBody,
    /// Something went wrong.
    Error(GatewayError),
}

/// What became of a request, as far as the callbacks saw it.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Status that pingora sent, or began to send; 0 when it sent none.
    pub(crate) status: u16,
    /// Whether it came to its end.
    pub(crate) end: End,
    /// The origin's part.
    pub(crate) upstream: Option<UpstreamOutcome>,
    /// What is still to be answered.
    pub(crate) reply: Option<Reply>,
    /// Whether the body was larger than a limit that is only observed.
    pub(crate) over_observed_limit: bool,
    /// What the client did wrong.
    pub(crate) fault: Option<Fault>,
    /// How the client went away.
    pub(crate) gone: Option<Stop>,
}

impl Story {
    /// How the client's side broke off: by what it did wrong, and else by how it went away. `whole` says whether all of
    /// the request was received.
    pub(crate) fn abort(&self, whole: bool) -> Abort {
        let gone = self.gone.unwrap_or(Stop::End);
        self.abort_by_fault().unwrap_or_else(|| match self.status {
            0 if whole => Abort::at(Stage::Wait, gone),
            0 => Abort::at(Stage::Body, gone),
            _ => Abort::at(Stage::Response, gone),
        })
    }

    /// What the client did wrong, if that ends the request whether the client is told or not.
    pub(crate) fn abort_by_fault(&self) -> Option<Abort> {
        let (stage, cause) = match self.fault? {
            Fault::BodyTimeout => (Stage::Body, Cause::Timeout),
            Fault::MalformedBody => (Stage::Body, Cause::Malformed),
            Fault::WriteTimeout => (Stage::Response, Cause::Timeout),
            Fault::BodyLimit => return None,
        };
        Some(Abort { stage, cause })
    }
}

/// One admitted request on its way through pingora.
pub(crate) struct Flight {
    /// What it needs.
    pub(crate) plan: Plan,
    backend: Arc<Backend>,
    clock: Clock,
    phase: watch::Receiver<Phase>,
    entered: AtomicBool,
    continued: AtomicBool,
    upgraded: AtomicBool,
    answers: AtomicBool,
    story: Mutex<Story>,
    returned: Mutex<Option<Returned>>,
    places: Mutex<Option<Grant>>,
}

impl Flight {
    /// A request that may go to the endpoints of `backend`.
    pub(crate) fn new(
        plan: Plan,
        backend: Arc<Backend>,
        clock: Clock,
        phase: watch::Receiver<Phase>,
    ) -> Arc<Self> {
        let continued = AtomicBool::new(!plan.expects_continue);
        Arc::new(Self {
            plan,
            backend,
            clock,
            phase,
            entered: AtomicBool::new(false),
            continued,
            upgraded: AtomicBool::new(false),
            answers: AtomicBool::new(false),
            story: Mutex::default(),
            returned: Mutex::new(None),
            places: Mutex::default(),
        })
    }

    /// Keeps the places of the request until its response ends.
    pub(crate) fn hold(&self, places: Option<Grant>) {
        *self.places.lock() = places;
    }

    /// The last bytes of the response are about to be sent: a client that has them may come back at once.
    pub(crate) fn release(&self) {
        drop(self.places.lock().take());
    }

    /// Monotonic time, for endpoints.
    pub(crate) fn now(&self) -> weir_limits::Instant {
        self.clock.now()
    }

    /// Whether the process is about to end, so that the client's connection should end with this request.
    pub(crate) fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Drain
    }

    /// Whether the connection to the origin, over TLS, had served other requests before.
    pub(crate) fn has_reused(&self) -> bool {
        self.plan.dial.as_ref().is_some_and(|dial| dial.has_reused())
    }

    /// The next endpoint, none of `tried`.
    pub(crate) fn pick(&self, tried: &[SocketAddr]) -> Option<Pick> {
        self.backend.pick(self.now(), self.plan.origin.balance, fastrand::u64(..), tried).ok()
    }

    /// Changes the story.
    pub(crate) fn tell<T>(&self, change: impl FnOnce(&mut Story) -> T) -> T {
        change(&mut self.story.lock())
    }

    /// The story, at its end.
    pub(crate) fn take_story(&self) -> Story {
        std::mem::take(&mut *self.story.lock())
    }

    /// The client's side did something wrong. Only the first thing counts.
    pub(crate) fn note(&self, fault: Fault) {
        self.tell(|story| story.fault.get_or_insert(fault).to_owned());
    }

    /// The client went away. Only the first sign counts.
    pub(crate) fn note_gone(&self, stop: Stop) {
        self.tell(|story| story.gone.get_or_insert(stop).to_owned());
    }

    /// The request has reached the callbacks: what pingora writes from now on is meant.
    pub(crate) fn enter(&self) {
        self.entered.store(true, Ordering::Relaxed);
    }

    /// Whether the request has reached the callbacks.
    pub(crate) fn has_entered(&self) -> bool {
        self.entered.load(Ordering::Relaxed)
    }

    /// The client was told to send its body.
    pub(crate) fn go_on(&self) {
        self.continued.store(true, Ordering::Relaxed);
    }

    /// Whether the client waits for leave to send its body.
    pub(crate) fn awaits_continue(&self) -> bool {
        !self.continued.load(Ordering::Relaxed)
    }

    /// The connection is a tunnel now.
    pub(crate) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is a tunnel.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    /// The origin has begun a response that may go on for as long as it likes.
    pub(crate) fn begin_answer(&self) {
        self.answers.store(true, Ordering::Relaxed);
    }

    /// The response has ended.
    pub(crate) fn end_answer(&self) {
        self.answers.store(false, Ordering::Relaxed);
    }

    /// Who says something at the moment.
    pub(crate) fn talk(&self) -> Talk {
        if self.answers.load(Ordering::Relaxed) { Talk::Both } else { Talk::Client }
    }

    /// Takes the connection back from the stream that was lent to pingora.
    pub(crate) fn give_back(&self, returned: Returned) {
        *self.returned.lock() = Some(returned);
    }

    /// The connection, once pingora is done with it.
    pub(crate) fn take_back(&self) -> Option<Returned> {
        self.returned.lock().take()
    }

    /// What carries `self` through pingora to [`Flight::of`].
    pub(crate) fn digest(self: &Arc<Self>) -> ProxyDigest {
        ProxyDigest::new(
            Box::new(http::Response::new(()).into_parts().0.into()),
            Some(Box::new(self.clone())),
        )
    }

    /// The flight that `digest` carries.
    pub(crate) fn of(digest: &ProxyDigest) -> Option<&Arc<Self>> {
        digest.user_data.as_ref()?.downcast_ref()
    }
}
