//! Counters of one object. Plain relaxed atomics: no locks and no allocation on the way of a request.

use super::{End, Outcome, UpstreamResult};
use crate::policy::Mode;
use crate::verdict::{Reason, RuleHit, rule};
use std::array;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Everything that is counted for one object, or for requests without one.
#[derive(Debug)]
pub struct ObjectCounters {
    in_flight: AtomicU64,
    statuses: [AtomicU64; STATUSES.len()],
    ends: [AtomicU64; End::ALL.len()],
    /// By mode, then by place in [`HITS`].
    hits: [[AtomicU64; HITS.len()]; 2],
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    duration: Histogram,
    upstream: [AtomicU64; UpstreamResult::ALL.len()],
    upstream_retries: AtomicU64,
    upstream_latency: Histogram,
}

impl ObjectCounters {
    /// All at zero.
    pub fn new() -> Self {
        Self {
            in_flight: AtomicU64::new(0),
            statuses: zeros(),
            ends: zeros(),
            hits: [zeros(), zeros()],
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            duration: Histogram::new(),
            upstream: zeros(),
            upstream_retries: AtomicU64::new(0),
            upstream_latency: Histogram::new(),
        }
    }

    /// Requests whose head was read and whose end has not come.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Requests that ended, by the status sent: a status by itself (`200`), the class of a rare one (`4xx`), or `none`.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATUSES.iter().map(|(_, label)| *label).zip(self.statuses.iter().map(load))
    }

    /// Requests that ended, by how.
    pub fn ends(&self) -> impl Iterator<Item = (End, u64)> {
        End::ALL.into_iter().zip(self.ends.iter().map(load))
    }

    /// How often rules said no, by reason, rule and mode; under [`Mode::Observe`] they refused nothing. The rule is
    /// empty for what no annotation asks for.
    pub fn refusals(&self) -> impl Iterator<Item = (Reason, &'static str, Mode, u64)> {
        let modes = [Mode::Enforce, Mode::Observe];
        modes.into_iter().zip(&self.hits).flat_map(|(mode, hits)| {
            HITS.iter().zip(hits).map(move |((reason, rule), count)| (*reason, *rule, mode, load(count)))
        })
    }

    /// Bytes received from clients.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    /// Bytes sent to clients.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Relaxed)
    }

    /// From the end of the request head to the end of the response. Aborted requests are not in it.
    pub fn duration(&self) -> &Histogram {
        &self.duration
    }

    /// Exchanges with origins, by how the last one ended.
    pub fn upstream(&self) -> impl Iterator<Item = (UpstreamResult, u64)> {
        UpstreamResult::ALL.into_iter().zip(self.upstream.iter().map(load))
    }

    /// Tries of endpoints after the first of each request.
    pub fn upstream_retries(&self) -> u64 {
        self.upstream_retries.load(Relaxed)
    }

    /// From the first byte sent to an origin to the first byte of its response.
    pub fn upstream_latency(&self) -> &Histogram {
        &self.upstream_latency
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self, duration: Duration, outcome: &Outcome) {
        self.in_flight.fetch_sub(1, Relaxed);
        add(&self.statuses, status_place(outcome.status), 1);
        add(&self.ends, outcome.end as usize, 1);
        self.bytes_in.fetch_add(outcome.bytes_in, Relaxed);
        self.bytes_out.fetch_add(outcome.bytes_out, Relaxed);
        self.duration.record(duration);
        if let Some(upstream) = &outcome.upstream {
            add(&self.upstream, upstream.result as usize, 1);
            if upstream.tries > 1 {
                self.upstream_retries.fetch_add(u64::from(upstream.tries) - 1, Relaxed);
            }
            if upstream.status != 0 {
                self.upstream_latency.record(upstream.latency);
            }
        }
    }

    /// A request was dropped and nobody knows how it ended.
    pub(super) fn abort(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
        add(&self.statuses, status_place(0), 1);
        add(&self.ends, End::ClientAbort as usize, 1);
    }

    pub(super) fn count_hit(&self, hit: RuleHit) {
        let place = HITS.iter().position(|(reason, rule)| *reason == hit.reason && *rule == hit.rule);
        if let (Some(place), Some(hits)) = (place, self.hits.get(hit.mode as usize)) {
            add(hits, place, 1);
        }
    }

    pub(super) fn count_reason(&self, reason: Reason) {
        self.count_hit(RuleHit { rule: "", reason, mode: Mode::Enforce });
    }
}

impl Default for ObjectCounters {
    fn default() -> Self {
        Self::new()
    }
}

