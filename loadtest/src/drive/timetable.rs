//! Keeping to the plan where each request is a task of its own.

use super::Job;
use crate::plan::Planned;
use crate::record::Tally;
use std::cell::RefCell;
use std::future::Future;
use tokio::task::JoinSet;

/// Begins each request of a part of the plan at its moment, within a `LocalSet`, and returns when all have ended.
pub(super) async fn keep<F>(job: &Job, tally: &RefCell<Tally>, begin: impl Fn(Planned) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let mut tasks = JoinSet::new();
    for planned in &job.part {
        let left = job.clock.until(planned.at);
        // What is due already goes at once: a timer has a millisecond at least.
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
        tally.borrow_mut().sent(planned, job.clock.now());
        tasks.spawn_local(begin(*planned));
        while tasks.try_join_next().is_some() {}
    }
    // A task that panics has counted nothing, and the run is invalid for it.
    while tasks.join_next().await.is_some() {}
}
