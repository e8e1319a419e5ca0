//! Runs as JUnit XML, which continuous integration shows.

use super::Report;
use crate::expect::Result;
use std::fmt::Write;

/// A suite for each run, a case for each expectation, and one for the generator.
pub fn junit(reports: &[Report]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        let failed = report.verdicts.iter().filter(|verdict| verdict.result == Result::Failed).count();
        let failures = failed + usize::from(report.invalid.is_some());
        let cases = report.verdicts.iter().map(|verdict| {
            let failure = (verdict.result == Result::Failed).then_some(verdict.found.as_str());
            (verdict.expected.as_str(), failure)
        });
        let cases: Vec<_> = cases.chain([(GENERATOR, report.invalid.as_deref())]).collect();
        // Into a text: this cannot fail.
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">",
            escaped(&report.scenario),
            cases.len()
        );
        for (name, failure) in cases {
            let (class, name) = (escaped(&report.scenario), escaped(name));
            let _ = match failure {
                None => writeln!(text, "    <testcase classname=\"{class}\" name=\"{name}\"/>"),
                Some(why) => writeln!(
                    text,
                    "    <testcase classname=\"{class}\" name=\"{name}\"><failure message=\"{}\"/></testcase>",
                    escaped(why)
                ),
            };
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Text between tags or quotes of XML and HTML. Characters that XML has no place for become U+FFFD.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

const GENERATOR: &str = "the generator kept its plan";
