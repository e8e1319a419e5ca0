//! `RateLimit` and `RateLimit-Policy`, as structured fields (RFC 9651).

use super::seconds;
use crate::snapshot::Scope;
use crate::verdict::RateLimitFields;
use std::fmt::Write;
use std::time::Duration;
use weir_limits::{Charge, Instant, Limiter, Window};

/// One item for each window that the request is charged to; nothing if there is none.
///
/// `r` is how many requests would pass at once now, so up to burst + 1 of them. Where it is 0, `t` is the seconds until
/// one passes, rounded up: never later than `Retry-After`.
pub(super) fn fields(
    limiter: &Limiter,
    now: Instant,
    scope: &Scope,
    charges: &[Charge<'_>],
) -> Option<RateLimitFields> {
    if scope.policy_field.is_empty() {
        return None;
    }
    let policy = scope.policy_field.clone();
    let mut state = String::with_capacity(policy.len());
    for (planned, charge) in scope.charges.iter().zip(charges).filter(|(planned, _)| planned.has_windows()) {
        let peek = limiter.peek(now, *charge);
        for (window, standing) in Window::ALL.into_iter().zip(peek.windows) {
            let Some(standing) = standing else { continue };
            let separator = if state.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(state, "{separator}{};r={}", planned.label(window), standing.remaining);
            if standing.remaining == 0 && standing.until_next > Duration::ZERO {
                let _ = write!(state, ";t={}", seconds(standing.until_next));
            }
        }
    }
    Some(RateLimitFields { policy, state })
}
