//! What the machine has: cores, files, programs, versions; and a certificate for those that make none.

use super::peers::ALLOWED_HOST;
use super::report::Facts;
use super::{AccessLog, Failure, Settings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cores that this process may use.
///
/// # Errors
///
/// If the system does not say.
pub fn usable_cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Keeps this thread, and those that it starts, on these cores.
pub(crate) fn pin(cpus: &[usize]) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(*cpu));
    sched_setaffinity(None, &set).map_err(|error| Failure::Tool(format!("cores {cpus:?}: {error}")))
}

/// Raises the limit of open files as far as it may be; what it is now. Programs that are started inherit it.
pub fn raise_file_limit(wanted: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let current = now.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let most = now.maximum.unwrap_or(u64::MAX);
    // The privileged may raise both.
    for (current, maximum) in [(wanted, most.max(wanted)), (most.min(wanted), most)] {
        let limit =
            Rlimit { current: Some(current), maximum: Some(maximum).filter(|most| *most != u64::MAX) };
        if setrlimit(Resource::Nofile, limit).is_ok() {
            return current;
        }
    }
    current
}

/// A program on the path, or in `sbin`, which is not on everybody's.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SBIN.into_iter().map(PathBuf::from));
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(runs)
}

/// A self-signed certificate of the kind that weir makes for itself (ECDSA, P-256), for the others.
pub(crate) fn certificate(folder: &Path) -> Result<(), Failure> {
    let failed = |error: String| Failure::Tool(format!("no certificate: {error}"));
    let made = rcgen::generate_simple_self_signed([ALLOWED_HOST.to_owned()]);
    let made = made.map_err(|error| failed(error.to_string()))?;
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (name, text) in
        [("certificate.pem", &chain), ("key.pem", &key), ("both.pem", &(chain.clone() + &key))]
    {
        let options =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name));
        let written = options.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
        written.map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

/// What the programs say of their versions.
pub(crate) fn versions(settings: &Settings, tools: &HashMap<&'static str, PathBuf>) -> Vec<String> {
    let mut all: Vec<String> = settings
        .proxies
        .iter()
        .map(|(proxy, program)| version(proxy.name(), program, proxy.asks_version()))
        .collect();
    let mut tools: Vec<_> = tools.iter().collect();
    tools.sort();
    all.extend(
        tools
            .into_iter()
            .map(|(name, program)| version(name, program, if *name == "wrk" { "-v" } else { "--version" })),
    );
    all.extend(settings.extra.iter().map(|extra| format!("{} on port {}", extra.name, extra.allowed)));
    all
}

/// The first line that a program says of its version, with its name.
fn version(name: &str, program: &Path, question: &str) -> String {
    let output = Command::new(program).arg(question).stdin(std::process::Stdio::null()).output();
    let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown version");
    // Some begin with the path by which they were called.
    let line = line.rsplit_once("version: ").map_or(line, |(_, version)| version);
    let named = line.to_ascii_lowercase().contains(name);
    let line = if named { line.to_owned() } else { format!("{name} {line}") };
    // Cargo's folder tells: its figures are worth nothing.
    let debug = program.parent().is_some_and(|folder| folder.ends_with("debug"));
    if debug { format!("{line} (**a debug build**)") } else { line }
}

/// What a reader must know to judge the numbers.
pub(crate) fn facts(settings: &Settings, versions: Vec<String>) -> Facts {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let load: Vec<String> = settings.load_cpus.iter().map(usize::to_string).collect();
    let cpus = format!("proxy on core {}, origin and load on {}", settings.proxy_cpu, load.join(","));
    let uname = rustix::system::uname();
    let (release, kind) = (uname.release().to_string_lossy(), uname.machine().to_string_lossy());
    let load_average = read("/proc/loadavg");
    Facts {
        versions,
        machine: format!(
            "{}, {kind}, Linux {release}, {cores} cores; {cpus}",
            model.map_or("unknown processor", |(_, model)| model)
        ),
        load_average: load_average.split_whitespace().take(3).collect::<Vec<_>>().join(" "),
        rounds: settings.rounds,
        seconds: settings.seconds,
        connections: settings.connections,
        idle_connections: settings.idle_connections,
        spray_keys: settings.spray_keys,
        access_log: if settings.access_log == AccessLog::File { "to a file" } else { "off" },
        nginx_error_log: settings.nginx_error_log.clone(),
    }
}

const SBIN: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
