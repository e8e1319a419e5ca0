//! Forwarding over loopback, with endpoints and policies made up for each test. Admission is tested with the core.

mod bodies;
mod failures;
mod messages;
mod rig;
mod upgrades;
