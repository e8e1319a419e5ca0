//! Lists: of now, of a version, and in pages.

use crate::reply::Shape;
use crate::request::{Objects, Query};
use crate::status::StatusError;
use crate::store::{Key, Object, Store};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    version: AsOf,
    limit: usize,
    after: Option<Key>,
}

/// Which version is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AsOf {
    /// The newest.
    Now,
    /// Any not older than this.
    NotOlderThan(u64),
    /// This one.
    Exactly(u64),
}

/// Where a page ended. Clients give it back as it is.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    v: String,
    rv: u64,
    namespace: String,
    name: String,
}

impl Page {
    /// From the query.
    ///
    /// # Errors
    ///
    /// 400 or 422 where parameters contradict each other or cannot be read.
    pub(crate) fn parse(query: &Query) -> Result<Self, StatusError> {
        let limit = usize::try_from(query.number("limit")?).unwrap_or(usize::MAX);
        let version = query.get("resourceVersion");
        let number = query.number("resourceVersion")?;
        let token = query.get("continue");
        if !token.is_empty() {
            if !version.is_empty() && version != "0" {
                let message = "specifying resource version is not allowed when using continue";
                return Err(StatusError::bad_request(message));
            }
            let token = Token::read(token)?;
            let after = Some(Key { namespace: token.namespace, name: token.name });
            return Ok(Self { version: AsOf::Exactly(token.rv), limit, after });
        }
        let version = match (version, query.get("resourceVersionMatch")) {
            ("", "") => AsOf::Now,
            ("", _) => {
                return Err(forbidden(
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            ("0", "Exact") => {
                return Err(forbidden(
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
            ("0", _) => AsOf::NotOlderThan(0),
            (_, "Exact") => AsOf::Exactly(number),
            (_, "NotOlderThan") => AsOf::NotOlderThan(number),
            (_, "") if limit > 0 => AsOf::Exactly(number),
            (_, "") => AsOf::NotOlderThan(number),
            (_, other) => {
                return Err(forbidden(&format!("resourceVersionMatch: Unsupported value: \"{other}\"")));
            }
        };
        // The cache, which answers these, does not know pages.
        let limit = if version == AsOf::NotOlderThan(0) { 0 } else { limit };
        Ok(Self { version, limit, after: None })
    }

    /// The list, as JSON.
    ///
    /// # Errors
    ///
    /// 410 where the version is gone, 504 where it is not there yet.
    pub(crate) fn list(
        &self,
        store: &Store,
        objects: &Objects,
        shape: Shape,
    ) -> Result<Vec<u8>, StatusError> {
        let past;
        let (found, version) = match self.as_of(store)? {
            None => (store.list(objects.resource, &objects.namespace), store.version()),
            Some(version) => match self.past(store, objects, version)? {
                None => (store.list(objects.resource, &objects.namespace), version),
                Some(objects) => {
                    past = objects;
                    (past.iter().collect(), version)
                }
            },
        };
        let unseen = |key: &Key| self.after.as_ref().is_none_or(|after| key > after);
        let meant = found.into_iter().filter(|(key, it)| unseen(key) && objects.selector.matches(&it.value));
        let mut meant = meant.peekable();
        let mut page: Vec<&Object> = Vec::new();
        let mut last = None;
        while let Some((key, object)) = meant.next_if(|_| self.limit == 0 || page.len() < self.limit) {
            page.push(object);
            last = Some(key);
        }
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if let (Some(_), Some(last)) = (meant.peek(), last) {
            metadata["continue"] = Token::write(version, last).into();
            if objects.selector.is_empty() {
                metadata["remainingItemCount"] = meant.count().into();
            }
        }
        Ok(shape.list(objects.resource, page.into_iter(), &metadata))
    }

    /// The version of the past that is meant, if one is.
    fn as_of(&self, store: &Store) -> Result<Option<u64>, StatusError> {
        match self.version {
            AsOf::NotOlderThan(version) if version > store.version() => {
                Err(StatusError::too_large(version, store.version()))
            }
            AsOf::Now | AsOf::NotOlderThan(_) => Ok(None),
            AsOf::Exactly(version) => Ok(Some(version)),
        }
    }

    /// The objects as of a version, if they have changed since.
    fn past(
        &self,
        store: &Store,
        objects: &Objects,
        version: u64,
    ) -> Result<Option<BTreeMap<Key, Arc<Object>>>, StatusError> {
        store.list_at(objects.resource, &objects.namespace, version).map_err(|error| match self.after {
            Some(_) if error.code == 410 => StatusError::expired(CONTINUE_EXPIRED),
            _ => error,
        })
    }
}

impl Token {
    fn read(text: &str) -> Result<Self, StatusError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        token.ok_or_else(|| StatusError::bad_request("continue key is not valid"))
    }

    fn write(version: u64, last: &Key) -> String {
        let (namespace, name) = (last.namespace.clone(), last.name.clone());
        let token = Self { v: "meta.k8s.io/v1".to_owned(), rv: version, namespace, name };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }
}

fn forbidden(why: &str) -> StatusError {
    StatusError {
        code: 422,
        reason: "Invalid",
        message: format!("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: {why}"),
        details: serde_json::Value::Null,
        retry_after: None,
    }
}

const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can \
                                start a new list without the continue parameter.";