/// Durations by size, in the buckets of [`Histogram::BOUNDS`].
#[derive(Debug)]
pub struct Histogram {
    /// Not cumulative; the last is for what is above all bounds.
    buckets: [AtomicU64; BUCKETS + 1],
    /// Nanoseconds; wraps around after 584 years of durations.
    sum: AtomicU64,
}

impl Histogram {
    /// Upper bounds of the buckets, inclusive, ascending.
    pub const BOUNDS: [Duration; BUCKETS] = [
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(60),
    ];

    /// Nothing recorded.
    pub fn new() -> Self {
        Self { buckets: zeros(), sum: AtomicU64::new(0) }
    }

    /// Counts by bucket, not cumulative: one for each of [`BOUNDS`](Self::BOUNDS), and one for what is above all.
    pub fn buckets(&self) -> [u64; BUCKETS + 1] {
        array::from_fn(|at| self.buckets.get(at).map_or(0, load))
    }

    /// The sum of all durations.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum.load(Relaxed))
    }

    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.buckets().iter().sum()
    }

    pub(super) fn record(&self, duration: Duration) {
        let place = Self::BOUNDS.iter().take_while(|bound| **bound < duration).count();
        add(&self.buckets, place, 1);
        self.sum.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    array::from_fn(|_| AtomicU64::new(0))
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

fn add(counters: &[AtomicU64], place: usize, by: u64) {
    if let Some(counter) = counters.get(place) {
        counter.fetch_add(by, Relaxed);
    }
}

fn status_place(status: u16) -> usize {
    let class = usize::from(status / 100);
    match STATUSES.iter().position(|(known, _)| *known == status) {
        Some(place) => place,
        None if (1..=5).contains(&class) => CLASS_PLACES + class - 1,
        None => CLASS_PLACES + 5,
    }
}

const BUCKETS: usize = 14;

/// Statuses with a label of their own, the most frequent first; then the classes of the others, then none at all.
const STATUSES: [(u16, &str); CLASS_PLACES + 6] = [
    (200, "200"),
    (429, "429"),
    (304, "304"),
    (204, "204"),
    (404, "404"),
    (503, "503"),
    (403, "403"),
    (413, "413"),
    (201, "201"),
    (202, "202"),
    (206, "206"),
    (101, "101"),
    (301, "301"),
    (302, "302"),
    (303, "303"),
    (307, "307"),
    (308, "308"),
    (400, "400"),
    (401, "401"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (412, "412"),
    (414, "414"),
    (415, "415"),
    (422, "422"),
    (431, "431"),
    (499, "499"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (504, "504"),
    (1, "1xx"),
    (2, "2xx"),
    (3, "3xx"),
    (4, "4xx"),
    (5, "5xx"),
    (0, "none"),
];

const CLASS_PLACES: usize = 33;

/// Every pair of reason and rule that a request can meet.
const HITS: [(Reason, &str); 36] = [
    (Reason::Rate, rule::RPS),
    (Reason::Rate, rule::RPM),
    (Reason::Rate, rule::RPH),
    (Reason::Rate, rule::RPD),
    (Reason::Rate, rule::WINDOW),
    (Reason::Rate, rule::OVERRIDES),
    (Reason::Connections, rule::CONNECTIONS),
    (Reason::Connections, rule::OVERRIDES),
    (Reason::Address, rule::BLOCK),
    (Reason::Address, rule::DENY),
    (Reason::Address, rule::ALLOW),
    (Reason::Method, rule::METHODS),
    (Reason::Path, rule::PATHS),
    (Reason::Head, rule::HEAD),
    (Reason::Body, rule::BODY),
    (Reason::Body, rule::OVERRIDES),
    (Reason::TableFull, rule::RPS),
    (Reason::TableFull, rule::RPM),
    (Reason::TableFull, rule::RPH),
    (Reason::TableFull, rule::RPD),
    (Reason::TableFull, rule::WINDOW),
    (Reason::TableFull, rule::OVERRIDES),
    (Reason::TableFull, rule::CONNECTIONS),
    (Reason::BadRequest, ""),
    (Reason::NoConfiguration, ""),
    (Reason::NoRoute, ""),
    (Reason::NoBackend, ""),
    (Reason::NoEndpoint, ""),
    (Reason::BrokenPolicy, ""),
    (Reason::Rate, ""),
    (Reason::Connections, ""),
    (Reason::TableFull, ""),
    (Reason::HttpsOnly, ""),
    (Reason::ClientCertificate, rule::CLIENT_CERTIFICATE),
    (Reason::ClientCertificate, rule::SUBJECT),
    (Reason::Misdirected, ""),
];
