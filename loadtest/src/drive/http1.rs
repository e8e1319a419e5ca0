//! HTTP/1.1: one loop over all connections of a thread.

use super::connect::Window;
use super::parse::Reader;
use super::poller::{Poller, thread_cpu};
use super::stream::Stream;
use super::{DriveError, Job, Target, connect, tls};
use crate::message::Template;
use crate::plan::{Client, Planned, client};
use crate::record::{Failure, Outcome, Tally};
use crate::scenario::{Class, Connection, Identity, Transport};
use rustls::ClientConfig;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// Sends a part of the plan.
pub(super) fn run(job: &Job) -> Result<Tally, DriveError> {
    let mut engine = Engine::new(job)?;
    let mut tokens = Vec::new();
    let mut next = 0;
    loop {
        // Until the plan begins, the clock stands at its first moment.
        let begun = job.clock.until(0).is_zero();
        engine.now = job.clock.now();
        while let Some(planned) = job.part.get(next).filter(|planned| begun && planned.at <= engine.now) {
            next += 1;
            engine.now = job.clock.now();
            engine.tally.sent(planned, engine.now);
            engine.start(Pending { planned: *planned, attempt: Attempt::First });
        }
        engine.now = job.clock.now();
        engine.expire();
        engine.follow_targets();
        if next == job.part.len() && engine.busy == 0 && engine.waiting.is_empty() {
            break;
        }
        let due = job.part.get(next).map_or(IDLE, |planned| job.clock.until(planned.at));
        let longest = due.clamp(TICK, IDLE);
        engine.poller.wait(longest, &mut tokens)?;
        engine.now = job.clock.now();
        for token in tokens.drain(..) {
            engine.turn(token);
        }
    }
    engine.tally.cpu = thread_cpu();
    Ok(engine.tally)
}

struct Engine<'a> {
    job: &'a Job,
    poller: Poller,
    tls: Arc<ClientConfig>,
    /// By class and pair of host and path.
    templates: Vec<Vec<Template>>,
    tally: Tally,
    now: u64,
    replicas: Vec<(usize, Target)>,
    generation: u64,
    connections: Vec<Option<Conn>>,
    free: Vec<usize>,
    /// Of each slot, so that old tokens find nobody.
    serials: Vec<u32>,
    idle: HashMap<Lane, Vec<(usize, u32)>>,
    /// Idle connections in the order in which they became idle, with some that are not any more.
    resting: VecDeque<(usize, u32)>,
    deadlines: VecDeque<(u64, usize, u32, u64)>,
    waiting: VecDeque<Pending>,
    busy: usize,
    scratch: Vec<u8>,
}

/// Requests that may share connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lane {
    class: u16,
    /// The client, where its connections are its own.
    client: u32,
    /// The host, by the first of its pairs.
    host: u16,
    replica: usize,
}

fn templates(class: &Class) -> Vec<Template> {
    (0..class.request.asks()).map(|ask| Template::new(class, ask as u16)).collect()
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    planned: Planned,
    attempt: Attempt,
}

/// A connection that was idle may be closed by the target at any time; then, and once, the request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    First,
    Second,
}

struct Conn {
    stream: Stream,
    lane: Lane,
    out: Vec<u8>,
    sent: usize,
    reader: Reader,
    request: Option<Pending>,
    answers: u64,
    requests: u64,
}

impl<'a> Engine<'a> {
    fn new(job: &'a Job) -> Result<Self, DriveError> {
        let (replicas, generation) = job.targets.snapshot();
        Ok(Self {
            poller: Poller::new()?,
            tls: tls::config(&[b"http/1.1"]).map_err(io::Error::other)?,
            templates: job.scenario.classes.iter().map(templates).collect(),
            tally: Tally::new(job.scenario.classes.len(), job.seconds),
            now: 0,
            replicas,
            generation,
            connections: Vec::new(),
            free: Vec::new(),
            serials: Vec::new(),
            idle: HashMap::new(),
            resting: VecDeque::new(),
            deadlines: VecDeque::new(),
            waiting: VecDeque::new(),
            busy: 0,
            scratch: vec![0; BUFFER],
            job,
        })
    }

