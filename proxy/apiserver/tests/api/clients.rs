//! The server as `kube` meets it.

use crate::http::PATIENCE;
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;
use weir_apiserver::{ApiServer, Cluster, Disturbance, Failure, History, Matching, Options, Pace, Verb};

async fn client(server: &ApiServer) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

fn ingress(name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": "default"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    })
}

fn map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}})
}

#[tokio::test]
async fn a_client_does_all_that_clients_do() {
    let server = ApiServer::start(Options::in_cluster("token")).await.unwrap();
    let ingresses: Api<Ingress> = Api::namespaced(client(&server).await, "default");
    let object: Ingress = serde_json::from_value(ingress("web")).unwrap();
    let mut made = ingresses.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(made.uid().map(|it| it.len()), Some(36));
    made.annotations_mut().insert("a".to_owned(), "b".to_owned());
    let replaced = ingresses.replace("web", &PostParams::default(), &made).await.unwrap();
    assert_eq!(replaced.annotations().get("a").map(String::as_str), Some("b"));
    let stale = ingresses.replace("web", &PostParams::default(), &made).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"));
    let status = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}},
    });
    let params = PatchParams::apply("test").force();
    let applied = ingresses.patch_status("web", &params, &Patch::Apply(&status)).await.unwrap();
    assert_eq!(serde_json::to_value(&applied.status).unwrap(), status["status"]);
    let list = ingresses.list(&ListParams::default().fields("metadata.name=web")).await.unwrap();
    assert_eq!((list.items.len(), list.types.kind.as_str()), (1, "IngressList"));
    assert!(ingresses.delete("web", &DeleteParams::default()).await.unwrap().is_right());
    assert!(ingresses.get_opt("web").await.unwrap().is_none());
    server.set_tokens([]);
    server.set_tokens([("other".to_owned(), "x".to_owned())]);
    let unknown = ingresses.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(unknown, kube::Error::Api(status) if status.code == 401));
}

/// What a watcher has seen, as a client would keep it.
struct Follower {
    events: Pin<Box<dyn Stream<Item = Result<Event<ConfigMap>, watcher::Error>> + Send>>,
    seen: BTreeMap<String, String>,
    fresh: BTreeMap<String, String>,
    lists: u32,
    errors: Vec<String>,
}

impl Follower {
    async fn new(server: &ApiServer, config: watcher::Config) -> Self {
        let maps: Api<ConfigMap> = Api::all(client(server).await);
        // It tries again at once: how long to wait is for who uses it to say.
        let events = watcher::watcher(maps, config).boxed();
        Self { events, seen: BTreeMap::new(), fresh: BTreeMap::new(), lists: 0, errors: Vec::new() }
    }

    /// Goes on until it has seen exactly this.
    async fn until(&mut self, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let follow = async {
            while self.seen != expected {
                match self.events.next().await.unwrap() {
                    Ok(Event::Init) => self.fresh.clear(),
                    Ok(Event::InitApply(it)) => drop(self.fresh.insert(it.name_any(), value(&it))),
                    Ok(Event::InitDone) => {
                        self.lists += 1;
                        self.seen = std::mem::take(&mut self.fresh);
                    }
                    Ok(Event::Apply(it)) => drop(self.seen.insert(it.name_any(), value(&it))),
                    Ok(Event::Delete(it)) => drop(self.seen.remove(&it.name_any())),
                    Err(error) => self.errors.push(error.to_string()),
                }
            }
        };
        let done = tokio::time::timeout(PATIENCE, follow).await.is_ok();
        assert!(done, "expected {expected:?}, saw {:?} with errors {:?}", self.seen, self.errors);
    }
}

fn value(map: &ConfigMap) -> String {
    map.data.as_ref().and_then(|it| it.get("key")).cloned().unwrap_or_default()
}

fn configs() -> [watcher::Config; 3] {
    [
        watcher::Config::default(),
        watcher::Config::default().any_semantic(),
        watcher::Config::default().streaming_lists(),
    ]
}

#[tokio::test]
async fn a_watcher_follows() {
    for config in configs() {
        let server = ApiServer::start(Options::default()).await.unwrap();
        server.put_value(map("a", "1")).unwrap();
        let mut follower = Follower::new(&server, config).await;
        follower.until(&[("a", "1")]).await;
        server.put_value(map("b", "1")).unwrap();
        server.put_value(map("a", "2")).unwrap();
        follower.until(&[("a", "2"), ("b", "1")]).await;
        server.delete("configmaps", "default", "a").unwrap();
        follower.until(&[("b", "1")]).await;
        assert_eq!((follower.lists, follower.errors.len()), (1, 0), "{:?}", follower.errors);
    }
}

