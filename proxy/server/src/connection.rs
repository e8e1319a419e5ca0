//! A client connection from its first byte to its last: heads are read and judged here, requests are admitted here, and
//! each goes down its lane.

use crate::abort::{Abort, Stage};
use crate::access_log::{Failed, Lane, MOST_SKETCHED, Protocol, Sketch};
use crate::buffers;
use crate::conn::{Conn, ConnInfo, Stop};
use crate::exchange::{Exchange, with_date};
use crate::lane::bounds::{self, MAX_FIELDS, Scan};
use crate::lane::express::{self, After, WireHeaders};
use crate::lane::h2;
use crate::lane::pingora::strict::{self, BodyLength, Head, Malformed, Version};
use crate::lane::wire::{CAP, Persistence, RequestHead, RequestReading, read_request};
use crate::linger;
use crate::pace::Intake;
use crate::respond::{Accept, Ask, BodyPart, GatewayError, Response, Then};
use crate::shared::{Lanes, Shared};
use crate::socket::Socket;
use crate::worker::Worker;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use weir_core::facts::Facts;
use weir_core::policy::BodyRate;
use weir_core::tls::ClientTls;
use weir_http2::frame::PREFACE;

/// Serves the requests of one connection until it is over.
pub async fn serve(socket: Socket, info: ConnInfo, worker: Arc<Worker>) {
    let mut conn = Conn::new(socket, info);
    if conn.socket.speaks_h2() {
        // Boxed for the sake of all that speak HTTP/1.1.
        return Box::pin(h2::serve(conn, worker)).await;
    }
    let h2c = worker.shared.h2c && conn.socket.plain().is_some();
    let mut preface = if h2c { Preface::Possible } else { Preface::Past };
    while wait_for_request(&mut conn, &worker.shared).await.is_ok() {
        conn.info.requests = conn.info.requests.saturating_add(1);
        let begun = match preface {
            Preface::Past => begin(&conn, &worker.shared),
            Preface::Possible => None,
        };
        // Boxed, so that an idle connection pays for its socket and not for the largest request.
        let served = match begun {
            None => Box::pin(serve_one(conn, preface, &worker)).await,
            Some((head, exchange)) if is_soon_refused(&head, &exchange, &conn, &worker.shared) => {
                match refuse_soon(&mut conn, exchange, head.head, &worker.shared).await {
                    Ok(()) => continue,
                    Err(_) => None,
                }
            }
            Some((head, exchange)) => Box::pin(express(conn, head, exchange, &worker)).await,
        };
        match served {
            Some(back) => conn = back,
            None => return,
        }
        preface = Preface::Past;
    }
    conn.socket.close();
}

/// Admits a request whose whole head has come, and is one for the express lane: the common case, for which nothing is
/// awaited.
fn begin(conn: &Conn, shared: &Arc<Shared>) -> Option<(RequestHead, Box<Exchange>)> {
    let (Lanes::Auto, RequestReading::Complete(head)) = (shared.lanes, read_request(conn.data())) else {
        return None;
    };
    // What is too large is answered where heads are read.
    bounds::check(conn.data(), head.head, head.fields, shared.timeouts().head_bounds).ok()?;
    let exchange = admit(conn, &head, shared);
    Some((head, exchange))
}

/// One request, of which the first bytes are there. Returns the connection if it stays.
async fn serve_one(mut conn: Conn, preface: Preface, worker: &Arc<Worker>) -> Option<Conn> {
    match read_head(&mut conn, preface, &worker.shared).await {
        Ok(Next::Http2) => {
            h2::serve(conn, worker.clone()).await;
            None
        }
        Ok(Next::Express(head)) => {
            let exchange = admit(&conn, &head, &worker.shared);
            express(conn, head, exchange, worker).await
        }
        Ok(Next::General { received, len }) => general(conn, received, len, worker).await,
        Err(unread) => {
            end_unread(conn, unread, &worker.shared).await;
            None
        }
    }
}

/// A head that was read.
enum Next {
    /// Plain, strict and complete.
    Express(RequestHead),
    /// Anything else: what was received, beginning with a head of `len` bytes.
    General { received: Vec<u8>, len: usize },
    /// No head, but the preface of HTTP/2.
    Http2,
}

/// Whether a client may begin with the preface of HTTP/2 here ("prior knowledge", RFC 9113 section 3.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Preface {
    /// These are its first bytes.
    Possible,
    /// It speaks HTTP/1.1, or must.
    Past,
}

