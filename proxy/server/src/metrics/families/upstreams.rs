//! Origins, and the connections to them.

use super::Family;
use crate::metrics::{Kind, number, size};
use weir_core::declaration::{BackendName, PortName};

pub(super) static FAMILIES: &[Family] = &[
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
        name: "weir_upstream_retries_total",
        kind: Kind::Counter,
        labels: &["namespace", "ingress"],
        help: "Tries of further endpoints, after the first one of a request gave no usable response.",
        collect: |view, samples| {
            for ([namespace, ingress], counters) in view.objects() {
                samples.push_counted(&[namespace, ingress], counters.upstream_retries());
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
        name: "weir_upstream_endpoints",
        kind: Kind::Gauge,
        labels: &["namespace", "service", "port", "state"],
        help: "Endpoints of each Service port that routes lead to: ready, or ejected for a while because they refused \
               connections.",
        collect: |view, samples| {
            for backend in view.snapshot.backends() {
                let endpoints = backend.endpoints();
                let ejected = endpoints.iter().filter(|endpoint| endpoint.is_ejected(view.now)).count();
                let BackendName { namespace, service, port, .. } = &backend.name;
                let port = match port {
                    PortName::Number(number) => number.to_string(),
                    PortName::Name(name) => name.clone(),
                };
                let mut push = |state, count| samples.push(&[namespace, service, &port, state], size(count));
                push("ready", endpoints.len() - ejected);
                push("ejected", ejected);
            }
        },
    },
    Family {
        name: "weir_upstream_connections_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Plain connections to origins that the express lane needed: opened, or idle ones reused. Told once a second.",
        collect: |view, samples| {
            samples.push(&["opened"], number(view.process.origin_connections_opened));
            samples.push(&["reused"], number(view.process.origin_connections_reused));
        },
    },
    Family {
        name: "weir_upstream_idle_connections",
        kind: Kind::Gauge,
        labels: &[],
        help: "Plain connections to origins that wait for the next request, in the pools of all workers. Told once a second.",
        collect: |view, samples| samples.push(&[], number(view.process.origin_connections_idle)),
    },
];
