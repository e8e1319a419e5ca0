//! `weir-loadtest compare`: weir beside nginx, HAProxy and Envoy on one machine.

use super::{BAD_INPUT, FAILED};
use clap::value_parser;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use weir_loadtest::compare::{
    AccessLog, Case, Expectation, Extra, Failure, Proxy, SPARE_CONNECTIONS, Settings, Stop, become_program,
    chart, compare, find_program, markdown, raise_file_limit, usable_cpus,
};
use weir_loadtest::spawn::binary;

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Proxies to compare; by default weir, and of the others those that are found.
    #[arg(long, value_delimiter = ',', value_parser = proxy, value_name = "LIST")]
    proxies: Option<Vec<Proxy>>,
    /// The weir binary; by default weir beside this program, or on the path.
    #[arg(long, value_name = "PATH")]
    weir: Option<PathBuf>,
    /// One more argument for `weir serve`; repeatable.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    weir_arg: Vec<String>,
    /// nginx, which is also the origin; by default the one on the path.
    #[arg(long, value_name = "PATH")]
    nginx: Option<PathBuf>,
    /// HAProxy; by default the one on the path.
    #[arg(long, value_name = "PATH")]
    haproxy: Option<PathBuf>,
    /// Envoy; by default the one on the path.
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// A proxy that runs already in front of --origin-port, by the port of the route that allows (and of the one that
    /// refuses); repeatable.
    #[arg(long, value_name = "NAME=PORT[/REFUSED]", value_parser = extra, requires = "origin_port")]
    extra: Vec<Extra>,
    /// Cases to run; by default all.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    case: Option<Vec<Case>>,
    /// Rounds of each proxy and case; at most 3 of those that want fresh processes.
    #[arg(long, default_value_t = 7, value_parser = value_parser!(u64).range(1..=99))]
    rounds: u64,
    /// Length of a round.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Seconds of load before the first round of a case.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u64).range(0..=60))]
    warm_up: u64,
    /// Connections of the load.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u64).range(1..=256))]
    connections: u64,
    /// Connections of the cases that hold them idle; fewer if the limit of open files asks for it.
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u64).range(1..=50_000))]
    idle_connections: u64,
    /// Client addresses of the case `spray`.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1..=16_000_000))]
    spray_keys: u32,
    /// Core of the proxy; by default the first that may be used.
    #[arg(long, value_name = "CPU")]
    proxy_cpu: Option<usize>,
    /// Cores of the origin and the load; by default the second.
    #[arg(long, value_delimiter = ',', value_name = "CPU,...")]
    load_cpus: Option<Vec<usize>>,
    /// Every proxy, weir too, logs every request to a file; by default none does.
    #[arg(long)]
    access_log: bool,
    /// Level of nginx's error log: at `error`, as nginx is shipped, each refusal is a line; at `crit` none is.
    #[arg(long, default_value = "error", value_parser = ["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"])]
    nginx_error_log: String,
    /// Port of the origin; by default any free one.
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    origin_port: Option<u16>,
    /// Fail if weir is less than N times nginx in a case, or takes more than N KiB for each connection.
    #[arg(long, value_delimiter = ',', value_name = "CASE=N,...")]
    expect: Vec<Expectation>,
    /// Give up after so many seconds; by default generous for what is asked.
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=86_400))]
    time_limit: Option<u64>,
    /// Write all rounds as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the ratios with their spread as SVG.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

