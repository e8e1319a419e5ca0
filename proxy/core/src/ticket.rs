//! What an admitted request holds until it ends.

use crate::account::{Account, Outcome};
use crate::backend::Backend;
use crate::policy::{BodyLimit, Mode, Policy};
use crate::snapshot::Location;
use crate::verdict::{RateLimitFields, Refusal};
use std::sync::Arc;
use weir_limits::Instant;

/// An admitted request. Dropping it without [`Ticket::finish`] gives everything back and counts it as aborted.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    account: Account,
    backend: Arc<Backend>,
    fields: Option<RateLimitFields>,
}

impl Ticket {
    /// Closes the account: permits go back, metrics are counted. Returns the account for the access log.
    pub fn finish(self, now: Instant, outcome: &Outcome) -> Account {
        let mut account = self.account;
        account.close(now, outcome);
        account
    }

    /// The body turned out to be too large while it was streaming: what to answer, if no response has begun.
    pub fn refuse_body(self) -> Refusal {
        todo!("by the core")
    }

    /// Most bytes of the body, and whether more is refused or only counted.
    pub fn body_limit(&self) -> (BodyLimit, Mode) {
        let policy = self.policy();
        (policy.body.max, policy.limits.mode.body)
    }

    /// Fields for the response, where the policy wants them on every response.
    pub fn rate_limit(&self) -> Option<&RateLimitFields> {
        self.fields.as_ref()
    }

    /// Where the request goes.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// The location that took it.
    pub fn location(&self) -> Option<&Arc<Location>> {
        self.account.location.as_ref()
    }

    /// What its owner wants.
    pub fn policy(&self) -> &Policy {
        todo!("by the core")
    }

    /// Account of this request so far.
    pub fn account(&self) -> &Account {
        &self.account
    }
}
