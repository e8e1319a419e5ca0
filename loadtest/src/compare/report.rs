//! What a comparison found; as JSON it is what `loadtest/schema/compare.json` describes.

use super::bench::Outcome;
use super::case::Case;
use super::figures::{Rounds, Spread, figure, ratio, shortfall};
use super::round::Round;
use super::{PEERS, Settings};
use serde::Serialize;

/// The whole comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What a reader must know to judge the numbers.
    pub facts: Facts,
    /// What a proxy does less than, or unlike, the others.
    pub notes: Vec<String>,
    /// In the order of the tables.
    pub cases: Vec<CaseReport>,
    /// What could not be measured.
    pub unmeasured: Vec<String>,
    /// What falls short of what was expected.
    pub shortfalls: Vec<String>,
}

/// What a reader must know to judge the numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// Of the proxies and the makers of load.
    pub versions: Vec<String>,
    /// Processor, system, and who ran where.
    pub machine: String,
    /// At the end.
    pub load_average: String,
    /// Of each proxy and case, interleaved.
    pub rounds: usize,
    /// Of a round.
    pub seconds: u64,
    /// Of the makers of load.
    pub connections: usize,
    /// That were held at once.
    pub idle_connections: usize,
    /// Client addresses of the spray.
    pub spray_keys: u32,
    /// Of every proxy.
    pub access_log: &'static str,
    /// Its level.
    pub nginx_error_log: String,
}

/// A case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseReport {
    /// As `--case` has it.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Of the figures.
    pub unit: &'static str,
    /// Why there are no rounds, if there are none.
    pub not_measured: Option<String>,
    /// In the order of the tables.
    pub proxies: Vec<ProxyReport>,
    /// Everybody against the peers.
    pub ratios: Vec<RatioReport>,
    #[serde(skip)]
    pub(crate) case: Case,
}

/// A proxy in a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProxyReport {
    /// Its name.
    pub name: String,
    /// Of the rounds that count; none if those are fewer than half.
    pub figure: Option<Spread>,
    /// In the order in which they were run.
    pub rounds: Vec<Round>,
}

/// One proxy divided by another, round by round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RatioReport {
    /// What is divided.
    pub of: String,
    /// By what.
    pub to: String,
    /// None if fewer than half of the rounds count on both sides.
    pub ratio: Option<Spread>,
}

impl Report {
    pub(crate) fn new(
        settings: &Settings,
        facts: Facts,
        notes: Vec<String>,
        results: Vec<(Case, Outcome)>,
    ) -> Self {
        let mut unmeasured = Vec::new();
        let mut shortfalls = Vec::new();
        for (case, outcome) in &results {
            let none = Rounds::new();
            let rounds = match outcome {
                Outcome::NotMeasured(why) => {
                    unmeasured.push(format!("{case}: not measured: {why}"));
                    &none
                }
                Outcome::Measured(rounds) => rounds,
            };
            let without = rounds.iter().filter(|(_, rounds)| figure(rounds).is_none());
            unmeasured.extend(without.map(|(name, _)| format!("{case}: no valid figure for {name}")));
            for wanted in settings.expect.iter().filter(|wanted| wanted.case == *case) {
                let subjects = settings.subjects().into_iter();
                shortfalls.extend(subjects.filter_map(|subject| shortfall(*wanted, rounds, subject)));
            }
        }
        let names = settings.names();
        let cases = results.into_iter().map(|(case, outcome)| case_report(case, outcome, &names));
        Self { facts, notes, cases: cases.collect(), unmeasured, shortfalls }
    }

    /// Whether all was measured, and came out as expected.
    pub fn passed(&self) -> bool {
        self.unmeasured.is_empty() && self.shortfalls.is_empty()
    }

    /// As JSON.
    pub fn json(&self) -> String {
        // Numbers, texts and lists: always possible.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn case_report(case: Case, outcome: Outcome, names: &[&str]) -> CaseReport {
    let (not_measured, mut rounds) = match outcome {
        Outcome::Measured(rounds) => (None, rounds),
        Outcome::NotMeasured(why) => (Some(why), Rounds::new()),
    };
    let mut proxies = Vec::new();
    for name in names {
        if let Some(rounds) = rounds.remove(*name) {
            proxies.push(ProxyReport { name: (*name).to_owned(), figure: figure(&rounds), rounds });
        }
    }
    let mut ratios = Vec::new();
    for of in &proxies {
        for to in PEERS {
            if let Some(to) = proxies.iter().find(|proxy| proxy.name == to.name() && proxy.name != of.name) {
                let ratio = ratio(&of.rounds, &to.rounds);
                ratios.push(RatioReport { of: of.name.clone(), to: to.name.clone(), ratio });
            }
        }
    }
    let unit = if case.is_memory() { "KiB for each connection" } else { "requests per CPU-second" };
    CaseReport { name: case.name(), title: case.title(), unit, not_measured, proxies, ratios, case }
}
