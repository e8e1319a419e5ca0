//! A comparison as Markdown. Pure.

use super::figures::{Spread, middle};
use super::report::{CaseReport, ProxyReport, Report};
use super::{PEERS, Proxy, Round};
use std::fmt::Write;

/// The whole report.
pub fn markdown(report: &Report) -> String {
    let mut text = "# Proxies on one core\n\n".to_owned();
    // Into a text: none of these can fail.
    facts(report, &mut text);
    for sentence in report.unmeasured.iter().chain(&report.shortfalls) {
        let _ = writeln!(text, "- **{sentence}**");
    }
    overview(report, &mut text);
    for case in &report.cases {
        let _ = writeln!(text, "\n## {}: {}\n", case.name, case.title);
        if let Some(why) = &case.not_measured {
            let _ = writeln!(text, "Not measured: {why}.");
            continue;
        }
        if case.case.is_memory() {
            memory(case, &mut text);
        } else {
            load(case, &mut text);
        }
        for proxy in &case.proxies {
            for (number, round) in proxy.rounds.iter().enumerate() {
                if let Some(why) = &round.invalid {
                    let _ = writeln!(text, "- {}, round {}, does not count: {why}", proxy.name, number + 1);
                }
            }
        }
    }
    if !report.notes.is_empty() {
        let _ = writeln!(text, "\n## Where they differ\n");
        for note in &report.notes {
            let _ = writeln!(text, "- {note}");
        }
    }
    text
}

fn facts(report: &Report, text: &mut String) {
    let facts = &report.facts;
    let _ = writeln!(
        text,
        "- versions: {}\n- machine: {}\n- load average at the end: {}\n\
         - rounds: {} of {} s, interleaved; median (least–greatest); {} connections, {} idle ones, {} addresses of a spray\n\
         - access logs: {}; nginx's error log: {}",
        facts.versions.join("; "),
        facts.machine,
        facts.load_average,
        facts.rounds,
        facts.seconds,
        facts.connections,
        facts.idle_connections,
        thousands(f64::from(facts.spray_keys)),
        facts.access_log,
        facts.nginx_error_log
    );
}

/// One line a case: the figures of the first proxy, and what it is divided by each peer.
fn overview(report: &Report, text: &mut String) {
    let Some(first) =
        report.cases.iter().find_map(|case| case.proxies.first()).map(|proxy| proxy.name.as_str())
    else {
        return;
    };
    let shown =
        |case: &CaseReport, peer: &str| case.ratios.iter().any(|one| one.of == first && one.to == peer);
    let peers = PEERS.map(Proxy::name);
    let peers: Vec<&str> =
        peers.into_iter().filter(|peer| report.cases.iter().any(|case| shown(case, peer))).collect();
    let _ = writeln!(
        text,
        "\nRequests per CPU-second of {first}, or KiB for each connection (less is better), and the same divided by that of others.\n"
    );
    let heads: String = peers.iter().map(|peer| format!(" {first} / {peer} |")).collect();
    let _ = writeln!(text, "| case | {first} |{heads}\n|---|---|{}", "---|".repeat(peers.len()));
    for case in &report.cases {
        let of = |name: &str| case.proxies.iter().find(|proxy| proxy.name == name);
        let figure = match (&case.not_measured, of(first).and_then(|proxy| proxy.figure)) {
            (Some(_), _) => "not measured".to_owned(),
            (None, None) => "no valid figure".to_owned(),
            (None, Some(spread)) if case.case.is_memory() => format!("{:.2} KiB", spread.median),
            (None, Some(spread)) => thousands(spread.median),
        };
        let ratio = |peer: &&str| {
            let found = case.ratios.iter().find(|one| one.of == first && one.to == *peer);
            format!(" {} |", two(found.and_then(|one| one.ratio)))
        };
        let ratios: String = peers.iter().map(ratio).collect();
        let _ = writeln!(text, "| {}: {} | {figure} |{ratios}", case.name, case.title);
    }
}

