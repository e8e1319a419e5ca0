//! Pages that come out of tables are on disk as the tables say.

use std::path::Path;
use std::{fs, io};

/// Rewrites a stale page of `docs/` and fails, so that running the tests twice mends it and a reviewer sees the change.
pub(crate) fn up_to_date(name: &str, expected: &str) -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = docs.join(name);
    if fs::read_to_string(&page).is_ok_and(|found| found == expected) {
        return Ok(());
    }
    fs::create_dir_all(docs)?;
    fs::write(page, expected)?;
    Err(io::Error::other(format!("docs/{name} was stale and has been rewritten; commit it")))
}