    fn start(&mut self, pending: Pending) {
        let Some(class) = self.job.scenario.classes.get(usize::from(pending.planned.class)) else { return };
        let replica = match self.replicas.len() {
            0 => return self.end(pending, Outcome::Failed(Failure::Connect)),
            count => self.replicas.get(pending.planned.client as usize % count).copied(),
        };
        let Some((replica, target)) = replica else { return };
        let own = matches!(class.identity, Identity::Source { .. } | Identity::ProxyHeader { .. });
        let number = if own { pending.planned.client } else { 0 };
        let host = class.request.host_of(pending.planned.ask);
        let lane = Lane { class: pending.planned.class, client: number, host, replica };
        let who = client(&class.identity, pending.planned.client);
        let reused = if pending.attempt == Attempt::First { self.take_idle(lane) } else { None };
        let slot = match reused {
            Some(slot) => slot,
            None => match self.open(class, lane, &who, target) {
                Ok(Some(slot)) => slot,
                Ok(None) => {
                    self.tally.waited += 1;
                    return self.waiting.push_back(pending);
                }
                Err(_) => return self.end(pending, Outcome::Failed(Failure::Connect)),
            },
        };
        let template = self.templates.get(usize::from(lane.class));
        let template = template.and_then(|of_class| of_class.get(usize::from(pending.planned.ask)));
        let (Some(Some(conn)), Some(template)) = (self.connections.get_mut(slot), template) else {
            return;
        };
        template.write(&who, &mut conn.out);
        conn.request = Some(pending);
        conn.requests += 1;
        self.busy += 1;
        let serial = self.serials.get(slot).copied().unwrap_or_default();
        let timeout = u64::try_from(self.job.scenario.generator.timeout.0.as_nanos()).unwrap_or(u64::MAX);
        self.deadlines.push_back((self.now.saturating_add(timeout), slot, serial, conn.requests));
        self.turn_slot(slot);
    }

    fn take_idle(&mut self, lane: Lane) -> Option<usize> {
        let idle = self.idle.get_mut(&lane)?;
        while let Some((slot, serial)) = idle.pop() {
            if self.serials.get(slot) == Some(&serial) {
                return Some(slot);
            }
        }
        None
    }

