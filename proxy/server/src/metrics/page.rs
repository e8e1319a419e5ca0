//! The list as a page.

use super::FAMILIES;
use std::fmt::Write;

/// The text of `docs/metrics.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (family.name, family.kind.as_str(), family.help);
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    page
}

const HEAD: &str = "\
# Metrics

This page is made from the list in `proxy/server/src/metrics/families.rs`; a test keeps it true.

`/metrics` of the admin listener (`--admin`) answers in Prometheus's text format.
Values of labels come from the configuration or from closed lists, never from requests, so that clients cannot make
series. `ingress` is empty for the default backend, and `namespace` too for requests that no object took.
Series of an object begin with its first request and go with the object; counters survive a change of it.

| name | kind | labels | meaning |
|---|---|---|---|
";
