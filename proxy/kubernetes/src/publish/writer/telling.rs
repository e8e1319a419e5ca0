//! Events.

use super::{AT_ONCE, CONFLICT, FORBIDDEN, IDLE, NOT_FOUND, PACE, Progress, Writer, is};
use crate::publish::events::{self, Act, EventName};
use crate::publish::{Events, Subject};
use crate::translate::ObjectName;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::Instant;
use weir_core::finding::ObjectRef;

impl Writer {
    /// Writes and clears Events.
    pub(super) async fn tell(&mut self, subject: &Subject) -> kube::Result<Instant> {
        if self.settings.events == Events::Never {
            return Ok(Instant::now() + IDLE);
        }
        if self.progress == Progress::New {
            self.find_events().await?;
            self.progress = Progress::Started;
        }
        self.events.want(&subject.findings);
        let uid = |object: &ObjectRef| {
            let name = ObjectName { namespace: object.namespace.clone(), name: object.name.clone() };
            subject.ingresses.get(&name).filter(|_| object.kind == "Ingress").map(|known| known.uid.clone())
        };
        for _ in 0..AT_ONCE {
            let now = Instant::now();
            let Some(act) = self.events.next(now, Timestamp::now(), &self.settings.identity, uid) else {
                return Ok(now + IDLE);
            };
            match self.carry_out(&act).await {
                // The namespace is about to go, or it is not allowed there: others are not kept waiting.
                Err(error) if is(&error, NOT_FOUND) || is(&error, FORBIDDEN) => {
                    tracing::debug!(%error, "an Event cannot be written");
                    self.events.refused(&act, now);
                }
                other => {
                    other?;
                    self.events.done(&act, now);
                }
            }
        }
        Ok(Instant::now() + PACE)
    }

    /// Looks for Events that an earlier leader has written.
    async fn find_events(&mut self) -> kube::Result<()> {
        let api = match &self.watched {
            Some(namespace) => Api::<Event>::namespaced(self.client.clone(), namespace),
            None => Api::<Event>::all(self.client.clone()),
        };
        let ours = format!("reportingComponent={}", events::COMPONENT);
        let found = api.list_metadata(&ListParams::default().fields(&ours)).await?;
        let now = Instant::now();
        for event in found.items {
            let name = EventName {
                namespace: event.metadata.namespace.unwrap_or_default(),
                name: event.metadata.name.unwrap_or_default(),
            };
            self.events.found(name, now);
        }
        Ok(())
    }

    async fn carry_out(&self, act: &Act) -> kube::Result<()> {
        match act {
            Act::Tell(event) => {
                let name = events::name_of(event);
                let api = Api::<Event>::namespaced(self.client.clone(), &name.namespace);
                match api.create(&PostParams::default(), event).await {
                    Err(error) if is(&error, CONFLICT) => {
                        let count = api.get_opt(&name.name).await?.and_then(|event| event.count).unwrap_or(0);
                        let again = json!({
                            "count": count.saturating_add(1),
                            "lastTimestamp": event.last_timestamp,
                            "message": event.message,
                        });
                        let patch = Patch::Merge(again);
                        api.patch(&name.name, &PatchParams::default(), &patch).await.map(drop)
                    }
                    created => created.map(drop),
                }
            }
            Act::Clear(EventName { namespace, name }) => {
                let api = Api::<Event>::namespaced(self.client.clone(), namespace);
                match api.delete(name, &DeleteParams::default()).await {
                    Err(error) if is(&error, NOT_FOUND) => Ok(()),
                    deleted => deleted.map(drop),
                }
            }
        }
    }
}
