//! A cluster as a source, against an API server that goes wrong.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

mod following;
mod outages;
mod places;
mod secrets;
mod writing;
