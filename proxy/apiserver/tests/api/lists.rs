//! Lists: of now, in pages, of the past, in part.

use crate::http::{get, send};
use serde_json::{Value, json};
use weir_apiserver::{ApiServer, Cluster, Options};

fn server() -> ApiServer {
    ApiServer::start_blocking(Options::default()).unwrap()
}

fn config_map(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name, "labels": {"n": name}}})
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|it| it["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn a_list_is_of_a_kind_and_a_version() {
    let server = server();
    server.put_value(config_map("a", "x")).unwrap();
    server.put_value(config_map("b", "y")).unwrap();
    let list = get(&server, "/api/v1/configmaps").body;
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    assert_eq!(list["metadata"]["resourceVersion"], server.version().to_string());
    assert_eq!(names(&list), ["x", "y"]);
    assert_eq!(list["items"][0].get("kind"), None);
    assert_eq!(names(&get(&server, "/api/v1/namespaces/b/configmaps").body), ["y"]);
    assert_eq!(names(&get(&server, "/api/v1/configmaps?labelSelector=n%21%3Dx").body), ["y"]);
    assert_eq!(names(&get(&server, "/api/v1/configmaps?fieldSelector=metadata.namespace%3Da").body), ["x"]);
    assert_eq!(get(&server, "/api/v1/configmaps?fieldSelector=data%3Da").code, 400);
}

#[test]
fn one_object_is_whole_and_a_missing_one_is_told_by_name() {
    let server = server();
    server.put_value(config_map("a", "x")).unwrap();
    let object = get(&server, "/api/v1/namespaces/a/configmaps/x").body;
    assert_eq!((&object["kind"], &object["metadata"]["name"]), (&json!("ConfigMap"), &json!("x")));
    let missing = get(&server, "/apis/networking.k8s.io/v1/namespaces/a/ingresses/x");
    assert_eq!(missing.code, 404);
    assert_eq!(
        missing.body,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
            "message": "ingresses.networking.k8s.io \"x\" not found",
            "details": {"name": "x", "group": "networking.k8s.io", "kind": "ingresses"},
        })
    );
    assert_eq!(get(&server, "/apis/networking.k8s.io/v1/nothing").code, 404);
    assert_eq!(get(&server, "/nowhere").code, 404);
}

#[test]
fn pages_are_of_one_moment() {
    let server = server();
    for name in ["a", "b", "c", "d", "e"] {
        server.put_value(config_map("default", name)).unwrap();
    }
    let first = get(&server, "/api/v1/configmaps?limit=2").body;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    server.put_value(config_map("default", "bb")).unwrap();
    server.delete("configmaps", "default", "d").unwrap();
    let next = |list: &Value| {
        let token = list["metadata"]["continue"].as_str().unwrap();
        get(&server, &format!("/api/v1/configmaps?limit=2&continue={token}"))
    };
    let second = next(&first).body;
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(names(&next(&second).body), ["e"]);
    server.faults().compact();
    server.put_value(config_map("default", "f")).unwrap();
    server.faults().compact();
    let expired = next(&first);
    assert_eq!((expired.code, &expired.body["reason"]), (410, &json!("Expired")));
    assert_eq!(get(&server, "/api/v1/configmaps?limit=2&continue=nonsense").code, 400);
}

#[test]
fn versions_of_the_past_are_there_and_those_of_the_future_are_not() {
    let server = server();
    server.put_value(config_map("default", "a")).unwrap();
    let then = server.version();
    server.put_value(config_map("default", "b")).unwrap();
    let list = |query: &str| get(&server, &format!("/api/v1/configmaps?{query}"));
    assert_eq!(names(&list(&format!("resourceVersion={then}&resourceVersionMatch=Exact")).body), ["a"]);
    assert_eq!(names(&list(&format!("resourceVersion={then}&limit=5")).body), ["a"]);
    assert_eq!(names(&list(&format!("resourceVersion={then}")).body), ["a", "b"]);
    // The cache answers, and does not cut.
    assert_eq!(names(&list("resourceVersion=0&limit=1").body), ["a", "b"]);
    let future = list(&format!("resourceVersion={}", then + 100));
    assert_eq!((future.code, &future.body["reason"]), (504, &json!("Timeout")));
    assert!(future.head.contains("retry-after: 1"), "{}", future.head);
    assert_eq!(list("resourceVersionMatch=Exact").code, 422);
    assert_eq!(list("resourceVersion=x").code, 400);
}

#[test]
fn metadata_alone_is_to_be_had() {
    let server = server();
    let mut object = config_map("default", "a");
    object["data"] = json!({"key": "value"});
    server.put_value(object).unwrap();
    let ask = |path: &str, kind: &str| {
        let accept = format!("application/json;as={kind};g=meta.k8s.io;v=v1");
        send(&server, "GET", path, &[("Accept", &accept)], "").body
    };
    let list = ask("/api/v1/configmaps", "PartialObjectMetadataList");
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert_eq!(list["items"][0].get("data"), None);
    let one = ask("/api/v1/namespaces/default/configmaps/a", "PartialObjectMetadata");
    assert_eq!((&one["kind"], &one["metadata"]["name"]), (&json!("PartialObjectMetadata"), &json!("a")));
    assert_eq!(send(&server, "GET", "/api/v1/configmaps", &[("Accept", "text/html")], "").code, 406);
}
