//! A tree → a Kubernetes type.
//!
//! Errors name the field and the line. Two mistakes that the API server would refuse are told and lived with: a scalar
//! without quotes where a string belongs, because its meaning is clear and dropping a limit would be worse; and a field
//! that does not exist.

use super::node::{self, Node, Value};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use std::cell::RefCell;
use std::fmt::{self, Write};

/// Reads a `T` out of a tree whose text is `text`.
pub(super) fn read<T: DeserializeOwned>(node: &Node, text: &str) -> (Result<T, TypeError>, Vec<Note>) {
    let context = Context { text, path: RefCell::default(), notes: RefCell::default() };
    let result = T::deserialize(Reader { node, context: &context }).map_err(|error| error.at(&context, node));
    (result, context.notes.into_inner())
}

/// A value of the wrong type.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct TypeError {
    /// E.g. `spec.rules[0].http`; empty for the object itself.
    pub(super) field: String,
    /// Line in the document, from 1; 0 where it is not known.
    pub(super) line: u64,
    pub(super) message: String,
}

impl TypeError {
    /// Adds the place, unless it is known from further inside.
    fn at(self, context: &Context<'_>, node: &Node) -> Self {
        match self.line {
            0 => Self { field: context.field(), line: node.referenced.line(), ..self },
            _ => self,
        }
    }
}

impl de::Error for TypeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { field: String::new(), line: 0, message: message.to_string() }
    }
}

/// A mistake that is lived with.
pub(super) struct Note {
    pub(super) field: String,
    /// Line in the document, from 1.
    pub(super) line: u64,
    pub(super) what: What,
}

/// What a note is about.
pub(super) enum What {
    /// A number or boolean where a string belongs; the text as written is used.
    Unquoted(String),
    /// A field that Kubernetes does not have here; it is ignored.
    UnknownField,
}

struct Context<'a> {
    text: &'a str,
    path: RefCell<Vec<Step<'a>>>,
    notes: RefCell<Vec<Note>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Context<'a> {
    /// The path to the node that is being read, as findings write it.
    fn field(&self) -> String {
        let mut field = String::new();
        for step in self.path.borrow().iter() {
            let _ = match step {
                Step::Index(index) => write!(field, "[{index}]"),
                Step::Key(key) if key.contains(['.', '/']) => write!(field, "[{key}]"),
                Step::Key(key) if field.is_empty() => write!(field, "{key}"),
                Step::Key(key) => write!(field, ".{key}"),
            };
        }
        field
    }

    fn note(&self, node: &Node, what: What) {
        let mut notes = self.notes.borrow_mut();
        if notes.len() < MAX_NOTES {
            notes.push(Note { field: self.field(), line: node.referenced.line(), what });
        }
    }

    /// Reads a node one step further inside.
    fn step<'de, S: DeserializeSeed<'de>>(
        &self,
        step: Step<'a>,
        node: &'a Node,
        seed: S,
    ) -> Result<S::Value, TypeError> {
        self.path.borrow_mut().push(step);
        let result = seed.deserialize(Reader { node, context: self }).map_err(|error| error.at(self, node));
        self.path.borrow_mut().pop();
        result
    }
}

struct Reader<'c, 'a> {
    node: &'a Node,
    context: &'c Context<'a>,
}

impl<'de, 'a> Deserializer<'de> for Reader<'_, 'a> {
    type Error = TypeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => {
                visitor.visit_seq(Items { items: items.iter().enumerate(), context: self.context })
            }
            Value::Map(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), value: None, context: self.context })
            }
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match &self.node.value {
            // As the API server takes a null in a map of strings.
            Value::Null => visitor.visit_str(""),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                let text = node::raw(self.node, self.context.text)
                    .ok_or_else(|| de::Error::custom("expected a string; quote it"))?;
                self.context.note(self.node, What::Unquoted(text.to_owned()));
                visitor.visit_str(text)
            }
            Value::Text(_) | Value::List(_) | Value::Map(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        visitor.visit_newtype_struct(self)
    }

    /// Generated types ignore the fields that they do not have, and nothing else.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        self.context.note(self.node, What::UnknownField);
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

struct Items<'c, 'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    context: &'c Context<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = TypeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TypeError> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        self.context.step(Step::Index(index), node, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'c, 'a> {
    entries: std::slice::Iter<'a, (String, Node)>,
    value: Option<(&'a str, &'a Node)>,
    context: &'c Context<'a>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = TypeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, TypeError> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, node));
        let key: StrDeserializer<'_, TypeError> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, TypeError> {
        match self.value.take() {
            Some((key, node)) => self.context.step(Step::Key(key), node, seed),
            None => Err(de::Error::custom("a value was read twice")),
        }
    }
}

/// Notes of one object; more tell nobody anything new.
const MAX_NOTES: usize = 100;
