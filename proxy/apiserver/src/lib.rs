//! An API server of Kubernetes in memory, for tests.
//!
//! [`ApiServer`] stands in for `kube-apiserver`: over HTTP, with its versions, conflicts, watches, parts, validation and
//! refusals, for the kinds in [`RESOURCES`] that an ingress controller meets. `kubectl` and clients of any language can
//! use it. What it does beyond a real one: it goes wrong on demand ([`Faults`]), it tells what it was asked
//! ([`ApiServer::requests`]), and a test can wait for what happens ([`ApiServer::until`]).
//!
//! What it does not do: it tracks no owners of fields (server-side apply always forces), runs no controllers (no pods, no
//! garbage collection; only a deleted namespace takes its objects along), checks only some rules of objects, and reads
//! JSON and YAML only (`kubectl apply` sends that; `kubectl create namespace NAME` of some versions does not).
//!
//! ```
//! use weir_apiserver::{ApiServer, Cluster, Options};
//! let server = ApiServer::start_blocking(Options::default())?;
//! server.put_value(serde_json::json!({
//!     "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "value"},
//! }))?;
//! println!("{}", server.kubeconfig());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod admission;
mod client;
mod cluster;
mod defaults;
mod discovery;
mod faults;
mod list;
mod listen;
mod patch;
pub mod real;
mod registry;
mod reply;
mod request;
mod resources;
mod selector;
mod server;
mod service;
mod shared;
mod status;
mod store;
mod tls;
mod validate;
mod watch;
mod wire;

pub use access::{Access, Rule};
pub use cluster::Cluster;
pub use faults::{Disturbance, Failure, Faults, Matching, Pace};
pub use request::{Request, Verb};
pub use resources::{Generation, Put, RESOURCES, Resource, Scope, StatusPart, Update};
pub use server::{ApiServer, History, Identity, Options, Transport};
pub use status::{Cause, CauseKind, StatusError};
pub use validate::EndpointAddresses;
