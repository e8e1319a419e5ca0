//! All rounds of a case: A B C, B C A, C A B and so on, so that nobody always goes first.

use super::case::{Asks, Case, Connections, Load, Row, Scheme, Setup, Transport};
use super::contestant::{Contestant, Origin};
use super::figures::Rounds;
use super::hold::Holder;
use super::peers::{ALLOWED_HOST, Plan, WRK_REPORT, WRK_ROUTES};
use super::process::{Place, Process};
use super::round::{Counted, Round};
use super::spray::spray;
use super::{FRESH_ROUNDS_MAX, Failure, Settings, Stop, checks, tools};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What rounds are run with.
pub(crate) struct Bench<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) plan: Plan,
    /// Of the makers of load.
    pub(crate) place: Place,
    pub(crate) origin: Origin,
    pub(crate) contestants: Vec<Contestant>,
    /// Makers of load that were found, by name.
    pub(crate) tools: HashMap<&'static str, PathBuf>,
    pub(crate) stop: &'a Stop,
    pub(crate) tell: &'a mut dyn FnMut(&str),
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Measured(Rounds),
    /// Something that it needs is not there.
    NotMeasured(String),
}

impl Bench<'_> {
    /// Runs a case.
    ///
    /// # Errors
    ///
    /// Only if the comparison is stopped: whatever else fails makes a round that does not count.
    pub(crate) fn run(&mut self, case: Case) -> Result<Outcome, Failure> {
        let row = case.row();
        if let Some(tool) = needed(row.load)
            && !self.tools.contains_key(tool)
        {
            return Ok(Outcome::NotMeasured(format!("{tool} is not installed")));
        }
        let mut turns: Vec<usize> = (0..self.contestants.len())
            .filter(|at| self.contestants.get(*at).is_some_and(|one| takes_part(one, row)))
            .collect();
        if turns.is_empty() {
            return Ok(Outcome::NotMeasured("no proxy can take part".to_owned()));
        }
        self.plan.setup = row.setup;
        let mut results = Rounds::new();
        if !case.is_fresh() {
            for at in &turns {
                self.warm_up(*at, row)?;
            }
        }
        let rounds = self.settings.rounds;
        for number in 0..if case.is_fresh() { rounds.min(FRESH_ROUNDS_MAX) } else { rounds } {
            for at in &turns {
                let Some(contestant) = self.contestants.get_mut(*at) else { continue };
                let name = contestant.name.clone();
                if case.is_fresh() {
                    if contestant.proxy().is_none() && number > 0 {
                        continue;
                    }
                    contestant.stop();
                }
                let round = match self.round(*at, row) {
                    Ok(round) => round,
                    Err(stopped @ Failure::Stopped(_)) => return Err(stopped),
                    Err(Failure::Tool(why)) => Round::failed(why),
                };
                let invalid = round.invalid.as_deref().map_or_else(String::new, |why| format!(" ({why})"));
                (self.tell)(&format!("{case} {} {name}: {:.1}{invalid}", number + 1, round.figure));
                results.entry(name).or_default().push(round);
            }
            turns.rotate_left(1);
        }
        Ok(Outcome::Measured(results))
    }

    /// Fills pools and spends bursts; not measured, and what fails here fails again in the round.
    fn warm_up(&mut self, at: usize, row: &Row) -> Result<(), Failure> {
        let Some(contestant) = self.contestants.get_mut(at) else { return Ok(()) };
        let started = contestant.start(&self.plan, self.stop);
        let warm = match (started, self.settings.warm_up, self.contestants.get(at)) {
            (Ok(()), seconds @ 1.., Some(contestant)) => self.drive(contestant, row, seconds).map(drop),
            (started, ..) => started,
        };
        match warm {
            Err(stopped @ Failure::Stopped(_)) => Err(stopped),
            Err(Failure::Tool(_)) | Ok(()) => Ok(()),
        }
    }

    fn round(&mut self, at: usize, row: &Row) -> Result<Round, Failure> {
        let contestant = self.contestants.get_mut(at).ok_or_else(|| Failure::Tool("no proxy".to_owned()))?;
        contestant.start(&self.plan, self.stop)?;
        let contestant = self.contestants.get(at).ok_or_else(|| Failure::Tool("no proxy".to_owned()))?;
        let mut round = match row.load {
            Load::Idle { transport } => self.hold(contestant, transport)?,
            _ => self.count(contestant, row)?,
        };
        if let Some(contestant) = self.contestants.get_mut(at)
            && let Err(error) = contestant.check_alive()
        {
            round.object(&error.to_string());
        }
        Ok(round)
    }

    /// A round that counts requests.
    fn count(&self, contestant: &Contestant, row: &Row) -> Result<Round, Failure> {
        if row.setup == Setup::Spray {
            checks::tells_clients_apart(contestant)?;
        }
        let resident = if row.case.is_fresh() { Some(contestant.resident_kib()?) } else { None };
        let reached = self.origin.requests(self.stop)?;
        let before = contestant.used();
        let counted = self.drive(contestant, row, self.settings.seconds)?;
        // Closing the clients' connections belongs to the round.
        self.stop.wait(SETTLE)?;
        let after = contestant.used();
        let reached = self.origin.requests(self.stop)?.saturating_sub(reached);
        let cpu = after.cpu_seconds - before.cpu_seconds;
        let mut round = Round::of(&counted, cpu, reached, row.expected);
        round.before_kib = resident;
        round.resident_kib = Some(contestant.resident_kib()?);
        if before.pids != after.pids {
            round.object("a process of the proxy came or went during the round");
        }
        Ok(round)
    }

    /// Makes the load of a case for so long, or once where it has its own length.
    fn drive(&self, contestant: &Contestant, row: &Row, seconds: u64) -> Result<Counted, Failure> {
        match row.load {
            Load::Wrk { scheme, host, path, connections, asks } => {
                let (port, scheme) = match scheme {
                    Scheme::Https => (contestant.ports.https.unwrap_or_default(), "https"),
                    Scheme::Http if row.is_refused() => (contestant.ports.refused, "http"),
                    Scheme::Http => (contestant.ports.http, "http"),
                };
                let connections = match connections {
                    Connections::Many => self.settings.connections,
                    Connections::Few => self.settings.connections.min(FEW),
                };
                let call = tools::Wrk {
                    connections,
                    seconds,
                    script: &self.script(row.setup, asks)?,
                    host,
                    close: asks == Asks::New,
                    url: format!("{scheme}://127.0.0.1:{port}{path}"),
                };
                tools::wrk_counted(&self.tool("wrk", |program| call.arguments(program), seconds)?)
            }
            Load::Http2 { scheme } => {
                let log = self.plan.file("h2load.log");
                let (port, scheme) = match scheme {
                    Scheme::Https => (contestant.ports.https, "https"),
                    Scheme::Http => (contestant.ports.h2c, "http"),
                };
                let call = tools::H2load {
                    connections: self.settings.connections.div_ceil(STREAMS),
                    amount: tools::Amount::Seconds { seconds, streams: STREAMS, log: &log },
                    scheme,
                    host: ALLOWED_HOST,
                    port: port.unwrap_or_default(),
                };
                let output = self.tool("h2load", |program| call.arguments(program), seconds)?;
                let (p50, p99) = tools::h2load_latency(&std::fs::read_to_string(&log).unwrap_or_default());
                Ok(Counted { p50, p99, ..tools::h2load_counted(&output)? })
            }
            Load::Handshakes => self.handshakes(contestant, Duration::from_secs(seconds)),
            Load::Spray => {
                spray(contestant.ports.http, self.settings.spray_keys, self.settings.connections, self.stop)
            }
            Load::Idle { .. } => Ok(Counted::default()),
        }
    }

    /// Batches of connections with one request each, until the time is over.
    fn handshakes(&self, contestant: &Contestant, length: Duration) -> Result<Counted, Failure> {
        let call = tools::H2load {
            connections: BATCH,
            amount: tools::Amount::OneEach,
            scheme: "https",
            host: ALLOWED_HOST,
            port: contestant.ports.https.unwrap_or_default(),
        };
        let began = Instant::now();
        let mut total = Counted::default();
        while began.elapsed() < length {
            let output = self.tool("h2load", |program| call.arguments(program), 0)?;
            let batch = tools::h2load_counted(&output)?;
            total.answers += batch.answers;
            total.refused += batch.refused;
            total.broken += batch.broken;
            total.bytes += batch.bytes;
        }
        total.seconds = began.elapsed().as_secs_f64();
        Ok(total)
    }

    /// A round that measures memory.
    fn hold(&self, contestant: &Contestant, transport: Transport) -> Result<Round, Failure> {
        let port = match transport {
            Transport::Plain => contestant.ports.http,
            Transport::Tls | Transport::Http2Tls => contestant.ports.https.unwrap_or_default(),
            Transport::Http2 => contestant.ports.h2c.unwrap_or_default(),
        };
        let count = self.settings.idle_connections;
        let mut holder = Holder::new(port, transport)?;
        // What a proxy sets up once is not to be counted.
        holder.open(FIRST, self.stop)?;
        holder.hold(IDLE_SETTLE, self.stop)?;
        let before = contestant.resident_kib()?;
        holder.open(count, self.stop)?;
        holder.hold(IDLE_SETTLE, self.stop)?;
        let after = contestant.resident_kib()?;
        let mut round = Round {
            figure: (after as f64 - before as f64) / count.max(1) as f64,
            before_kib: Some(before),
            resident_kib: Some(after),
            connections: u64::try_from(count).ok(),
            ..Round::default()
        };
        if holder.ended() > 0 {
            round.object(&format!(
                "{} of {} connections were closed by the proxy",
                holder.ended(),
                holder.opened()
            ));
        }
        Ok(round)
    }

    /// Runs a maker of load on its cores; what it said.
    fn tool(
        &self,
        name: &'static str,
        arguments: impl Fn(&Path) -> Vec<OsString>,
        seconds: u64,
    ) -> Result<String, Failure> {
        let missing = || Failure::Tool(format!("{name} is not installed"));
        let arguments = arguments(self.tools.get(name).ok_or_else(missing)?);
        let process = Process::start(name, &arguments, &self.place)?;
        process.finish(Duration::from_secs(seconds) + GRACE, self.stop)
    }

    /// The script of wrk.
    fn script(&self, setup: Setup, asks: Asks) -> Result<PathBuf, Failure> {
        let Setup::Routes { hosts } = setup else { return self.plan.write(WRK_REPORT, "report.lua", &[]) };
        let both =
            if asks == Asks::EachRoute { [WRK_ROUTES, WRK_REPORT].concat() } else { WRK_REPORT.to_owned() };
        self.plan.write(&both, "routes.lua", &[("HOSTS", hosts.to_string())])
    }
}

