//! The table as a JSON schema (draft 2020-12).

use super::shape::{Field, Need, Shape};
use super::table;
use serde_json::{Map, Value, json};

/// The schema as it is published in `loadtest/schema/scenario.json`.
pub fn text() -> String {
    let mut schema = of(&table::SCENARIO);
    if let Value::Object(map) = &mut schema {
        map.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".to_owned(), json!("weir-loadtest scenario"));
    }
    format!("{schema:#}\n")
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Text(form) => json!({"type": "string", "pattern": form.pattern, "description": form.what}),
        Shape::Status => json!({"oneOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"enum": super::shape::HUNDREDS},
        ]}),
        Shape::Word(words) => json!({"enum": words}),
        Shape::Count(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Shape::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        Shape::List(shape, most) => {
            json!({"type": "array", "items": of(shape), "minItems": 1, "maxItems": most})
        }
        Shape::Several(form, most) => json!({"oneOf": [
            of(&Shape::Text(form)),
            {"type": "array", "items": of(&Shape::Text(form)), "minItems": 1, "maxItems": most},
        ]}),
        Shape::Texts(form, most) => json!({
            "type": "object",
            "additionalProperties": of(&Shape::Text(form)),
            "maxProperties": most,
        }),
        Shape::Map(shape, most) => {
            json!({"type": "object", "additionalProperties": of(shape), "maxProperties": most})
        }
        Shape::Object(fields) => object(fields, None),
        Shape::OneOf(variants) => {
            let one_of = variants.iter().map(|variant| {
                let mut schema = object(variant.fields, Some(variant.kind));
                if let Value::Object(map) = &mut schema {
                    map.insert("description".to_owned(), json!(variant.doc));
                }
                schema
            });
            json!({"oneOf": one_of.collect::<Vec<_>>()})
        }
    }
}

fn object(fields: &[Field], kind: Option<&str>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if let Some(kind) = kind {
        properties.insert("kind".to_owned(), json!({"const": kind}));
        required.push("kind");
    }
    for field in fields {
        let mut schema = of(field.shape);
        if let Value::Object(map) = &mut schema {
            map.insert("description".to_owned(), json!(field.doc));
        }
        properties.insert(field.name.to_owned(), schema);
        if field.need == Need::Required {
            required.push(field.name);
        }
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}
