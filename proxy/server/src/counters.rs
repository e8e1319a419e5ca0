//! Counts of what has no location.
//!
//! Under construction: nothing is counted yet.

use crate::access_log::Lane;
use crate::lane::pingora::strict::Malformed;
use crate::lane::wire::Why;
use crate::respond::GatewayError;

/// Counts of what has no location.
#[derive(Debug, Default)]
pub struct Counters;

impl Counters {
    /// A connection was accepted.
    pub fn connection_accepted(&self) {}
    /// A connection was closed at once.
    pub fn connection_shed(&self) {}
    /// Accepting failed.
    pub fn accept_failed(&self) {}
    /// A request took a lane.
    pub fn lane_request(&self, _lane: Lane) {}
    /// The express lane left a request to the other one.
    pub fn declined(&self, _why: Why) {}
    /// A head was refused.
    pub fn malformed(&self, _fault: Malformed) {}
    /// An answer of our own was sent.
    pub fn gateway_error(&self, _error: GatewayError) {}
}
