//! What `deploy/` ships, held against the Kubernetes types and against what security guides ask.
//!
//! Manifests are looked at as they come out of `kubectl kustomize` and `helm template`. Each rule is a function from
//! objects to complaints, and a test breaks it once on purpose.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, reason = "helpers of a test binary")]

mod audit;
mod chart;
mod checkov;
mod kustomize;
mod network;
mod pods;
mod rendered;
mod roles;
mod selectors;
mod strict;
