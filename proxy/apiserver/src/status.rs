//! Refusals, as the API conventions have them: an object of kind `Status`, with a reason that programs read.

use crate::resources::Resource;
use serde_json::{Value, json};

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct StatusError {
    /// Status code of the answer.
    pub code: u16,
    /// Reason for programs, such as `NotFound`.
    pub reason: &'static str,
    /// Message for people.
    pub message: String,
    /// `details` of the Status: which object, and the causes. Null without.
    pub details: Value,
    /// Seconds after which to come back.
    pub retry_after: Option<u32>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Path of the field, such as `spec.rules[0].host`.
    pub field: String,
    /// Kind of mistake.
    pub kind: CauseKind,
    /// The value, where it is worth showing, and what is expected.
    pub message: String,
}

/// Kinds of mistakes in fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseKind {
    /// It must be there.
    Require,
    /// Its value cannot be.
    Invalid,
    /// It must not be there, or not with this value.
    Forbid,
}

impl StatusError {
    fn plain(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null, retry_after: None }
    }

    fn about(code: u16, reason: &'static str, resource: &Resource, name: &str, message: String) -> Self {
        let details = json!({"name": name, "group": resource.group, "kind": resource.plural});
        Self { details, ..Self::plain(code, reason, message) }
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, "BadRequest", message)
    }

    /// Nobody knows the token.
    pub fn unauthorized() -> Self {
        Self::plain(401, "Unauthorized", "Unauthorized")
    }

    /// There is no such object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::about(404, "NotFound", resource, name, message)
    }

    /// There is no such part of the API.
    pub fn no_such_resource() -> Self {
        Self {
            details: json!({}),
            ..Self::plain(404, "NotFound", "the server could not find the requested resource")
        }
    }

    /// The resource does not know the method.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: json!({}), ..Self::plain(405, "MethodNotAllowed", message) }
    }

    /// The answer cannot be given in a form that the client takes.
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json";
        Self::plain(406, "NotAcceptable", message)
    }

    /// The object is there already.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::about(409, "AlreadyExists", resource, name, message)
    }

    /// Somebody else was faster.
    pub fn conflict(resource: &Resource, name: &str) -> Self {
        Self::conflict_because(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// The object is not the one that was meant.
    pub fn conflict_because(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::about(409, "Conflict", resource, name, message)
    }

    /// What was asked for is history.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::plain(410, "Expired", message)
    }

    /// A watch or list wants to begin before what is remembered.
    pub fn too_old(asked: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// A list wants a version that is not there yet.
    pub fn too_large(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        let details = json!({"causes": causes, "retryAfterSeconds": 1});
        Self { details, retry_after: Some(1), ..Self::plain(504, "Timeout", format!("Timeout: {message}")) }
    }

    /// The body is too large.
    pub fn too_large_body(limit: usize) -> Self {
        Self::plain(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    /// The body is in a form that is not understood.
    pub fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::plain(415, "UnsupportedMediaType", message)
    }

    /// Fields of the object are wrong.
    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let texts: Vec<_> = causes.iter().map(|it| format!("{}: {}", it.field, it.text())).collect();
        let texts =
            if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
        let message = format!("{} \"{name}\" is invalid: {texts}", resource.qualified_kind());
        let causes: Vec<_> = causes.iter().map(Cause::value).collect();
        let details = json!({"name": name, "group": resource.group, "kind": resource.kind, "causes": causes});
        Self { details, ..Self::plain(422, "Invalid", message) }
    }

    /// The client may not do this. `details` name the resource, if it is about one.
    pub fn forbidden(message: String, details: Value) -> Self {
        Self { details, ..Self::plain(403, "Forbidden", message) }
    }

    /// A failure of the server, as tests make it: 429, 500, 503, or any other code.
    pub fn failure(code: u16, retry_after: Option<u32>) -> Self {
        let (reason, message) = match code {
            429 => (
                "TooManyRequests",
                "the server has received too many requests and has asked us to try again later",
            ),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
        };
        let details = retry_after.map_or(Value::Null, |seconds| json!({"retryAfterSeconds": seconds}));
        Self { details, retry_after, ..Self::plain(code, reason, message) }
    }

    /// The object of kind `Status`.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

impl Cause {
    /// A field that must be there and is not.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        Self { field: field.into(), kind: CauseKind::Require, message: why.to_owned() }
    }

    /// A value that cannot be.
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self { field: field.into(), kind: CauseKind::Invalid, message: format!("{value}: {why}") }
    }

    /// A field that must not be there.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { field: field.into(), kind: CauseKind::Forbid, message: why.to_owned() }
    }

    fn text(&self) -> String {
        let kind = match self.kind {
            CauseKind::Require => "Required value",
            CauseKind::Invalid => "Invalid value",
            CauseKind::Forbid => "Forbidden",
        };
        if self.message.is_empty() { kind.to_owned() } else { format!("{kind}: {}", self.message) }
    }

    fn value(&self) -> Value {
        let reason = match self.kind {
            CauseKind::Require => "FieldValueRequired",
            CauseKind::Invalid => "FieldValueInvalid",
            CauseKind::Forbid => "FieldValueForbidden",
        };
        json!({"reason": reason, "message": self.text(), "field": self.field})
    }
}
