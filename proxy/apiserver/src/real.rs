//! A real `kube-apiserver` with its `etcd`, started as Kubernetes' own tool for such tests (envtest) starts them.
//!
//! There are no other components: nothing runs pods, and a deleted namespace stays `Terminating`.

mod process;

use crate::client::{Body, Client};
use crate::cluster::{Cluster, Credentials, Kubeconfig};
use crate::listen::Reservation;
use crate::resources::{Resource, StatusPart};
use crate::server::address_of;
use crate::status::StatusError;
use crate::store::Key;
use crate::tls::{Authority, Leaf};
use process::Process;
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A cluster of `etcd` and `kube-apiserver`, in a temporary folder, on ports of its own. Both end when it is dropped.
#[derive(Debug)]
pub struct RealServer {
    // Dropped in this order.
    apiserver: Option<Process>,
    _etcd: Process,
    client: Client,
    assets: PathBuf,
    /// Arguments of `kube-apiserver`.
    arguments: Vec<String>,
    secrets: Secrets,
    reservation: Reservation,
    _etcd_reservation: Reservation,
    folder: tempfile::TempDir,
}

/// Why a cluster did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificates or files could not be made, or there is no port.
    #[error("cannot prepare a cluster")]
    Prepare(#[from] io::Error),
    /// A program could not be run.
    #[error("cannot run {program}")]
    Run {
        /// Which one.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A program ended, or was not ready in time.
    #[error("{program} does not become ready; it said last:\n{log}")]
    Unready {
        /// Which one.
        program: &'static str,
        /// The last lines of its log.
        log: String,
    },
}

/// What proves who is who.
#[derive(Debug)]
struct Secrets {
    /// Certificate of the authority for servers and clients, as PEM.
    authority: String,
    /// Of a user of the group `system:masters`, who may do everything.
    admin: Leaf,
}

/// The folder with `etcd` and `kube-apiserver`, where the environment names one (`KUBEBUILDER_ASSETS`).
pub fn assets() -> Option<PathBuf> {
    std::env::var_os("KUBEBUILDER_ASSETS").filter(|it| !it.is_empty()).map(PathBuf::from)
}

impl RealServer {
    /// Starts both programs of a folder, and waits until the API is ready.
    ///
    /// Each of `tokens` is a bearer token and the user whose it is; what they may do, RBAC says.
    ///
    /// # Errors
    ///
    /// A program is not there, or does not become ready.
    pub fn start(assets: &Path, tokens: &[(String, String)]) -> Result<Self, StartError> {
        let folder = tempfile::Builder::new().prefix("weir-apiserver-").tempdir()?;
        let etcd_reservation = Reservation::new()?;
        let reservation = Reservation::new()?;
        let etcd_url = format!("http://{}", etcd_reservation.address);
        let arguments = etcd_arguments(folder.path(), &etcd_url);
        let mut etcd = Process::start(assets, "etcd", &arguments, folder.path())?;
        let probe = Client::plain(etcd_reservation.address);
        etcd.wait(|| is_ready(&probe, "/health"))?;

        let secrets = Secrets::write(folder.path(), tokens)?;
        let Secrets { authority, admin } = &secrets;
        let client = Client::tls(reservation.address, authority, &admin.certificate, &admin.key)?;
        let arguments =
            apiserver_arguments(folder.path(), &etcd_url, reservation.address.port(), !tokens.is_empty());
        let mut server = Self {
            apiserver: None,
            _etcd: etcd,
            client,
            assets: assets.to_owned(),
            arguments,
            secrets,
            reservation,
            _etcd_reservation: etcd_reservation,
            folder,
        };
        server.resume()?;
        Ok(server)
    }

    /// The folder with what it wrote: certificates, and the logs of both programs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A kubeconfig for the user of a bearer token that the cluster was started with.
    pub fn kubeconfig_of(&self, token: &str) -> String {
        let authority = Some(self.secrets.authority.as_str());
        Kubeconfig { url: &self.url(), authority, credentials: Credentials::Token(token) }.yaml()
    }

    /// Whether RBAC lets a user do this now: roles hold a moment after they are written. `attributes` are those of a
    /// `SubjectAccessReview`: `verb`, `group`, `resource`, `subresource`, `namespace`, `name`.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    pub fn may(&self, user: &str, attributes: &Value) -> Result<bool, StatusError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let reviewed = self.send("POST", path, Body::Json(&review))?;
        Ok(reviewed["status"]["allowed"] == true)
    }

    /// Stops `kube-apiserver`; `etcd` stays, and the port stays reserved.
    pub fn pause(&mut self) {
        self.apiserver = None;
    }

    /// Starts `kube-apiserver` again, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn resume(&mut self) -> Result<(), StartError> {
        if self.apiserver.is_none() {
            let mut started =
                Process::start(&self.assets, "kube-apiserver", &self.arguments, self.folder.path())?;
            started.wait(|| is_ready(&self.client, "/readyz"))?;
            self.apiserver = Some(started);
        }
        Ok(())
    }

    fn send(&self, method: &str, path: &str, body: Body<'_>) -> Result<Value, StatusError> {
        let answer = self.client.send(method, path, body);
        let unreachable = |error: io::Error| StatusError {
            message: format!("cannot reach the API server: {error}"),
            ..StatusError::failure(503, None)
        };
        answer.map_err(unreachable)?.object()
    }

    /// Creates an object or replaces it; the status is not written.
    fn put_main(&self, resource: &Resource, key: &Key, object: &Value) -> Result<Value, StatusError> {
        let versioned = !object["metadata"]["resourceVersion"].is_null();
        let collection = resource.path(&key.namespace, "");
        let path = resource.path(&key.namespace, &key.name);
        let mut error = StatusError::failure(500, None);
        for _ in 0..TRIES {
            let created = if versioned {
                Err(StatusError::already_exists(resource, &key.name))
            } else {
                self.send("POST", &collection, Body::Json(object))
            };
            error = match created {
                Ok(stored) => return Ok(stored),
                Err(error) if error.reason == "AlreadyExists" => {
                    match self.send("PUT", &path, Body::Json(&self.with_version(&path, object)?)) {
                        Ok(stored) => return Ok(stored),
                        // Somebody was faster, or removed it.
                        Err(error) if !versioned && matches!(error.code, 404 | 409) => error,
                        Err(error) => return Err(error),
                    }
                }
                Err(error) if is_missing_namespace(&error) => {
                    let namespace = json!({
                        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": key.namespace},
                    });
                    match self.send("POST", "/api/v1/namespaces", Body::Json(&namespace)) {
                        Ok(_) => error,
                        Err(made) if made.reason == "AlreadyExists" => error,
                        Err(error) => return Err(error),
                    }
                }
                // Right after a start some things are still being prepared, such as addresses for services.
                Err(error) if matches!(error.code, 429 | 500..) => {
                    std::thread::park_timeout(PAUSE);
                    error
                }
                Err(error) => return Err(error),
            };
        }
        Err(error)
    }

    /// The object with the version that is there, unless it names one.
    fn with_version(&self, path: &str, object: &Value) -> Result<Value, StatusError> {
        let mut object = object.clone();
        if object["metadata"]["resourceVersion"].is_null() {
            let there = self.send("GET", path, Body::Nothing)?;
            object["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"].clone();
        }
        Ok(object)
    }
}

