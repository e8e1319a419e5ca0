//! Creating, updating, patching, deleting.

use crate::http::{delete, get, patch, post, put, send};
use serde_json::{Value, json};
use weir_apiserver::{Access, ApiServer, Cluster, Options};

fn server() -> ApiServer {
    ApiServer::start_blocking(Options::default()).unwrap()
}

const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
const INGRESS: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses/web";
const MERGE: &str = "application/merge-patch+json";

fn ingress() -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}})
}

#[test]
fn an_object_lives() {
    let server = server();
    let made = post(&server, INGRESSES, &ingress());
    assert_eq!((made.code, &made.body["kind"]), (201, &json!("Ingress")));
    assert_eq!(post(&server, INGRESSES, &ingress()).code, 409);
    let mut object = made.body.clone();
    object["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(put(&server, INGRESS, &object).code, 200);
    let stale = put(&server, INGRESS, &object);
    assert_eq!((stale.code, &stale.body["reason"]), (409, &json!("Conflict")));
    let labels = json!({"metadata": {"labels": {"a": null, "c": "d"}}});
    assert_eq!(patch(&server, INGRESS, MERGE, &labels).body["metadata"]["labels"], json!({"c": "d"}));
    let gone = delete(&server, INGRESS);
    assert_eq!((gone.code, &gone.body["status"]), (200, &json!("Success")));
    assert_eq!(gone.body["details"]["uid"], made.body["metadata"]["uid"]);
    assert_eq!(get(&server, INGRESS).code, 404);
    assert_eq!(delete(&server, INGRESS).code, 404);
}

#[test]
fn a_dry_run_changes_nothing() {
    let server = server();
    let dry = post(&server, &format!("{INGRESSES}?dryRun=All"), &ingress());
    assert_eq!((dry.code, &dry.body["kind"]), (201, &json!("Ingress")));
    assert_eq!(get(&server, INGRESS).code, 404);
    post(&server, INGRESSES, &ingress());
    assert_eq!(send(&server, "DELETE", &format!("{INGRESS}?dryRun=All"), &[], "").code, 200);
    assert_eq!(get(&server, INGRESS).code, 200);
}

#[test]
fn a_deleted_namespace_takes_its_objects_along_and_some_stay() {
    let server = server();
    server
        .put_value(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}}))
        .unwrap();
    assert_eq!(delete(&server, "/api/v1/namespaces/a").code, 200);
    assert_eq!(server.list("secrets", "").unwrap(), Vec::<Value>::new());
    assert_eq!(delete(&server, "/api/v1/namespaces/default").code, 403);
}

#[test]
fn the_status_is_a_subresource() {
    let server = server();
    post(&server, INGRESSES, &ingress());
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}});
    assert_eq!(patch(&server, INGRESS, MERGE, &status).body["status"], json!({"loadBalancer": {}}));
    let path = format!("{INGRESS}/status");
    assert_eq!(patch(&server, &path, MERGE, &status).body["status"], status["status"]);
    assert_eq!(get(&server, &path).body["status"], status["status"]);
    assert_eq!(patch(&server, &format!("{INGRESS}/scale"), MERGE, &status).code, 404);
}

#[test]
fn patches_come_in_four_forms() {
    let server = server();
    post(&server, INGRESSES, &ingress());
    let strategic = json!({"metadata": {"annotations": {"a": "1"}}});
    let made = patch(&server, INGRESS, "application/strategic-merge-patch+json", &strategic);
    assert_eq!(made.body["metadata"]["annotations"], json!({"a": "1"}));
    let operations = json!([{"op": "replace", "path": "/metadata/annotations/a", "value": "2"}]);
    let made = patch(&server, INGRESS, "application/json-patch+json", &operations);
    assert_eq!(made.body["metadata"]["annotations"], json!({"a": "2"}));
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {key: value}\n";
    let path = "/api/v1/namespaces/default/configmaps/a?fieldManager=test";
    let apply = || send(&server, "PATCH", path, &[("Content-Type", "application/apply-patch+yaml")], yaml);
    assert_eq!((apply().code, apply().code), (201, 200));
    assert_eq!(patch(&server, INGRESS, "application/json", &json!({})).code, 415);
    assert_eq!(send(&server, "PUT", INGRESS, &[("Content-Type", "application/json")], "{").code, 400);
}

#[test]
fn many_are_deleted_at_once() {
    let server = server();
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let object = json!({"metadata": {"name": name, "labels": {"is": label}}});
        assert_eq!(post(&server, "/api/v1/namespaces/default/secrets", &object).code, 201);
    }
    let gone = delete(&server, "/api/v1/namespaces/default/secrets?labelSelector=is%3Dx");
    assert_eq!(
        (&gone.body["kind"], gone.body["items"].as_array().map(Vec::len)),
        (&json!("SecretList"), Some(2))
    );
    assert_eq!(server.list("secrets", "").unwrap().len(), 1);
}

#[test]
fn a_body_has_a_bound() {
    let server = server();
    let object = json!({"metadata": {"name": "a"}, "data": {"a": "x".repeat(3 << 20)}});
    assert_eq!(post(&server, "/api/v1/namespaces/default/configmaps", &object).code, 413);
}

#[test]
fn loopback_addresses_are_refused_unless_the_test_wants_them() {
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a"}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"]}],
    });
    let error = server().put_value(slice.clone()).unwrap_err();
    assert!(error.message.contains("may not be in the loopback range"), "{error}");
    let options =
        Options { endpoint_addresses: weir_apiserver::EndpointAddresses::Any, ..Options::default() };
    ApiServer::start_blocking(options).unwrap().put_value(slice).unwrap();
}

#[test]
fn only_who_has_a_token_and_the_right_is_let_in() {
    let options = Options {
        tokens: vec![("secret".to_owned(), "system:serviceaccount:weir:weir".to_owned())],
        ..Options::default()
    };
    let server = ApiServer::start_blocking(options).unwrap();
    let ask = |token: &str| {
        send(&server, "GET", "/api/v1/secrets", &[("Authorization", &format!("Bearer {token}"))], "")
    };
    assert_eq!(ask("secret").code, 200);
    assert_eq!(ask("wrong").body["message"], "Unauthorized");
    assert_eq!(get(&server, "/api/v1/secrets").code, 401);
    server.set_access(Access::Rules(Vec::new()));
    let refused = ask("secret");
    assert_eq!((refused.code, &refused.body["reason"]), (403, &json!("Forbidden")));
    let user = "system:serviceaccount:weir:weir";
    let message = format!(
        "secrets is forbidden: User \"{user}\" cannot list resource \"secrets\" in API group \"\" at the cluster scope"
    );
    assert_eq!(refused.body["message"], message);
    server.set_tokens([("rotated".to_owned(), user.to_owned())]);
    assert_eq!((ask("secret").code, ask("rotated").code), (401, 403));
}
