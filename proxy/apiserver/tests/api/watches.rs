//! Watches, event by event.

use crate::http::{get, watch, watch_as};
use serde_json::{Value, json};
use std::time::Duration;
use weir_apiserver::{ApiServer, Cluster, Options};

fn server() -> ApiServer {
    ApiServer::start_blocking(Options::default()).unwrap()
}

fn config_map(name: &str, label: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"is": label}}})
}

const MAPS: &str = "/api/v1/configmaps";

#[test]
fn a_watch_goes_on_from_a_version() {
    let server = server();
    server.put_value(config_map("a", "x")).unwrap();
    let version = server.version();
    server.put_value(config_map("b", "x")).unwrap();
    let mut watch = watch(&server, &format!("{MAPS}?watch=1&resourceVersion={version}"));
    assert_eq!(watch.short(), "ADDED b");
    server.put_value(config_map("a", "y")).unwrap();
    let (kind, object) = watch.event();
    assert_eq!(
        (kind.as_str(), &object["kind"], &object["metadata"]["labels"]["is"]),
        ("MODIFIED", &json!("ConfigMap"), &json!("y"))
    );
    server.delete("configmaps", "default", "a").unwrap();
    let (kind, object) = watch.event();
    assert_eq!((kind.as_str(), &object["metadata"]["name"]), ("DELETED", &json!("a")));
    // The version of a deleted object is that of its deletion.
    assert_eq!(object["metadata"]["resourceVersion"], server.version().to_string());
}

#[test]
fn a_watch_without_a_version_begins_with_what_is_there() {
    let server = server();
    server.put_value(config_map("a", "x")).unwrap();
    for query in ["watch=true", "watch=1&resourceVersion=0"] {
        assert_eq!(watch(&server, &format!("{MAPS}?{query}")).short(), "ADDED a");
    }
}

#[test]
fn initial_events_end_with_a_marked_bookmark() {
    let server = server();
    server.put_value(config_map("a", "x")).unwrap();
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut stream = watch(&server, &format!("{MAPS}?{query}"));
    assert_eq!(stream.short(), "ADDED a");
    let (kind, mark) = stream.event();
    assert_eq!(kind, "BOOKMARK");
    assert_eq!(mark["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(mark["metadata"]["resourceVersion"], server.version().to_string());
    server.put_value(config_map("b", "x")).unwrap();
    assert_eq!(stream.short(), "ADDED b");
    let none = get(&server, &format!("{MAPS}?watch=1&sendInitialEvents=true"));
    assert_eq!(none.code, 422);
    assert_eq!(get(&server, &format!("{MAPS}?watch=1&resourceVersionMatch=NotOlderThan")).code, 422);
}

#[test]
fn what_leaves_a_selector_is_deleted_and_what_enters_is_added() {
    let server = server();
    server.put_value(config_map("a", "out")).unwrap();
    let mut watch =
        watch(&server, &format!("{MAPS}?watch=1&labelSelector=is%3Din&resourceVersion={}", server.version()));
    server.put_value(config_map("b", "out")).unwrap();
    server.put_value(config_map("a", "in")).unwrap();
    assert_eq!(watch.short(), "ADDED a");
    server.put_value(config_map("a", "out")).unwrap();
    assert_eq!(watch.short(), "DELETED a");
    server.delete("configmaps", "default", "a").unwrap();
    server.put_value(config_map("c", "in")).unwrap();
    assert_eq!(watch.short(), "ADDED c");
}

#[test]
fn a_watch_of_a_namespace_or_a_name_sees_nothing_else() {
    let server = server();
    let version = server.version();
    let mut of_namespace =
        watch(&server, &format!("/api/v1/namespaces/x/configmaps?watch=1&resourceVersion={version}"));
    let mut of_name =
        watch(&server, &format!("{MAPS}?watch=1&resourceVersion={version}&fieldSelector=metadata.name%3Dc"));
    for (namespace, name) in [("y", "a"), ("x", "b"), ("x", "c")] {
        let mut object = config_map(name, "x");
        object["metadata"]["namespace"] = namespace.into();
        server.put_value(object).unwrap();
    }
    assert_eq!((of_namespace.short(), of_namespace.short()), ("ADDED b".to_owned(), "ADDED c".to_owned()));
    assert_eq!(of_name.short(), "ADDED c");
    let asked: Vec<_> = server.requests().iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["watch configmaps x/", "watch configmaps /c"]);
}

#[test]
fn bookmarks_come_when_they_are_due_and_wanted() {
    let options = Options { bookmark_every: Duration::from_millis(1), ..Options::default() };
    let server = ApiServer::start_blocking(options).unwrap();
    let mut stream = watch(
        &server,
        &format!("{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion={}", server.version()),
    );
    let (kind, mark) = stream.event();
    assert_eq!((kind.as_str(), &mark["kind"]), ("BOOKMARK", &json!("ConfigMap")));
    assert_eq!(mark["metadata"].get("annotations"), None);
    let mut without = watch(&server, &format!("{MAPS}?watch=1&resourceVersion={}", server.version()));
    server.put_value(config_map("a", "x")).unwrap();
    assert_eq!(without.short(), "ADDED a");
}

#[test]
fn a_forced_bookmark_has_the_version_of_other_kinds_changes_too() {
    let server = server();
    let mut stream = watch(
        &server,
        &format!("{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion={}", server.version()),
    );
    assert!(server.until_blocking(crate::http::PATIENCE, |it| it.watches().len() == 1));
    server.put_value(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})).unwrap();
    server.faults().bookmark();
    assert_eq!(stream.event().1["metadata"]["resourceVersion"], server.version().to_string());
}