fn load(case: &CaseReport, text: &mut String) {
    text.push_str(
        "| proxy | requests per CPU-second | µs of CPU per request | requests/s | of a core | p50 ms | p99 ms | resident MiB | rounds |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for proxy in &case.proxies {
        let Some(figure) = proxy.figure else {
            let _ = writeln!(text, "| {} | no valid figure | | | | | | | {} |", proxy.name, count(proxy));
            continue;
        };
        let of = |get: fn(&Round) -> Option<f64>| middle(&proxy.rounds, get);
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
        };
        let before = of(|round| round.before_kib.map(|kib| kib as f64 / 1024.0));
        let resident = number(of(|round| round.resident_kib.map(|kib| kib as f64 / 1024.0)), 1);
        let resident = before.map_or_else(|| resident.clone(), |before| format!("{before:.1} → {resident}"));
        let _ = writeln!(
            text,
            "| {} | {} ({}–{}) | {:.1} | {} | {} | {} | {} | {resident} | {} |",
            proxy.name,
            thousands(figure.median),
            thousands(figure.least),
            thousands(figure.greatest),
            1e6 / figure.median,
            of(|round| round.requests_per_second).map_or_else(|| "–".to_owned(), thousands),
            of(|round| round.cpu_share)
                .map_or_else(|| "–".to_owned(), |share| format!("{:.0}%", share * 100.0)),
            number(of(|round| round.p50_ms), 2),
            number(of(|round| round.p99_ms), 2),
            count(proxy)
        );
    }
}

fn memory(case: &CaseReport, text: &mut String) {
    text.push_str("| proxy | KiB for each connection | connections | rounds |\n|---|---|---|---|\n");
    for proxy in &case.proxies {
        let figure = proxy.figure.map_or_else(|| "no valid figure".to_owned(), |figure| two(Some(figure)));
        let connections = proxy.rounds.iter().find_map(|round| round.connections).unwrap_or_default();
        let _ = writeln!(text, "| {} | {figure} | {connections} | {} |", proxy.name, count(proxy));
    }
}

fn two(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "–".to_owned(),
        |spread| format!("{:.2} ({:.2}–{:.2})", spread.median, spread.least, spread.greatest),
    )
}

fn count(proxy: &ProxyReport) -> String {
    let valid = proxy.rounds.iter().filter(|round| round.invalid.is_none()).count();
    if valid == proxy.rounds.len() { valid.to_string() } else { format!("{valid} of {}", proxy.rounds.len()) }
}

/// A number without decimals, with a comma between thousands.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let parts: Vec<String> =
        Some(head.to_owned()).filter(|head| !head.is_empty()).into_iter().chain(groups).collect();
    let sign = if value < -0.5 { "-" } else { "" };
    format!("{sign}{}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::case::Case;
    use crate::compare::report::{Facts, RatioReport};

    fn report(rounds: Vec<Round>, not_measured: Option<&str>) -> Report {
        let figure = crate::compare::figure(&rounds);
        let ratio = RatioReport { of: "weir".to_owned(), to: "nginx".to_owned(), ratio: figure };
        let facts = Facts {
            versions: vec!["weir 1".to_owned()],
            machine: "a machine".to_owned(),
            load_average: "0.00".to_owned(),
            rounds: 1,
            seconds: 2,
            connections: 64,
            idle_connections: 10,
            spray_keys: 1_000_000,
            access_log: "off",
            nginx_error_log: "error".to_owned(),
        };
        let case = CaseReport {
            name: "allowed",
            title: "a title",
            unit: "requests per CPU-second",
            not_measured: not_measured.map(str::to_owned),
            proxies: vec![ProxyReport { name: "weir".to_owned(), figure, rounds }],
            ratios: vec![ratio],
            case: Case::Allowed,
        };
        let notes = vec!["nginx is different".to_owned()];
        Report { facts, notes, cases: vec![case], unmeasured: vec![], shortfalls: vec![] }
    }

    #[test]
    fn rounds_that_do_not_count_are_named() {
        let text = markdown(&report(vec![Round::failed("why".to_owned())], None));
        assert!(text.contains("| weir | no valid figure |") && text.contains("0 of 1"), "{text}");
        assert!(text.contains("weir, round 1, does not count: why") && text.contains("nginx is different"));
    }

    #[test]
    fn a_load_without_latency_has_dashes_and_a_case_without_rounds_says_why() {
        let round = Round { figure: 12_345.6, requests_per_second: Some(9.0), ..Round::default() };
        let text = markdown(&report(vec![round], None));
        assert!(text.contains("| weir | 12,346 (12,346–12,346) | 81.0 | 9 | – | – | – | – | 1 |"), "{text}");
        assert!(text.contains("| allowed: a title | 12,346 | 12345.60 (12345.60–12345.60) |"), "{text}");
        let text = markdown(&report(vec![], Some("wrk is not installed")));
        assert!(text.contains("Not measured: wrk is not installed."), "{text}");
        assert!(text.contains("| allowed: a title | not measured |"), "{text}");
    }

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0.0, 7.4, 999.6, 12_345.0, 1_234_567.0, -1_000.0].map(thousands);
        assert_eq!(shown, ["0", "7", "1,000", "12,345", "1,234,567", "-1,000"]);
    }
}
