//! `RateLimit` and `RateLimit-Policy`, as structured fields (RFC 9651).

use super::seconds;
use crate::snapshot::{Label, Planned};
use crate::verdict::RateLimitFields;
use std::fmt::Write;
use std::time::Duration;
use weir_limits::{Charge, Limiter, Window};

/// One item for each window that the request is charged to; nothing if there is none.
///
/// `q` is the limit of a window and `w` its length in seconds, rounded up. `r` is how many requests would pass at once
/// now, so up to burst + 1 of them. Where it is 0, `t` is the seconds until one passes, rounded up: never later than
/// `Retry-After`.
pub(super) fn fields(
    limiter: &Limiter,
    now: weir_limits::Instant,
    planned: &[Planned],
    charges: &[Charge<'_>],
) -> Option<RateLimitFields> {
    let (mut policy, mut state) = (String::new(), String::new());
    for (planned, charge) in planned.iter().zip(charges) {
        if !planned.has_windows() {
            continue;
        }
        let peek = limiter.peek(now, *charge);
        for (window, standing) in Window::ALL.into_iter().zip(peek.windows) {
            let Some(standing) = standing else { continue };
            let label = planned.label(window);
            let separator = if policy.is_empty() { "" } else { ", " };
            let period = seconds(standing.quota.period());
            let limit = standing.quota.limit();
            // Writing to a string cannot fail.
            let _ = write!(policy, "{separator}{label};q={limit};w={period}");
            let _ = write!(state, "{separator}{label};r={}", standing.remaining);
            if standing.remaining == 0 && standing.until_next > Duration::ZERO {
                let _ = write!(state, ";t={}", seconds(standing.until_next));
            }
        }
    }
    (!policy.is_empty()).then_some(RateLimitFields { policy, state })
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => write!(f, "\"{word}\""),
            Self::Seconds(seconds) => write!(f, "\"{seconds}s\""),
        }
    }
}
