//! One list and watch: tells what is there, through every failure on the way.
//!
//! The API server's contract: list, then watch from the version that the list had. A watch ends by itself now and then
//! and goes on from the last version it told; a version that the server has forgotten (410) means listing again. What
//! cannot be read means listing again too, for an event may be lost.

use super::health::Health;
use super::stream::{Heard, Item, Stream, What};
use futures_util::{Stream as Events, StreamExt};
use kube::api::{ListParams, ObjectList, WatchEvent, WatchParams};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long the API server is asked to keep a watch going. A watch that says nothing for a little longer is broken.
    pub watch: Duration,
    /// How long one page of a list may take.
    pub list: Duration,
    /// The first pause after a failure; each further one is twice as long.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How long a configuration waits for Secrets that are new in it.
    pub secrets: Duration,
    /// The same for the first configuration, before which nobody is served.
    pub first_secrets: Duration,
    /// How long the first configuration waits for the zone of our node.
    pub zone: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(60),
            list: Duration::from_secs(30),
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(10),
            secrets: Duration::from_millis(500),
            first_secrets: Duration::from_secs(10),
            zone: Duration::from_secs(2),
        }
    }
}

/// What is listed and watched.
pub(super) trait Resource: Send + Sync + 'static {
    /// What the API server sends.
    type Sent: Clone + Send + 'static;

    /// A page of the list.
    fn list(&self, params: &ListParams) -> impl Future<Output = kube::Result<ObjectList<Self::Sent>>> + Send;

    /// The changes since a version.
    fn watch(
        &self,
        params: &WatchParams,
        version: &str,
    ) -> impl Future<Output = kube::Result<EventStream<Self::Sent>>> + Send;

    /// What is told of it, with its version.
    fn item(&self, sent: Self::Sent) -> (Item, String);
}

pub(super) type EventStream<T> = Pin<Box<dyn Events<Item = kube::Result<WatchEvent<T>>> + Send>>;

/// Lists and watches until nobody listens any more.
pub(super) struct Reflector<R> {
    pub(super) resource: R,
    pub(super) stream: Stream,
    /// `metadata.name=NAME`, for one object.
    pub(super) fields: Option<String>,
    /// Only objects with these labels.
    pub(super) labels: Option<String>,
    pub(super) denied: Denied,
    pub(super) timing: Timing,
    pub(super) health: Arc<Health>,
    pub(super) told: mpsc::Sender<Heard>,
}

/// What it means that the API server does not allow a list (403).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Denied {
    /// Something is wrong.
    IsAFailure,
    /// It need not be seen: as if there were no such objects, unless some were seen before.
    MeansNone,
}

/// What was told so far.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    /// Nothing.
    Nothing,
    /// That there is nothing, for we may not see it.
    Denied,
    /// A list.
    Listed,
}

/// Nobody listens any more.
struct Deaf;

/// Why there is no list.
enum Unlisted {
    /// It is not allowed.
    Denied(String),
    /// It failed.
    Failed(String),
}

/// How a watch ended.
enum Ended {
    /// As it should; there may be more from this version on.
    Well(String),
    /// The version is too old, or an event was lost.
    Stale(String),
    /// It broke; it can go on from this version.
    Broken(String, String),
}

impl<R: Resource> Reflector<R> {
    pub(super) async fn run(self) {
        // The only way out is that nobody listens.
        let Err(Deaf) = self.follow().await;
    }

    async fn follow(&self) -> Result<std::convert::Infallible, Deaf> {
        let mut pause = Pause::new(self.timing);
        let mut known = Known::Nothing;
        loop {
            let mut version = match self.list().await? {
                Ok(version) => version,
                // An API server that has just started denies everything until it has read the roles: what was seen once
                // is not gone for that.
                Err(Unlisted::Denied(why)) if self.denied == Denied::MeansNone && known != Known::Listed => {
                    if known == Known::Nothing {
                        tracing::info!(stream = %self.stream, why, "not allowed to see these, and taken as if there were none");
                        self.tell(What::Began).await?;
                        self.tell(What::Ended).await?;
                        known = Known::Denied;
                    }
                    // It may be allowed in a moment, or later, or never.
                    match pause.is_longest() {
                        true => tokio::time::sleep(self.timing.watch).await,
                        false => pause.take().await,
                    }
                    continue;
                }
                Err(Unlisted::Denied(why) | Unlisted::Failed(why)) => {
                    self.failed(&why);
                    pause.take().await;
                    continue;
                }
            };
            known = Known::Listed;
            self.works();
            loop {
                let began = Instant::now();
                let ended = self.watch(&version).await?;
                // A server that ends every watch at once is not asked again at once.
                if began.elapsed() >= STEADY {
                    pause.reset();
                }
                match ended {
                    Ended::Well(next) => {
                        version = next;
                        if began.elapsed() < STEADY {
                            pause.take().await;
                        }
                    }
                    Ended::Broken(why, next) => {
                        self.failed(&why);
                        version = next;
                        pause.take().await;
                    }
                    Ended::Stale(why) => {
                        tracing::debug!(stream = %self.stream, why, "listing again");
                        pause.take().await;
                        break;
                    }
                }
            }
        }
    }

