//! The callbacks of pingora's state machine, for one request that is admitted already.
//!
//! Nothing is decided here that the core could decide, and nothing is written to the client that does not come from
//! the origin: what fails is noted in the [`Flight`] and answered when the connection is back.

use super::edit::{edit_request, edit_response, is_sound};
use super::flight::{Dialect, Fault, Flight, Plan, Presence, Reply, Story, Upgrade};
use crate::lane::express::MOST_INTERIM;
use crate::lane::wire::Persistence;
use crate::respond::GatewayError;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy, Peer};
use pingora_error::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_core::account::{End, UpstreamOutcome, UpstreamResult};
use weir_core::backend::Pick;
use weir_core::policy::Mode;

/// The callbacks of pingora's state machine.
pub(crate) struct Gate;

/// What one request has gone through so far.
#[derive(Default)]
pub(crate) struct Way {
    flight: Option<Arc<Flight>>,
    began: Option<Instant>, // of the first try
    choice: Option<Pick>,
    next: Option<Pick>, // decided when a try failed
    tried: Vec<SocketAddr>,
    stale: u32,
    interim: usize,
    body: u64, // bytes of the request body in this try
    sent: Option<Instant>,
}

#[async_trait]
impl ProxyHttp for Gate {
    type CTX = Way;

    fn new_ctx(&self) -> Way {
        Way::default()
    }

    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, way: &mut Way) -> Result<()> {
        let digest = session.digest().and_then(|digest| digest.proxy_digest.as_ref());
        let Some(flight) = digest.and_then(|digest| Flight::of(digest)).cloned() else {
            return Error::e_explain(ErrorType::InternalError, "a stream without a flight");
        };
        flight.enter();
        // The stream has its own, which know what they wait for.
        session.set_read_timeout(None);
        session.set_write_timeout(None);
        // Pingora looks at the first of several `Connection` fields only.
        if flight.plan.persistence == Persistence::Close {
            session.set_keepalive(None);
        }
        session.set_ignore_info_resp(flight.plan.dialect == Dialect::Http10);
        // Pingora would take a 100 for an answer that came before the body, and close behind every client that waits
        // for one. What does come before it is noticed in the response filter.
        session.set_close_on_response_before_downstream_finish(false);
        // What follows this request never reaches pingora.
        way.flight = Some(flight);
        Ok(())
    }

    async fn upstream_peer(&self, _: &mut Session, way: &mut Way) -> Result<Box<HttpPeer>> {
        let flight = way.flight()?;
        let choice = match way.next.take() {
            Some(choice) => choice,
            None => match flight.pick(&way.tried) {
                Some(choice) => choice,
                None => {
                    flight.tell(|story| story.reply = Some(Reply::Error(GatewayError::NoEndpoint)));
                    return Err(Error::new_in(ErrorType::HTTPStatus(503)));
                }
            },
        };
        if !way.tried.contains(&choice.address) {
            way.tried.push(choice.address);
        }
        let began = *way.began.get_or_insert_with(Instant::now);
        way.body = 0;
        way.interim = 0;
        way.sent = None;
        let peer = peer(&flight.plan, choice.address, began);
        way.choice = Some(choice);
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        way: &mut Way,
    ) -> Result<()> {
        let flight = way.flight()?;
        edit_request(request, session.req_header(), &flight.plan)?;
        way.sent = Some(Instant::now());
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        way: &mut Way,
    ) -> Result<()> {
        let flight = way.flight()?;
        let Some((limit, mode)) = flight.plan.body_limit.filter(|_| !session.was_upgraded()) else {
            return Ok(());
        };
        way.body += body.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match mode {
            _ if way.body <= limit => Ok(()),
            Mode::Observe => {
                flight.tell(|story| story.over_observed_limit = true);
                Ok(())
            }
            Mode::Enforce => {
                flight.note(Fault::BodyLimit);
                Err(Error::new_down(ErrorType::HTTPStatus(413)))
            }
        }
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        way: &mut Way,
    ) -> Result<()> {
        let flight = way.flight()?;
        let status = response.status.as_u16();
        if response.status.is_informational() && status != 101 {
            way.interim += 1;
            if way.interim > MOST_INTERIM {
                way.hear(UpstreamResult::InvalidResponse, 0);
                return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
            }
            if status == 100 {
                flight.go_on();
            }
            return Ok(());
        }
        way.hear(UpstreamResult::Respond, status);
        // Pingora compares what was offered with what was asked for, and finds two times nothing in order.
        if !is_sound(response) || (status == 101 && flight.plan.upgrade == Upgrade::Drop) {
            way.hear(UpstreamResult::InvalidResponse, status);
            return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
        }
        if flight.plan.origin.next.on_status.contains(&status) && way.may_repeat(session) && way.choose_next()
        {
            // Not an error of the origin's connection, but the only way to make pingora begin anew.
            return Err(Error::new_up(TRY_NEXT));
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        way: &mut Way,
    ) -> Result<()> {
        let flight = way.flight()?;
        if flight.is_draining() {
            // The process was asked to end while the origin was at work.
            session.set_keepalive(None);
        }
        if flight.plan.dialect == Dialect::Http10 && response.headers.contains_key(TRANSFER_ENCODING) {
            // The end of the connection will be the end of the body.
            session.set_keepalive(None);
        }
        if !response.status.is_informational() && !session.is_body_done() {
            // Nobody knows where the next request would begin.
            session.set_keepalive(None);
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            flight.upgrade();
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS || !response.status.is_informational() {
            flight.tell(|story| story.status = response.status.as_u16());
        }
        if may_go_on(session, response) {
            flight.begin_answer();
        }
        edit_response(response, &flight.plan)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        _: &mut Option<Bytes>,
        end: bool,
        way: &mut Way,
    ) -> Result<Option<Duration>> {
        if end {
            way.flight()?.end_answer();
        }
        // An upgraded connection goes on in the other direction.
        if end && !session.was_upgraded() {
            way.flight()?.release();
        }
        Ok(None)
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        reused: bool,
        _: &HttpPeer,
        _: RawFd,
        _: Option<&Digest>,
        way: &mut Way,
    ) -> Result<()> {
        if !reused {
            way.choice.iter().for_each(Pick::succeeded);
        }
        way.sent = Some(Instant::now());
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        way: &mut Way,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let late = matches!(error.etype(), ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout);
        way.hear(if late { UpstreamResult::TimeoutConnect } else { UpstreamResult::RefuseConnect }, 0);
        // Nothing was sent, so the method does not matter.
        let again = way.flight().is_ok_and(|flight| {
            if let Some(choice) = &way.choice {
                choice.failed(flight.now());
            }
            let next = &flight.plan.origin.next;
            if late { next.on_timeout } else { next.on_error }
        });
        error.set_retry(again && way.choose_next());
        error
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        way: &mut Way,
        reused: bool,
    ) -> Box<Error> {
        error.set_retry(false);
        if *error.esource() != ErrorSource::Upstream {
            return error;
        }
        if *error.etype() == TRY_NEXT {
            error.set_retry(true);
            return error;
        }
        let result = result_of(&error);
        let responded =
            session.response_written().is_some_and(|response| !response.status.is_informational());
        let reused = reused || way.flight().is_ok_and(|flight| flight.has_reused());
        let stale = reused && result == UpstreamResult::Reset && !way.was_heard();
        way.hear(result, 0);
        if responded || !way.may_repeat(session) {
            return error;
        }
        let Ok(flight) = way.flight() else { return error };
        let next = &flight.plan.origin.next;
        let again = match result {
            // The origin closed an idle connection while we took it: no fault of the endpoint, so the same one again.
            _ if stale && way.stale < MOST_STALE => {
                way.stale += 1;
                way.next = way.choice.take();
                error.set_retry(true);
                return error;
            }
            UpstreamResult::TimeoutRead => next.on_timeout,
            UpstreamResult::InvalidResponse => next.on_invalid_header,
            _ => next.on_error,
        };
        error.set_retry(again && way.choose_next());
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, way: &mut Way) -> FailToProxy {
        let responded =
            session.response_written().is_some_and(|response| !response.status.is_informational());
        let part = !session.is_body_done();
        if let Some(flight) = &way.flight {
            flight.tell(|story| conclude(story, error, responded || flight.is_upgraded(), part));
        }
        FailToProxy { error_code: 0, can_reuse_downstream: false }
    }

    fn suppress_error_log(&self, _: &Session, _: &Way, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Way, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }
}

impl Way {
    fn flight(&self) -> Result<Arc<Flight>> {
        self.flight.clone().ok_or_else(|| Error::new_in(ErrorType::InternalError))
    }

    /// Notes how the exchange with the chosen endpoint stands.
    fn hear(&self, result: UpstreamResult, status: u16) {
        let (Some(flight), Some(address)) = (&self.flight, self.tried.last()) else { return };
        let latency = self.sent.map_or(Duration::ZERO, |sent| sent.elapsed());
        let tries = u32::try_from(self.tried.len()).unwrap_or(u32::MAX);
        flight.tell(|story| match &mut story.upstream {
            // The response began: its time and status stay.
            Some(heard) if status == 0 && heard.status != 0 && heard.address == *address => {
                heard.result = result;
            }
            other => *other = Some(UpstreamOutcome { address: *address, tries, status, latency, result }),
        });
    }

    /// Whether the endpoint of this try has begun to respond.
    fn was_heard(&self) -> bool {
        let (Some(flight), Some(address)) = (&self.flight, self.tried.last()) else { return false };
        flight.tell(|story| {
            story.upstream.as_ref().is_some_and(|heard| heard.status != 0 && heard.address == *address)
        })
    }

    /// Whether the request may be sent once more although an origin may have acted on it.
    fn may_repeat(&self, session: &Session) -> bool {
        let Some(flight) = &self.flight else { return false };
        let method = &session.req_header().method;
        let idempotent = method.is_idempotent() || flight.plan.origin.next.non_idempotent;
        idempotent && !session.retry_buffer_truncated() && !flight.is_upgraded()
    }

    /// Chooses the endpoint of another try, if policy allows one and there is one.
    fn choose_next(&mut self) -> bool {
        let Some(flight) = &self.flight else { return false };
        let next = &flight.plan.origin.next;
        let tries = usize::try_from(next.tries).unwrap_or(usize::MAX);
        let spent =
            self.began.is_some_and(|began| !next.timeout.is_zero() && began.elapsed() >= next.timeout);
        if spent || (tries != 0 && self.tried.len() >= tries) {
            return false;
        }
        self.next = flight.pick(&self.tried);
        self.next.is_some()
    }
}

/// How pingora connects to an endpoint.
fn peer(plan: &Plan, address: SocketAddr, began: Instant) -> HttpPeer {
    let origin = &plan.origin;
    let mut peer = HttpPeer::new(address, false, String::new());
    // Pingora looks for an idle connection by address and this number.
    peer.group_key = plan.dial.as_ref().map_or(0, |dial| dial.number());
    if let Some(options) = peer.get_mut_peer_options() {
        let left = match origin.next.timeout {
            Duration::ZERO => origin.connect_timeout,
            most => most.saturating_sub(began.elapsed()).max(LEAST_CONNECT).min(origin.connect_timeout),
        };
        options.connection_timeout = Some(left);
        options.total_connection_timeout = Some(left);
        // Pingora waits for the response from the start. A client that pauses while it sends must not look like an
        // origin that is slow.
        options.read_timeout = Some(match plan.presence {
            Presence::Whole => origin.read_timeout,
            Presence::Part => origin.read_timeout.max(plan.body_timeout + BODY_TIMEOUT_FIRST),
        });
        options.write_timeout = Some(origin.send_timeout);
        options.idle_timeout = Some(IDLE);
        if let Some(dial) = plan.dial.clone() {
            options.idle_timeout = Some(dial.idle_timeout(IDLE));
            options.custom_l4 = Some(dial);
        }
        if origin.protocol.is_h2() {
            // Without TLS this is prior knowledge; there is no way back to HTTP/1.1, which has no trailers here.
            options.alpn = ALPN::H2;
            options.max_h2_streams = MOST_H2_STREAMS;
        }
        // Upgrades are offered again with the protocol that was asked for; pingora knows of websockets only.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
    }
    peer
}

/// Whether a response has a body whose length nobody knows.
fn may_go_on(session: &Session, response: &ResponseHeader) -> bool {
    !response.status.is_informational()
        && !matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        && session.req_header().method != Method::HEAD
        && !response.headers.contains_key(CONTENT_LENGTH)
}

/// What an error on an origin's connection means.
fn result_of(error: &Error) -> UpstreamResult {
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => UpstreamResult::TimeoutRead,
        ErrorType::ReadError
        | ErrorType::WriteError
        | ErrorType::ConnectionClosed
        // A stream that was reset, or a connection that says goodbye.
        | ErrorType::H2Error => UpstreamResult::Reset,
        // Pingora's name for a body that ended before its length was there.
        ErrorType::Custom("PrematureBodyEnd") => UpstreamResult::Reset,
        _ => UpstreamResult::InvalidResponse,
    }
}

