//! Random events over the pure parts: whatever came, and however it was put together, the addresses in force are those
//! that a fresh translation gives.

use super::*;
use crate::cluster::store::{Change, Store};
use crate::cluster::stream::{Heard, Item, Stream, What};
use crate::objects::{Kind, Object};
use fastrand::Rng;
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn addresses_in_force_are_those_that_a_fresh_translation_gives() {
    let (mut alone, mut whole) = (0, 0);
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.event();
            // Changes come together, or one by one.
            if world.rng.bool() {
                match world.act() {
                    Change::Nothing => {}
                    Change::Endpoints(_) => alone += 1,
                    Change::Everything => whole += 1,
                }
                world.check(seed);
            }
        }
    }
    assert!(alone > 1000 && whole > 1000, "both ways are taken: {alone}, {whole}");
}

#[test]
fn endpoints_alone_are_what_a_translation_says_of_them() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let mut objects = Objects::default();
        for _ in 0..40 {
            objects.apply(any(&mut rng));
        }
        let options = options(&mut rng);
        let (declaration, _) = translate::translate(&objects, &options);
        let names = declaration.backends.keys();
        assert_eq!(translate::endpoints(&objects, &options, names), declaration.backends, "seed {seed}");
    }
}

/// What watches told, and what is in force.
struct World {
    rng: Rng,
    options: Options,
    store: Store,
    in_force: InForce,
    /// As the engine has them.
    backends: BTreeMap<BackendName, BackendSpec>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let options = options(&mut rng);
        let mut store = Store::default();
        KINDS.into_iter().for_each(|kind| store.expect(Stream::All(kind)));
        Self { rng, options, store, in_force: InForce::default(), backends: BTreeMap::new() }
    }

    /// One event of a watch, or a list that broke off or did not.
    fn event(&mut self) {
        let object = any(&mut self.rng);
        let stream = Stream::All(object.kind());
        let mut tell = |what| self.store.hear(Heard { stream: stream.clone(), what });
        match self.rng.u8(..20) {
            0 => {
                tell(What::Began);
                for _ in 0..self.rng.u8(..4) {
                    let listed = any(&mut self.rng);
                    if listed.kind() == object.kind() {
                        tell(What::Listed(Item::Object(listed)));
                    }
                }
                if self.rng.bool() {
                    tell(What::Ended);
                }
            }
            1..5 => tell(What::Deleted(Item::Object(object))),
            _ => tell(What::Applied(Item::Object(object))),
        }
    }

    /// As the follower acts.
    fn act(&mut self) -> Change {
        let change = self.store.take_change();
        match &change {
            Change::Nothing => {}
            Change::Endpoints(services) => {
                let Reaction { specs, findings } =
                    self.in_force.endpoints(self.store.objects(), &self.options, services);
                if findings == Findings::AreStale {
                    self.store.touch();
                }
                for (name, spec) in specs {
                    // The engine changes addresses, and leaves names as they are.
                    let old = self.backends.insert(name.clone(), spec.clone());
                    let addresses =
                        matches!((&old, &spec), (Some(BackendSpec::Addresses(_)), BackendSpec::Addresses(_)));
                    assert!(addresses || old.as_ref() == Some(&spec), "{name}: {old:?} became {spec:?}");
                }
            }
            Change::Everything => {
                let (declaration, _) = translate::translate(self.store.objects(), &self.options);
                self.in_force.replace(&declaration);
                self.backends = declaration.backends;
            }
        }
        change
    }

    fn check(&self, seed: u64) {
        let (declaration, _) = translate::translate(self.store.objects(), &self.options);
        assert_eq!(self.backends, declaration.backends, "seed {seed}");
    }
}

fn options(rng: &mut Rng) -> Options {
    Options { zone: rng.bool().then(|| "z1".to_owned()), ..Options::manifests() }
}

/// Few names, so that objects meet.
fn any(rng: &mut Rng) -> Object {
    match rng.u8(..10) {
        0 => Object::Ingress(Arc::new(typed(ingress(rng)))),
        1 | 2 => Object::Service(Arc::new(typed(service(rng)))),
        _ => Object::EndpointSlice(Arc::new(typed(slice(rng)))),
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn ingress(rng: &mut Rng) -> Value {
    let paths: Vec<_> = (0..rng.u8(..4))
        .map(|_| {
            let port = match rng.bool() {
                true => json!({"name": one(rng, &["http", "admin", "app"])}),
                false => json!({"number": one(rng, &[80, 81, 8080])}),
            };
            let service = json!({"name": one(rng, SERVICES), "port": port});
            json!({"path": "/", "pathType": "Prefix", "backend": {"service": service}})
        })
        .collect();
    json!({
        "metadata": {
            "namespace": "shop", "name": one(rng, &["i1", "i2", "i3"]),
            "annotations": {"weir.dev/service-upstream": one(rng, &["true", "false"])},
        },
        "spec": {"rules": [{"host": "a.example", "http": {"paths": paths}}]},
    })
}

fn service(rng: &mut Rng) -> Value {
    let mut ports =
        vec![json!({"name": "http", "port": 80, "targetPort": one(rng, &[json!(8080), json!("app")])})];
    if rng.bool() {
        ports.push(json!({"name": "admin", "port": 81}));
    }
    let mut spec = match rng.u8(..8) {
        0 => json!({"type": "ExternalName", "externalName": "api.example.org"}),
        1 => json!({"clusterIP": "None"}),
        2 => json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::96"]}),
        _ => json!({"clusterIP": "10.96.0.1"}),
    };
    if rng.u8(..8) > 0 {
        spec["ports"] = json!(ports);
    }
    json!({"metadata": {"namespace": "shop", "name": one(rng, SERVICES)}, "spec": spec})
}

fn slice(rng: &mut Rng) -> Value {
    let endpoints: Vec<_> = (0..rng.u8(..4))
        .map(|_| {
            let mut endpoint =
                json!({"addresses": [one(rng, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "x"])]});
            match rng.u8(..4) {
                0 => endpoint["conditions"] = json!({"ready": false, "serving": true, "terminating": true}),
                1 => endpoint["conditions"] = json!({"ready": false}),
                _ => {}
            }
            if rng.u8(..4) > 0 {
                endpoint["hints"] = json!({"forZones": [{"name": one(rng, &["z1", "z2"])}]});
            }
            endpoint
        })
        .collect();
    let mut ports = vec![json!({"name": "http", "port": one(rng, &[8080, 9090])})];
    if rng.bool() {
        ports.push(json!({"name": one(rng, &["admin", ""])}));
    }
    json!({
        "metadata": {
            "namespace": "shop", "name": one(rng, &["s1", "s2", "s3", "s4"]),
            "labels": {"kubernetes.io/service-name": one(rng, SERVICES)},
        },
        "addressType": one(rng, &["IPv4", "IPv4", "IPv4", "FQDN"]),
        "ports": ports,
        "endpoints": endpoints,
    })
}

fn one<T: Clone>(rng: &mut Rng, all: &[T]) -> T {
    rng.choice(all).unwrap().clone()
}

const SERVICES: &[&str] = &["a", "b", "c"];
const KINDS: [Kind; 3] = [Kind::Ingress, Kind::Service, Kind::EndpointSlice];
