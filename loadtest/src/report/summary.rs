//! A run for people.

use super::Report;
use crate::expect::Result;
use std::fmt::Write;

/// A few lines of text.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Into a text: this cannot fail.
        let _ = writeln!(text, "{arguments}");
    };
    line(format_args!("{} -> {} (seed {})", report.scenario, report.target, report.seed));
    for class in &report.classes {
        let predicted = class.predicted.map(|count| format!(" ({count} predicted)")).unwrap_or_default();
        line(format_args!(
            "  {}: {} planned, {} admitted{predicted}, {} refused, {} failed",
            class.name, class.planned, class.admitted, class.refused, class.failed
        ));
        if let Some(latency) = class.latency {
            line(format_args!(
                "    latency ms: p50 {:.2}, p99 {:.2}, p99.9 {:.2}, max {:.2}",
                latency.p50, latency.p99, latency.p999, latency.max
            ));
        }
        let statuses = class.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
        let failures = class.failures.iter().map(|(failure, count)| format!("{failure:?}: {count}"));
        let unasked = (class.unasked > 0).then(|| format!("nobody had asked: {}", class.unasked));
        let endings = class.endings.iter().map(|(ending, count)| format!("{ending}: {count}"));
        let all: Vec<_> = statuses.chain(failures).chain(unasked).chain(endings).collect();
        line(format_args!("    {}", all.join(", ")));
    }
    if let (Some(first), Some(last)) = (report.process.first(), report.process.last()) {
        let most = report.process.iter().map(|sample| sample.resident).max().unwrap_or_default();
        let share = (last.cpu - first.cpu) / (last.at - first.at).max(0.001) * 100.0;
        line(format_args!("  target: at most {} KiB resident, {share:.0}% of a core", most / 1024));
    }
    let generator = &report.generator;
    if let Some(lag) = generator.lag {
        line(format_args!(
            "  generator: lag ms p50 {:.2}, p99 {:.2} of {:.2} allowed, max {:.2}; {} requests per second of its processor time",
            lag.p50, lag.p99, generator.allowed_lag, lag.max, generator.requests_per_cpu_second
        ));
    }
    for verdict in &report.verdicts {
        let word = if verdict.result == Result::Passed { "ok  " } else { "FAIL" };
        line(format_args!("  {word} {}: {}", verdict.expected, verdict.found));
    }
    if let Some(why) = &report.invalid {
        line(format_args!("  INVALID: this run proves nothing: {why}"));
    }
    text
}
