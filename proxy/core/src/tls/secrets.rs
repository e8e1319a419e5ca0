//! Secrets by name, and their last good contents.

use super::{KeyPair, TrustAnchors};
use crate::finding::ObjectRef;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Names a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct SecretName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl SecretName {
    /// Names a Secret.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The Secret as an object.
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef::new("Secret", &self.namespace, &self.name)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            // A folder that is mounted: what it is called in the cluster is not known.
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// What was found in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretContent {
    /// `tls.crt` and `tls.key`.
    pub pair: Content<KeyPair>,
    /// `ca.crt`, and `ca.crl` if there is one.
    pub anchors: Content<TrustAnchors>,
}

/// One thing in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Content<T> {
    /// It is not there.
    #[default]
    Absent,
    /// It is there and cannot be used. Whoever read it has told what is wrong.
    Broken,
    /// It is good.
    Good(Arc<T>),
}

/// The contents in force: those of the declaration, and the last good ones in place of what is broken.
///
/// Who deletes a Secret means it: nothing is kept of what is not there.
#[derive(Debug, Default)]
pub struct Secrets {
    known: BTreeMap<SecretName, InForce>,
}

/// What is in force of one Secret.
#[derive(Debug, Default)]
struct InForce {
    pair: Option<Arc<KeyPair>>,
    anchors: Option<Arc<TrustAnchors>>,
    pair_state: SecretState,
    anchors_state: SecretState,
}

/// Where what is in force comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SecretState {
    /// Nothing is in force, for there is nothing.
    #[default]
    Absent,
    /// It is what the Secret holds.
    Current,
    /// The Secret is broken; this is what it held before.
    LastGood,
    /// The Secret is broken and has never been good, as far as is known.
    Broken,
}

impl Secrets {
    /// Takes new contents, and from `previous` what they have broken.
    pub(crate) fn new(contents: BTreeMap<SecretName, SecretContent>, previous: Option<&Self>) -> Self {
        let in_force = |(name, content): (SecretName, SecretContent)| {
            let before = previous.and_then(|previous| previous.known.get(&name));
            let (pair, pair_state) = take(content.pair, before.and_then(|before| before.pair.as_ref()));
            let (anchors, anchors_state) =
                take(content.anchors, before.and_then(|before| before.anchors.as_ref()));
            (name, InForce { pair, anchors, pair_state, anchors_state })
        };
        Self { known: contents.into_iter().map(in_force).collect() }
    }

    /// Whether there is such a Secret.
    pub fn has(&self, name: &SecretName) -> bool {
        self.known.contains_key(name)
    }

    /// The certificate of a Secret.
    pub fn pair(&self, name: &SecretName) -> Option<&Arc<KeyPair>> {
        self.known.get(name)?.pair.as_ref()
    }

    /// The authorities of a Secret.
    pub fn anchors(&self, name: &SecretName) -> Option<&Arc<TrustAnchors>> {
        self.known.get(name)?.anchors.as_ref()
    }

    /// All certificates in force, by the Secret that they come from.
    pub fn pairs(&self) -> impl Iterator<Item = (&SecretName, &Arc<KeyPair>)> {
        self.known.iter().filter_map(|(name, known)| Some((name, known.pair.as_ref()?)))
    }

    pub(crate) fn pair_state(&self, name: &SecretName) -> SecretState {
        self.known.get(name).map_or(SecretState::Absent, |known| known.pair_state)
    }

    pub(crate) fn anchors_state(&self, name: &SecretName) -> SecretState {
        self.known.get(name).map_or(SecretState::Absent, |known| known.anchors_state)
    }

    /// The Secrets of which something broken has a last good version in force.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&SecretName, &'static str)> {
        self.known.iter().flat_map(|(name, known)| {
            let pair = (known.pair_state == SecretState::LastGood).then_some((name, "data[tls.crt]"));
            let anchors = (known.anchors_state == SecretState::LastGood).then_some((name, "data[ca.crt]"));
            pair.into_iter().chain(anchors)
        })
    }
}

/// What is in force after `content` has come and `before` was.
fn take<T: PartialEq>(content: Content<T>, before: Option<&Arc<T>>) -> (Option<Arc<T>>, SecretState) {
    match (content, before) {
        (Content::Absent, _) => (None, SecretState::Absent),
        // The same object as before where nothing differs, for whoever compares pointers.
        (Content::Good(good), Some(before)) if good == *before => {
            (Some(Arc::clone(before)), SecretState::Current)
        }
        (Content::Good(good), _) => (Some(good), SecretState::Current),
        (Content::Broken, Some(before)) => (Some(Arc::clone(before)), SecretState::LastGood),
        (Content::Broken, None) => (None, SecretState::Broken),
    }
}
