//! Strategic merge patches: as RFC 7396, but lists that the table of resources names are merged by a key, and a patch may
//! hold directives (`$patch`, `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`).

use crate::resources::Resource;
use serde_json::{Map, Value};

/// Merges a patch into an object.
pub(crate) fn merge(resource: &Resource, object: &mut Value, patch: &Value) {
    Merge { resource }.value(object, patch, "");
}

/// The field by which elements of a list are told apart; empty for plain values, none where a list is one value.
pub(super) fn merge_key(resource: &Resource, path: &str) -> Option<&'static str> {
    let keys = resource.merge_keys.iter().chain(METADATA);
    keys.clone().find(|(list, _)| *list == path).map(|(_, key)| *key)
}

pub(super) fn child(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

struct Merge<'a> {
    resource: &'a Resource,
}

impl Merge<'_> {
    fn value(&self, object: &mut Value, patch: &Value, path: &str) {
        let Value::Object(patch) = patch else {
            *object = patch.clone();
            return;
        };
        match patch.get("$patch").and_then(Value::as_str) {
            Some("replace") => return *object = Value::Object(without_directives(patch)),
            Some("delete") => return *object = Value::Object(Map::new()),
            _ => {}
        }
        if !object.is_object() {
            *object = Value::Object(Map::new());
        }
        let Value::Object(fields) = object else { return };
        if let Some(retained) = patch.get("$retainKeys").and_then(Value::as_array) {
            fields.retain(|field, _| retained.iter().any(|it| it == field));
        }
        for (field, value) in patch {
            if let Some(list) = field.strip_prefix("$deleteFromPrimitiveList/")
                && let (Some(Value::Array(list)), Value::Array(gone)) = (fields.get_mut(list), value)
            {
                list.retain(|it| !gone.contains(it));
            }
        }
        for (field, value) in patch.iter().filter(|(field, _)| !field.starts_with('$')) {
            let path = child(path, field);
            match (value, merge_key(self.resource, &path)) {
                (Value::Null, _) => {
                    fields.remove(field);
                }
                (Value::Array(items), Some(key)) => {
                    let list = fields.entry(field.clone()).or_insert_with(|| Value::Array(Vec::new()));
                    self.list(list, items, key, &path);
                }
                _ => self.value(fields.entry(field.clone()).or_insert(Value::Null), value, &path),
            }
        }
        for (field, order) in patch {
            let Some(list) = field.strip_prefix("$setElementOrder/") else { continue };
            let key = merge_key(self.resource, &child(path, list)).unwrap_or_default();
            if let (Some(Value::Array(list)), Value::Array(order)) = (fields.get_mut(list), order) {
                let before = list.clone();
                arrange(list, order, &before, key);
            }
        }
    }

    fn list(&self, list: &mut Value, items: &[Value], key: &str, path: &str) {
        if !list.is_array() {
            *list = Value::Array(Vec::new());
        }
        let Value::Array(list) = list else { return };
        let directive = |item: &Value, word: &str| item.get("$patch").is_some_and(|it| it == word);
        if items.iter().any(|item| directive(item, "replace")) {
            let kept = items.iter().filter(|item| !directive(item, "replace"));
            return *list = kept.cloned().collect();
        }
        let before = list.clone();
        for item in items {
            let found = list.iter().position(|it| same(it, item, key));
            match (found.and_then(|at| list.get_mut(at)), directive(item, "delete")) {
                (_, true) => list.retain(|it| !same(it, item, key)),
                (Some(old), false) => self.value(old, item, path),
                (None, false) => {
                    let mut new = Value::Null;
                    self.value(&mut new, item, path);
                    list.push(new);
                }
            }
        }
        arrange(list, items, &before, key);
    }
}

