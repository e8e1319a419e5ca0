//! Charts of lines as SVG. Pure.

use super::junit::escaped;
use std::fmt::Write;

/// A chart.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub(super) title: String,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) lines: Vec<Line<'a>>,
    /// Places on the x axis with their names; without any, round numbers are named.
    pub(super) marks: Vec<(f64, String)>,
}

/// A line of a chart; a point without a value is a gap.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) colour: &'a str,
    pub(super) stroke: Stroke,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    Solid,
    Dashed,
}

impl Chart<'_> {
    /// As an SVG element that needs nothing else.
    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let right = round_up(points().map(|(x, _)| *x).fold(0.0, f64::max).max(1e-9), &self.marks);
        let top = nice(points().filter_map(|(_, y)| *y).fold(0.0, f64::max).max(1e-9));
        let at_x = |x: f64| LEFT + (WIDTH - LEFT - RIGHT) * (x / right);
        let at_y = |y: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y / top);

        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escaped(&self.title)
        );
        // Into a text: none of these can fail.
        let _ = writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"18\">{}</text>", escaped(&self.title));
        for part in 0..=4 {
            let value = top * f64::from(part) / 4.0;
            let y = at_y(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                short(value)
            );
        }
        let numbers = (0..=5).map(|part| right * f64::from(part) / 5.0).map(|x| (x, short(x)));
        let marks = if self.marks.is_empty() { numbers.collect() } else { self.marks.clone() };
        for (x, name) in marks {
            let _ = writeln!(
                svg,
                "<text class=\"tick\" text-anchor=\"{}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                // The last one would stand out of the chart.
                if x > 0.97 * right { "end" } else { "middle" },
                at_x(x),
                HEIGHT - BOTTOM + 16.0,
                escaped(&name)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>\
             <text class=\"tick\" x=\"4\" y=\"34\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 4.0,
            escaped(self.x),
            escaped(self.y)
        );
        for (number, line) in self.lines.iter().enumerate() {
            let dash = if line.stroke == Stroke::Dashed { " stroke-dasharray=\"6 4\"" } else { "" };
            let _ = writeln!(
                svg,
                "<path class=\"line\" data-name=\"{}\" stroke=\"{}\"{dash} d=\"{}\"/>",
                escaped(line.name),
                line.colour,
                path(line, at_x, at_y)
            );
            let x = WIDTH - RIGHT - 130.0 * (self.lines.len() - number) as f64 + 10.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"9\" width=\"12\" height=\"10\" fill=\"{}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"18\">{}</text>",
                line.colour,
                x + 17.0,
                escaped(line.name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn path(line: &Line<'_>, at_x: impl Fn(f64) -> f64, at_y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut command = 'M';
    for (x, y) in &line.points {
        match y {
            None => command = 'M',
            Some(y) => {
                let _ = write!(path, "{command}{:.1} {:.1}", at_x(*x), at_y(*y));
                command = 'L';
            }
        }
    }
    path
}

/// The next number of 1, 2, 2.5 or 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= value * 0.999_999).unwrap_or(value)
}

fn round_up(value: f64, marks: &[(f64, String)]) -> f64 {
    marks.iter().map(|(x, _)| *x).fold(value, f64::max)
}

/// A number in few characters.
fn short(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 36.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_and_gaps_stay_gaps() {
        assert_eq!([0.7, 1.0, 1.2, 24.0, 430.0].map(nice), [1.0, 1.0, 2.0, 25.0, 500.0]);
        assert_eq!([0.0, 0.25, 12.5, 1200.0].map(short), ["0", "0.25", "12.5", "1200"]);
        let line = Line {
            name: "a",
            colour: "red",
            stroke: Stroke::Solid,
            points: vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0)), (3.0, Some(3.0))],
        };
        assert_eq!(path(&line, |x| x, |y| y), "M0.0 1.0M2.0 2.0L3.0 3.0");
    }

    #[test]
    fn names_cannot_break_out_of_a_chart() {
        let chart = Chart {
            title: "<script>".to_owned(),
            x: "s",
            y: "n",
            lines: vec![Line { name: "\"><b>", colour: "red", stroke: Stroke::Dashed, points: vec![] }],
            marks: vec![],
        };
        let svg = chart.svg();
        assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
    }
}
