//! A folder and its subfolders → the files to read.

use crate::files::{Inode, Stamp, reason};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a look at a folder found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Manifests, sorted by path.
    pub(super) files: Vec<Listed>,
    /// Folders and files that could not be looked at, with the reason. What was known below them stays in force.
    pub(super) unreadable: Vec<(Arc<Path>, String)>,
    /// Whether something leads out of the folder, where the watcher does not see it change.
    pub(super) reach: Reach,
    /// The folder itself.
    pub(super) root: Option<Inode>,
}

/// A manifest.
#[derive(Debug, Hash)]
pub(super) struct Listed {
    /// Relative to the folder.
    pub(super) path: Arc<Path>,
    pub(super) stamp: Stamp,
}

/// Whether a watcher of the folder sees everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reach {
    /// It does.
    #[default]
    Inside,
    /// A symbolic link leads elsewhere.
    Outside,
}

/// Lists the manifests of a folder.
///
/// Hidden entries are left out. In a volume of Kubernetes the visible files are links into a hidden folder, so each is
/// read once, and a swap of that folder is seen as a change of all of them. Links are followed; a folder or file that
/// was met before is not entered again, so loops end.
pub(super) fn list(root: &Path) -> Listing {
    let mut walk = Walk {
        root: fs::canonicalize(root).unwrap_or_else(|_| root.to_owned()),
        seen: BTreeSet::new(),
        folders: 0,
        listing: Listing::default(),
    };
    if std::path::absolute(root).is_ok_and(|path| path != walk.root) {
        walk.listing.reach = Reach::Outside;
    }
    walk.folder(Path::new(""), 0);
    walk.listing
}

/// Reads a manifest, no more than [`MAX_FILE_BYTES`] of it.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| reason(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("larger than {} MiB", MAX_FILE_BYTES >> 20));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("no UTF-8 text (byte {})", error.utf8_error().valid_up_to()))
}

struct Walk {
    /// Without links.
    root: PathBuf,
    seen: BTreeSet<Inode>,
    folders: usize,
    listing: Listing,
}

impl Walk {
    fn folder(&mut self, relative: &Path, depth: usize) {
        let path = self.root.join(relative);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) => return self.unreadable(relative, reason(&error)),
        };
        let inode = Inode::of(&metadata);
        if depth == 0 {
            self.listing.root = Some(inode);
        }
        if !self.seen.insert(inode) {
            return;
        }
        self.folders += 1;
        if depth > MAX_DEPTH || self.folders > MAX_FOLDERS {
            return self
                .unreadable(relative, format!("more than {MAX_DEPTH} folders deep or {MAX_FOLDERS} in all"));
        }
        let entries = fs::read_dir(&path).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
        });
        let mut names = match entries {
            Ok(names) => names,
            Err(error) => return self.unreadable(relative, reason(&error)),
        };
        names.sort();
        for name in names {
            if !name.as_encoded_bytes().starts_with(b".") {
                self.entry(&relative.join(name), depth);
            }
        }
    }

    fn entry(&mut self, relative: &Path, depth: usize) {
        let path = self.root.join(relative);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if is_manifest(relative) => return self.unreadable(relative, reason(&error)),
            // A link that leads nowhere, or an entry that is gone already.
            Err(_) => return,
        };
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink())
            && fs::canonicalize(&path).is_ok_and(|target| !target.starts_with(&self.root))
        {
            self.listing.reach = Reach::Outside;
        }
        if metadata.is_dir() {
            self.folder(relative, depth + 1);
        } else if metadata.is_file() && is_manifest(relative) {
            if self.listing.files.len() >= MAX_FILES {
                return self.unreadable(relative, format!("more than {MAX_FILES} files"));
            }
            if self.seen.insert(Inode::of(&metadata)) {
                self.listing.files.push(Listed { path: relative.into(), stamp: Stamp::of(&metadata) });
            }
        }
    }

    fn unreadable(&mut self, relative: &Path, reason: String) {
        match self.listing.unreadable.len() {
            ..MAX_UNREADABLE => self.listing.unreadable.push((relative.into(), reason)),
            // The folder itself stands for all the others.
            MAX_UNREADABLE => {
                self.listing
                    .unreadable
                    .push((Path::new("").into(), format!("more than {MAX_UNREADABLE} problems")));
            }
            _ => {}
        }
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

/// Most bytes of a file of manifests: ten thousand Ingresses with all that `kubectl get` adds to them fit in half of it.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
const MAX_FILES: usize = 100_000;
const MAX_DEPTH: usize = 32;
const MAX_FOLDERS: usize = 10_000;
const MAX_UNREADABLE: usize = 1_000;
