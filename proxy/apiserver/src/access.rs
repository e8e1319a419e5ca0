//! Who may do what: rules in the shape of RBAC.

use crate::request::Request;
use crate::status::StatusError;
use serde::Deserialize;
use serde_json::{Value, json};

/// What is allowed.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// Everything.
    #[default]
    Everything,
    /// What one of these rules allows, and discovery, health and version besides, as everyone may in a cluster.
    Rules(Vec<Rule>),
}

/// A rule of a Role or ClusterRole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Groups; empty text for the core group, `*` for all.
    pub api_groups: Vec<String>,
    /// Resources, such as `ingresses` or `ingresses/status`; `*` for all.
    pub resources: Vec<String>,
    /// Verbs, or `*`.
    pub verbs: Vec<String>,
    /// Names of objects; all without.
    pub resource_names: Vec<String>,
    /// The namespace for which it holds (of a Role); everywhere without (of a ClusterRole).
    #[serde(skip)]
    pub namespace: Option<String>,
}

impl Access {
    /// The rules of objects of kind Role (which hold in their namespace) and ClusterRole.
    pub fn from_roles<'a>(roles: impl IntoIterator<Item = &'a Value>) -> Self {
        Self::Rules(roles.into_iter().flat_map(Rule::of_role).collect())
    }

    /// Asks whether a user may do this.
    ///
    /// # Errors
    ///
    /// 403, in the words of the API server.
    pub(crate) fn check(&self, user: &str, request: &Request) -> Result<(), StatusError> {
        let Self::Rules(rules) = self else { return Ok(()) };
        if request.resource.is_empty() || rules.iter().any(|rule| rule.allows(request)) {
            return Ok(());
        }
        Err(forbidden(user, request))
    }
}

impl Rule {
    /// The rules of one Role or ClusterRole.
    pub fn of_role(role: &Value) -> Vec<Self> {
        let namespace =
            (role["kind"] == "Role").then(|| text(role.pointer("/metadata/namespace")).to_owned());
        let rules = role.get("rules").cloned().unwrap_or_default();
        let rules: Vec<Self> = serde_json::from_value(rules).unwrap_or_default();
        rules.into_iter().map(|rule| Self { namespace: namespace.clone(), ..rule }).collect()
    }

    fn allows(&self, request: &Request) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|it| it == "*" || it == word);
        let resource = match request.subresource.as_str() {
            "" => request.resource.clone(),
            part => format!("{}/{part}", request.resource),
        };
        // A rule with names does not allow what names none.
        let named = self.resource_names.is_empty() || self.resource_names.contains(&request.name);
        let here = self.namespace.as_ref().is_none_or(|it| *it == request.namespace);
        here && named
            && has(&self.verbs, request.verb.as_str())
            && has(&self.api_groups, &request.group)
            && has(&self.resources, &resource)
    }
}

fn forbidden(user: &str, request: &Request) -> StatusError {
    let Request { verb, group, resource, subresource, namespace, name, .. } = request;
    let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
    let object = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
    let part = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
    let place = match namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let message = format!(
        "{qualified}{object} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}{part}\" \
         in API group \"{group}\" {place}"
    );
    let mut details = json!({"group": group, "kind": resource});
    if !name.is_empty() {
        details["name"] = name.clone().into();
    }
    StatusError::forbidden(message, details)
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Query, Target};
    use http::Method;

    fn ask(access: &Access, method: &Method, path: &str, query: &str) -> Result<(), String> {
        let target = Target::parse(method, path, &Query::parse(query)).unwrap();
        access.check("system:serviceaccount:weir:weir", &target.request()).map_err(|error| error.message)
    }

    #[test]
    fn rules_allow_what_rbac_would_and_nothing_else() {
        let cluster = json!({"kind": "ClusterRole", "rules": [
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["patch"]},
        ]});
        let role = json!({"kind": "Role", "metadata": {"namespace": "weir"}, "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["tls"], "verbs": ["get", "watch"]},
        ]});
        let access = Access::from_roles([&cluster, &role]);
        let ingresses = "/apis/networking.k8s.io/v1/ingresses";
        let ingress = "/apis/networking.k8s.io/v1/namespaces/a/ingresses/b";
        assert_eq!(ask(&access, &Method::GET, ingresses, ""), Ok(()));
        assert_eq!(ask(&access, &Method::GET, ingress, ""), Ok(()));
        assert_eq!(ask(&access, &Method::PATCH, &format!("{ingress}/status"), ""), Ok(()));
        assert!(ask(&access, &Method::PATCH, ingress, "").is_err());
        assert!(ask(&access, &Method::PUT, &format!("{ingress}/status"), "").is_err());
        let secrets = "/api/v1/namespaces/weir/secrets";
        assert_eq!(ask(&access, &Method::GET, &format!("{secrets}/tls"), ""), Ok(()));
        assert_eq!(ask(&access, &Method::GET, secrets, "watch=1&fieldSelector=metadata.name=tls"), Ok(()));
        assert!(ask(&access, &Method::GET, secrets, "watch=1").is_err());
        assert!(ask(&access, &Method::GET, "/api/v1/namespaces/other/secrets/tls", "").is_err());
        assert_eq!(ask(&access, &Method::GET, "/version", ""), Ok(()));
        assert_eq!(ask(&Access::Everything, &Method::GET, secrets, ""), Ok(()));
    }

    #[test]
    fn refusals_are_worded_as_the_api_server_does() {
        let nothing = Access::Rules(Vec::new());
        assert_eq!(
            ask(&nothing, &Method::GET, "/apis/networking.k8s.io/v1/ingresses", "").unwrap_err(),
            "ingresses.networking.k8s.io is forbidden: User \"system:serviceaccount:weir:weir\" cannot list resource \
             \"ingresses\" in API group \"networking.k8s.io\" at the cluster scope"
        );
        assert_eq!(
            ask(&nothing, &Method::PUT, "/api/v1/namespaces/a/services/b/status", "").unwrap_err(),
            "services \"b\" is forbidden: User \"system:serviceaccount:weir:weir\" cannot update resource \
             \"services/status\" in API group \"\" in the namespace \"a\""
        );
    }
}
