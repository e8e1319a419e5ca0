//! When to look again: when the system says that something was written, and now and then.
//!
//! A look is a `stat` for each file. While something goes on there are four a second, so that a change is in force half a
//! second after it was written; a pod at rest has one every [`AT_REST`]. The system's events (inotify) only say that it is
//! time to look, so a lost one costs time and nothing else. Their number is bounded for all pods of a node together: where
//! there are none left, it is looked four times a second, which costs less than 0.1 % of a core.

use super::{PodInfo, PodInfoError};
use crate::files::Inode;
use crate::threads;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Config, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use weir_core::Finding;
use weir_core::declaration::Declaration;

/// Looks at the files of a pod until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Reads all files again soon, whether or not something was written.
    pub fn refresh(&self) {
        self.signal.give(Order::Refresh);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.signal.give(Order::Stop);
        threads::join(self.thread.take());
    }
}

/// How it is noticed that something was written.
#[derive(Clone, Copy)]
pub(super) struct Senses {
    /// How often it is looked where there are events and none came.
    pub(super) at_rest: Duration,
    /// Where events come from.
    pub(super) events: fn(&Folders, &Arc<Signal>) -> notify::Result<RecommendedWatcher>,
}

impl Default for Senses {
    fn default() -> Self {
        Self { at_rest: AT_REST, events: watch }
    }
}

/// The folders that are watched, and which ones they were: a folder may be replaced by another one of its name.
pub(super) type Folders = BTreeMap<PathBuf, Option<Inode>>;

pub(super) fn spawn(
    mut podinfo: PodInfo,
    senses: Senses,
    mut on_change: impl FnMut(Declaration, Vec<Finding>) + Send + 'static,
) -> Result<Watcher, PodInfoError> {
    let signal = Arc::new(Signal::default());
    let hear = Arc::clone(&signal);
    let work = move || {
        let mut events = Events::default();
        let mut order = Order::Look;
        loop {
            // Before the look, which finds what was written until then.
            events.follow(podinfo.folders(), senses, &hear);
            let changed = match order {
                Order::Stop => return,
                Order::Refresh => Some(podinfo.refresh()),
                Order::Look => podinfo.poll(),
            };
            if let Some((declaration, findings)) = changed {
                on_change(declaration, findings);
            }
            let is_at_rest = events.watcher.is_some() && podinfo.is_settled();
            order = hear.wait(if is_at_rest { senses.at_rest } else { EVERY });
        }
    };
    let builder = thread::Builder::new().name("weir-podinfo".to_owned());
    let thread = builder.spawn(work).map_err(PodInfoError::Thread)?;
    Ok(Watcher { signal, thread: Some(thread) })
}

/// Where events come from.
#[derive(Default)]
struct Events {
    watcher: Option<RecommendedWatcher>,
    folders: Folders,
}

impl Events {
    /// Watches these folders, if they are not those that are watched already.
    fn follow(&mut self, folders: BTreeSet<PathBuf>, senses: Senses, signal: &Arc<Signal>) {
        let inode = |path: &PathBuf| std::fs::metadata(path).ok().map(|metadata| Inode::of(&metadata));
        let folders = folders.into_iter().map(|path| (path.clone(), inode(&path))).collect();
        let is_lost = std::mem::take(&mut signal.lock().lost);
        if folders == self.folders && !is_lost {
            return;
        }
        self.folders = folders;
        self.watcher = None;
        match (senses.events)(&self.folders, signal) {
            Ok(watcher) => self.watcher = Some(watcher),
            // What is gone meanwhile is looked for often, and a finding tells of it.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
            Err(error) => {
                tracing::info!(%error, "no events for what is mounted in the pod; it is looked at often instead");
            }
        }
    }
}

fn watch(folders: &Folders, signal: &Arc<Signal>) -> notify::Result<RecommendedWatcher> {
    let (signal, watched) = (Arc::clone(signal), folders.clone());
    let handler = move |event: notify::Result<Event>| signal.hear(&event, &watched);
    let mut watcher = RecommendedWatcher::new(handler, Config::default())?;
    for folder in folders.keys() {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// What the thread is to do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Look,
    Refresh,
    Stop,
}

/// What the thread is told.
#[derive(Debug, Default)]
pub(super) struct Signal {
    pending: Mutex<Pending>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    order: Order,
    /// Something was written.
    heard: bool,
    /// A folder that was watched is gone, and its watch with it.
    lost: bool,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, order: Order) {
        self.lock().order = order;
        self.wake.notify_all();
    }

    fn hear(&self, event: &notify::Result<Event>, watched: &Folders) {
        let is_lost = match event {
            // Reading is no change, and it is what we do ourselves.
            Ok(event) if is_read(event.kind) => return,
            Ok(event) => {
                let is_gone = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(_));
                is_gone && event.paths.iter().any(|path| watched.contains_key(path))
            }
            Err(_) => true,
        };
        let mut pending = self.lock();
        pending.lost |= is_lost;
        // A log may be written to the same folder: nobody is woken for each of its lines.
        if !std::mem::replace(&mut pending.heard, true) {
            self.wake.notify_all();
        }
    }

    /// The next order: at once if one was given, or else to look, when something is heard or after `most`. Never sooner
    /// than after [`EVERY`]: others may write to a folder all the time, and a file that is just being written is not to
    /// be read.
    fn wait(&self, most: Duration) -> Order {
        let waited = self.wake.wait_timeout_while(self.lock(), EVERY, |pending| pending.order == Order::Look);
        let pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        let rest = most.saturating_sub(EVERY);
        let is_quiet = |pending: &mut Pending| pending.order == Order::Look && !pending.heard;
        let waited = self.wake.wait_timeout_while(pending, rest, is_quiet);
        let mut pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        pending.heard = false;
        std::mem::take(&mut pending.order)
    }
}

fn is_read(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}

/// Two looks make a change, so it is in force half a second after it was written.
const EVERY: Duration = Duration::from_millis(250);
/// Where events may be lost: network file systems tell of nothing that others write, nor do some sandboxes of containers.
const AT_REST: Duration = Duration::from_secs(10);
