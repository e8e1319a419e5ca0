use super::*;

fn registry() -> Registry {
    Registry::new(1000, EndpointAddresses::Routable, TIME)
}

fn write() -> Write {
    Write { time: TIME.to_owned(), dry_run: false, manager: "test".to_owned(), origin: Origin::Client }
}

fn ingresses() -> &'static Resource {
    Resource::named("ingresses").unwrap()
}

fn ingress(service: &str) -> Value {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    json!({"metadata": {"name": "web"}, "spec": {"defaultBackend": backend}})
}

fn key() -> Key {
    Key::new("default", "web")
}

const TIME: &str = "2026-01-02T03:04:05Z";

#[test]
fn a_new_object_gets_what_the_server_assigns() {
    let mut registry = registry();
    let mut object = ingress("a");
    object["metadata"]["uid"] = "mine".into();
    object["metadata"]["creationTimestamp"] = Value::Null;
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
    let made = registry.create(ingresses(), "default", object.clone(), &write()).unwrap();
    assert_eq!(made.value["status"], json!({"loadBalancer": {}}));
    let metadata = &made.value["metadata"];
    assert_eq!(
        (metadata["creationTimestamp"].as_str(), metadata["generation"].as_u64()),
        (Some(TIME), Some(1))
    );
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert_eq!(metadata["resourceVersion"], made.version.to_string());
    assert_eq!(made.value["kind"], "Ingress");
    let error = registry.create(ingresses(), "default", object.clone(), &write()).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "AlreadyExists"));
    assert_eq!(error.message, "ingresses.networking.k8s.io \"web\" already exists");
    let error = registry.create(ingresses(), "nowhere", object, &write()).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (404, "namespaces \"nowhere\" not found"));
}

#[test]
fn names_are_made_from_a_prefix() {
    let mut registry = registry();
    let maps = Resource::named("configmaps").unwrap();
    let object = json!({"metadata": {"generateName": "a-"}});
    let made = registry.create(maps, "default", object, &write()).unwrap();
    let name = text(&made.value, "name");
    assert!(name.starts_with("a-") && name.len() == 7, "{name}");
    assert_eq!(registry.create(maps, "default", json!({}), &write()).unwrap_err().code, 422);
}

#[test]
fn an_update_of_an_old_version_is_a_conflict() {
    let mut registry = registry();
    let first = registry.create(ingresses(), "default", ingress("a"), &write()).unwrap();
    let mut object = ingress("b");
    object["metadata"]["resourceVersion"] = first.version.to_string().into();
    let second = registry.update(ingresses(), &key(), Part::Main, object.clone(), &write()).unwrap();
    assert_eq!(second.value["metadata"]["generation"], 2);
    let error = registry.update(ingresses(), &key(), Part::Main, object, &write()).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
    // Without a version it replaces what is there, and what changes nothing makes no version.
    let third = registry.update(ingresses(), &key(), Part::Main, ingress("b"), &write()).unwrap();
    assert_eq!(third.version, second.version);
    let error =
        registry.update(ingresses(), &Key::new("default", "x"), Part::Main, json!({}), &write()).unwrap_err();
    assert_eq!(error.code, 404);
}

#[test]
fn a_lease_is_not_replaced_without_a_version() {
    let mut registry = registry();
    let leases = Resource::named("leases").unwrap();
    let lease = json!({"metadata": {"name": "web"}, "spec": {"holderIdentity": "a"}});
    registry.create(leases, "default", lease.clone(), &write()).unwrap();
    assert_eq!(registry.update(leases, &key(), Part::Main, lease, &write()).unwrap_err().code, 422);
}

#[test]
fn status_and_the_rest_are_written_apart() {
    let mut registry = registry();
    registry.create(ingresses(), "default", ingress("a"), &write()).unwrap();
    let status = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
    let mut object = ingress("b");
    object["status"] = status.clone();
    let main = registry.update(ingresses(), &key(), Part::Main, object.clone(), &write()).unwrap();
    assert_eq!(main.value["status"], json!({"loadBalancer": {}}));
    let object = json!({"metadata": {"labels": {"x": "y"}}, "spec": ingress("c")["spec"], "status": status});
    let patched =
        registry.patch(ingresses(), &key(), Part::Status, (Form::Merge, &object), &write()).unwrap();
    assert_eq!(patched.value["status"], status);
    assert_eq!(patched.value["spec"], main.value["spec"]);
    assert_eq!(patched.value["metadata"]["labels"], json!({"x": "y"}), "metadata belong to both");
    assert_eq!(patched.value["metadata"]["generation"], 2);
}

