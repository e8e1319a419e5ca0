//! A folder of manifests as a source.
//!
//! All `.yaml`, `.yml` and `.json` files of a folder and its subfolders are read, hidden ones excepted. A file may hold
//! several documents and lists. Objects of kinds that weir does not know are ignored.
//!
//! A mistake hurts only what it is in. A document that cannot be read is reported with its file, number and line; the
//! other documents of the file are read, and the objects that an earlier version of the file had and this one lacks
//! stay in force until the file can be read again. To replace a file at once, write it under another name and rename it.

mod document;
mod file;
mod folder;
mod node;
mod problem;
mod store;
mod text;
mod typed;
mod watch;

#[cfg(test)]
mod tests;

pub use folder::MAX_FILE_BYTES;
pub use problem::{Place, Problem};
pub use store::Loaded;
pub use watch::Watcher;

use crate::translate::{Options, translate};
use file::Change;
use std::path::{Path, PathBuf};
use store::Store;
use weir_core::Finding;
use weir_core::declaration::Declaration;

/// Reads a folder once.
///
/// # Errors
///
/// If the folder cannot be read. Files in it that cannot be are problems, not errors.
pub fn load(folder: impl Into<PathBuf>) -> Result<Loaded, SourceError> {
    let folder = folder.into();
    check(&folder)?;
    let mut store = Store::new(folder);
    store.refresh();
    Ok(store.load())
}

/// What [`read`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file or a folder, as [`load`] reads one.
    Path(PathBuf),
    /// A text that is no file, and what to call it.
    Text(PathBuf, String),
}

/// Reads files, folders and texts once, as if they were one folder.
///
/// # Errors
///
/// If one of them cannot be read. Files in folders that cannot be are problems, not errors.
pub fn read(inputs: impl IntoIterator<Item = Input>) -> Result<Loaded, SourceError> {
    let mut store = Store::new(PathBuf::new());
    for input in inputs {
        match input {
            Input::Text(name, text) => store.put(name.into(), Ok(text)),
            Input::Path(path) if path.is_dir() => {
                check(&path)?;
                store.put_folder(&path);
            }
            Input::Path(path) => match folder::read(&path) {
                Ok(text) => store.put(path.into(), Ok(text)),
                Err(reason) => return Err(SourceError::File { file: path, reason }),
            },
        }
    }
    Ok(store.load())
}

/// A folder of manifests, looked at again and again.
#[derive(Debug)]
pub struct Manifests {
    store: Store,
    options: Options,
    progress: Progress,
}

#[derive(Debug, PartialEq)]
enum Progress {
    /// Nothing was read yet.
    New,
    Started,
}

impl Manifests {
    /// A source that reads `folder`. Nothing is read yet, but it is made sure that it can be.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn new(folder: impl Into<PathBuf>, options: Options) -> Result<Self, SourceError> {
        let folder = folder.into();
        check(&folder)?;
        Ok(Self { store: Store::new(folder), options, progress: Progress::New })
    }

    /// Looks at the folder: `Some` the first time and whenever something changed since the last time. Only files that
    /// changed are read.
    pub fn refresh(&mut self) -> Option<(Declaration, Vec<Finding>)> {
        let change = self.store.refresh();
        if change == Change::Same && self.progress == Progress::Started {
            return None;
        }
        self.progress = Progress::Started;
        let loaded = self.store.load();
        let (declaration, found) = translate(&loaded.objects, &self.options);
        tracing::debug!(objects = loaded.objects.len(), ignored = loaded.ignored, "manifests read");
        let problems = loaded.problems.into_iter().map(Finding::from);
        Some((declaration, problems.chain(found).collect()))
    }

    /// Watches the folder on a thread of its own until the [`Watcher`] is dropped. `on_change` gets what
    /// [`Self::refresh`] gives, at most one second after a write; a burst of writes is one change.
    ///
    /// # Errors
    ///
    /// If there is no thread. Where the system cannot tell about changes, the folder is looked at instead.
    pub fn spawn(
        self,
        on_change: impl FnMut(Declaration, Vec<Finding>) + Send + 'static,
    ) -> Result<Watcher, SourceError> {
        watch::spawn(self, on_change)
    }
}

/// A source that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The folder is missing, is no folder or may not be read.
    #[error("cannot read the folder of manifests {}", folder.display())]
    Folder {
        /// As it was given.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is missing, may not be read, or is no text of an acceptable size.
    #[error("cannot read {}: {reason}", file.display())]
    File {
        /// As it was given.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The system has no thread left.
    #[error("cannot start a thread to watch the manifests")]
    Thread(#[source] std::io::Error),
}

fn check(folder: &Path) -> Result<(), SourceError> {
    let entries = std::fs::read_dir(folder);
    entries.map(drop).map_err(|source| SourceError::Folder { folder: folder.to_owned(), source })
}

/// The objects of a text that has no mistakes.
#[cfg(test)]
pub(crate) fn objects(text: &str) -> crate::objects::Objects {
    let mut file = file::File::new(Path::new("test.yaml").into());
    file.update(Ok(text.to_owned()));
    assert_eq!(file.problems().next(), None, "a mistake in the text of the test");
    file.objects().map(|placed| placed.object.clone()).collect()
}
