//! The tables of limits, and what deciding costs.

use super::Family;
use crate::decisions;
use crate::metrics::{Kind, number, size};

pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "weir_limiter_cells",
        kind: Kind::Gauge,
        labels: &["table"],
        help: "Clients times rules that are counted now: rates, and requests in_flight. Of clients at the door: sockets, \
               socket_rates and handshake_rates.",
        collect: |view, samples| {
            samples.push(&["rates"], size(view.limiter.held));
            samples.push(&["in_flight"], size(view.limiter.in_flight_held));
            view.doors.iter().for_each(|(name, table)| samples.push(&[*name], size(table.held)));
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
            view.doors.iter().for_each(|(name, table)| samples.push(&[*name], size(table.capacity)));
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
            view.doors.iter().for_each(|(name, table)| samples.push(&[*name], number(table.full)));
        },
    },
    Family {
        name: "weir_decision_duration_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "How long it takes to decide whether a request may pass: who asks, which route, which rules. One of 64 \
               decisions is measured.",
        collect: |view, samples| {
            let measured = &view.process.decisions;
            samples.push_distribution(&[], &decisions::BOUNDS, &measured.buckets, measured.sum);
        },
    },
];
