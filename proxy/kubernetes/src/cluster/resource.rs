//! What the API server sends → what is told of it.

use super::prune::Watched;
use super::reflector::{EventStream, Resource};
use super::stream::Item;
use crate::translate::ObjectName;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ListParams, ObjectList, PartialObjectMeta, WatchParams};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Objects as they are.
pub(super) struct Objects<K>(pub(super) Api<K>);

impl<K> Resource for Objects<K>
where
    K: Watched + kube::Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    type Sent = K;

    async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<K>> {
        self.0.list(params).await
    }

    async fn watch(&self, params: &WatchParams, version: &str) -> kube::Result<EventStream<K>> {
        Ok(self.0.watch(params, version).await?.boxed())
    }

    fn item(&self, sent: K) -> (Item, String) {
        let version = sent.meta().resource_version.clone().unwrap_or_default();
        (Item::Object(sent.into_object()), version)
    }
}

/// Names and versions of Secrets; what they hold is not sent.
pub(super) struct Versions(pub(super) Api<Secret>);

impl Resource for Versions {
    type Sent = PartialObjectMeta<Secret>;

    async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<Self::Sent>> {
        self.0.list_metadata(params).await
    }

    async fn watch(&self, params: &WatchParams, version: &str) -> kube::Result<EventStream<Self::Sent>> {
        Ok(self.0.watch_metadata(params, version).await?.boxed())
    }

    fn item(&self, sent: Self::Sent) -> (Item, String) {
        let meta = sent.metadata;
        let version = meta.resource_version.unwrap_or_default();
        let name =
            ObjectName { namespace: meta.namespace.unwrap_or_default(), name: meta.name.unwrap_or_default() };
        (Item::Version(name, version.clone()), version)
    }
}
