//! What admission plugins make of an object before it is stored.

use crate::registry::text;
use crate::resources::Resource;
use crate::store::Store;
use serde_json::Value;
use std::cmp::Reverse;

/// What the plugin `DefaultIngressClass` does: a new Ingress that names no class gets the default one, the newest where
/// there are several.
pub(crate) fn default_class(store: &Store, resource: &Resource, object: &mut Value) {
    let named = !object["spec"]["ingressClassName"].is_null()
        || !object["metadata"]["annotations"]["kubernetes.io/ingress.class"].is_null();
    let Some(classes) = Resource::named("ingressclasses").filter(|_| resource.kind == "Ingress" && !named)
    else {
        return;
    };
    let classes = store.list(classes, "").into_iter().map(|(_, class)| &class.value);
    let is_default = |class: &&Value| class["metadata"]["annotations"][IS_DEFAULT] == "true";
    let newest = |class: &&Value| {
        (Reverse(text(class, "creationTimestamp").to_owned()), text(class, "name").to_owned())
    };
    let class = classes.filter(is_default).min_by_key(newest);
    if let (Some(class), Some(spec)) = (class, object["spec"].as_object_mut()) {
        spec.insert("ingressClassName".to_owned(), text(class, "name").into());
    }
}

const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
