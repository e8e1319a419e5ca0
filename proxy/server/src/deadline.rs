//! Deadlines of connections without a timer each.
//!
//! A timer per read costs more than the read's own bookkeeping, and most never fire. So each connection has one
//! [`Deadline`], a slot in its worker's table, set and cleared by writing a number; a sweeper looks at the table every
//! [`TICK`] and wakes the tasks whose time is up. Deadlines are late by at most two ticks and never early.
//!
//! The table belongs to the worker's thread, and so do the slots: a connection never leaves its worker.

use std::cell::RefCell;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How often the sweeper looks.
pub const TICK: Duration = Duration::from_millis(100);

/// The deadline of one task. Not set at first.
#[derive(Debug)]
pub struct Deadline {
    slot: usize,
}

impl Deadline {
    /// Takes a slot in this worker's table.
    pub fn new() -> Self {
        stir();
        TABLE.with_borrow_mut(|table| {
            let slot = table.free.pop().unwrap_or_else(|| {
                table.slots.push(Slot::default());
                table.slots.len() - 1
            });
            Self { slot }
        })
    }

    /// Sets it to `after` from now, in place of what it was.
    pub fn set(&self, after: Duration) {
        self.write(|tick| State::At(tick.saturating_add(ticks(after))));
    }

    /// Clears it.
    pub fn clear(&self) {
        self.write(|_| State::Off);
    }

    /// Whether it has passed. Until then the task of `cx` will be woken when it does.
    pub fn passed(&self, cx: &Context<'_>) -> bool {
        TABLE.with_borrow_mut(|table| {
            let Some(slot) = table.slots.get_mut(self.slot) else { return false };
            if slot.state == State::Passed {
                return true;
            }
            if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                slot.waker = Some(cx.waker().clone());
            }
            false
        })
    }

    fn write(&self, state: impl FnOnce(u64) -> State) {
        TABLE.with_borrow_mut(|table| {
            let tick = table.tick;
            if let Some(slot) = table.slots.get_mut(self.slot) {
                slot.state = state(tick);
            }
        });
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // At the end of a thread the table may be gone before the last connection.
        let _ = TABLE.try_with(|table| {
            let mut table = table.borrow_mut();
            if let Some(slot) = table.slots.get_mut(self.slot) {
                *slot = Slot::default();
                table.free.push(self.slot);
            }
        });
    }
}

/// How many ticks have passed on this worker: for what need not be told more exactly than that.
pub fn tick() -> u64 {
    TABLE.with_borrow(|table| table.tick)
}

/// Moves this worker's time on by one tick and wakes the tasks whose deadline has passed.
pub fn sweep() {
    // Wakers run outside the borrow: waking may touch the table.
    let due: Vec<Waker> = TABLE.with_borrow_mut(|table| {
        table.tick += 1;
        table.stirred = false;
        let tick = table.tick;
        table.slots.iter_mut().filter_map(|slot| slot.pass(tick)).collect()
    });
    due.into_iter().for_each(Waker::wake);
}

/// Says that there is something to look after on this worker, which need not have a deadline: a line of the log, or an idle
/// connection to an origin. Who rests is woken.
pub fn stir() {
    // At the end of a thread there is nothing to look after any more.
    let resting = TABLE.try_with(|table| {
        let mut table = table.borrow_mut();
        table.stirred = true;
        let resting = table.resting.take();
        // What is kept for a tick was kept while nobody counted.
        table.tick += u64::from(resting.is_some());
        resting
    });
    resting.ok().flatten().into_iter().for_each(Waker::wake);
}

/// Whether nothing on this worker has a deadline, set or not, and nothing has [`stir`]red since the last [`sweep`].
pub fn is_quiet() -> bool {
    TABLE.with_borrow(|table| !table.stirred && table.free.len() == table.slots.len())
}

/// Ready when it is not [quiet](is_quiet). Until then nobody needs to count ticks.
pub fn poll_stirred(cx: &Context<'_>) -> Poll<()> {
    let is_quiet = is_quiet();
    TABLE.with_borrow_mut(|table| table.resting = is_quiet.then(|| cx.waker().clone()));
    if is_quiet { Poll::Pending } else { Poll::Ready(()) }
}

/// Wakes every task with a deadline, passed or not, so that it looks around: the process is about to end.
pub fn wake_all() {
    let all: Vec<Waker> =
        TABLE.with_borrow_mut(|table| table.slots.iter_mut().filter_map(|slot| slot.waker.take()).collect());
    all.into_iter().for_each(Waker::wake);
}

/// Whole ticks that are at least `after`, and one more because the current tick has already begun.
fn ticks(after: Duration) -> u64 {
    u64::try_from(after.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX).saturating_add(1)
}

#[derive(Default)]
struct Table {
    tick: u64,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Whether there was something to look after since the last sweep.
    stirred: bool,
    /// Whoever counts the ticks, while there is nothing to count them for.
    resting: Option<Waker>,
}

#[derive(Default)]
struct Slot {
    state: State,
    waker: Option<Waker>,
}

impl Slot {
    fn pass(&mut self, tick: u64) -> Option<Waker> {
        match self.state {
            State::At(at) if at <= tick => {
                self.state = State::Passed;
                self.waker.take()
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Off,
    At(u64),
    Passed,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_once_when_passed_and_never_early() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let cx = Context::from_waker(&waker);
        let deadline = Deadline::new();
        deadline.set(TICK * 3);
        for _ in 0..3 {
            assert!(!deadline.passed(&cx));
            sweep();
        }
        assert!(!deadline.passed(&cx), "three whole ticks need not have passed yet");
        sweep();
        assert!(deadline.passed(&cx));
        sweep();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        deadline.set(TICK);
        assert!(!deadline.passed(&cx), "setting it again starts anew");
    }

    #[test]
    fn cleared_ones_stay_silent_and_slots_are_used_again() {
        let cx = Context::from_waker(Waker::noop());
        let first = Deadline::new();
        first.set(TICK);
        first.clear();
        (0..9).for_each(|_| sweep());
        assert!(!first.passed(&cx));
        let slot = first.slot;
        drop(first);
        assert_eq!(Deadline::new().slot, slot);
    }

    #[test]
    fn nobody_counts_for_nobody() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let cx = Context::from_waker(&waker);
        assert!(is_quiet());
        assert!(poll_stirred(&cx).is_pending());
        let before = tick();
        let first = Deadline::new();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(tick(), before + 1, "what was kept for the last tick is old");
        assert!(poll_stirred(&cx).is_ready());
        let second = Deadline::new();
        assert_eq!((count.0.load(Ordering::Relaxed), tick()), (1, before + 1));
        sweep();
        drop(first);
        assert!(poll_stirred(&cx).is_ready());
        drop(second);
        assert!(poll_stirred(&cx).is_pending());
    }

    #[test]
    fn what_ends_before_anybody_looks_is_looked_after_all_the_same() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let cx = Context::from_waker(&waker);
        let ways: [fn(); 2] = [stir, || drop(Deadline::new())];
        for (n, something) in ways.into_iter().enumerate() {
            assert!(poll_stirred(&cx).is_pending());
            something();
            assert_eq!(count.0.load(Ordering::Relaxed), n + 1);
            assert!(poll_stirred(&cx).is_ready() && !is_quiet());
            sweep();
            assert!(is_quiet());
        }
    }
}
