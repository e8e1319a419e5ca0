//! When to look at the folder again.
//!
//! The system's events (inotify) only say that it is time to look, and at which files; what there is to see comes from
//! [`Manifests::refresh`] alone. A lost event therefore costs time and nothing else: the folder is looked at now and then
//! without one, and often where events cannot be had or do not tell everything.

use super::folder::Reach;
use super::{Manifests, SourceError};
use crate::files::Inode;
use crate::threads;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use weir_core::Finding;
use weir_core::declaration::Declaration;

/// Watches a folder until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Reads all files again soon, whatever their stamps say and whether or not there was an event.
    pub fn refresh(&self) {
        let mut pending = self.signal.lock();
        pending.touch_all();
        let now = Instant::now();
        pending.first.get_or_insert(now);
        pending.last = Some(now);
        self.signal.wake.notify_all();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.signal.lock().order = Order::Stop;
        self.signal.wake.notify_all();
        threads::join(self.thread.take());
    }
}

pub(super) fn spawn(
    manifests: Manifests,
    on_change: impl FnMut(Declaration, Vec<Finding>) + Send + 'static,
) -> Result<Watcher, SourceError> {
    let signal = Arc::new(Signal::default());
    let work = Work {
        manifests,
        on_change,
        signal: Arc::clone(&signal),
        events: Events::default(),
        polled: Polled::default(),
    };
    let builder = thread::Builder::new().name("weir-manifests".to_owned());
    let thread = builder.spawn(move || work.run()).map_err(SourceError::Thread)?;
    Ok(Watcher { signal, thread: Some(thread) })
}

struct Work<F> {
    manifests: Manifests,
    on_change: F,
    signal: Arc<Signal>,
    events: Events,
    polled: Polled,
}

/// Fingerprints of the folder.
#[derive(Clone, Copy, Default)]
struct Polled {
    /// When it was last read.
    read: Option<u64>,
    /// The last time, if it has not been read since.
    last: Option<u64>,
    /// How many polls in a row found it different.
    unsettled: u32,
}

impl<F: FnMut(Declaration, Vec<Finding>)> Work<F> {
    fn run(mut self) {
        self.look();
        loop {
            // The folder may have become another one: a volume was mounted, or a link points elsewhere.
            if self.events.follow(&self.manifests, &self.signal) {
                self.look();
            }
            let coverage = self.events.coverage(self.manifests.store.reach);
            match (self.signal.wait(coverage.interval()), coverage) {
                (Wake::Stop, _) => return,
                (Wake::Time, Coverage::Full) => self.look(),
                (Wake::Time, Coverage::Partial) => self.poll(),
                (Wake::Touched(touched), _) => {
                    self.manifests.touch(&touched);
                    self.look();
                    // A folder that was made in between may have been filled before it was watched.
                    match self.signal.wait(FOLLOW_UP) {
                        Wake::Stop => return,
                        Wake::Time => {}
                        Wake::Touched(touched) => self.manifests.touch(&touched),
                    }
                    self.look();
                }
            }
        }
    }

    /// Looks at the stamps, and reads only once they stand still, or after some polls: a file may be half written.
    fn poll(&mut self) {
        let seen = self.manifests.store.fingerprint();
        if self.polled.read == Some(seen) {
            return;
        }
        if self.polled.last == Some(seen) || self.polled.unsettled >= MAX_UNSETTLED {
            self.polled = Polled { read: Some(seen), ..Polled::default() };
            self.look();
        } else {
            self.polled = Polled { last: Some(seen), unsettled: self.polled.unsettled + 1, ..self.polled };
        }
    }

    fn look(&mut self) {
        if let Some((declaration, findings)) = self.manifests.refresh() {
            (self.on_change)(declaration, findings);
        }
    }
}

impl Manifests {
    fn touch(&mut self, touched: &Touched) {
        match touched {
            Touched::All => self.store.touch_all(),
            Touched::Files(files) => files.iter().for_each(|file| self.store.touch(file)),
        }
    }
}

