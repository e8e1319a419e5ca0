//! The list as a page.

use super::endings::ENDINGS;
use super::families;
use std::fmt::Write;

/// The text of `docs/metrics.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for family in families() {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, help) = (family.name, family.kind.as_str(), family.help);
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", "));
    }
    page.push_str(ENDS);
    for ending in ENDINGS {
        let words: Vec<_> = (ending.reasons)().iter().map(|reason| format!("`{reason}`")).collect();
        let (family, label) = ending.family;
        let within = ending.within.map_or(String::new(), |(name, value)| format!("{name}=\"{value}\","));
        let _ = writeln!(
            page,
            "| {} | {} | `{family}{{{within}{label}}}` | {} | {} |",
            ending.stage,
            ending.what,
            words.join(", "),
            ending.log
        );
    }
    page
}

const HEAD: &str = "\
# Metrics

This page is made from the list in `proxy/server/src/metrics/families/`; a test keeps it true.

`/metrics` of the admin listener (`--admin`) answers in Prometheus's text format.
Values of labels come from the configuration or from closed lists, never from requests, so that clients cannot make
series. `ingress` is empty for the default backend, and `namespace` too for requests that no object took.
Series of an object begin with its first request and go with the object; counters survive a change of it.

| name | kind | labels | meaning |
|---|---|---|---|
";

const ENDS: &str = "
## Where things can end

Each early end is counted at the stage that was reached, in one family and with one reason, and the access log tells of it what is known.
A request that never came to the end of its head has a line with what can be told of it.

| stage | what | counted in | reasons | access log |
|---|---|---|---|---|
";
