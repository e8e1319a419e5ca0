//! The status page: what is served, under which limits, what is wrong, what was counted. One document, nothing else.

use crate::state::{Readiness, State};
use std::fmt::{self, Write};
use weir_core::account::ObjectCounters;
use weir_core::policy::Mode;
use weir_core::snapshot::{LimitsView, ObjectView};

pub(super) fn render(state: &State) -> String {
    let mut page = HEAD.to_owned();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, state);
    page.push_str("</body></html>\n");
    page
}

fn write_page(page: &mut String, state: &State) -> fmt::Result {
    summary(page, state)?;
    findings(page, state)?;
    let view = state.engine.snapshot().describe();

    let routes = view.hosts.iter().flat_map(|(host, view)| view.paths.iter().map(move |path| (host, path)));
    let routes = routes.map(|(host, path)| {
        let to = match (&path.broken, &path.backend) {
            (Some(reason), _) => format!("refused: {reason}"),
            (None, Some(backend)) => backend.clone(),
            (None, None) => "nothing that can be served".to_owned(),
        };
        [host.clone(), path.path.clone(), path.kind.clone(), path.object.clone(), to]
    });
    table(page, "Routes", ["Host", "Path", "Kind", "Object", "To"], routes)?;

    let limits = view.objects.iter().map(|object| [object.object.clone(), limits_text(object)]);
    table(page, "Limits", ["Object", "What each client may"], limits)?;

    let snapshot = state.engine.snapshot();
    let owned = snapshot.objects().map(|owner| (owner.object.to_string(), &**owner.counters()));
    let counted = owned.chain([("requests without a route".to_owned(), &**snapshot.unrouted())]);
    let counted = counted.map(|(name, counters)| counter_cells(name, counters));
    table(
        page,
        "Counters",
        ["Object", "In flight", "Ended", "Refused", "Would be refused (observe)"],
        counted,
    )?;

    let backends = view.backends.iter().map(|backend| {
        let endpoints: Vec<_> =
            backend.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
        [backend.name.clone(), backend.external.clone().unwrap_or_default(), endpoints.join(", ")]
    });
    table(page, "Backends", ["Service", "DNS name", "Endpoints"], backends)
}

fn summary(page: &mut String, state: &State) -> fmt::Result {
    let loaded = state.loaded();
    let readiness = match state.readiness() {
        Readiness::Ready => "ready",
        Readiness::NoConfiguration => "no configuration yet",
        Readiness::NotListening => "not listening yet",
        Readiness::Draining => "draining",
    };
    let limiter = state.engine.limiter_stats();
    write!(
        page,
        "<p>weir {version}, {readiness}, since {started}. Configuration {generation} of {at}. \
         {open} connections. The limiter holds {held} of {capacity} cells.</p>\n\
         <p><a href=\"metrics\">metrics</a> <a href=\"api/config\">configuration</a> \
         <a href=\"api/findings\">findings</a></p>\n",
        version = env!("CARGO_PKG_VERSION"),
        started = state.started,
        generation = loaded.generation,
        at = loaded.at,
        open = state.connections_open(),
        held = limiter.held,
        capacity = limiter.capacity,
    )
}

fn findings(page: &mut String, state: &State) -> fmt::Result {
    let loaded = state.loaded();
    let rows = loaded.findings.iter().map(|finding| {
        let value = if finding.value.is_empty() { String::new() } else { format!("{:?}: ", finding.value) };
        let severity = finding.severity.as_str().to_owned();
        [severity, finding.object.to_string(), finding.field.clone(), format!("{value}{}", finding.message)]
    });
    table(page, "Findings", ["Severity", "Object", "Field", "What"], rows)
}

fn limits_text(object: &ObjectView) -> String {
    if let Some(reason) = &object.refuse_all {
        return format!("nothing: {reason}");
    }
    let LimitsView { numbers, windows, burst, key, modes, .. } = &object.limits;
    let mut parts: Vec<_> = numbers.iter().map(|(name, number)| format!("{name} {number}")).collect();
    parts.extend(windows.iter().map(|window| format!("limit-window {window}")));
    if !parts.is_empty() {
        parts.push(format!("burst {burst}"));
        parts.push(format!("key {}", key.join("+")));
    }
    parts.extend(object.body_bytes.map(|bytes| format!("body {bytes} bytes")));
    parts.extend(object.allow.as_ref().map(|networks| format!("allow {}", networks.join(" "))));
    if !object.deny.is_empty() {
        parts.push(format!("deny {}", object.deny.join(" ")));
    }
    let observed = modes.iter().filter(|(_, mode)| **mode == Mode::Observe.as_str());
    parts.extend(observed.map(|(kind, _)| format!("{kind} only observed")));
    parts.join(", ")
}

fn counter_cells(name: String, counters: &ObjectCounters) -> [String; 5] {
    let ended: u64 = counters.requests().map(|(_, count)| count).sum();
    let refused = |mode| -> u64 {
        counters.refusals().filter(|(_, _, of, _)| *of == mode).map(|(_, _, _, count)| count).sum()
    };
    let numbers = [counters.in_flight(), ended, refused(Mode::Enforce), refused(Mode::Observe)];
    let [in_flight, ended, refused, observed] = numbers.map(|number| number.to_string());
    [name, in_flight, ended, refused, observed]
}

/// A table of at most [`MOST_ROWS`] rows. Every cell is escaped here.
fn table<const N: usize>(
    page: &mut String,
    title: &str,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> fmt::Result {
    write!(page, "<h2>{title}</h2>\n<table><tr>")?;
    head.iter().try_for_each(|cell| write!(page, "<th>{cell}</th>"))?;
    page.push_str("</tr>\n");
    let mut left_out = 0usize;
    for (i, row) in rows.enumerate() {
        if i >= MOST_ROWS {
            left_out = left_out.saturating_add(1);
            continue;
        }
        page.push_str("<tr>");
        row.iter().try_for_each(|cell| write!(page, "<td>{}</td>", Escaped(cell)))?;
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
    if left_out > 0 {
        writeln!(page, "<p>and {left_out} more</p>")?;
    }
    Ok(())
}

/// Text as HTML text. What objects are called and what is wrong with them comes from their authors.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

const MOST_ROWS: usize = 500;

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>weir</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse } th, td { text-align: left; padding: .2em .8em .2em 0; vertical-align: top }
th { border-bottom: 1px solid #999 } td { border-bottom: 1px solid #ddd; overflow-wrap: anywhere }
</style></head>
<body>
<h1>weir</h1>
";
