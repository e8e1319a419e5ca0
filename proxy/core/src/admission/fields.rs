//! `RateLimit` and `RateLimit-Policy`, as structured fields (RFC 9651).

use super::seconds;
use crate::snapshot::{Label, Scope};
use crate::verdict::RateLimitFields;
use std::sync::Arc;
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
    let policy = Arc::clone(&scope.policy_field);
    let mut state = String::with_capacity(policy.len());
    for (planned, charge) in scope.charges.iter().zip(charges).filter(|(planned, _)| planned.has_windows()) {
        let peek = limiter.peek(now, *charge);
        for (window, standing) in Window::ALL.into_iter().zip(peek.windows) {
            let Some(standing) = standing else { continue };
            if !state.is_empty() {
                state.push_str(", ");
            }
            push_label(&mut state, planned.label(window));
            state.push_str(";r=");
            push_number(&mut state, standing.remaining);
            if standing.remaining == 0 && standing.until_next > Duration::ZERO {
                state.push_str(";t=");
                push_number(&mut state, seconds(standing.until_next).get().into());
            }
        }
    }
    Some(RateLimitFields { policy, state })
}

fn push_label(text: &mut String, label: Label) {
    text.push('"');
    match label {
        Label::Word(word) => text.push_str(word),
        Label::Seconds(seconds) => {
            push_number(text, seconds);
            text.push('s');
        }
    }
    text.push('"');
}

/// As `write!`, without its machinery: a refusal should cost little.
fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut first = digits.len();
    for (at, place) in digits.iter_mut().enumerate().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
        first = at;
        if number == 0 {
            break;
        }
    }
    text.push_str(
        digits.get(first..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default(),
    );
}

#[cfg(test)]
mod tests {
    use super::push_number;

    #[test]
    fn numbers_are_pushed_as_they_are_printed() {
        for number in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }
}
