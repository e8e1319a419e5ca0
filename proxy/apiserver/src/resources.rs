//! The kinds of objects that are served: all that the server knows about types is in this table.

/// One kind of object.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// Name in paths and in RBAC, such as `ingresses`.
    pub plural: &'static str,
    /// Name of one, such as `ingress`.
    pub singular: &'static str,
    /// Kind, such as `Ingress`.
    pub kind: &'static str,
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// What kubectl takes for the name.
    pub short_names: &'static [&'static str],
    /// Whether the status is written apart from the rest.
    pub status: StatusPart,
    /// What counts as a new generation.
    pub generation: Generation,
    /// Whether an update must name the version that it replaces.
    pub update: Update,
    /// What an update of an object that is not there does.
    pub put: Put,
    /// Fields that field selectors may name, besides the name and the namespace.
    pub fields: &'static [&'static str],
    /// Lists that a strategic merge patch merges: path without indexes, and the field that tells elements apart
    /// (empty where elements are plain values).
    pub merge_keys: &'static [(&'static str, &'static str)],
}

/// Whether objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// They do.
    Namespace,
    /// They belong to the whole cluster.
    Cluster,
}

/// Whether the status of a kind is written apart from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPart {
    /// By the subresource `status` only.
    Apart,
    /// There is no such subresource.
    Absent,
}

/// What makes a new `metadata.generation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Nothing: the field is not set.
    Unset,
    /// A change of `spec`.
    Spec,
    /// A change of anything but metadata and status.
    Content,
}

/// Whether an update must name the version that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Without a version it replaces whatever is there.
    Unconditional,
    /// Without a version it is refused.
    Versioned,
}

/// What an update of an object that is not there does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is refused: there is nothing to replace.
    Replaces,
    /// It creates the object.
    CreatesToo,
}

impl Resource {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The name with its group, as messages have it: `ingresses.networking.k8s.io`, `secrets`.
    pub fn qualified(&self) -> String {
        qualified(self.plural, self.group)
    }

    /// The kind with its group, as messages about invalid objects have it.
    pub fn qualified_kind(&self) -> String {
        qualified(self.kind, self.group)
    }

    /// Path of one object, or of all where the name is empty. An empty namespace means all namespaces.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let mut path =
            if self.group.is_empty() { "/api/".to_owned() } else { format!("/apis/{}/", self.group) };
        path.push_str(self.version);
        if self.scope == Scope::Namespace && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        path.push('/');
        path.push_str(self.plural);
        if !name.is_empty() {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// The resource of a group and version with this name in paths.
    pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|it| it.group == group && it.version == version && it.plural == plural)
    }

    /// By name alone: `ingresses`, or `events.events.k8s.io` where two groups have the name (the first of the table is
    /// meant without a group).
    pub fn named(name: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|it| it.plural == name || it.qualified() == name)
    }

    /// By the kind and version that an object gives.
    pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|it| it.kind == kind && it.api_version() == api_version)
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// A plain kind of a namespace, without status, generation or merged lists.
const PLAIN: Resource = Resource {
    group: "",
    version: "v1",
    plural: "",
    singular: "",
    kind: "",
    scope: Scope::Namespace,
    short_names: &[],
    status: StatusPart::Absent,
    generation: Generation::Unset,
    update: Update::Unconditional,
    put: Put::Replaces,
    fields: &[],
    merge_keys: &[],
};

/// A kind of the cluster.
const WIDE: Resource = Resource { scope: Scope::Cluster, ..PLAIN };

const RBAC: &str = "rbac.authorization.k8s.io";