/// Why there is no head, and what there is.
struct Unread {
    /// What the client is told; `None` when it is gone.
    error: Option<GatewayError>,
    /// The rule that is broken.
    fault: Option<Malformed>,
    /// How the client's side broke off.
    abort: Option<Abort>,
    /// The beginning of what was received.
    received: Vec<u8>,
    /// How many bytes that was.
    bytes: usize,
}

impl Unread {
    fn because(error: GatewayError, received: &[u8]) -> Self {
        let beginning = received.get(..MOST_SKETCHED).unwrap_or(received).to_vec();
        Self { error: Some(error), fault: None, abort: None, received: beginning, bytes: received.len() }
    }

    fn malformed(fault: Malformed, received: &[u8], shared: &Shared) -> Self {
        shared.counters.malformed(fault);
        Self { fault: Some(fault), ..Self::because(gateway_error(fault), received) }
    }

    fn stopped(stop: Stop, received: &[u8]) -> Self {
        let unread = Self::because(GatewayError::RequestTimeout, received);
        let error = unread.error.filter(|_| stop == Stop::Late);
        Self { error, abort: Some(Abort::at(Stage::Head, stop)), ..unread }
    }
}

/// Reads the head of a request: from the first byte to the last in [`Timeouts::head`]
/// (crate::timeouts::Timeouts::head), whatever the pieces.
async fn read_head(conn: &mut Conn, preface: Preface, shared: &Shared) -> Result<Next, Unread> {
    let mut armed = false;
    loop {
        // Decided at the first byte that differs: whoever does not speak HTTP/2 may have no more to say.
        let differs = || conn.data().iter().zip(PREFACE).any(|(byte, expected)| byte != expected);
        if preface == Preface::Possible && !differs() {
            if conn.data().len() >= PREFACE.len() {
                return Ok(Next::Http2);
            }
            fill_head(conn, &mut armed, shared).await?;
            continue;
        }
        skip_empty_lines(conn);
        let data = conn.data();
        let reading = if shared.lanes == Lanes::Auto { read_request(data) } else { RequestReading::Partial };
        let bounds = shared.timeouts().head_bounds;
        let malformed = |fault| Unread::malformed(fault, data, shared);
        if let RequestReading::Complete(head) = reading {
            bounds::check(data, head.head, head.fields, bounds).map_err(malformed)?;
            return Ok(Next::Express(head));
        }
        if let Some(len) = Scan::new(bounds).look(data).map_err(malformed)? {
            if let RequestReading::Decline(why) = reading {
                shared.counters.declined(why);
            }
            return Ok(Next::General { received: conn.take_input(), len });
        }
        if data.len() >= CAP {
            let received = data.to_vec();
            conn.consume(received.len());
            return read_long_head(conn, received, shared).await;
        }
        fill_head(conn, &mut armed, shared).await?;
    }
}

/// Reads more of a head, whose deadline runs since its first byte.
async fn fill_head(conn: &mut Conn, armed: &mut bool, shared: &Shared) -> Result<(), Unread> {
    if !std::mem::replace(armed, true) {
        conn.deadline.set(shared.timeouts().head);
    }
    conn.fill().await.map(|_| ()).map_err(|stop| Unread::stopped(stop, conn.data()))
}

/// A head that outgrows the buffer. The deadline is set already.
async fn read_long_head(conn: &mut Conn, mut received: Vec<u8>, shared: &Shared) -> Result<Next, Unread> {
    let mut scan = Scan::new(shared.timeouts().head_bounds);
    loop {
        match scan.look(&received) {
            Ok(Some(len)) => {
                received.append(&mut conn.take_input());
                return Ok(Next::General { received, len });
            }
            Ok(None) => {}
            Err(fault) => return Err(Unread::malformed(fault, &received, shared)),
        }
        if let Err(stop) = conn.fill().await {
            return Err(Unread::stopped(stop, &received));
        }
        received.extend_from_slice(conn.data());
        conn.consume(conn.data().len());
    }
}

