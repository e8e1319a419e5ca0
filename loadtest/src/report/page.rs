//! Runs as one page of HTML that needs nothing else: no script, no style sheet, no picture from anywhere.

use super::chart::{Chart, Course, Line, Stroke};
use super::junit::escaped;
use super::{ClassReport, Percentiles, Report};
use crate::expect::Result;
use std::fmt::Write;

/// The page.
pub fn page(reports: &[Report]) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>weir-loadtest</title>\n\
         <style>{STYLE}</style>\n<h1>weir-loadtest</h1>\n"
    );
    reports.iter().for_each(|report| one(report, &mut html));
    html.push_str("</html>\n");
    html
}

fn one(report: &Report, html: &mut String) {
    let passed = report.result == Result::Passed;
    let (class, word) = if passed { ("passed", "passed") } else { ("failed", "failed") };
    // Into a text: none of these can fail.
    let _ = writeln!(
        html,
        "<section><h2>{} <span class=\"{class}\">{word}</span></h2>\n<p>Target: {}. Seed: {}.</p>",
        escaped(&report.scenario),
        escaped(&report.target),
        report.seed
    );
    if let Some(why) = &report.invalid {
        let _ = writeln!(html, "<p class=\"failed\">This run proves nothing: {}.</p>", escaped(why));
    }
    html.push_str("<table><tr><th>Expected<th>Found<th></tr>\n");
    for verdict in &report.verdicts {
        let class = if verdict.result == Result::Passed { "passed" } else { "failed" };
        let (expected, found) = (escaped(&verdict.expected), escaped(&verdict.found));
        let _ = writeln!(html, "<tr><td>{expected}<td>{found}<td class=\"{class}\">{class}</tr>");
    }
    html.push_str("</table>\n<table><tr><th>Class<th>Planned<th>Admitted<th>Predicted<th>Refused<th>Failed<th>p50 ms<th>p99 ms<th>p99.9 ms</tr>\n");
    for class in &report.classes {
        let predicted = class.predicted.map_or_else(|| "–".to_owned(), |count| count.to_string());
        let of = |value: fn(&Percentiles) -> f64| {
            class.latency.as_ref().map_or_else(|| "–".to_owned(), |latency| format!("{:.2}", value(latency)))
        };
        let _ = writeln!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{predicted}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            escaped(&class.name),
            class.planned,
            class.admitted,
            class.refused,
            class.failed,
            of(|latency| latency.p50),
            of(|latency| latency.p99),
            of(|latency| latency.p999),
        );
    }
    html.push_str("</table>\n");
    report.classes.iter().for_each(|class| html.push_str(&requests(class).svg()));
    html.push_str(&latency(report).svg());
    html.push_str(&distribution(report).svg());
    if !report.process.is_empty() {
        html.push_str(&memory(report).svg());
        html.push_str(&cpu(report).svg());
    }
    if let Some(lag) = report.generator.lag {
        let _ = writeln!(
            html,
            "<p>Generator: late by {:.2} ms (median), {:.2} ms (p99; {:.2} ms are allowed), {:.2} ms (at most); {} requests per second of its processor time; {} sent again, {} waited for a connection.</p>",
            lag.p50,
            lag.p99,
            report.generator.allowed_lag,
            lag.max,
            report.generator.requests_per_cpu_second,
            report.generator.retried,
            report.generator.waited
        );
    }
    html.push_str("</section>\n");
}

fn requests(class: &ClassReport) -> Chart<'_> {
    let of = |value: fn(&super::SecondReport) -> Option<u64>| -> Vec<(f64, Option<f64>)> {
        let seconds = class.seconds.iter().enumerate();
        seconds.map(|(at, second)| (at as f64, value(second).map(|count| count as f64))).collect()
    };
    let line = |name, colour, stroke, points| Line { name, colour, stroke, points };
    let mut lines = vec![
        line("admitted", BLUE, Stroke::Solid, of(|second| Some(second.admitted))),
        line("refused", ORANGE, Stroke::Solid, of(|second| Some(second.refused))),
        line("failed", RED, Stroke::Solid, of(|second| Some(second.failed))),
    ];
    if class.predicted.is_some() {
        lines.push(line("admitted as predicted", BLACK, Stroke::Dashed, of(|second| second.predicted)));
        let refused = |second: &super::SecondReport| {
            let done = second.admitted + second.refused + second.failed;
            Some(done.saturating_sub(second.predicted?))
        };
        lines.push(line("refused as predicted", BROWN, Stroke::Dashed, of(refused)));
    }
    Chart {
        title: class.name.clone(),
        x: "second of the plan",
        y: "requests in each second",
        lines,
        course: Course::Steps,
        marks: Vec::new(),
    }
}

