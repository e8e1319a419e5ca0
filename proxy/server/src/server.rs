//! The parts put together: listeners and workers, and the orderly end.

use crate::access_log::AccessLog;
use crate::arrivals::Arrivals;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::listen::{self, ListenError, Listener};
use crate::shared::{Connections, Lanes, Phase, Shared};
use crate::timeouts::Given;
use crate::tls::Tls;
use crate::worker;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;
use weir_core::Engine;
use weir_core::facts::Scheme;

/// What a server is made of.
pub struct Config {
    /// Addresses for plain HTTP; port 0 lets the system choose.
    pub http: Vec<SocketAddr>,
    /// Addresses for HTTP over TLS; port 0 lets the system choose.
    pub https: Vec<SocketAddr>,
    /// Threads that serve.
    pub workers: usize,
    /// Most client connections; 0 is as many as there are descriptors for.
    pub connections: usize,
    /// Which lanes are open.
    pub lanes: Lanes,
    /// What TLS is served with.
    pub tls: Arc<Tls>,
    /// How long things may take, as far as the flags say it.
    pub given: Given,
    /// Whether clients of plain listeners may begin with HTTP/2.
    pub h2c: bool,
    /// Admits requests.
    pub engine: Arc<Engine>,
    /// Tells the time.
    pub clock: Clock,
    /// Counts what has no location.
    pub counters: Arc<Counters>,
    /// Where log lines go; each worker gets a writer of its own.
    pub log: AccessLog,
}

/// A server that is running.
pub struct Server {
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
    connections: Connections,
    arrivals: Arc<Arrivals>,
    phase: watch::Sender<Phase>,
    workers: Vec<JoinHandle<()>>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A thread cannot be made.
    #[error("cannot start a worker")]
    Worker(#[source] io::Error),
}

impl Server {
    /// Binds all addresses, then starts the workers.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let workers = config.workers.max(1);
        let mut sockets: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
        let mut bind = |addresses: &[SocketAddr], scheme: Scheme| {
            let mut all = Vec::new();
            for &address in addresses {
                let (bound, listeners) = listen::bind(address, workers)?;
                all.push(bound);
                for (worker, socket) in sockets.iter_mut().zip(listeners) {
                    worker.push(Listener { socket, scheme });
                }
            }
            Ok::<_, ListenError>(all)
        };
        let http = bind(&config.http, Scheme::Http)?;
        let https = bind(&config.https, Scheme::Https)?;
        let (phase, phases) = watch::channel(Phase::Run);
        let most = if config.connections == 0 { most_connections() } else { config.connections };
        let connections = Connections::new(most);
        let arrivals = Arc::new(Arrivals::new(most));
        let mut server = Self {
            http,
            https,
            connections: connections.clone(),
            arrivals: arrivals.clone(),
            phase,
            workers: Vec::new(),
        };
        let runtimes: io::Result<Vec<_>> = sockets.iter().map(|_| worker::runtime()).collect();
        let runtimes = runtimes.map_err(StartError::Worker)?;
        for (number, (listeners, runtime)) in sockets.into_iter().zip(runtimes).enumerate() {
            let shared = Arc::new(Shared {
                engine: config.engine.clone(),
                clock: config.clock,
                counters: config.counters.clone(),
                log: config.log.worker(),
                connections: connections.clone(),
                tls: config.tls.clone(),
                arrivals: arrivals.clone(),
                given: config.given,
                lanes: config.lanes,
                h2c: config.h2c,
                phase: phases.clone(),
            });
            let thread = std::thread::Builder::new().name(format!("weir-worker-{number}"));
            let started = thread.spawn(move || {
                if let Err(error) = worker::run(&runtime, shared, listeners) {
                    tracing::error!(%error, worker = number, "a worker has stopped");
                }
            });
            match started {
                Ok(handle) => server.workers.push(handle),
                Err(error) => {
                    server.drain();
                    server.join();
                    return Err(StartError::Worker(error));
                }
            }
        }
        Ok(server)
    }

    /// The addresses that are listened on for plain HTTP, in the order of the configuration.
    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    /// The addresses that are listened on for HTTP over TLS, in the order of the configuration.
    pub fn https(&self) -> &[SocketAddr] {
        &self.https
    }

    /// Client connections that are open.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Sockets of each client.
    pub fn arrivals(&self) -> &Arc<Arrivals> {
        &self.arrivals
    }

    /// How far the server is on its way out.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Says that nobody should be sent here any more, and goes on serving.
    pub fn leave(&self) {
        self.phase
            .send_if_modified(|phase| std::mem::replace(phase, Phase::Leave.max(*phase)) < Phase::Leave);
    }

    /// Stops accepting and lets what is in flight end.
    pub fn drain(&self) {
        let _ = self.phase.send(Phase::Drain);
    }

    /// Waits until all workers have ended: after [`drain`](Self::drain), at the latest when the shutdown time is over.
    pub fn join(self) {
        for worker in self.workers {
            let _ = worker.join();
        }
    }
}

/// Raises the limit of descriptors as far as it goes, and leaves half of them to origins and files.
fn most_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(descriptors / 2).unwrap_or(usize::MAX).clamp(16, MOST_CONNECTIONS)
}

/// More than this is a mistake somewhere.
const MOST_CONNECTIONS: usize = 1 << 20;
