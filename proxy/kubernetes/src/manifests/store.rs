//! What is known of a folder, file by file.

use super::document::Placed;
use super::file::{self, Change, File, hash, id};
use super::folder::{self, Listing, Reach};
use super::problem::{Place, Problem};
use crate::files::{Inode, Stamp};
use crate::objects::{Kind, Object, Objects};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_core::finding::{ObjectRef, Severity};

/// The files of a folder, as they were last read.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    files: BTreeMap<Arc<Path>, Known>,
    /// Problems with the folder itself, its subfolders, and links that lead nowhere.
    unreadable: Vec<Problem>,
    pub(super) reach: Reach,
    pub(super) root: Option<Inode>,
}

/// A file that was read.
#[derive(Debug)]
struct Known {
    /// `None`: read it again, whatever its stamp.
    stamp: Option<Stamp>,
    file: File,
}

/// All objects of a folder.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The objects in force.
    pub objects: Objects,
    /// Everything that is wrong, by file.
    pub problems: Vec<Problem>,
    /// How many objects there are of kinds that weir does not read.
    pub ignored: usize,
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, files: BTreeMap::new(), unreadable: Vec::new(), reach: Reach::Inside, root: None }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads what changed since the last time.
    pub(super) fn refresh(&mut self) -> Change {
        let listing = folder::list(&self.folder);
        let mut change = self.forget(&listing);
        for listed in &listing.files {
            let new = || Known { stamp: None, file: File::new(Arc::clone(&listed.path)) };
            let known = self.files.entry(Arc::clone(&listed.path)).or_insert_with(new);
            if known.stamp != Some(listed.stamp) {
                let text = folder::read(&self.folder.join(&listed.path));
                let stamp = text.is_ok().then_some(listed.stamp);
                if known.file.update(text) == Change::Changed {
                    change = Change::Changed;
                }
                known.stamp = stamp;
            }
        }
        let unreadable = listing.unreadable.into_iter();
        let unreadable: Vec<_> = unreadable.map(|(path, reason)| self.cannot_read(path, &reason)).collect();
        if self.unreadable != unreadable {
            self.unreadable = unreadable;
            change = Change::Changed;
        }
        (self.reach, self.root) = (listing.reach, listing.root);
        change
    }

    /// Takes a text that no folder has, or why there is none.
    pub(super) fn put(&mut self, path: Arc<Path>, text: Result<String, String>) {
        let mut file = File::new(Arc::clone(&path));
        file.update(text);
        self.files.insert(path, Known { stamp: None, file });
    }

    /// Takes the files of one more folder, under their paths from here.
    pub(super) fn put_folder(&mut self, folder: &Path) {
        let listing = folder::list(folder);
        for listed in listing.files {
            let path = folder.join(listed.path);
            let text = folder::read(&path);
            self.put(path.into(), text);
        }
        for (path, reason) in listing.unreadable {
            self.put(folder.join(path).into(), Err(reason));
        }
    }

    /// What the folder looks like from outside. Equal fingerprints mean that there is nothing new to read.
    pub(super) fn fingerprint(&self) -> u64 {
        let listing = folder::list(&self.folder);
        hash(&(listing.root, listing.files, listing.unreadable))
    }

    /// Reads a file again the next time, even if its stamp is the same: two writes may share one tick of the file
    /// system's clock.
    pub(super) fn touch(&mut self, path: &Path) {
        if let Some(known) = self.files.get_mut(path) {
            known.stamp = None;
        }
    }

    /// Reads every file again the next time.
    pub(super) fn touch_all(&mut self) {
        self.files.values_mut().for_each(|known| known.stamp = None);
    }

    /// Puts the objects of all files together.
    ///
    /// Of objects with the same name the first by path wins, so that the result does not depend on the order of events.
    pub(super) fn load(&self) -> Loaded {
        let mut loaded = Loaded { problems: self.unreadable.clone(), ..Loaded::default() };
        let mut places = BTreeMap::<(Kind, ObjectRef), &Place>::new();
        for known in self.files.values() {
            loaded.ignored += known.file.ignored();
            loaded.problems.extend(known.file.problems().cloned());
            for placed in known.file.objects() {
                match places.get(&id(&placed.object)) {
                    Some(first) => loaded.problems.push(duplicate(placed, first)),
                    None => {
                        places.insert(id(&placed.object), &placed.place);
                        loaded.objects.apply(placed.object.clone());
                    }
                }
            }
        }
        // After all that is sure: what was kept may have moved to another file.
        for (path, known) in &self.files {
            let kept = known.file.kept().iter().filter(|placed| !places.contains_key(&id(&placed.object)));
            let kept: Vec<_> = kept.map(|placed| placed.object.clone()).collect();
            if !kept.is_empty() {
                loaded.problems.push(last_good(path, &kept));
            }
            kept.into_iter().for_each(|object| loaded.objects.apply(object));
        }
        loaded
    }

    /// Drops files that are gone, unless they are below something that cannot be read.
    fn forget(&mut self, listing: &Listing) -> Change {
        let before = self.files.len();
        let listed: BTreeSet<_> = listing.files.iter().map(|listed| &listed.path).collect();
        self.files.retain(|path, _| {
            listed.contains(path) || listing.unreadable.iter().any(|(folder, _)| path.starts_with(folder))
        });
        if self.files.len() == before { Change::Same } else { Change::Changed }
    }

    fn cannot_read(&self, path: Arc<Path>, reason: &str) -> Problem {
        let path = if path.as_os_str().is_empty() { self.folder.as_path().into() } else { path };
        file::unreadable(Place::file(path), reason)
    }
}

fn duplicate(placed: &Placed, first: &Place) -> Problem {
    Problem {
        place: placed.place.clone(),
        object: Some(placed.object.object_ref()),
        field: "metadata.name".to_owned(),
        value: placed.object.meta().name.clone().unwrap_or_default(),
        severity: Severity::Fail,
        code: "duplicate-object",
        message: format!("the same object is in {first}; that one is in force and this one is not"),
    }
}

fn last_good(path: &Arc<Path>, kept: &[Object]) -> Problem {
    let mut names: Vec<_> =
        kept.iter().take(MAX_NAMES).map(|object| object.object_ref().to_string()).collect();
    if kept.len() > MAX_NAMES {
        names.push(format!("{} more", kept.len() - MAX_NAMES));
    }
    let message = format!("what an earlier version of the file said stays in force: {}", names.join(", "));
    Problem {
        severity: Severity::Warn,
        code: "last-good",
        ..Problem::unreadable(Place::file(Arc::clone(path)), message)
    }
}

const MAX_NAMES: usize = 5;
