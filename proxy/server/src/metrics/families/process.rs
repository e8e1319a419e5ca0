//! The process itself and its logs.

use super::Family;
use crate::metrics::{Kind, number};
use crate::telemetry;

pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "weir_access_log_lines_total",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Access log lines: written, dropped because the writer was too slow or its file took no more, withheld \
               because there were many of their kind in one second, or unsampled by access-log-sample-rate.",
        collect: |view, samples| {
            samples.push(&["written"], number(view.process.access_log_written));
            samples.push(&["dropped"], number(view.process.access_log_dropped));
            samples.push(&["withheld"], number(view.process.access_log_withheld));
            samples.push(&["unsampled"], number(view.process.access_log_unsampled));
        },
    },
    Family {
        name: "weir_log_messages_withheld_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Messages to the standard error that were left out, because their place in the code had said enough.",
        collect: |_, samples| samples.push(&[], number(telemetry::left_out())),
    },
    Family {
        name: "weir_panics_total",
        kind: Kind::Counter,
        labels: &[],
        help: "Mistakes of weir that cost a connection each. The log says where.",
        collect: |_, samples| samples.push(&[], number(telemetry::panics())),
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
    Family {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When the process started, in seconds since 1970.",
        collect: |view, samples| samples.push(&[], number(view.started.as_seconds())),
    },
    Family {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        labels: &[],
        help: "User and system time that the process has used.",
        collect: |view, samples| {
            view.system.cpu_seconds.into_iter().for_each(|seconds| samples.push(&[], seconds));
        },
    },
    Family {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        labels: &[],
        help: "Resident memory of the process.",
        collect: |view, samples| {
            view.system.resident_bytes.into_iter().for_each(|bytes| samples.push(&[], number(bytes)));
        },
    },
    Family {
        name: "process_open_fds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Descriptors that the process has open.",
        collect: |view, samples| {
            view.system.open_descriptors.into_iter().for_each(|count| samples.push(&[], number(count)));
        },
    },
    Family {
        name: "process_max_fds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Descriptors that the process may have open.",
        collect: |view, samples| {
            view.system.most_descriptors.into_iter().for_each(|count| samples.push(&[], number(count)));
        },
    },
];
