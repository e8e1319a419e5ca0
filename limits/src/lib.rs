//! The arithmetic of limits.
//!
//! Under construction: the guarantees follow.

mod decision;
pub mod gcra;
mod inflight;
mod key;
mod limiter;
mod quota;
mod rule;
mod slots;
mod stats;
mod sync;
mod table;
mod time;

pub use decision::{Cause, Decision, Denial, Grant};
pub use gcra::Standing;
pub use key::{Key, KeyBuilder, Seed};
pub use limiter::{CAPACITY_MAX, Charge, Config, Limiter, MAX_CHARGES, Peek};
pub use quota::{Quota, QuotaError};
pub use rule::{Mode, Rule, RuleId, Window};
pub use stats::{Sizes, Stats};
pub use time::Instant;
