//! The pod that weir runs in as a source: its annotations, as the downward API mounts them.
//!
//! No API server is asked for anything. What an Ingress would name is mounted as well: Secrets and a ConfigMap, each as
//! a folder with a file for each key. All of it is looked at again and again; what cannot be read leaves the last version
//! that could be in force, and a finding says so.

pub mod annotations;
mod volume;
mod watch;
mod way;

#[cfg(test)]
mod tests;

pub use watch::Watcher;

use crate::objects::{Object, Objects};
use crate::translate::findings::sentence;
use crate::translate::{self, ObjectName, Options, Pod};
use annotations::Mistake;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use volume::{Look, Volume};
use watch::Senses;
use weir_core::Finding;
use weir_core::declaration::Declaration;
use weir_core::finding::{ObjectRef, Severity};

/// What a pod is told, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file with the annotations (`--source podinfo=FILE`).
    pub file: PathBuf,
    /// Namespace and name of the pod, for findings, logs and metrics. Secrets that annotations name are of this namespace.
    pub pod: ObjectName,
    /// Where requests go: the other container of the pod (`--upstream`).
    pub upstreams: Vec<SocketAddr>,
    /// The folder with the certificate (`--tls-secret-dir`).
    pub tls_secret: Option<PathBuf>,
    /// The folders with the Secrets that annotations name (`--secret-dir`).
    pub secrets: BTreeMap<ObjectName, PathBuf>,
    /// The folder with the settings of the whole proxy (`--configmap-dir`).
    pub config_map: Option<PathBuf>,
    /// How annotations are read.
    pub options: Options,
}

/// The pod that weir runs in.
#[derive(Debug)]
pub struct PodInfo {
    options: Options,
    pod: Pod,
    /// Secrets and ConfigMap.
    objects: Objects,
    parts: Vec<Part>,
    /// What was there when it was last read.
    read: Option<Look>,
    /// What was there at the last look, if it has not been read since, and how many looks in a row found it different.
    last: Option<(Look, u32)>,
}

/// Something that is mounted.
#[derive(Debug)]
struct Part {
    role: Role,
    volume: Volume,
    /// Why what was read before is still in force.
    problems: Vec<Finding>,
}

/// What a volume is for.
#[derive(Clone, Debug)]
enum Role {
    Annotations,
    Secret(ObjectName),
    ConfigMap(ObjectName),
}

impl PodInfo {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// When the file or a folder cannot be read, or the file is none of the downward API. The kubelet mounts volumes
    /// before it starts containers, so what is not there now never will be: that is a mistake of the pod's author.
    pub fn new(settings: Settings) -> Result<Self, PodInfoError> {
        let Settings { file, pod, upstreams, tls_secret, secrets, config_map, mut options } = settings;
        let mut parts = vec![Part::new(Role::Annotations, Volume::File(file))];
        // Which Secret and which ConfigMap it is nobody has told us: they are called by their folders.
        let unnamed =
            |folder: &PathBuf| ObjectName { namespace: String::new(), name: folder.display().to_string() };
        options.default_certificate = tls_secret.as_ref().map(unnamed);
        options.config_map = config_map.as_ref().map(unnamed);
        let named = tls_secret.into_iter().map(|folder| (unnamed(&folder), folder));
        for (name, folder) in named.chain(secrets) {
            let keys = |name: &str| SECRET_KEYS.contains(&name);
            parts.push(Part::new(Role::Secret(name), Volume::Folder(folder, keys)));
        }
        if let Some(folder) = config_map {
            parts.push(Part::new(Role::ConfigMap(unnamed(&folder)), Volume::Folder(folder, |_| true)));
        }
        let pod = Pod { name: pod, annotations: BTreeMap::new(), upstreams };
        let mut all = Self { options, pod, objects: Objects::default(), parts, read: None, last: None };
        let look = all.look();
        let errors = all.read_parts();
        all.read = Some(look);
        if errors.is_empty() { Ok(all) } else { Err(PodInfoError::Start(errors)) }
    }

    /// What is in force now. Pure of everything but what was read.
    pub fn load(&self) -> (Declaration, Vec<Finding>) {
        let (declaration, mut findings) = translate::pod(&self.pod, &self.objects, &self.options);
        findings.extend(self.parts.iter().flat_map(|part| part.problems.iter().cloned()));
        (declaration, findings)
    }

    /// Looks whether something was written, and reads once two looks in a row find the same, or after some looks: a file
    /// may be half written. `Some` is what is in force from now on.
    pub fn poll(&mut self) -> Option<(Declaration, Vec<Finding>)> {
        let seen = self.look();
        if self.read.as_ref() == Some(&seen) {
            self.last = None;
            return None;
        }
        match self.last.take() {
            Some((last, unsettled)) if last != seen && unsettled < MOST_UNSETTLED => {
                self.last = Some((seen, unsettled + 1));
                None
            }
            None => {
                self.last = Some((seen, 0));
                None
            }
            Some(_) => Some(self.refresh()),
        }
    }

