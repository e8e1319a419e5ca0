//! Objects, and what happened to them: one version number for all, as etcd has it.
//!
//! Every change gets the next version. A change is remembered with the object before and after it, so that a watch can
//! begin in the past, and a list can be answered as of a version that is gone. How much is remembered is bounded;
//! [`Store::compact`] forgets all at once.

use crate::resources::{RESOURCES, Resource};
use crate::status::StatusError;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

/// All objects of all kinds, and their recent past.
#[derive(Debug)]
pub(crate) struct Store {
    version: u64,
    collections: Vec<Collection>,
    remembered: usize,
}

/// Where an object is among those of its kind. The namespace is empty for kinds of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An object in one of its versions.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) value: Value,
    pub(crate) version: u64,
    json: OnceLock<Bytes>,
}

/// What happened to one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Object>>,
    /// The object as it became; of a deleted one the last state, with the version of the deletion.
    pub(crate) after: Arc<Object>,
    pub(crate) deleted: bool,
}

#[derive(Debug, Default)]
struct Collection {
    objects: BTreeMap<Key, Arc<Object>>,
    changes: VecDeque<Change>,
    /// What happened up to this version is not remembered any more.
    forgotten: u64,
    /// What happened up to this version is not told any more, but to who follows already.
    compacted: u64,
}

impl Store {
    /// An empty store that remembers so many changes of each kind.
    pub(crate) fn new(remembered: usize) -> Self {
        let collections = RESOURCES.iter().map(|_| Collection::default()).collect();
        Self { version: 1, collections, remembered }
    }

    /// Version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// How many objects there are of all kinds.
    pub(crate) fn count(&self) -> usize {
        self.collections.iter().map(|it| it.objects.len()).sum()
    }

    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Option<&Arc<Object>> {
        self.collection(resource)?.objects.get(key)
    }

    /// Objects of a namespace, or of all where it is empty, in order.
    pub(crate) fn list(&self, resource: &Resource, namespace: &str) -> Vec<(&Key, &Arc<Object>)> {
        let Some(collection) = self.collection(resource) else { return Vec::new() };
        let start = Key::first_of(namespace);
        let here = |key: &Key| namespace.is_empty() || key.namespace == namespace;
        collection.objects.range(start..).take_while(|(key, _)| here(key)).collect()
    }

    /// As [`Self::list`], as of a version of the past; none where nothing has happened since.
    ///
    /// # Errors
    ///
    /// The version is forgotten, or not there yet.
    pub(crate) fn list_at(
        &self,
        resource: &Resource,
        namespace: &str,
        version: u64,
    ) -> Result<Option<BTreeMap<Key, Arc<Object>>>, StatusError> {
        let mut changes = self.changes_since(resource, version)?.rev().peekable();
        if version > self.version {
            return Err(StatusError::too_large(version, self.version));
        }
        if changes.peek().is_none() {
            return Ok(None);
        }
        let now = self.list(resource, namespace);
        let mut then: BTreeMap<Key, Arc<Object>> =
            now.into_iter().map(|(key, object)| (key.clone(), object.clone())).collect();
        // Newest first: each is undone.
        for change in changes.filter(|it| namespace.is_empty() || it.key.namespace == namespace) {
            match &change.before {
                Some(before) => then.insert(change.key.clone(), before.clone()),
                None => then.remove(&change.key),
            };
        }
        Ok(Some(then))
    }

    /// What happened after a version, oldest first.
    ///
    /// # Errors
    ///
    /// It is forgotten.
    pub(crate) fn changes_since(
        &self,
        resource: &Resource,
        version: u64,
    ) -> Result<impl DoubleEndedIterator<Item = &Change> + use<'_>, StatusError> {
        let collection = self.collection(resource).ok_or_else(StatusError::no_such_resource)?;
        if version < collection.compacted {
            return Err(StatusError::too_old(version, collection.compacted));
        }
        self.follow(resource, version)
    }

    /// As [`Self::changes_since`], for who has seen that version: a compaction does not come between.
    ///
    /// # Errors
    ///
    /// So much happened meanwhile that it is not remembered.
    pub(crate) fn follow(
        &self,
        resource: &Resource,
        version: u64,
    ) -> Result<impl DoubleEndedIterator<Item = &Change> + use<'_>, StatusError> {
        let collection = self.collection(resource).ok_or_else(StatusError::no_such_resource)?;
        if version < collection.forgotten {
            return Err(StatusError::too_old(version, collection.forgotten));
        }
        let start = collection.changes.partition_point(|change| change.version <= version);
        Ok(collection.changes.range(start..))
    }

    /// Stores an object under the next version.
    pub(crate) fn put(&mut self, resource: &Resource, key: Key, value: Value) -> Arc<Object> {
        self.version += 1;
        let after = Arc::new(Object::new(value, self.version));
        let version = self.version;
        let remembered = self.remembered;
        if let Some(collection) = self.collection_mut(resource) {
            let before = collection.objects.insert(key.clone(), after.clone());
            collection
                .remember(Change { version, key, before, after: after.clone(), deleted: false }, remembered);
        }
        after
    }

    /// Removes an object; gives its last state, under the next version.
    pub(crate) fn remove(&mut self, resource: &Resource, key: &Key) -> Option<Arc<Object>> {
        let before = self.collection_mut(resource)?.objects.remove(key)?;
        self.version += 1;
        let version = self.version;
        let after = Arc::new(Object::new(before.value.clone(), version));
        let change =
            Change { version, key: key.clone(), before: Some(before), after: after.clone(), deleted: true };
        let remembered = self.remembered;
        self.collection_mut(resource)?.remember(change, remembered);
        Some(after)
    }

    /// Tells nobody any more what happened before now.
    pub(crate) fn compact(&mut self) {
        for collection in &mut self.collections {
            collection.compacted = self.version;
        }
    }

    fn collection(&self, resource: &Resource) -> Option<&Collection> {
        self.collections.get(index(resource)?)
    }

    fn collection_mut(&mut self, resource: &Resource) -> Option<&mut Collection> {
        self.collections.get_mut(index(resource)?)
    }
}