/// All kinds. Merge keys are the `patchMergeKey` of the published API types.
pub static RESOURCES: &[Resource] = &[
    Resource {
        plural: "namespaces",
        singular: "namespace",
        kind: "Namespace",
        short_names: &["ns"],
        status: StatusPart::Apart,
        fields: &["status.phase"],
        merge_keys: &[("status.conditions", "type")],
        ..WIDE
    },
    Resource {
        plural: "services",
        singular: "service",
        kind: "Service",
        short_names: &["svc"],
        status: StatusPart::Apart,
        fields: &["spec.clusterIP", "spec.type"],
        merge_keys: &[("spec.ports", "port"), ("status.conditions", "type")],
        ..PLAIN
    },
    Resource { plural: "secrets", singular: "secret", kind: "Secret", fields: &["type"], ..PLAIN },
    Resource {
        plural: "configmaps",
        singular: "configmap",
        kind: "ConfigMap",
        short_names: &["cm"],
        ..PLAIN
    },
    Resource {
        plural: "serviceaccounts",
        singular: "serviceaccount",
        kind: "ServiceAccount",
        short_names: &["sa"],
        merge_keys: &[("secrets", "name")],
        ..PLAIN
    },
    Resource {
        plural: "nodes",
        singular: "node",
        kind: "Node",
        short_names: &["no"],
        status: StatusPart::Apart,
        fields: &["spec.unschedulable"],
        merge_keys: &[("spec.podCIDRs", ""), ("status.addresses", "type"), ("status.conditions", "type")],
        ..WIDE
    },
    Resource {
        plural: "pods",
        singular: "pod",
        kind: "Pod",
        short_names: &["po"],
        status: StatusPart::Apart,
        fields: &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        merge_keys: &[
            ("spec.containers", "name"),
            ("spec.containers.env", "name"),
            ("spec.containers.ports", "containerPort"),
            ("spec.containers.volumeMounts", "mountPath"),
            ("spec.initContainers", "name"),
            ("spec.initContainers.env", "name"),
            ("spec.volumes", "name"),
            ("spec.imagePullSecrets", "name"),
            ("spec.hostAliases", "ip"),
            ("status.conditions", "type"),
            ("status.podIPs", "ip"),
        ],
        ..PLAIN
    },
    Resource {
        plural: "events",
        singular: "event",
        kind: "Event",
        short_names: &["ev"],
        put: Put::CreatesToo,
        fields: &[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "type",
        ],
        ..PLAIN
    },
    Resource {
        group: "networking.k8s.io",
        plural: "ingresses",
        singular: "ingress",
        kind: "Ingress",
        short_names: &["ing"],
        status: StatusPart::Apart,
        generation: Generation::Spec,
        ..PLAIN
    },
    Resource {
        group: "networking.k8s.io",
        plural: "ingressclasses",
        singular: "ingressclass",
        kind: "IngressClass",
        generation: Generation::Spec,
        ..WIDE
    },
    Resource {
        group: "discovery.k8s.io",
        plural: "endpointslices",
        singular: "endpointslice",
        kind: "EndpointSlice",
        generation: Generation::Content,
        ..PLAIN
    },
    Resource {
        group: "coordination.k8s.io",
        plural: "leases",
        singular: "lease",
        kind: "Lease",
        update: Update::Versioned,
        put: Put::CreatesToo,
        ..PLAIN
    },
    Resource {
        group: "events.k8s.io",
        plural: "events",
        singular: "event",
        kind: "Event",
        short_names: &["ev"],
        put: Put::CreatesToo,
        fields: &[
            "reason",
            "regarding.kind",
            "regarding.name",
            "regarding.namespace",
            "regarding.uid",
            "type",
        ],
        ..PLAIN
    },
    Resource { group: RBAC, plural: "roles", singular: "role", kind: "Role", put: Put::CreatesToo, ..PLAIN },
    Resource {
        group: RBAC,
        plural: "rolebindings",
        singular: "rolebinding",
        kind: "RoleBinding",
        put: Put::CreatesToo,
        ..PLAIN
    },
    Resource {
        group: RBAC,
        plural: "clusterroles",
        singular: "clusterrole",
        kind: "ClusterRole",
        put: Put::CreatesToo,
        ..WIDE
    },
    Resource {
        group: RBAC,
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        kind: "ClusterRoleBinding",
        put: Put::CreatesToo,
        ..WIDE
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api_conventions() {
        let path = |name: &str, namespace, object| Resource::named(name).unwrap().path(namespace, object);
        assert_eq!(path("secrets", "a", "b"), "/api/v1/namespaces/a/secrets/b");
        assert_eq!(path("secrets", "", ""), "/api/v1/secrets");
        assert_eq!(path("nodes", "", "b"), "/api/v1/nodes/b");
        assert_eq!(path("ingresses", "a", ""), "/apis/networking.k8s.io/v1/namespaces/a/ingresses");
        assert_eq!(path("events.events.k8s.io", "a", ""), "/apis/events.k8s.io/v1/namespaces/a/events");
        assert_eq!(path("events", "a", ""), "/api/v1/namespaces/a/events");
    }

    #[test]
    fn no_kind_is_listed_twice() {
        for (index, one) in RESOURCES.iter().enumerate() {
            let same = |other: &Resource| other.group == one.group && other.plural == one.plural;
            assert!(!RESOURCES[..index].iter().any(same), "{one:?}");
            assert_eq!(Resource::of_kind(&one.api_version(), one.kind), Some(one));
        }
    }
}
