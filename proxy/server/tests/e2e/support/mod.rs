//! The real binary, origins and clients for the end-to-end tests. Everything is on loopback and on ports that the
//! system chose; everything ends with the value that started it.

pub mod client;
pub mod origin;
pub mod weir;

pub use client::{Client, Reply, get};
pub use origin::{Origin, Reaction, Request};
pub use weir::{Weir, ingress};

use std::time::Duration;

/// How long anything may take before a test gives up. Never waited for when all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);
