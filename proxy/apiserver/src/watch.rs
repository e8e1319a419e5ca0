//! Watches: what is there, if asked, then what happens.

use crate::faults::{Disturbance, Told};
use crate::reply::{EventType, Shape, Stream, error_event};
use crate::request::{Objects, Query, Request};
use crate::shared::Shared;
use crate::status::StatusError;
use crate::store::{Change, Object};
use crate::wire::Control;
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What a watch is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    start: Start,
    bookmarks: bool,
    timeout: Option<Duration>,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// With all that is there, as ADDED.
    Everything,
    /// The same, and a bookmark behind it.
    EverythingAndMark,
    /// With what happens next.
    Now,
    /// With what happened after a version.
    After(u64),
}

/// A watch that is open.
struct Watch {
    shared: Arc<Shared>,
    control: Arc<Control>,
    objects: Objects,
    ask: Ask,
    shape: Shape,
    sender: mpsc::Sender<Bytes>,
    /// What happened up to this version was sent.
    seen: u64,
}

impl Ask {
    /// From the query.
    ///
    /// # Errors
    ///
    /// 400 or 422 where parameters contradict each other or cannot be read.
    pub(crate) fn parse(query: &Query) -> Result<Self, StatusError> {
        let bookmarks = query.is_set("allowWatchBookmarks");
        let version = query.number("resourceVersion")?;
        let matching = query.get("resourceVersionMatch");
        let start = match (query.get("sendInitialEvents"), version) {
            ("", _) if !matching.is_empty() => {
                return Err(invalid(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            ("", 0) => Start::Everything,
            ("false", 0) => Start::Now,
            ("" | "false", version) => Start::After(version),
            (_, _) if matching != "NotOlderThan" => {
                return Err(invalid(
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
            (_, _) if bookmarks => Start::EverythingAndMark,
            (_, _) => Start::Everything,
        };
        let timeout = query.number("timeoutSeconds")?;
        let timeout = (timeout > 0).then(|| Duration::from_secs(timeout));
        Ok(Self { start, bookmarks, timeout })
    }
}

/// Opens a watch: it writes to the body that is given back, until it ends or nobody reads.
pub(crate) fn open(
    shared: &Arc<Shared>,
    control: &Arc<Control>,
    objects: Objects,
    ask: Ask,
    (shape, request): (Shape, Request),
) -> Stream {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let watch =
        Watch { shared: shared.clone(), control: control.clone(), objects, ask, shape, sender, seen: 0 };
    tokio::spawn(watch.run(request));
    Stream::new(receiver)
}

impl Watch {
    async fn run(mut self, request: Request) {
        let shared = self.shared.clone();
        // Before the watch counts as open: what is done to open watches must reach it.
        let mut versions = shared.version.subscribe();
        let mut disturbances = shared.faults.disturbances();
        let mut bookmarks = shared.bookmarks.subscribe();
        let options = &shared.options;
        let now = Instant::now();
        let end = now + self.ask.timeout.unwrap_or(options.watch_timeout).min(options.watch_timeout);
        let mut mark = now + options.bookmark_every;
        let sender = self.sender.clone();
        let id = shared.open_watch(request.clone());
        let mut flow = self.start().await;
        while flow.is_continue() {
            flow = self.follow(u64::MAX).await;
            if flow.is_break() {
                break;
            }
            flow = tokio::select! {
                // In the order of the test: what happened after a disturbance is not told before it.
                biased;
                disturbance = disturbances.recv() => match disturbance {
                    Ok(told) if told.matching.matches(&request) => self.disturb(told).await,
                    Ok(_) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
                _ = versions.changed() => ControlFlow::Continue(()),
                _ = bookmarks.changed() => self.bookmark().await,
                () = sleep_until(mark) => {
                    mark = Instant::now() + options.bookmark_every;
                    self.bookmark().await
                }
                () = sleep_until(end) => ControlFlow::Break(()),
                () = sender.closed() => ControlFlow::Break(()),
            };
        }
        shared.close_watch(id);
    }

    async fn start(&mut self) -> ControlFlow<()> {
        let (found, error) = {
            let registry = self.shared.registry.lock();
            let store = &registry.store;
            self.seen = store.version();
            match self.ask.start {
                Start::Now => (Vec::new(), None),
                Start::After(version) => {
                    self.seen = version;
                    let begun = store.changes_since(self.objects.resource, version).map(drop);
                    (Vec::new(), begun.err())
                }
                Start::Everything | Start::EverythingAndMark => {
                    let found = store.list(self.objects.resource, &self.objects.namespace).into_iter();
                    (found.map(|(_, object)| object.clone()).collect::<Vec<_>>(), None)
                }
            }
        };
        if let Some(error) = error {
            self.send(error_event(&error)).await?;
            return ControlFlow::Break(());
        }
        let meant = found.iter().filter(|it| self.objects.selector.matches(&it.value));
        let mut out = Vec::new();
        for object in meant {
            self.shape.event(self.objects.resource, EventType::Added, object, &mut out);
            if out.len() >= FRAME {
                self.send(std::mem::take(&mut out)).await?;
            }
        }
        if self.ask.start == Start::EverythingAndMark {
            self.shape.bookmark(self.objects.resource, self.seen, true, &mut out);
        }
        self.send(out).await
    }

    /// Sends what happened since, up to a version.
    async fn follow(&mut self, last: u64) -> ControlFlow<()> {
        loop {
            let mut changes: VecDeque<Change> = {
                let registry = self.shared.registry.lock();
                // Who falls so far behind is cut off, and learns that it is too late when it comes back.
                let Ok(changes) = registry.store.follow(self.objects.resource, self.seen) else {
                    return ControlFlow::Break(());
                };
                let changes = changes.take_while(|change| change.version <= last);
                let changes: VecDeque<_> = changes.take(CHANGES).cloned().collect();
                if changes.is_empty() {
                    self.seen = registry.store.version().min(last).max(self.seen);
                }
                changes
            };
            if changes.is_empty() {
                return ControlFlow::Continue(());
            }
            let mut out = Vec::new();
            while let Some(change) = changes.pop_front() {
                self.seen = change.version;
                if let Some((kind, object)) = self.event(&change) {
                    self.shape.event(self.objects.resource, kind, object, &mut out);
                }
                if out.len() >= FRAME {
                    self.send(std::mem::take(&mut out)).await?;
                }
            }
            self.send(out).await?;
        }
    }

    /// What a change is for who sees only a part of the objects.
    fn event<'a>(&self, change: &'a Change) -> Option<(EventType, &'a Object)> {
        let namespace = &self.objects.namespace;
        if !namespace.is_empty() && *namespace != change.key.namespace {
            return None;
        }
        let meant = |object: &Object| self.objects.selector.matches(&object.value);
        let before = change.before.as_ref().is_some_and(|it| meant(it));
        let after = !change.deleted && meant(&change.after);
        let kind = match (before, after) {
            (false, false) => return None,
            (false, true) => EventType::Added,
            (true, true) => EventType::Modified,
            (true, false) => EventType::Deleted,
        };
        Some((kind, &change.after))
    }

    async fn bookmark(&mut self) -> ControlFlow<()> {
        if !self.ask.bookmarks {
            return ControlFlow::Continue(());
        }
        // First what a bookmark is behind.
        self.follow(u64::MAX).await?;
        let mut out = Vec::new();
        self.shape.bookmark(self.objects.resource, self.seen, false, &mut out);
        self.send(out).await
    }

    async fn disturb(&mut self, told: Told) -> ControlFlow<()> {
        self.follow(told.version).await?;
        match told.disturbance {
            Disturbance::End => ControlFlow::Break(()),
            Disturbance::Reset => {
                self.control.reset();
                // Not the end of the body, but of the connection.
                self.sender.closed().await;
                ControlFlow::Break(())
            }
            Disturbance::Hang => {
                self.sender.closed().await;
                ControlFlow::Break(())
            }
            Disturbance::Garbage => self.send(b"\x00not json\n".to_vec()).await,
            Disturbance::CutOff => {
                self.send(br#"{"type":"MODIFIED","object":{"kind":"#.to_vec()).await?;
                ControlFlow::Break(())
            }
            Disturbance::Error(code) => {
                let error = match code {
                    410 => StatusError::too_old(self.seen, self.seen.saturating_add(1)),
                    code => StatusError::failure(code, None),
                };
                self.send(error_event(&error)).await?;
                ControlFlow::Break(())
            }
        }
    }

    async fn send(&self, bytes: Vec<u8>) -> ControlFlow<()> {
        if bytes.is_empty() {
            return ControlFlow::Continue(());
        }
        match self.sender.send(bytes.into()).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

fn invalid(why: &str) -> StatusError {
    StatusError {
        code: 422,
        reason: "Invalid",
        message: format!("ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: {why}"),
        details: serde_json::Value::Null,
        retry_after: None,
    }
}

/// Frames that wait for a client that reads slowly.
const BACKLOG: usize = 16;
/// Bytes of a frame, about.
const FRAME: usize = 64 * 1024;
/// Changes that are taken from the store at once.
const CHANGES: usize = 256;
