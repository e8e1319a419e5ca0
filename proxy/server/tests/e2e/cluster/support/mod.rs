//! A cluster, weir beside it, pods as origins, and clients that miss nothing.

pub mod load;
pub mod objects;
pub mod pod;
pub mod stage;

pub use load::{Load, State};
pub use objects::{CLASS, ENDED, ENDING, Endpoint, NAMESPACE, READY, ingress, reachable, service, slice};
pub use pod::Pod;
pub use stage::{
    Stage, command, grant, in_memory, in_memory_with, on_each_cluster, real_for_user, start, start_with,
    unready,
};

use crate::support::{PATIENCE, Weir, get};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Instant;
use weir_apiserver::Cluster;

/// As [`crate::support::until`], where looking has a cost for others on the machine.
#[track_caller]
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
}

/// Writes objects, one after another.
#[track_caller]
pub fn put(cluster: &(impl Cluster + ?Sized), objects: impl IntoIterator<Item = Value>) {
    for object in objects {
        cluster.put_value(object).unwrap();
    }
}

/// Waits until a host answers with this body.
#[track_caller]
pub fn until_served(to: SocketAddr, host: &str, body: &str) {
    until(&format!("{host} is served by {body}"), || {
        let reply = get(to, host, "/");
        reply.status == 200 && reply.text() == body
    });
}

/// Waits until a host answers with this status.
#[track_caller]
pub fn until_status(to: SocketAddr, host: &str, status: u16) {
    until(&format!("{host} answers {status}"), || get(to, host, "/").status == status);
}

/// Whether `/readyz` says yes.
pub fn is_ready(weir: &Weir) -> bool {
    get(weir.admin, "admin", "/readyz").status == 200
}