/// What an error means that ended the request.
fn conclude(story: &mut Story, error: &Error, responded: bool, part: bool) {
    let client_is_gone = matches!(
        error.etype(),
        ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed | ErrorType::WriteTimedout
    );
    let answer = match (story.fault, error.esource()) {
        (Some(Fault::WriteTimeout), _) => None,
        (Some(Fault::BodyTimeout), _) => Some(Reply::Error(GatewayError::RequestTimeout)),
        (Some(Fault::MalformedBody), _) => Some(Reply::Error(GatewayError::MalformedRequest)),
        (Some(Fault::BodyLimit), _) => Some(Reply::RefuseBody),
        (None, ErrorSource::Downstream) if client_is_gone => None,
        (None, ErrorSource::Downstream) => Some(Reply::Error(GatewayError::MalformedRequest)),
        (None, ErrorSource::Upstream) => {
            let result = story.upstream.as_ref().map(|heard| heard.result);
            match result.and_then(GatewayError::of_upstream) {
                // It was the client that had not sent its body.
                Some(GatewayError::OriginTimeout) if part => {
                    story.fault = Some(Fault::BodyTimeout);
                    Some(Reply::Error(GatewayError::RequestTimeout))
                }
                error => Some(Reply::Error(error.unwrap_or(GatewayError::OriginReset))),
            }
        }
        (None, ErrorSource::Internal | ErrorSource::Unset) => {
            story.reply.or(Some(Reply::Error(GatewayError::Internal)))
        }
    };
    let by_origin = story.fault.is_none() && *error.esource() == ErrorSource::Upstream;
    story.end = match answer {
        Some(_) if !responded => End::Complete,
        Some(_) if by_origin => End::OriginAbort,
        _ => End::ClientAbort,
    };
    story.reply = answer.filter(|_| !responded);
}

/// Makes pingora go to the endpoint that was chosen.
const TRY_NEXT: ErrorType = ErrorType::Custom("TryNextEndpoint");
/// Connections that turned out to be closed before an endpoint counts as failing.
const MOST_STALE: u32 = 2;
/// Streams of one connection to an origin, where the origin does not want fewer.
const MOST_H2_STREAMS: usize = 100;
/// How long an unused connection to an origin is kept.
const IDLE: Duration = Duration::from_secs(60);
/// A last try gets at least this, however little of the time for all tries is left.
const LEAST_CONNECT: Duration = Duration::from_millis(50);
/// By so much the client's deadline for its body comes before the origin's for the response.
const BODY_TIMEOUT_FIRST: Duration = Duration::from_secs(1);