#[test]
fn a_version_that_is_gone_is_an_error_event() {
    let server = server();
    server.put_value(config_map("a", "x")).unwrap();
    let version = server.version();
    server.put_value(config_map("b", "x")).unwrap();
    server.faults().compact();
    let mut gone = watch(&server, &format!("{MAPS}?watch=1&resourceVersion={version}"));
    let (kind, status) = gone.event();
    assert_eq!((kind.as_str(), &status["kind"], &status["code"]), ("ERROR", &json!("Status"), &json!(410)));
    assert_eq!(status["reason"], "Expired");
    assert_eq!(gone.line(), None);
    let mut present = watch(&server, &format!("{MAPS}?watch=1&resourceVersion={}", server.version()));
    server.put_value(config_map("c", "x")).unwrap();
    assert_eq!(present.short(), "ADDED c");
}

#[test]
fn a_watch_ends_by_its_timeout() {
    let options = Options { watch_timeout: Duration::from_millis(1), ..Options::default() };
    let server = ApiServer::start_blocking(options).unwrap();
    assert_eq!(watch(&server, &format!("{MAPS}?watch=1&timeoutSeconds=600")).line(), None);
    assert!(server.until_blocking(crate::http::PATIENCE, |it| it.watches().is_empty()));
}

#[test]
fn a_watch_of_metadata_has_no_data() {
    let server = server();
    let accept = [("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")];
    let path = format!("{MAPS}?watch=1&allowWatchBookmarks=1&resourceVersion={}", server.version());
    let mut stream = watch_as(&server, &path, &accept);
    let mut object = config_map("a", "x");
    object["data"] = json!({"key": "value"});
    server.put_value(object).unwrap();
    let (_, object) = stream.event();
    assert_eq!((&object["kind"], object.get("data")), (&json!("PartialObjectMetadata"), None));
    server.faults().bookmark();
    assert_eq!(stream.event().1["kind"], "PartialObjectMetadata");
}

#[test]
fn a_watch_whose_client_left_is_closed() {
    let server = server();
    let stream = watch(&server, &format!("{MAPS}?watch=1"));
    assert!(server.until_blocking(crate::http::PATIENCE, |it| it.watches().len() == 1));
    drop(stream);
    assert!(server.until_blocking(crate::http::PATIENCE, |it| it.watches().is_empty()));
}
