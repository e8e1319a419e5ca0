//! weir beside other proxies on one machine, in one interleaved run: requests per CPU-second of the proxy.
//!
//! A [`Case`] says what is asked. [`peers`] has the same configuration for every proxy, [`contestant`] runs them, and
//! [`checks`] asks each whether it does the same. [`bench`] drives the rounds with [`tools`], [`hold`] or [`spray`] and
//! judges each ([`round`]); [`figures`] makes medians and ratios of them, and [`report`] tells people and machines.
//! Everything is on loopback, in a temporary folder, and ends with the comparison.

mod bench;
mod case;
mod chart;
mod checks;
mod client;
mod contestant;
mod figures;
mod hold;
mod machine;
mod peers;
mod proc;
mod process;
mod report;
mod round;
mod spray;
mod stop;
mod table;
mod tools;

pub use case::Case;
pub use chart::chart;
pub use figures::{Expectation, Spread, figure, ratio};
pub use machine::{find_program, raise_file_limit, usable_cpus};
pub use peers::{AccessLog, Proxy};
pub use process::{LAUNCH, become_program};
pub use report::{CaseReport, Facts, ProxyReport, RatioReport, Report};
pub use round::Round;
pub use stop::Stop;
pub use table::markdown;

use bench::Bench;
use contestant::{Contestant, Origin};
use peers::{Plan, Ports};
use process::{Place, free_ports};
use std::collections::HashMap;
use std::path::PathBuf;
use thiserror::Error;

/// Why there is no comparison.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// Somebody ended it.
    #[error("stopped by {0}")]
    Stopped(String),
    /// A program or the system does not do what it should.
    #[error("{0}")]
    Tool(String),
}

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Proxies to start, with their programs, in the order of the tables.
    pub proxies: Vec<(Proxy, PathBuf)>,
    /// Proxies that run already.
    pub extra: Vec<Extra>,
    /// More arguments for `weir serve`.
    pub weir_arguments: Vec<String>,
    /// In the order in which they are run.
    pub cases: Vec<Case>,
    /// Of each proxy and case; cases that want fresh processes have at most [`FRESH_ROUNDS_MAX`].
    pub rounds: usize,
    /// Length of a round.
    pub seconds: u64,
    /// Length of the load before the first round of a case.
    pub warm_up: u64,
    /// Of the makers of load.
    pub connections: usize,
    /// Held at once by the cases that measure memory.
    pub idle_connections: usize,
    /// Client addresses of a spray.
    pub spray_keys: u32,
    /// Core of the proxy.
    pub proxy_cpu: usize,
    /// Cores of the origin and the load.
    pub load_cpus: Vec<usize>,
    /// nginx as the origin.
    pub nginx: PathBuf,
    /// Where the origin listens; any free port if `None`.
    pub origin_port: Option<u16>,
    /// Of every proxy.
    pub access_log: AccessLog,
    /// Level of nginx's error log.
    pub nginx_error_log: String,
    /// What must come of it.
    pub expect: Vec<Expectation>,
    /// This program: it starts the others by the subcommand [`LAUNCH`].
    pub launcher: PathBuf,
}

/// A proxy that runs already in front of the origin's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Of the tables.
    pub name: String,
    /// Port of the route that lets everybody through.
    pub allowed: u16,
    /// Port of the route that refuses.
    pub refused: u16,
}

impl Settings {
    /// Names of all proxies.
    pub fn names(&self) -> Vec<&str> {
        let ours = self.proxies.iter().map(|(proxy, _)| proxy.name());
        ours.chain(self.extra.iter().map(|extra| extra.name.as_str())).collect()
    }

    /// Those that expectations are about.
    fn subjects(&self) -> Vec<&str> {
        let peers: Vec<&str> = PEERS.iter().map(|peer| peer.name()).collect();
        self.names().into_iter().filter(|name| !peers.contains(name)).collect()
    }
}

