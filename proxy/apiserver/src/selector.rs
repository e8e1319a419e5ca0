//! Label and field selectors.

use crate::resources::{Resource, Scope};
use crate::status::StatusError;
use serde_json::Value;

/// Which objects are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

/// What is asked of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exist,
    BeAbsent,
    BeIn(Vec<String>),
    /// An object without the label passes.
    NotBeIn(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    equal: bool,
    value: String,
}

impl Selector {
    /// From the query parameters `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    ///
    /// 400: the grammar is not kept, or the kind has no such field for selectors.
    pub(crate) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, StatusError> {
        let labels = split(labels).map(Requirement::parse).collect::<Option<_>>();
        let labels = labels
            .ok_or_else(|| StatusError::bad_request("unable to parse requirement of label selector"))?;
        let fields =
            split(fields).map(|text| FieldRequirement::parse(resource, text)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.labels.iter().all(|it| it.matches(labels)) && self.fields.iter().all(|it| it.matches(object))
    }

    /// The one name that is asked for: authorisation takes it for the name of the request.
    pub(crate) fn name(&self) -> Option<&str> {
        let names = |it: &&FieldRequirement| it.equal && it.path == "metadata.name";
        self.fields.iter().find(names).map(|it| it.value.as_str())
    }
}

impl Requirement {
    fn parse(text: &str) -> Option<Self> {
        let requirement = |key: &str, test| label_key(key).map(|key| Self { key, test });
        if let Some(key) = text.strip_prefix('!') {
            return requirement(key, Test::BeAbsent);
        }
        if let Some((head, set)) = text.split_once('(') {
            let values = set.strip_suffix(')')?.split(',').map(|value| value.trim().to_owned()).collect();
            let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
            return match operator {
                "in" => requirement(key, Test::BeIn(values)),
                "notin" => requirement(key, Test::NotBeIn(values)),
                _ => None,
            };
        }
        if let Some((key, value)) = text.split_once("!=") {
            return requirement(key, Test::NotBeIn(vec![value.trim().to_owned()]));
        }
        match text.split_once("==").or_else(|| text.split_once('=')) {
            Some((key, value)) => requirement(key, Test::BeIn(vec![value.trim().to_owned()])),
            None => requirement(text, Test::Exist),
        }
    }

    fn matches(&self, labels: Option<&Value>) -> bool {
        let value = labels.and_then(|labels| labels.get(&self.key)).and_then(Value::as_str);
        let one_of = |values: &[String]| value.is_some_and(|value| values.iter().any(|it| it == value));
        match &self.test {
            Test::Exist => value.is_some(),
            Test::BeAbsent => value.is_none(),
            Test::BeIn(values) => one_of(values),
            Test::NotBeIn(values) => !one_of(values),
        }
    }
}

impl FieldRequirement {
    fn parse(resource: &Resource, text: &str) -> Result<Self, StatusError> {
        let (path, equal, value) = if let Some((path, value)) = text.split_once("!=") {
            (path, false, value)
        } else if let Some((path, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (path, true, value)
        } else {
            return Err(StatusError::bad_request(format!(
                "invalid selector: '{text}'; can't understand '{text}'"
            )));
        };
        let path = path.trim();
        let namespaced = path == "metadata.namespace" && resource.scope == Scope::Namespace;
        if path != "metadata.name" && !namespaced && !resource.fields.contains(&path) {
            return Err(StatusError::bad_request(format!(
                "Unable to find \"{}/{}, Resource={}\" that match label selector \"\", field selector \"{text}\": \
                 field label not supported: {path}",
                resource.group, resource.version, resource.plural
            )));
        }
        Ok(Self { path: path.to_owned(), equal, value: value.trim().to_owned() })
    }

    fn matches(&self, object: &Value) -> bool {
        let found = self.path.split('.').try_fold(object, |value, field| value.get(field));
        // A field that is not there is empty.
        let equal = match found {
            None | Some(Value::Null) => self.value.is_empty() || self.value == "false",
            Some(Value::String(text)) => *text == self.value,
            Some(Value::Bool(value)) => self.value.parse() == Ok(*value),
            // No field that can be selected is anything else.
            Some(_) => false,
        };
        equal == self.equal
    }
}

/// Parts of a selector: cut at commas that are not in parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    let parts = text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn label_key(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!text.is_empty() && text.chars().all(legal)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(labels: &str, fields: &str) -> bool {
        let object = json!({
            "metadata": {"name": "n", "namespace": "s", "labels": {"app": "web", "k8s.io/tier": "front"}},
            "type": "kubernetes.io/tls",
        });
        Selector::parse(Resource::named("secrets").unwrap(), labels, fields).unwrap().matches(&object)
    }

    #[test]
    fn labels_are_selected_as_the_grammar_says() {
        for yes in [
            "",
            "app",
            "app=web",
            "app==web",
            "app = web",
            "app!=api",
            "other!=x",
            "!other",
            "app in (api, web)",
            "app notin (api,db)",
            "other notin (x)",
            "k8s.io/tier=front,app in (web),!other",
        ] {
            assert!(matches(yes, ""), "{yes}");
        }
        for no in [
            "other",
            "app=api",
            "app!=web",
            "!app",
            "app in (api,db)",
            "app notin (web)",
            "app,other",
            "app in (web),k8s.io/tier=back",
        ] {
            assert!(!matches(no, ""), "{no}");
        }
        let secrets = Resource::named("secrets").unwrap();
        for wrong in ["app in web", "a b", "app like (x)", "=x", "app in (x"] {
            assert_eq!(Selector::parse(secrets, wrong, "").unwrap_err().code, 400, "{wrong}");
        }
    }

    #[test]
    fn fields_are_selected_where_the_kind_has_them() {
        assert!(matches("", "metadata.name=n,metadata.namespace!=x,type=kubernetes.io/tls"));
        assert!(!matches("", "metadata.name=x"));
        assert!(!matches("", "type!=kubernetes.io/tls"));
        let select = |name, fields| Selector::parse(Resource::named(name).unwrap(), "", fields);
        assert!(
            select("ingresses", "type=x").unwrap_err().message.contains("field label not supported: type")
        );
        assert_eq!(select("nodes", "metadata.namespace=x").unwrap_err().code, 400);
        assert_eq!(select("secrets", "metadata.name=n").unwrap().name(), Some("n"));
        assert_eq!(select("secrets", "metadata.name!=n").unwrap().name(), None);
    }
}
