//! What the operator decides about translation.

use super::class::{ClassByName, WithoutClass};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use weir_core::declaration::{BackendName, PortName};
use weir_core::policy::Profile;

/// What the operator decides about translation; flags, mostly.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Values of `spec.controller` of an IngressClass that are ours (`--controller-class`).
    pub controllers: Vec<String>,
    /// Class names that are ours in the annotation `kubernetes.io/ingress.class`, and where [`Self::class_by_name`] says
    /// so (`--ingress-class`).
    pub class_names: Vec<String>,
    /// Whether a class can be ours by name.
    pub class_by_name: ClassByName,
    /// What becomes of Ingresses without a class.
    pub without_class: WithoutClass,
    /// Whether an Ingress of a class that nobody has gets a finding. Right for a folder, which is meant for us; noise
    /// in a cluster, where other controllers serve classes of which there need be no object.
    pub report_unclaimed: bool,
    /// Only Ingresses of this namespace (`--watch-namespace`); `None` is every namespace.
    pub watch_namespace: Option<String>,
    /// Which namespaces, where it is not one alone.
    pub namespaces: Namespaces,
    /// The prefix of annotations beside `weir.dev`, without the slash (`--annotations-prefix`).
    pub annotation_prefix: String,
    /// The ConfigMap with the settings of the whole proxy (`--configmap`).
    pub config_map: Option<ObjectName>,
    /// The Service for requests that no route takes (`--default-backend-service`); its first port is used.
    pub default_backend: Option<ObjectName>,
    /// The Secret with the certificate of hosts without their own (`--default-ssl-certificate`); without one a
    /// self-signed certificate is made.
    pub default_certificate: Option<ObjectName>,
    /// Addresses given on the command line, in place of what the objects say (`--backend`).
    pub backends: BTreeMap<BackendName, Vec<SocketAddr>>,
    /// Which set of defaults.
    pub profile: Profile,
    /// The zone whose endpoints are preferred, where Kubernetes has hinted at zones (`--enable-topology-aware-routing`);
    /// `None` is all endpoints.
    pub zone: Option<String>,
    /// Whether Services may be DNS names (`--disable-svc-external-name`).
    pub external_names: ExternalNames,
    /// Whether an Ingress may take every host with its default backend (`--disable-catch-all`).
    pub catch_all: CatchAll,
}

impl Options {
    /// Defaults for a cluster: only classes whose controller is weir's.
    pub fn cluster() -> Self {
        Self {
            controllers: vec![CONTROLLER.to_owned()],
            class_names: vec!["weir".to_owned()],
            class_by_name: ClassByName::Never,
            without_class: WithoutClass::Ignore,
            report_unclaimed: false,
            watch_namespace: None,
            namespaces: Namespaces::Every,
            annotation_prefix: "nginx.ingress.kubernetes.io".to_owned(),
            config_map: None,
            default_backend: None,
            default_certificate: None,
            backends: BTreeMap::new(),
            profile: Profile::default(),
            zone: None,
            external_names: ExternalNames::Serve,
            catch_all: CatchAll::Serve,
        }
    }

    /// Defaults for a folder of manifests.
    ///
    /// A folder is given to weir on purpose, so classes of ingress-nginx's controller are served as well as weir's own.
    /// Where the folder has no IngressClass at all, Ingresses of class `weir` or `nginx` and those without a class are
    /// served; where it has one, the classes decide as they would in a cluster.
    pub fn manifests() -> Self {
        Self {
            controllers: vec![CONTROLLER.to_owned(), INGRESS_NGINX_CONTROLLER.to_owned()],
            class_names: vec!["weir".to_owned(), "nginx".to_owned()],
            class_by_name: ClassByName::WithoutClassObjects,
            without_class: WithoutClass::ServeWithoutClassObjects,
            report_unclaimed: true,
            ..Self::cluster()
        }
    }

    /// Adds an address of a backend; a backend may have several.
    pub fn add_backend(&mut self, added: BackendOverride) {
        self.backends.entry(added.backend).or_default().push(added.address);
    }
}

/// Which namespaces count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them.
    Every,
    /// Those that there are objects of: the source gets only those that were selected (`--watch-namespace-selector`).
    Selected,
}

/// What becomes of Services that are DNS names (`type: ExternalName`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalNames {
    /// Requests go to what the name resolves to.
    #[default]
    Serve,
    /// Requests get 503: whoever writes a Service chooses no host that weir can reach and they cannot.
    Refuse,
}

/// What becomes of Ingresses with a default backend and no rules, which take the requests for every host that no other
/// takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchAll {
    /// They are served.
    #[default]
    Serve,
    /// They are left out.
    Ignore,
}

/// `NAMESPACE/NAME`: a namespaced object named by a flag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FromStr for ObjectName {
    type Err = ParseOptionError;

    fn from_str(text: &str) -> Result<Self, ParseOptionError> {
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(ParseOptionError::ObjectName(text.to_owned())),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// `NAMESPACE/SERVICE:PORT=ADDR`: one address of a backend, as `--backend` gives it. `PORT` is the number or the name of
/// a port of the Service, which need not exist; `ADDR` is an IP address with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendOverride {
    /// The backend.
    pub backend: BackendName,
    /// One of its addresses.
    pub address: SocketAddr,
}

impl FromStr for BackendOverride {
    type Err = ParseOptionError;

    fn from_str(text: &str) -> Result<Self, ParseOptionError> {
        let parse = || {
            let (backend, address) = text.split_once('=')?;
            let (object, port) = backend.rsplit_once(':')?;
            let object: ObjectName = object.parse().ok()?;
            let port = match port.parse() {
                Ok(0) => return None,
                Ok(number) => PortName::Number(number),
                Err(_) if is_name(port) => PortName::Name(port.to_owned()),
                Err(_) => return None,
            };
            let address = address.parse().ok().filter(|address: &SocketAddr| address.port() != 0)?;
            Some(Self { backend: BackendName::new(&object.namespace, &object.name, port), address })
        };
        parse().ok_or_else(|| ParseOptionError::Backend(text.to_owned()))
    }
}

/// A flag's value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseOptionError {
    /// Not `NAMESPACE/NAME`.
    #[error("expected NAMESPACE/NAME, found {0:?}")]
    ObjectName(String),
    /// Not `NAMESPACE/SERVICE:PORT=ADDR`.
    #[error("expected NAMESPACE/SERVICE:PORT=ADDR with an address such as 127.0.0.1:9000, found {0:?}")]
    Backend(String),
}

/// Names of namespaces, Services and ports: letters, digits, `-` and `.`. Looser than Kubernetes in details that do no
/// harm here: a name that no object can have matches none.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

const CONTROLLER: &str = "weir.dev/ingress-controller";
const INGRESS_NGINX_CONTROLLER: &str = "k8s.io/ingress-nginx";