impl Collection {
    fn remember(&mut self, change: Change, remembered: usize) {
        self.changes.push_back(change);
        while self.changes.len() > remembered {
            if let Some(oldest) = self.changes.pop_front() {
                self.forgotten = oldest.version;
            }
        }
    }
}

impl Object {
    pub(crate) fn new(mut value: Value, version: u64) -> Self {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), version.to_string().into());
        }
        Self { value, version, json: OnceLock::new() }
    }

    /// As JSON without kind and version, as items of lists are: made once and kept.
    pub(crate) fn item(&self) -> &Bytes {
        self.json.get_or_init(|| serde_json::to_vec(&Item(&self.value)).unwrap_or_default().into())
    }

    /// As JSON, whole.
    pub(crate) fn write_to(&self, resource: &Resource, out: &mut Vec<u8>) {
        let head = format!(r#"{{"kind":"{}","apiVersion":"{}","#, resource.kind, resource.api_version());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(self.item().get(1..).unwrap_or_default());
    }
}

/// An object without kind and version.
struct Item<'a>(&'a Value);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.as_object().into_iter().flatten();
        serializer.collect_map(fields.filter(|(name, _)| !matches!(name.as_str(), "kind" | "apiVersion")))
    }
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// What all keys of a namespace are behind.
    fn first_of(namespace: &str) -> Self {
        Self::new(namespace, "")
    }
}

fn index(resource: &Resource) -> Option<usize> {
    RESOURCES.iter().position(|it| std::ptr::eq(it, resource))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secrets() -> &'static Resource {
        Resource::named("secrets").unwrap()
    }

    fn object(data: &str) -> Value {
        json!({"metadata": {}, "data": data})
    }

    fn names(store: &Store, version: u64) -> Vec<String> {
        let past = store.list_at(secrets(), "", version).unwrap();
        let now =
            || store.list(secrets(), "").into_iter().map(|(key, it)| (key.clone(), it.clone())).collect();
        past.unwrap_or_else(now)
            .into_iter()
            .map(|(key, it)| format!("{}={}", key.name, it.value["data"]))
            .collect()
    }

    #[test]
    fn the_past_is_remembered_version_by_version() {
        let mut store = Store::new(100);
        let v0 = store.version();
        let v1 = store.put(secrets(), Key::new("n", "a"), object("1")).version;
        let v2 = store.put(secrets(), Key::new("n", "b"), object("2")).version;
        let v3 = store.put(secrets(), Key::new("n", "a"), object("3")).version;
        let v4 = store.remove(secrets(), &Key::new("n", "a")).unwrap().version;
        assert!(v0 < v1 && v1 < v2 && v2 < v3 && v3 < v4);
        assert_eq!(names(&store, v0), Vec::<String>::new());
        assert_eq!(names(&store, v1), ["a=\"1\""]);
        assert_eq!(names(&store, v2), ["a=\"1\"", "b=\"2\""]);
        assert_eq!(names(&store, v3), ["a=\"3\"", "b=\"2\""]);
        assert_eq!(names(&store, v4), ["b=\"2\""]);
        assert_eq!(store.list_at(secrets(), "", v4 + 1).unwrap_err().code, 504);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_rest_is_gone() {
        let mut store = Store::new(2);
        let first = store.put(secrets(), Key::new("n", "a"), object("0")).version;
        for turn in 1..=3 {
            store.put(secrets(), Key::new("n", "a"), object(&turn.to_string()));
        }
        assert_eq!(store.changes_since(secrets(), first).err().map(|it| it.code), Some(410));
        assert_eq!(store.changes_since(secrets(), first + 1).unwrap().count(), 2);
        store.compact();
        assert!(store.changes_since(secrets(), first + 1).is_err());
        assert_eq!(store.changes_since(secrets(), store.version()).unwrap().count(), 0);
        assert_eq!(store.follow(secrets(), first + 1).unwrap().count(), 2);
    }

    #[test]
    fn a_namespace_is_listed_alone() {
        let mut store = Store::new(10);
        for (namespace, name) in [("a", "z"), ("b", "a"), ("b", "b"), ("ba", "a")] {
            store.put(secrets(), Key::new(namespace, name), object(""));
        }
        let list = |namespace| store.list(secrets(), namespace).len();
        assert_eq!((list(""), list("a"), list("b"), list("c")), (4, 1, 2, 0));
    }
}
