//! What a scenario may look like: the vocabulary of the table, and holding a document against it.

use super::mistake::Mistake;
use super::value::Form;
use serde_json::{Map, Value};

/// What a value may be.
#[derive(Debug)]
pub enum Shape {
    /// A text of a form.
    Text(&'static Form),
    /// A status, or the name of a hundred of them.
    Status,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A whole number from and to.
    Count(u64, u64),
    /// A number from and to.
    Number(f64, f64),
    /// Between one and so many values of a shape.
    List(&'static Self, usize),
    /// A text of a form, or a list of up to so many.
    Several(&'static Form, usize),
    /// Names and texts of a form, at most so many.
    Texts(&'static Form, usize),
    /// Names and values of a shape, at most so many.
    Map(&'static Self, usize),
    /// An object with these fields.
    Object(&'static [Field]),
    /// An object whose `kind` says which fields it has.
    OneOf(&'static [Variant]),
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub shape: &'static Shape,
    /// Whether it may be left out.
    pub need: Need,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

/// Whether a field may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It must be there.
    Required,
    /// Without it there is none, or what the documentation says.
    Optional,
}

/// One kind of an object.
#[derive(Debug)]
pub struct Variant {
    /// Value of `kind`.
    pub kind: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Its other fields.
    pub fields: &'static [Field],
}

impl Shape {
    /// Adds everything that is wrong with a value.
    pub fn check(&self, at: &str, value: &Value, mistakes: &mut Vec<Mistake>) {
        let mut wrong = || mistakes.push(Mistake::new(at, value, self.expected()));
        match (self, value) {
            (Self::Text(form), Value::String(text)) if (form.check)(text) => {}
            (Self::Word(words), Value::String(text)) if words.contains(&text.as_str()) => {}
            (Self::Status, Value::Number(number)) => {
                if !number.as_u64().is_some_and(|number| (100..=599).contains(&number)) {
                    wrong();
                }
            }
            (Self::Status, Value::String(text)) if HUNDREDS.contains(&text.as_str()) => {}
            (Self::Count(least, most), Value::Number(number)) => {
                if !number.as_u64().is_some_and(|number| (*least..=*most).contains(&number)) {
                    wrong();
                }
            }
            (Self::Number(least, most), Value::Number(number)) => {
                if !number.as_f64().is_some_and(|number| (*least..=*most).contains(&number)) {
                    wrong();
                }
            }
            (Self::List(of, most), Value::Array(values)) if (1..=*most).contains(&values.len()) => {
                values
                    .iter()
                    .enumerate()
                    .for_each(|(i, value)| of.check(&format!("{at}[{i}]"), value, mistakes));
            }
            (Self::Several(form, _), Value::String(text)) if (form.check)(text) => {}
            (Self::Several(form, most), Value::Array(values)) if (1..=*most).contains(&values.len()) => {
                let each = Self::Text(form);
                values
                    .iter()
                    .enumerate()
                    .for_each(|(i, value)| each.check(&format!("{at}[{i}]"), value, mistakes));
            }
            (Self::Texts(form, most), Value::Object(map)) if map.len() <= *most => {
                map.iter().for_each(|(name, value)| {
                    Self::Text(&super::value::TOKEN).check(
                        &format!("{at} (name)"),
                        &Value::String(name.clone()),
                        mistakes,
                    );
                    Self::Text(form).check(&format!("{at}.{name}"), value, mistakes);
                });
            }
            (Self::Map(of, most), Value::Object(map)) if map.len() <= *most => {
                map.iter().for_each(|(name, value)| of.check(&format!("{at}.{name}"), value, mistakes));
            }
            (Self::Object(fields), Value::Object(map)) => check_fields(at, fields.iter(), &[], map, mistakes),
            (Self::OneOf(variants), Value::Object(map)) => check_variant(at, variants, map, mistakes),
            _ => wrong(),
        }
    }

    /// What is expected, for people.
    pub fn expected(&self) -> String {
        match self {
            Self::Text(form) => form.what.to_owned(),
            Self::Status => "a status such as 429 or 2xx".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::List(_, most) => format!("a list of 1 to {most} entries"),
            Self::Several(form, most) => format!("{}, or a list of 1 to {most} such", form.what),
            Self::Texts(_, most) => format!("at most {most} names with texts"),
            Self::Map(_, most) => format!("at most {most} names with values"),
            Self::Object(fields) => {
                let names: Vec<_> = fields.iter().map(|field| field.name).collect();
                format!("an object with the fields {}", names.join(", "))
            }
            Self::OneOf(variants) => {
                let kinds: Vec<_> = variants.iter().map(|variant| variant.kind).collect();
                format!("an object whose kind is one of {}", kinds.join(", "))
            }
        }
    }
}

fn check_variant(at: &str, variants: &[Variant], map: &Map<String, Value>, mistakes: &mut Vec<Mistake>) {
    let kind = map.get("kind").and_then(Value::as_str);
    let kinds: Vec<_> = variants.iter().map(|variant| variant.kind).collect();
    match variants.iter().find(|variant| Some(variant.kind) == kind) {
        Some(variant) => check_fields(at, variant.fields.iter(), &["kind"], map, mistakes),
        None => mistakes.push(Mistake::new(
            &join(at, "kind"),
            map.get("kind").unwrap_or(&Value::Null),
            format!("one of {}", kinds.join(", ")),
        )),
    }
}

fn check_fields<'a>(
    at: &str,
    fields: impl Iterator<Item = &'a Field> + Clone,
    besides: &[&str],
    map: &Map<String, Value>,
    mistakes: &mut Vec<Mistake>,
) {
    for field in fields.clone() {
        match map.get(field.name) {
            Some(value) => field.shape.check(&join(at, field.name), value, mistakes),
            None if field.need == Need::Required => {
                mistakes.push(Mistake::missing(&join(at, field.name), field.shape.expected()));
            }
            None => {}
        }
    }
    let known: Vec<_> = fields.map(|field| field.name).chain(besides.iter().copied()).collect();
    for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
        mistakes.push(Mistake::unknown(&join(at, name), name, &known));
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// Names of hundreds of statuses.
pub(super) const HUNDREDS: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