    /// Another connection; `None` if there are as many as there may be and all are busy.
    fn open(&mut self, class: &Class, lane: Lane, who: &Client, target: Target) -> io::Result<Option<usize>> {
        if self.connections.len() - self.free.len() >= self.job.connections() && !self.evict() {
            return Ok(None);
        }
        let tls = class.request.transport == Transport::Tls;
        let address = if tls { target.https } else { target.http };
        let address = address.ok_or(ErrorKind::AddrNotAvailable)?;
        let source = if address.ip().is_loopback() { who.source } else { Ipv4Addr::LOCALHOST };
        let mut socket = connect::begin(source, address, Window::Usual)?;
        let mut out = who.preamble().into_bytes();
        let stream = if tls {
            // A PROXY header goes before the handshake, as a whole or not at all: it is short.
            if !out.is_empty() {
                wait_writable(&socket)?;
                socket.write_all(&out)?;
                out.clear();
            }
            Stream::tls(socket, &self.tls, class.request.ask(lane.host).0)?
        } else {
            Stream::Plain(socket)
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.serials.push(0);
            self.connections.len() - 1
        });
        let serial = self.serials.get(slot).copied().unwrap_or_default();
        self.poller.watch(&stream, token(slot, serial))?;
        let reader = Reader::default();
        let conn = Conn { stream, lane, out, sent: 0, reader, request: None, answers: 0, requests: 0 };
        if let Some(place) = self.connections.get_mut(slot) {
            *place = Some(conn);
        }
        Ok(Some(slot))
    }

    /// Closes the connection that has been idle for longest.
    fn evict(&mut self) -> bool {
        while let Some((slot, serial)) = self.resting.pop_front() {
            let idle = matches!(self.connections.get(slot), Some(Some(conn)) if conn.request.is_none());
            if idle && self.serials.get(slot) == Some(&serial) {
                self.close(slot);
                return true;
            }
        }
        false
    }

    fn close(&mut self, slot: usize) -> Option<Pending> {
        let conn = self.connections.get_mut(slot)?.take()?;
        if let Some(serial) = self.serials.get_mut(slot) {
            *serial = serial.wrapping_add(1);
        }
        self.free.push(slot);
        conn.request
    }

    fn turn(&mut self, token: u64) {
        let (slot, serial) = ((token >> 32) as usize, token as u32);
        if self.serials.get(slot) == Some(&serial) {
            self.turn_slot(slot);
        }
    }

    /// Writes and reads until it would block.
    fn turn_slot(&mut self, slot: usize) {
        let Some(Some(conn)) = self.connections.get_mut(slot) else { return };
        match conn.turn(&mut self.scratch) {
            Turn::Waits => {}
            Turn::Answered { status, closes, surplus } => {
                let lane = conn.lane;
                let pending = conn.request.take();
                conn.answers += 1;
                if surplus {
                    self.tally.unasked(lane.class);
                }
                let asked = self.job.scenario.classes.get(usize::from(lane.class));
                let ends = closes || asked.is_some_and(|c| c.request.connection == Connection::Close);
                if ends || !self.replicas.iter().any(|(number, _)| *number == lane.replica) {
                    self.close(slot);
                } else {
                    let serial = self.serials.get(slot).copied().unwrap_or_default();
                    self.idle.entry(lane).or_default().push((slot, serial));
                    self.rest(slot, serial);
                }
                if let Some(pending) = pending {
                    self.busy -= 1;
                    self.end(pending, Outcome::Answered(status));
                }
                self.resume();
            }
            Turn::Unasked => {
                self.tally.unasked(conn.lane.class);
                let _nobody_asked = self.close(slot);
                self.resume();
            }
            Turn::Over(failure) => {
                let reused = conn.answers > 0 && failure == Failure::Closed;
                if let Some(pending) = self.close(slot) {
                    self.busy -= 1;
                    if reused && pending.attempt == Attempt::First {
                        self.tally.retried += 1;
                        self.start(Pending { attempt: Attempt::Second, ..pending });
                    } else {
                        self.end(pending, Outcome::Failed(failure));
                    }
                }
                self.resume();
            }
        }
    }

    /// Remembers who rests. The queue is cleared of those who do not any more before it outgrows the connections.
    fn rest(&mut self, slot: usize, serial: u32) {
        if self.resting.len() > 4 * self.connections.len() + 64 {
            let (connections, serials) = (&self.connections, &self.serials);
            self.resting.retain(|(slot, serial)| {
                matches!(connections.get(*slot), Some(Some(conn)) if conn.request.is_none())
                    && serials.get(*slot) == Some(serial)
            });
            let mut seen = std::collections::HashSet::new();
            self.resting.retain(|entry| seen.insert(*entry));
        }
        self.resting.push_back((slot, serial));
    }

    /// Starts who waited for a connection. Each takes a place that has become free, or waits again at the front.
    fn resume(&mut self) {
        if let Some(pending) = self.waiting.pop_front() {
            let before = (self.waiting.len(), self.tally.waited);
            self.start(pending);
            if self.waiting.len() > before.0
                && let Some(again) = self.waiting.pop_back()
            {
                self.tally.waited = before.1;
                self.waiting.push_front(again);
            }
        }
    }

    fn end(&mut self, pending: Pending, outcome: Outcome) {
        self.tally.count(&pending.planned, self.job.clock.now(), outcome);
        self.job.progress.step();
    }

    fn expire(&mut self) {
        while let Some((_, slot, serial, number)) =
            self.deadlines.front().copied().filter(|(at, ..)| *at <= self.now)
        {
            self.deadlines.pop_front();
            let same = self.serials.get(slot) == Some(&serial)
                && matches!(self.connections.get(slot),
                    Some(Some(conn)) if conn.requests == number && conn.request.is_some());
            if same && let Some(pending) = self.close(slot) {
                self.busy -= 1;
                self.end(pending, Outcome::Failed(Failure::Timeout));
                self.resume();
            }
        }
    }

    /// Closes idle connections to a replica that was taken out; busy ones end with their answers.
    fn follow_targets(&mut self) {
        if self.job.targets.generation() == self.generation {
            return;
        }
        (self.replicas, self.generation) = self.job.targets.snapshot();
        let live: Vec<usize> = self.replicas.iter().map(|(number, _)| *number).collect();
        let gone = |conn: &Conn| conn.request.is_none() && !live.contains(&conn.lane.replica);
        let slots: Vec<usize> = (0..self.connections.len())
            .filter(|slot| matches!(self.connections.get(*slot), Some(Some(conn)) if gone(conn)))
            .collect();
        for slot in slots {
            let _nobody_asked = self.close(slot);
        }
    }
}

