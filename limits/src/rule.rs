//! A rule: what is counted, apart from how much of it is allowed.

use std::fmt;
use std::num::NonZeroU32;

use crate::quota::Quota;

/// What a rule counts, as a number made by [`Seed::rule_id`](crate::Seed::rule_id) from a text that names it.
///
/// Limits and modes are no part of it, so that editing them keeps the counters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleId(pub(crate) u64);

impl RuleId {
    /// The number, different in each process with a random seed; not for the eyes of clients, see [`Key`](crate::Key).
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleId({:016x})", self.0)
    }
}

/// The four windows that a rule can have at once, each with a cell of its own.
///
/// Which window a cell belongs to is part of what is counted: adding or removing one window keeps the counters of the
/// others. The name fixes no period: the quota does. A window with a period of its own (`300/10m`) belongs in a rule
/// of its own whose identity names that period; any of the four places will do for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// Requests per second.
    Second,
    /// Requests per minute.
    Minute,
    /// Requests per hour.
    Hour,
    /// Requests per day.
    Day,
}

impl Window {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// All of them, in the order of their indexes.
    pub const ALL: [Self; Self::COUNT] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// The place in a rule's windows, 0 to 3.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Whether a rule refuses or only says that it would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Refuse what is over the limit.
    #[default]
    Enforce,
    /// Never refuse; report and do not charge what would have been refused.
    Observe,
}

/// What is counted ([`RuleId`]) and how much of it is allowed.
///
/// ```
/// use std::time::Duration;
/// use weir_limits::{Mode, Quota, Rule, Seed, Window};
///
/// let seed = Seed::random();
/// let rule = Rule::new(seed.rule_id("shop/web requests per client"))
///     .with_window(Window::Second, Quota::new(5, Duration::from_secs(1))?.with_burst(25))
///     .with_in_flight(std::num::NonZeroU32::new(8))
///     .with_mode(Mode::Observe);
/// # Ok::<(), weir_limits::QuotaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    id: RuleId,
    windows: [Option<Quota>; Window::COUNT],
    in_flight: Option<NonZeroU32>,
    mode: Mode,
    /// The longest time, in nanoseconds, that one of the rule's cells can be ahead.
    horizon: u64,
}

impl Rule {
    /// A rule that counts `id`, enforces, and limits nothing yet.
    #[must_use]
    pub const fn new(id: RuleId) -> Self {
        Self { id, windows: [None; Window::COUNT], in_flight: None, mode: Mode::Enforce, horizon: 0 }
    }

    /// The same rule with `quota` in `window`.
    #[must_use]
    pub const fn with_window(mut self, window: Window, quota: Quota) -> Self {
        self.windows[window.index()] = Some(quota);
        self.horizon = longest_allowance(&self.windows);
        self
    }

    /// The same rule with at most `limit` requests of one client in flight; `None` for any number.
    #[must_use]
    pub const fn with_in_flight(mut self, limit: Option<NonZeroU32>) -> Self {
        self.in_flight = limit;
        self
    }

    /// The same rule in another mode.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What the rule counts.
    #[must_use]
    pub const fn id(&self) -> RuleId {
        self.id
    }

    /// The quotas, by [`Window::index`].
    #[must_use]
    pub const fn windows(&self) -> &[Option<Quota>; Window::COUNT] {
        &self.windows
    }

    /// How many requests of one client may be in flight at once.
    #[must_use]
    pub const fn in_flight(&self) -> Option<NonZeroU32> {
        self.in_flight
    }

    /// Whether the rule refuses or only says that it would have.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the rule needs a cell in the table of rates.
    pub(crate) const fn has_windows(&self) -> bool {
        self.horizon > 0
    }

    /// The same rule with no more at once than one request an interval.
    pub(crate) fn without_burst(&self) -> Self {
        let windows = self.windows.map(|quota| Some(quota?.with_burst(0)));
        Self { windows, horizon: longest_allowance(&windows), ..self.clone() }
    }

    pub(crate) const fn horizon_nanos(&self) -> u64 {
        self.horizon
    }
}

const fn longest_allowance(windows: &[Option<Quota>; Window::COUNT]) -> u64 {
    let (mut longest, mut index) = (0, 0);
    while index < Window::COUNT {
        if let Some(quota) = &windows[index]
            && quota.allowance_nanos() > longest
        {
            longest = quota.allowance_nanos();
        }
        index += 1;
    }
    longest
}
