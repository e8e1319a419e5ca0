//! What an admitted request holds until it ends.

use crate::account::{Account, Outcome};
use crate::backend::{Backend, NoEndpoint, Pick};
use crate::policy::{BodyLimit, Mode, Policy};
use crate::snapshot::Location;
use crate::verdict::{RateLimitFields, Reason, Refusal, RuleHit};
use std::net::SocketAddr;
use std::sync::Arc;
use weir_limits::{Grant, Instant};

/// An admitted request. Dropping it without [`Ticket::finish`] gives everything back and counts it as aborted.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    account: Account,
    location: Arc<Location>,
    /// Places in flight; `None` for clients that are not limited.
    grant: Option<Grant>,
    body: BodyRule,
    fields: Option<RateLimitFields>,
}

/// The limit of a request body, and the annotation that set it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyRule {
    pub(crate) max: BodyLimit,
    pub(crate) rule: &'static str,
    pub(crate) mode: Mode,
}

impl Ticket {
    pub(crate) fn new(
        account: Account,
        location: Arc<Location>,
        grant: Option<Grant>,
        body: BodyRule,
        fields: Option<RateLimitFields>,
    ) -> Self {
        Self { account, location, grant, body, fields }
    }

    /// Closes the account: permits go back, metrics are counted. Returns the account for the access log.
    pub fn finish(self, now: Instant, outcome: &Outcome) -> Account {
        let mut account = self.account;
        account.close(now, outcome);
        account
    }

    /// Gives the places in flight back before the end: to be called when nothing of the request is left but to send
    /// the last bytes of its response, which are here. A client that waits for its answers never finds its own place
    /// taken then.
    pub fn release(&mut self) {
        drop(self.take_places());
    }

    /// Takes the places in flight out, for whoever knows better when the response ends; they are given back when the
    /// result is dropped.
    pub fn take_places(&mut self) -> Option<Grant> {
        self.grant.take()
    }

    /// The body turned out to be too large while it was streaming: what to answer, if no response has begun.
    ///
    /// What the request was charged stays charged: the origin may have seen it. Its places in flight are free again.
    pub fn refuse_body(self) -> Refusal {
        let mut account = self.account;
        account.note(RuleHit { rule: self.body.rule, reason: Reason::Body, mode: Mode::Enforce });
        Refusal {
            rate_limit: None,
            retry_after: None,
            allow: None,
            location: None,
            status: 413,
            reason: Reason::Body,
            account,
        }
    }

    /// The body turned out to be too large while it was streaming, and the mode is [`Mode::Observe`]: count it and go
    /// on. To be called once a request.
    pub fn observe_body(&mut self) {
        self.account.note(RuleHit { rule: self.body.rule, reason: Reason::Body, mode: Mode::Observe });
    }

    /// No endpoint is left to try: what to answer instead (503).
    pub fn refuse_endpoint(self) -> Refusal {
        let mut account = self.account;
        account.note_reason(Reason::NoEndpoint);
        Refusal {
            rate_limit: None,
            retry_after: None,
            allow: None,
            location: None,
            status: 503,
            reason: Reason::NoEndpoint,
            account,
        }
    }

    /// Most bytes of the body, and whether more is refused or only counted.
    pub fn body_limit(&self) -> (BodyLimit, Mode) {
        (self.body.max, self.body.mode)
    }

    /// Fields for the response, where the policy wants them on every response.
    pub fn rate_limit(&self) -> Option<&RateLimitFields> {
        self.fields.as_ref()
    }

    /// Where the request goes.
    pub fn backend(&self) -> &Arc<Backend> {
        self.location.target()
    }

    /// Chooses the next endpoint as the policy wants; see [`Backend::pick`].
    ///
    /// # Errors
    ///
    /// See [`NoEndpoint`].
    pub fn pick(&self, now: Instant, random: u64, tried: &[SocketAddr]) -> Result<Pick, NoEndpoint> {
        self.backend().pick(now, self.policy().origin.balance, random, tried)
    }

    /// How many places in flight it holds.
    pub fn places(&self) -> usize {
        self.grant.as_ref().map_or(0, Grant::in_flight)
    }

    /// The location that took it.
    pub fn location(&self) -> Option<&Arc<Location>> {
        Some(&self.location)
    }

    /// What its owner wants.
    pub fn policy(&self) -> &Policy {
        &self.location.policy
    }

    /// Account of this request so far.
    pub fn account(&self) -> &Account {
        &self.account
    }
}
