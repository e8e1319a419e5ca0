//! What is wrong with a configuration object, said so that its owner can mend it.

use std::fmt;

/// A configuration object, as its owner names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// Kubernetes kind, e.g. `Ingress`.
    pub kind: String,
    /// Namespace; empty for cluster-wide objects and for settings.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// Names an object.
    pub fn new(kind: impl Into<String>, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Works, but not as in ingress-nginx, or not as its author may think.
    Warn,
    /// Something the author asked for is not in force; what is in force instead is never weaker.
    Fail,
}

impl Severity {
    /// `warning` or `error`: what people and metric labels read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warning",
            Self::Fail => "error",
        }
    }
}

/// One mistake in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The object it is in.
    pub object: ObjectRef,
    /// The field, e.g. `metadata.annotations[weir.dev/limit-rps]` or `spec.rules[0].host`.
    pub field: String,
    /// The value found there; empty when it is missing or secret.
    pub value: String,
    /// How bad it is.
    pub severity: Severity,
    /// A stable code for machines, in kebab case, e.g. `invalid-value`.
    pub code: &'static str,
    /// What was expected and what is in force instead: one or two sentences without the parts above.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity.as_str(), self.object, self.field)?;
        if !self.value.is_empty() {
            write!(f, " = {:?}", self.value)?;
        }
        write!(f, ": {}", self.message)
    }
}
