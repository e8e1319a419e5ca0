//! Metrics in Prometheus's text format.
//!
//! [`families`] is the one list: it names, documents and collects each metric, and `docs/metrics.md` comes out of it.
//! Nothing is registered beforehand. What is shown is read when it is asked for, from the snapshot in force and the
//! counters, so that an object that is gone has no series. Labels come from the configuration or from closed lists,
//! never from requests.

mod endings;
mod families;
mod page;

pub use families::{Family, families};
pub use page::page;

use crate::clock::WallTime;
use crate::counters::Reading;
use crate::process;
use crate::state::{Guards, Heard, Loaded, State};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};
use std::sync::Arc;
use std::time::Duration;
use weir_core::Snapshot;
use weir_core::account::{self, ObjectCounters, RouteCounters};
use weir_core::finding::ObjectRef;
use weir_core::snapshot::{Location, RoutePath};
use weir_limits::{Instant, Sizes, Stats};

/// Everything as it is now, in the text format.
///
/// # Errors
/// When a family breaks the rules of the format, which a test excludes.
pub fn render(state: &State) -> Result<String, prometheus::Error> {
    let view = View::of(state);
    let mut out = Vec::new();
    let encoder = TextEncoder::new();
    // One after the other: thousands of objects make much of each.
    for family in families().filter_map(|family| collect(family, &view)) {
        encoder.encode(&[family], &mut out)?;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// What metrics are made of, read once, so that the numbers of one answer belong together.
pub(crate) struct View {
    snapshot: Arc<Snapshot>,
    loaded: Arc<Loaded>,
    process: Reading,
    limiter: Stats,
    sizes: Sizes,
    connections_open: usize,
    uptime: Duration,
    age: Duration,
    cluster: Option<Heard>,
    /// The tables at the door, by name.
    doors: Vec<(&'static str, Table)>,
    system: process::Process,
    started: WallTime,
    now: Instant,
    most_routes: usize,
}

/// How full a table is, and how often it was too full.
pub(crate) struct Table {
    held: usize,
    capacity: usize,
    full: u64,
}

impl View {
    fn of(state: &State) -> Self {
        let loaded = state.loaded();
        let now = state.clock.now();
        Self {
            snapshot: state.engine.snapshot(),
            process: state.counters.read(),
            limiter: state.engine.limiter_stats(),
            sizes: state.engine.limiter_sizes(),
            connections_open: state.connections_open(),
            uptime: now.saturating_since(Instant::START),
            age: now.saturating_since(loaded.since),
            cluster: state.cluster().cloned(),
            doors: doors(state),
            system: process::read(),
            started: state.started,
            now,
            most_routes: state.metrics_routes(),
            loaded,
        }
    }

    /// Each route that had a request, with its counters. Where there are too many routes, the first by name: which they
    /// are does not depend on who asks for what.
    fn routes(&self) -> impl Iterator<Item = (RouteLabels<'_>, &RouteCounters)> {
        let labelled = self
            .snapshot
            .routes()
            .map(|(path, location)| (route_labels(path, location), location.counters()));
        let mut all: Vec<_> = labelled.collect();
        all.sort_unstable_by_key(|(labels, _)| *labels);
        all.into_iter().take(self.most_routes).filter(|(_, counters)| counters.duration().is_some())
    }

    /// Each object with its counters; requests without an object come last, under empty names.
    fn objects(&self) -> impl Iterator<Item = ([&str; 2], &ObjectCounters)> {
        let owned = self.snapshot.objects().map(|owner| (names(&owner.object), &**owner.counters()));
        owned.chain([(["", ""], &**self.snapshot.unrouted())])
    }
}

/// What names a route in labels: namespace, Ingress, host, path, kind of path, Service.
type RouteLabels<'a> = [&'a str; 6];

fn route_labels<'a>(path: RoutePath<'a>, location: &'a Location) -> RouteLabels<'a> {
    let [namespace, ingress] = names(&location.object);
    let (path, kind) = path.map_or(("", "Default"), |(path, kind)| (path, kind.as_str()));
    let service = location.backend.as_ref().map_or("", |backend| &*backend.service);
    [namespace, ingress, &location.host, path, kind, service]
}

/// The tables that count clients before they ask for anything.
fn doors(state: &State) -> Vec<(&'static str, Table)> {
    let Some(Guards { arrivals, tls }) = state.guards() else { return Vec::new() };
    let (sockets, handshakes) = (arrivals.stats(), tls.budget.stats());
    let rates =
        |stats: &Stats| Table { held: stats.held, capacity: stats.capacity, full: stats.denied_table_full };
    let at_once = Table {
        held: sockets.in_flight_held,
        capacity: sockets.in_flight_capacity,
        full: sockets.denied_in_flight_full,
    };
    vec![("sockets", at_once), ("socket_rates", rates(&sockets)), ("handshake_rates", rates(&handshakes))]
}

/// Namespace and Ingress. What is no Ingress (the default backend) has no name, so that it cannot meet an Ingress's.
fn names(object: &ObjectRef) -> [&str; 2] {
    [&object.namespace, if object.kind == "Ingress" { &object.name } else { "" }]
}

/// The samples of one family in the making.
pub(crate) struct Samples<'a> {
    family: &'a Family,
    metrics: Vec<Metric>,
}

impl Samples<'_> {
    /// Adds a sample with the values of the labels, in the order of the family.
    fn push(&mut self, labels: &[&str], value: f64) {
        let mut metric = self.metric(labels);
        match self.family.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.metrics.push(metric);
    }

    /// Adds a sample, unless nothing was ever counted: series of objects are many.
    fn push_counted(&mut self, labels: &[&str], value: u64) {
        if value > 0 {
            self.push(labels, number(value));
        }
    }

    /// Adds the distribution of a histogram, unless it is empty.
    fn push_histogram(&mut self, labels: &[&str], histogram: &account::Histogram) {
        let counts = histogram.buckets();
        if counts.iter().any(|count| *count > 0) {
            self.push_distribution(labels, &account::Histogram::BOUNDS, &counts, histogram.sum());
        }
    }

    /// Adds a distribution. `counts` are not cumulative, and have one more for what is above all bounds.
    fn push_distribution(&mut self, labels: &[&str], bounds: &[Duration], counts: &[u64], sum: Duration) {
        let mut buckets = Vec::new();
        let mut count = 0u64;
        for (bound, here) in bounds.iter().zip(counts) {
            count = count.saturating_add(*here);
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound.as_secs_f64());
            bucket.set_cumulative_count(count);
            buckets.push(bucket);
        }
        let count = counts.iter().fold(0u64, |sum, here| sum.saturating_add(*here));
        let mut shown = Histogram::default();
        shown.set_bucket(buckets);
        shown.set_sample_count(count);
        shown.set_sample_sum(sum.as_secs_f64());
        let mut metric = self.metric(labels);
        metric.set_histogram(shown);
        self.metrics.push(metric);
    }

    fn metric(&self, values: &[&str]) -> Metric {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        let pair = |(name, value): (&&str, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let mut metric = Metric::default();
        metric.set_label(self.family.labels.iter().zip(values).map(pair).collect());
        metric
    }
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is a distribution.
    Histogram,
}

impl Kind {
    /// Its word in the text format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    fn for_prometheus(self) -> MetricType {
        match self {
            Self::Counter => MetricType::COUNTER,
            Self::Gauge => MetricType::GAUGE,
            Self::Histogram => MetricType::HISTOGRAM,
        }
    }
}

/// The family with its samples; `None` when it has none.
fn collect(family: &Family, view: &View) -> Option<MetricFamily> {
    let mut samples = Samples { family, metrics: Vec::new() };
    (family.collect)(view, &mut samples);
    if samples.metrics.is_empty() {
        return None;
    }
    let mut shown = MetricFamily::default();
    shown.set_name(family.name.to_owned());
    shown.set_help(family.help.to_owned());
    shown.set_field_type(family.kind.for_prometheus());
    shown.set_metric(samples.metrics);
    Some(shown)
}

fn size(size: usize) -> f64 {
    number(u64::try_from(size).unwrap_or(u64::MAX))
}

/// A count as Prometheus has numbers: exact up to 2^53.
#[allow(clippy::cast_precision_loss, reason = "Prometheus has nothing but f64")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
