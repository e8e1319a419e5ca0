//! What handle, connections and watches share.

use crate::access::Access;
use crate::faults::State;
use crate::registry::{Origin, Registry, Write};
use crate::request::Request;
use crate::server::Options;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::watch;

/// The state of a server, from its start to its end, across restarts.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) registry: Mutex<Registry>,
    pub(crate) access: Mutex<Access>,
    /// Tokens, and whose they are.
    pub(crate) tokens: Mutex<BTreeMap<String, String>>,
    pub(crate) faults: State,
    /// Version of the last change; watches wait for it.
    pub(crate) version: watch::Sender<u64>,
    /// Counts the bookmarks that a test asked for.
    pub(crate) bookmarks: watch::Sender<u64>,
    /// Counts everything that a test may wait for.
    pub(crate) activity: watch::Sender<u64>,
    requests: Mutex<VecDeque<Request>>,
    watches: Mutex<Watches>,
}

#[derive(Debug, Default)]
struct Watches {
    next: u64,
    open: BTreeMap<u64, Request>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        let registry = Registry::new(options.history, options.endpoint_addresses, &time(&options));
        let version = registry.store.version();
        let tokens = options.tokens.iter().cloned().collect();
        let access = Mutex::new(options.access.clone());
        Self {
            options,
            registry: Mutex::new(registry),
            access,
            tokens: Mutex::new(tokens),
            faults: State::new(),
            version: watch::Sender::new(version),
            bookmarks: watch::Sender::new(0),
            activity: watch::Sender::new(0),
            requests: Mutex::default(),
            watches: Mutex::default(),
        }
    }

    /// Reads or changes the objects, and tells who waits.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        let (result, version) = {
            let mut registry = self.registry.lock();
            (change(&mut registry), registry.store.version())
        };
        // Changes may come here in another order than they were made in: the version only grows.
        let told = self.version.send_if_modified(|last| {
            let newer = version > *last;
            *last = version.max(*last);
            newer
        });
        if told {
            self.touch();
        }
        result
    }

    /// The circumstances of a write now.
    pub(crate) fn write(&self, origin: Origin) -> Write {
        Write { time: time(&self.options), dry_run: false, manager: String::new(), origin }
    }

    pub(crate) fn record(&self, request: Request) {
        let mut requests = self.requests.lock();
        if requests.len() >= MAX_REQUESTS {
            requests.pop_front();
        }
        requests.push_back(request);
        drop(requests);
        self.touch();
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().iter().cloned().collect()
    }

    pub(crate) fn take_requests(&self) -> Vec<Request> {
        self.requests.lock().drain(..).collect()
    }

    pub(crate) fn open_watch(&self, request: Request) -> u64 {
        let mut watches = self.watches.lock();
        watches.next += 1;
        let id = watches.next;
        watches.open.insert(id, request);
        drop(watches);
        self.touch();
        id
    }

    pub(crate) fn close_watch(&self, id: u64) {
        self.watches.lock().open.remove(&id);
        self.touch();
    }

    pub(crate) fn watches(&self) -> Vec<Request> {
        self.watches.lock().open.values().cloned().collect()
    }

    fn touch(&self) {
        self.activity.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Wall time as objects have it: in seconds.
fn time(options: &Options) -> String {
    (options.now)().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// So many requests are remembered, the last ones.
const MAX_REQUESTS: usize = 100_000;
