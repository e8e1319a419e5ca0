//! Proves the limits of a proxy.
//!
//! A [`scenario`] says who asks for what, when, and what must come of it. A [`plan`] is computed ahead of it, and an
//! [`oracle`] says how many of the planned requests must be admitted.

pub mod message;
pub mod oracle;
pub mod plan;
pub mod scenario;
pub mod spawn;
