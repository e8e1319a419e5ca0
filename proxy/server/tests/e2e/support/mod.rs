//! The real binary, origins and clients for the end-to-end tests. Everything is on loopback and on ports that the
//! system chose; everything ends with the value that started it.

pub mod cases;
pub mod client;
pub mod gate;
pub mod h2;
pub mod inside;
pub mod lane;
pub mod origin;
pub mod peers;
pub mod pki;
pub mod tls;
pub mod volume;
pub mod weir;

pub use cases::{Case, case, run_cases};
pub use client::{Client, Reply, burst, count, get, ip};
pub use gate::Gate;
pub use lane::{LANES, Lane};
pub use origin::{Origin, Peer, Reaction, Request};
pub use peers::{Nginx, PYTHON, installed, installed_in_python};
pub use weir::{WITH_SETTINGS, Weir, binary, ingress, settings};

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Never waited for when all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until `condition` holds; gives up after [`PATIENCE`].
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}