#[tokio::test]
async fn a_watcher_lists_in_pages() {
    let server = ApiServer::start(Options::default()).await.unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        server.put_value(map(name, "1")).unwrap();
    }
    let mut follower = Follower::new(&server, watcher::Config::default().page_size(2)).await;
    follower.until(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]).await;
    assert_eq!(server.requests().iter().filter(|it| it.verb == Verb::List).count(), 3);
}

#[tokio::test]
async fn a_watcher_survives_what_happens_to_watches() {
    let disturbances = [
        (Disturbance::End, 1),
        (Disturbance::Reset, 1),
        (Disturbance::Garbage, 1),
        (Disturbance::CutOff, 1),
        (Disturbance::Error(410), 2),
    ];
    for config in configs() {
        for (disturbance, lists) in disturbances {
            let server = ApiServer::start(Options::default()).await.unwrap();
            server.put_value(map("a", "1")).unwrap();
            let mut follower = Follower::new(&server, config.clone()).await;
            follower.until(&[("a", "1")]).await;
            server.put_value(map("b", "1")).unwrap();
            follower.until(&[("a", "1"), ("b", "1")]).await;
            server.faults().disturb(Matching::all(), disturbance);
            server.put_value(map("a", "2")).unwrap();
            server.delete("configmaps", "default", "b").unwrap();
            follower.until(&[("a", "2")]).await;
            assert_eq!(follower.lists, lists, "{disturbance:?}: {:?}", follower.errors);
        }
    }
}

#[tokio::test]
async fn a_watcher_survives_restarts_and_compaction() {
    for config in configs() {
        let mut server = ApiServer::start(Options::default()).await.unwrap();
        server.put_value(map("a", "1")).unwrap();
        let mut follower = Follower::new(&server, config).await;
        follower.until(&[("a", "1")]).await;
        server.pause();
        server.put_value(map("b", "1")).unwrap();
        server.resume().unwrap();
        follower.until(&[("a", "1"), ("b", "1")]).await;
        assert_eq!(follower.lists, 1, "the history was kept");
        server.pause();
        server.delete("configmaps", "default", "a").unwrap();
        server.restart_with(History::Lose).unwrap();
        follower.until(&[("b", "1")]).await;
        assert_eq!(follower.lists, 2, "the history was lost");
    }
}

#[tokio::test]
async fn a_watcher_survives_refusals_and_slowness() {
    let server = ApiServer::start(Options::default()).await.unwrap();
    server.put_value(map("a", "1")).unwrap();
    let faults = server.faults();
    faults.fail_next(2, Matching::all().verb(Verb::List), Failure::Answer(503, None));
    faults.fail_next(1, Matching::all().verb(Verb::List), Failure::Reset);
    faults.fail_next(1, Matching::all().verb(Verb::Watch), Failure::Answer(500, None));
    faults.slow(Some(Pace { bytes: 1, every: Duration::ZERO }));
    let mut follower = Follower::new(&server, watcher::Config::default()).await;
    follower.until(&[("a", "1")]).await;
    server.put_value(map("b", "1")).unwrap();
    follower.until(&[("a", "1"), ("b", "1")]).await;
    // The client itself tries again after 503.
    assert_eq!(follower.errors.len(), 2, "{:?}", follower.errors);
}

#[tokio::test]
async fn a_watcher_of_metadata_sees_no_data() {
    let server = ApiServer::start(Options::default()).await.unwrap();
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": "x"}});
    server.put_value(secret("a")).unwrap();
    let secrets: Api<PartialObjectMeta<Secret>> = Api::all(client(&server).await);
    let mut events = watcher::watcher(secrets, watcher::Config::default()).boxed();
    let mut next = async || tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap();
    let name = |it: &PartialObjectMeta<Secret>| it.name_any();
    assert!(matches!(next().await, Event::Init));
    assert!(matches!(next().await, Event::InitApply(it) if name(&it) == "a"));
    assert!(matches!(next().await, Event::InitDone));
    server.put_value(secret("b")).unwrap();
    assert!(matches!(next().await, Event::Apply(it) if name(&it) == "b"));
}
