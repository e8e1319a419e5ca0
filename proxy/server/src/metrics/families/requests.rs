//! What clients ask for, and what becomes of it.

use super::Family;
use crate::metrics::{Kind, number};

pub(super) static FAMILIES: &[Family] = &[
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
        name: "weir_route_requests_total",
        kind: Kind::Counter,
        labels: &["namespace", "ingress", "host", "path", "path_type", "service", "code"],
        help: "Requests that ended, by route and by the class of the status sent, such as 5xx; none is a request that \
               ended without a status. Host and path are those of the Ingress; what takes all other paths has the \
               path_type Default and no path.",
        collect: |view, samples| {
            for ([namespace, ingress, host, path, kind, service], counters) in view.routes() {
                for (code, count) in counters.requests() {
                    samples.push(&[namespace, ingress, host, path, kind, service, code], number(count));
                }
            }
        },
    },
    Family {
        name: "weir_route_request_duration_seconds",
        kind: Kind::Histogram,
        labels: &["namespace", "ingress", "host", "path", "path_type", "service"],
        help: "From the end of the request head to the end of the response, by route.",
        collect: |view, samples| {
            for (labels, counters) in view.routes() {
                if let Some(duration) = counters.duration() {
                    samples.push_histogram(&labels, duration);
                }
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
];
