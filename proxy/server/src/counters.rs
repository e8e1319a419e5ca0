//! What is counted for the process as a whole: everything that has no object to be counted for.
//!
//! Plain relaxed atomics that the lanes move; `metrics.rs` renders them. What belongs to an object is counted by the
//! core ([`weir_core::account::ObjectCounters`]).

use crate::abort::{Abort, Cause, Stage, Unserved};
use crate::access_log::Lane;
use crate::arrivals::Shed;
use crate::decisions::{Decisions, Measured};
use crate::lane::grammar::Malformed;
use crate::lane::h2::{Ended, Rejected};
use crate::lane::wire::Why;
use crate::respond::GatewayError;
use crate::tls::Failure;
use crate::upstream::tls::OriginTlsFailure;
use parking_lot::Mutex;
use std::array;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::Notify;
use weir_core::identity::lookout::Sightings;

/// What is counted for the process as a whole. Counters only grow, gauges go up and down.
#[derive(Debug)]
pub struct Counters {
    connections_accepted: AtomicU64,
    shed: [AtomicU64; Shed::ALL.len()],
    accepts_failed: AtomicU64,
    handshakes: AtomicU64,
    handshake_failures: [AtomicU64; Failure::ALL.len()],
    origin_tls_failures: [AtomicU64; OriginTlsFailure::ALL.len()],
    client_aborts: [AtomicU64; Stage::ALL.len() * Cause::ALL.len()],
    lanes: [AtomicU64; Lane::ALL.len()],
    declined: [AtomicU64; Why::ALL.len()],
    malformed: [AtomicU64; Malformed::ALL.len()],
    gateway_errors: [AtomicU64; GatewayError::ALL.len()],
    h2_ended: [AtomicU64; Ended::ALL.len()],
    h2_rejected: [AtomicU64; Rejected::ALL.len()],
    origin_connections_opened: AtomicU64,
    origin_connections_reused: AtomicU64,
    origin_connections_idle: AtomicU64,
    decisions: Decisions,
    access_log_written: AtomicU64,
    access_log_dropped: AtomicU64,
    access_log_withheld: AtomicU64,
    access_log_unsampled: AtomicU64,
    sightings: Mutex<Sightings>,
    sighted: Notify,
}

impl Counters {
    /// All at zero.
    pub fn new() -> Self {
        Self {
            connections_accepted: AtomicU64::new(0),
            shed: zeros(),
            accepts_failed: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
            handshake_failures: zeros(),
            origin_tls_failures: zeros(),
            client_aborts: zeros(),
            lanes: zeros(),
            declined: zeros(),
            malformed: zeros(),
            gateway_errors: zeros(),
            h2_ended: zeros(),
            h2_rejected: zeros(),
            origin_connections_opened: AtomicU64::new(0),
            origin_connections_reused: AtomicU64::new(0),
            origin_connections_idle: AtomicU64::new(0),
            decisions: Decisions::new(),
            access_log_written: AtomicU64::new(0),
            access_log_dropped: AtomicU64::new(0),
            access_log_withheld: AtomicU64::new(0),
            access_log_unsampled: AtomicU64::new(0),
            sightings: Mutex::new(Sightings::new()),
            sighted: Notify::new(),
        }
    }

    /// A connection was accepted and is served.
    pub fn connection_accepted(&self) {
        add(&self.connections_accepted, 1);
    }

    /// A connection was closed and not served.
    pub fn connection_shed(&self, shed: Shed) {
        at(&self.shed, shed as usize);
    }

    /// Accepting failed: no descriptors, no memory, or the client was gone.
    pub fn accept_failed(&self) {
        add(&self.accepts_failed, 1);
    }

    /// A TLS handshake ended, in a connection or not.
    pub fn handshake(&self, failure: Option<Failure>) {
        match failure {
            None => add(&self.handshakes, 1),
            Some(failure) => at(&self.handshake_failures, failure as usize),
        }
    }

    /// A connection to an origin over TLS was not made.
    pub fn origin_tls_failed(&self, failure: OriginTlsFailure) {
        at(&self.origin_tls_failures, failure as usize);
    }

    /// A client's side of a connection broke off.
    pub fn client_abort(&self, abort: Abort) {
        at(&self.client_aborts, abort.stage as usize * Cause::ALL.len() + abort.cause as usize);
    }

    /// A connection ended before a request could begin.
    pub fn unserved(&self, unserved: Unserved) {
        match unserved {
            Unserved::Shed(shed) => self.connection_shed(shed),
            Unserved::Handshake(failure) => self.handshake(Some(failure)),
        }
    }

    /// A request ended that was served by this lane.
    pub fn lane_request(&self, lane: Lane) {
        at(&self.lanes, lane as usize);
    }

