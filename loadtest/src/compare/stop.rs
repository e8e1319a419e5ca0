//! The one way in which a comparison is ended early: a signal, or its time limit.
//!
//! Whoever waits, waits here, and hears of it at once. Cleaning up does not: it is not to be interrupted.

use super::Failure;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Shared by whoever waits and whoever ends.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reason: Mutex<Option<String>>,
    raised: Condvar,
    limit: Duration,
    deadline: Instant,
}

impl Stop {
    /// Nothing is to be stopped, for so long.
    pub fn after(limit: Duration) -> Self {
        let shared = Shared {
            reason: Mutex::new(None),
            raised: Condvar::new(),
            limit,
            deadline: Instant::now() + limit,
        };
        Self(Arc::new(shared))
    }

    /// Makes SIGINT, SIGTERM and SIGHUP stop the comparison in place of ending the process.
    ///
    /// # Errors
    ///
    /// If the system gives no thread or no handler.
    pub fn on_signals(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let kinds = {
            let _guard = runtime.enter();
            let kinds = [
                ("SIGINT", SignalKind::interrupt()),
                ("SIGTERM", SignalKind::terminate()),
                ("SIGHUP", SignalKind::hangup()),
            ];
            kinds.into_iter().map(|(name, kind)| Ok((name, signal(kind)?))).collect::<io::Result<Vec<_>>>()?
        };
        let stop = self.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut waiting = tokio::task::JoinSet::new();
                for (name, mut signal) in kinds {
                    let stop = stop.clone();
                    waiting.spawn(async move {
                        while signal.recv().await.is_some() {
                            stop.raise(name);
                        }
                    });
                }
                waiting.join_all().await;
            });
        })?;
        Ok(())
    }

    /// Ends the comparison, for this reason.
    pub fn raise(&self, reason: &str) {
        self.0.reason.lock().get_or_insert_with(|| reason.to_owned());
        self.0.raised.notify_all();
    }

    /// Whether one may go on.
    ///
    /// # Errors
    ///
    /// [`Failure::Stopped`] if not.
    pub fn check(&self) -> Result<(), Failure> {
        match self.0.reason.lock().clone() {
            Some(reason) => Err(Failure::Stopped(reason)),
            None if Instant::now() >= self.0.deadline => {
                Err(Failure::Stopped(format!("the time limit of {} s", self.0.limit.as_secs())))
            }
            None => Ok(()),
        }
    }

    /// Waits so long.
    ///
    /// # Errors
    ///
    /// [`Failure::Stopped`] at once when it is.
    pub fn wait(&self, duration: Duration) -> Result<(), Failure> {
        let end = (Instant::now() + duration).min(self.0.deadline);
        let mut reason = self.0.reason.lock();
        while reason.is_none() && !self.0.raised.wait_until(&mut reason, end).timed_out() {}
        drop(reason);
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_hears_of_the_first_reason_at_once() {
        let stop = Stop::after(Duration::from_secs(3600));
        assert!(stop.check().is_ok() && stop.wait(Duration::ZERO).is_ok());
        let other = stop.clone();
        let waiting = std::thread::spawn(move || other.wait(Duration::from_secs(3600)));
        stop.raise("SIGTERM");
        stop.raise("SIGINT");
        let told = waiting.join().unwrap().unwrap_err().to_string();
        assert!(told.contains("SIGTERM"), "{told}");
    }

    #[test]
    fn the_time_limit_ends_a_wait() {
        let stop = Stop::after(Duration::ZERO);
        assert!(stop.wait(Duration::from_secs(3600)).unwrap_err().to_string().contains("time limit"));
    }
}
