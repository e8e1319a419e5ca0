//! Connections of clients, handshakes, and what never became a request.

use super::Family;
use crate::metrics::{Kind, number, size};

pub(super) static FAMILIES: &[Family] = &[
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
];