    /// The express lane left a request to the other.
    pub fn declined(&self, why: Why) {
        at(&self.declined, why as usize);
    }

    /// A request head has no reading.
    pub fn malformed(&self, fault: Malformed) {
        at(&self.malformed, fault as usize);
    }

    /// A request was answered by a lane itself.
    pub fn gateway_error(&self, error: GatewayError) {
        at(&self.gateway_errors, error as usize);
    }

    /// A connection of HTTP/2 ended.
    pub fn h2_ended(&self, ended: Ended) {
        at(&self.h2_ended, ended.number());
    }

    /// So many streams of HTTP/2 were ended for a fault of their client.
    pub fn h2_rejected(&self, why: Rejected, count: u64) {
        if let Some(counter) = self.h2_rejected.get(why as usize) {
            counter.fetch_add(count, Relaxed);
        }
    }

    /// What a worker has done with connections to origins since it last said so: made, taken from its pool, and how many
    /// were idle there then and are now.
    pub(crate) fn origin_connections(&self, opened: u64, reused: u64, (before, now): (u64, u64)) {
        add(&self.origin_connections_opened, opened);
        add(&self.origin_connections_reused, reused);
        // Wraps around on the way down, and back: what each worker adds is its own number.
        add(&self.origin_connections_idle, now.wrapping_sub(before));
    }

    /// How long decisions took.
    pub(crate) fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// So many access log lines were written.
    pub(crate) fn access_log_written(&self, lines: u64) {
        add(&self.access_log_written, lines);
    }

    /// So many access log lines were lost: the writer was too slow, or its file took no more.
    pub(crate) fn access_log_dropped(&self, lines: u64) {
        add(&self.access_log_dropped, lines);
    }

    /// A line was not written, because there were many of its kind.
    pub(crate) fn access_log_withheld(&self) {
        add(&self.access_log_withheld, 1);
    }

    /// A line was not written, because it was not chosen.
    pub(crate) fn access_log_unsampled(&self) {
        add(&self.access_log_unsampled, 1);
    }

    /// What the clients of requests looked like that a worker has seen.
    pub(crate) fn add_sightings(&self, seen: &Sightings) {
        self.sightings.lock().add(seen);
        self.sighted.notify_one();
    }

    /// Returns once there were sightings to take since it last did. One at a time may wait.
    pub(crate) async fn sighted(&self) {
        self.sighted.notified().await;
    }

    /// What the clients looked like of all requests since this was last asked.
    pub(crate) fn take_sightings(&self) -> Sightings {
        std::mem::take(&mut *self.sightings.lock())
    }

