//! What a request asks for: verb, resource and name out of method and path, as authorisation and handlers need them.

use crate::resources::{Resource, Scope};
use crate::selector::Selector;
use crate::status::StatusError;
use http::Method;
use std::fmt;

/// What is done to objects, as RBAC calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// One object.
    Get,
    /// Many objects.
    List,
    /// Changes of objects.
    Watch,
    /// A new object.
    Create,
    /// A whole object.
    Update,
    /// Parts of an object.
    Patch,
    /// One object less.
    Delete,
    /// Many objects less.
    DeleteCollection,
}

/// A request as authorisation sees it, and as the server records it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// What is done. Of paths that are no resources only `get` is served.
    pub verb: Verb,
    /// API group; empty for the core group and for paths that are no resources.
    pub group: String,
    /// Name of the resource; empty for paths that are no resources.
    pub resource: String,
    /// `status`, or empty.
    pub subresource: String,
    /// Namespace; empty for all, and for kinds of the cluster.
    pub namespace: String,
    /// Name of the object: from the path, or from a field selector that names one. Empty without.
    pub name: String,
    /// Path, for paths that are no resources.
    pub path: String,
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Discovery, health, version.
    Path(String),
    Objects(Objects),
}

/// Objects of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    pub(crate) resource: &'static Resource,
    pub(crate) namespace: String,
    /// Empty for all.
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) verb: Verb,
    pub(crate) selector: Selector,
}

/// Which part of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but the status, where it is apart.
    Main,
    /// The status alone.
    Status,
}

/// Query parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Verb {
    /// As RBAC writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As `verb resource.group/subresource namespace/name`, or `verb path`.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, group, resource, subresource, namespace, name, path } = self;
        if resource.is_empty() {
            return write!(f, "{verb} {path}");
        }
        let dot = if group.is_empty() { "" } else { "." };
        let slash = if subresource.is_empty() { "" } else { "/" };
        write!(f, "{verb} {resource}{dot}{group}{slash}{subresource} {namespace}/{name}")
    }
}

impl Target {
    /// Reads method, path and query.
    ///
    /// # Errors
    ///
    /// 404 for resources that are not served, 405 for methods they do not know, 400 for selectors that cannot be read.
    pub(crate) fn parse(method: &Method, path: &str, query: &Query) -> Result<Self, StatusError> {
        let decode = |segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let segments: Vec<String> = path.split('/').filter(|it| !it.is_empty()).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ if *method == Method::GET => return Ok(Self::Path(path.to_owned())),
            _ => return Err(StatusError::no_such_resource()),
        };
        let (namespace, rest) = match rest {
            // `namespaces/NAME` and `namespaces/NAME/status` are the namespace itself.
            ["namespaces", _] | ["namespaces", _, "status"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return Err(StatusError::no_such_resource()),
        };
        let resource = Resource::find(group, version, plural).ok_or_else(StatusError::no_such_resource)?;
        let part = match (subresource, resource.status) {
            ("", _) => Part::Main,
            ("status", crate::StatusPart::Apart) => Part::Status,
            _ => return Err(StatusError::no_such_resource()),
        };
        // Objects of namespaces are named within one, and those of the cluster in none.
        if (resource.scope == Scope::Cluster) != namespace.is_empty()
            && !(namespace.is_empty() && name.is_empty())
        {
            return Err(StatusError::no_such_resource());
        }
        let verb = verb(method, name, part, query)?;
        let selector = Selector::parse(resource, query.get("labelSelector"), query.get("fieldSelector"))?;
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Ok(Self::Objects(Objects { resource, namespace, name, part, verb, selector }))
    }

