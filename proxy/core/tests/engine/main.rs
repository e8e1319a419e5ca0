//! The engine as its callers see it: one test for each promise.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod keys;
mod limits;
mod order;
mod origin_tls;
mod reload;
mod routes;
mod tls;