/// The idle phase: no buffer is held, and the end of the process ends it soon.
async fn wait_for_request(conn: &mut Conn, shared: &Shared) -> Result<(), Stop> {
    if !conn.data().is_empty() {
        return Ok(());
    }
    let timeouts = shared.timeouts();
    let idle = if conn.info.requests == 0 { timeouts.first() } else { timeouts.idle };
    conn.deadline.set(idle);
    let mut last_call = false;
    let filled = poll_fn(|cx| match conn.poll_fill(cx) {
        // Its next request may be on the way; a connection closed in its face would lose it.
        Poll::Pending if shared.is_draining() && !last_call => {
            last_call = true;
            conn.deadline.set(LAST_CALL.min(idle));
            conn.poll_fill(cx)
        }
        polled => polled,
    });
    let filled = filled.await.map(|_| ());
    if let Err(stop @ (Stop::Late | Stop::Fail)) = filled {
        shared.counters.client_abort(Abort::at(Stage::Idle, stop));
    }
    filled
}

/// RFC 9112 section 2.2: empty lines in front of a request are ignored.
fn skip_empty_lines(conn: &mut Conn) {
    while conn.data().starts_with(b"\r\n") {
        conn.consume(2);
    }
}

/// Admits a request for the express lane.
fn admit(conn: &Conn, head: &RequestHead, shared: &Arc<Shared>) -> Box<Exchange> {
    let data = conn.data();
    let facts = Facts {
        peer: conn.info.peer.ip(),
        port: conn.info.local.port(),
        scheme: conn.info.scheme,
        tls: conn.socket.client_tls().map(Arc::as_ref),
        method: head.method.name(),
        host: head.host.of(data),
        path: head.path.of(data),
        query: head.query.of(data),
        content_length: Some(head.content_length as u64).filter(|length| *length > 0),
        head_bytes: head.head,
        headers: &WireHeaders { data, head },
    };
    let mut exchange = Exchange::admit(shared, &facts, Lane::Express, Protocol::Http11);
    exchange.came_by(&conn.info);
    exchange
}

/// A request for the express lane, admitted or refused.
async fn express(
    mut conn: Conn,
    head: RequestHead,
    mut exchange: Box<Exchange>,
    worker: &Worker,
) -> Option<Conn> {
    let shared = &worker.shared;
    if exchange.refusal().is_some() {
        exchange.outcome.bytes_in = head.head as u64;
        let then = then_after(&head, &conn, shared);
        return refuse(conn, exchange, head.head, head.content_length, then, shared).await;
    }
    if exchange.route().is_some_and(|(_, policy)| !express::serves(&policy.origin, conn.info.scheme)) {
        exchange.change_lane(Lane::Pingora);
        let received = conn.take_input();
        return whole_to_pingora(conn, received, head.total(), exchange, worker).await;
    }
    match express::serve(&mut conn, &head, exchange, shared).await {
        After::Next => Some(conn),
        After::Close if head.persistence == Persistence::Close && conn.data().is_empty() => {
            conn.socket.close();
            None
        }
        After::Close => {
            linger::close(conn.socket);
            None
        }
        After::Reset => {
            let _ = socket2::SockRef::from(conn.socket.tcp()).set_linger(Some(Duration::ZERO));
            None
        }
        After::Defer(mut exchange) => {
            exchange.change_lane(Lane::Pingora);
            let received = conn.take_input();
            to_pingora(conn, received, exchange, worker).await
        }
    }
}

fn then_after(head: &RequestHead, conn: &Conn, shared: &Shared) -> Then {
    match head.persistence {
        Persistence::KeepAlive if !shared.is_last(&conn.info) => Then::Keep,
        _ => Then::Close,
    }
}

/// Whether all that there is to do is to answer.
fn is_soon_refused(head: &RequestHead, exchange: &Exchange, conn: &Conn, shared: &Shared) -> bool {
    exchange.refusal().is_some() && head.content_length == 0 && then_after(head, conn, shared) == Then::Keep
}

