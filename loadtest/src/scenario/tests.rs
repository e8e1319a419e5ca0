use super::*;
use serde_json::json;

const SMALL: &str = "
name: small
classes: [{name: a, arrivals: {kind: constant, rate: 5}}]
phases: [{name: only, duration: 2s}]
expect: [{kind: errors, class: a}]
";

fn mistakes(text: &str) -> Vec<String> {
    match parse(text) {
        Err(LoadError::Mistakes(mistakes)) => mistakes.0.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_small_scenario_has_its_defaults() {
    let scenario = parse(SMALL).unwrap();
    assert_eq!((scenario.seed, scenario.duration().as_secs()), (1, 2));
    assert_eq!(scenario.classes[0].request.ask(0), ("app.example", "/"));
    assert_eq!(scenario.generator.connections, 1000);
}

#[test]
fn all_mistakes_are_named_at_once_with_field_value_and_form() {
    let found = mistakes(
        "
name: 'two\n\n  lines'
sed: 3
classes:
  - {name: A, clients: 0, arrivals: {kind: constnt}}
  - {name: b, identity: {kind: source, network: 10/8}, arrivals: {kind: burst, size: 1}}
  - {name: c, request: {host: [], path: [/a, b]}}
phases: []
expect: [{kind: latency, class: a, percentile: 101, at-most: 5}]
",
    );
    let expected = [
        "name: ",
        "sed: \"sed\": expected no such field; did you mean seed?",
        "classes[0].name: \"A\": expected a name",
        "classes[0].clients: 0: expected a whole number from 1 to 10000000",
        "classes[0].arrivals.kind: \"constnt\": expected one of none, constant",
        "classes[1].identity.network: \"10/8\": expected a network",
        "classes[1].arrivals.every: is missing: expected a length of time",
        "classes[2].request.host: a list of 0: expected a token of HTTP, at most 200 bytes, or a list of 1 to 100",
        "classes[2].request.path[1]: \"b\": expected a path",
        "phases: a list of 0: expected a list of 1 to 64 entries",
        "expect[0].percentile: 101: expected a number from 0 to 100",
        "expect[0].at-most: 5: expected a length of time",
    ];
    for start in expected {
        assert!(found.iter().any(|line| line.starts_with(start)), "{start:?} is not in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn fields_that_do_not_fit_each_other_are_named() {
    let found = mistakes(
        "
name: misfits
oracle: {kind: weir}
classes:
  - {name: a, clients: 300, identity: {kind: source, network: 10.0.0.0/24}}
  - {name: a, arrivals: {kind: burst, size: 1, every: 0s}}
  - {name: d, behaviour: {kind: slow-head, every: 1s, lasts: 2s}}
phases: [{name: x, duration: 61m, arrivals: {c: {kind: none}}, restart: 1}]
expect:
  - {kind: status, class: b, status: 2xx}
  - {kind: ended, class: a, how: closed, at-least: 90%}
  - {kind: admitted, class: d, within: 1%}
",
    );
    for part in [
        "within 127.0.0.0/8",
        "at most 256, the addresses",
        "no other class has",
        "arrivals.every",
        "one of the classes a, a, d",
        "spawn: is missing",
        "less than 1, the replicas",
        "at-least, at-most or both",
        "a hostile behaviour",
        "at most an hour",
        "a class of requests, connection-flood or handshake-flood",
    ] {
        assert!(found.iter().any(|line| line.contains(part)), "{part:?} is not in {found:#?}");
    }
}

#[test]
fn what_is_no_yaml_is_said_to_be_none() {
    assert!(matches!(parse("a: ["), Err(LoadError::Yaml(_))));
    assert_eq!(mistakes("[]").len(), 1);
}

#[test]
fn the_published_schema_is_up_to_date() {
    let published = include_str!("../../schema/scenario.json");
    assert!(published == schema::text(), "run: weir-loadtest schema > loadtest/schema/scenario.json");
}

/// The table is what is checked, and the types are what is read: whatever the one accepts, the other must.
#[test]
fn the_types_read_what_the_table_accepts() {
    let shape = &table::SCENARIO;
    for full in [false, true] {
        for turn in 0..12 {
            let value = example(shape, turn, full);
            let mut found = Vec::new();
            shape.check("", &value, &mut found);
            assert_eq!(found, [], "{value:#}");
            let read: Result<Scenario, _> = serde_json::from_value(value.clone());
            assert!(read.is_ok(), "{:?}\n{value:#}", read.err());
        }
    }
}

/// A value of a shape; the turn chooses among kinds and words.
fn example(shape: &shape::Shape, turn: usize, full: bool) -> Value {
    use shape::{Need, Shape};
    let fields = |fields: &[shape::Field]| {
        let chosen = fields.iter().filter(|field| full || field.need == Need::Required);
        chosen.map(|field| (field.name.to_owned(), example(field.shape, turn, full))).collect()
    };
    match shape {
        Shape::Text(form) => {
            let examples = ["a", "5s", "3KiB", "2.5%", "127.0.0.0/8", "/a"];
            json!(examples.into_iter().find(|text| (form.check)(text)).unwrap())
        }
        Shape::Status if turn.is_multiple_of(2) => json!(429),
        Shape::Status => json!("2xx"),
        Shape::Word(words) => json!(words[turn % words.len()]),
        Shape::Count(least, _) => json!(least),
        Shape::Number(least, _) => json!(least),
        Shape::List(of, _) => json!([example(of, turn, full)]),
        Shape::Several(form, _) if turn.is_multiple_of(2) => example(&Shape::Text(form), turn, full),
        Shape::Several(form, _) => json!([example(&Shape::Text(form), turn, full)]),
        Shape::Texts(form, _) => json!({"x-name": example(&Shape::Text(form), turn, full)}),
        Shape::Map(of, _) => json!({"a": example(of, turn, full)}),
        Shape::Object(of) => Value::Object(fields(of)),
        Shape::OneOf(variants) => {
            let variant = &variants[turn % variants.len()];
            let mut map: serde_json::Map<_, _> = fields(variant.fields);
            map.insert("kind".to_owned(), json!(variant.kind));
            Value::Object(map)
        }
    }
}
