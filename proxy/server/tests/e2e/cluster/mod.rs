//! A cluster as the source: the real binary against an API server, over whatever happens to either.
//!
//! The API server is the one in memory, and the same tests run a second time against a real `kube-apiserver` with its
//! `etcd` where `KUBEBUILDER_ASSETS` names a folder with both.

mod outages;
mod rbac;
mod rollouts;
mod scale;
mod shipped;
mod starts;
pub mod support;
mod takeover;
mod traffic;
mod writing;
