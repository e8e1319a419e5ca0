//! A request from its verdict to its log line, whichever lane it takes.

use crate::abort::{Abort, Stage};
use crate::access_log::{Answer, Entry, Lane, Protocol};
use crate::buffers;
use crate::clock::Dates;
use crate::conn::{ConnInfo, Stop};
use crate::deadline;
use crate::decisions;
use crate::lookout;
use crate::request_id::{RequestId, RequestIds};
use crate::respond::{Accept, Ask, BodyPart, GatewayError, Response, Then, is_grpc};
use crate::shared::Shared;
use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use weir_core::account::{Account, End, Outcome};
use weir_core::backend::Backend;
use weir_core::facts::{Facts, Scheme};
use weir_core::identity::Client;
use weir_core::policy::Policy;
use weir_core::ticket::Ticket;
use weir_core::verdict::{Refusal, Verdict};
use weir_limits::{Grant, Instant};

/// A request from its verdict to its log line. Dropped before [`end`](Self::end), it counts as aborted by its client:
/// what happens when its connection's task is cut short.
pub struct Exchange {
    shared: Arc<Shared>,
    held: Held,
    asked: Asked,
    began: Instant,
    client: Client,
    /// The connection's other end, where that is not what the core takes for it.
    via: Option<IpAddr>,
    accept: Accept,
    id: Option<RequestId>,
    /// Value of `Strict-Transport-Security`, on every response over https.
    hsts: Option<Arc<str>>,
    answer: Answer,
    abort: Option<Abort>,
    /// What happened so far. The lanes write it as they go.
    pub outcome: Outcome,
}

enum Held {
    Forward(Ticket),
    Refuse(Refusal),
    Over,
}

/// What the client asked for, kept for the log: one scratch space, cut into three.
struct Asked {
    text: Vec<u8>,
    method: usize,
    host: usize,
    lane: Lane,
    protocol: Protocol,
}