    /// What is recorded, and asked of authorisation.
    pub(crate) fn request(&self) -> Request {
        match self {
            Self::Path(path) => Request {
                verb: Verb::Get,
                group: String::new(),
                resource: String::new(),
                subresource: String::new(),
                namespace: String::new(),
                name: String::new(),
                path: path.clone(),
            },
            Self::Objects(objects) => {
                let name = if objects.name.is_empty() {
                    objects.selector.name().unwrap_or_default()
                } else {
                    &objects.name
                };
                Request {
                    verb: objects.verb,
                    group: objects.resource.group.to_owned(),
                    resource: objects.resource.plural.to_owned(),
                    subresource: if objects.part == Part::Status {
                        "status".to_owned()
                    } else {
                        String::new()
                    },
                    namespace: objects.namespace.clone(),
                    name: name.to_owned(),
                    path: String::new(),
                }
            }
        }
    }
}

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first of a name; empty without.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Whether a switch is on.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }

    /// A number; 0 without.
    ///
    /// # Errors
    ///
    /// 400: it is none.
    pub(crate) fn number(&self, name: &str) -> Result<u64, StatusError> {
        match self.get(name) {
            "" => Ok(0),
            text => text
                .parse()
                .map_err(|_| StatusError::bad_request(format!("{name}: Invalid value: \"{text}\""))),
        }
    }
}

fn verb(method: &Method, name: &str, part: Part, query: &Query) -> Result<Verb, StatusError> {
    let one = !name.is_empty();
    Ok(match *method {
        Method::GET if one => Verb::Get,
        Method::GET if query.is_set("watch") => Verb::Watch,
        Method::GET => Verb::List,
        Method::POST if !one => Verb::Create,
        Method::PUT if one => Verb::Update,
        Method::PATCH if one => Verb::Patch,
        Method::DELETE if one && part == Part::Main => Verb::Delete,
        Method::DELETE if !one => Verb::DeleteCollection,
        _ => return Err(StatusError::method_not_allowed()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, path: &str, query: &str) -> Result<String, u16> {
        let target = Target::parse(method, path, &Query::parse(query));
        target.map(|it| it.request().to_string()).map_err(|error| error.code)
    }

    #[test]
    fn paths_say_what_is_asked() {
        let get = |path| read(&Method::GET, path, "").unwrap();
        assert_eq!(get("/api/v1/namespaces/a/secrets/b"), "get secrets a/b");
        assert_eq!(get("/api/v1/secrets"), "list secrets /");
        assert_eq!(get("/api/v1/namespaces"), "list namespaces /");
        assert_eq!(get("/api/v1/namespaces/a"), "get namespaces /a");
        assert_eq!(get("/api/v1/namespaces/a/status"), "get namespaces/status /a");
        assert_eq!(
            get("/apis/networking.k8s.io/v1/namespaces/a/ingresses"),
            "list ingresses.networking.k8s.io a/"
        );
        assert_eq!(get("/version"), "get /version");
        assert_eq!(get("/apis/networking.k8s.io/v1"), "get /apis/networking.k8s.io/v1");
        let ingress = "/apis/networking.k8s.io/v1/namespaces/a/ingresses/b";
        assert_eq!(read(&Method::DELETE, ingress, "").unwrap(), "delete ingresses.networking.k8s.io a/b");
        let status = format!("{ingress}/status");
        assert_eq!(
            read(&Method::PATCH, &status, "").unwrap(),
            "patch ingresses.networking.k8s.io/status a/b"
        );
        assert_eq!(read(&Method::DELETE, &status, ""), Err(405));
    }

    #[test]
    fn a_field_selector_names_the_object_for_authorisation() {
        let query = "watch=1&fieldSelector=metadata.name%3Dtls";
        assert_eq!(read(&Method::GET, "/api/v1/namespaces/a/secrets", query).unwrap(), "watch secrets a/tls");
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for path in [
            "/api/v1/namespaces/a/secrets/b/status",
            "/api/v1/secrets/b",
            "/apis/x/v1/y",
            "/api/v1/namespaces/a/nodes",
        ] {
            assert_eq!(read(&Method::GET, path, ""), Err(404), "{path}");
        }
        assert_eq!(read(&Method::POST, "/api/v1/namespaces/a/secrets/b", ""), Err(405));
        assert_eq!(read(&Method::POST, "/version", ""), Err(404));
    }
}
