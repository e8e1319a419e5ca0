//! End to end: the real binary over loopback, with real clients and origins.
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers of a test binary"
)]

mod aborts;
mod balancer;
mod client_certificates;
mod cluster;
mod commands;
mod draining;
mod early_refusals;
mod edge;
mod endings;
mod forwarded;
mod forwarding;
mod grammar;
mod handshakes;
mod heads;
mod http2;
mod https;
mod identity;
mod image;
mod lanes;
mod limits;
mod lists;
mod migration;
mod openssl;
mod operators;
mod origins;
mod origins_tls;
mod prometheus;
mod real_peers;
mod reload;
mod responses;
mod scale;
mod sidecar;
mod slow_bodies;
mod slow_clients;
mod slowhttptest;
mod smuggling;
mod sockets;
mod start;
mod support;
mod tls;
mod websocket;
