//! Proves the limits of a proxy.
//!
//! A [`scenario`] says who asks for what, when, and what must come of it. A [`plan`] is computed ahead of it, and an
//! [`oracle`] says how many of the planned requests must be admitted. [`drive`] puts the plan on the wire and [`record`]
//! keeps what was seen; [`expect`] holds it against what was expected, and [`report`] tells people and machines.
//! [`run`] puts these together. [`compare`] measures proxies beside each other.

pub mod compare;
pub mod drive;
pub mod expect;
pub mod message;
pub mod oracle;
pub mod origin;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod spawn;
pub mod watch;