/// A request for pingora's lane. It is judged and admitted here: what is refused never gets there.
async fn general(mut conn: Conn, received: Vec<u8>, len: usize, worker: &Worker) -> Option<Conn> {
    let shared = &worker.shared;
    let most = shared.timeouts().head_bounds;
    let (mut exchange, refused, body) =
        match strict::read(&received, bounds::slots(&mut [httparse::EMPTY_HEADER; MAX_FIELDS], most)) {
            Err(malformed) => {
                end_unread(conn, Unread::malformed(malformed, &received, shared), shared).await;
                return None;
            }
            Ok(head) => {
                let facts = facts(&conn.info, conn.socket.client_tls().map(Arc::as_ref), &head);
                let mut exchange = Exchange::admit(shared, &facts, Lane::Pingora, protocol(head.version));
                exchange.came_by(&conn.info);
                let refused = exchange
                    .refusal()
                    .is_some()
                    .then(|| (discardable(&head), then(&head, &conn.info, shared)));
                (exchange, refused, buffered(&head))
            }
        };
    match refused {
        None => {
            let most = exchange.route().map_or(0, |(_, policy)| policy.body.buffer);
            let total = len.saturating_add(body.filter(|body| *body as u64 <= most).unwrap_or(0));
            whole_to_pingora(conn, received, total, exchange, worker).await
        }
        Some((body, then)) => {
            // What came behind the head is the body, or the next request.
            conn = Conn::resume(conn.socket, conn.info, received.get(len..).unwrap_or_default().to_vec());
            let (body, then) = body.map_or((0, Then::Close), |body| (body, then));
            exchange.outcome.bytes_in = len as u64;
            refuse(conn, exchange, 0, body, then, shared).await
        }
    }
}

/// The length of a body that may be received before the origin is contacted: then the origin's time does not run while
/// the client takes its own. A client that waits for `100 Continue` sends nothing before.
fn buffered(head: &Head<'_, '_>) -> Option<usize> {
    match head.body {
        BodyLength::Known(length) if !head.expects_continue => usize::try_from(length).ok(),
        _ => None,
    }
}

/// Hands a request over once `received` has `total` bytes of it.
async fn whole_to_pingora(
    mut conn: Conn,
    mut received: Vec<u8>,
    total: usize,
    mut exchange: Box<Exchange>,
    worker: &Worker,
) -> Option<Conn> {
    let shared = &worker.shared;
    let asked = exchange.route().map_or(BodyRate::Unset, |(_, policy)| policy.body.min_rate);
    if let Err(stop) = receive(&mut conn, &mut received, total, asked, shared).await {
        exchange.outcome.bytes_in = received.len() as u64;
        express::without_body(&mut conn, exchange, stop, shared).await;
        linger::close(conn.socket);
        return None;
    }
    to_pingora(conn, received, exchange, worker).await
}

/// Reads until `received` has `total` bytes.
async fn receive(
    conn: &mut Conn,
    received: &mut Vec<u8>,
    total: usize,
    asked: BodyRate,
    shared: &Shared,
) -> Result<(), Stop> {
    let mut intake = Intake::new(asked, shared);
    while received.len() < total {
        intake.fill(conn, shared).await?;
        received.extend_from_slice(conn.data());
        conn.consume(conn.data().len());
    }
    Ok(())
}

async fn to_pingora(conn: Conn, received: Vec<u8>, exchange: Box<Exchange>, worker: &Worker) -> Option<Conn> {
    let Conn { socket, info, .. } = conn;
    let (socket, rest) = worker.pingora.serve(socket, received, info, exchange).await?;
    Some(Conn::resume(socket, info, rest))
}

fn facts<'a>(info: &ConnInfo, tls: Option<&'a ClientTls>, head: &'a Head<'_, '_>) -> Facts<'a> {
    Facts {
        peer: info.peer.ip(),
        port: info.local.port(),
        scheme: info.scheme,
        tls,
        method: head.method,
        host: head.host,
        path: head.path,
        query: head.query,
        content_length: match head.body {
            BodyLength::Known(length) => Some(length),
            BodyLength::Chunked => None,
        },
        head_bytes: head.len,
        headers: &head.fields,
    }
}

/// The bytes of a refused request's body that are read and dropped to keep the connection; `None` when closing it is
/// better: the body is long, its end is unknown, or the client may not send it at all.
fn discardable(head: &Head<'_, '_>) -> Option<usize> {
    match head.body {
        BodyLength::Known(0) => Some(0),
        _ if head.expects_continue => None,
        BodyLength::Known(length) => usize::try_from(length).ok().filter(|length| *length <= MOST_DISCARDED),
        BodyLength::Chunked => None,
    }
}

fn then(head: &Head<'_, '_>, info: &ConnInfo, shared: &Shared) -> Then {
    match head.version {
        _ if !head.persistent || shared.is_last(info) => Then::Close,
        Version::Http10 => Then::KeepHttp10,
        Version::Http11 => Then::Keep,
    }
}

