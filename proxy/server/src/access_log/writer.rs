//! The thread that writes, and the way to it.

use super::Target;
use crate::counters::Counters;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Why the access log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened.
    #[error("--access-log: cannot open {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread cannot be started.
    #[error("cannot start the thread that writes the access log")]
    Thread(#[source] io::Error),
}

/// The thread that writes the access log.
#[derive(Debug)]
pub struct Writer(Option<JoinHandle<()>>);

impl Writer {
    /// Waits until everything is written. Returns once all [`AccessLog`](super::AccessLog)s are dropped.
    pub fn join(self) {
        if let Some(thread) = self.0 {
            let _ = thread.join();
        }
    }
}

/// Lines on their way.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) lines: u64,
    pub(super) bytes: Vec<u8>,
}

/// The way to the writer: it has room for so many chunks, and no more.
#[derive(Clone)]
pub(super) struct Sink {
    chunks: SyncSender<Chunk>,
    counters: Arc<Counters>,
}

impl Sink {
    /// Sends a chunk and leaves an empty one. What does not fit is dropped and counted.
    pub(super) fn send(&self, chunk: &mut Chunk) {
        if chunk.lines == 0 {
            return;
        }
        let next = Chunk { lines: 0, bytes: Vec::with_capacity(chunk.bytes.capacity().min(ROOM)) };
        let full = std::mem::replace(chunk, next);
        let lines = full.lines;
        if self.chunks.try_send(full).is_err() {
            self.counters.access_log_dropped(lines);
        }
    }

    /// A line was not chosen.
    pub(super) fn unsampled(&self) {
        self.counters.access_log_unsampled();
    }

    /// A line was not made at all.
    pub(super) fn withheld(&self) {
        self.counters.access_log_withheld();
    }
}

pub(super) fn open(target: &Target, counters: Arc<Counters>) -> Result<(Option<Sink>, Writer), OpenError> {
    match target {
        Target::Off => Ok((None, Writer(None))),
        Target::Stdout => start(io::stdout(), counters),
        Target::File(path) => {
            let file = append_to(path).map_err(|source| OpenError::File { path: path.clone(), source })?;
            start(file, counters)
        }
    }
}

/// Starts the thread that writes to `out`.
pub(super) fn start(
    out: impl Write + Send + 'static,
    counters: Arc<Counters>,
) -> Result<(Option<Sink>, Writer), OpenError> {
    let (sender, receiver) = sync_channel(CHUNKS);
    let sink = Sink { chunks: sender, counters: counters.clone() };
    let thread = std::thread::Builder::new().name("weir-access-log".to_owned());
    let thread = thread.spawn(move || write_all(&receiver, out, &counters)).map_err(OpenError::Thread)?;
    Ok((Some(sink), Writer(Some(thread))))
}

fn append_to(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_all(chunks: &Receiver<Chunk>, mut out: impl Write, counters: &Counters) {
    let mut health = Health::Well;
    for chunk in chunks {
        match out.write_all(&chunk.bytes).and_then(|()| out.flush()) {
            Ok(()) => {
                counters.access_log_written(chunk.lines);
                health = Health::Well;
            }
            Err(error) => {
                counters.access_log_dropped(chunk.lines);
                // Once per outage: the counter has the rest.
                if health == Health::Well {
                    tracing::warn!(%error, "the access log cannot be written; lines are lost");
                }
                health = Health::Failing;
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Health {
    Well,
    Failing,
}

/// Chunks that wait for the writer: 4 MiB at most.
const CHUNKS: usize = 64;
/// Bytes that a new chunk makes room for.
const ROOM: usize = 64 * 1024;
