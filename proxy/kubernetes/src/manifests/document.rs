//! Documents → objects.

use super::node::{self, Node, Value};
use super::problem::{Place, Problem};
use super::text::Document;
use super::typed::{self, What};
use crate::objects::{Kind, Object, Scope};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;
use weir_core::finding::{ObjectRef, Severity};

/// What a document says.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// Its objects, in order.
    pub(super) objects: Vec<Placed>,
    /// Its mistakes, in order.
    pub(super) problems: Vec<Problem>,
    /// Whether something in it could not be read, so that an object may be missing.
    pub(super) completeness: Completeness,
    /// Objects of kinds that weir does not read.
    pub(super) ignored: usize,
}

/// Whether all objects of a document could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Completeness {
    #[default]
    Complete,
    Broken,
}

/// An object and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) object: Object,
    pub(super) place: Place,
}

/// Reads a document. A part of it that cannot be read does not hurt the others.
pub(super) fn read(file: &Arc<Path>, document: Document<'_>) -> Contents {
    let mut contents = Contents::default();
    let mut reader = Reader { file, document, contents: &mut contents };
    match node::parse(document.text) {
        Ok(node) => reader.top(&node),
        Err(error) => reader.broken(error.line, None, "", &format!("no YAML: {}", error.message)),
    }
    contents
}

struct Reader<'a> {
    file: &'a Arc<Path>,
    document: Document<'a>,
    contents: &'a mut Contents,
}

impl Reader<'_> {
    fn top(&mut self, node: &Node) {
        match &node.value {
            Value::Null => {}
            Value::Map(_) => self.object(node, None),
            _ => self.broken(node.referenced.line(), None, "", "no Kubernetes object"),
        }
    }

    /// One object, or a list of them. `list_kind` is the kind that a list says its items have.
    fn object(&mut self, node: &Node, list_kind: Option<&str>) {
        let line = node.referenced.line();
        let text = |key| node.value.get(key).and_then(|node| node.value.as_text());
        let Some(kind) = text("kind").or(list_kind) else {
            // Folders hold more than manifests: values.yaml, Chart.yaml, kustomization.yaml.
            self.contents.completeness = Completeness::Broken;
            let problem =
                Problem::unreadable(self.place(line), "no Kubernetes object: it has no kind; it is ignored");
            self.contents.problems.push(Problem { severity: Severity::Warn, code: "no-kind", ..problem });
            return;
        };
        if let (Some(items_kind), Some(Value::List(items))) =
            (kind.strip_suffix("List"), node.value.get("items").map(|items| &items.value))
        {
            let list_kind = Some(items_kind).filter(|kind| !kind.is_empty());
            items.iter().for_each(|item| self.object(item, list_kind));
            return;
        }
        let Some(kind) = Kind::ALL.into_iter().find(|known| known.as_str() == kind) else {
            self.contents.ignored += 1;
            return;
        };
        // Items of a typed list leave out what the list says.
        let inherited = if list_kind.is_some() { kind.api_version() } else { "" };
        let version = text("apiVersion").unwrap_or(inherited);
        match check_version(kind, version) {
            Version::Ours => self.typed(kind, node),
            Version::OfAnotherGroup => self.contents.ignored += 1,
            Version::Wrong => {
                self.broken(
                    line,
                    Some(peek(kind, node)),
                    "apiVersion",
                    &format!("expected {}", kind.api_version()),
                );
                if let Some(problem) = self.contents.problems.last_mut() {
                    problem.value = version.to_owned();
                    problem.code = "unsupported-api-version";
                }
            }
        }
    }

    fn typed(&mut self, kind: Kind, node: &Node) {
        match kind {
            Kind::Ingress => self.read(kind, node, |object| Object::Ingress(Arc::new(object))),
            Kind::IngressClass => self.read(kind, node, |object| Object::IngressClass(Arc::new(object))),
            Kind::Service => self.read(kind, node, |object| Object::Service(Arc::new(object))),
            Kind::EndpointSlice => self.read(kind, node, |object| Object::EndpointSlice(Arc::new(object))),
            Kind::Secret => {
                self.read(kind, node, |object| Object::Secret(Arc::new(with_string_data(object))));
            }
            Kind::ConfigMap => self.read(kind, node, |object| Object::ConfigMap(Arc::new(object))),
            Kind::Namespace => self.read(kind, node, |object| Object::Namespace(Arc::new(object))),
        }
    }

    fn read<T>(&mut self, kind: Kind, node: &Node, wrap: impl FnOnce(T) -> Object)
    where
        T: DeserializeOwned + k8s_openapi::Metadata<Ty = ObjectMeta>,
    {
        let (result, notes) = typed::read::<T>(node, self.document.text);
        let mut object = match result {
            Ok(object) => object,
            Err(error) => {
                let message = match kind {
                    // The message may quote what it found.
                    Kind::Secret => "not of the type that Kubernetes has here",
                    _ => error.message.as_str(),
                };
                return self.broken(error.line, Some(peek(kind, node)), &error.field, message);
            }
        };
        if let Err(message) = settle(kind, object.metadata_mut()) {
            return self.broken(node.referenced.line(), Some(peek(kind, node)), "metadata", &message);
        }
        let object_ref = kind.object_ref(object.metadata());
        for note in notes {
            let (code, value, message) = match note.what {
                What::Unquoted(text) => ("unquoted-value", text, UNQUOTED),
                What::UnknownField => ("unknown-field", String::new(), UNKNOWN_FIELD),
            };
            self.contents.problems.push(Problem {
                place: self.place(note.line),
                object: Some(object_ref.clone()),
                field: note.field,
                value: if kind == Kind::Secret { String::new() } else { value },
                severity: Severity::Warn,
                code,
                message: message.to_owned(),
            });
        }
        let place = self.place(node.referenced.line());
        self.contents.objects.push(Placed { object: wrap(object), place });
    }

    /// Something that could not be read: the object is not in force, unless an earlier version of it is.
    fn broken(&mut self, line: u64, object: Option<ObjectRef>, field: &str, message: &str) {
        self.contents.completeness = Completeness::Broken;
        let problem = Problem::unreadable(self.place(line), format!("{message}; it is not read"));
        self.contents.problems.push(Problem { object, field: field.to_owned(), ..problem });
    }

    /// `line` is counted in the document.
    fn place(&self, line: u64) -> Place {
        let line = match line {
            0 => 0,
            line => self.document.line.saturating_add(line - 1),
        };
        Place { file: Arc::clone(self.file), document: self.document.number, line }
    }
}