    /// Tells the whole list, page by page. Gives its version, or why there is none.
    async fn list(&self) -> Result<Result<String, Unlisted>, Deaf> {
        let mut params = ListParams {
            field_selector: self.fields.clone(),
            label_selector: self.labels.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        };
        self.tell(What::Began).await?;
        loop {
            let page = match tokio::time::timeout(self.timing.list, self.resource.list(&params)).await {
                Ok(Ok(page)) => page,
                Ok(Err(error)) if is(&error, FORBIDDEN) => {
                    return Ok(Err(Unlisted::Denied(describe(&error))));
                }
                Ok(Err(error)) => return Ok(Err(Unlisted::Failed(describe(&error)))),
                Err(_) => {
                    let why = format!("the list took longer than {:?}", self.timing.list);
                    return Ok(Err(Unlisted::Failed(why)));
                }
            };
            for sent in page.items {
                self.tell(What::Listed(self.resource.item(sent).0)).await?;
            }
            match page.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => params.continue_token = Some(next),
                None => {
                    self.tell(What::Ended).await?;
                    return Ok(Ok(page.metadata.resource_version.unwrap_or_default()));
                }
            }
        }
    }

    /// Tells the changes since a version, until the watch ends.
    async fn watch(&self, from: &str) -> Result<Ended, Deaf> {
        let mut version = from.to_owned();
        let params = WatchParams {
            field_selector: self.fields.clone(),
            label_selector: self.labels.clone(),
            timeout: u32::try_from(self.timing.watch.as_secs().max(1)).ok(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let silence = self.timing.watch + PATIENCE;
        let mut events = match tokio::time::timeout(silence, self.resource.watch(&params, &version)).await {
            Ok(Ok(events)) => events,
            Ok(Err(error)) if is(&error, GONE) => return Ok(Ended::Stale(describe(&error))),
            Ok(Err(error)) => return Ok(Ended::Broken(describe(&error), version)),
            Err(_) => return Ok(Ended::Broken("the watch was not answered".to_owned(), version)),
        };
        self.works();
        loop {
            let event = match tokio::time::timeout(silence, events.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error @ (kube::Error::SerdeError(_) | kube::Error::FromUtf8(_))))) => {
                    return Ok(Ended::Stale(describe(&error)));
                }
                Ok(Some(Err(error))) => return Ok(Ended::Broken(describe(&error), version)),
                Ok(None) => return Ok(Ended::Well(version)),
                Err(_) => return Ok(Ended::Broken("the watch went silent".to_owned(), version)),
            };
            let (what, next) = match event {
                WatchEvent::Added(sent) | WatchEvent::Modified(sent) => {
                    let (item, next) = self.resource.item(sent);
                    (What::Applied(item), next)
                }
                WatchEvent::Deleted(sent) => {
                    let (item, next) = self.resource.item(sent);
                    (What::Deleted(item), next)
                }
                WatchEvent::Bookmark(bookmark) => {
                    version = bookmark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(status) if status.code == GONE => return Ok(Ended::Stale(status.message)),
                WatchEvent::Error(status) => return Ok(Ended::Broken(status.message, version)),
            };
            self.tell(what).await?;
            version = next;
        }
    }

    async fn tell(&self, what: What) -> Result<(), Deaf> {
        let heard = Heard { stream: self.stream.clone(), what };
        self.told.send(heard).await.map_err(|_| Deaf)
    }

    fn failed(&self, why: &str) {
        if self.health.failed(&self.stream, why, Instant::now()) {
            tracing::warn!(stream = %self.stream, why, "the API server cannot be heard; what is known stays in force");
        }
    }

    fn works(&self) {
        if let Some(broken) = self.health.works(&self.stream, Instant::now()) {
            tracing::info!(stream = %self.stream, ?broken, "the API server can be heard again");
        }
    }
}

/// Pauses between tries: each twice as long as the one before, up to a bound, and never quite the same, so that replicas
/// do not come back all at once.
struct Pause {
    timing: Timing,
    next: Duration,
}

impl Pause {
    fn new(timing: Timing) -> Self {
        Self { timing, next: timing.pause_min }
    }

    fn reset(&mut self) {
        self.next = self.timing.pause_min;
    }

    fn is_longest(&self) -> bool {
        self.next >= self.timing.pause_max
    }

    async fn take(&mut self) {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.timing.pause_max);
        tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
    }
}

/// An error with everything behind it. A request's headers, and with them a token, are in none of them.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

/// Whether the API server answered with this status.
fn is(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

const FORBIDDEN: u16 = 403;
const GONE: u16 = 410;
/// As kubectl has it.
const PAGE: u32 = 500;
/// What a watch may be silent beyond its time.
const PATIENCE: Duration = Duration::from_secs(5);
/// A watch that lasted so long was no failure.
const STEADY: Duration = Duration::from_secs(1);
