//! Rounds become medians, ratios, and a verdict on what was expected. Pure.

use super::case::Case;
use super::round::Round;
use serde::Serialize;
use std::collections::BTreeMap;

/// A figure with its spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Spread {
    /// Of some numbers; `None` of none.
    pub fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_unstable_by(f64::total_cmp);
        let (least, greatest) = (*numbers.first()?, *numbers.last()?);
        let upper = *numbers.get(numbers.len() / 2)?;
        let lower = *numbers.get((numbers.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), least, greatest })
    }
}

/// The figures of the rounds that count; `None` if those are fewer than half.
pub fn figure(rounds: &[Round]) -> Option<Spread> {
    let valid: Vec<f64> =
        rounds.iter().filter(|round| round.invalid.is_none()).map(|round| round.figure).collect();
    if 2 * valid.len() < rounds.len() { None } else { Spread::of(valid) }
}

/// The quotients of figures round by round, for neighbours in time share the machine's mood.
///
/// Only rounds that count on both sides do; `None` if those are fewer than half.
pub fn ratio(rounds: &[Round], other: &[Round]) -> Option<Spread> {
    let pairs = rounds.iter().zip(other).filter(|(a, b)| a.invalid.is_none() && b.invalid.is_none());
    let quotients: Vec<f64> =
        pairs.filter(|(_, b)| b.figure > 0.0).map(|(a, b)| a.figure / b.figure).collect();
    if 2 * quotients.len() < rounds.len().min(other.len()) { None } else { Spread::of(quotients) }
}

/// The middle of a number that not every round has.
pub(crate) fn middle(rounds: &[Round], of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
    let valid = rounds.iter().filter(|round| round.invalid.is_none());
    Spread::of(valid.filter_map(of).collect()).map(|spread| spread.median)
}

/// `CASE=N`: at least N times nginx, or at most N KiB where memory is the figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    /// Of this case.
    pub case: Case,
    /// Greater than 0.
    pub number: f64,
}

impl std::str::FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (case, number) = text.split_once('=').ok_or("expected CASE=NUMBER")?;
        let number: f64 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
        let positive = number.is_finite() && number > 0.0;
        let number = positive.then_some(number).ok_or("the number must be positive")?;
        Ok(Self { case: case.parse()?, number })
    }
}

/// Rounds of a case by proxy.
pub(crate) type Rounds = BTreeMap<String, Vec<Round>>;

/// What falls short of an expectation for one proxy, as a sentence.
pub(crate) fn shortfall(wanted: Expectation, rounds: &Rounds, subject: &str) -> Option<String> {
    let Expectation { case, number } = wanted;
    let of = |name: &str| rounds.get(name).map(Vec::as_slice).unwrap_or_default();
    if case.is_memory() {
        return match figure(of(subject)) {
            None => Some(format!("{case}: no valid figure for {subject}")),
            Some(got) if got.median > number => {
                Some(format!("{case}: {subject} takes {:.2} KiB, at most {number} expected", got.median))
            }
            Some(_) => None,
        };
    }
    match ratio(of(subject), of(BESIDE)) {
        None => Some(format!("{case}: no valid ratio of {subject} to {BESIDE}")),
        Some(got) if got.median < number => {
            Some(format!("{case}: {subject} is {:.2} times {BESIDE}, at least {number} expected", got.median))
        }
        Some(_) => None,
    }
}

/// Whom expectations compare with.
pub(crate) const BESIDE: &str = "nginx";

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of rounds; 0 is one that does not count.
    fn rounds(figures: &[u32]) -> Vec<Round> {
        let round = |figure: &u32| match figure {
            0 => Round::failed("why".to_owned()),
            figure => Round { figure: f64::from(*figure), ..Round::default() },
        };
        figures.iter().map(round).collect()
    }

    fn spread(median: f64, least: f64, greatest: f64) -> Option<Spread> {
        Some(Spread { median, least, greatest })
    }

    #[test]
    fn a_median_is_the_middle_one_or_between_the_middle_two() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), spread(2.0, 1.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), spread(2.5, 1.0, 4.0));
        assert_eq!(Spread::of(vec![7.0]), spread(7.0, 7.0, 7.0));
        assert_eq!(Spread::of(vec![]), None);
    }

    #[test]
    fn rounds_that_do_not_count_are_left_out_and_half_must_be_left() {
        assert_eq!(figure(&rounds(&[3, 0, 1, 2])), spread(2.0, 1.0, 3.0));
        assert_eq!(figure(&rounds(&[1, 0])), spread(1.0, 1.0, 1.0));
        assert_eq!(figure(&rounds(&[1, 0, 0])), None);
        assert_eq!(figure(&[]), None);
    }

    /// The machine slows down by ten in the second round, for both: the ratio does not notice.
    #[test]
    fn a_ratio_pairs_rounds() {
        assert_eq!(ratio(&rounds(&[20, 2]), &rounds(&[10, 1])), spread(2.0, 2.0, 2.0));
    }

    #[test]
    fn a_ratio_drops_pairs_with_a_round_that_does_not_count() {
        assert_eq!(ratio(&rounds(&[20, 99, 30]), &rounds(&[10, 0, 10])), spread(2.5, 2.0, 3.0));
        assert_eq!(ratio(&rounds(&[20, 0, 0]), &rounds(&[10, 10, 0])), None);
        assert_eq!(ratio(&[], &rounds(&[1])), None);
    }

    #[test]
    fn expectations_are_read_and_mistakes_named() {
        let read = |text: &str| text.parse::<Expectation>();
        assert_eq!(read("allowed=1.1"), Ok(Expectation { case: Case::Allowed, number: 1.1 }));
        assert_eq!(read("tls-idle=6"), Ok(Expectation { case: Case::TlsIdle, number: 6.0 }));
        for wrong in [
            "allowed",
            "allowed=",
            "allowed=x",
            "allowed=nan",
            "allowed=0",
            "allowed=-1",
            "other=1",
            "allowed=inf",
            "",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ratio_falls_short_below_what_was_expected_and_memory_above() {
        let results: Rounds =
            [("weir".to_owned(), rounds(&[11])), ("nginx".to_owned(), rounds(&[10]))].into_iter().collect();
        let short = |case, number| shortfall(Expectation { case, number }, &results, "weir");
        assert_eq!((short(Case::Allowed, 1.1), short(Case::Idle, 11.0)), (None, None));
        assert!(short(Case::Allowed, 1.11).unwrap().contains("1.10 times nginx, at least 1.11 expected"));
        assert!(short(Case::Idle, 10.9).unwrap().contains("takes 11.00 KiB, at most 10.9 expected"));
    }

    #[test]
    fn no_figure_falls_short() {
        let results: Rounds =
            [("weir".to_owned(), rounds(&[0])), ("nginx".to_owned(), rounds(&[10]))].into_iter().collect();
        for case in [Case::Allowed, Case::Idle] {
            let short = shortfall(Expectation { case, number: 1.0 }, &results, "weir");
            assert!(short.unwrap().contains("no valid"));
            assert!(shortfall(Expectation { case, number: 1.0 }, &results, "nobody").is_some());
        }
    }
}
