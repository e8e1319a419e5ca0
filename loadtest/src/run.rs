//! A run from the scenario to the report.

use crate::drive::{Clock, DriveError, Progress, Target, Targets, drive};
use crate::expect::{self, Evidence};
use crate::oracle::{self, ManifestError};
use crate::origin::Origin;
use crate::plan::Plan;
use crate::report::Report;
use crate::scenario::{Behaviour, Scenario, Spawn, Transport};
use crate::spawn::{SpawnError, Weir};
use crate::watch::{self, Watcher};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use thiserror::Error;

/// Where the load goes.
#[derive(Clone, Debug)]
pub enum Aim {
    /// To a URL; with the process to watch and the listener to ask for metrics, if there are any.
    Url {
        /// `http://HOST:PORT` or `https://HOST:PORT`.
        url: String,
        /// Process of the target.
        pid: Option<u32>,
        /// Listener of the target's metrics.
        admin: Option<SocketAddr>,
        /// Whether it may be another machine's.
        reach: Reach,
    },
    /// To weirs that are started with the scenario's manifests.
    Spawn {
        /// Their binary.
        binary: PathBuf,
    },
}

/// How far load may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To addresses of loopback.
    Loopback,
    /// To anybody: whoever says so may ask for load there.
    Anywhere,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum RunError {
    /// The target is none, or must not be one.
    #[error("{0}")]
    Target(String),
    /// The scenario's manifests make no oracle.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// weir does not start.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The generator cannot run.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The system refuses something.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// Runs a scenario. `observe` is called with the plan's size and the progress before the first request.
///
/// # Errors
///
/// If it cannot be run; what the target does wrong is in the report.
pub fn run(
    scenario: Scenario,
    aim: &Aim,
    observe: impl FnOnce(u64, Arc<Progress>),
) -> Result<Report, RunError> {
    let staged = scenario.clone();
    run_staged(scenario, &staged, aim, observe)
}

/// Runs the load and the judgement of one scenario against what another spawns, and changes with its phases. A limit
/// that is not the one that was promised must fail: this is how to see that it does.
///
/// # Errors
///
/// As [`run`].
pub fn run_staged(
    scenario: Scenario,
    staged: &Scenario,
    aim: &Aim,
    observe: impl FnOnce(u64, Arc<Progress>),
) -> Result<Report, RunError> {
    let plan = Plan::new(&scenario);
    let prediction = oracle::predict(&scenario, &plan)?;
    let stage = Stage::set(staged, aim)?;
    let scenario = Arc::new(scenario);

    let progress = Arc::new(Progress::default());
    observe(plan.requests.len() as u64, Arc::clone(&progress));
    // Threads and plans are ready before the first moment.
    let clock = Clock::starting_in(RUN_UP);
    let watcher = Watcher::start(stage.pids(), clock)?;
    let (stop, stopped) = mpsc::channel::<()>();
    let (tally, stage) = std::thread::scope(|scope| {
        let targets = Arc::clone(&stage.targets);
        let watched = &watcher;
        let director = scope.spawn(move || direct(stage, staged, clock, &stopped, watched));
        let tally = drive(&scenario, &plan, &targets, clock, &progress);
        drop(stop);
        (tally, director.join())
    });
    let stage = stage.map_err(|_| DriveError::Thread)??;
    let tally = tally?;
    let samples = watcher.finish();
    let metrics = stage.admin().and_then(|admin| watch::metrics(admin).ok());

    let mut planned = vec![0; scenario.classes.len()];
    for request in &plan.requests {
        if let Some(count) = planned.get_mut(usize::from(request.class)) {
            *count += 1;
        }
    }
    let evidence = Evidence {
        tally: &tally,
        prediction: prediction.as_ref(),
        samples: &samples,
        metrics: metrics.as_deref(),
        planned: &planned,
    };
    let verdicts = expect::judge(&scenario, &evidence);
    let invalid = expect::invalid(&scenario, &evidence);
    Ok(Report::new(&scenario, &stage.name, &evidence, verdicts, invalid))
}

/// What is there while a scenario runs.
struct Stage {
    name: String,
    targets: Arc<Targets>,
    weirs: Vec<Weir>,
    origin: Option<Origin>,
    binary: PathBuf,
    /// Of a target that was there before.
    pid: Option<u32>,
    admin: Option<SocketAddr>,
}

impl Stage {
    fn set(scenario: &Scenario, aim: &Aim) -> Result<Self, RunError> {
        match aim {
            Aim::Url { url, pid, admin, reach } => {
                let changes = |phase: &crate::scenario::Phase| {
                    phase.manifests.is_some() || phase.origin.is_some() || phase.restart.is_some()
                };
                if let Some(phase) = scenario.phases.iter().find(|phase| changes(phase)) {
                    let why = format!("phase {}: changes what is spawned: run with --spawn", phase.name);
                    return Err(RunError::Target(why));
                }
                let target = target(scenario, url, *reach)?;
                Ok(Self {
                    name: url.clone(),
                    targets: Arc::new(Targets::new(vec![target])),
                    weirs: Vec::new(),
                    origin: None,
                    binary: PathBuf::new(),
                    pid: *pid,
                    admin: *admin,
                })
            }
            Aim::Spawn { binary } => {
                let Some(spawn) = &scenario.spawn else {
                    return Err(RunError::Target(
                        "spawn: is missing: expected what --spawn starts".to_owned(),
                    ));
                };
                let origin = Origin::start(spawn.origin.clone())?;
                let start = |_| Weir::start(binary, spawn, &spawn.manifests, origin.address);
                let weirs: Vec<_> = (0..spawn.replicas).map(start).collect::<Result<_, _>>()?;
                Ok(Self {
                    name: format!("{} spawned", binary.file_name().unwrap_or_default().display()),
                    targets: Arc::new(Targets::new(weirs.iter().map(|weir| weir.target).collect())),
                    weirs,
                    origin: Some(origin),
                    binary: binary.clone(),
                    pid: None,
                    admin: None,
                })
            }
        }
    }

    fn pids(&self) -> Vec<u32> {
        self.weirs.iter().map(Weir::pid).chain(self.pid).collect()
    }

    fn admin(&self) -> Option<SocketAddr> {
        self.weirs.first().map(|weir| weir.admin).or(self.admin)
    }
}

/// Makes the changes of each phase when it begins.
fn direct(
    mut stage: Stage,
    scenario: &Scenario,
    clock: Clock,
    stopped: &mpsc::Receiver<()>,
    watcher: &Watcher,
) -> Result<Stage, RunError> {
    let mut begins = 0;
    let mut manifests = scenario.spawn.as_ref().map(|spawn| spawn.manifests.clone()).unwrap_or_default();
    for phase in &scenario.phases {
        // The wait ends early when the run does.
        if stopped.recv_timeout(clock.until(begins)) == Err(mpsc::RecvTimeoutError::Disconnected) {
            break;
        }
        begins += u64::try_from(phase.duration.0.as_nanos()).unwrap_or(u64::MAX / 128);
        if let Some(changed) = &phase.manifests {
            manifests.clone_from(changed);
            stage.weirs.iter().try_for_each(|weir| weir.apply(&manifests))?;
        }
        if let (Some(behaviour), Some(origin)) = (&phase.origin, &stage.origin) {
            origin.behave(behaviour.clone());
        }
        if let (Some(number), Some(spawn)) = (phase.restart, &scenario.spawn) {
            restart(&mut stage, number as usize, spawn, &manifests, stopped, watcher)?;
        }
    }
    Ok(stage)
}

/// Takes a replica out, lets it end, and puts a new one in its place: as a Deployment does.
fn restart(
    stage: &mut Stage,
    number: usize,
    spawn: &Spawn,
    manifests: &str,
    stopped: &mpsc::Receiver<()>,
    watcher: &Watcher,
) -> Result<(), RunError> {
    let Some(origin) = &stage.origin else { return Ok(()) };
    if number >= stage.weirs.len() {
        return Ok(());
    }
    stage.targets.set(number, None);
    let _ = stopped.recv_timeout(TAKEN_OUT);
    let old = stage.weirs.remove(number);
    let pid = old.pid();
    old.drain();
    let new = Weir::start(&stage.binary, spawn, manifests, origin.address)?;
    watcher.replace(pid, new.pid());
    stage.targets.set(number, Some(new.target));
    stage.weirs.insert(number, new);
    Ok(())
}

/// The addresses of a URL.
fn target(scenario: &Scenario, url: &str, reach: Reach) -> Result<Target, RunError> {
    let wrong = |why: &str| RunError::Target(format!("target: {url:?}: {why}"));
    let expected = "expected http://HOST:PORT or https://HOST:PORT";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(expected))?;
    let host = rest.trim_end_matches('/');
    let with_port = match scheme {
        _ if host.contains('/') || host.is_empty() => return Err(wrong(expected)),
        "http" | "https" if host.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok()) => {
            host.to_owned()
        }
        "http" => format!("{host}:80"),
        "https" => format!("{host}:443"),
        _ => return Err(wrong(expected)),
    };
    let address = with_port.to_socket_addrs().ok().and_then(|mut all| all.next());
    let address = address.ok_or_else(|| wrong("has no address"))?;
    if reach == Reach::Loopback && !address.ip().is_loopback() {
        return Err(wrong("is not on this machine; --anywhere sends load to others, who must have agreed"));
    }
    let tls = scheme == "https";
    let needs_tls = |class: &crate::scenario::Class| {
        class.request.transport == Transport::Tls
            || matches!(class.behaviour, Behaviour::HandshakeFlood { .. })
    };
    if let Some(class) = scenario.classes.iter().find(|class| needs_tls(class) != tls) {
        let (is, not) = if tls { ("tls", "plain") } else { ("plain", "tls") };
        let why =
            format!("speaks {is}, and class {} {not}: expected request.transport: {is} there", class.name);
        return Err(wrong(&why));
    }
    Ok(Target { http: (!tls).then_some(address), https: tls.then_some(address) })
}

const RUN_UP: Duration = Duration::from_millis(200);
/// How long a replica serves on after nobody is sent to it any more.
const TAKEN_OUT: Duration = Duration::from_millis(300);
