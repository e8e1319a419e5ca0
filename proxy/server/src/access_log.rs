//! One line per request.
//!
//! Each worker has an [`AccessLog`] of its own and collects lines in a buffer; a thread writes the buffers. Nothing
//! here waits: when the writer cannot follow, lines are dropped and counted, and traffic goes on. Nor does an attack fill
//! a disk: each [`Kind`] of line has its [`Ration`].

mod fields;
mod kind;
mod line;
mod sketch;
mod writer;

pub use fields::FIELDS;
pub use sketch::{MOST as MOST_SKETCHED, Sketch};
pub use writer::{OpenError, Writer};

use crate::abort::{Abort, Unserved};
use crate::clock::{Dates, WallTime};
use crate::counters::Counters;
use crate::deadline;
use crate::lane::grammar::Malformed;
use crate::ration::{Fate, Ration, Sampler, Share};
use crate::request_id::RequestId;
use crate::respond::GatewayError;
use kind::Kind;
use parking_lot::Mutex;
use std::array;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use weir_core::account::{Account, Outcome};
use weir_core::verdict::Reason;
use writer::{Chunk, Sink};

/// Where lines go (`--access-log`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Nowhere.
    Off,
    /// The standard output.
    #[default]
    Stdout,
    /// The end of a file.
    File(PathBuf),
}

/// How lines look (`--access-log-format`). Names and order of the fields are the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// An object per line.
    #[default]
    Json,
    /// `name=value` pairs ("logfmt").
    Text,
}

/// How many lines there may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Volume {
    /// Of what was served, the share that has lines (`--access-log-sample-rate`).
    pub share: Share,
    /// Of what was served, most lines a second (`--access-log-lines-per-second`). `None` is as many as there are.
    pub served: Option<NonZeroU32>,
    /// Of everything else, most lines a second of each kind and reason (`--access-log-refusals-per-second`). `None` is
    /// as many as there are.
    pub others: Option<NonZeroU32>,
}

impl Default for Volume {
    fn default() -> Self {
        Self { share: Share::ALL, served: NonZeroU32::new(SERVED), others: NonZeroU32::new(OTHERS) }
    }
}

/// The lane that served a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Ours.
    Express,
    /// Pingora's.
    Pingora,
    /// The one for streams of HTTP/2.
    H2,
}

/// The version of HTTP that a client spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Protocol {
    /// As it stands in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Http10, Self::Http11, Self::Http2]
            .into_iter()
            .find(|protocol| protocol.as_str().as_bytes() == name)
    }
}

impl Lane {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Express, Self::Pingora, Self::H2];

    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Express => "express",
            Self::Pingora => "pingora",
            Self::H2 => "h2",
        }
    }
}

/// A request that was never admitted: its head has no reading, or never came to its end.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'a> {
    /// The client, as far as the connection tells.
    pub client: IpAddr,
    /// Address of the connection's other end.
    pub peer: IpAddr,
    /// What it was answered; `None` when there was nobody to answer.
    pub error: Option<GatewayError>,
    /// The rule that its head breaks.
    pub fault: Option<Malformed>,
    /// How the client's side broke off.
    pub abort: Option<Abort>,
    /// What it seems to ask for.
    pub sketch: Sketch<'a>,
    /// Bytes received.
    pub bytes_in: usize,
    /// Bytes sent.
    pub bytes_out: usize,
}

/// Who answered a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// The origin.
    #[default]
    Origin,
    /// We did, because the core refused.
    Refused(Reason),
    /// We did, because something failed.
    Failed(GatewayError),
}

/// A request that came to its end.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its closed account.
    pub account: &'a Account,
    /// Address of the connection's other end: the load balancer's, where the PROXY protocol named the client.
    pub peer: IpAddr,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// Who answered.
    pub answer: Answer,
    /// Method as sent; at most 32 bytes are logged.
    pub method: &'a [u8],
    /// Host as sent; at most 255 bytes are logged.
    pub host: &'a [u8],
    /// Path as sent, without the query, which may hold secrets; at most 1024 bytes are logged.
    pub path: &'a [u8],
    /// The version of HTTP that it came in.
    pub protocol: Protocol,
    /// How its client's side broke off, if it did and that is known.
    pub abort: Option<Abort>,
    /// The id that it carried.
    pub request_id: Option<&'a RequestId>,
    /// The lane that served it.
    pub lane: Lane,
    /// From the end of its head to its end.
    pub duration: Duration,
}

impl Entry<'_> {
    /// Whether all was well: an origin answered without an error, and no rule spoke.
    pub fn is_ordinary(&self) -> bool {
        Kind::of(self) == Kind::Served
    }
}

/// A worker's end of the access log. Clones share the buffer; [`AccessLog::worker`] makes one of its own.
#[derive(Clone)]
pub struct AccessLog(Option<Arc<Buffer>>);

struct Buffer {
    format: Format,
    sink: Sink,
    volume: Volume,
    /// Of all workers together.
    rations: Arc<Rations>,
    // Never contended: a worker is one thread. The lock is there because its tasks share the log.
    pen: Mutex<Pen>,
}

struct Pen {
    dates: Dates,
    chunk: Chunk,
    sampler: Sampler,
}

/// The rations of all kinds.
struct Rations {
    kinds: [Ration; Kind::COUNT],
    /// Gives the right to tell what was left out, once a second.
    telling: Ration,
}

