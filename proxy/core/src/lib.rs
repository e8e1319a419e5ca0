//! What a request may do.
//!
//! The core takes facts about a request and the time, and answers with a [`Verdict`]. It does no I/O, reads no clock,
//! sleeps nowhere, logs nothing and panics on no input.
//!
//! A request goes through the modules in the order in which they are declared here:
//! [`facts`] → [`identity`] → [`canonical`] → [`route`] → [`policy`] → [`admission`] → [`verdict`] → [`ticket`] →
//! [`account`]. Configuration goes the other way: a [`declaration`] becomes a [`snapshot`], and [`engine`] swaps it in.

pub mod account;
pub mod admission;
pub mod canonical;
pub mod facts;
pub mod identity;
pub mod policy;
pub mod route;
pub mod ticket;
pub mod verdict;

pub mod backend;
pub mod declaration;
pub mod engine;
pub mod finding;
pub mod snapshot;
pub mod tls;

pub use engine::Engine;
pub use facts::Facts;
pub use finding::Finding;
pub use snapshot::Snapshot;
pub use verdict::Verdict;
