//! What is in force, how old it is, and what is wrong with it.

use super::Family;
use crate::lookout;
use crate::metrics::{self, number, size};
use weir_core::finding::Severity;
use weir_kubernetes::objects::Kind;

pub(super) static FAMILIES: &[Family] = &[
    Family {
        name: "weir_config_findings",
        kind: metrics::Kind::Gauge,
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
        kind: metrics::Kind::Gauge,
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
        kind: metrics::Kind::Gauge,
        labels: &[],
        help: "Objects in force that own routes.",
        collect: |view, samples| samples.push(&[], size(view.snapshot.objects().count())),
    },
    Family {
        name: "weir_config_routes",
        kind: metrics::Kind::Gauge,
        labels: &[],
        help: "Routes in force. Of these, `metrics-routes` have series of their own.",
        collect: |view, samples| samples.push(&[], size(view.snapshot.routes().count())),
    },
    Family {
        name: "weir_snapshot_generation",
        kind: metrics::Kind::Gauge,
        labels: &[],
        help: "How many configurations came into force since the start.",
        collect: |view, samples| samples.push(&[], number(view.loaded.generation)),
    },
    Family {
        name: "weir_snapshot_age_seconds",
        kind: metrics::Kind::Gauge,
        labels: &[],
        help: "Since when the configuration has been in force.",
        collect: |view, samples| {
            if view.loaded.generation > 0 {
                samples.push(&[], view.age.as_secs_f64());
            }
        },
    },
    Family {
        name: "weir_config_last_success_timestamp_seconds",
        kind: metrics::Kind::Gauge,
        labels: &[],
        help: "When a configuration last came into force, in seconds since 1970.",
        collect: |view, samples| {
            if view.loaded.generation > 0 {
                samples.push(&[], number(view.loaded.at.as_seconds()));
            }
        },
    },
    Family {
        name: "weir_source_age_seconds",
        kind: metrics::Kind::Gauge,
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
        kind: metrics::Kind::Counter,
        labels: &["kind"],
        help: "Lists and watches of the API server that failed, by kind of object.",
        collect: |view, samples| {
            let Some(heard) = &view.cluster else { return };
            let failures = heard.health.failures();
            for kind in Kind::ALL {
                let count =
                    failures.iter().find(|(failed, _)| *failed == kind).map_or(0, |(_, count)| *count);
                samples.push(&[kind.as_str()], number(count));
            }
        },
    },
    Family {
        name: "weir_leader",
        kind: metrics::Kind::Gauge,
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
        name: "weir_certificate_not_after_seconds",
        kind: metrics::Kind::Gauge,
        labels: &["namespace", "secret"],
        help: "When the certificate in force of a Secret ends, in seconds since 1970.",
        collect: |view, samples| {
            for (secret, pair) in view.snapshot.secrets().pairs() {
                #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
                samples.push(&[&secret.namespace, &secret.name], pair.not_after as f64);
            }
        },
    },
];
