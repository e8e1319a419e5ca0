//! What a test does with a cluster, be it in memory or real.

use crate::status::StatusError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

/// A cluster that a test writes to, and the program under test reads from.
pub trait Cluster {
    /// Where the API is.
    fn url(&self) -> String;

    /// The certificate of its authority as PEM, if it speaks TLS.
    fn authority_pem(&self) -> Option<String>;

    /// A kubeconfig, as YAML, of somebody who may do everything the server lets anybody do.
    fn kubeconfig(&self) -> String;

    /// A kubeconfig, as YAML, of whose token that is.
    fn kubeconfig_of(&self, token: &str) -> String {
        let (url, authority) = (self.url(), self.authority_pem());
        let credentials = Credentials::Token(token);
        Kubeconfig { url: &url, authority: authority.as_deref(), credentials }.yaml()
    }

    /// Writes the files that a pod finds of its service account: `token`, `ca.crt` and `namespace`.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to.
    fn write_service_account(&self, folder: &Path, namespace: &str, token: &str) -> io::Result<()> {
        fs::write(folder.join("token"), token)?;
        fs::write(folder.join("ca.crt"), self.authority_pem().unwrap_or_default())?;
        fs::write(folder.join("namespace"), namespace)
    }

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
    pub(crate) credentials: Credentials<'a>,
}

/// How a user proves who it is.
pub(crate) enum Credentials<'a> {
    Nothing,
    Token(&'a str),
    /// PEM.
    Certificate {
        certificate: &'a str,
        key: &'a str,
    },
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
        let _ = match self.credentials {
            Credentials::Nothing => writeln!(yaml, " {{}}"),
            Credentials::Token(token) => writeln!(yaml, "\n    token: {}", Value::from(token)),
            Credentials::Certificate { certificate, key } => {
                let (certificate, key) = (STANDARD.encode(certificate), STANDARD.encode(key));
                writeln!(yaml, "\n    client-certificate-data: {certificate}\n    client-key-data: {key}")
            }
        };
        yaml
    }
}
