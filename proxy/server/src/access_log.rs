//! One line per request.
//!
//! Under construction: nothing is written yet.

use crate::clock::WallTime;
use crate::request_id::RequestId;
use std::time::Duration;
use weir_core::account::{Account, Outcome};

/// The lane that a request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The express lane.
    Express,
    /// Pingora's.
    Pingora,
}

/// What a line is made of.
pub struct Entry<'a> {
    /// Who asked, where it went, which rules spoke.
    pub account: &'a Account,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// Method as sent.
    pub method: &'a [u8],
    /// Host as sent.
    pub host: &'a [u8],
    /// Path as sent.
    pub path: &'a [u8],
    /// The id that it carried.
    pub request_id: Option<&'a RequestId>,
    /// The lane it took.
    pub lane: Lane,
    /// From the end of its head to the end of the response.
    pub duration: Duration,
}

/// Takes lines; one per worker.
#[derive(Clone, Debug)]
pub struct AccessLog;

impl AccessLog {
    /// Adds a line.
    pub fn write(&self, _wall: WallTime, _entry: &Entry<'_>) {}

    /// Hands what was added to the writer.
    pub fn flush(&self) {}

    /// One for another worker.
    pub fn worker(&self) -> Self {
        Self
    }
}
