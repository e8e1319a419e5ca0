//! One worker: a thread with a runtime, listening sockets and an origin pool of its own.

mod accept;

use crate::deadline;
use crate::lane::pingora::PingoraLane;
use crate::linger;
use crate::listen::{self, Listener};
use crate::lookout;
use crate::shared::{Phase, Shared};
use crate::upstream::pool;
use accept::Door;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// What a worker needs to serve a connection.
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// The way for requests that the express lane does not take.
    pub pingora: PingoraLane,
}

/// What a worker's tasks run on. It takes descriptors, so it is made before anybody can use them up.
///
/// # Errors
/// When there are none left.
pub fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Serves `listeners` on this thread until the process has drained.
///
/// # Errors
/// When a socket cannot be set up.
pub fn run(runtime: &Runtime, shared: Arc<Shared>, listeners: Vec<Listener>) -> io::Result<()> {
    runtime.block_on(async {
        let worker = Arc::new(Worker { pingora: PingoraLane::new(shared.clone()), shared });
        let mut accepting = Vec::new();
        for Listener { socket, scheme } in listeners {
            let door = Door { listener: Arc::new(tokio::net::TcpListener::from_std(socket)?), scheme };
            accepting.push((door.clone(), tokio::spawn(accept::run(door, worker.clone()))));
        }
        let sweeping = tokio::spawn(sweep(worker.shared.clone()));
        worker.shared.phase.clone().wait_for(|phase| *phase >= Phase::Drain).await.ok();
        deadline::wake_all();
        // A socket that closes resets the connections that wait in its queue. So no new ones get into it, those on
        // their way arrive, and all are taken before it closes.
        accepting.iter().for_each(|(door, _)| listen::refuse_new(&*door.listener));
        tokio::time::sleep(ARRIVING).await;
        for (door, task) in accepting {
            task.abort();
            accept::take_waiting(&door, &worker).await;
        }
        worker.shared.drained(worker.shared.given.shutdown).await;
        linger::ended().await;
        sweeping.abort();
        pool::clear();
        pool::hand_over(&worker.shared.counters);
        worker.shared.log.end(worker.shared.clock.wall());
        Ok(())
    })
}

async fn sweep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(deadline::TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (mut tick, mut quiet) = (0, 0);
    loop {
        ticks.tick().await;
        quiet = if deadline::is_quiet() { quiet + 1 } else { 0 };
        deadline::sweep();
        shared.log.flush(shared.clock.wall());
        if tick == 0 {
            pool::sweep();
            pool::hand_over(&shared.counters);
            lookout::hand_over(&shared.counters);
        }
        tick = (tick + 1) % TICKS_PER_SECOND;
        // By then all that was collected was handed over.
        if quiet > 2 * TICKS_PER_SECOND {
            let stirred = poll_fn(|cx| deadline::poll_stirred(cx));
            if pool::is_empty() {
                stirred.await;
            } else if tokio::time::timeout(SECOND, stirred).await.is_err() {
                tick = 0;
                ticks.reset_immediately();
                continue;
            }
            // A whole tick, or deadlines would come early.
            ticks.reset();
        }
    }
}

/// How long connections whose handshake has begun may take to arrive when accepting ends.
const ARRIVING: Duration = Duration::from_millis(200);
/// How often a worker looks that has nothing but idle connections to origins.
const SECOND: Duration = Duration::from_secs(1);
const TICKS_PER_SECOND: u64 = (SECOND.as_millis() / deadline::TICK.as_millis()) as u64;
