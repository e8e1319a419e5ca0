//! Clients that mean no good. Each arrival is one connection, held for a bounded time; there are never more at once than
//! the generator's connections.

use super::http2::{Io, dial, head};
use super::{DriveError, Job, parse::Reader, poller::thread_cpu, timetable, tls};
use crate::message::Template;
use crate::plan::{Client, Planned, client};
use crate::record::{Failure, Outcome, Tally};
use crate::scenario::value::{Size, Span};
use crate::scenario::{Behaviour, Body, Class, Ending, Protocol, Transport};
use rustls::ClientConfig;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// Does a part of the plan.
pub(super) fn run(job: &Job) -> Result<Tally, DriveError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = |protocol: &[u8]| tls::config(&[protocol]).map_err(io::Error::other);
    let engine = Rc::new(Engine {
        http1: config(b"http/1.1")?,
        http2: config(b"h2")?,
        tally: RefCell::new(Tally::new(job.scenario.classes.len(), job.seconds)),
        places: Semaphore::new(job.connections()),
        job: job.clone(),
    });
    LocalSet::new()
        .block_on(&runtime, timetable::keep(job, &engine.tally, |planned| engine.clone().one(planned)));
    let mut tally = engine.tally.borrow().clone();
    tally.cpu = thread_cpu();
    Ok(tally)
}

struct Engine {
    job: Job,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    tally: RefCell<Tally>,
    places: Semaphore,
}

impl Engine {
    async fn one(self: Rc<Self>, planned: Planned) {
        if self.places.available_permits() == 0 {
            self.tally.borrow_mut().waited += 1;
        }
        let Ok(_place) = self.places.acquire().await else { return };
        let outcome = match self.behave(&planned).await {
            Ok(ending) => Outcome::Ended(ending),
            Err(_) => Outcome::Failed(Failure::Connect),
        };
        self.tally.borrow_mut().count(&planned, self.job.clock.now(), outcome);
        self.job.progress.step();
    }

    async fn behave(&self, planned: &Planned) -> io::Result<Ending> {
        let class =
            self.job.scenario.classes.get(usize::from(planned.class)).ok_or(io::ErrorKind::NotFound)?;
        let (replicas, _) = self.job.targets.snapshot();
        let number = planned.client as usize % replicas.len().max(1);
        let (_, target) = replicas.get(number).copied().ok_or(io::ErrorKind::NotConnected)?;
        let who = client(&class.identity, planned.client);
        let mut class = class.clone();
        let config = match class.behaviour {
            Behaviour::RapidReset { .. } => &self.http2,
            Behaviour::HandshakeFlood { .. } => {
                class.request.transport = Transport::Tls;
                &self.http1
            }
            _ => &self.http1,
        };
        // A target that closes while we are still dialling has refused us.
        match tokio::time::timeout(DIAL, dial(config, &class, planned.ask, &who, target)).await {
            Ok(Ok(stream)) => Ok(act(stream, &class, planned.ask, &who).await),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(error),
            Ok(Err(_)) => Ok(Ending::Closed),
            Err(_) => Ok(Ending::Endured),
        }
    }
}

async fn act(stream: Box<dyn Io>, class: &Class, ask: u16, who: &Client) -> Ending {
    match class.behaviour {
        Behaviour::RapidReset { streams, lasts } => reset(stream, class, ask, who, streams, lasts).await,
        // Requests are another engine's.
        Behaviour::Request => Ending::Endured,
        Behaviour::ConnectionFlood { lasts } | Behaviour::HandshakeFlood { lasts } => {
            let (read, write) = tokio::io::split(stream);
            until_answer(read, silence(write), lasts).await
        }
        Behaviour::SlowHead { every, lasts } => {
            let bytes = request(class, ask, who);
            let (read, write) = tokio::io::split(stream);
            until_answer(read, trickle(write, Vec::new(), bytes, every), lasts).await
        }
        Behaviour::SlowBody { every, lasts } => {
            let mut class = class.clone();
            class.request.method = "POST".to_owned();
            class.request.body = Body::Sized { size: Size(SLOW_BODY) };
            let mut first = Vec::new();
            Template::new(&class, ask).write_head(who, &mut first);
            let (read, write) = tokio::io::split(stream);
            until_answer(read, trickle(write, first, vec![b'x'; SLOW_BODY as usize], every), lasts).await
        }
        Behaviour::SlowRead { every, lasts } => {
            slow_read(stream, request(class, ask, who), every, lasts).await
        }
        Behaviour::HugeHead { size, lasts } => {
            let mut class = class.clone();
            let fields = (size.0 / FIELD).max(1);
            let value = "x".repeat(FIELD as usize - "x-00000: \r\n".len());
            let headers = (0..fields).map(|number| (format!("x-{number:05}"), value.clone()));
            class.request.headers.extend(headers);
            let (read, write) = tokio::io::split(stream);
            until_answer(read, pour(write, request(&class, ask, who)), lasts).await
        }
        Behaviour::ChunkedOverSize { size, lasts } => {
            let mut class = class.clone();
            class.request.method = "POST".to_owned();
            class.request.body = Body::Chunked { size };
            let (read, write) = tokio::io::split(stream);
            until_answer(read, pour(write, request(&class, ask, who)), lasts).await
        }
    }
}

