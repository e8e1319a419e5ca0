//! As much of JSON schema as ours use, written for the tests: what a document has wrong.

use serde_json::Value;

pub(crate) fn mistakes(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "$", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(rules) = schema else { panic!("{at}: {schema} is no schema") };
    for (rule, wanted) in rules {
        let holds = match rule.as_str() {
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|one| is(one, value)),
                one => is(one, value),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "required" => {
                let names = wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                value.as_object().is_none_or(|map| names.clone().all(|name| map.contains_key(name)))
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = wanted.get(name) {
                        check(schema, value, &format!("{at}.{name}"), found);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                let more = value.as_object().into_iter().flatten();
                let more = more.filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
                match wanted {
                    Value::Bool(_) => more.count() == 0,
                    schema => {
                        more.for_each(|(name, value)| check(schema, value, &format!("{at}.{name}"), found));
                        true
                    }
                }
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                items.for_each(|(n, value)| check(wanted, value, &format!("{at}[{n}]"), found));
                true
            }
            "$schema" | "title" | "description" => true,
            other => panic!("{at}: this reader knows no {other}"),
        };
        if !holds {
            found.push(format!("{at}: {value} is not {rule} {wanted}"));
        }
    }
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("no type {other}"),
    }
}

#[test]
fn the_reader_of_schemas_notices_what_is_wrong() {
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": "array", "items": {"type": "integer", "minimum": 1}}},
    });
    assert_eq!(mistakes(&schema, &serde_json::json!({"a": [1, 2]})), [""; 0]);
    for wrong in [serde_json::json!({}), serde_json::json!({"a": [0]}), serde_json::json!({"a": [], "b": 1})]
    {
        assert_eq!(mistakes(&schema, &wrong).len(), 1, "{wrong}");
    }
}