    /// The numbers as they are now.
    pub fn read(&self) -> Reading {
        Reading {
            connections_accepted: load(&self.connections_accepted),
            shed: pairs(&Shed::ALL, &self.shed),
            accepts_failed: load(&self.accepts_failed),
            handshakes: load(&self.handshakes),
            handshake_failures: pairs(&Failure::ALL, &self.handshake_failures),
            origin_tls_failures: pairs(&OriginTlsFailure::ALL, &self.origin_tls_failures),
            client_aborts: aborts().zip(self.client_aborts.iter().map(load)).collect(),
            lanes: pairs(&Lane::ALL, &self.lanes),
            declined: pairs(&Why::ALL, &self.declined),
            malformed: pairs(&Malformed::ALL, &self.malformed),
            gateway_errors: pairs(&GatewayError::ALL, &self.gateway_errors),
            h2_ended: pairs(&Ended::ALL, &self.h2_ended),
            h2_rejected: pairs(&Rejected::ALL, &self.h2_rejected),
            origin_connections_opened: load(&self.origin_connections_opened),
            origin_connections_reused: load(&self.origin_connections_reused),
            origin_connections_idle: load(&self.origin_connections_idle),
            decisions: self.decisions.read(),
            access_log_written: load(&self.access_log_written),
            access_log_dropped: load(&self.access_log_dropped),
            access_log_withheld: load(&self.access_log_withheld),
            access_log_unsampled: load(&self.access_log_unsampled),
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

/// [`Counters`] as they were at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Connections accepted and served.
    pub connections_accepted: u64,
    /// Connections closed and not served, by reason.
    pub shed: Vec<(Shed, u64)>,
    /// Accepts that failed.
    pub accepts_failed: u64,
    /// TLS handshakes that ended in a connection.
    pub handshakes: u64,
    /// TLS handshakes that did not, by reason.
    pub handshake_failures: Vec<(Failure, u64)>,
    /// Connections to origins over TLS that were not made, by reason.
    pub origin_tls_failures: Vec<(OriginTlsFailure, u64)>,
    /// Clients' sides of connections that broke off.
    pub client_aborts: Vec<(Abort, u64)>,
    /// Requests by lane.
    pub lanes: Vec<(Lane, u64)>,
    /// Requests that the express lane left to the other, by reason.
    pub declined: Vec<(Why, u64)>,
    /// Request heads without a reading, by fault.
    pub malformed: Vec<(Malformed, u64)>,
    /// Answers of the lanes themselves.
    pub gateway_errors: Vec<(GatewayError, u64)>,
    /// Connections of HTTP/2, by how they ended.
    pub h2_ended: Vec<(Ended, u64)>,
    /// Streams of HTTP/2 that were ended for a fault of their client.
    pub h2_rejected: Vec<(Rejected, u64)>,
    /// Connections to origins that were made.
    pub origin_connections_opened: u64,
    /// Times that an idle one was used again.
    pub origin_connections_reused: u64,
    /// Connections to origins that are idle.
    pub origin_connections_idle: u64,
    /// How long decisions took that were measured.
    pub decisions: Measured,
    /// Access log lines written.
    pub access_log_written: u64,
    /// Access log lines lost.
    pub access_log_dropped: u64,
    /// Lines that were not written, because there were many of their kind.
    pub access_log_withheld: u64,
    /// Lines of what was served that were not chosen.
    pub access_log_unsampled: u64,
}

/// All there are, in the order of their counters.
fn aborts() -> impl Iterator<Item = Abort> {
    Stage::ALL.into_iter().flat_map(|stage| Cause::ALL.into_iter().map(move |cause| Abort { stage, cause }))
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    array::from_fn(|_| AtomicU64::new(0))
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

fn at(counters: &[AtomicU64], place: usize) {
    if let Some(counter) = counters.get(place) {
        add(counter, 1);
    }
}

fn pairs<T: Copy>(all: &[T], counters: &[AtomicU64]) -> Vec<(T, u64)> {
    all.iter().copied().zip(counters.iter().map(load)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ALL` is in the order of the numbers, so that each counter is read under its own name.
    #[test]
    fn each_counter_is_read_under_its_own_name() {
        let counters = Counters::new();
        Lane::ALL.iter().for_each(|lane| counters.lane_request(*lane));
        Shed::ALL.iter().for_each(|shed| counters.connection_shed(*shed));
        Why::ALL.iter().for_each(|why| counters.declined(*why));
        Malformed::ALL.iter().for_each(|fault| counters.malformed(*fault));
        GatewayError::ALL.iter().for_each(|error| counters.gateway_error(*error));
        OriginTlsFailure::ALL.iter().for_each(|failure| counters.origin_tls_failed(*failure));
        Failure::ALL.iter().for_each(|failure| counters.handshake(Some(*failure)));
        Ended::ALL.iter().for_each(|ended| counters.h2_ended(*ended));
        Rejected::ALL.iter().for_each(|why| counters.h2_rejected(*why, 1));
        aborts().for_each(|abort| counters.client_abort(abort));
        let once = counters.read();
        assert!(once.origin_tls_failures.iter().all(|(_, count)| *count == 1));
        assert!(once.client_aborts.iter().all(|(_, count)| *count == 1) && once.client_aborts.len() == 20);
        assert!(once.handshake_failures.iter().all(|(_, count)| *count == 1) && once.handshakes == 0);
        assert!(once.lanes.iter().all(|(_, count)| *count == 1));
        assert!(once.shed.iter().all(|(_, count)| *count == 1));
        assert!(once.declined.iter().all(|(_, count)| *count == 1));
        assert!(once.malformed.iter().all(|(_, count)| *count == 1));
        assert!(once.gateway_errors.iter().all(|(_, count)| *count == 1));
        assert!(once.h2_ended.iter().all(|(_, count)| *count == 1));
        assert!(once.h2_rejected.iter().all(|(_, count)| *count == 1));

        counters.connection_shed(Shed::ProxyHeaderEnd);
        counters.declined(Why::Trailer);
        counters.malformed(Malformed::Expect);
        counters.gateway_error(GatewayError::Version);
        let twice = counters.read();
        assert!(twice.shed.iter().all(|(shed, count)| (*count == 2) == (*shed == Shed::ProxyHeaderEnd)));
        assert!(twice.declined.iter().all(|(why, count)| (*count == 2) == (*why == Why::Trailer)));
        assert!(twice.malformed.iter().all(|(fault, count)| (*count == 2) == (*fault == Malformed::Expect)));
        let version = GatewayError::Version;
        assert!(twice.gateway_errors.iter().all(|(error, count)| (*count == 2) == (*error == version)));
    }
}
