//! What it means to create, update, patch and delete: versions, conflicts, parts, finalizers.

use crate::admission;
use crate::defaults;
use crate::patch::{self, Form};
use crate::request::Part;
use crate::resources::{Generation, Put, RESOURCES, Resource, Scope, StatusPart, Update};
use crate::selector::Selector;
use crate::status::{Cause, StatusError};
use crate::store::{Key, Object, Store};
use crate::validate::{self, EndpointAddresses};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The store, with the semantics of the API server.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) store: Store,
    addresses: EndpointAddresses,
    /// What a manager applied last to a part of an object.
    applied: BTreeMap<(String, Key, String), Value>,
}

/// The circumstances of a write.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    /// Wall time, as objects have it.
    pub(crate) time: String,
    /// Whether to answer only.
    pub(crate) dry_run: bool,
    /// Who writes; for apply.
    pub(crate) manager: String,
    pub(crate) origin: Origin,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client of the API: what the server assigns it cannot choose, and the status is apart.
    Client,
    /// The test: it may say how old an object is, and writes the status with the rest.
    Test,
}

/// Which object a delete means.
#[derive(Debug, Default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
}

/// What became of a delete.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It is gone; this was its last state.
    Gone(Arc<Object>),
    /// It waits for its finalizers.
    Waiting(Arc<Object>),
}

