//! The moments of arrivals within a phase.

use super::SECOND;
use crate::scenario::Arrivals;

/// Calls `visit` with each moment in nanoseconds from the start of the phase, less than `length`, in order.
pub(super) fn moments(
    arrivals: &Arrivals,
    length: u64,
    random: &mut fastrand::Rng,
    mut visit: impl FnMut(u64, &mut fastrand::Rng),
) {
    match arrivals {
        Arrivals::None => {}
        Arrivals::Constant { rate } => ramp(*rate, *rate, 0, length, &mut |at| visit(at, random)),
        Arrivals::Ramp { from, to } => ramp(*from, *to, 0, length, &mut |at| visit(at, random)),
        Arrivals::Step { rates } => {
            let part = length / rates.len().max(1) as u64;
            for (number, rate) in rates.iter().enumerate() {
                ramp(*rate, *rate, number as u64 * part, part, &mut |at| visit(at, random));
            }
        }
        Arrivals::Poisson { rate } => {
            let mut at = 0.0;
            loop {
                // 1 - f64 is in (0, 1], so the logarithm is finite.
                at += -(1.0 - random.f64()).ln() / rate * SECOND as f64;
                if at >= length as f64 {
                    return;
                }
                visit(at as u64, random);
            }
        }
        Arrivals::Burst { size, every } => {
            let every = u64::try_from(every.0.as_nanos()).unwrap_or(u64::MAX).max(1);
            let mut at = 0;
            while at < length {
                (0..*size).for_each(|_| visit(at, random));
                at = at.saturating_add(every);
            }
        }
    }
}

/// The n-th request comes when the integral of the rate reaches n: from t + (to - from) t^2 / 2T = n.
fn ramp(from: f64, to: f64, begins: u64, length: u64, visit: &mut impl FnMut(u64)) {
    let seconds = length as f64 / SECOND as f64;
    let total = (from + to) / 2.0 * seconds;
    let slope = (to - from) / seconds;
    let mut number = 0.0;
    while number < total {
        let at = if slope.abs() < 1e-12 {
            number / from
        } else {
            // The citardauq form: exact for small slopes, and for a start at rate 0.
            2.0 * number
                / (from + (from * from + 2.0 * slope * number).max(0.0).sqrt()).max(f64::MIN_POSITIVE)
        };
        let at = (at * SECOND as f64).round() as u64;
        if at < length {
            visit(begins + at);
        }
        number += 1.0;
    }
}