/// Arguments of the subcommand that starts programs for [`compare`].
#[derive(Debug, clap::Args)]
pub(crate) struct Launch {
    #[arg(long, value_delimiter = ',', required = true)]
    cpus: Vec<usize>,
    #[arg(long)]
    parent: u32,
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

impl Compare {
    /// 0 if all was measured and as expected, 1 if not, 2 for bad input.
    pub(crate) fn run(self) -> ExitCode {
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(mistakes) => {
                mistakes.iter().for_each(|mistake| eprintln!("{mistake}"));
                return ExitCode::from(BAD_INPUT);
            }
        };
        let stop = Stop::after(self.time_limit(&settings));
        if let Err(error) = stop.on_signals() {
            eprintln!("no handlers of signals: {error}");
            return ExitCode::from(FAILED);
        }
        let report = match compare(&settings, &stop, &mut |line| eprintln!("{line}")) {
            Ok(report) => report,
            Err(error @ (Failure::Stopped(_) | Failure::Tool(_))) => {
                eprintln!("{error}");
                return ExitCode::from(FAILED);
            }
        };
        print!("{}", markdown(&report));
        let write = |path: &Option<PathBuf>, text: String| {
            path.as_ref().map_or(Ok(()), |path| std::fs::write(path, text))
        };
        if let Err(error) = write(&self.json, report.json()).and_then(|()| write(&self.chart, chart(&report)))
        {
            eprintln!("{error}");
            return ExitCode::from(BAD_INPUT);
        }
        report.unmeasured.iter().chain(&report.shortfalls).for_each(|sentence| eprintln!("{sentence}"));
        if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
    }