impl Registry {
    /// With the namespaces that a cluster begins with.
    pub(crate) fn new(remembered: usize, addresses: EndpointAddresses, time: &str) -> Self {
        let mut registry = Self { store: Store::new(remembered), addresses, applied: BTreeMap::new() };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            registry.ensure_namespace(name, time);
        }
        registry
    }

    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Result<Arc<Object>, StatusError> {
        self.store.get(resource, key).cloned().ok_or_else(|| StatusError::not_found(resource, &key.name))
    }

    /// Makes a namespace, where there is none of the name.
    pub(crate) fn ensure_namespace(&mut self, name: &str, time: &str) {
        let Some(namespaces) = Resource::named("namespaces") else { return };
        let write =
            Write { time: time.to_owned(), dry_run: false, manager: String::new(), origin: Origin::Client };
        if self.store.get(namespaces, &Key::new("", name)).is_none() {
            // A name that cannot be fails again, and is told, when something is put there.
            let _ = self.create(namespaces, "", json!({"metadata": {"name": name}}), &write);
        }
    }

    pub(crate) fn create(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
        write: &Write,
    ) -> Result<Arc<Object>, StatusError> {
        settle(resource, namespace, &mut object)?;
        if !text(&object, "resourceVersion").is_empty() {
            return Err(StatusError::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let prefix = text(&object, "generateName").to_owned();
        let name = match text(&object, "name") {
            "" if prefix.is_empty() => {
                let cause = Cause::required("metadata.name", "name or generateName is required");
                return Err(StatusError::invalid(resource, "", &[cause]));
            }
            "" => format!("{prefix}{}", suffix()),
            name => name.to_owned(),
        };
        self.check_namespace(resource, namespace)?;
        let key = Key::new(namespace, &name);
        if self.store.get(resource, &key).is_some() {
            return Err(StatusError::already_exists(resource, &name));
        }
        if self.store.count() >= MAX_OBJECTS {
            return Err(StatusError::failure(500, None));
        }
        if let Some(fields) = object.as_object_mut()
            && write.origin == Origin::Client
            && resource.status == StatusPart::Apart
            && resource.kind != "Node"
        {
            fields.remove("status");
        }
        let metadata = metadata(&mut object);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"] {
            metadata.remove(field);
        }
        if write.origin == Origin::Client {
            metadata.remove("uid");
            metadata.remove("creationTimestamp");
        }
        metadata.insert("name".to_owned(), name.into());
        metadata.entry("uid").or_insert_with(|| uid().into());
        metadata.entry("creationTimestamp").or_insert_with(|| write.time.clone().into());
        match resource.generation {
            Generation::Unset => metadata.remove("generation"),
            Generation::Spec | Generation::Content => metadata.insert("generation".to_owned(), 1.into()),
        };
        validate::types(resource, &object)?;
        admission::default_class(&self.store, resource, &mut object);
        defaults::fill(resource, &mut object, None);
        validate::check(resource, &object, None, self.addresses)?;
        Ok(self.put(resource, key, object, write))
    }

    /// Replaces an object, or the part of it that is meant.
    pub(crate) fn update(
        &mut self,
        resource: &'static Resource,
        key: &Key,
        part: Part,
        mut object: Value,
        write: &Write,
    ) -> Result<Arc<Object>, StatusError> {
        settle(resource, &key.namespace, &mut object)?;
        let named = text(&object, "name");
        if !named.is_empty() && named != key.name {
            return Err(StatusError::bad_request(format!(
                "the name of the object ({named}) does not match the name on the URL ({})",
                key.name
            )));
        }
        let old = match self.get(resource, key) {
            Ok(old) => old,
            Err(missing) => return self.put_missing(resource, key, part, object, (missing, write)),
        };
        let version = text(&object, "resourceVersion");
        if version.is_empty() && resource.update == Update::Versioned && write.origin == Origin::Client {
            let cause =
                Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(StatusError::invalid(resource, &key.name, &[cause]));
        }
        if !version.is_empty() && version != old.version.to_string() {
            return Err(StatusError::conflict(resource, &key.name));
        }
        let uid = text(&object, "uid");
        if !uid.is_empty() && uid != text(&old.value, "uid") && write.origin == Origin::Client {
            return Err(precondition_failed(resource, key, "UID", uid, text(&old.value, "uid")));
        }
        let mut new = compose(resource, &old.value, object, part, write.origin);
        validate::types(resource, &new)?;
        defaults::fill(resource, &mut new, Some(&old.value));
        validate::check(resource, &new, Some(&old.value), self.addresses)?;
        if part == Part::Main && changed(resource, &old.value, &new) {
            let generation =
                old.value["metadata"]["generation"].as_u64().unwrap_or_default().saturating_add(1);
            metadata(&mut new).insert("generation".to_owned(), generation.into());
        }
        let dying = new["metadata"].get("deletionTimestamp").is_some();
        if dying && finalizers(&new).is_empty() && !write.dry_run {
            return Ok(self.remove(resource, key).unwrap_or(old));
        }
        // What changes nothing is no change.
        if new == old.value { Ok(old) } else { Ok(self.put(resource, key.clone(), new, write)) }
    }

    /// What an update of an object that is not there comes to.
    fn put_missing(
        &mut self,
        resource: &'static Resource,
        key: &Key,
        part: Part,
        mut object: Value,
        (missing, write): (StatusError, &Write),
    ) -> Result<Arc<Object>, StatusError> {
        let uid = text(&object, "uid");
        if !uid.is_empty() {
            return Err(precondition_failed(resource, key, "UID", uid, ""));
        }
        if part == Part::Status || resource.put == Put::Replaces {
            return Err(missing);
        }
        let metadata = metadata(&mut object);
        metadata.remove("resourceVersion");
        metadata.insert("name".to_owned(), key.name.clone().into());
        self.create(resource, &key.namespace, object, write)
    }

    pub(crate) fn patch(
        &mut self,
        resource: &'static Resource,
        key: &Key,
        part: Part,
        (form, patch): (Form, &Value),
        write: &Write,
    ) -> Result<Arc<Object>, StatusError> {
        if form == Form::Apply {
            return self.apply(resource, key, part, patch, write);
        }
        let old = self.get(resource, key)?;
        let new = patch::patched(resource, form, &old.value, patch)?;
        let uid = text(&new, "uid");
        if uid != text(&old.value, "uid") {
            let cause = Cause::invalid("metadata.uid", &uid.into(), "field is immutable");
            return Err(StatusError::invalid(resource, &key.name, &[cause]));
        }
        self.update(resource, key, part, new, write)
    }

    /// Removes an object, or marks it where finalizers wait. A namespace goes with all that is in it.
    pub(crate) fn delete(
        &mut self,
        resource: &'static Resource,
        key: &Key,
        preconditions: &Preconditions,
        write: &Write,
    ) -> Result<Deleted, StatusError> {
        let old = self.get(resource, key)?;
        let uid = text(&old.value, "uid");
        if let Some(wanted) = preconditions.uid.as_deref().filter(|wanted| *wanted != uid) {
            return Err(precondition_failed(resource, key, "UID", wanted, uid));
        }
        let version = old.version.to_string();
        if let Some(wanted) = preconditions.version.as_deref().filter(|wanted| *wanted != version) {
            return Err(precondition_failed(resource, key, "ResourceVersion", wanted, &version));
        }
        if write.dry_run {
            return Ok(Deleted::Gone(old));
        }
        if !finalizers(&old.value).is_empty() {
            let mut new = old.value.clone();
            let metadata = metadata(&mut new);
            if metadata.contains_key("deletionTimestamp") {
                return Ok(Deleted::Waiting(old));
            }
            metadata.insert("deletionTimestamp".to_owned(), write.time.clone().into());
            metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
            return Ok(Deleted::Waiting(self.put(resource, key.clone(), new, write)));
        }
        if resource.kind == "Namespace" {
            if write.origin == Origin::Client
                && matches!(key.name.as_str(), "default" | "kube-system" | "kube-public")
            {
                let message =
                    format!("namespaces \"{}\" is forbidden: this namespace may not be deleted", key.name);
                return Err(StatusError::forbidden(message, Value::Null));
            }
            for inner in RESOURCES.iter().filter(|it| it.scope == Scope::Namespace) {
                let keys: Vec<_> =
                    self.store.list(inner, &key.name).into_iter().map(|(key, _)| key.clone()).collect();
                for key in keys {
                    self.remove(inner, &key);
                }
            }
        }
        Ok(Deleted::Gone(self.remove(resource, key).unwrap_or(old)))
    }

    /// Removes all that a selector means; gives what they were.
    pub(crate) fn delete_all(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        selector: &Selector,
        write: &Write,
    ) -> Vec<Arc<Object>> {
        let meant =
            self.store.list(resource, namespace).into_iter().filter(|(_, it)| selector.matches(&it.value));
        let keys: Vec<_> = meant.map(|(key, _)| key.clone()).collect();
        let deleted = keys.iter().map(|key| self.delete(resource, key, &Preconditions::default(), write));
        deleted.flatten().map(|(Deleted::Gone(it) | Deleted::Waiting(it))| it).collect()
    }

    fn apply(
        &mut self,
        resource: &'static Resource,
        key: &Key,
        part: Part,
        config: &Value,
        write: &Write,
    ) -> Result<Arc<Object>, StatusError> {
        if write.manager.is_empty() {
            return Err(StatusError {
                code: 422,
                reason: "Invalid",
                message:
                    "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for \
                          apply patch"
                        .to_owned(),
                details: Value::Null,
                retry_after: None,
            });
        }
        if config.get("kind").is_none() || config.get("apiVersion").is_none() {
            return Err(StatusError::bad_request("apply patch must name its apiVersion and kind"));
        }
        if !config["metadata"]["managedFields"].is_null() {
            return Err(StatusError::bad_request("metadata.managedFields must be nil"));
        }
        let place = format!("{}/{part:?}/{}", resource.qualified(), write.manager);
        let slot = (resource.qualified(), key.clone(), place);
        let written = match self.store.get(resource, key).cloned() {
            None if part == Part::Status => return Err(StatusError::not_found(resource, &key.name)),
            None => {
                let mut object = config.clone();
                metadata(&mut object).insert("name".to_owned(), key.name.clone().into());
                self.create(resource, &key.namespace, object, write)?
            }
            Some(old) => {
                let mut new = old.value.clone();
                if let Some(before) = self.applied.get(&slot) {
                    patch::strategic(resource, &mut new, &patch::removals(resource, before, config));
                }
                patch::strategic(resource, &mut new, config);
                self.update(resource, key, part, new, write)?
            }
        };
        if !write.dry_run {
            self.applied.insert(slot, config.clone());
        }
        Ok(written)
    }

    fn check_namespace(&self, resource: &Resource, namespace: &str) -> Result<(), StatusError> {
        let Some(namespaces) = Resource::named("namespaces") else { return Ok(()) };
        if resource.scope == Scope::Namespace
            && self.store.get(namespaces, &Key::new("", namespace)).is_none()
        {
            return Err(StatusError::not_found(namespaces, namespace));
        }
        Ok(())
    }

    fn put(&mut self, resource: &Resource, key: Key, object: Value, write: &Write) -> Arc<Object> {
        if write.dry_run {
            return Arc::new(Object::new(object, self.store.version()));
        }
        self.store.put(resource, key, object)
    }

    fn remove(&mut self, resource: &Resource, key: &Key) -> Option<Arc<Object>> {
        let kind = resource.qualified();
        self.applied.retain(|(of, at, _), _| *of != kind || at != key);
        self.store.remove(resource, key)
    }
}

