//! Where wire and oracle part.

use std::fmt;

/// The first second after which the admitted requests are not as many as predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parting {
    /// Number of the second, counted from 0.
    pub second: usize,
    /// Admitted up to its end by the oracle.
    pub predicted: u64,
    /// Admitted up to its end on the wire.
    pub seen: u64,
}

/// Compares sums up to each second: a request that slips over the border of a second is no difference in the end.
/// `within` is a share of the prediction, `slack` a number of requests.
pub fn parting(predicted: &[u64], seen: &[u64], within: f64, slack: u64) -> Option<Parting> {
    let (mut of_oracle, mut of_wire) = (0_u64, 0_u64);
    for second in 0..predicted.len().max(seen.len()) {
        of_oracle += predicted.get(second).copied().unwrap_or_default();
        of_wire += seen.get(second).copied().unwrap_or_default();
        let allowed = of_oracle as f64 * within + slack as f64;
        if of_oracle.abs_diff(of_wire) as f64 > allowed + 1e-9 {
            return Some(Parting { second, predicted: of_oracle, seen: of_wire });
        }
    }
    None
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { second, predicted, seen } = self;
        write!(f, "part in second {second}: {seen} admitted up to its end, {predicted} predicted")
    }
}
