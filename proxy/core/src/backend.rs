//! Where requests go: endpoints, and which of them is next.

use crate::declaration::BackendName;
use std::net::SocketAddr;

/// A Service port and the endpoints behind it. Endpoint state survives snapshots.
#[derive(Debug)]
pub struct Backend {
    /// Which Service port.
    pub name: BackendName,
}

/// A chosen endpoint. Counts as in flight there until it is dropped.
#[derive(Debug)]
pub struct Pick {
    /// Its address.
    pub address: SocketAddr,
}
