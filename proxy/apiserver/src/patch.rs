//! The four forms of a patch.

mod apply;
mod strategic;

pub(crate) use apply::removals;
pub(crate) use strategic::merge as strategic;

use crate::resources::Resource;
use crate::status::StatusError;
use serde_json::Value;

/// Forms of a patch, by their media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// As RFC 7396, but lists may be merged by a key.
    Strategic,
    /// The whole of what one manager wants.
    Apply,
}

impl Form {
    /// Of a `Content-Type`.
    ///
    /// # Errors
    ///
    /// 415.
    pub(crate) fn of(media_type: &str) -> Result<Self, StatusError> {
        Ok(match media_type {
            "application/json-patch+json" => Self::Json,
            "application/merge-patch+json" => Self::Merge,
            "application/strategic-merge-patch+json" => Self::Strategic,
            "application/apply-patch+yaml" => Self::Apply,
            _ => return Err(StatusError::unsupported_media_type(ACCEPTED)),
        })
    }
}

/// The object as a patch other than [`Form::Apply`] makes it.
///
/// # Errors
///
/// 422 for a JSON patch that does not fit the object, 400 for one that is none.
pub(crate) fn patched(
    resource: &Resource,
    form: Form,
    object: &Value,
    patch: &Value,
) -> Result<Value, StatusError> {
    let mut object = object.clone();
    match form {
        Form::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| StatusError::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(&mut object, &operations).map_err(|error| StatusError {
                code: 422,
                reason: "Invalid",
                message: format!("the server rejected our request due to an error in our request: {error}"),
                details: Value::Null,
                retry_after: None,
            })?;
        }
        Form::Merge => json_patch::merge(&mut object, patch),
        Form::Strategic | Form::Apply => strategic(resource, &mut object, patch),
    }
    Ok(object)
}

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, \
                        application/strategic-merge-patch+json, application/apply-patch+yaml";
