//! What is watched, and what a watch tells.

use crate::objects::{Kind, Object};
use crate::translate::ObjectName;
use std::fmt;

/// One list and watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    /// Every object of a kind, in the whole cluster or in the one namespace that is watched.
    All(Kind),
    /// One object.
    Named(Kind, ObjectName),
    /// Names and versions of all Secrets, without what they hold: says when one that is needed is to be read again.
    SecretVersions,
}

impl Stream {
    /// Which kind of objects it tells of.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::All(kind) | Self::Named(kind, _) => *kind,
            Self::SecretVersions => Kind::Secret,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(kind) => f.write_str(kind.as_str()),
            Self::Named(kind, name) => write!(f, "{} {name}", kind.as_str()),
            Self::SecretVersions => f.write_str("Secret (names)"),
        }
    }
}

/// Something that a watch, or a single read, told.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) stream: Stream,
    pub(super) what: What,
}

/// What was told.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A list begins: what it does not name until [`What::Ended`] is gone.
    Began,
    /// An element of the list.
    Listed(Item),
    /// The list is whole.
    Ended,
    /// An object is there, new or changed.
    Applied(Item),
    /// An object is gone.
    Deleted(Item),
}

/// An object, or that there is one.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// The object itself.
    Object(Object),
    /// A Secret of this name is there, in this version.
    Version(ObjectName, String),
}
