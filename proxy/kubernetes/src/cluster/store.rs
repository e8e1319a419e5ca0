//! The objects as the API server last told of them, and what changed since somebody looked. Pure.
//!
//! While a watch is broken, what it told before stays. When it lists again, only what the new list lacks goes.

use super::stream::{Heard, Item, Stream, What};
use crate::objects::{HasMeta, Kind, Object, Objects};
use crate::translate::{ObjectName, service_of};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::collections::{BTreeMap, BTreeSet};
use weir_core::declaration::BackendName;
use weir_core::policy::Via;

/// The objects, and what changed.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: Objects,
    /// Every watch that there should be.
    lists: BTreeMap<Stream, List>,
    /// Names and versions of Secrets that exist, where these are watched.
    versions: BTreeMap<ObjectName, String>,
    change: Change,
    /// Whether the status of an Ingress changed, which is no change of a configuration.
    statuses: Statuses,
}

/// Whether the status of an Ingress changed since somebody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Statuses {
    #[default]
    Same,
    Changed,
}

/// How far a list is.
#[derive(Debug, Default)]
struct List {
    /// Whether it was whole once.
    known: bool,
    /// What the list that is coming in has named so far.
    seen: BTreeSet<ObjectName>,
}

/// What changed since somebody looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that matters.
    #[default]
    Nothing,
    /// The endpoints of these Services, and nothing else.
    Endpoints(BTreeSet<ObjectName>),
    /// Something that a configuration is made of.
    Everything,
}

impl Change {
    fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (_, Self::Nothing) | (Self::Everything, _) => {}
            (Self::Endpoints(services), Self::Endpoints(more)) => services.extend(more),
            (_, other) => *self = other,
        }
    }
}

impl Store {
    /// Says that a watch is to be: the store is not complete before it has listed once.
    pub(super) fn expect(&mut self, stream: Stream) {
        self.lists.entry(stream).or_default();
    }

    /// Says that a watch is no more. What it told goes with it.
    pub(super) fn forget(&mut self, stream: &Stream) {
        self.lists.remove(stream);
        if let Stream::Named(kind, name) = stream {
            self.remove(*kind, name);
        }
    }

    /// Whether every watch has listed once, but for those of single Secrets: they are waited for with less patience, for
    /// one that may not be read is to hurt nobody else.
    pub(super) fn is_complete(&self) -> bool {
        let counts = |stream: &Stream| !matches!(stream, Stream::Named(Kind::Secret, _));
        self.lists.iter().filter(|(stream, _)| counts(stream)).all(|(_, list)| list.known)
    }

    /// Whether a watch has listed once.
    pub(super) fn has_listed(&self, stream: &Stream) -> bool {
        self.lists.get(stream).is_some_and(|list| list.known)
    }

    /// The objects.
    pub(super) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The version of a Secret that exists, where these are watched.
    pub(super) fn version(&self, name: &ObjectName) -> Option<&str> {
        self.versions.get(name).map(String::as_str)
    }

    /// What changed since the last call.
    pub(super) fn take_change(&mut self) -> Change {
        std::mem::take(&mut self.change)
    }

    /// Whether the status of an Ingress changed since the last call.
    pub(super) fn take_statuses(&mut self) -> Statuses {
        std::mem::take(&mut self.statuses)
    }

    /// What would be taken.
    pub(super) fn statuses(&self) -> Statuses {
        self.statuses
    }

    /// What would be taken.
    pub(super) fn change(&self) -> &Change {
        &self.change
    }

    /// Everything is to be looked at again, for a reason that lies outside.
    pub(super) fn touch(&mut self) {
        self.change.add(Change::Everything);
    }

