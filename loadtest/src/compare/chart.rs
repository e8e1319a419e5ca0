//! The ratios of a comparison with their spread, as one SVG that needs nothing else. Pure.

use super::report::{CaseReport, RatioReport, Report};
use super::{PEERS, Proxy};
use crate::report::escaped;
use std::fmt::Write;

/// Everybody's figure divided by that of nginx, HAProxy and Envoy, case by case.
pub fn chart(report: &Report) -> String {
    let peers = PEERS.map(Proxy::name);
    let bars: Vec<(&CaseReport, Vec<&RatioReport>)> = report
        .cases
        .iter()
        .map(|case| (case, case.ratios.iter().filter(|one| !peers.contains(&one.of.as_str())).collect()))
        .collect();
    let greatest = bars.iter().flat_map(|(_, ratios)| ratios).filter_map(|one| one.ratio);
    let right = greatest.map(|spread| spread.greatest).fold(2.0, f64::max).ceil();
    let at = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * (value / right);
    let rows: usize = bars.iter().map(|(_, ratios)| ratios.len().max(1)).sum();
    let height = TOP + ROW * rows as f64 + GAP * bars.len() as f64 + BOTTOM;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{TITLE}\">\n\
         <style>text{{font:12px system-ui,sans-serif;fill:#333}}.title{{font-size:14px;font-weight:600}}\
         .grid{{stroke:#e3e3e3}}.one{{stroke:#111}}.spread{{stroke:#111;stroke-width:1.5}}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text class=\"title\" x=\"8\" y=\"20\">{TITLE}</text>\n\
         <text x=\"8\" y=\"38\">{SUBTITLE}</text>\n"
    );
    let bottom = height - BOTTOM;
    // Into a text: none of these can fail.
    for part in 0..=right as u32 {
        let (x, class) = (at(f64::from(part)), if part == 1 { "one" } else { "grid" });
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\"/>\
             <text text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{part}</text>",
            bottom + 16.0
        );
    }
    let mut y = TOP;
    for (case, ratios) in bars {
        let better = if case.case.is_memory() { ", less is better" } else { "" };
        let _ = writeln!(svg, "<text x=\"8\" y=\"{:.1}\">{}{better}</text>", y + 14.0, escaped(case.name));
        if ratios.is_empty() {
            let why = case.not_measured.as_deref().unwrap_or("no other proxy");
            let _ = writeln!(
                svg,
                "<text x=\"{LEFT}\" y=\"{:.1}\">not measured: {}</text>",
                y + 14.0,
                escaped(why)
            );
            y += ROW;
        }
        for one in ratios {
            bar(one, y, at, &mut svg);
            y += ROW;
        }
        y += GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(one: &RatioReport, y: f64, at: impl Fn(f64) -> f64, svg: &mut String) {
    let name = escaped(&format!("{} / {}", one.of, one.to));
    let _ = writeln!(
        svg,
        "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>",
        LEFT - 8.0,
        y + 14.0
    );
    let Some(spread) = one.ratio else {
        let _ =
            writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">no valid figure</text>", at(0.0) + 4.0, y + 14.0);
        return;
    };
    let colour = PEERS.iter().position(|peer| peer.name() == one.to).and_then(|number| COLOURS.get(number));
    let (middle, from, to) = (y + ROW / 2.0, at(spread.least), at(spread.greatest));
    let _ = writeln!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>\
         <line class=\"spread\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{:.2}</text>",
        at(0.0),
        y + 3.0,
        at(spread.median) - at(0.0),
        ROW - 6.0,
        colour.unwrap_or(&COLOURS[0]),
        to + 6.0,
        y + 14.0,
        spread.median
    );
}

const TITLE: &str = "Requests per CPU-second of the proxy, divided by that of others";
const SUBTITLE: &str = "Bar: median. Line: least to greatest. Idle cases: memory for each connection.";
const COLOURS: [&str; 3] = ["#8fb8de", "#e6b980", "#a5d0b4"];
const WIDTH: f64 = 860.0;
const LEFT: f64 = 270.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 28.0;
const ROW: f64 = 20.0;
const GAP: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::figures::Spread;
    use crate::compare::report::Facts;
    use crate::compare::{Case, Report};

    fn report(ratios: Vec<RatioReport>, not_measured: Option<String>) -> Report {
        let facts = Facts {
            versions: vec![],
            machine: String::new(),
            load_average: String::new(),
            rounds: 1,
            seconds: 1,
            connections: 1,
            idle_connections: 1,
            spray_keys: 1,
            access_log: "off",
            nginx_error_log: String::new(),
        };
        let case = CaseReport {
            name: "allowed",
            title: "",
            unit: "",
            not_measured,
            proxies: vec![],
            ratios,
            case: Case::Allowed,
        };
        Report { facts, notes: vec![], cases: vec![case], unmeasured: vec![], shortfalls: vec![] }
    }

    #[test]
    fn a_ratio_is_a_bar_with_its_spread_and_names_cannot_break_out() {
        let spread = Spread { median: 1.5, least: 1.0, greatest: 3.5 };
        let ratio = |of: &str, ratio| RatioReport { of: of.to_owned(), to: "nginx".to_owned(), ratio };
        let svg = chart(&report(
            vec![ratio("<b>\"", Some(spread)), ratio("x", None), ratio("haproxy", Some(spread))],
            None,
        ));
        assert!(svg.contains("&lt;b&gt;&quot; / nginx") && !svg.contains("<b>"), "{svg}");
        // The axis goes to 4; peers among each other are not shown.
        assert!(svg.contains(">1.50<") && svg.contains(">4<") && svg.contains("no valid figure"), "{svg}");
        assert!(!svg.contains("haproxy /"), "{svg}");
        assert_eq!(svg.matches("class=\"spread\"").count(), 1);
    }

    #[test]
    fn a_case_that_was_not_measured_says_so() {
        let svg = chart(&report(vec![], Some("wrk is not installed".to_owned())));
        assert!(svg.contains("not measured: wrk is not installed"), "{svg}");
    }
}