    /// Reads everything, whether or not something was written.
    pub fn refresh(&mut self) -> (Declaration, Vec<Finding>) {
        let look = self.look();
        // They stay with their parts until these can be read.
        self.read_parts();
        self.read = Some(look);
        self.load()
    }

    /// Looks at everything again and again on a thread of its own until the [`Watcher`] is dropped. `on_change` gets what
    /// is in force at most one second after a write.
    ///
    /// # Errors
    /// If there is no thread.
    pub fn spawn(
        self,
        on_change: impl FnMut(Declaration, Vec<Finding>) + Send + 'static,
    ) -> Result<Watcher, PodInfoError> {
        watch::spawn(self, Senses::default(), on_change)
    }

    /// Whether what is there was read, as far as the last look saw.
    fn is_settled(&self) -> bool {
        self.last.is_none()
    }

    /// The folders where something is written when something changes.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        self.parts.iter().for_each(|part| part.volume.folders(&mut folders));
        folders
    }

    fn look(&self) -> Look {
        let mut look = Look::new();
        self.parts.iter().for_each(|part| part.volume.look(&mut look));
        look
    }

    /// Reads all parts; what can be read is in force, and what cannot is told.
    fn read_parts(&mut self) -> Vec<Unreadable> {
        let mut unreadable = Vec::new();
        for part in &mut self.parts {
            match part.read() {
                Ok(Content::Annotations(annotations)) => self.pod.annotations = annotations,
                Ok(Content::Object(object)) => self.objects.apply(object),
                Err(error) => {
                    part.problems = error.findings();
                    unreadable.push(error);
                    continue;
                }
            }
            part.problems.clear();
        }
        unreadable
    }
}

/// What a volume holds.
enum Content {
    Annotations(BTreeMap<String, String>),
    Object(Object),
}

impl Part {
    fn new(role: Role, volume: Volume) -> Self {
        Self { role, volume, problems: Vec::new() }
    }

    fn read(&self) -> Result<Content, Unreadable> {
        let fail = |why| Unreadable { path: self.volume.path().to_owned(), why };
        let keys = self.volume.read().map_err(|why| fail(Why::Unreadable(why)))?;
        match &self.role {
            Role::Annotations => {
                let text = keys.into_values().next().unwrap_or_default();
                annotations::parse(&text)
                    .map(Content::Annotations)
                    .map_err(|mistakes| fail(Why::Mistakes(mistakes)))
            }
            Role::Secret(name) => {
                let data = keys.into_iter().map(|(key, bytes)| (key, ByteString(bytes))).collect();
                let secret = Secret { metadata: meta(name), data: Some(data), ..Secret::default() };
                Ok(Content::Object(Object::Secret(Arc::new(secret))))
            }
            Role::ConfigMap(name) => {
                // Other bytes are the kubelet's rendering of `binaryData`, where no setting is.
                let text = |(key, bytes)| Some((key, String::from_utf8(bytes).ok()?));
                let data = keys.into_iter().filter_map(text).collect();
                let config_map = ConfigMap { metadata: meta(name), data: Some(data), ..ConfigMap::default() };
                Ok(Content::Object(Object::ConfigMap(Arc::new(config_map))))
            }
        }
    }
}

fn meta(name: &ObjectName) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(name.namespace.clone()),
        name: Some(name.name.clone()),
        ..ObjectMeta::default()
    }
}

/// A source that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PodInfoError {
    /// What is mounted cannot be read, each with all that is wrong.
    #[error("{}", lines(.0))]
    Start(Vec<Unreadable>),
    /// The system has no thread left.
    #[error("cannot start a thread to watch the annotations of the pod")]
    Thread(#[source] std::io::Error),
}

/// Something that is mounted and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    path: PathBuf,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Unreadable(String),
    Mistakes(Vec<Mistake>),
}

impl Unreadable {
    /// One for each mistake.
    fn findings(&self) -> Vec<Finding> {
        let find = |field: String, message: &str| Finding {
            object: ObjectRef::new("File", "", self.path.display().to_string()),
            field,
            value: String::new(),
            severity: Severity::Fail,
            code: CODE,
            message: format!("{} What was read before stays in force.", sentence(message)),
        };
        match &self.why {
            Why::Unreadable(why) => vec![find(String::new(), &format!("it cannot be read: {why}"))],
            Why::Mistakes(mistakes) => mistakes
                .iter()
                .map(|Mistake { line, expected }| find(format!("line {line}"), expected))
                .collect(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.why {
            Why::Unreadable(why) => write!(f, "cannot read {path}: {why}"),
            Why::Mistakes(mistakes) => {
                write!(f, "{path} is no file of the downward API")?;
                mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

fn lines(all: &[Unreadable]) -> String {
    all.iter().map(Unreadable::to_string).collect::<Vec<_>>().join("\n")
}

const CODE: &str = "unreadable-podinfo";
/// The keys of Secrets that mean something here; others are not even read.
const SECRET_KEYS: [&str; 4] = ["tls.crt", "tls.key", "ca.crt", "ca.crl"];
/// Looks that may find everything different before it is read all the same.
const MOST_UNSETTLED: u32 = 2;
