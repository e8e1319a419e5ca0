//! How much is told: in metrics and in logs.

use super::{Arity, MOST, Row};
use crate::settings::value;
use std::num::NonZeroU32;

pub(super) static ROWS: &[Row] = &[
    Row {
        name: "metrics-routes",
        placeholder: "N",
        summary: "Most routes that have metrics of their own (`weir_route_*`), the first by namespace, Ingress, host \
                  and path; about 25 series each, from the first request on. All others are in the metrics of their \
                  Ingress alone.",
        good: "1000",
        bad: "all",
        arity: Arity::One,
        set: |settings, text| value::count_or_zero(text, MOST).map(|most| settings.metrics_routes = most),
        print: |settings| settings.metrics_routes.to_string(),
    },
    Row {
        name: "access-log-sample-rate",
        placeholder: "SHARE",
        summary: "Of requests that an origin answered, the share that has a line in the access log, chosen at \
                  random: from 0, none, to 1, all. Refusals, errors and aborts are not part of it.",
        good: "0.01",
        bad: "1%",
        arity: Arity::One,
        set: |settings, text| value::share(text).map(|share| settings.access_log_volume.share = share),
        print: |settings| settings.access_log_volume.share.get().to_string(),
    },
    Row {
        name: "access-log-lines-per-second",
        placeholder: "N",
        summary: "Of requests that an origin answered, most lines a second in the access log, of all workers \
                  together. What is left out is added up in a line of its own, once a second. 0 is no bound.",
        good: "5000",
        bad: "many",
        arity: Arity::One,
        set: |settings, text| value::rate(text).map(|most| settings.access_log_volume.served = most),
        print: |settings| print_rate(settings.access_log_volume.served),
    },
    Row {
        name: "access-log-refusals-per-second",
        placeholder: "N",
        summary: "Most lines a second in the access log for each reason to refuse, to answer with an error or to \
                  send away, and each stage at which clients break off. The others are added up in a line for each \
                  reason, once a second. 0 is no bound.",
        good: "100",
        bad: "few",
        arity: Arity::One,
        set: |settings, text| value::rate(text).map(|most| settings.access_log_volume.others = most),
        print: |settings| print_rate(settings.access_log_volume.others),
    },
];

fn print_rate(most: Option<NonZeroU32>) -> String {
    most.map_or(0, NonZeroU32::get).to_string()
}
