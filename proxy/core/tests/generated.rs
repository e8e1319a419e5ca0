//! Pages that come out of tables are on disk as the tables say.

use std::path::Path;
use std::{fs, io};
use weir_core::policy::annotations::ANNOTATIONS;
use weir_core::policy::row::{Heritage, Row};
use weir_core::policy::{configmap, migration, pages, unsupported};

#[test]
fn annotations_page_is_up_to_date() -> io::Result<()> {
    up_to_date("annotations.md", &pages::annotations())
}

#[test]
fn configmap_page_is_up_to_date() -> io::Result<()> {
    up_to_date("configmap.md", &pages::configmap())
}

/// Between marks in a page that people write.
#[test]
fn the_lists_of_the_page_about_migration_are_up_to_date() -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut page = fs::read_to_string(docs.join(MIGRATION))?;
    for (name, block) in [("annotations", migration::annotations()), ("keys", migration::keys())] {
        let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("<!-- {name}: end -->"));
        let from = page.find(&begin).map(|at| at + begin.len());
        let to = page.find(&end);
        let (Some(from), Some(to)) = (from, to) else { panic!("{MIGRATION} has no marks for {name}") };
        page.replace_range(from..to, &block);
    }
    up_to_date(MIGRATION, &page)
}

/// Whatever weir knows of ingress-nginx stands in exactly one of the lists.
#[test]
fn the_lists_of_the_page_about_migration_are_complete() {
    let names = |block: &str| {
        let words = block.split('`').skip(1).step_by(2).map(str::to_owned);
        words.collect::<Vec<_>>()
    };
    let page = names(&migration::annotations());
    let rows = ANNOTATIONS.iter().filter(|row| row.heritage == Heritage::IngressNginx);
    let rows = rows.flat_map(Row::names);
    let known = rows.chain(unsupported::ANNOTATIONS.iter().map(|entry| entry.name));
    for name in known {
        let times = page.iter().filter(|word| *word == name).count();
        assert!(times >= 1, "{name} is in no list");
    }
    let keys = names(&migration::keys());
    let rows = configmap::KEYS.iter().filter(|row| row.heritage == Heritage::IngressNginx);
    for name in rows.flat_map(Row::names).chain(unsupported::KEYS.iter().map(|entry| entry.name)) {
        assert!(keys.iter().any(|word| word == name), "{name} is in no list");
    }
    // A name that works is not among those that do not.
    let block = migration::annotations();
    let (works, others) = block.split_once("\n\n").unwrap();
    let works = names(works);
    let others: Vec<&str> =
        others.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(others.len() > 50 && works.len() > 30, "{} and {}", others.len(), works.len());
    assert!(others.iter().all(|name| !works.iter().any(|word| word == name)));
}

#[test]
fn text_has_a_line_for_every_annotation() {
    let text = pages::text();
    for row in ANNOTATIONS {
        let starts = |line: &&str| line.starts_with(&format!("{} ", row.name));
        assert_eq!(text.lines().filter(starts).count(), 1, "{}", row.name);
    }
    assert!(text.lines().all(|line| line == line.trim_end()));
}

const MIGRATION: &str = "migrate-from-ingress-nginx.md";

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