fn latency(report: &Report) -> Chart<'_> {
    let of = |value: fn(&Percentiles) -> f64| -> Vec<(f64, Option<f64>)> {
        let seconds = report.latency.iter().enumerate();
        seconds.map(|(at, second)| (at as f64, second.as_ref().map(value))).collect()
    };
    let line = |name, colour, points| Line { name, colour, stroke: Stroke::Solid, points };
    let lines = vec![
        line("p50", BLUE, of(|second| second.p50)),
        line("p99", ORANGE, of(|second| second.p99)),
        line("p99.9", RED, of(|second| second.p999)),
    ];
    Chart {
        title: "Latency from the planned moment".to_owned(),
        x: "second of the plan",
        y: "ms, all classes",
        lines,
        course: Course::Steps,
        marks: Vec::new(),
    }
}

/// As HdrHistogram plots it: each step to the right is ten times rarer.
fn distribution(report: &Report) -> Chart<'_> {
    // Hostile classes have no latency.
    let answered = || report.classes.iter().filter(|class| !class.distribution.is_empty());
    let lines = answered().zip(COLOURS.iter().cycle()).take(MOST_LINES).map(|(class, colour)| Line {
        name: &class.name,
        colour,
        stroke: Stroke::Solid,
        points: class.distribution.iter().map(|(quantile, ms)| (nines(*quantile), Some(*ms))).collect(),
    });
    let marks =
        [(0.0, "0%"), (0.9, "90%"), (0.99, "99%"), (0.999, "99.9%"), (0.9999, "99.99%"), (1.0, "100%")];
    let marks = marks.map(|(quantile, name)| (nines(quantile), name.to_owned())).to_vec();
    let (lines, answered) = (lines.collect(), answered().count());
    let title = match answered.saturating_sub(MOST_LINES) {
        0 => "Latency by percentile".to_owned(),
        _ => format!("Latency by percentile, the first {MOST_LINES} of {answered} classes"),
    };
    Chart { title, x: "percentile", y: "ms", lines, course: Course::Straight, marks }
}

fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-6).log10()
}

fn memory(report: &Report) -> Chart<'_> {
    let points = report.process.iter().filter(|sample| sample.at > 0.0);
    let points = points.map(|sample| (sample.at, Some(sample.resident as f64 / 1_048_576.0))).collect();
    let lines = vec![Line { name: "resident", colour: BLUE, stroke: Stroke::Solid, points }];
    Chart {
        title: "Memory of the target".to_owned(),
        x: "second",
        y: "MiB",
        lines,
        course: Course::Straight,
        marks: Vec::new(),
    }
}

fn cpu(report: &Report) -> Chart<'_> {
    let pairs = report.process.windows(2).filter_map(|pair| match pair {
        [before, after] if after.at > before.at => {
            Some((after.at, Some((after.cpu - before.cpu) / (after.at - before.at) * 100.0)))
        }
        _ => None,
    });
    let lines = vec![Line { name: "cpu", colour: BLUE, stroke: Stroke::Solid, points: pairs.collect() }];
    Chart {
        title: "Processor time of the target".to_owned(),
        x: "second",
        y: "% of a core",
        lines,
        course: Course::Straight,
        marks: Vec::new(),
    }
}

const BLUE: &str = "#2563a8";
const ORANGE: &str = "#c7791a";
const RED: &str = "#b3261e";
const BLACK: &str = "#111111";
const BROWN: &str = "#6b4a1b";
const COLOURS: [&str; 8] = [BLUE, ORANGE, "#2e7d4f", "#7a3ea1", RED, "#5c6670", "#0f8a9d", "#9a8700"];
/// Classes in one chart.
const MOST_LINES: usize = COLOURS.len();
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#111;background:#fff}\
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}\
td,th{border-bottom:1px solid #ddd;padding:.25rem .75rem .25rem 0;text-align:left}\
.passed{color:#1b6b3a}.failed{color:#b3261e}\
.chart{display:block;width:100%;height:auto;margin:1rem 0}.chart .line{fill:none;stroke-width:1.8}.chart .sample{stroke-width:3}.chart .unit{font-size:12px;font-weight:400}\
.chart .grid{stroke:#e3e3e3}.chart text{font:12px system-ui,sans-serif;fill:#333}.chart .title{font-size:14px;font-weight:600}";