/// Where events come from.
#[derive(Default)]
struct Events {
    watcher: Option<RecommendedWatcher>,
    /// The folder that is watched.
    root: Option<Inode>,
}

impl Events {
    /// Watches the folder that there is now; says whether it is another one than before.
    fn follow(&mut self, manifests: &Manifests, signal: &Arc<Signal>) -> bool {
        let root = manifests.store.root;
        if root == self.root {
            return false;
        }
        self.root = root;
        self.watcher = None;
        if root.is_none() {
            return false;
        }
        match watch(manifests.store.folder(), signal) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "no events for the folder of manifests; it is looked at often instead");
            }
        }
        true
    }

    fn coverage(&self, reach: Reach) -> Coverage {
        match (&self.watcher, reach) {
            (Some(_), Reach::Inside) => Coverage::Full,
            (Some(_), Reach::Outside) | (None, _) => Coverage::Partial,
        }
    }
}

/// Whether events tell of every change.
#[derive(Clone, Copy)]
enum Coverage {
    /// They do, as far as anyone knows.
    Full,
    /// There are none, or links lead to where nobody watches.
    Partial,
}

impl Coverage {
    /// How long to wait without an event.
    fn interval(self) -> Duration {
        match self {
            Self::Full => SAFETY_NET,
            Self::Partial => POLL,
        }
    }
}

fn watch(folder: &Path, signal: &Arc<Signal>) -> notify::Result<RecommendedWatcher> {
    let folder = std::fs::canonicalize(folder)?;
    let (signal, root) = (Arc::clone(signal), folder.clone());
    let handler = move |event: notify::Result<Event>| signal.hear(event, &root, Instant::now());
    // Links may lead to places with more folders than can be watched.
    let mut watcher = RecommendedWatcher::new(handler, Config::default().with_follow_symlinks(false))?;
    watcher.watch(&folder, RecursiveMode::Recursive)?;
    Ok(watcher)
}

/// What the thread that hears events tells the thread that reads.
#[derive(Debug, Default)]
struct Signal {
    pending: Mutex<Pending>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    order: Order,
    touched: Option<Touched>,
    first: Option<Instant>,
    last: Option<Instant>,
    /// Files that were written to and not closed yet.
    open: BTreeSet<PathBuf>,
}

#[derive(Debug, Default, PartialEq)]
enum Order {
    #[default]
    Watch,
    Stop,
}

/// Files to read again whatever their stamps say, relative to the folder.
#[derive(Debug)]
enum Touched {
    Files(BTreeSet<PathBuf>),
    All,
}

