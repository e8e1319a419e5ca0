//! One file: its documents, and what is left of earlier versions.

use super::document::{self, Completeness, Contents, Placed};
use super::problem::{Place, Problem};
use super::text::{self, Document};
use crate::objects::{Kind, Object};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use weir_core::finding::{ObjectRef, Severity};

/// A file as it was last read.
#[derive(Debug)]
pub(super) struct File {
    path: Arc<Path>,
    hash: Option<u64>,
    documents: Vec<Read>,
    /// Objects of an earlier version that are missing in this one, which is broken: they may be what is broken.
    kept: Vec<Placed>,
    /// What is wrong with the file as a whole.
    problem: Option<Problem>,
}

/// A document that was read.
#[derive(Debug)]
struct Read {
    hash: u64,
    line: u64,
    contents: Contents,
}

/// Whether a look found anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Same,
    Changed,
}

impl File {
    /// A file that was not read yet.
    pub(super) fn new(path: Arc<Path>) -> Self {
        Self { path, hash: None, documents: Vec::new(), kept: Vec::new(), problem: None }
    }

    /// The objects that it has now, in order.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Placed> {
        self.documents.iter().flat_map(|document| &document.contents.objects)
    }

    /// The objects that it had and may still mean to have.
    pub(super) fn kept(&self) -> &[Placed] {
        &self.kept
    }

    /// Its mistakes, in order.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.documents.iter().flat_map(|document| &document.contents.problems).chain(&self.problem)
    }

    /// How many objects it has of kinds that weir does not read.
    pub(super) fn ignored(&self) -> usize {
        self.documents.iter().map(|document| document.contents.ignored).sum()
    }

    /// Takes the text of a new version, or the reason why there is none.
    pub(super) fn update(&mut self, text: Result<String, String>) -> Change {
        let text = match text {
            Ok(text) => text,
            Err(reason) => {
                let problem = Some(unreadable(Place::file(Arc::clone(&self.path)), &reason));
                let change = if self.problem == problem { Change::Same } else { Change::Changed };
                // So that the same text is taken when it comes back.
                (self.problem, self.hash) = (problem, None);
                return change;
            }
        };
        let hash = Some(hash(&text));
        if self.hash == hash {
            return Change::Same;
        }
        let earlier: Vec<_> = self.objects().chain(&self.kept).cloned().collect();
        (self.hash, self.problem) = (hash, None);
        self.read(&text);
        let found: BTreeSet<_> = self.objects().map(|placed| id(&placed.object)).collect();
        let missing = earlier.into_iter().filter(|placed| !found.contains(&id(&placed.object)));
        self.kept = missing.collect();
        if text.trim_ascii().is_empty() && !self.kept.is_empty() {
            let problem = Problem::unreadable(Place::file(Arc::clone(&self.path)), EMPTY);
            self.problem = Some(Problem { severity: Severity::Warn, code: "empty-file", ..problem });
        } else if self.documents.iter().all(|read| read.contents.completeness == Completeness::Complete) {
            self.kept.clear();
        }
        Change::Changed
    }

    /// Reads the documents of a text. Those that the version before had too are taken from there: of a file with
    /// thousands, an edit changes one.
    fn read(&mut self, text: &str) {
        let mut known: BTreeMap<u64, Read> = self.documents.drain(..).map(|read| (read.hash, read)).collect();
        let documents = text::documents(text);
        self.documents = documents
            .into_iter()
            .map(|document| {
                let hash = hash(document.text);
                match known.remove(&hash) {
                    Some(read) => read.moved_to(document),
                    None => {
                        let contents = document::read(&self.path, document);
                        Read { hash, line: document.line, contents }
                    }
                }
            })
            .collect();
    }
}

impl Read {
    /// The same document at another place of the file.
    fn moved_to(mut self, document: Document<'_>) -> Self {
        let objects = self.contents.objects.iter_mut().map(|placed| &mut placed.place);
        let problems = self.contents.problems.iter_mut().map(|problem| &mut problem.place);
        for place in objects.chain(problems) {
            place.document = document.number;
            if place.line != 0 {
                place.line = place.line.saturating_sub(self.line).saturating_add(document.line);
            }
        }
        Self { line: document.line, ..self }
    }
}

/// What makes two objects the same.
pub(super) fn id(object: &Object) -> (Kind, ObjectRef) {
    (object.kind(), object.object_ref())
}

/// A file or folder that could not be read.
pub(super) fn unreadable(place: Place, reason: &str) -> Problem {
    Problem::unreadable(place, format!("{reason}; what was read before stays in force"))
}

pub(super) fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A writer that empties a file before it fills it must not open a gate in between.
const EMPTY: &str = "empty, as if it were being written; to remove its objects, delete the file";
