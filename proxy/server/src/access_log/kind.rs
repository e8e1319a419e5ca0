//! What kinds of lines there are. A closed list: each has a ration of its own.

use super::{Answer, Entry, Failed};
use crate::abort::{Stage, Unserved};
use crate::arrivals::Shed;
use crate::respond::GatewayError;
use crate::tls::Failure;
use weir_core::account::End;
use weir_core::verdict::Reason;

/// What a line tells of. Lines of one kind share a ration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An origin's answer went to the client.
    Served,
    /// An origin's answer was an error of its own, 5xx.
    OriginError,
    /// An origin broke off in the middle of its answer.
    OriginAbort,
    /// A rule would have refused a request.
    Observed(Reason),
    /// A rule refused it.
    Refused(Reason),
    /// We answered ourselves, by no rule.
    Failed(GatewayError),
    /// The client's side broke off.
    Aborted(Stage),
    /// A connection ended before a request could begin.
    Unserved(Unserved),
}

impl Kind {
    /// How many there are.
    pub(super) const COUNT: usize = HANDSHAKES + Failure::ALL.len();

    /// All of them, in the order of their places.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let reasons = |kind: fn(Reason) -> Self| Reason::ALL.into_iter().map(kind);
        [Self::Served, Self::OriginError, Self::OriginAbort]
            .into_iter()
            .chain(reasons(Self::Observed))
            .chain(reasons(Self::Refused))
            .chain(GatewayError::ALL.into_iter().map(Self::Failed))
            .chain(Stage::ALL.into_iter().map(Self::Aborted))
            .chain(Shed::ALL.into_iter().map(|shed| Self::Unserved(Unserved::Shed(shed))))
            .chain(Failure::ALL.into_iter().map(|failure| Self::Unserved(Unserved::Handshake(failure))))
    }

    /// The kind of a request's line.
    pub(super) fn of(entry: &Entry<'_>) -> Self {
        match (entry.answer, entry.outcome.end) {
            (Answer::Refused(reason), _) => Self::Refused(reason),
            (Answer::Failed(error), _) => Self::Failed(error),
            (Answer::Origin, End::OriginAbort) => Self::OriginAbort,
            (Answer::Origin, End::ClientAbort) => {
                Self::Aborted(entry.abort.map_or(Stage::Response, |abort| abort.stage))
            }
            (Answer::Origin, End::Complete) if entry.outcome.status >= 500 => Self::OriginError,
            (Answer::Origin, End::Complete) => {
                entry.account.hit.map_or(Self::Served, |hit| Self::Observed(hit.reason))
            }
        }
    }

    /// The kind of the line of a request that was never admitted.
    pub(super) fn of_failed(failed: &Failed<'_>) -> Self {
        match (failed.error, failed.abort) {
            (Some(error), _) => Self::Failed(error),
            (None, abort) => Self::Aborted(abort.map_or(Stage::Head, |abort| abort.stage)),
        }
    }

    /// Its place in a list of [`COUNT`](Self::COUNT).
    pub(super) fn place(self) -> usize {
        match self {
            Self::Served => 0,
            Self::OriginError => 1,
            Self::OriginAbort => 2,
            Self::Observed(reason) => OBSERVED + reason as usize,
            Self::Refused(reason) => REFUSED + reason as usize,
            Self::Failed(error) => FAILED + error as usize,
            Self::Aborted(stage) => ABORTED + stage as usize,
            Self::Unserved(Unserved::Shed(shed)) => SHEDS + shed as usize,
            Self::Unserved(Unserved::Handshake(failure)) => HANDSHAKES + failure as usize,
        }
    }

    /// Its words in a line that tells what was left out: what happened, and why if there are several reasons.
    pub(super) fn words(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Served => ("served", None),
            Self::OriginError => ("origin-error", None),
            Self::OriginAbort => ("origin-abort", None),
            Self::Observed(reason) => ("observed", Some(reason.as_str())),
            Self::Refused(reason) => ("refused", Some(reason.as_str())),
            Self::Failed(error) => ("failed", Some(error.as_str())),
            Self::Aborted(stage) => ("client-abort", Some(stage.as_str())),
            Self::Unserved(unserved) => (unserved.stage(), Some(unserved.reason())),
        }
    }
}

const OBSERVED: usize = 3;
const REFUSED: usize = OBSERVED + Reason::ALL.len();
const FAILED: usize = REFUSED + Reason::ALL.len();
const ABORTED: usize = FAILED + GatewayError::ALL.len();
const SHEDS: usize = ABORTED + Stage::ALL.len();
const HANDSHAKES: usize = SHEDS + Shed::ALL.len();

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_place_of_its_own_and_words_of_its_own() {
        let places: Vec<usize> = Kind::all().map(Kind::place).collect();
        assert_eq!(places, (0..Kind::COUNT).collect::<Vec<_>>());
        let words: BTreeSet<_> = Kind::all().map(Kind::words).collect();
        assert_eq!(words.len(), Kind::COUNT);
    }
}
