//! The server as a test holds it.

use crate::access::Access;
use crate::cluster::{Cluster, Credentials, Kubeconfig};
use crate::faults::Faults;
use crate::listen::{Listening, Socket};
use crate::patch::Form;
use crate::registry::{Deleted, Origin, Preconditions, Registry, Write};
use crate::request::{Part, Request};
use crate::resources::{Resource, Scope};
use crate::shared::Shared;
use crate::status::StatusError;
use crate::store::{Key, Object};
use crate::tls::Authority;
use crate::validate::EndpointAddresses;
use serde_json::Value;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How a server is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens. With port 0: on a free one.
    pub listen: SocketAddr,
    /// Whether it speaks TLS.
    pub transport: Transport,
    /// Bearer tokens, and whose they are. With none, everybody is let in.
    pub tokens: Vec<(String, String)>,
    /// What users may do.
    pub access: Access,
    /// Time between bookmarks of a watch.
    pub bookmark_every: Duration,
    /// The longest that a watch lives.
    pub watch_timeout: Duration,
    /// So many changes of each kind are remembered for watches that begin in the past.
    pub history: usize,
    /// Which addresses an EndpointSlice may have.
    pub endpoint_addresses: EndpointAddresses,
    /// Wall time, for `creationTimestamp`.
    pub now: fn() -> jiff::Timestamp,
}

/// What connections speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 as it is.
    Plain,
    /// HTTP/1.1 over TLS, with an authority and a certificate that are made for it.
    Tls,
    /// HTTP/1.1 over TLS, with a certificate that is given.
    TlsAs(Identity),
}

/// Who a server is, and whom it knows; all as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its certificate.
    pub certificate: String,
    /// The key of that.
    pub key: String,
    /// The authority of its certificate: what clients trust.
    pub authority: String,
    /// The authority of client certificates. Who has one of those may do everything, as members of `system:masters`.
    pub client_authority: Option<String>,
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// What a watch can begin after, when a server was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Everything that is remembered.
    Keep,
    /// Only the present: older versions are gone (410).
    Lose,
}

/// An API server in memory, on a port of its own. It ends when dropped.
///
/// It runs on a thread of its own, so the methods may be called from wherever: none of them waits for a client.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
    socket: Socket,
    listening: Option<Listening>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            transport: Transport::Plain,
            tokens: Vec::new(),
            access: Access::Everything,
            bookmark_every: Duration::from_secs(60),
            watch_timeout: Duration::from_secs(1800),
            history: 100_000,
            endpoint_addresses: EndpointAddresses::Routable,
            now: jiff::Timestamp::now,
        }
    }
}

impl Options {
    /// As a server in a cluster is met by a pod: TLS, and one token, of the service account `weir` in namespace `weir`.
    pub fn in_cluster(token: &str) -> Self {
        let user = "system:serviceaccount:weir:weir".to_owned();
        Self { transport: Transport::Tls, tokens: vec![(token.to_owned(), user)], ..Self::default() }
    }
}

impl ApiServer {
    /// Starts.
    ///
    /// # Errors
    ///
    /// There is no port, no thread, or no randomness for certificates; or those that are given are none.
    #[expect(clippy::unused_async, reason = "callers wait for a start, whatever it takes")]
    pub async fn start(options: Options) -> io::Result<Self> {
        Self::start_blocking(options)
    }

    /// As [`Self::start`], where nothing is async.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_blocking(options: Options) -> io::Result<Self> {
        let socket = match &options.transport {
            Transport::Plain => Socket::new(options.listen, None)?,
            Transport::Tls => Socket::new(options.listen, Some(&Authority::new()?.identity(NAMES)?))?,
            Transport::TlsAs(identity) => Socket::new(options.listen, Some(identity))?,
        };
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("apiserver").enable_all().build()?;
        let mut server =
            Self { shared: Arc::new(Shared::new(options)), runtime: Some(runtime), socket, listening: None };
        server.resume()?;
        Ok(server)
    }

    /// The address it listens on, or will again.
    pub fn address(&self) -> SocketAddr {
        self.socket.address
    }

    /// What goes wrong, if a test wants it.
    pub fn faults(&self) -> Faults {
        Faults::new(self.shared.clone())
    }

    /// All requests so far (the last 100,000), in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests()
    }

    /// As [`Self::requests`], and forgets them.
    pub fn take_requests(&self) -> Vec<Request> {
        self.shared.take_requests()
    }

    /// Watches that are open.
    pub fn watches(&self) -> Vec<Request> {
        self.shared.watches()
    }

    /// Version of the last change.
    pub fn version(&self) -> u64 {
        self.shared.registry.lock().store.version()
    }

    /// From now on users may do this.
    pub fn set_access(&self, access: Access) {
        *self.shared.access.lock() = access;
    }

    /// From now on these tokens count, and no others.
    pub fn set_tokens(&self, tokens: impl IntoIterator<Item = (String, String)>) {
        *self.shared.tokens.lock() = tokens.into_iter().collect();
    }

    /// Stops listening and closes every connection, as when the process dies. The port stays reserved.
    pub fn pause(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop();
        }
    }

    /// Listens again on the same port.
    ///
    /// # Errors
    ///
    /// Somebody else has the port.
    pub fn resume(&mut self) -> io::Result<()> {
        if let (None, Some(runtime)) = (&self.listening, &self.runtime) {
            self.listening = Some(Listening::start(&self.socket, &self.shared, runtime.handle())?);
        }
        Ok(())
    }

    /// Stops and starts, with or without what watches begin after.
    ///
    /// # Errors
    ///
    /// As [`Self::resume`].
    pub fn restart_with(&mut self, history: History) -> io::Result<()> {
        self.pause();
        if history == History::Lose {
            self.faults().compact();
        }
        self.resume()
    }

    /// Loads many objects at once, as [`Cluster::put`] each. Says how many.
    ///
    /// # Errors
    ///
    /// The first that is refused; those before it are stored.
    pub fn put_all(&self, objects: impl IntoIterator<Item = Value>) -> Result<usize, StatusError> {
        let write = self.shared.write(Origin::Test);
        self.shared.change(|registry| {
            let mut count = 0;
            for object in objects {
                put(registry, object, &write)?;
                count += 1;
            }
            Ok(count)
        })
    }

    /// Waits until something is so; looks whenever there was a change, a request, or a watch opened or closed.
    pub async fn until(&self, mut so: impl FnMut(&Self) -> bool) {
        let mut activity = self.shared.activity.subscribe();
        while !so(self) {
            if activity.changed().await.is_err() {
                return;
            }
        }
    }

    /// As [`Self::until`], where nothing is async, but not longer than `patience`. Says whether it became so.
    pub fn until_blocking(&self, patience: Duration, so: impl FnMut(&Self) -> bool) -> bool {
        let Some(runtime) = &self.runtime else { return false };
        let until = async { tokio::time::timeout(patience, self.until(so)).await.is_ok() };
        runtime.handle().block_on(until)
    }
}

