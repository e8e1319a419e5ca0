//! How much is told: in metrics and in logs.

use super::{Arity, MOST, Row};
use crate::settings::value;

pub(super) static ROWS: &[Row] = &[Row {
    name: "metrics-routes",
    placeholder: "N",
    summary: "Most routes that have metrics of their own (`weir_route_*`), the first by namespace, Ingress, host and path. \
              Each has about 25 series from its first request on. Those of further routes are in the metrics of their \
              Ingress alone.",
    good: "1000",
    bad: "all",
    arity: Arity::One,
    set: |settings, text| value::count_or_zero(text, MOST).map(|most| settings.metrics_routes = most),
    print: |settings| settings.metrics_routes.to_string(),
}];
