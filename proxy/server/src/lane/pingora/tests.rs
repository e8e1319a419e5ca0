//! Forwarding over loopback, with endpoints and policies made up for each test. Admission is tested with the core.

mod bodies;
mod bulk;
mod failures;
mod lane;
mod messages;
mod rig;
mod upgrades;