enum Turn {
    Waits,
    Answered {
        status: u16,
        closes: bool,
        /// More came than the answer.
        surplus: bool,
    },
    /// Something came, and there was no request.
    Unasked,
    Over(Failure),
}

impl Conn {
    fn turn(&mut self, scratch: &mut [u8]) -> Turn {
        let mut broken = false;
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::NotConnected => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // An answer may have come before: a target that refuses does not read to the end.
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return self.over(Failure::EarlyClose),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock && !broken => return Turn::Waits,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Turn::Waits,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return self.over(Failure::Reset),
                Err(_) => return self.over(Failure::EarlyClose),
            };
            let bytes = scratch.get(..count).unwrap_or_default();
            match (self.reader.feed(bytes), &self.request) {
                (Ok(None), Some(_)) => {}
                (Ok(Some((response, used))), Some(_)) => {
                    let surplus = used < count;
                    // An answer before the request was sent in full: the rest of the connection is of no use.
                    let early = surplus || !self.out.is_empty() || broken;
                    let closes = response.closes || early;
                    return Turn::Answered { status: response.status, closes, surplus };
                }
                // A target may say so when it gives up on an idle connection (RFC 9110 section 15.5.9).
                (Ok(Some((response, _))), None) if response.status == REQUEST_TIMEOUT => {
                    return Turn::Over(Failure::Closed);
                }
                (_, None) => return Turn::Unasked,
                (Err(_), Some(_)) => return Turn::Over(Failure::Malformed),
            }
        }
    }

    /// The connection ended, in this way if an answer had begun.
    fn over(&mut self, within: Failure) -> Turn {
        match self.reader.end() {
            Some(response) => Turn::Answered { status: response.status, closes: true, surplus: false },
            None if !self.reader.is_fresh() => Turn::Over(within),
            None if self.answers == 0 && self.sent == 0 && !self.out.is_empty() => {
                Turn::Over(Failure::Connect)
            }
            None => Turn::Over(Failure::Closed),
        }
    }
}

fn token(slot: usize, serial: u32) -> u64 {
    (slot as u64) << 32 | u64::from(serial)
}

fn wait_writable(socket: &std::net::TcpStream) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled = [PollFd::new(socket, PollFlags::OUT)];
    poll(&mut polled, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }))?;
    Ok(())
}

/// Requests that are due within this time go out together: the price of a wake-up is shared.
const TICK: Duration = Duration::from_micros(100);
/// How long nothing may happen until deadlines and targets are looked at.
const IDLE: Duration = Duration::from_millis(20);
const REQUEST_TIMEOUT: u16 = 408;
const BUFFER: usize = 64 * 1024;
