//! wrk and h2load: how they are called, and what they say.

use super::Failure;
use super::round::Counted;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::Path;

/// A call of wrk; the summary is printed by `peers/report.lua`.
#[derive(Debug)]
pub(crate) struct Wrk<'a> {
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    pub(crate) script: &'a Path,
    pub(crate) host: &'a str,
    /// Whether each request has a connection of its own.
    pub(crate) close: bool,
    pub(crate) url: String,
}

impl Wrk<'_> {
    pub(crate) fn arguments(&self, program: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![program.into(), "-t1".into()];
        arguments
            .extend([format!("-c{}", self.connections), format!("-d{}s", self.seconds)].map(OsString::from));
        arguments.extend(["--timeout".into(), "2s".into(), "-s".into(), self.script.into()]);
        arguments.extend(["-H".into(), format!("Host: {}", self.host).into()]);
        if self.close {
            arguments.extend(["-H".into(), "Connection: close".into()]);
        }
        arguments.push(self.url.clone().into());
        arguments
    }
}

/// A call of h2load.
#[derive(Debug)]
pub(crate) struct H2load<'a> {
    pub(crate) connections: usize,
    pub(crate) amount: Amount<'a>,
    pub(crate) scheme: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

/// How much h2load asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount<'a> {
    /// As much as it can with HTTP/2, for so long, with so many requests at once of each connection.
    Seconds { seconds: u64, streams: usize, log: &'a Path },
    /// One request over each connection, with HTTP/1.1. What h2load opens, it never resumes.
    OneEach,
}

impl H2load<'_> {
    pub(crate) fn arguments(&self, program: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            vec![program.into(), "-t1".into(), format!("-c{}", self.connections).into()];
        match self.amount {
            Amount::Seconds { seconds, streams, log } => {
                arguments.extend([format!("-D{seconds}"), format!("-m{streams}")].map(OsString::from));
                arguments.push(["--log-file=".as_ref(), log.as_os_str()].into_iter().collect());
            }
            Amount::OneEach => arguments.extend([format!("-n{}", self.connections).into(), "--h1".into()]),
        }
        arguments.push(format!("--connect-to=127.0.0.1:{}", self.port).into());
        arguments.push(format!("{}://{}:{}/api/1k", self.scheme, self.host, self.port).into());
        arguments
    }
}

/// What wrk says of a round.
#[derive(Debug, Deserialize)]
struct Summary {
    requests: u64,
    microseconds: u64,
    bytes: u64,
    status: u64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    p50: u64,
    p99: u64,
}

/// Reads the summary of wrk.
pub(crate) fn wrk_counted(output: &str) -> Result<Counted, Failure> {
    let line = output.lines().find_map(|line| line.strip_prefix("ROUND "));
    let summary: Option<Summary> = line.and_then(|line| serde_json::from_str(line).ok());
    let summary = summary.ok_or_else(|| Failure::Tool(format!("wrk has no summary: {}", end_of(output))))?;
    let broken = [summary.connect, summary.read, summary.write, summary.timeout];
    Ok(Counted {
        answers: summary.requests,
        refused: summary.status,
        broken: broken.into_iter().fold(0, u64::saturating_add),
        bytes: summary.bytes,
        seconds: summary.microseconds as f64 / 1e6,
        p50: Some(summary.p50 as f64 / 1e3),
        p99: Some(summary.p99 as f64 / 1e3),
    })
}

/// Reads the summary of h2load.
pub(crate) fn h2load_counted(output: &str) -> Result<Counted, Failure> {
    let missing = || Failure::Tool(format!("h2load has no summary: {}", end_of(output)));
    let line = |name: &str| output.lines().find_map(|line| line.trim().strip_prefix(name));
    let requests = line("requests:").ok_or_else(missing)?;
    let statuses = line("status codes:").ok_or_else(missing)?;
    let traffic = line("traffic:").ok_or_else(missing)?;
    let finished = line("finished in ").and_then(|rest| rest.split(',').next()).ok_or_else(missing)?;
    let of = |list: &str, word: &str| named(list, word).ok_or_else(missing);
    let refused = of(statuses, "4xx")?.saturating_add(of(statuses, "5xx")?);
    Ok(Counted {
        // 2xx and 3xx are counted when a head has come; when the time is over some of their bodies have not.
        answers: of(requests, "succeeded")?.saturating_add(refused),
        refused,
        broken: of(requests, "errored")?.saturating_add(of(requests, "timeout")?),
        // `12.5MB (13107200) data`: the body alone.
        bytes: in_brackets(traffic, "data").ok_or_else(missing)?,
        seconds: seconds(finished).ok_or_else(missing)?,
        p50: None,
        p99: None,
    })
}

/// Median and 99th percentile in milliseconds of the log of h2load: start, status and microseconds, a line each.
pub(crate) fn h2load_latency(log: &str) -> (Option<f64>, Option<f64>) {
    let mut all: Vec<u64> =
        log.lines().filter_map(|line| line.split('\t').nth(2)?.trim().parse().ok()).collect();
    all.sort_unstable();
    let at = |share: f64| {
        let rank = (all.len() as f64 * share).ceil() as usize;
        all.get(rank.saturating_sub(1)).map(|micros| *micros as f64 / 1e3)
    };
    (at(0.5), at(0.99))
}

/// The number before a word in a list such as `1 total, 2 started`.
fn named(list: &str, word: &str) -> Option<u64> {
    let parts = list.split(',').map(|part| part.trim().split_once(' '));
    parts.flatten().find(|(_, name)| *name == word)?.0.parse().ok()
}

/// The number in brackets before a word.
fn in_brackets(list: &str, word: &str) -> Option<u64> {
    let part = list
        .split(',')
        .map(str::trim)
        .find(|part| part.split(')').nth(1).is_some_and(|rest| rest.trim().starts_with(word)))?;
    part.split('(').nth(1)?.split(')').next()?.parse().ok()
}

/// `2.01s`, `980.5ms` or `12us`.
fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let scale = match unit {
        "s" => 1.0,
        "ms" => 1e3,
        "us" => 1e6,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number / scale).filter(|seconds| seconds.is_finite())
}

fn end_of(output: &str) -> &str {
    let from = output.trim().char_indices().rev().nth(300).map_or(0, |(at, _)| at);
    output.trim().get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
