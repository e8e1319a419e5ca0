//! Which Secrets are to be read, and when again. Pure.
//!
//! Only Secrets that something names are read, each by its name. Where one namespace is watched, each has a watch of its
//! own, so that a Role can name the Secrets it allows. In a whole cluster that would be thousands of watches; there one
//! watch tells names and versions, and a Secret that is needed is read when its version changes.

use crate::translate::ObjectName;
use std::collections::{BTreeMap, BTreeSet};

/// Secrets that are needed, in a whole cluster, and the versions of them that were read.
#[derive(Debug, Default)]
pub(super) struct Reads {
    wanted: BTreeSet<ObjectName>,
    read: BTreeMap<ObjectName, Read>,
}

#[derive(Debug)]
enum Read {
    /// It is being read, because of this version.
    Coming(String),
    /// It was read because of this version.
    Done(String),
}

impl Reads {
    /// Says which Secrets are needed. Gives those that are not any more.
    pub(super) fn want(&mut self, wanted: BTreeSet<ObjectName>) -> Vec<ObjectName> {
        let gone: Vec<_> = self.wanted.difference(&wanted).cloned().collect();
        gone.iter().for_each(|name| drop(self.read.remove(name)));
        self.wanted = wanted;
        gone
    }

    /// Which are to be read now; from here on they are being read. `version` says which version of a Secret there is.
    pub(super) fn begin<'a>(&mut self, version: impl Fn(&ObjectName) -> Option<&'a str>) -> Vec<ObjectName> {
        let Self { wanted, read } = self;
        let mut begun = Vec::new();
        for name in wanted.iter() {
            match (version(name), read.get(name)) {
                (None, Some(Read::Done(_))) => drop(read.remove(name)),
                (None, _) | (Some(_), Some(Read::Coming(_))) => {}
                (Some(version), Some(Read::Done(done))) if done == version => {}
                (Some(version), _) => {
                    read.insert(name.clone(), Read::Coming(version.to_owned()));
                    begun.push(name.clone());
                }
            }
        }
        begun
    }

    /// One was read. Says whether it is still needed.
    pub(super) fn end(&mut self, name: &ObjectName) -> bool {
        match self.read.remove(name) {
            Some(Read::Coming(version)) => {
                self.read.insert(name.clone(), Read::Done(version));
                true
            }
            Some(Read::Done(_)) | None => false,
        }
    }

    /// Whether one is being read for the first time.
    pub(super) fn is_waiting(&self, has: impl Fn(&ObjectName) -> bool) -> bool {
        self.read.iter().any(|(name, read)| matches!(read, Read::Coming(_)) && !has(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> ObjectName {
        ObjectName { namespace: "shop".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_secret_is_read_once_a_version_and_only_while_it_is_needed() {
        let mut reads = Reads::default();
        let version = |there: &'static str| move |_: &ObjectName| Some(there);
        assert_eq!(reads.begin(version("1")), [], "nobody needs any");
        assert_eq!(reads.want(BTreeSet::from([name("a")])), []);
        assert_eq!(reads.begin(|_| None), [], "there is none");
        assert_eq!(reads.begin(version("1")), [name("a")]);
        assert_eq!(reads.begin(version("1")), [], "it is being read");
        assert!(reads.is_waiting(|_| false) && !reads.is_waiting(|_| true));
        // It changes meanwhile: what comes may be either version, so it is read again.
        assert_eq!(reads.begin(version("2")), []);
        assert!(reads.end(&name("a")));
        assert!(!reads.is_waiting(|_| false));
        assert_eq!(reads.begin(version("2")), [name("a")]);
        assert!(reads.end(&name("a")));
        assert_eq!(reads.begin(version("2")), []);
        // Deleted and made again.
        assert_eq!(reads.begin(|_| None), []);
        assert_eq!(reads.begin(version("2")), [name("a")]);
        assert_eq!(reads.want(BTreeSet::new()), [name("a")]);
        assert!(!reads.end(&name("a")), "nobody needs it any more");
    }
}
