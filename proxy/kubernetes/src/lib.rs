//! Kubernetes objects in, a declaration out.
//!
//! A *source* keeps a store of typed [`objects`]; [`translate()`] turns the store into what `weir-core` builds a snapshot
//! from, and into findings for the owners of the objects. `translate` is pure: no clock, no I/O, no logging. Sources
//! are a [`cluster`], which is watched, a folder of [`manifests`], and the annotations of the pod that weir runs in
//! ([`podinfo`]). What a cluster's users want to know is written back to it ([`publish`]).

pub mod cluster;
mod files;
pub mod manifests;
pub mod objects;
pub mod podinfo;
pub mod publish;
mod threads;
pub mod translate;

pub use cluster::Cluster;
pub use manifests::Manifests;
pub use objects::{Object, Objects};
pub use podinfo::PodInfo;
pub use translate::{Options, translate};
