//! How the origin is chosen and tried.

use super::limit::join;
use super::{Flag, Invalid, Kind, Note, shown};
use crate::policy::{Balance, NextUpstream, Via};

/// When another endpoint is tried. Tries and time are left as they are.
pub struct NextOn;

impl Kind for NextOn {
    type Value = NextUpstream;
    const FORM: &'static str = "`off`, or words separated by spaces: `error`, `timeout`, `invalid_header`, `http_403`, \
                                `http_404`, `http_429`, `http_500`, `http_502`, `http_503`, `http_504`, `non_idempotent`";

    fn read(value: &mut NextUpstream, text: &str) -> Result<Note, Invalid> {
        let mut next = NextUpstream {
            on_error: false,
            on_timeout: false,
            tries: value.tries,
            timeout: value.timeout,
            ..NextUpstream::default()
        };
        let (mut off, mut words) = (false, 0);
        for word in text.split_ascii_whitespace() {
            words += 1;
            match word {
                "off" => off = true,
                "error" => next.on_error = true,
                "timeout" => next.on_timeout = true,
                "invalid_header" => next.on_invalid_header = true,
                "non_idempotent" => next.non_idempotent = true,
                _ => {
                    let status = STATUSES.into_iter().find(|(name, _)| *name == word);
                    let (_, status) = status.ok_or_else(|| Invalid::Part(shown(word)))?;
                    if !next.on_status.contains(&status) {
                        next.on_status.push(status);
                    }
                }
            }
        }
        match (off, words) {
            (_, 0) => return Err(Invalid::Form),
            (true, 1) => {}
            // nginx takes `off` among others as off alone.
            (true, _) => return Err(Invalid::Structure("`off` stands alone".to_owned())),
            (false, _) => {}
        }
        next.on_status.sort_unstable();
        *value = next;
        Ok(None)
    }

    fn print(value: &NextUpstream) -> Option<String> {
        let flags = [
            (value.on_error, "error"),
            (value.on_timeout, "timeout"),
            (value.on_invalid_header, "invalid_header"),
            (value.non_idempotent, "non_idempotent"),
        ];
        let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word.to_owned());
        let statuses = value.on_status.iter().map(|status| format!("http_{status}"));
        join(flags.chain(statuses), " ").or_else(|| Some("off".to_owned()))
    }
}

/// How an endpoint is chosen.
pub struct LoadBalance;

impl Kind for LoadBalance {
    type Value = Balance;
    const FORM: &'static str = "`round_robin` or `least_in_flight` (or `ewma`, which is read as that)";

    fn read(value: &mut Balance, text: &str) -> Result<Note, Invalid> {
        let (balance, note) = match text {
            "round_robin" => (Balance::RoundRobin, None),
            "least_in_flight" => (Balance::LeastInFlight, None),
            "ewma" => (
                Balance::LeastInFlight,
                Some("`ewma` is read as `least_in_flight`, the less busy of two".into()),
            ),
            _ => return Err(Invalid::Form),
        };
        *value = balance;
        Ok(note)
    }

    fn print(value: &Balance) -> Option<String> {
        let word = match value {
            Balance::RoundRobin => "round_robin",
            Balance::LeastInFlight => "least_in_flight",
        };
        Some(word.to_owned())
    }
}

/// Whether the addresses of a Service stand for its pods.
pub struct ServiceUpstream;

impl Kind for ServiceUpstream {
    type Value = Via;
    const FORM: &'static str = Flag::FORM;

    fn read(value: &mut Via, text: &str) -> Result<Note, Invalid> {
        let mut on = false;
        let note = Flag::read(&mut on, text)?;
        *value = if on { Via::ClusterIp } else { Via::Endpoints };
        Ok(note)
    }

    fn print(value: &Via) -> Option<String> {
        Flag::print(&(*value == Via::ClusterIp))
    }
}

/// The statuses that can lead to another try.
const STATUSES: [(&str, u16); 7] = [
    ("http_403", 403),
    ("http_404", 404),
    ("http_429", 429),
    ("http_500", 500),
    ("http_502", 502),
    ("http_503", 503),
    ("http_504", 504),
];
