//! What clients ask before they know what there is: versions, groups, resources, health.

use crate::reply::{self, Reply};
use crate::resources::{RESOURCES, Resource, Scope, StatusPart};
use crate::status::StatusError;
use serde_json::{Value, json};

/// Answers a path that is no resource.
///
/// # Errors
///
/// 404.
pub(crate) fn answer(path: &str) -> Result<Reply, StatusError> {
    let path = path.trim_end_matches('/');
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let document = match segments.as_slice() {
        ["healthz" | "readyz" | "livez", ..] => return Ok(reply::text(200, "ok")),
        ["version"] => version(),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["apis"] => {
            let groups: Vec<Value> =
                groups().into_iter().map(|(group, version)| self::group(group, version)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["apis", name] => {
            let found = groups()
                .into_iter()
                .find(|(group, _)| group == name)
                .ok_or_else(StatusError::no_such_resource)?;
            let mut document = group(found.0, found.1);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            document
        }
        // Older clients ask here, in protobuf, and find no kind in the empty document: then the server checks.
        ["openapi", "v2"] => return Ok(reply::openapi_v2()),
        ["openapi", "v3"] => documents(),
        ["openapi", "v3", "api", version] => document("", version)?,
        ["openapi", "v3", "apis", group, version] => document(group, version)?,
        ["api", version] => resources("", version)?,
        ["apis", group, version] => resources(group, version)?,
        _ => return Err(StatusError::no_such_resource()),
    };
    Ok(reply::json(200, document.to_string().into_bytes()))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": MINOR, "gitVersion": format!("v1.{MINOR}.0"), "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

/// Groups but the core group, with their version, in the order of the table.
fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<_> =
        RESOURCES.iter().map(|it| (it.group, it.version)).filter(|it| !it.0.is_empty()).collect();
    groups.dedup();
    groups
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources(group: &str, version: &str) -> Result<Value, StatusError> {
    let here: Vec<_> = RESOURCES.iter().filter(|it| it.group == group && it.version == version).collect();
    let first = here.first().ok_or_else(StatusError::no_such_resource)?;
    let list: Vec<Value> = here.iter().flat_map(|it| entries(it)).collect();
    let group_version = first.api_version();
    Ok(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list}),
    )
}

fn entries(resource: &Resource) -> Vec<Value> {
    let namespaced = resource.scope == Scope::Namespace;
    let mut whole = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": namespaced, "kind": resource.kind,
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    });
    if !resource.short_names.is_empty() {
        whole["shortNames"] = resource.short_names.into();
    }
    if matches!(resource.plural, "pods" | "services") {
        whole["categories"] = json!(["all"]);
    }
    let status = json!({
        "name": format!("{}/status", resource.plural), "singularName": "", "namespaced": namespaced,
        "kind": resource.kind, "verbs": ["get", "patch", "update"],
    });
    if resource.status == StatusPart::Apart { vec![whole, status] } else { vec![whole] }
}

/// Which OpenAPI documents there are. Before kubectl sends an object it looks up who checks the fields: itself, or the
/// server.
fn documents() -> Value {
    let mut paths = json!({"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}});
    for (group, version) in groups() {
        let path = format!("apis/{group}/{version}");
        paths[&path] = json!({"serverRelativeURL": format!("/openapi/v3/{path}")});
    }
    json!({"paths": paths})
}

/// As much of the OpenAPI document of a group as tells clients that the server checks fields and knows dry runs.
fn document(group: &str, version: &str) -> Result<Value, StatusError> {
    let mut paths = json!({});
    for resource in RESOURCES.iter().filter(|it| it.group == group && it.version == version) {
        let kind = json!({"group": group, "version": version, "kind": resource.kind});
        let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
        let patch = json!({
            "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": kind,
            "parameters": [parameter("dryRun"), parameter("fieldValidation")],
            "responses": {"200": {"description": "OK"}},
        });
        paths[resource.path("{namespace}", "{name}")] = json!({"patch": patch});
    }
    if paths.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(StatusError::no_such_resource());
    }
    let info = json!({"title": "Kubernetes", "version": format!("v1.{MINOR}.0")});
    Ok(json!({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}))
}

/// The minor version of Kubernetes that this server says it is.
const MINOR: &str = "33";