#[test]
fn a_patch_with_an_old_version_is_a_conflict() {
    let mut registry = registry();
    registry.create(ingresses(), "default", ingress("a"), &write()).unwrap();
    let patch = json!({"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}});
    let error = registry.patch(ingresses(), &key(), Part::Main, (Form::Merge, &patch), &write()).unwrap_err();
    assert_eq!(error.reason, "Conflict");
    let patch = json!([{"op": "test", "path": "/kind", "value": "Pod"}]);
    let error = registry.patch(ingresses(), &key(), Part::Main, (Form::Json, &patch), &write()).unwrap_err();
    assert_eq!(error.code, 422);
}

#[test]
fn apply_makes_merges_and_removes_what_it_made() {
    let mut registry = registry();
    let mut config =
        json!({"kind": "Ingress", "apiVersion": "networking.k8s.io/v1", "spec": ingress("a")["spec"]});
    config["metadata"] = json!({"annotations": {"a": "1", "b": "2"}});
    let made = registry.patch(ingresses(), &key(), Part::Main, (Form::Apply, &config), &write()).unwrap();
    assert_eq!(made.value["metadata"]["name"], "web");
    config["metadata"] = json!({"annotations": {"a": "3"}});
    let merged = registry.patch(ingresses(), &key(), Part::Main, (Form::Apply, &config), &write()).unwrap();
    assert_eq!(merged.value["metadata"]["annotations"], json!({"a": "3"}));
    let nobody = Write { manager: String::new(), ..write() };
    let error = registry.patch(ingresses(), &key(), Part::Main, (Form::Apply, &config), &nobody).unwrap_err();
    assert!(error.message.contains("fieldManager"));
}

#[test]
fn finalizers_delay_a_delete() {
    let mut registry = registry();
    let mut object = ingress("a");
    object["metadata"]["finalizers"] = json!(["x/y"]);
    registry.create(ingresses(), "default", object, &write()).unwrap();
    let waiting = registry.delete(ingresses(), &key(), &Preconditions::default(), &write()).unwrap();
    assert!(matches!(waiting, Deleted::Waiting(it) if it.value["metadata"]["deletionTimestamp"] == TIME));
    let patch = json!({"metadata": {"finalizers": null}});
    registry.patch(ingresses(), &key(), Part::Main, (Form::Merge, &patch), &write()).unwrap();
    assert_eq!(registry.get(ingresses(), &key()).unwrap_err().reason, "NotFound");
}

#[test]
fn a_delete_may_say_which_object_it_means() {
    let mut registry = registry();
    let made = registry.create(ingresses(), "default", ingress("a"), &write()).unwrap();
    let other = Preconditions { uid: Some("other".to_owned()), version: None };
    assert_eq!(registry.delete(ingresses(), &key(), &other, &write()).unwrap_err().code, 409);
    let this = Preconditions {
        uid: Some(text(&made.value, "uid").to_owned()),
        version: Some(made.version.to_string()),
    };
    let gone = registry.delete(ingresses(), &key(), &this, &write()).unwrap();
    assert!(matches!(gone, Deleted::Gone(last) if last.version > made.version));
}

#[test]
fn a_namespace_goes_with_what_is_in_it() {
    let mut registry = registry();
    registry.ensure_namespace("a", TIME);
    registry.create(ingresses(), "a", ingress("a"), &write()).unwrap();
    registry.create(ingresses(), "default", ingress("a"), &write()).unwrap();
    let namespaces = Resource::named("namespaces").unwrap();
    registry.delete(namespaces, &Key::new("", "a"), &Preconditions::default(), &write()).unwrap();
    assert_eq!(registry.store.list(ingresses(), "").len(), 1);
}

#[test]
fn a_dry_run_answers_and_changes_nothing() {
    let mut registry = registry();
    let before = registry.store.version();
    let dry = Write { dry_run: true, ..write() };
    registry.create(ingresses(), "default", ingress("a"), &dry).unwrap();
    assert_eq!((registry.store.version(), registry.store.list(ingresses(), "").len()), (before, 0));
}

#[test]
fn the_test_may_say_how_old_an_object_is() {
    let mut registry = registry();
    let test = Write { origin: Origin::Test, ..write() };
    let mut object = ingress("a");
    object["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
    let made = registry.create(ingresses(), "default", object.clone(), &test).unwrap();
    assert_eq!(text(&made.value, "creationTimestamp"), "2020-01-01T00:00:00Z");
    assert_eq!(made.value["status"], object["status"]);
}

#[test]
fn an_update_of_what_is_not_there_creates_some_kinds_and_never_what_was_another() {
    let mut registry = registry();
    let put = |registry: &mut Registry, resource: &'static Resource, object: Value| {
        let written = registry.update(resource, &key(), Part::Main, object, &write());
        written.map(|it| it.value["metadata"]["name"].clone()).map_err(|error| error.code)
    };
    let leases = Resource::named("leases").unwrap();
    let lease = |metadata: Value| json!({"metadata": metadata, "spec": {"holderIdentity": "a"}});
    // Somebody has deleted the object that this client has read.
    assert_eq!(put(&mut registry, leases, lease(json!({"name": "web", "uid": "of-old"}))), Err(409));
    assert_eq!(put(&mut registry, ingresses(), ingress("a")), Err(404));
    assert_eq!(
        put(&mut registry, leases, lease(json!({"name": "web", "resourceVersion": "3"}))),
        Ok(json!("web"))
    );
    let status = registry.update(leases, &Key::new("default", "b"), Part::Status, lease(json!({})), &write());
    assert_eq!(status.unwrap_err().code, 404);
}
