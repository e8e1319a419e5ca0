//! The list of metrics.

use super::{Kind, Samples, View, number};
use crate::lookout;
use weir_core::finding::Severity;

/// One metric: name, kind, labels, text, and where its numbers come from.
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    pub(super) collect: fn(&View, &mut Samples<'_>),
}

/// All metrics.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "weir_requests_total",
        kind: Kind::Counter,
        labels: &["namespace", "ingress", "code"],
        help: "Requests that ended, by the status sent. Rare statuses are counted by class, such as 4xx; none is a \
               request that ended without a status.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                for (code, count) in counters.requests() {
                    samples.push_counted(&[namespace, ingress, code], count);
                }
            }
        },
    },
    Family {
        name: "weir_requests_ended_total",
        kind: Kind::Counter,
        labels: &["namespace", "ingress", "end"],
        help: "Requests that ended, by how: complete, client-abort or origin-abort.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                for (end, count) in counters.ends() {
                    samples.push_counted(&[namespace, ingress, end.as_str()], count);
                }
            }
        },
    },
    Family {
        name: "weir_refusals_total",
        kind: Kind::Counter,
        labels: &["namespace", "ingress", "rule", "reason", "mode"],
        help: "How often a rule said no. With mode observe the request passed. The rule is the annotation without its \
               prefix, and empty for reasons that no annotation gives.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                for (reason, rule, mode, count) in counters.refusals() {
                    let labels = [namespace, ingress, rule, reason.as_str(), mode.as_str()];
                    samples.push_counted(&labels, count);
                }
            }
        },
    },
    Family {
        name: "weir_requests_in_flight",
        kind: Kind::Gauge,
        labels: &["namespace", "ingress"],
        help: "Requests whose head was read and whose end has not come.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                if counters.in_flight() > 0 || counters.requests().any(|(_, count)| count > 0) {
                    samples.push(&[namespace, ingress], number(counters.in_flight()));
                }
            }
        },
    },
    Family {
        name: "weir_request_duration_seconds",
        kind: Kind::Histogram,
        labels: &["namespace", "ingress"],
        help: "From the end of the request head to the end of the response.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                samples.push_histogram(&[namespace, ingress], counters.duration());
            }
        },
    },
    Family {
        name: "weir_received_bytes_total",
        kind: Kind::Counter,
        labels: &["namespace", "ingress"],
        help: "Bytes received from clients in requests.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                samples.push_counted(&[namespace, ingress], counters.bytes_in());
            }
        },
    },
    Family {
        name: "weir_sent_bytes_total",
        kind: Kind::Counter,
        labels: &["namespace", "ingress"],
        help: "Bytes sent to clients in responses.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                samples.push_counted(&[namespace, ingress], counters.bytes_out());
            }
        },
    },
    Family {
        name: "weir_upstream_results_total",
        kind: Kind::Counter,
        labels: &["namespace", "ingress", "result"],
        help: "Exchanges with origins, by how the last try ended: respond, refuse-connect, timeout-connect, \
               timeout-read, reset or invalid-response.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                for (result, count) in counters.upstream() {
                    samples.push_counted(&[namespace, ingress, result.as_str()], count);
                }
            }
        },
    },
    Family {
        name: "weir_upstream_latency_seconds",
        kind: Kind::Histogram,
        labels: &["namespace", "ingress"],
        help: "From the first byte sent to an origin to the first byte of its response.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                samples.push_histogram(&[namespace, ingress], counters.upstream_latency());
            }
        },
    },
    Family {
        name: "weir_limiter_cells",
        kind: Kind::Gauge,
        labels: &["table"],
        help: "Clients times rules that are counted now: rates, and requests in_flight.",
        collect: |view, samples| {
            samples.push(&["rates"], size(view.limiter.held));
            samples.push(&["in_flight"], size(view.limiter.in_flight_held));
        },
    },
    Family {
        name: "weir_limiter_capacity",
        kind: Kind::Gauge,
        labels: &["table"],
        help: "Clients times rules that there is room for.",
        collect: |view, samples| {
            samples.push(&["rates"], size(view.limiter.capacity));
            samples.push(&["in_flight"], size(view.limiter.in_flight_capacity));
        },
    },
    Family {
        name: "weir_limiter_size_bytes",
        kind: Kind::Gauge,
        labels: &["table"],
        help: "Memory that a table takes when it is full.",
        collect: |view, samples| {
            samples.push(&["rates"], size(view.sizes.table_bytes));
            samples.push(&["in_flight"], size(view.sizes.in_flight_bytes));
        },
    },
    Family {
        name: "weir_limiter_evictions_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Cells dropped because they equalled fresh ones. Nothing is lost with them.",
        collect: |view, samples| samples.push(&[], number(view.limiter.evicted_fresh)),
    },
    Family {
        name: "weir_limiter_overflow_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Charges to a cell that newcomers share because the table was full.",
        collect: |view, samples| samples.push(&[], number(view.limiter.overflow_uses)),
    },
    Family {
        name: "weir_limiter_full_total",
        kind: Kind::Counter,
        labels: &["table"],
        help: "Charges refused, or reported under observe, because a table was full.",
        collect: |view, samples| {
            samples.push(&["rates"], number(view.limiter.denied_table_full));
            samples.push(&["in_flight"], number(view.limiter.denied_in_flight_full));
        },
    },
    Family {
        name: "weir_config_findings",
        kind: Kind::Gauge,
        labels: &["severity"],
        help: "What is wrong with the objects in force: warning or error. /api/findings lists them.",
        collect: |view, samples| {
            for severity in [Severity::Warn, Severity::Fail] {
                samples.push(&[severity.as_str()], size(view.loaded.count(severity)));
            }
        },
    },
    Family {
        name: "weir_balancer_in_between",
        kind: Kind::Gauge,
        labels: &[],
        help: "1 while nearly all requests are counted for a few private or trusted addresses, which are probably load \
               balancers. /api/findings has their names and what to do.",
        collect: |view, samples| {
            let found = view.loaded.findings.iter().any(|finding| finding.code == lookout::CODE);
            samples.push(&[], f64::from(u8::from(found)));
        },
    },
    Family {
        name: "weir_config_objects",
        kind: Kind::Gauge,
        labels: &[],
        help: "Objects in force that own routes.",
        collect: |view, samples| samples.push(&[], size(view.snapshot.objects().count())),
    },
    Family {
        name: "weir_snapshot_generation",
        kind: Kind::Gauge,
        labels: &[],
        help: "How many configurations came into force since the start.",
        collect: |view, samples| samples.push(&[], number(view.loaded.generation)),
    },
    Family {
        name: "weir_source_age_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "How old the objects may be that the configuration was made of: for how long some watch of the API server \
               has been broken. 0 while all of them work.",
        collect: |view, samples| {
            if let Some(heard) = &view.cluster {
                samples.push(&[], heard.health.age(std::time::Instant::now()).as_secs_f64());
            }
        },
    },
    Family {
        name: "weir_source_failures_total",
        kind: Kind::Counter,
        labels: &["kind"],
        help: "Lists and watches of the API server that failed, by kind of object.",
        collect: |view, samples| {
            let failures = view.cluster.iter().flat_map(|heard| heard.health.failures());
            failures.for_each(|(kind, count)| samples.push_counted(&[kind.as_str()], count));
        },
    },
    Family {
        name: "weir_leader",
        kind: Kind::Gauge,
        labels: &[],
        help: "1 for the replica that writes the status of Ingresses and Events, 0 for the others.",
        collect: |view, samples| {
            if let Some(heard) = &view.cluster {
                samples
                    .push(&[], f64::from(u8::from(heard.leads.load(std::sync::atomic::Ordering::Relaxed))));
            }
        },
    },
    Family {
        name: "weir_snapshot_age_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Since when the configuration has been in force.",
        collect: |view, samples| {
            if view.loaded.generation > 0 {
                samples.push(&[], view.age.as_secs_f64());
            }
        },
    },
    Family {
        name: "weir_connections_open",
        kind: Kind::Gauge,
        labels: &[],
        help: "Client connections that are open.",
        collect: |view, samples| samples.push(&[], size(view.connections_open)),
    },
    Family {
        name: "weir_connections_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Client connections: accepted and served, shed (see weir_connections_shed_total), or failed.",
        collect: |view, samples| {
            samples.push(&["accepted"], number(view.process.connections_accepted));
            samples.push(&["shed"], number(view.process.shed.iter().map(|(_, count)| count).sum()));
            samples.push(&["failed"], number(view.process.accepts_failed));
        },
    },
    Family {
        name: "weir_tls_handshakes_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "TLS handshakes with clients: completed, or by what went wrong.",
        collect: |view, samples| {
            samples.push(&["completed"], number(view.process.handshakes));
            for (failure, count) in &view.process.handshake_failures {
                samples.push(&[failure.as_str()], number(*count));
            }
        },
    },
    Family {
        name: "weir_origin_tls_failures_total",
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Connections to origins over TLS that were not made: certificate (not believed, or for another name), \
               alert (the origin refused), protocol (no HTTP/2) or handshake.",
        collect: |view, samples| {
            for (reason, count) in &view.process.origin_tls_failures {
                samples.push(&[reason.as_str()], number(*count));
            }
        },
    },
    Family {
        name: "weir_certificate_not_after_seconds",
        kind: Kind::Gauge,
        labels: &["namespace", "secret"],
        help: "When the certificate in force of a Secret ends, in seconds since 1970.",
        collect: |view, samples| {
            for (secret, pair) in view.snapshot.secrets().pairs() {
                #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
                samples.push(&[&secret.namespace, &secret.name], pair.not_after as f64);
            }
        },
    },
    Family {
        name: "weir_connections_shed_total",
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Client connections that were closed and not served, by reason: too many sockets or new sockets of all \
               or of one client, more clients than are counted, no descriptor left, or a header of the PROXY protocol \
               that was broken, late, missing or not the peer's to send.",
        collect: |view, samples| {
            for (shed, count) in &view.process.shed {
                samples.push(&[shed.as_str()], number(*count));
            }
        },
    },
    Family {
        name: "weir_connections_lingering",
        kind: Kind::Gauge,
        labels: &[],
        help: "Client connections that are over, and are read for a moment more so that the client gets its answer.",
        collect: |_, samples| samples.push(&[], size(crate::linger::lingering())),
    },
    Family {
        name: "weir_client_aborts_total",
        kind: Kind::Counter,
        labels: &["stage", "reason"],
        help: "Clients' sides of connections that broke off, by what was going on (idle, head, body, wait for the \
               origin, response) and how (close, reset, timeout, malformed). A close between requests is none.",
        collect: |view, samples| {
            for (abort, count) in &view.process.client_aborts {
                if *count > 0 || abort.stage.causes().contains(&abort.cause) {
                    samples.push(&[abort.stage.as_str(), abort.cause.as_str()], number(*count));
                }
            }
        },
    },
    Family {
        name: "weir_lane_requests_total",
        kind: Kind::Counter,
        labels: &["lane"],
        help: "Requests that ended, by the lane that served them: express, pingora or h2.",
        collect: |view, samples| {
            for (lane, count) in &view.process.lanes {
                samples.push(&[lane.as_str()], number(*count));
            }
        },
    },
    Family {
        name: "weir_lane_declined_total",
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Requests that the express lane left to pingora's, by reason.",
        collect: |view, samples| {
            for (why, count) in &view.process.declined {
                samples.push(&[why.name()], number(*count));
            }
        },
    },
    Family {
        name: "weir_malformed_requests_total",
        kind: Kind::Counter,
        labels: &["fault"],
        help: "Request heads that have no reading or ask for what is not served, by fault.",
        collect: |view, samples| {
            for (fault, count) in &view.process.malformed {
                samples.push(&[fault.as_str()], number(*count));
            }
        },
    },
    Family {
        name: "weir_gateway_errors_total",
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Answers of our own that no rule gave, by reason.",
        collect: |view, samples| {
            for (error, count) in &view.process.gateway_errors {
                samples.push(&[error.as_str()], number(*count));
            }
        },
    },
    Family {
        name: "weir_h2_connections_ended_total",
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Connections of HTTP/2 that ended, by reason: closed and idle are ordinary, a flood is a client that \
               sent too many frames of one kind.",
        collect: |view, samples| {
            for (ended, count) in &view.process.h2_ended {
                samples.push(&[ended.as_str()], number(*count));
            }
        },
    },
    Family {
        name: "weir_h2_streams_rejected_total",
        kind: Kind::Counter,
        labels: &["reason"],
        help: "Streams of HTTP/2 that never became a request or stopped being one: too many at once (refused), or not \
               as RFC 9113 has them.",
        collect: |view, samples| {
            for (why, count) in &view.process.h2_rejected {
                samples.push(&[why.as_str()], number(*count));
            }
        },
    },
    Family {
        name: "weir_access_log_lines_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Access log lines: written, dropped because the writer was too slow or its file took no more, or \
               withheld because too many connections ended without a request.",
        collect: |view, samples| {
            samples.push(&["written"], number(view.process.access_log_written));
            samples.push(&["dropped"], number(view.process.access_log_dropped));
            samples.push(&["withheld"], number(view.process.access_log_withheld));
        },
    },
    Family {
        name: "weir_build_info",
        kind: Kind::Gauge,
        labels: &["version"],
        help: "Always 1; the label says which build runs.",
        collect: |_, samples| samples.push(&[env!("CARGO_PKG_VERSION")], 1.0),
    },
    Family {
        name: "weir_uptime_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Since when the process has been running.",
        collect: |view, samples| samples.push(&[], view.uptime.as_secs_f64()),
    },
];

fn size(size: usize) -> f64 {
    number(u64::try_from(size).unwrap_or(u64::MAX))
}
