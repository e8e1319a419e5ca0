//! What is written back to a cluster: under which addresses Ingresses are served, and what is wrong with objects.
//!
//! Of several replicas one writes: the leader ([`lease`]). It works through what there is to do at a bounded pace, and
//! whatever fails is tried again later; nothing here holds up what is served.

mod addresses;
mod events;
mod lease;
mod writer;

pub use addresses::NodeAddress;
pub(crate) use writer::Writer;

use crate::translate::ObjectName;
use k8s_openapi::api::networking::v1::IngressLoadBalancerIngress as Address;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use weir_core::Finding;

/// What the operator decides about writing back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether anything is written to `.status` of Ingresses, and from where.
    pub status: Status,
    /// How often the status is looked at, where nothing says that it changed (`--status-update-interval`).
    pub interval: Duration,
    /// What becomes of the status when the last replica ends (`--update-status-on-shutdown`).
    pub at_the_end: AtTheEnd,
    /// Whether findings become Events (`--disable-sync-events`).
    pub events: Events,
    /// Who writes.
    pub election: Election,
    /// The name of this replica, for others to read.
    pub identity: String,
    /// Our own pod (`POD_NAMESPACE`, `POD_NAME`), where it is known.
    pub pod: Option<ObjectName>,
}

/// Which addresses Ingresses get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// None: their status is left alone (`--update-status=false`).
    Keep,
    /// Those of a Service (`--publish-service`).
    OfService(ObjectName),
    /// These, IP addresses or names (`--publish-status-address`).
    Given(Vec<String>),
    /// Those of the nodes that our pods run on.
    OfNodes(NodeAddress),
}

/// What becomes of the status when the last replica ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtTheEnd {
    /// It is emptied, for nobody serves any more.
    Clear,
    /// It stays.
    Keep,
}

/// Whether findings become Events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// They do.
    Write,
    /// They do not.
    Never,
}

/// Who of several replicas writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Election {
    /// The one that holds a Lease.
    Lease {
        /// Its name, in our own namespace (`--election-id`).
        name: String,
        /// How long it holds (`--election-ttl`).
        ttl: Duration,
    },
    /// This one: there are no others (`--disable-leader-election`).
    Alone,
}

/// What there is to write about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// The Ingresses that are ours.
    pub(crate) ingresses: Arc<BTreeMap<ObjectName, Ingress>>,
    /// What is wrong with objects.
    pub(crate) findings: Arc<Vec<Finding>>,
}

/// What is known of an Ingress that is ours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ingress {
    pub(crate) uid: String,
    /// The addresses that its status has now.
    pub(crate) addresses: Vec<Address>,
}