impl AccessLog {
    /// A log that takes lines and keeps none.
    pub fn off() -> Self {
        Self(None)
    }

    /// Opens the log and starts its writer. Lines lost are counted in `counters`.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not be started.
    pub fn open(
        target: &Target,
        format: Format,
        volume: Volume,
        counters: Arc<Counters>,
    ) -> Result<(Self, Writer), OpenError> {
        match writer::open(target, counters)? {
            (Some(sink), writer) => Ok((Self::with(format, volume, sink), writer)),
            (None, writer) => Ok((Self::off(), writer)),
        }
    }

    fn with(format: Format, volume: Volume, sink: Sink) -> Self {
        let rations = Rations { kinds: array::from_fn(|_| Ration::default()), telling: Ration::default() };
        Self::sharing(format, volume, sink, Arc::new(rations))
    }

    fn sharing(format: Format, volume: Volume, sink: Sink, rations: Arc<Rations>) -> Self {
        let sampler = Sampler::new(volume.share, fastrand::u64(..));
        let pen = Mutex::new(Pen { dates: Dates::new(), chunk: Chunk::default(), sampler });
        Self(Some(Arc::new(Buffer { format, sink, volume, rations, pen })))
    }

    /// Another end with a buffer of its own, for another worker.
    pub fn worker(&self) -> Self {
        match &self.0 {
            Some(buffer) => {
                Self::sharing(buffer.format, buffer.volume, buffer.sink.clone(), buffer.rations.clone())
            }
            None => Self::off(),
        }
    }

    /// Whether lines go anywhere. When not, nobody needs to make them.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes the line of a request.
    pub fn write(&self, wall: WallTime, entry: &Entry<'_>) {
        self.put(wall, || Kind::of(entry), |line| line.request(entry));
    }

    /// Takes the line of a request that was never admitted.
    pub fn write_failed(&self, wall: WallTime, failed: &Failed<'_>) {
        self.put(wall, || Kind::of_failed(failed), |line| line.failure(failed));
    }

    /// Takes the line of a connection that ended before a request could begin. The client is `None` where even its address
    /// is not known.
    pub fn write_unserved(&self, wall: WallTime, client: Option<(IpAddr, IpAddr)>, unserved: Unserved) {
        self.put(wall, || Kind::Unserved(unserved), |line| line.unserved(client, unserved));
    }

    fn put(&self, wall: WallTime, kind: impl FnOnce() -> Kind, write: impl FnOnce(&mut line::Line<'_>)) {
        let Some(buffer) = &self.0 else { return };
        // The line is to be flushed, or what is left out to be told.
        deadline::stir();
        let pen = &mut *buffer.pen.lock();
        if buffer.admits(kind(), wall, &mut pen.sampler) {
            buffer.line(pen, wall, write);
        }
    }

    /// Hands what was collected to the writer, and once a second tells what was left out. Called some times a second, so
    /// that a quiet log is not a late one.
    pub fn flush(&self, wall: WallTime) {
        let Some(buffer) = &self.0 else { return };
        let pen = &mut *buffer.pen.lock();
        if buffer.rations.telling.take(wall.as_seconds(), 1) == Fate::Write {
            buffer.tell(pen, wall);
        }
        buffer.sink.send(&mut pen.chunk);
    }

    /// Tells what was left out since it was last told: at the end, when there is no next second.
    pub fn end(&self, wall: WallTime) {
        let Some(buffer) = &self.0 else { return };
        let pen = &mut *buffer.pen.lock();
        buffer.tell(pen, wall);
        buffer.sink.send(&mut pen.chunk);
    }
}

impl Buffer {
    /// Whether there is a line of this kind now.
    fn admits(&self, kind: Kind, wall: WallTime, sampler: &mut Sampler) -> bool {
        if kind == Kind::Served && !sampler.choose() {
            self.sink.unsampled();
            return false;
        }
        let most = if kind == Kind::Served { self.volume.served } else { self.volume.others };
        let (Some(most), Some(ration)) = (most, self.rations.kinds.get(kind.place())) else { return true };
        match ration.take(wall.as_seconds(), most.get()) {
            Fate::Write => true,
            Fate::Withhold => {
                self.sink.withheld();
                false
            }
        }
    }

    fn tell(&self, pen: &mut Pen, wall: WallTime) {
        for (kind, ration) in Kind::all().zip(&self.rations.kinds) {
            let withheld = ration.tell();
            if withheld > 0 {
                self.line(pen, wall, |line| line.withheld(kind.words(), withheld));
            }
        }
    }

    fn line(&self, pen: &mut Pen, wall: WallTime, write: impl FnOnce(&mut line::Line<'_>)) {
        let mut line = line::Line::begin(self.format, &mut pen.chunk.bytes);
        line.time(pen.dates.rfc3339(wall), wall);
        write(&mut line);
        line.end();
        pen.chunk.lines += 1;
        if pen.chunk.bytes.len() >= FULL {
            self.sink.send(&mut pen.chunk);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.sink.send(&mut self.pen.get_mut().chunk);
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessLog").field(&self.0.as_ref().map(|buffer| buffer.format)).finish()
    }
}

/// Bytes after which a buffer goes to the writer.
const FULL: usize = 60 * 1024;
/// Lines a second of what was served: half a megabyte of them.
const SERVED: u32 = 1000;
/// Lines a second of each other kind and reason.
const OTHERS: u32 = 10;

#[cfg(test)]
mod tests;