/// What is kept of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// What an answer of ours depends on.
    Method,
    /// What the log tells.
    All,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("client", &self.client).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Exchange {
    /// Admits a request: the one place where that happens.
    pub fn admit(shared: &Arc<Shared>, facts: &Facts<'_>, lane: Lane, protocol: Protocol) -> Box<Self> {
        let now = shared.clock.now();
        let verdict = shared.engine.admit(now, facts);
        if decisions::is_next_measured() {
            shared.counters.decisions().record(shared.clock.now().saturating_since(now));
        }
        let (held, client, accept) = match verdict {
            Verdict::Forward(ticket) => {
                let client = ticket.account().client;
                let accept = match protocol {
                    // Failures of the origin are told to a client of gRPC in its own way, too.
                    Protocol::Http2 if is_grpc(facts.headers) => Accept::Grpc,
                    _ => Accept::Text,
                };
                (Held::Forward(ticket), client, accept)
            }
            // What body the client likes is asked only where one is ours to write.
            Verdict::Refuse(refusal) => {
                let client = refusal.account.client;
                let accept = match protocol {
                    Protocol::Http2 => Accept::of_h2(facts.headers),
                    Protocol::Http10 | Protocol::Http11 => Accept::of(facts.headers),
                };
                (Held::Refuse(refusal), client, accept)
            }
        };
        let mut id = None;
        facts.headers.visit("x-request-id", &mut |value| id = id.or_else(|| RequestId::read(value)));
        let snapshot = shared.engine.current();
        lookout::see(&snapshot, &client);
        if id.is_none() && snapshot.settings.generate_request_id {
            id = Some(IDS.with_borrow_mut(RequestIds::make));
        }
        let hsts = snapshot.hsts().filter(|_| facts.scheme == Scheme::Https).cloned();
        // Boxed: it changes hands often.
        Box::new(Self {
            shared: shared.clone(),
            held,
            asked: Asked::of(
                facts,
                lane,
                protocol,
                if shared.log.is_on() { Keep::All } else { Keep::Method },
            ),
            began: now,
            client,
            via: None,
            accept,
            id,
            hsts,
            answer: Answer::Origin,
            abort: None,
            outcome: Outcome::default(),
        })
    }

    /// Says that the connection is a load balancer's, which named the client; see [`ConnInfo::via`].
    pub fn came_by(&mut self, info: &ConnInfo) {
        self.via = info.via;
    }

    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.held {
            Held::Refuse(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// What it holds, if it was admitted.
    pub fn ticket(&self) -> Option<&Ticket> {
        match &self.held {
            Held::Forward(ticket) => Some(ticket),
            _ => None,
        }
    }

    /// Where it goes and how, if it was admitted.
    pub fn route(&self) -> Option<(&Arc<Backend>, &Policy)> {
        self.ticket().map(|ticket| (ticket.backend(), ticket.policy()))
    }

    /// When it was admitted or refused.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Who asks.
    pub fn client(&self) -> Client {
        self.client
    }

    /// The id that it carries: the client's, or ours where the settings want one.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// Says that the request took another lane than was thought at first.
    pub fn change_lane(&mut self, lane: Lane) {
        self.asked.lane = lane;
    }

    /// The body of an admitted request has turned out to be too large: from now on it is refused.
    pub fn refuse_body(&mut self) {
        self.refuse_with(Ticket::refuse_body);
    }

    fn refuse_with(&mut self, refuse: impl FnOnce(Ticket) -> Refusal) {
        self.held = match std::mem::replace(&mut self.held, Held::Over) {
            Held::Forward(ticket) => Held::Refuse(refuse(ticket)),
            held => held,
        };
    }

    /// The body of an admitted request has turned out to be larger than a limit that is only observed.
    pub fn observe_body(&mut self) {
        if let Held::Forward(ticket) = &mut self.held {
            ticket.observe_body();
        }
    }

    /// The last bytes of the response are about to be sent; see [`Ticket::release`].
    pub fn release(&mut self) {
        if let Held::Forward(ticket) = &mut self.held {
            ticket.release();
        }
    }

    /// Its places in flight, for whoever sends the response; see [`Ticket::take_places`].
    pub fn take_places(&mut self) -> Option<Grant> {
        match &mut self.held {
            Held::Forward(ticket) => ticket.take_places(),
            _ => None,
        }
    }

    /// Writes the refusal as HTTP/1.1. Nothing is written when it was admitted.
    pub fn write_refusal(&mut self, then: Then, out: &mut Vec<u8>) {
        self.respond(then, |response| response.write_http1(out));
        self.outcome.bytes_out = out.len() as u64;
    }

    /// Calls `write` with the refusal as a response, and notes its status.
    pub fn respond(&mut self, then: Then, write: impl FnOnce(&Response<'_>)) {
        let Held::Refuse(refusal) = &self.held else { return };
        self.answer = Answer::Refused(refusal.reason);
        let status = with_date(&self.shared, |date| {
            let response = Response::refusal(refusal, self.ask(then, date));
            write(&response);
            response.status()
        });
        self.outcome.status = status;
    }

    /// Writes another answer of our own as HTTP/1.1, and notes its status.
    pub fn write_error(&mut self, error: GatewayError, then: Then, out: &mut Vec<u8>) {
        self.respond_error(error, then, |response| response.write_http1(out));
        self.outcome.bytes_out = out.len() as u64;
    }

    /// Calls `write` with another answer of our own, and notes its status.
    pub fn respond_error(&mut self, error: GatewayError, then: Then, write: impl FnOnce(&Response<'_>)) {
        // That nothing is left to try is what the core refuses with, too: counted and told in one way.
        if error == GatewayError::NoEndpoint {
            self.refuse_with(Ticket::refuse_endpoint);
            return self.respond(then, write);
        }
        self.shared.counters.gateway_error(error);
        self.answer = Answer::Failed(error);
        with_date(&self.shared, |date| write(&Response::error(error, self.ask(then, date))));
        self.outcome.status = error.status();
    }

    fn ask<'a>(&'a self, then: Then, date: &'a [u8]) -> Ask<'a> {
        let body = BodyPart::of_method(self.asked.method());
        Ask {
            accept: self.accept,
            body,
            then,
            request_id: self.id.as_ref(),
            hsts: self.hsts.as_deref(),
            date,
        }
    }

    /// Appends the fields that a response from the origin gets, as HTTP/1.1 lines.
    pub fn append_response_fields(&self, out: &mut Vec<u8>) {
        self.for_each_response_field(|name, value| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        });
    }

    /// Calls `put` with the fields that a response from the origin gets.
    pub fn for_each_response_field(&self, mut put: impl FnMut(&'static str, &[u8])) {
        if let Some(promise) = &self.hsts {
            put(HSTS, promise.as_bytes());
        }
        if let Some(fields) = self.ticket().and_then(Ticket::rate_limit) {
            put("RateLimit-Policy", fields.policy.as_bytes());
            put("RateLimit", fields.state.as_bytes());
        }
    }

    /// The field of an origin's response that is replaced by ours; empty if there is none.
    pub fn replaced_field(&self) -> &'static str {
        if self.hsts.is_some() { HSTS } else { "" }
    }

    /// As [`end`](Self::end), because the client's side broke off.
    pub fn abort(mut self: Box<Self>, abort: Abort) {
        self.shared.counters.client_abort(abort);
        self.abort = Some(abort);
        self.end(End::ClientAbort);
    }

    /// Ends a request whose answer is of our own making; `sent` says whether the client took it.
    pub fn answered(self: Box<Self>, sent: Result<(), Stop>) {
        match sent {
            Ok(()) => self.end(End::Complete),
            Err(stop) => self.abort(Abort::at(Stage::Response, stop)),
        }
    }

    /// Closes the account and writes the log line.
    pub fn end(mut self: Box<Self>, end: End) {
        self.outcome.end = end;
        self.close();
    }

    fn close(&mut self) {
        let now = self.shared.clock.now();
        let account = match std::mem::replace(&mut self.held, Held::Over) {
            Held::Forward(ticket) => ticket.finish(now, &self.outcome),
            Held::Refuse(refusal) => {
                let mut account = refusal.account;
                account.close(now, &self.outcome);
                account
            }
            Held::Over => return,
        };
        self.shared.counters.lane_request(self.asked.lane);
        self.log(&account, now);
    }

    fn log(&self, account: &Account, now: Instant) {
        let Some(log) = self.shared.access_log() else { return };
        let entry = Entry {
            account,
            peer: self.via.unwrap_or(account.client.peer),
            outcome: &self.outcome,
            answer: self.answer,
            method: self.asked.method(),
            host: self.asked.host(),
            path: self.asked.path(),
            request_id: self.id.as_ref(),
            lane: self.asked.lane,
            protocol: self.asked.protocol,
            abort: self.abort,
            duration: now.saturating_since(account.began),
        };
        let skip = &self.shared.engine.current().settings.log.skip;
        if entry.is_ordinary() && skip.iter().any(|path| path.as_bytes() == entry.path) {
            return;
        }
        log.write(self.shared.clock.wall(), &entry);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !matches!(self.held, Held::Over) {
            self.outcome.end = End::ClientAbort;
            self.close();
        }
        buffers::give_text(std::mem::take(&mut self.asked.text));
    }
}

impl Asked {
    fn of(facts: &Facts<'_>, lane: Lane, protocol: Protocol, keep: Keep) -> Self {
        let mut text = buffers::take_text();
        let mut put = |part: &[u8], most: usize| {
            text.extend_from_slice(part.get(..most).unwrap_or(part));
            text.len()
        };
        let method = put(facts.method.as_bytes(), MOST_METHOD);
        let host = put(facts.host, if keep == Keep::All { MOST_HOST } else { 0 });
        put(facts.path, if keep == Keep::All { MOST_PATH } else { 0 });
        Self { text, method, host, lane, protocol }
    }

    fn method(&self) -> &[u8] {
        self.text.get(..self.method).unwrap_or_default()
    }

    fn host(&self) -> &[u8] {
        self.text.get(self.method..self.host).unwrap_or_default()
    }

    fn path(&self) -> &[u8] {
        self.text.get(self.host..).unwrap_or_default()
    }
}

/// The date that goes with responses made now.
pub fn with_date<T>(shared: &Shared, use_date: impl FnOnce(&[u8]) -> T) -> T {
    DATES.with_borrow_mut(|(read_at, dates)| {
        // A date has whole seconds: one reading of the clock a tick is enough.
        let tick = deadline::tick();
        if *read_at != Some(tick) {
            *read_at = Some(tick);
            dates.turn_to(shared.clock.wall());
        }
        use_date(dates.http_now())
    })
}

/// RFC 6797 section 6.1.
const HSTS: &str = "Strict-Transport-Security";

/// Most bytes of a method, a host and a path that are kept for the log.
const MOST_METHOD: usize = 32;
const MOST_HOST: usize = 255;
const MOST_PATH: usize = 1024;

thread_local! {
    static IDS: RefCell<RequestIds> = RefCell::new(RequestIds::new());
    static DATES: RefCell<(Option<u64>, Dates)> = RefCell::new((None, Dates::new()));
}