/// Why a wait ended.
enum Wake {
    Stop,
    Time,
    Touched(Touched),
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: notify::Result<Event>, root: &Path, now: Instant) {
        let mut pending = self.lock();
        match event {
            Ok(event) if event.need_rescan() => pending.touch_all(),
            Ok(event) => match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                    pending.touch(&event.paths, root, Write::Ended);
                }
                // Reading is no change, and it is what we do ourselves.
                EventKind::Access(_) => return,
                EventKind::Modify(ModifyKind::Data(_)) => pending.touch(&event.paths, root, Write::Begun),
                _ => pending.touch(&event.paths, root, Write::Ended),
            },
            Err(_) => pending.touch_all(),
        }
        pending.first.get_or_insert(now);
        pending.last = Some(now);
        self.wake.notify_all();
    }

    /// Waits for events and for their end, or for `limit` without any.
    fn wait(&self, limit: Duration) -> Wake {
        let start = Instant::now();
        let mut pending = self.lock();
        loop {
            if pending.order == Order::Stop {
                return Wake::Stop;
            }
            let now = Instant::now();
            let until = pending.settled().unwrap_or(start + limit);
            if until <= now {
                return pending.take();
            }
            let timeout = until.saturating_duration_since(now);
            pending = self.wake.wait_timeout(pending, timeout).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What is known of the writer of a file.
#[derive(Clone, Copy, PartialEq)]
enum Write {
    Begun,
    Ended,
}

impl Pending {
    fn touch(&mut self, paths: &[PathBuf], root: &Path, write: Write) {
        for path in paths {
            let path = path.strip_prefix(root).unwrap_or(path);
            match write {
                Write::Begun if self.open.len() < MAX_TOUCHED => self.open.insert(path.to_owned()),
                Write::Begun => false,
                Write::Ended => self.open.remove(path),
            };
            match self.touched.get_or_insert_with(|| Touched::Files(BTreeSet::new())) {
                Touched::Files(files) if files.len() < MAX_TOUCHED => files.insert(path.to_owned()),
                Touched::Files(_) | Touched::All => return self.touch_all(),
            };
        }
    }

    fn touch_all(&mut self) {
        self.touched = Some(Touched::All);
    }

    /// When the events so far are to be acted on: once it is quiet and every writer is done, or when it takes too long.
    fn settled(&self) -> Option<Instant> {
        let (first, last) = (self.first?, self.last?);
        let latest = first + MAX_DELAY;
        if self.open.is_empty() { Some(latest.min(last + QUIET)) } else { Some(latest) }
    }

    fn take(&mut self) -> Wake {
        std::mem::take(self).touched.map_or(Wake::Time, Wake::Touched)
    }
}

/// Writes that come closer together are one change.
const QUIET: Duration = Duration::from_millis(100);
/// A change is acted on after this long, even if the writing goes on.
const MAX_DELAY: Duration = Duration::from_millis(500);
/// A second look after a change.
const FOLLOW_UP: Duration = Duration::from_millis(500);
/// Where there are no events, or not of everything.
const POLL: Duration = Duration::from_millis(250);
/// Polls that may find the folder different before it is read all the same.
const MAX_UNSETTLED: u32 = 2;
/// Where there are events.
const SAFETY_NET: Duration = Duration::from_secs(30);
/// Files named in one change; more, and all are read.
const MAX_TOUCHED: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, Flag, RenameMode};

    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    /// Events at milliseconds → when they are acted on.
    #[track_caller]
    fn check(events: &[(u64, EventKind)], expected: Option<u64>) {
        let start = Instant::now();
        let signal = Signal::default();
        for (at, kind) in events {
            let event = Event::new(*kind).add_path("/manifests/a.yaml".into());
            signal.hear(Ok(event), Path::new("/manifests"), start + Duration::from_millis(*at));
        }
        let settled = signal.lock().settled().map(|at| at.duration_since(start));
        assert_eq!(settled, expected.map(Duration::from_millis));
    }

    #[test]
    fn events_are_acted_on_when_it_is_quiet_and_every_writer_is_done() {
        check(&[], None);
        check(
            &[
                (0, EventKind::Access(AccessKind::Read)),
                (9, EventKind::Access(AccessKind::Close(AccessMode::Read))),
            ],
            None,
        );
        check(&[(0, EventKind::Create(CreateKind::File))], Some(100));
        check(&[(0, EventKind::Modify(ModifyKind::Name(RenameMode::To)))], Some(100));
        check(&[(0, DATA)], Some(500));
        check(&[(0, DATA), (50, CLOSE)], Some(150));
        check(&[(0, DATA), (50, CLOSE), (140, DATA)], Some(500));
    }

    #[test]
    fn events_without_end_are_acted_on_all_the_same() {
        let busy: Vec<_> = (0..40).map(|n| (n * 50, CLOSE)).collect();
        check(&busy, Some(500));
    }

    #[test]
    fn lost_events_mean_that_everything_is_read() {
        let signal = Signal::default();
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        signal.hear(Ok(lost), Path::new("/manifests"), Instant::now());
        assert!(matches!(signal.lock().take(), Wake::Touched(Touched::All)));
        for n in 0..=MAX_TOUCHED {
            let event = Event::new(CLOSE).add_path(format!("/manifests/{n}").into());
            signal.hear(Ok(event), Path::new("/manifests"), Instant::now());
        }
        assert!(
            matches!(signal.lock().take(), Wake::Touched(Touched::All)),
            "more files than are remembered"
        );
    }
}