    /// Hears what a watch told. One that is not expected any more is not listened to.
    pub(super) fn hear(&mut self, heard: Heard) {
        let Heard { stream, what } = heard;
        let Some(list) = self.lists.get_mut(&stream) else { return };
        match what {
            What::Began => list.seen.clear(),
            What::Listed(item) => {
                list.seen.insert(name_of(&item));
                self.apply(item);
            }
            What::Ended => {
                list.known = true;
                let seen = std::mem::take(&mut list.seen);
                self.keep(&stream, &seen);
            }
            What::Applied(item) => self.apply(item),
            What::Deleted(item) => {
                let name = name_of(&item);
                match item {
                    Item::Object(object) => self.remove(object.kind(), &name),
                    Item::Version(..) => self.remove_version(&name),
                }
            }
        }
    }

    /// A Secret was read by its name; `None` if there is none.
    pub(super) fn put_secret(&mut self, name: &ObjectName, secret: Option<Object>) {
        match secret {
            Some(object) => self.apply(Item::Object(object)),
            None => self.remove(Kind::Secret, name),
        }
    }

    fn apply(&mut self, item: Item) {
        match item {
            Item::Object(object) => {
                if let Object::Ingress(new) = &object
                    && self
                        .objects
                        .ingresses
                        .get(new.namespace(), new.name())
                        .is_some_and(|old| old.status != new.status)
                {
                    self.statuses = Statuses::Changed;
                }
                self.change.add(difference(&self.objects, &object));
                self.objects.apply(object);
            }
            Item::Version(name, version) => {
                self.versions.insert(name, version);
            }
        }
    }

    fn remove(&mut self, kind: Kind, name: &ObjectName) {
        let ObjectName { namespace, name } = name;
        let change = match kind {
            Kind::EndpointSlice => match self.objects.endpoint_slices.get(namespace, name) {
                Some(slice) => endpoints(slice),
                None => Change::Nothing,
            },
            _ if !has(&self.objects, kind, namespace, name) => Change::Nothing,
            _ => Change::Everything,
        };
        self.change.add(change);
        self.objects.remove(kind, namespace, name);
    }

    fn remove_version(&mut self, name: &ObjectName) {
        self.versions.remove(name);
        self.remove(Kind::Secret, name);
    }

    /// Removes what a whole list has not named.
    fn keep(&mut self, stream: &Stream, seen: &BTreeSet<ObjectName>) {
        match stream {
            Stream::All(kind) => {
                let gone: Vec<_> = names(&self.objects, *kind).filter(|name| !seen.contains(name)).collect();
                gone.iter().for_each(|name| self.remove(*kind, name));
            }
            Stream::Named(kind, name) if !seen.contains(name) => self.remove(*kind, name),
            Stream::Named(..) => {}
            Stream::SecretVersions => {
                let gone: Vec<_> =
                    self.versions.keys().filter(|name| !seen.contains(name)).cloned().collect();
                gone.iter().for_each(|name| self.remove_version(name));
            }
        }
    }
}

/// The backends by the Service whose endpoints they are. Others, that stand for themselves, are left out.
pub(super) fn by_service<'a>(
    backends: impl Iterator<Item = &'a BackendName>,
) -> BTreeMap<ObjectName, Vec<BackendName>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for backend in backends.filter(|backend| backend.via == Via::Endpoints) {
        let service = ObjectName { namespace: backend.namespace.clone(), name: backend.service.clone() };
        all.entry(service).or_default().push(backend.clone());
    }
    // Nearly all have one, and a list begins with room for four.
    all.values_mut().for_each(Vec::shrink_to_fit);
    all
}

fn name_of(item: &Item) -> ObjectName {
    match item {
        Item::Object(object) => {
            let meta = object.meta();
            ObjectName {
                namespace: meta.namespace.clone().unwrap_or_default(),
                name: meta.name.clone().unwrap_or_default(),
            }
        }
        Item::Version(name, _) => name.clone(),
    }
}