impl Cluster for ApiServer {
    fn url(&self) -> String {
        let scheme = if self.socket.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.socket.address)
    }

    fn kubeconfig(&self) -> String {
        let url = self.url();
        let tokens = self.shared.tokens.lock();
        let credentials =
            tokens.keys().next().map_or(Credentials::Nothing, |token| Credentials::Token(token));
        Kubeconfig { url: &url, authority: self.socket.authority.as_deref(), credentials }.yaml()
    }

    fn authority_pem(&self) -> Option<String> {
        self.socket.authority.clone()
    }

    fn put_value(&self, object: Value) -> Result<Value, StatusError> {
        let write = self.shared.write(Origin::Test);
        let stored = self.shared.change(|registry| put(registry, object, &write))?;
        Ok(stored.value.clone())
    }

    fn patch(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, StatusError> {
        let resource = Resource::named(resource).ok_or_else(StatusError::no_such_resource)?;
        let (key, write) = (Key::new(namespace, name), self.shared.write(Origin::Test));
        let patch = (Form::Merge, patch);
        let stored = self.shared.change(|it| it.patch(resource, &key, Part::Main, patch, &write))?;
        Ok(stored.value.clone())
    }

    fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<(), StatusError> {
        let resource = Resource::named(resource).ok_or_else(StatusError::no_such_resource)?;
        let (key, write) = (Key::new(namespace, name), self.shared.write(Origin::Test));
        let gone = self.shared.change(|it| it.delete(resource, &key, &Preconditions::default(), &write))?;
        match gone {
            Deleted::Gone(_) | Deleted::Waiting(_) => Ok(()),
        }
    }

    fn get(&self, resource: &str, namespace: &str, name: &str) -> Result<Option<Value>, StatusError> {
        let resource = Resource::named(resource).ok_or_else(StatusError::no_such_resource)?;
        let registry = self.shared.registry.lock();
        Ok(registry.store.get(resource, &Key::new(namespace, name)).map(|it| it.value.clone()))
    }

    fn list(&self, resource: &str, namespace: &str) -> Result<Vec<Value>, StatusError> {
        let resource = Resource::named(resource).ok_or_else(StatusError::no_such_resource)?;
        let registry = self.shared.registry.lock();
        Ok(registry.store.list(resource, namespace).into_iter().map(|(_, it)| it.value.clone()).collect())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.restart_with(History::Lose)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.pause();
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed where a test is async itself.
            runtime.shutdown_background();
        }
    }
}

/// What a server in a cluster is called.
const NAMES: &[&str] =
    &["127.0.0.1", "localhost", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

/// Creates or replaces an object, and makes its namespace.
fn put(registry: &mut Registry, object: Value, write: &Write) -> Result<Arc<Object>, StatusError> {
    let (resource, key) = address_of(&object)?;
    if resource.scope == Scope::Namespace {
        registry.ensure_namespace(&key.namespace, &write.time);
    }
    match registry.store.get(resource, &key) {
        None => registry.create(resource, &key.namespace, object, write),
        Some(_) => registry.update(resource, &key, Part::Main, object, write),
    }
}

/// Where an object goes.
pub(crate) fn address_of(object: &Value) -> Result<(&'static Resource, Key), StatusError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    let resource = Resource::of_kind(version, kind).ok_or_else(|| {
        StatusError::bad_request(format!("no matches for kind \"{kind}\" in version \"{version}\""))
    })?;
    let namespace = match (resource.scope, text("/metadata/namespace")) {
        (Scope::Cluster, _) => "",
        (Scope::Namespace, "") => "default",
        (Scope::Namespace, namespace) => namespace,
    };
    Ok((resource, Key::new(namespace, text("/metadata/name"))))
}
