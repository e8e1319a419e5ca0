//! Server-side apply, as far as one manager is concerned: what it applied before and leaves out now is removed.
//!
//! Who owns which field is not tracked beyond that, so managers never conflict here, as if they all forced their way.

use super::strategic::{child, merge_key};
use crate::resources::Resource;
use serde_json::{Map, Value, json};

/// The strategic merge patch that removes what was applied `before` and is not in what is applied `now`.
pub(crate) fn removals(resource: &Resource, before: &Value, now: &Value) -> Value {
    below(resource, before, now, "").unwrap_or_else(|| Value::Object(Map::new()))
}

fn below(resource: &Resource, before: &Value, now: &Value, path: &str) -> Option<Value> {
    let (Value::Object(before), Value::Object(now)) = (before, now) else { return None };
    let mut patch = Map::new();
    for (field, old) in before {
        let path = child(path, field);
        match (now.get(field), merge_key(resource, &path)) {
            (None, _) => {
                patch.insert(field.clone(), Value::Null);
            }
            (Some(Value::Array(new)), Some("")) => {
                let gone: Vec<_> =
                    old.as_array().into_iter().flatten().filter(|it| !new.contains(it)).collect();
                patch.insert(format!("$deleteFromPrimitiveList/{field}"), json!(gone));
            }
            (Some(Value::Array(new)), Some(key)) => {
                let elements = old.as_array().into_iter().flatten();
                let patches = elements.filter_map(|old| element(resource, old, new, key, &path));
                patch.insert(field.clone(), patches.collect());
            }
            (Some(new), _) => {
                if let Some(inner) = below(resource, old, new, &path) {
                    patch.insert(field.clone(), inner);
                }
            }
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn element(resource: &Resource, old: &Value, new: &[Value], key: &str, path: &str) -> Option<Value> {
    let id = old.get(key)?;
    let Some(new) = new.iter().find(|it| it.get(key) == Some(id)) else {
        return Some(json!({"$patch": "delete", key: id}));
    };
    let mut patch = below(resource, old, new, path)?;
    patch[key] = id.clone();
    Some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patch::strategic;

    #[test]
    fn what_a_manager_no_longer_applies_is_removed_and_the_rest_stays() {
        let resource = Resource::named("services").unwrap();
        let before = json!({
            "metadata": {"annotations": {"mine": "1", "too": "2"}},
            "spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81}]},
        });
        let now = json!({"metadata": {"annotations": {"mine": "3"}}, "spec": {"ports": [{"port": 80}]}});
        let mut live = json!({
            "metadata": {"annotations": {"mine": "1", "too": "2", "others": "9"}},
            "spec": {"ports": [{"port": 80, "name": "a", "protocol": "TCP"}, {"port": 81}, {"port": 99}]},
        });
        strategic(resource, &mut live, &removals(resource, &before, &now));
        strategic(resource, &mut live, &now);
        assert_eq!(
            live,
            json!({
                "metadata": {"annotations": {"mine": "3", "others": "9"}},
                "spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 99}]},
            })
        );
    }
}