fn request(class: &Class, ask: u16, who: &Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    Template::new(class, ask).write(who, &mut bytes);
    bytes
}

/// Reads until there is an answer or an end, and does something meanwhile. What is done may end first: that says
/// nothing, for a target may answer what it has stopped reading.
async fn until_answer(
    mut read: ReadHalf<Box<dyn Io>>,
    doing: impl Future<Output = ()>,
    lasts: Span,
) -> Ending {
    let reading = async {
        let mut reader = Reader::default();
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let count = read.read(&mut bytes).await.unwrap_or(0);
            if count == 0 {
                return reader.end().map_or(Ending::Closed, |response| answered(response.status));
            }
            match reader.feed(bytes.get(..count).unwrap_or_default()) {
                Ok(Some((response, _))) => return answered(response.status),
                Ok(None) => {}
                Err(_) => return Ending::Closed,
            }
        }
    };
    let both = async {
        tokio::pin!(reading, doing);
        tokio::select! {
            ending = &mut reading => ending,
            () = &mut doing => reading.await,
        }
    };
    tokio::time::timeout(lasts.0, both).await.unwrap_or(Ending::Endured)
}

fn answered(status: u16) -> Ending {
    if (400..500).contains(&status) || status == 503 { Ending::Refused } else { Ending::Answered }
}

/// Keeps the connection and says nothing.
async fn silence(_write: WriteHalf<Box<dyn Io>>) {
    std::future::pending::<()>().await;
}

async fn trickle(mut write: WriteHalf<Box<dyn Io>>, first: Vec<u8>, bytes: Vec<u8>, every: Span) {
    if write.write_all(&first).await.is_err() {
        return;
    }
    for byte in bytes {
        tokio::time::sleep(every.0).await;
        if write.write_all(&[byte]).await.is_err() || write.flush().await.is_err() {
            return;
        }
    }
    silence(write).await;
}

async fn pour(mut write: WriteHalf<Box<dyn Io>>, bytes: Vec<u8>) {
    let _ = write.write_all(&bytes).await;
    let _ = write.flush().await;
    silence(write).await;
}

/// Asks, and takes one byte at a time; the system takes little more. Whoever gives up on such a client closes, which it
/// sees when it has read what came before.
async fn slow_read(stream: Box<dyn Io>, request: Vec<u8>, every: Span, lasts: Span) -> Ending {
    let (mut read, mut write) = tokio::io::split(stream);
    let reading = async {
        if write.write_all(&request).await.is_err() {
            return Ending::Closed;
        }
        let mut reader = Reader::default();
        loop {
            tokio::time::sleep(every.0).await;
            let Ok(byte) = read.read_u8().await else { return Ending::Closed };
            match reader.feed(&[byte]) {
                Ok(None) => {}
                Ok(Some((response, _))) => return answered(response.status),
                Err(_) => return Ending::Closed,
            }
        }
    };
    tokio::time::timeout(lasts.0, reading).await.unwrap_or(Ending::Endured)
}

/// Opens streams and resets each at once (CVE-2023-44487).
async fn reset(
    stream: Box<dyn Io>,
    class: &Class,
    ask: u16,
    who: &Client,
    streams: u64,
    lasts: Span,
) -> Ending {
    let mut class = class.clone();
    class.request.protocol = Protocol::Http2;
    let flooding = async {
        let Ok((mut sender, connection)) = h2::client::handshake(stream).await else {
            return Ending::Closed;
        };
        let opening = async move {
            for _ in 0..streams {
                let (Ok(ready), Ok(request)) = (sender.ready().await, head(&class, ask, who)) else { break };
                sender = ready;
                let Ok((_, mut opened)) = sender.send_request(request, false) else { break };
                opened.send_reset(h2::Reason::CANCEL);
                // The frames go out before the next are made: none overtake each other in a buffer.
                tokio::task::yield_now().await;
            }
            // Held open: whoever says good-bye now is the target.
            std::future::pending::<Ending>().await
        };
        tokio::select! {
            // With a GOAWAY or without: which of the two is read before the end is a matter of luck.
            _ended = connection => Ending::Closed,
            ending = opening => ending,
        }
    };
    tokio::time::timeout(lasts.0, flooding).await.unwrap_or(Ending::Endured)
}

/// How long a connection and its handshake may take.
const DIAL: Duration = Duration::from_secs(10);
/// Bytes of one field of a huge head, with its name and end.
const FIELD: u64 = 256;
const SLOW_BODY: u64 = 100_000;
