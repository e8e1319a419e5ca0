//! A cluster with objects, and a follower whose updates a test can wait for.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};
use weir_apiserver::{ApiServer, Cluster as _, Options as ServerOptions};
use weir_core::Finding;
use weir_core::declaration::{BackendName, BackendSpec, Declaration};
use weir_kubernetes::cluster::{Cluster, Settings, Timing, Update};
use weir_kubernetes::publish::{self, AtTheEnd, Election, Events, Status};
use weir_kubernetes::translate::{ObjectName, Options};

/// How long anything may take before a test gives up. Never waited for when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server with a class of ours.
pub(crate) fn server() -> ApiServer {
    server_with(ServerOptions::default())
}

pub(crate) fn server_with(options: ServerOptions) -> ApiServer {
    let server = ApiServer::start_blocking(options).unwrap();
    // Where we live.
    server.put_value(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "weir"}})).unwrap();
    server
        .put_value(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "weir"},
            "spec": {"controller": "weir.dev/ingress-controller"},
        }))
        .unwrap();
    server
}

/// Follows a cluster, and keeps what it hands on.
pub(crate) struct Follower {
    pub(crate) cluster: Cluster,
    updates: Receiver<Update>,
    /// Held, for the follower reads it as it starts.
    _folder: tempfile::TempDir,
}

/// Nothing is written back.
pub(crate) fn quiet() -> publish::Settings {
    publish::Settings {
        status: Status::Keep,
        interval: Duration::from_secs(60),
        at_the_end: AtTheEnd::Keep,
        events: Events::Never,
        election: Election::Alone,
        identity: "weir-0".to_owned(),
        pod: None,
    }
}

/// Pauses and watches at their shortest, and patience where a busy machine needs it.
pub(crate) fn timing() -> Timing {
    Timing {
        watch: Duration::from_secs(1),
        list: Duration::from_secs(5),
        pause_min: Duration::from_millis(1),
        pause_max: Duration::from_millis(50),
        secrets: PATIENCE,
        first_secrets: PATIENCE,
        zone: PATIENCE,
    }
}

impl Follower {
    pub(crate) fn start(server: &ApiServer) -> Self {
        Self::start_with(server, |_| {})
    }

    pub(crate) fn start_with(server: &ApiServer, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
        let mut settings = Settings {
            options: Options::cluster(),
            namespace_selector: None,
            kubeconfig: Some(kubeconfig),
            apiserver_host: None,
            certificate_authority: None,
            node: None,
            timing: timing(),
            publish: quiet(),
        };
        change(&mut settings);
        let (tell, updates) = channel();
        let on_update = move |update: Update| {
            let findings = match &update {
                Update::Configuration(_, findings) => findings.clone(),
                Update::Endpoints(_) => Vec::new(),
            };
            // The test may have ended.
            let _ = tell.send(update);
            findings
        };
        let cluster = Cluster::follow(settings, on_update).unwrap();
        Self { cluster, updates, _folder: folder }
    }

    /// The next update.
    #[track_caller]
    pub(crate) fn next(&self) -> Update {
        self.updates.recv_timeout(PATIENCE).expect("an update")
    }

    /// Configurations up to the first that is as it should be; updates of endpoints on the way are passed over.
    #[track_caller]
    pub(crate) fn until(&self, so: impl Fn(&Declaration, &[Finding]) -> bool) -> (Declaration, Vec<Finding>) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.updates.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Update::Configuration(declaration, findings)) if so(&declaration, &findings) => {
                    return (*declaration, findings);
                }
                Ok(_) => {}
                Err(error) => panic!("no such configuration: {error}"),
            }
        }
    }

    /// The first configuration that serves these hosts, in this order, and no others.
    #[track_caller]
    pub(crate) fn until_hosts(&self, hosts: &[&str]) -> Declaration {
        self.until(|declaration, _| hosts_of(declaration) == hosts).0
    }

    /// The next change of endpoints. Nothing else may come before.
    #[track_caller]
    pub(crate) fn endpoints(&self) -> BTreeMap<BackendName, BackendSpec> {
        match self.next() {
            Update::Endpoints(endpoints) => endpoints,
            Update::Configuration(declaration, _) => panic!("a configuration: {:?}", hosts_of(&declaration)),
        }
    }

    /// Makes sure that nothing more was handed on. `server` is made to tell something that is waited for.
    #[track_caller]
    pub(crate) fn nothing_but(&self, server: &ApiServer, marker: &str) {
        put_ingress(server, "shop", marker, &json!({}));
        match self.next() {
            Update::Configuration(declaration, _) => {
                assert!(
                    hosts_of(&declaration).contains(&format!("{marker}.example").as_str()),
                    "something else came"
                );
            }
            Update::Endpoints(endpoints) => panic!("endpoints: {endpoints:?}"),
        }
        match self.updates.try_recv() {
            Err(TryRecvError::Empty) => {}
            other => panic!("something else came too: {other:?}"),
        }
    }

    /// Whether nothing was told since it was last asked.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.updates.try_recv(), Err(TryRecvError::Empty))
    }
}

/// The hosts that are served, by namespace and name of their Ingress.
pub(crate) fn hosts_of(declaration: &Declaration) -> Vec<&str> {
    let rules = declaration.ingresses.iter().flat_map(|ingress| &ingress.rules);
    rules.map(|rule| rule.host.as_str()).collect()
}

/// An Ingress for `NAME.example`, whose path `/` leads to the Service of its name.
pub(crate) fn ingress(namespace: &str, name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations},
        "spec": {
            "ingressClassName": "weir",
            "rules": [{"host": format!("{name}.example"), "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": name, "port": {"number": 80}}},
            }]}}],
        },
    })
}

pub(crate) fn put_ingress(server: &ApiServer, namespace: &str, name: &str, annotations: &Value) {
    server.put_value(ingress(namespace, name, annotations)).unwrap();
}

/// The Service that [`ingress`] leads to.
pub(crate) fn put_service(server: &ApiServer, namespace: &str, name: &str) {
    server
        .put_value(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name},
            "spec": {"ports": [{"port": 80, "targetPort": 8080}], "clusterIP": "10.96.0.10"},
        }))
        .unwrap();
}

/// Its endpoints, which are ready.
pub(crate) fn put_endpoints(server: &ApiServer, namespace: &str, name: &str, addresses: &[&str]) {
    let endpoints: Vec<_> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "conditions": {"ready": true}}))
        .collect();
    server
        .put_value(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"namespace": namespace, "name": format!("{name}-1"), "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"port": 8080, "protocol": "TCP", "name": ""}],
            "endpoints": endpoints,
        }))
        .unwrap();
}

/// An Ingress with all it needs.
pub(crate) fn put_all(server: &ApiServer, namespace: &str, name: &str, addresses: &[&str]) {
    put_service(server, namespace, name);
    put_endpoints(server, namespace, name, addresses);
    put_ingress(server, namespace, name, &json!({}));
}

/// The addresses of the one backend whose Service has this name.
pub(crate) fn addresses_of(backends: &BTreeMap<BackendName, BackendSpec>, service: &str) -> Vec<String> {
    let spec = backends.iter().find(|(name, _)| name.service == service).map(|(_, spec)| spec);
    match spec {
        Some(BackendSpec::Addresses(addresses)) => addresses.iter().map(ToString::to_string).collect(),
        other => panic!("no addresses of {service}: {other:?}"),
    }
}

pub(crate) fn object(namespace: &str, name: &str) -> ObjectName {
    ObjectName { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// Asks again and again until `condition` holds; gives up after [`PATIENCE`].
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}