/// Starts everything, runs all rounds, and stops everything. `tell` hears of each round.
///
/// To be called from the thread that ends last: when it ends, what it has started is told to end too.
///
/// # Errors
///
/// If it is stopped, or if the origin or a proxy cannot be started at all.
pub fn compare(settings: &Settings, stop: &Stop, tell: &mut dyn FnMut(&str)) -> Result<Report, Failure> {
    let folder = tempfile::Builder::new().prefix("weir-compare-").tempdir();
    let folder = folder.map_err(|error| Failure::Tool(format!("no temporary folder: {error}")))?;
    machine::certificate(folder.path())?;
    // Our own load is made on the cores of the load too.
    machine::pin(&settings.load_cpus)?;
    let place = |cpus: &[usize]| Place {
        launcher: settings.launcher.clone(),
        folder: folder.path().to_owned(),
        cpus: cpus.to_vec(),
    };
    let ports = free_ports(1 + PORTS * settings.proxies.len())?;
    let (any, ports) = ports.split_first().ok_or_else(|| Failure::Tool("no free port".to_owned()))?;
    let origin_port = settings.origin_port.unwrap_or(*any);
    let plan = Plan {
        place: place(&[settings.proxy_cpu]),
        ports: Ports { http: origin_port, refused: origin_port, https: None, h2c: None },
        origin: origin_port,
        // nginx closes idle connections when only a sixteenth of what it may hold is left.
        connections: settings.idle_connections + settings.idle_connections / 8 + SPARE_CONNECTIONS,
        log: settings.access_log,
        nginx_error_log: settings.nginx_error_log.clone(),
        weir_arguments: settings.weir_arguments.clone(),
        setup: case::Setup::Standard,
    };
    // The pools of all proxies end at the origin: were it short of connections, it would close idle ones.
    let at_load = Plan { place: place(&settings.load_cpus), connections: ORIGIN_CONNECTIONS, ..plan.clone() };
    let origin = Origin::start(&settings.nginx, &at_load, stop)?;

    let mut contestants = contestants(settings, ports)?;
    let mut notes = Vec::new();
    for contestant in &mut contestants {
        contestant.start(&plan, stop)?;
        let known = contestant.proxy().map(Proxy::notes).unwrap_or_default();
        notes.extend(known.iter().map(|note| format!("{} {note}", contestant.name)));
        for difference in checks::differences(contestant)? {
            tell(&format!("warning: {} {difference}", contestant.name));
            notes.push(format!("**{} {difference}**", contestant.name));
        }
    }
    let tools = TOOLS.into_iter().filter_map(|name| Some((name, find_program(name)?)));
    let tools: HashMap<_, _> = tools.collect();
    let versions = machine::versions(settings, &tools);
    let mut bench = Bench { settings, plan, place: at_load.place, origin, contestants, tools, stop, tell };
    let mut results = Vec::new();
    for case in &settings.cases {
        results.push((*case, bench.run(*case)?));
    }
    drop(bench);
    Ok(Report::new(settings, machine::facts(settings, versions), notes, results))
}

fn contestants(settings: &Settings, ports: &[u16]) -> Result<Vec<Contestant>, Failure> {
    let mut all = Vec::new();
    for ((proxy, program), ports) in settings.proxies.iter().zip(ports.chunks_exact(PORTS)) {
        let [http, https, h2c] = ports else { continue };
        // Only nginx needs a port of its own for HTTP/2 without TLS.
        let h2c = if *proxy == Proxy::Nginx { *h2c } else { *http };
        let ports = Ports { http: *http, refused: *http, https: Some(*https), h2c: Some(h2c) };
        all.push(Contestant::ours(*proxy, program, ports));
    }
    for extra in &settings.extra {
        all.push(Contestant::theirs(&extra.name, extra.allowed, extra.refused)?);
    }
    Ok(all)
}

/// With whom the others are compared.
pub const PEERS: [Proxy; 3] = [Proxy::Nginx, Proxy::Haproxy, Proxy::Envoy];
/// Rounds of a case that wants a fresh process for each.
pub const FRESH_ROUNDS_MAX: usize = 3;
/// Connections that makers of load, probes and proxies open beside those that are held.
pub const SPARE_CONNECTIONS: usize = 256;
/// Of the origin.
const ORIGIN_CONNECTIONS: usize = 8192;
/// Of each proxy: HTTP, HTTPS, and HTTP/2 without TLS.
const PORTS: usize = 3;
const TOOLS: [&str; 2] = ["wrk", "h2load"];
