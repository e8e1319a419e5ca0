//! In which zone we are: what our node is labelled with.
//!
//! Nothing depends on it but how far requests travel, so nothing waits for it for long.

use super::reflector::Timing;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Our zone, as far as it is known.
pub(super) enum Zone {
    /// It is known, or nobody asks for it.
    Settled,
    /// Our node is being asked.
    Asked { until: Instant, told: mpsc::Receiver<Answer>, task: JoinHandle<()> },
}

/// What is known of our zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The zone.
    Is(String),
    /// Nothing yet, and perhaps never.
    Unknown,
}

impl Zone {
    /// Asks for the zone of a node, again and again until it is known.
    pub(super) fn ask(api: Api<Node>, node: String, timing: Timing) -> Self {
        let (tell, told) = mpsc::channel(1);
        let task = tokio::spawn(ask(api, node, timing, tell));
        Self::Asked { until: Instant::now() + timing.zone, told, task }
    }

    /// Until when a first configuration waits for it.
    pub(super) fn holds_until(&self) -> Option<Instant> {
        match self {
            Self::Settled => None,
            Self::Asked { until, .. } => Some(*until),
        }
    }

    /// The next that becomes known of it.
    pub(super) async fn told(&mut self) -> Answer {
        match self {
            Self::Asked { told, .. } => match told.recv().await {
                Some(answer) => answer,
                // The node has no zone.
                None => std::future::pending().await,
            },
            Self::Settled => std::future::pending().await,
        }
    }

    /// Takes note of an answer: nothing waits any more. Gives the zone if that is what it is.
    pub(super) fn hear(&mut self, answer: Answer) -> Option<String> {
        match (answer, &mut *self) {
            (Answer::Is(zone), _) => {
                *self = Self::Settled;
                Some(zone)
            }
            (Answer::Unknown, Self::Asked { until, .. }) => {
                *until = Instant::now();
                None
            }
            (Answer::Unknown, Self::Settled) => None,
        }
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        if let Self::Asked { task, .. } = self {
            task.abort();
        }
    }
}

async fn ask(api: Api<Node>, name: String, timing: Timing, tell: mpsc::Sender<Answer>) {
    let mut pause = timing.pause_min;
    let mut told = false;
    loop {
        let why = match tokio::time::timeout(timing.list, api.get(&name)).await {
            Ok(Ok(node)) => {
                let zone = node.metadata.labels.and_then(|mut labels| labels.remove(LABEL));
                let answer = match zone.filter(|zone| !zone.is_empty()) {
                    Some(zone) => {
                        tracing::info!(node = name, zone, "endpoints of our zone are preferred");
                        Answer::Is(zone)
                    }
                    None => {
                        tracing::warn!(node = name, "our node has no label {LABEL}; all endpoints are used");
                        Answer::Unknown
                    }
                };
                let _ = tell.send(answer).await;
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        if !told {
            told = true;
            tracing::warn!(
                node = name,
                why,
                "our node cannot be read, so our zone is not known; all endpoints are used"
            );
            let _ = tell.send(Answer::Unknown).await;
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(timing.pause_max);
    }
}

const LABEL: &str = "topology.kubernetes.io/zone";