/// Of proxies that run already only ports without TLS are known, and only one configuration.
fn takes_part(contestant: &Contestant, row: &Row) -> bool {
    let ports = &contestant.ports;
    let speaks = match row.load {
        Load::Wrk { scheme: Scheme::Https, .. }
        | Load::Http2 { scheme: Scheme::Https }
        | Load::Handshakes => ports.https.is_some(),
        Load::Idle { transport: Transport::Tls | Transport::Http2Tls } => ports.https.is_some(),
        Load::Http2 { scheme: Scheme::Http } | Load::Idle { transport: Transport::Http2 } => {
            ports.h2c.is_some()
        }
        Load::Wrk { .. } | Load::Idle { .. } | Load::Spray => true,
    };
    speaks && (row.setup == Setup::Standard || contestant.proxy().is_some())
}

/// The program without which there is no load.
fn needed(load: Load) -> Option<&'static str> {
    match load {
        Load::Wrk { .. } => Some("wrk"),
        Load::Http2 { .. } | Load::Handshakes => Some("h2load"),
        Load::Idle { .. } | Load::Spray => None,
    }
}

const SETTLE: Duration = Duration::from_millis(200);
const IDLE_SETTLE: Duration = Duration::from_secs(1);
/// How much longer than its round a maker of load may take.
const GRACE: Duration = Duration::from_secs(20);
/// Connections of the case with large answers.
const FEW: usize = 16;
/// Requests at once of an HTTP/2 connection.
const STREAMS: usize = 8;
/// Connections of one call of h2load.
const BATCH: usize = 100;
/// Connections that are held before memory is read for the first time.
const FIRST: usize = 8;
