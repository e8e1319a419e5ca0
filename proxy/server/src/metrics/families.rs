//! The list of metrics.

mod configuration;
mod edge;
mod limiter;
mod process;
mod requests;
mod upstreams;

use super::{Kind, Samples, View};

/// One metric: name, kind, labels, text, and where its numbers come from.
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    pub(super) collect: fn(&View, &mut Samples<'_>),
}

/// All metrics, in the order of the page.
pub fn families() -> impl Iterator<Item = &'static Family> {
    let first = requests::FAMILIES.iter().chain(limiter::FAMILIES).chain(upstreams::FAMILIES);
    first.chain(edge::FAMILIES).chain(configuration::FAMILIES).chain(process::FAMILIES)
}
