//! The server as clients meet it.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod clients;
mod faults;
mod http;
mod kubectl;
mod lists;
mod real;
mod watches;
mod writes;