/// Puts a merged list in order: what is in `order` as it is there, and between it the rest, each element of which goes
/// before one that it was before until now.
fn arrange(list: &mut Vec<Value>, order: &[Value], before: &[Value], key: &str) {
    let place = |items: &[Value], item: &Value| items.iter().position(|it| same(it, item, key));
    let (mut ordered, rest): (Vec<_>, Vec<_>) = list.drain(..).partition(|item| place(order, item).is_some());
    ordered.sort_by_key(|item| place(order, item));
    let mut rest = rest.into_iter().peekable();
    for item in ordered {
        let at = place(before, &item);
        let goes_first = |other: &Value| at.is_some() && place(before, other).is_some_and(|it| Some(it) < at);
        while let Some(other) = rest.next_if(goes_first) {
            list.push(other);
        }
        list.push(item);
    }
    list.extend(rest);
}

/// Whether two elements of a list are versions of the same.
fn same(one: &Value, other: &Value, key: &str) -> bool {
    if key.is_empty() { one == other } else { one.get(key).is_some() && one.get(key) == other.get(key) }
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    let kept = patch.iter().filter(|(field, _)| !field.starts_with('$'));
    kept.map(|(field, value)| (field.clone(), value.clone())).collect()
}

/// What every object has.
const METADATA: &[(&str, &str)] = &[("metadata.finalizers", ""), ("metadata.ownerReferences", "uid")];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(mut object: Value, patch: &Value) -> Value {
        merge(Resource::named("services").unwrap(), &mut object, patch);
        object
    }

    #[test]
    fn maps_are_merged_and_null_removes() {
        let object = json!({"metadata": {"annotations": {"a": "1", "b": "2"}}});
        let patch = json!({"metadata": {"annotations": {"a": null, "c": "3"}}});
        assert_eq!(merged(object, &patch), json!({"metadata": {"annotations": {"b": "2", "c": "3"}}}));
    }

    #[test]
    fn ports_of_a_service_are_merged_by_port_and_ordered() {
        let object = json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81}], "list": [1]}});
        let patch = json!({"spec": {
            "ports": [{"port": 82}, {"port": 80, "name": "b"}, {"port": 81, "$patch": "delete"}],
            "$setElementOrder/ports": [{"port": 82}, {"port": 80}],
            "list": [2],
        }});
        let ports = json!([{"port": 82}, {"port": 80, "name": "b"}]);
        assert_eq!(merged(object, &patch), json!({"spec": {"ports": ports, "list": [2]}}));
    }

    /// As the documentation of `kubectl patch` shows it: the container that is new comes first.
    #[test]
    fn what_a_patch_adds_comes_first_and_the_rest_keeps_its_order() {
        let object = || json!({"spec": {"ports": [{"port": 1}, {"port": 2}, {"port": 3}]}});
        let ports = |patch: Value| {
            let merged = merged(object(), &json!({"spec": patch}));
            let ports = merged["spec"]["ports"].as_array().unwrap().iter();
            ports.map(|it| it["port"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(ports(json!({"ports": [{"port": 4}]})), [4, 1, 2, 3]);
        assert_eq!(ports(json!({"ports": [{"port": 2, "name": "b"}]})), [1, 2, 3]);
        let order = json!([{"port": 3}, {"port": 4}]);
        assert_eq!(ports(json!({"ports": [{"port": 4}], "$setElementOrder/ports": order})), [1, 2, 3, 4]);
    }

    #[test]
    fn directives_replace_retain_and_remove() {
        let object = || json!({"spec": {"a": 1, "b": 2}, "metadata": {"finalizers": ["x", "y"]}});
        let patch = json!({"spec": {"$patch": "replace", "c": 3}});
        assert_eq!(merged(object(), &patch)["spec"], json!({"c": 3}));
        let patch = json!({"spec": {"$retainKeys": ["b", "c"], "c": 3}});
        assert_eq!(merged(object(), &patch)["spec"], json!({"b": 2, "c": 3}));
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"], "finalizers": ["z"]}});
        assert_eq!(merged(object(), &patch)["metadata"], json!({"finalizers": ["z", "y"]}));
    }
}