/// Makes kind, version and namespace of a body agree with where it goes.
fn settle(resource: &Resource, namespace: &str, object: &mut Value) -> Result<(), StatusError> {
    let Some(fields) = object.as_object_mut() else {
        return Err(StatusError::bad_request("the body of the request is no object"));
    };
    for (field, expected) in [("kind", resource.kind.to_owned()), ("apiVersion", resource.api_version())] {
        let given = fields.entry(field).or_insert_with(|| expected.clone().into());
        if *given != expected.as_str() {
            return Err(StatusError::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): {field} is {given}",
                resource.kind
            )));
        }
    }
    let metadata = metadata(object);
    // What clients send as null is not there.
    metadata.retain(|_, value| !value.is_null());
    if resource.scope == Scope::Cluster {
        metadata.remove("namespace");
        return Ok(());
    }
    let given = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    if !given.is_empty() && given != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(StatusError::bad_request(message));
    }
    metadata.insert("namespace".to_owned(), namespace.into());
    Ok(())
}

/// The object that an update makes: what belongs to the other part, and what the server assigns, is of the old one.
fn compose(resource: &Resource, old: &Value, given: Value, part: Part, origin: Origin) -> Value {
    let mut new = match part {
        Part::Main => given,
        // Metadata belongs to both parts.
        Part::Status => {
            let mut new = old.clone();
            new["status"] = given.get("status").cloned().unwrap_or_default();
            new["metadata"] = given.get("metadata").cloned().unwrap_or_default();
            new
        }
    };
    if part == Part::Main
        && resource.status == StatusPart::Apart
        && let (Origin::Client, Some(fields)) = (origin, new.as_object_mut())
    {
        match old.get("status") {
            Some(status) => fields.insert("status".to_owned(), status.clone()),
            None => fields.remove("status"),
        };
    }
    let metadata = metadata(&mut new);
    for field in [
        "name",
        "uid",
        "creationTimestamp",
        "generation",
        "resourceVersion",
        "deletionTimestamp",
        "generateName",
    ] {
        match old["metadata"].get(field) {
            // The test may make an object older.
            Some(_)
                if origin == Origin::Test && field == "creationTimestamp" && metadata.contains_key(field) => {
            }
            Some(value) => {
                metadata.insert(field.to_owned(), value.clone());
            }
            None => {
                metadata.remove(field);
            }
        }
    }
    metadata.remove("managedFields");
    // Go leaves empty maps out.
    metadata.retain(|_, value| *value != json!({}));
    new
}

