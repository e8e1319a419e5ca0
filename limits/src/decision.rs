//! The answer: a grant that holds what was taken, or a denial that knows when to come back.

use std::fmt;
use std::time::Duration;

use crate::gcra::Standing;
use crate::inflight::Permit;
use crate::rule::Window;
use crate::time::Instant;

/// Whether a request may pass.
#[derive(Debug)]
#[must_use = "a request that was not asked about is not limited"]
pub enum Decision {
    /// It may, and everything is charged.
    Grant(Grant),
    /// It may not, and nothing is charged.
    Deny(Denial),
}

impl Decision {
    /// The grant, or the denial as an error.
    ///
    /// # Errors
    ///
    /// If the request was denied.
    pub fn into_result(self) -> Result<Grant, Denial> {
        match self {
            Self::Grant(grant) => Ok(grant),
            Self::Deny(denial) => Err(denial),
        }
    }
}

/// What a request that passes has taken. Keep it for as long as the request runs: its places in flight are given back
/// when it is dropped. The requests it was charged stay charged unless
/// [`Limiter::refund`](crate::Limiter::refund) takes it back.
#[must_use = "dropping a grant ends the request as far as limits in flight go"]
pub struct Grant {
    pub(crate) at: Instant,
    /// Bit i: charge i was taken from a cell.
    pub(crate) charged: u8,
    /// Bit i: that cell is one that newcomers share.
    pub(crate) shared: u8,
    /// Nearly always none or one, so only what is beyond needs memory of its own.
    pub(crate) permit: Option<Permit>,
    pub(crate) more: Option<Box<More>>,
}

/// What few grants have.
#[derive(Default)]
pub(crate) struct More {
    permits: Vec<Permit>,
    observed: Vec<Denial>,
}

impl Grant {
    pub(crate) const fn new(at: Instant) -> Self {
        Self { at, charged: 0, shared: 0, permit: None, more: None }
    }

    /// What rules in [`Mode::Observe`](crate::Mode::Observe) would have refused, in the order of the charges.
    #[must_use]
    pub fn observed(&self) -> &[Denial] {
        self.more.as_ref().map_or(&[], |more| &more.observed)
    }

    /// How many places in flight the request holds.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |more| more.permits.len());
        usize::from(self.permit.is_some()) + more
    }

    /// Adds a place in flight.
    pub(crate) fn hold(&mut self, permit: Permit) {
        if self.permit.is_none() {
            self.permit = Some(permit);
        } else {
            self.more.get_or_insert_default().permits.push(permit);
        }
    }

    /// Adds what a rule that observes would have refused.
    #[cold]
    pub(crate) fn report(&mut self, denial: Denial) {
        self.more.get_or_insert_default().observed.push(denial);
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("at", &self.at)
            .field("in_flight", &self.in_flight())
            .field("observed", &self.observed())
            .finish_non_exhaustive()
    }
}

/// Which limit a request would break, and when to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// Index of the charge whose wait is the longest; the first of them if several are.
    pub charge: usize,
    /// Which of its limits.
    pub cause: Cause,
    /// How long until the same request passes if nothing else happens, over all that deny it: exact for windows.
    /// Zero if only other requests in flight stand in the way, for nobody knows when they end.
    pub retry_after: Duration,
    /// Where the client stands in the window that denies, if a window does.
    pub standing: Option<Standing>,
}

impl Denial {
    pub(crate) const fn new(cause: Cause, retry_after: Duration) -> Self {
        Self { charge: 0, cause, retry_after, standing: None }
    }

    pub(crate) fn for_charge(mut self, charge: usize) -> Self {
        self.charge = charge;
        self
    }
}

/// What stands in a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The quota of a window is spent.
    Window(Window),
    /// As many requests as allowed are in flight.
    InFlight,
    /// The table of rates is full of clients that are being counted, and its shared cells are taken by other rules.
    TableFull,
    /// The table of requests in flight is full.
    InFlightTableFull,
    /// More than [`MAX_CHARGES`](crate::MAX_CHARGES) charges: a mistake of the caller, answered on the safe side.
    TooManyCharges,
}
