//! The way to a file, through links.
//!
//! What a volume shows changes where links are swapped, and that may be anywhere on the way: in the volume (`..data`), or
//! behind links that lead out of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Adds the folders of all links on the way to `path`, and the one that holds the file itself, which need not be there.
/// What is added has no links in it.
pub(super) fn folders(path: &Path, found: &mut BTreeSet<PathBuf>) {
    let mut at = PathBuf::new();
    // What is still to go, the next step last.
    let mut ahead = steps(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        match Path::new(&step).components().next() {
            Some(Component::Normal(name)) => {
                let next = at.join(name);
                if ahead.is_empty() {
                    found.insert(at.clone());
                }
                match fs::read_link(&next) {
                    // A circle of links leads nowhere.
                    Ok(_) if links == MOST_LINKS => return,
                    Ok(target) => {
                        links += 1;
                        found.insert(at.clone());
                        ahead.extend(steps(&target));
                    }
                    Err(_) => at = next,
                }
            }
            Some(Component::ParentDir) => {
                at.pop();
            }
            Some(Component::RootDir | Component::Prefix(_)) => at = PathBuf::from("/"),
            Some(Component::CurDir) | None => {}
        }
    }
}

/// The last comes first.
fn steps(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|step| step.as_os_str().to_owned()).collect()
}

/// As Linux has it (`path_resolution(7)`).
const MOST_LINKS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_folder_is_named_where_another_link_would_lead_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        for folder in ["etc/podinfo/..v1/deep", "mnt/tls/..v1", "mnt/plain"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let links = [
            ("..v1", "etc/podinfo/..data"),
            ("..data/annotations", "etc/podinfo/annotations"),
            ("..data/deep", "etc/podinfo/deep"),
            ("..v1", "mnt/tls/..data"),
            ("..data/tls.crt", "mnt/tls/tls.crt"),
            ("../mnt/tls", "etc/tls"),
            ("./plain/../plain", "mnt/other"),
            ("around", "mnt/circle"),
            ("circle", "mnt/around"),
        ];
        for (target, link) in links {
            symlink(target, root.join(link)).unwrap();
        }
        symlink(root.join("etc/tls/tls.crt"), root.join("mnt/far")).unwrap();
        let check = |path: &str, expected: &[&str]| {
            let mut found = BTreeSet::new();
            folders(&root.join(path), &mut found);
            let found: Vec<_> = found.iter().map(|path| path.strip_prefix(&root).unwrap().to_str()).collect();
            assert_eq!(found, expected.iter().map(|path| Some(*path)).collect::<Vec<_>>(), "{path}");
        };
        check("etc/podinfo/annotations", &["etc/podinfo", "etc/podinfo/..v1"]);
        check("etc/podinfo/deep/annotations", &["etc/podinfo", "etc/podinfo/..v1/deep"]);
        check("etc/podinfo/..data", &["etc/podinfo"]);
        check("etc/tls/tls.crt", &["etc", "mnt/tls", "mnt/tls/..v1"]);
        check("mnt/far", &["etc", "mnt", "mnt/tls", "mnt/tls/..v1"]);
        check("mnt/plain/file", &["mnt/plain"]);
        check("mnt/other/file", &["mnt", "mnt/plain"]);
        check("mnt/none/file", &["mnt/none"]);
        check("mnt/circle", &["mnt"]);
    }
}
