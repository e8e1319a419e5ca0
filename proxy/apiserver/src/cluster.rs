//! What a test does with a cluster, be it in memory or real.

use crate::status::StatusError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;
use std::io;

/// A cluster that a test writes to, and the program under test reads from.
pub trait Cluster {
    /// Where the API is.
    fn url(&self) -> String;

    /// A kubeconfig, as YAML, of somebody who may do everything the server lets anybody do.
    fn kubeconfig(&self) -> String;

    /// Creates an object or replaces it, its status too, in whatever version it is. Where its namespace is missing, it is
    /// made; an object without one goes to `default`. Gives the object as it is stored.
    ///
    /// # Errors
    ///
    /// It is refused.
    fn put_value(&self, object: Value) -> Result<Value, StatusError>;

    /// As [`Self::put_value`], of a typed object.
    ///
    /// # Errors
    ///
    /// As [`Self::put_value`].
    fn put(&self, object: &impl Serialize) -> Result<Value, StatusError>
    where
        Self: Sized,
    {
        let value =
            serde_json::to_value(object).map_err(|error| StatusError::bad_request(error.to_string()))?;
        self.put_value(value)
    }

    /// Merges a patch (RFC 7396) into an object. The resource is named as `ingresses`, or with its group as
    /// `events.events.k8s.io`; the namespace is empty for kinds of the cluster.
    ///
    /// # Errors
    ///
    /// It is not there, or refused.
    fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value)
    -> Result<Value, StatusError>;

    /// Deletes an object.
    ///
    /// # Errors
    ///
    /// It is not there.
    fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<(), StatusError>;

    /// An object, if it is there.
    ///
    /// # Errors
    ///
    /// There is no such resource.
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Result<Option<Value>, StatusError>;

    /// All objects of a resource in a namespace, or in all where it is empty.
    ///
    /// # Errors
    ///
    /// There is no such resource.
    fn list(&self, resource: &str, namespace: &str) -> Result<Vec<Value>, StatusError>;

    /// Stops the API server and starts it again under the same address. Objects stay; what watches begin after may not.
    ///
    /// # Errors
    ///
    /// It does not start.
    fn restart(&mut self) -> io::Result<()>;
}

/// What a kubeconfig is made of.
pub(crate) struct Kubeconfig<'a> {
    pub(crate) url: &'a str,
    /// PEM.
    pub(crate) authority: Option<&'a str>,
    pub(crate) token: Option<&'a str>,
}

impl Kubeconfig<'_> {
    pub(crate) fn yaml(&self) -> String {
        let mut yaml = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             contexts:\n- name: test\n  context: {{cluster: test, user: test, namespace: default}}\n\
             clusters:\n- name: test\n  cluster:\n    server: {}\n",
            self.url
        );
        if let Some(pem) = self.authority {
            let _ = writeln!(yaml, "    certificate-authority-data: {}", STANDARD.encode(pem));
        }
        yaml.push_str("users:\n- name: test\n  user:");
        match self.token {
            Some(token) => {
                let _ = writeln!(yaml, "\n    token: {}", Value::from(token));
            }
            None => yaml.push_str(" {}\n"),
        }
        yaml
    }
}
