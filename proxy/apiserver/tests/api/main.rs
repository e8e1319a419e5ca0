//! The server as clients meet it.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod clients;
mod faults;
mod http;
mod lists;
mod watches;
mod writes;
