//! When to look again: four times a second.
//!
//! A look is a `stat` for each file. Events (inotify) would not tell of what happens behind links that lead out of the
//! folder, and their number is bounded for all pods of a node together; the looks cost less than 0.1 % of a core.

use super::{PodInfo, PodInfoError};
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
        // A panic of the thread was reported when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

pub(super) fn spawn(
    mut podinfo: PodInfo,
    mut on_change: impl FnMut(Declaration, Vec<Finding>) + Send + 'static,
) -> Result<Watcher, PodInfoError> {
    let signal = Arc::new(Signal::default());
    let hear = Arc::clone(&signal);
    let work = move || loop {
        let changed = match hear.wait() {
            Order::Stop => return,
            Order::Refresh => Some(podinfo.refresh()),
            Order::Look => podinfo.poll(),
        };
        if let Some((declaration, findings)) = changed {
            on_change(declaration, findings);
        }
    };
    let builder = thread::Builder::new().name("weir-podinfo".to_owned());
    let thread = builder.spawn(work).map_err(PodInfoError::Thread)?;
    Ok(Watcher { signal, thread: Some(thread) })
}

/// What the thread is to do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Look,
    Refresh,
    Stop,
}

#[derive(Debug, Default)]
struct Signal {
    order: Mutex<Order>,
    wake: Condvar,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, order: Order) {
        *self.lock() = order;
        self.wake.notify_all();
    }

    /// The next order: at once if one was given, or else to look, when it is time.
    fn wait(&self) -> Order {
        let waited = self.wake.wait_timeout_while(self.lock(), EVERY, |order| *order == Order::Look);
        std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// Two looks make a change, so it is in force half a second after it was written.
const EVERY: Duration = Duration::from_millis(250);
