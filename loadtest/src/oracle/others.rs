//! Algorithms of other proxies, each by its own definition.

use super::Decision;
use crate::plan::SECOND;
use std::time::Duration;

/// A bucket of `burst` tokens, full at first, into which `rate` tokens a second drip; a request takes one.
#[derive(Debug)]
pub(super) struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    last: u64,
}

impl TokenBucket {
    pub(super) fn new(rate: f64, burst: u64) -> Self {
        Self { rate, burst: burst as f64, tokens: burst as f64, last: 0 }
    }

    pub(super) fn admit(&mut self, at: u64) -> Decision {
        let passed = at.saturating_sub(self.last) as f64 / SECOND as f64;
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.last = at;
        // A billionth of a token is rounding, not refusal.
        if self.tokens + 1e-9 < 1.0 {
            return Decision::Refuse;
        }
        self.tokens -= 1.0;
        Decision::Admit
    }
}

/// `limit` requests in each window; windows follow one another from the first request on.
#[derive(Debug)]
pub(super) struct FixedWindow {
    limit: u64,
    window: u64,
    begins: Option<u64>,
    current: u64,
    count: u64,
}

impl FixedWindow {
    pub(super) fn new(limit: u64, window: Duration) -> Self {
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { limit, window, begins: None, current: 0, count: 0 }
    }

    pub(super) fn admit(&mut self, at: u64) -> Decision {
        let begins = *self.begins.get_or_insert(at);
        let current = at.saturating_sub(begins) / self.window;
        if current != self.current {
            (self.current, self.count) = (current, 0);
        }
        if self.count >= self.limit {
            return Decision::Refuse;
        }
        self.count += 1;
        Decision::Admit
    }
}

/// `limit_req zone=... rate=... burst=... nodelay` of nginx, in thousandths of a request and whole milliseconds:
/// `excess = max(0, excess - rate * ms / 1000) + 1000`, refused if above `burst`, and then nothing is written.
/// <https://nginx.org/en/docs/http/ngx_http_limit_req_module.html>
#[derive(Debug)]
pub(super) struct LeakyBucket {
    rate: u64,
    burst: u64,
    last: Option<(u64, u64)>,
}

impl LeakyBucket {
    pub(super) fn new(rate: f64, burst: u64) -> Self {
        Self { rate: (rate * 1000.0) as u64, burst: burst * 1000, last: None }
    }

    pub(super) fn admit(&mut self, at: u64) -> Decision {
        let ms = at / (SECOND / 1000);
        let excess = match self.last {
            // The first request of a client makes its entry, and has no excess.
            None => 0,
            Some((last, excess)) => {
                (excess + 1000).saturating_sub(self.rate.saturating_mul(ms.saturating_sub(last)) / 1000)
            }
        };
        if excess > self.burst {
            return Decision::Refuse;
        }
        self.last = Some((ms, excess));
        Decision::Admit
    }
}
