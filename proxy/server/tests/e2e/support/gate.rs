//! A gate at which requests wait in an origin until a test lets them through.

use super::{PATIENCE, until};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// A gate, shut at first.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    waiting: usize,
    most: usize,
    passed: usize,
    /// How many more may pass.
    permits: usize,
}

impl Gate {
    /// Waits for a permit.
    pub fn pass(&self) {
        let mut state = self.state();
        state.waiting += 1;
        state.most = state.most.max(state.waiting);
        let waited = self.0.1.wait_timeout_while(state, PATIENCE, |state| state.permits == 0);
        let (mut state, _) = waited.unwrap();
        state.permits = state.permits.saturating_sub(1);
        state.waiting -= 1;
        state.passed += 1;
    }

    /// Lets so many pass, now or later.
    pub fn open(&self, permits: usize) {
        self.state().permits += permits;
        self.0.1.notify_all();
    }

    /// Waits until so many wait here.
    pub fn wait_for(&self, waiting: usize) {
        until("requests wait at the gate", || self.state().waiting == waiting);
    }

    pub fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Most that ever waited at once.
    pub fn most(&self) -> usize {
        self.state().most
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }
}
