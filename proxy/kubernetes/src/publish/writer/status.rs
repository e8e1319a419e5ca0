//! The status of Ingresses.

use super::{AT_ONCE, CONFLICT, IDLE, NOT_FOUND, PACE, UNPROCESSABLE, Writer, is};
use crate::publish::{Address, Ingress, Status, Subject, addresses};
use crate::translate::ObjectName;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::networking::v1 as networking;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

impl Writer {
    /// Writes the status of Ingresses that have another.
    pub(super) async fn status(&mut self, subject: &Subject) -> kube::Result<Instant> {
        let now = Instant::now();
        if self.settings.status == Status::Keep {
            return Ok(now + IDLE);
        }
        let fresh = self.addresses.as_ref().filter(|(addresses, read)| {
            let age = now.saturating_duration_since(*read);
            age < if addresses.is_empty() { NOTHING_YET } else { self.settings.interval }
        });
        let addresses = match fresh {
            Some((addresses, _)) => addresses.clone(),
            None => {
                let addresses = self.read_addresses().await?;
                self.addresses = Some((addresses.clone(), Instant::now()));
                addresses
            }
        };
        // Where clients reach us is not known yet: what is written there is more than nothing.
        if addresses.is_empty() {
            return Ok(now + NOTHING_YET);
        }
        self.write_status(subject, &addresses).await
    }

    async fn write_status(&mut self, subject: &Subject, addresses: &[Address]) -> kube::Result<Instant> {
        let now = Instant::now();
        self.written.retain(|name, (written, at)| {
            now.saturating_duration_since(*at) < ON_THE_WAY
                && subject
                    .ingresses
                    .get(name)
                    .is_some_and(|known| known.uid == written.uid && known != written)
        });
        let differs = |(name, known): &(&ObjectName, &Ingress)| {
            known.addresses != addresses
                && self.written.get(*name).is_none_or(|(written, _)| written.addresses != addresses)
        };
        let due: Vec<_> = subject.ingresses.iter().filter(differs).take(AT_ONCE).collect();
        let is_all = due.len() < AT_ONCE;
        for (name, known) in due {
            let api = Api::<networking::Ingress>::namespaced(self.client.clone(), &name.namespace);
            // Of this object, and not of another that has its name since.
            let patch = json!({
                "metadata": {"uid": known.uid},
                "status": {"loadBalancer": {"ingress": addresses}},
            });
            match api.patch_status(&name.name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Ok(_) => tracing::debug!(%name, "status written"),
                // It is gone, or another one.
                Err(error) if is(&error, NOT_FOUND) || is(&error, CONFLICT) => {}
                // Another one too; or an address that the API server does not take, which others need not wait for.
                Err(error) if is(&error, UNPROCESSABLE) => {
                    tracing::warn!(%name, %error, "the status is refused");
                }
                Err(error) => return Err(error),
            }
            let written = Ingress { uid: known.uid.clone(), addresses: addresses.to_vec() };
            self.written.insert(name.clone(), (written, Instant::now()));
        }
        let pause = match (is_all, self.written.is_empty()) {
            (false, _) => PACE,
            // Somebody may have taken back what was written, before it was told.
            (true, false) => self.settings.interval.min(ON_THE_WAY),
            (true, true) => self.settings.interval,
        };
        Ok(Instant::now() + pause)
    }

    /// Where clients reach us.
    async fn read_addresses(&self) -> kube::Result<Vec<Address>> {
        match &self.settings.status {
            Status::Keep => Ok(Vec::new()),
            Status::Given(texts) => Ok(addresses::of_texts(texts)),
            Status::OfService(name) => {
                let api = Api::<Service>::namespaced(self.client.clone(), &name.namespace);
                let service = api.get_opt(&name.name).await?;
                if service.is_none() {
                    tracing::warn!(%name, "there is no such Service (--publish-service)");
                }
                Ok(service.as_ref().map(addresses::of_service).unwrap_or_default())
            }
            Status::OfNodes(which) => {
                let pods = self.replicas().await?;
                let names = pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone());
                let mut nodes = BTreeMap::new();
                for name in names.collect::<BTreeSet<_>>() {
                    if let Some(node) = Api::<Node>::all(self.client.clone()).get_opt(&name).await? {
                        nodes.insert(name, node);
                    }
                }
                Ok(addresses::of_nodes(&pods, &nodes, *which))
            }
        }
    }

    /// All pods like ours; none if it is not known which pod is ours.
    async fn replicas(&self) -> kube::Result<Vec<Pod>> {
        let Some(own) = &self.settings.pod else { return Ok(Vec::new()) };
        let api = Api::<Pod>::namespaced(self.client.clone(), &own.namespace);
        let Some(pod) = api.get_opt(&own.name).await? else { return Ok(Vec::new()) };
        let labels = pod.metadata.labels.unwrap_or_default();
        let labels: Vec<_> = labels
            .iter()
            .filter(|(name, _)| !OF_ONE_REVISION.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if labels.is_empty() {
            return Ok(Vec::new());
        }
        Ok(api.list(&ListParams::default().labels(&labels.join(","))).await?.items)
    }

    /// Whether no other replica runs. What is not known is no reason to clear anything.
    pub(super) async fn is_last(&self) -> kube::Result<bool> {
        let Some(own) = &self.settings.pod else { return Ok(false) };
        let replicas = self.replicas().await?;
        let is_other = |pod: &&Pod| pod.metadata.name.as_deref() != Some(own.name.as_str());
        let others = replicas.iter().filter(is_other).filter(|pod| addresses::is_running(pod)).count();
        Ok(!replicas.is_empty() && others == 0)
    }

    /// Empties the statuses that say what we have written.
    pub(super) async fn clear_status(&self, subject: &Subject) -> kube::Result<()> {
        let Some((ours, _)) = self.addresses.as_ref().filter(|(ours, _)| !ours.is_empty()) else {
            return Ok(());
        };
        for (name, known) in subject.ingresses.iter() {
            let written = self.written.get(name).map(|(written, _)| &written.addresses);
            if written.unwrap_or(&known.addresses) != ours {
                continue;
            }
            let api = Api::<networking::Ingress>::namespaced(self.client.clone(), &name.namespace);
            let patch = json!({"metadata": {"uid": known.uid}, "status": {"loadBalancer": {"ingress": []}}});
            match api.patch_status(&name.name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Err(error) if is(&error, NOT_FOUND) || is(&error, CONFLICT) || is(&error, UNPROCESSABLE) => {}
                patched => drop(patched?),
            }
        }
        Ok(())
    }
}

/// Labels that pods of one Deployment or DaemonSet do not share.
const OF_ONE_REVISION: [&str; 3] =
    ["pod-template-hash", "controller-revision-hash", "pod-template-generation"];
/// How long a watch may take to tell of what was written.
const ON_THE_WAY: Duration = Duration::from_secs(10);
/// How often it is looked for addresses while there are none.
const NOTHING_YET: Duration = Duration::from_secs(5);
