//! The two lanes, so that a test can take both.

use super::Weir;

/// Which lanes weir may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Each request takes the express lane if it can.
    Auto,
    /// Every request takes pingora's.
    Pingora,
}

/// Both.
pub const LANES: [Lane; 2] = [Lane::Auto, Lane::Pingora];

impl Lane {
    /// A weir that uses it, with one worker, so that connections to origins are shared by all clients.
    pub fn start(self, manifests: &str, flags: &[&str]) -> Weir {
        eprintln!("lane: {self:?}");
        let lane = match self {
            Self::Auto => "auto",
            Self::Pingora => "pingora",
        };
        let common = ["--lane", lane, "--workers", "1", "--log-level", "error"];
        Weir::start_with(manifests, &[&common[..], flags].concat())
    }
}