/// What it means for a configuration that `object` is now as it is.
fn difference(objects: &Objects, object: &Object) -> Change {
    let meta = object.meta();
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    let unchanged = match object {
        // Its status is written by us.
        Object::Ingress(new) => objects
            .ingresses
            .get(namespace, name)
            .is_some_and(|old| same_meta(old, &**new) && old.spec == new.spec),
        Object::IngressClass(new) => objects
            .ingress_classes
            .get(namespace, name)
            .is_some_and(|old| same_meta(old, &**new) && old.spec == new.spec),
        Object::Service(new) => objects
            .services
            .get(namespace, name)
            .is_some_and(|old| same_meta(old, &**new) && old.spec == new.spec),
        Object::EndpointSlice(new) => return slices(objects.endpoint_slices.get(namespace, name), new),
        Object::Secret(new) => objects
            .secrets
            .get(namespace, name)
            .is_some_and(|old| old.data == new.data && old.metadata.uid == new.metadata.uid),
        Object::ConfigMap(new) => objects
            .config_maps
            .get(namespace, name)
            .is_some_and(|old| old.data == new.data && old.metadata.uid == new.metadata.uid),
        // That it is there is all that counts.
        Object::Namespace(_) => objects.namespaces.get(namespace, name).is_some(),
    };
    if unchanged { Change::Nothing } else { Change::Everything }
}

fn same_meta(old: &impl HasMeta, new: &impl HasMeta) -> bool {
    let (old, new) = (old.meta(), new.meta());
    old.annotations == new.annotations
        && old.uid == new.uid
        && old.creation_timestamp == new.creation_timestamp
}

/// A slice may have come to belong to another Service.
fn slices(old: Option<&EndpointSlice>, new: &EndpointSlice) -> Change {
    let Some(old) = old else { return endpoints(new) };
    let same = old.endpoints == new.endpoints
        && old.ports == new.ports
        && old.address_type == new.address_type
        && service_of(old) == service_of(new);
    if same {
        return Change::Nothing;
    }
    let mut change = endpoints(old);
    change.add(endpoints(new));
    change
}

fn endpoints(slice: &EndpointSlice) -> Change {
    match service_of(slice) {
        Some((namespace, service)) => {
            let service = ObjectName { namespace: namespace.to_owned(), name: service.to_owned() };
            Change::Endpoints(BTreeSet::from([service]))
        }
        None => Change::Nothing,
    }
}

fn has(objects: &Objects, kind: Kind, namespace: &str, name: &str) -> bool {
    match kind {
        Kind::Ingress => objects.ingresses.get(namespace, name).is_some(),
        Kind::IngressClass => objects.ingress_classes.get(namespace, name).is_some(),
        Kind::Service => objects.services.get(namespace, name).is_some(),
        Kind::EndpointSlice => objects.endpoint_slices.get(namespace, name).is_some(),
        Kind::Secret => objects.secrets.get(namespace, name).is_some(),
        Kind::ConfigMap => objects.config_maps.get(namespace, name).is_some(),
        Kind::Namespace => objects.namespaces.get(namespace, name).is_some(),
    }
}

fn names(objects: &Objects, kind: Kind) -> Box<dyn Iterator<Item = ObjectName> + '_> {
    fn of<T: HasMeta>(object: &T) -> ObjectName {
        ObjectName { namespace: object.namespace().to_owned(), name: object.name().to_owned() }
    }
    match kind {
        Kind::Ingress => Box::new(objects.ingresses.iter().map(of)),
        Kind::IngressClass => Box::new(objects.ingress_classes.iter().map(of)),
        Kind::Service => Box::new(objects.services.iter().map(of)),
        Kind::EndpointSlice => Box::new(objects.endpoint_slices.iter().map(of)),
        Kind::Secret => Box::new(objects.secrets.iter().map(of)),
        Kind::ConfigMap => Box::new(objects.config_maps.iter().map(of)),
        Kind::Namespace => Box::new(objects.namespaces.iter().map(of)),
    }
}

#[cfg(test)]
mod tests;
