//! End to end: the real binary over loopback, with real clients and origins.
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers of a test binary"
)]

mod endings;
mod identity;
mod limits;
mod lists;
mod start;
mod support;
