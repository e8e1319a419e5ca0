//! Typed objects by kind, namespace and name.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
pub use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::networking::v1::IngressClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use weir_core::finding::ObjectRef;

/// Every object that a source knows.
///
/// Iteration is by namespace and then by name, so that equal stores give equal results.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Ingresses.
    pub ingresses: Table<Ingress>,
    /// Ingress classes; their namespace is empty.
    pub ingress_classes: Table<IngressClass>,
    /// Services.
    pub services: Table<Service>,
    /// Endpoint slices.
    pub endpoint_slices: Table<EndpointSlice>,
    /// Secrets. Never printed.
    pub secrets: Table<Secret>,
    /// Config maps.
    pub config_maps: Table<ConfigMap>,
    /// Namespaces; their own namespace is empty.
    pub namespaces: Table<Namespace>,
}

impl Objects {
    /// Adds an object, in place of one with the same kind, namespace and name.
    pub fn apply(&mut self, object: Object) {
        match object {
            Object::Ingress(object) => self.ingresses.insert(object),
            Object::IngressClass(object) => self.ingress_classes.insert(object),
            Object::Service(object) => self.services.insert(object),
            Object::EndpointSlice(object) => self.endpoint_slices.insert(object),
            Object::Secret(object) => self.secrets.insert(object),
            Object::ConfigMap(object) => self.config_maps.insert(object),
            Object::Namespace(object) => self.namespaces.insert(object),
        }
    }

    /// Removes an object; one that is not there is no mistake.
    pub fn remove(&mut self, kind: Kind, namespace: &str, name: &str) {
        match kind {
            Kind::Ingress => self.ingresses.remove(namespace, name),
            Kind::IngressClass => self.ingress_classes.remove(namespace, name),
            Kind::Service => self.services.remove(namespace, name),
            Kind::EndpointSlice => self.endpoint_slices.remove(namespace, name),
            Kind::Secret => self.secrets.remove(namespace, name),
            Kind::ConfigMap => self.config_maps.remove(namespace, name),
            Kind::Namespace => self.namespaces.remove(namespace, name),
        }
    }

    /// How many objects there are, of all kinds.
    pub fn len(&self) -> usize {
        self.ingresses.len()
            + self.ingress_classes.len()
            + self.services.len()
            + self.endpoint_slices.len()
            + self.secrets.len()
            + self.config_maps.len()
            + self.namespaces.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<Object> for Objects {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut all = Self::default();
        objects.into_iter().for_each(|object| all.apply(object));
        all
    }
}

/// Objects of one kind.
#[derive(Clone)]
pub struct Table<T>(BTreeMap<String, BTreeMap<String, Arc<T>>>);

impl<T: HasMeta> Table<T> {
    /// The object with this namespace (empty for cluster-wide kinds) and name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.0.get(namespace)?.get(name).map(Arc::as_ref)
    }

    /// All of them, by namespace and then by name.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.values().flat_map(BTreeMap::values).map(Arc::as_ref)
    }

    /// Those of a namespace, by name.
    pub fn within(&self, namespace: &str) -> impl Iterator<Item = &T> {
        self.0.get(namespace).into_iter().flat_map(BTreeMap::values).map(Arc::as_ref)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert(&mut self, object: Arc<T>) {
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        self.0.entry(namespace).or_default().insert(name, object);
    }

    fn remove(&mut self, namespace: &str, name: &str) {
        if let Some(names) = self.0.get_mut(namespace) {
            names.remove(name);
            if names.is_empty() {
                self.0.remove(namespace);
            }
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// Names only: a table may hold secrets.
impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            self.0.iter().flat_map(|(namespace, names)| names.keys().map(move |name| (namespace, name)));
        f.debug_set().entries(names.map(|(namespace, name)| format!("{namespace}/{name}"))).finish()
    }
}

/// One object. Copies are cheap.
#[derive(Clone)]
pub enum Object {
    /// `networking.k8s.io/v1`
    Ingress(Arc<Ingress>),
    /// `networking.k8s.io/v1`
    IngressClass(Arc<IngressClass>),
    /// `v1`
    Service(Arc<Service>),
    /// `discovery.k8s.io/v1`
    EndpointSlice(Arc<EndpointSlice>),
    /// `v1`
    Secret(Arc<Secret>),
    /// `v1`
    ConfigMap(Arc<ConfigMap>),
    /// `v1`
    Namespace(Arc<Namespace>),
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ingress(_) => Kind::Ingress,
            Self::IngressClass(_) => Kind::IngressClass,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Secret(_) => Kind::Secret,
            Self::ConfigMap(_) => Kind::ConfigMap,
            Self::Namespace(_) => Kind::Namespace,
        }
    }

    /// Its metadata.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Ingress(object) => &object.metadata,
            Self::IngressClass(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Secret(object) => &object.metadata,
            Self::ConfigMap(object) => &object.metadata,
            Self::Namespace(object) => &object.metadata,
        }
    }

    /// Names it.
    pub fn object_ref(&self) -> ObjectRef {
        self.kind().object_ref(self.meta())
    }
}

/// Its name only: it may be a secret.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.object_ref())
    }
}

/// The kinds that weir reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Routes and limits.
    Ingress,
    /// Which controller an Ingress is for.
    IngressClass,
    /// Ports of backends.
    Service,
    /// Addresses of backends.
    EndpointSlice,
    /// Certificates and credentials.
    Secret,
    /// Settings of the whole proxy.
    ConfigMap,
    /// Where other objects live; its labels say whether weir looks there.
    Namespace,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Ingress,
        Self::IngressClass,
        Self::Service,
        Self::EndpointSlice,
        Self::Secret,
        Self::ConfigMap,
        Self::Namespace,
    ];

    /// `kind` as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::IngressClass => "IngressClass",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Namespace => "Namespace",
        }
    }

    /// The one `apiVersion` that weir reads of this kind.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Ingress | Self::IngressClass => "networking.k8s.io/v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::Service | Self::Secret | Self::ConfigMap | Self::Namespace => "v1",
        }
    }

    /// Whether objects of this kind live in a namespace.
    pub fn scope(self) -> Scope {
        match self {
            Self::IngressClass | Self::Namespace => Scope::Cluster,
            Self::Ingress | Self::Service | Self::EndpointSlice | Self::Secret | Self::ConfigMap => {
                Scope::Namespace
            }
        }
    }

    /// Names an object of this kind.
    pub fn object_ref(self, meta: &ObjectMeta) -> ObjectRef {
        ObjectRef::new(
            self.as_str(),
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        )
    }
}

/// Where objects of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the whole cluster.
    Cluster,
    /// In a namespace.
    Namespace,
}

/// What all objects have. Metadata that is missing reads as empty.
pub trait HasMeta {
    /// `metadata`
    fn meta(&self) -> &ObjectMeta;

    /// `metadata.namespace`
    fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.name`
    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    /// The value of an annotation.
    fn annotation(&self, name: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// The value of a label.
    fn label(&self, name: &str) -> Option<&str> {
        self.meta().labels.as_ref()?.get(name).map(String::as_str)
    }
}

impl<T: k8s_openapi::Metadata<Ty = ObjectMeta>> HasMeta for T {
    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }
}
