//! The arithmetic of limits: may this request pass, and if not, when?
//!
//! Pure: std only, no I/O, no logging, no threads of its own, and no clock. Time is an argument.
//!
//! ```
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//! use weir_limits::{Charge, Config, Decision, Instant, Limiter, Quota, Rule, Seed, Window};
//!
//! let limiter = Limiter::new(Config { capacity: 100_000, in_flight_capacity: 10_000, seed: Seed::random() });
//! let rule = Rule::new(limiter.seed().rule_id("shop/web: requests per client address"))
//!     .with_window(Window::Second, Quota::new(5, Duration::from_secs(1))?.with_burst(25))
//!     .with_window(Window::Hour, Quota::new(1000, Duration::from_secs(3600))?)
//!     .with_in_flight(NonZeroU32::new(8));
//!
//! let now = Instant::from_nanos(0);
//! let key = limiter.seed().key(rule.id(), &[&[192, 0, 2, 1]]);
//! match limiter.decide(now, &[Charge { rule: &rule, key }]) {
//!     Decision::Grant(grant) => {
//!         // Forward the request, and keep the grant until it has ended.
//!         drop(grant);
//!     }
//!     Decision::Deny(denial) => panic!("429, come back in {:?}", denial.retry_after),
//! }
//!
//! // The hour allows no burst, so the next one has to wait for its share of the hour.
//! let denial = limiter.decide(now, &[Charge { rule: &rule, key }]).into_result().unwrap_err();
//! assert_eq!(denial.retry_after, Duration::from_millis(3600));
//! # Ok::<(), weir_limits::QuotaError>(())
//! ```
//!
//! # Guarantees
//!
//! Each sentence has a test of its number in `tests/guarantees.rs`. "Client" is short for a client under one rule.
//!
//! 1. From a client not seen before, burst + 1 requests pass at once, and the next does not.
//! 2. In any span of time, a client gets at most burst + 1 requests and one for each interval of the span.
//! 3. A client that never stops asking gets exactly its rate: a refused request spends nothing.
//! 4. A request is charged to all its rules and windows, or to none.
//! 5. Two windows do not eat each other: the tighter one decides at each moment.
//! 6. A request repeated at `retry_after` passes if nothing else happened, and one nanosecond earlier it does not.
//!    (Earlier it may if the table was full and has got room meanwhile.)
//! 7. Editing the numbers or the mode of a rule keeps its counters; adding or removing one window keeps the others.
//! 8. After a limit was raised, nobody waits longer than the new quota's recovery.
//! 9. A rule in observe mode refuses nothing, reports what it would have refused, and does not charge that.
//! 10. The table never holds more than its capacity and never grows: all its memory is reserved at the start.
//! 11. There is room for at least as many clients as asked for, at 64 bytes each or less from 4,096 clients on.
//! 12. A client that is being limited stays limited, however many newcomers come.
//! 13. When the table is full, the newcomers of a rule together get one request an interval in each shard, no burst.
//! 14. A client that shared a cell while the table was full has no more than its own limit once it has its own, as long
//!     as its rule is not edited.
//! 15. When even the shared cells are taken, newcomers are refused, and told when one will be free.
//! 16. Cells that equal a fresh one make room for newcomers.
//! 17. At most as many requests as allowed are in flight, and a place is free again once its grant is dropped.
//! 18. When the table of requests in flight is full, newcomers are refused and those held are not affected.
//! 19. A refund gives back what was charged, less what time has given back already; never more. (A grant from before
//!     its rule was edited or the clock stepped back is to be dropped instead.)
//! 20. Whatever the clock does, nothing panics, and at any one moment no client gets more than burst + 1.
//! 21. After the clock stepped back, a client has its whole allowance again within one recovery.
//! 22. Threads share limits exactly. (In `tests/interleavings.rs`.)
//! 23. Keys cannot be made to collide by how parts are cut, nor predicted without the seed.
//! 24. More charges than [`MAX_CHARGES`] are refused, and spend nothing.
//! 25. No source file of this crate reads a clock, sleeps, logs or does I/O.
//! 26. Once there is room again after a spray, a newcomer waits at most one interval, the longest of its rule's windows.
//!
//! # Reading order
//!
//! `time`, `quota`, [`gcra`]; then `rule` and `key`: what is counted; `slots` and `table`: where; `inflight`;
//! `limiter` and `decision`: the question and the answer.

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
