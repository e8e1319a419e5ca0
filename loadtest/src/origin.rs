//! An origin of ours: one thread, answers from memory, and fails as it is told.

mod serve;

use crate::scenario::{Fault, OriginBehaviour};
use parking_lot::RwLock;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A running origin; ends when dropped.
#[derive(Debug)]
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) behaviour: RwLock<OriginBehaviour>,
    /// Counts changes of the behaviour.
    pub(crate) generation: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) ends: AtomicBool,
}

impl Origin {
    /// On a free port of loopback.
    ///
    /// # Errors
    ///
    /// If the system gives no port or no thread.
    pub fn start(behaviour: OriginBehaviour) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour: RwLock::new(behaviour),
            generation: AtomicU64::new(1),
            requests: AtomicU64::new(0),
            ends: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let serve = move || serve::serve(&listener, &of_thread);
        let thread = std::thread::Builder::new().name("origin".to_owned()).spawn(serve)?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// From the next request on.
    pub fn behave(&self, behaviour: OriginBehaviour) {
        *self.shared.behaviour.write() = behaviour;
        self.shared.generation.fetch_add(1, Ordering::Release);
    }

    /// Requests that came.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Release);
        // Wakes it.
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether the n-th request is one that the fault hits: evenly spread, and always the same ones.
pub(crate) fn faulty(behaviour: &OriginBehaviour, number: u64) -> bool {
    let share = behaviour.faulty.map_or(1.0, |share| share.0.min(1.0));
    behaviour.fault != Fault::None && ((number + 1) as f64 * share).floor() > (number as f64 * share).floor()
}