    /// What is to be done, or all that is wrong with it.
    fn settings(&self) -> Result<Settings, Vec<String>> {
        let mut mistakes = Vec::new();
        let proxies = self.programs(&mut mistakes);
        let nginx = self.program(Proxy::Nginx);
        if nginx.is_none() {
            mistakes.push("nginx is the origin, and is not found: see --nginx".to_owned());
        }
        let (proxy_cpu, load_cpus) = self.cpus(&mut mistakes);
        // Known now and not after half an hour.
        for path in [&self.json, &self.chart].into_iter().flatten() {
            if let Err(error) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
                mistakes.push(format!("{}: {error}", path.display()));
            }
        }
        let launcher = std::env::current_exe();
        if let Err(error) = &launcher {
            mistakes.push(format!("this program is not found: {error}"));
        }
        let mut cases = self.case.clone().unwrap_or_else(|| Case::ALL.to_vec());
        cases.sort_unstable();
        cases.dedup();
        let settings = Settings {
            proxies,
            extra: self.extra.clone(),
            weir_arguments: self.weir_arg.clone(),
            cases,
            rounds: usize::try_from(self.rounds).unwrap_or(1),
            seconds: self.seconds,
            warm_up: self.warm_up,
            connections: usize::try_from(self.connections).unwrap_or(1),
            idle_connections: self.fitting_connections(),
            spray_keys: self.spray_keys,
            proxy_cpu,
            load_cpus,
            nginx: nginx.unwrap_or_default(),
            origin_port: self.origin_port,
            access_log: if self.access_log { AccessLog::File } else { AccessLog::Off },
            nginx_error_log: self.nginx_error_log.clone(),
            expect: self.expect.clone(),
            launcher: launcher.unwrap_or_default(),
        };
        let mut names = settings.names();
        names.sort_unstable();
        if names.is_empty() || names.windows(2).any(|pair| pair.first() == pair.last()) {
            mistakes.push("each proxy needs a name of its own, and there must be one".to_owned());
        }
        for wanted in &self.expect {
            if !settings.cases.contains(&wanted.case) {
                mistakes.push(format!("--expect: {} is not among --case", wanted.case));
            }
            if !wanted.case.is_memory() && !names.contains(&Proxy::Nginx.name()) {
                mistakes.push(format!(
                    "--expect: {} compares with nginx, which is not among the proxies",
                    wanted.case
                ));
            }
        }
        if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
    }

    /// The proxies with their programs. One that was asked for by name must be there.
    fn programs(&self, mistakes: &mut Vec<String>) -> Vec<(Proxy, PathBuf)> {
        let mut found = Vec::new();
        for proxy in Proxy::ALL {
            let listed = self.proxies.as_ref().map(|list| list.contains(&proxy));
            if listed == Some(false) {
                continue;
            }
            let asked = listed == Some(true) || proxy == Proxy::Weir || self.named(proxy).is_some();
            match self.program(proxy) {
                Some(program) => found.push((proxy, program)),
                None if asked => {
                    mistakes.push(format!(
                        "{0} is not found: see --{0}, or leave it out by --proxies",
                        proxy.name()
                    ));
                }
                None => {
                    eprintln!("warning: {0} is not found, so it is not compared: see --{0}", proxy.name());
                }
            }
        }
        found
    }

    fn program(&self, proxy: Proxy) -> Option<PathBuf> {
        let named = self.named(proxy);
        let path = match (proxy, named) {
            (Proxy::Weir, _) => {
                let path = binary(named);
                if path.is_file() { Some(path) } else { find_program(&path.to_string_lossy()) }
            }
            (_, Some(path)) => Some(path.to_owned()).filter(|path| path.is_file()),
            (_, None) => find_program(proxy.name()),
        };
        // Programs are started in another folder.
        path.and_then(|path| path.canonicalize().ok())
    }

    fn named(&self, proxy: Proxy) -> Option<&Path> {
        match proxy {
            Proxy::Weir => self.weir.as_deref(),
            Proxy::Nginx => self.nginx.as_deref(),
            Proxy::Haproxy => self.haproxy.as_deref(),
            Proxy::Envoy => self.envoy.as_deref(),
        }
    }

    /// Proxy and load on different cores, if there are two.
    fn cpus(&self, mistakes: &mut Vec<String>) -> (usize, Vec<usize>) {
        let usable = usable_cpus().unwrap_or_else(|_| vec![0]);
        let proxy = self.proxy_cpu.or_else(|| usable.first().copied()).unwrap_or_default();
        let others = || usable.iter().copied().filter(|cpu| *cpu != proxy).take(1).collect::<Vec<_>>();
        let load = self.load_cpus.clone().unwrap_or_else(others);
        let load = if load.is_empty() { vec![proxy] } else { load };
        for cpu in load.iter().chain([&proxy]).filter(|cpu| !usable.contains(cpu)) {
            mistakes.push(format!("core {cpu} may not be used here; usable: {usable:?}"));
        }
        if load.contains(&proxy) {
            eprintln!("warning: proxy and load share a core");
        }
        (proxy, load)
    }

    /// Proxies want up to two files for each connection that they may hold.
    fn fitting_connections(&self) -> usize {
        let wanted = usize::try_from(self.idle_connections).unwrap_or(1);
        let needed = |count: usize| 2 * (count + 2 * SPARE_CONNECTIONS);
        let limit = usize::try_from(raise_file_limit(needed(wanted) as u64)).unwrap_or(usize::MAX);
        let most = (limit / 2).saturating_sub(2 * SPARE_CONNECTIONS).max(1);
        if most < wanted {
            eprintln!("warning: {limit} open files allowed, so {most} idle connections");
        }
        wanted.min(most)
    }

    fn time_limit(&self, settings: &Settings) -> Duration {
        let one = settings.seconds + settings.warm_up + 4;
        // Connections and keys at a thousand a second.
        let own = (settings.idle_connections as u64 + u64::from(settings.spray_keys)) / 1000;
        let work =
            settings.names().len() as u64 * (settings.cases.len() as u64 * self.rounds * one * 2 + 9 * own);
        Duration::from_secs(self.time_limit.unwrap_or(120 + work))
    }
}

impl Launch {
    /// Returns only if the program cannot be started.
    pub(crate) fn run(self) -> ExitCode {
        eprintln!("{}", become_program(&self.cpus, self.parent, &self.program));
        ExitCode::from(FAILED)
    }
}

fn proxy(text: &str) -> Result<Proxy, String> {
    let names = Proxy::ALL.map(Proxy::name).join(", ");
    Proxy::ALL.into_iter().find(|proxy| proxy.name() == text).ok_or_else(|| format!("there are {names}"))
}

fn extra(text: &str) -> Result<Extra, String> {
    let form = || "expected NAME=PORT or NAME=PORT/REFUSED".to_owned();
    let (name, ports) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(form)?;
    let (allowed, refused) = ports.split_once('/').unwrap_or((ports, ports));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(form);
    Ok(Extra { name: name.to_owned(), allowed: port(allowed)?, refused: port(refused)? })
}
