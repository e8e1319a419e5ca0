//! The harness against origins that lie, and against the real weir. Everything is on loopback and on free ports.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod ci;
mod command;
mod honesty;
mod honesty_http2;
mod page;
mod peers;
mod scenarios;
mod schema;
mod support;