/// Whether an update makes a new generation.
fn changed(resource: &Resource, old: &Value, new: &Value) -> bool {
    match resource.generation {
        Generation::Unset => false,
        Generation::Spec => old.get("spec") != new.get("spec"),
        Generation::Content => {
            let content = |value: &Value| {
                let mut value = value.clone();
                value["metadata"] = Value::Null;
                value
            };
            content(old) != content(new)
        }
    }
}

fn precondition_failed(resource: &Resource, key: &Key, what: &str, wanted: &str, there: &str) -> StatusError {
    let why =
        format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {there}");
    StatusError::conflict_because(resource, &key.name, &why)
}

fn finalizers(object: &Value) -> &[Value] {
    object["metadata"]["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The metadata, made where there is none.
fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = json!({});
    }
    match metadata {
        Value::Object(fields) => fields,
        _ => unreachable!("it was just made one"),
    }
}

/// A text of the metadata.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn uid() -> String {
    let (a, b) = (fastrand::u64(..), fastrand::u64(..));
    let variant = 0x8000 | (b >> 48 & 0x3fff);
    format!(
        "{:08x}-{:04x}-4{:03x}-{variant:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b & 0xffff_ffff_ffff
    )
}

/// What `generateName` gets: five characters, without vowels and what looks like them.
fn suffix() -> String {
    (0..5)
        .filter_map(|_| fastrand::choice(b"bcdfghjklmnpqrstvwxz2456789"))
        .map(|byte| char::from(*byte))
        .collect()
}

/// Objects of all kinds together.
const MAX_OBJECTS: usize = 1_000_000;

#[cfg(test)]
mod tests;
