//! Charts of lines as SVG. Pure.

use super::junit::escaped;
use std::fmt::Write;

/// A chart.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub(super) title: String,
    pub(super) x: &'a str,
    /// What is counted, and its unit.
    pub(super) y: &'a str,
    pub(super) lines: Vec<Line<'a>>,
    /// How a line goes from point to point.
    pub(super) course: Course,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Straight to the next.
    Straight,
    /// Level for one unit of the x axis: each point is what was counted in its second.
    Steps,
}

impl Chart<'_> {
    /// As an SVG element that needs nothing else.
    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let width = if self.course == Course::Steps { 1.0 } else { 0.0 };
        let right = self.marks.iter().map(|(x, _)| *x);
        let right = right.fold(points().map(|(x, _)| x + width).fold(1e-9, f64::max), f64::max);
        let top = nice(points().filter_map(|(_, y)| *y).fold(0.0, f64::max).max(1e-9));
        let legend = Legend::of(&self.lines);
        let above = TITLE + legend.rows as f64 * ROW + 10.0;
        let height = above + PLOT + BOTTOM;
        let at_x = |x: f64| LEFT + (WIDTH - LEFT - RIGHT) * (x / right);
        let at_y = |y: f64| above + PLOT * (1.0 - y / top);

        let (title, unit) = (escaped(&self.title), escaped(self.y));
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}, {unit}\">\n"
        );
        // Into a text: none of these can fail.
        let _ = writeln!(
            svg,
            "<text class=\"title\" x=\"{LEFT}\" y=\"18\">{title} <tspan class=\"unit\">{unit}</tspan></text>"
        );
        svg.push_str(&legend.svg);
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
        let marks = if self.marks.is_empty() { round(right, self.course) } else { self.marks.clone() };
        for (x, name) in marks {
            let _ = writeln!(
                svg,
                "<text class=\"tick\" text-anchor=\"{}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                // The last one would stand out of the chart.
                if x > 0.97 * right { "end" } else { "middle" },
                at_x(x),
                above + PLOT + 16.0,
                escaped(&name)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>",
            WIDTH - RIGHT,
            height - 4.0,
            escaped(self.x)
        );
        for line in &self.lines {
            let _ = writeln!(
                svg,
                "<path class=\"line\" data-name=\"{}\" stroke=\"{}\"{} d=\"{}\"/>",
                escaped(line.name),
                line.colour,
                dash(line.stroke),
                path(line, self.course, at_x, at_y)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Which line is which: under the title, in as many rows as it takes.
struct Legend {
    rows: u32,
    svg: String,
}

impl Legend {
    fn of(lines: &[Line<'_>]) -> Self {
        let (mut rows, mut x, mut svg) = (1, LEFT, String::new());
        for line in lines {
            // Nobody has measured the text; its letters are no wider than this on average.
            let width = SAMPLE + line.name.chars().count() as f64 * LETTER + 20.0;
            if x > LEFT && x + width > WIDTH - RIGHT {
                (rows, x) = (rows + 1, LEFT);
            }
            let y = TITLE + f64::from(rows) * ROW - 4.0;
            let _ = writeln!(
                svg,
                "<line class=\"sample\" x1=\"{x}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"{}\"{}/>\
                 <text class=\"tick\" x=\"{}\" y=\"{y}\">{}</text>",
                x + SAMPLE - 6.0,
                y - 4.0,
                y - 4.0,
                line.colour,
                dash(line.stroke),
                x + SAMPLE,
                escaped(line.name)
            );
            x += width;
        }
        Self { rows, svg }
    }
}

fn dash(stroke: Stroke) -> &'static str {
    match stroke {
        Stroke::Solid => "",
        Stroke::Dashed => " stroke-dasharray=\"6 4\"",
    }
}

fn path(line: &Line<'_>, course: Course, at_x: impl Fn(f64) -> f64, at_y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut command = 'M';
    for (x, y) in &line.points {
        match y {
            None => command = 'M',
            Some(y) => {
                let _ = write!(path, "{command}{:.1} {:.1}", at_x(*x), at_y(*y));
                if course == Course::Steps {
                    let _ = write!(path, "H{:.1}", at_x(x + 1.0));
                }
                command = 'L';
            }
        }
    }
    path
}

/// Round numbers from 0 to the end, about six; whole ones where something is counted in each unit.
fn round(right: f64, course: Course) -> Vec<(f64, String)> {
    let step = nice(right / 6.0);
    let step = if course == Course::Steps { step.ceil() } else { step };
    let places = (0..=10).map(|number| f64::from(number) * step);
    places.take_while(|x| *x <= right * 1.000_001).map(|x| (x, short(x))).collect()
}

/// The next number of 1, 2, 2.5 or 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= value * 0.999_999).unwrap_or(value)
}

/// A number in few characters.
fn short(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

const WIDTH: f64 = 860.0;
/// Height of what the lines are in.
const PLOT: f64 = 180.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
/// Height of the title.
const TITLE: f64 = 24.0;
/// Height of a row of the legend.
const ROW: f64 = 18.0;
const BOTTOM: f64 = 36.0;
/// Width of a sample of a line in the legend.
const SAMPLE: f64 = 26.0;
const LETTER: f64 = 7.0;

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
        assert_eq!(path(&line, Course::Straight, |x| x, |y| y), "M0.0 1.0M2.0 2.0L3.0 3.0");
        assert_eq!(path(&line, Course::Steps, |x| x, |y| y), "M0.0 1.0H1.0M2.0 2.0H3.0L3.0 3.0H4.0");
        let names =
            |right, course| round(right, course).into_iter().map(|mark| mark.1).collect::<Vec<_>>().join(" ");
        assert_eq!(names(5.79, Course::Straight), "0 1 2 3 4 5");
        assert_eq!(names(2.0, Course::Straight), "0 0.5 1 1.5 2");
        assert_eq!(names(2.0, Course::Steps), "0 1 2");
        assert_eq!(names(14.0, Course::Steps), "0 3 6 9 12");
        assert_eq!(names(3600.0, Course::Steps), "0 1000 2000 3000");
    }

    #[test]
    fn a_legend_takes_as_many_rows_as_its_names_need() {
        let name = "a-name-of-some-forty-letters-and-no-fewer";
        let line = |_| Line { name, colour: "red", stroke: Stroke::Solid, points: vec![] };
        let rows = |count| Legend::of(&(0..count).map(line).collect::<Vec<_>>()).rows;
        assert_eq!([0, 1, 2, 3, 4, 5].map(rows), [1, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn names_cannot_break_out_of_a_chart() {
        let chart = Chart {
            title: "<script>".to_owned(),
            x: "s",
            y: "n",
            lines: vec![Line { name: "\"><b>", colour: "red", stroke: Stroke::Dashed, points: vec![] }],
            course: Course::Straight,
            marks: vec![],
        };
        let svg = chart.svg();
        assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
    }
}
