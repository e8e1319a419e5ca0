//! A cluster as a source: watches the API server, and writes back what its users want to know.
//!
//! One thread follows everything. Watches ([`reflector`]) tell it what is there; the [`store`] keeps it and knows what
//! changed; changes are collected for a moment ([`debounce`]), translated, and handed on. A change of endpoints alone is
//! no new configuration: only the addresses of its backends are handed on.
//!
//! Whatever becomes of the API server, the last configuration stays in force; [`Health::age`] says how old it may be.

mod client;
mod debounce;
mod follow;
mod health;
mod in_force;
mod prune;
mod reflector;
mod resource;
mod secrets;
mod store;
mod stream;
mod zone;

pub use client::ClientError;
pub use health::Health;
pub use reflector::Timing;

use crate::publish;
use crate::threads;
use crate::translate::Options;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use tokio::sync::{oneshot, watch};
use weir_core::Finding;
use weir_core::declaration::{BackendName, BackendSpec, Declaration};

/// What the operator decides about the cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How objects are translated. [`Options::watch_namespace`] also narrows what is watched.
    pub options: Options,
    /// Only namespaces with these labels (`--watch-namespace-selector`), as the API server understands it.
    pub namespace_selector: Option<String>,
    /// The file that says where the API server is; without one the environment does.
    pub kubeconfig: Option<PathBuf>,
    /// The URL of the API server, in place of what the kubeconfig or the pod says (`--apiserver-host`).
    pub apiserver_host: Option<String>,
    /// The file with the authorities that it is verified by (`--certificate-authority`); counts only with
    /// [`Self::apiserver_host`].
    pub certificate_authority: Option<PathBuf>,
    /// The node that we run on, whose zone becomes [`Options::zone`] where that is not given.
    pub node: Option<String>,
    /// How long things may take.
    pub timing: Timing,
    /// What is written back.
    pub publish: publish::Settings,
}

/// What is to be put in force.
#[derive(Clone, Debug)]
pub enum Update {
    /// Another configuration, with what is wrong with its objects.
    Configuration(Box<Declaration>, Vec<Finding>),
    /// Other addresses of these backends of the configuration in force, and nothing else.
    Endpoints(BTreeMap<BackendName, BackendSpec>),
}

/// Why the cluster cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// It is not known where the API server is, or how to talk to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The system has no thread left.
    #[error("cannot start a thread to watch the cluster")]
    Thread(#[source] std::io::Error),
}

/// Follows a cluster until it is dropped.
#[derive(Debug)]
pub struct Cluster {
    health: Arc<Health>,
    leads: Arc<AtomicBool>,
    /// Tells the writer to leave.
    leave: watch::Sender<bool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    /// Begins to follow. `on_update` is called on a thread of its own, for the first time when everything has been listed;
    /// an API server that is not there yet is waited for. It gives all findings there are once a configuration is in
    /// force, for Events; those of a change of endpoints are not looked at.
    ///
    /// # Errors
    ///
    /// If it is not known where the API server is, or there is no thread.
    pub fn follow(
        settings: Settings,
        on_update: impl FnMut(Update) -> Vec<Finding> + Send + 'static,
    ) -> Result<Self, ClusterError> {
        let health = Arc::new(Health::default());
        let leads = Arc::new(AtomicBool::new(false));
        let (leave, left) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let work = {
            let shared =
                follow::Shared { health: Arc::clone(&health), leads: Arc::clone(&leads), leave: left };
            move || {
                let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(tell.send(Err(ClusterError::Thread(error)))),
                };
                runtime.block_on(async {
                    match follow::Follower::new(settings, shared, on_update).await {
                        Ok(follower) => {
                            drop(tell.send(Ok(())));
                            follower.run(stopped).await;
                        }
                        Err(error) => drop(tell.send(Err(error.into()))),
                    }
                });
            }
        };
        let thread = thread::Builder::new().name("weir-cluster".to_owned()).spawn(work);
        let thread = thread.map_err(ClusterError::Thread)?;
        match told.recv() {
            Ok(Ok(())) => Ok(Self { health, leads, leave, stop: Some(stop), thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ClusterError::Thread(std::io::Error::other("it ended before it began"))),
        }
    }

    /// Whether this is the replica that writes back, for metrics.
    pub fn leads(&self) -> &Arc<AtomicBool> {
        &self.leads
    }

    /// Nothing is written back any more, and the next replica may lead. What is watched goes on being followed.
    pub fn leave(&self) {
        self.leave.send_replace(true);
    }

    /// How well the API server can be heard.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.leave();
        drop(self.stop.take());
        threads::join(self.thread.take());
    }
}