impl Cluster for RealServer {
    fn url(&self) -> String {
        format!("https://{}", self.reservation.address)
    }

    fn authority_pem(&self) -> Option<String> {
        Some(self.secrets.authority.clone())
    }

    fn kubeconfig(&self) -> String {
        let Secrets { authority, admin } = &self.secrets;
        let credentials = Credentials::Certificate { certificate: &admin.certificate, key: &admin.key };
        Kubeconfig { url: &self.url(), authority: Some(authority), credentials }.yaml()
    }

    fn put_value(&self, mut object: Value) -> Result<Value, StatusError> {
        let (resource, key) = address_of(&object)?;
        if let Some(metadata) = object["metadata"].as_object_mut() {
            // What the server assigns would be a condition here.
            metadata.remove("uid");
            metadata.remove("creationTimestamp");
        }
        let stored = self.put_main(resource, &key, &object)?;
        let status = object.get("status").filter(|_| resource.status == StatusPart::Apart);
        let Some(status) = status else { return Ok(stored) };
        self.send("PATCH", &status_path(resource, &key), Body::MergePatch(&json!({"status": status})))
    }

    fn patch(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, StatusError> {
        let resource = Resource::named(resource).ok_or_else(StatusError::no_such_resource)?;
        let key = Key::new(namespace, name);
        let patched = self.send("PATCH", &resource.path(namespace, name), Body::MergePatch(patch))?;
        let status = patch.get("status").filter(|_| resource.status == StatusPart::Apart);
        let Some(status) = status else { return Ok(patched) };
        self.send("PATCH", &status_path(resource, &key), Body::MergePatch(&json!({"status": status})))
    }

    fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<(), StatusError> {
        let resource = Resource::named(resource).ok_or_else(StatusError::no_such_resource)?;
        self.send("DELETE", &resource.path(namespace, name), Body::Nothing).map(drop)
    }

    fn get(&self, resource: &str, namespace: &str, name: &str) -> Result<Option<Value>, StatusError> {
        let resource = Resource::named(resource).ok_or_else(StatusError::no_such_resource)?;
        match self.send("GET", &resource.path(namespace, name), Body::Nothing) {
            Err(error) if error.code == 404 => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn list(&self, resource: &str, namespace: &str) -> Result<Vec<Value>, StatusError> {
        let resource = Resource::named(resource).ok_or_else(StatusError::no_such_resource)?;
        let mut list = self.send("GET", &resource.path(namespace, ""), Body::Nothing)?;
        let Value::Array(mut items) = list["items"].take() else { return Ok(Vec::new()) };
        for item in &mut items {
            // Items of lists come without.
            item["kind"] = resource.kind.into();
            item["apiVersion"] = resource.api_version().into();
        }
        Ok(items)
    }

    fn restart(&mut self) -> io::Result<()> {
        self.pause();
        self.resume().map_err(io::Error::other)
    }
}

impl Secrets {
    /// Makes certificates and keys, and writes those that `kube-apiserver` reads.
    fn write(folder: &Path, tokens: &[(String, String)]) -> io::Result<Self> {
        let authority = Authority::new()?;
        let serving = authority.server(&["127.0.0.1", "localhost", "kubernetes.default.svc"])?;
        let admin = authority.client("admin", "system:masters")?;
        let signer = rcgen::KeyPair::generate().map_err(io::Error::other)?;
        fs::write(folder.join("ca.crt"), &authority.pem)?;
        fs::write(folder.join("apiserver.crt"), &serving.certificate)?;
        fs::write(folder.join("apiserver.key"), &serving.key)?;
        fs::write(folder.join("sa.key"), signer.serialize_pem())?;
        fs::write(folder.join("sa.pub"), signer.public_key_pem())?;
        let mut csv = String::new();
        for (index, (token, user)) in tokens.iter().enumerate() {
            let _ = writeln!(csv, "{token},{user},{index},\"system:authenticated\"");
        }
        fs::write(folder.join("tokens.csv"), csv)?;
        Ok(Self { authority: authority.pem, admin })
    }
}

fn etcd_arguments(folder: &Path, url: &str) -> Vec<String> {
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        // No other members: any port.
        "--listen-peer-urls=http://localhost:0".to_owned(),
    ]
}

fn apiserver_arguments(folder: &Path, etcd_url: &str, port: u16, with_tokens: bool) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut arguments = vec![
        format!("--etcd-servers={etcd_url}"),
        format!("--cert-dir={}", folder.display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        // An address for documentation (RFC 5737): the server publishes it as its own endpoint, where loopback is not
        // allowed, and without it looks for a network interface that a test machine may not have.
        "--advertise-address=192.0.2.1".to_owned(),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--service-account-issuer=https://127.0.0.1:{port}/"),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        // Nobody makes the service accounts that pods would need.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--allow-privileged=true".to_owned(),
    ];
    if with_tokens {
        arguments.push(format!("--token-auth-file={}", file("tokens.csv")));
    }
    arguments
}

fn is_ready(client: &Client, path: &str) -> bool {
    client.send("GET", path, Body::Nothing).is_ok_and(|answer| answer.code == 200)
}

fn status_path(resource: &Resource, key: &Key) -> String {
    format!("{}/status", resource.path(&key.namespace, &key.name))
}

fn is_missing_namespace(error: &StatusError) -> bool {
    error.code == 404 && error.details["kind"] == "namespaces"
}

/// So often a write is tried: two turns are usual, of which the first finds out that the object or the namespace is there.
const TRIES: usize = 50;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