/// Answers a refused request that is nothing but a head of `head` bytes, on a connection that stays.
async fn refuse_soon(
    conn: &mut Conn,
    mut exchange: Box<Exchange>,
    head: usize,
    shared: &Shared,
) -> Result<(), Stop> {
    exchange.outcome.bytes_in = head as u64;
    tell_refusal(conn, exchange, Then::Keep, shared).await?;
    conn.consume(head);
    Ok(())
}

/// Answers a refused request: its head is the first `head` bytes of the input, and `body` more bytes follow.
async fn refuse(
    mut conn: Conn,
    exchange: Box<Exchange>,
    head: usize,
    body: usize,
    then: Then,
    shared: &Shared,
) -> Option<Conn> {
    tell_refusal(&mut conn, exchange, then, shared).await.ok()?;
    conn.consume(head);
    if then == Then::Close {
        linger::close(conn.socket);
        return None;
    }
    match discard(&mut conn, body, shared).await {
        Ok(()) => Some(conn),
        Err(stop) => {
            shared.counters.client_abort(Abort::at(Stage::Body, stop));
            None
        }
    }
}

/// Sends a refusal, and closes its account.
async fn tell_refusal(
    conn: &mut Conn,
    mut exchange: Box<Exchange>,
    then: Then,
    shared: &Shared,
) -> Result<(), Stop> {
    let mut text = buffers::take_text();
    exchange.write_refusal(then, &mut text);
    let sent = conn.write_all(&text, shared.timeouts().write).await;
    buffers::give_text(text);
    exchange.answered(sent);
    sent
}

/// Reads and drops `left` bytes.
async fn discard(conn: &mut Conn, mut left: usize, shared: &Shared) -> Result<(), Stop> {
    let mut intake = Intake::new(BodyRate::Unset, shared);
    loop {
        let here = conn.data().len().min(left);
        conn.consume(here);
        left -= here;
        if left == 0 {
            return Ok(());
        }
        intake.fill(conn, shared).await?;
    }
}

/// Ends a connection on which no request was admitted: tells the client what is wrong, if it is there, and the log.
async fn end_unread(mut conn: Conn, unread: Unread, shared: &Shared) {
    let mut abort = unread.abort;
    let mut text = buffers::take_text();
    if let Some(error) = unread.error {
        shared.counters.gateway_error(error);
        with_date(shared, |date| {
            let ask = Ask {
                accept: Accept::Text,
                body: BodyPart::Send,
                then: Then::Close,
                request_id: None,
                hsts: None,
                date,
            };
            Response::error(error, ask).write_http1(&mut text);
        });
        if let Err(stop) = conn.write_all(&text, shared.timeouts().write).await {
            abort = Some(Abort::at(Stage::Response, stop));
            text.clear();
        }
    }
    abort.into_iter().for_each(|abort| shared.counters.client_abort(abort));
    let (client, peer) = conn.info.ends();
    let failed = Failed {
        client,
        peer,
        error: unread.error,
        fault: unread.fault,
        abort,
        sketch: Sketch::of(&unread.received),
        bytes_in: unread.bytes,
        bytes_out: text.len(),
    };
    // What closes after line ends alone is no request that failed.
    if let Some(log) = shared.access_log()
        && (unread.error.is_some() || unread.bytes > 0)
    {
        log.write_failed(shared.clock.wall(), &failed);
    }
    if !text.is_empty() {
        linger::close(conn.socket);
    }
    buffers::give_text(text);
}

fn protocol(version: Version) -> Protocol {
    match version {
        Version::Http10 => Protocol::Http10,
        Version::Http11 => Protocol::Http11,
    }
}

/// What a client is told whose head cannot be served.
pub(crate) fn gateway_error(malformed: Malformed) -> GatewayError {
    match malformed {
        Malformed::RequestLine => GatewayError::UriTooLong,
        Malformed::FieldCount | Malformed::FieldLine | Malformed::HeadLength => GatewayError::HeadTooLarge,
        Malformed::Version => GatewayError::Version,
        Malformed::Method => GatewayError::MethodNotAllowed,
        Malformed::TransferCoding => GatewayError::NotImplemented,
        Malformed::Expect => GatewayError::ExpectationFailed,
        _ => GatewayError::MalformedRequest,
    }
}

/// How long an idle connection is heard once the process ends.
const LAST_CALL: Duration = Duration::from_secs(1);
/// Most bytes of a refused request's body that are read so that the connection can stay.
const MOST_DISCARDED: usize = 64 * 1024;