/// Whether an `apiVersion` is the one that is read.
enum Version {
    Ours,
    /// The right group, or none, or the group that Ingress was in once.
    Wrong,
    /// A kind of somebody else with the same name, such as Knative's Service.
    OfAnotherGroup,
}

fn check_version(kind: Kind, version: &str) -> Version {
    let group =
        |version: &str| version.split_once('/').map(|(group, _)| group.to_owned()).unwrap_or_default();
    if version == kind.api_version() {
        Version::Ours
    } else if version.is_empty()
        || group(version) == group(kind.api_version())
        || group(version) == "extensions"
    {
        Version::Wrong
    } else {
        Version::OfAnotherGroup
    }
}

/// What the API server does to metadata, as far as it matters here.
fn settle(kind: Kind, meta: &mut ObjectMeta) -> Result<(), String> {
    match meta.name.as_deref() {
        None | Some("") => return Err("expected a name".to_owned()),
        Some(name) if !is_name(name) => {
            return Err(format!("{name:?} is no name: expected lower case letters, digits, - and ."));
        }
        Some(_) => {}
    }
    match kind.scope() {
        Scope::Cluster => meta.namespace = None,
        Scope::Namespace => {
            let namespace = meta.namespace.take().filter(|namespace| !namespace.is_empty());
            let namespace = namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
            if !is_name(&namespace) {
                return Err(format!(
                    "{namespace:?} is no namespace: expected lower case letters, digits and -"
                ));
            }
            meta.namespace = Some(namespace);
        }
    }
    // Nothing here reads them, and they are longer than all the rest.
    meta.managed_fields = None;
    Ok(())
}

/// RFC 1123 subdomain, near enough: what can be a name anywhere in Kubernetes.
fn is_name(text: &str) -> bool {
    text.len() <= 253
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
}

/// Names an object that could not be read.
fn peek(kind: Kind, node: &Node) -> ObjectRef {
    let metadata = node.value.get("metadata");
    let text = |key| metadata.and_then(|node| node.value.get(key)).and_then(|node| node.value.as_text());
    let namespace = match kind.scope() {
        Scope::Cluster => "",
        Scope::Namespace => text("namespace").unwrap_or(DEFAULT_NAMESPACE),
    };
    ObjectRef::new(kind.as_str(), namespace, text("name").unwrap_or("(no name)"))
}

/// `stringData` goes over `data`, as in the API server.
fn with_string_data(mut secret: Secret) -> Secret {
    let texts = secret.string_data.take().unwrap_or_default();
    if !texts.is_empty() {
        let data = secret.data.get_or_insert_default();
        data.extend(texts.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes()))));
    }
    secret
}

const DEFAULT_NAMESPACE: &str = "default";
const UNQUOTED: &str = "Kubernetes takes only strings here and would refuse the object; it is read as the text that it is: \
                        quote it";
const UNKNOWN_FIELD: &str = "Kubernetes has no such field here; it is ignored";
