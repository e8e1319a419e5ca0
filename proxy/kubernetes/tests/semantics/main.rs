//! The examples of the documents, run.
//!
//! Each fenced block of YAML in `docs/semantics.md` and `README.md` goes through [`weir_kubernetes::translate()`], and each
//! request through [`weir_core::Engine::admit`], in virtual time. A line that is not true fails with its number.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod page;
mod script;
mod stage;

use page::{Example, Kind};
use stage::Failure;
use weir_core::policy::annotations::ANNOTATIONS;
use weir_core::policy::row::Group;

const SEMANTICS: &str = include_str!("../../../../docs/semantics.md");
const README: &str = include_str!("../../../../README.md");

/// Everything that is not true in a page.
fn check(markdown: &str) -> Vec<Failure> {
    let examples = page::examples(markdown);
    let shop = shop(&examples);
    examples.iter().flat_map(|example| stage::run(example, &shop)).collect()
}

/// The first manifest of a page: what examples without one of their own are about.
fn shop(examples: &[Example]) -> String {
    let mut blocks = examples.iter().flat_map(|example| &example.blocks);
    blocks.find(|block| block.kind == Kind::Manifest).map(|block| block.text.clone()).unwrap_or_default()
}

#[track_caller]
fn assert_true(name: &str, markdown: &str) {
    let failures: Vec<_> = check(markdown).iter().map(|failure| format!("{name}, {failure}")).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn semantics_are_as_described() {
    assert_true("docs/semantics.md", SEMANTICS);
}

#[test]
fn the_first_manifest_does_what_the_readme_says() {
    assert_true("README.md", README);
    let examples = page::examples(README);
    let kinds: Vec<_> = examples.iter().flat_map(|example| &example.blocks).map(|block| block.kind).collect();
    assert_eq!(kinds, [Kind::Manifest, Kind::Requests]);
}

/// A page whose examples cannot fail proves nothing. So each expectation is turned into a wrong one in its turn, and the
/// line must be named.
#[test]
fn each_wrong_expectation_is_noticed() {
    let examples = page::examples(SEMANTICS);
    let shop = shop(&examples);
    let mut turned = 0;
    for example in &examples {
        for (at, block) in example.blocks.iter().enumerate().filter(|(_, block)| block.kind == Kind::Requests)
        {
            for (number, line) in block.lines() {
                let Some(wrong) = wrong(line) else { continue };
                let mut example = example.clone();
                let mut lines: Vec<_> = block.text.lines().map(str::to_owned).collect();
                lines[number - block.line - 1] = wrong.clone();
                example.blocks[at].text = lines.join("\n");
                let failures = stage::run(&example, &shop);
                assert!(
                    failures.iter().any(|failure| failure.line == number),
                    "line {number} under {:?} may say {wrong:?} as well",
                    example.heading
                );
                turned += 1;
            }
        }
    }
    assert!(turned >= 80, "only {turned} expectations");
}

/// The line with something else expected, if it expects anything.
fn wrong(line: &str) -> Option<String> {
    let trimmed = line.trim();
    if let Some((request, expected)) = line.split_once(" -> ") {
        let other = if expected.starts_with("pass") { "429 by limit-rps" } else { "pass" };
        return Some(format!("{request} -> {other}"));
    }
    let wrong = match trimmed.strip_prefix("< ") {
        Some(field) if field.starts_with("no ") => trimmed.replacen("< no ", "< ", 1) + ": 1",
        Some(_) => format!("{trimmed}1"),
        None if trimmed.starts_with("finding ") => format!("{trimmed}1"),
        None => return None,
    };
    Some(wrong)
}

#[test]
fn every_limit_has_an_example() {
    let examples = page::examples(SEMANTICS);
    let blocks = examples.iter().flat_map(|example| &example.blocks);
    let written: String =
        blocks.filter(|block| block.kind != Kind::Requests).map(|block| block.text.as_str()).collect();
    let guards = ANNOTATIONS
        .iter()
        .filter(|row| matches!(row.group, Group::Limits | Group::Access | Group::Sizes))
        .map(|row| row.name);
    for name in guards.filter(|name| !WITHOUT_EXAMPLE.contains(name)) {
        assert!(written.contains(&format!("/{name}: ")), "docs/semantics.md has no example of {name}");
    }
}

#[test]
fn a_page_is_judged_line_by_line() {
    let page = "# A shop\n```yaml manifest\nkind: nonsense\n```\n```requests\nGET http://a/ from 192.0.2.1 -> pass\n```\n";
    let failures = check(page);
    assert_eq!(failures.iter().map(|failure| failure.line).collect::<Vec<_>>(), [6], "{failures:?}");
    for (line, message) in [
        ("GET http://a/ from 192.0.2.1", "expected ` -> `"),
        ("GET http://a/ from 192.0.2.1 -> 429", "names its rule"),
        ("GET http://a/ from nowhere -> pass", "no address"),
        ("GET a from 192.0.2.1 -> pass", "http://"),
        ("at noon", "no time"),
        ("release one", "no number"),
        ("release 1", "only 0 are held"),
        ("GET http://a/ from 192.0.2.1 wth \"A: b\" -> pass", "unknown word"),
    ] {
        let failures = check(&format!("# A shop\n```requests\n{line}\n```\n"));
        assert!(failures.len() == 1 && failures[0].line == 3, "{line}: {failures:?}");
        assert!(failures[0].message.contains(message), "{line}: {failures:?}");
    }
}

#[test]
fn a_finding_that_is_not_expected_is_noticed() {
    let (before, after) = SEMANTICS.split_once("weir.dev/limit-rps: \"5\"").unwrap();
    let failures = check(&format!("{before}weir.dev/limit-rpx: \"5\"{after}"));
    let line = before[..before.rfind("```").unwrap()].lines().count() + 1;
    assert!(failures.iter().any(|failure| failure.line == line), "{line}: {failures:?}");
}

/// What acts on the bytes of a body, which are not seen here; shown by the tests of the lanes.
const WITHOUT_EXAMPLE: [&str; 2] = ["body-min-rate", "client-body-buffer-size"];
