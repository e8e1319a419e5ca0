//! Pages that come out of tables are on disk as the tables say.

use std::path::Path;
use std::{fs, io};
use weir_core::policy::pages;

#[test]
fn annotations_page_is_up_to_date() -> io::Result<()> {
    up_to_date("annotations.md", &pages::annotations())
}

#[test]
fn configmap_page_is_up_to_date() -> io::Result<()> {
    up_to_date("configmap.md", &pages::configmap())
}

#[test]
fn text_has_a_line_for_every_annotation() {
    let text = pages::text();
    for row in weir_core::policy::annotations::ANNOTATIONS {
        let starts = |line: &&str| line.starts_with(&format!("{} ", row.name));
        assert_eq!(text.lines().filter(starts).count(), 1, "{}", row.name);
    }
    assert!(text.lines().all(|line| line == line.trim_end()));
}

/// Rewrites a stale page and fails, so that running the tests twice mends it and a reviewer sees the difference.
fn up_to_date(name: &str, expected: &str) -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = docs.join(name);
    if fs::read_to_string(&page).is_ok_and(|found| found == expected) {
        return Ok(());
    }
    fs::create_dir_all(docs)?;
    fs::write(page, expected)?;
    Err(io::Error::other(format!("docs/{name} was stale and has been rewritten; commit it")))
}
