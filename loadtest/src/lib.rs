//! Proves the limits of a proxy.
//!
//! A [`scenario`] says who asks for what, when, and what must come of it. The modules come in the order in which a run
//! goes through them.

pub mod scenario;
