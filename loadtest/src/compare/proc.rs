//! What `/proc` says of processes: who belongs to whom, processor time, resident memory, and who listens on a port.

use super::Failure;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, `Z` and so on.
    pub(crate) state: char,
    /// Number of the parent.
    pub(crate) parent: u32,
    /// User and system time of all threads, in clock ticks (mostly 10 ms).
    pub(crate) cpu_ticks: u64,
    /// When it started, in clock ticks since the machine did.
    pub(crate) start: u64,
}

impl Stat {
    /// Reads a line; `None` if it is none of `/proc`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The command's name may hold spaces and parentheses: fields are counted from the last one.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(1)?).ok()?,
            cpu_ticks: number(11)?.checked_add(number(12)?)?,
            start: number(19)?,
        })
    }

    /// Of a process; `None` if there is none of that number.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        // A name is bytes, and need not be UTF-8.
        let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&bytes))
    }
}

/// A process and all its descendants.
pub(crate) fn family_of(pid: u32) -> BTreeMap<u32, Stat> {
    let all: BTreeMap<u32, Stat> =
        processes().into_iter().filter_map(|pid| Some((pid, Stat::of(pid)?))).collect();
    let mut family = BTreeMap::new();
    let mut todo = vec![pid];
    while let Some(one) = todo.pop() {
        if let Some(stat) = all.get(&one)
            && family.insert(one, *stat).is_none()
        {
            todo.extend(all.iter().filter(|(_, stat)| stat.parent == one).map(|(pid, _)| *pid));
        }
    }
    family
}

/// Processor time of a process and its descendants, and who they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Used {
    /// Seconds of user and system time; each process counts in clock ticks.
    pub(crate) cpu_seconds: f64,
    /// Numbers of the processes.
    pub(crate) pids: Vec<u32>,
}

impl Used {
    /// Until now.
    pub(crate) fn by(pid: u32) -> Self {
        let family = family_of(pid);
        let ticks: u64 = family.values().map(|stat| stat.cpu_ticks).sum();
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Self { cpu_seconds: ticks as f64 / per_second as f64, pids: family.into_keys().collect() }
    }
}

/// Resident memory in KiB of a process and its descendants; pages that they share count for each.
pub(crate) fn resident_kib(pid: u32) -> Result<u64, Failure> {
    let mut total = 0;
    for one in family_of(pid).into_keys() {
        // The page tables themselves: the counters in `status` lag by some dozens of pages per core.
        let text = std::fs::read_to_string(format!("/proc/{one}/smaps_rollup"))
            .map_err(|error| Failure::Tool(format!("memory of process {one}: {error}")))?;
        total += rss(&text).ok_or_else(|| Failure::Tool(format!("process {one} has no resident memory")))?;
    }
    Ok(total)
}

fn rss(smaps: &str) -> Option<u64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The process that listens on a port: the eldest, where several share the socket.
pub(crate) fn listener_of(port: u16) -> Result<u32, Failure> {
    let mut inodes = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        inodes.extend(listening(&std::fs::read_to_string(table).unwrap_or_default(), port));
    }
    let owners: Vec<u32> = processes().into_iter().filter(|pid| holds(*pid, &inodes)).collect();
    let eldest: Vec<u32> = owners
        .iter()
        .copied()
        .filter(|pid| Stat::of(*pid).is_some_and(|stat| !owners.contains(&stat.parent)))
        .collect();
    match eldest.as_slice() {
        [one] => Ok(*one),
        others => {
            Err(Failure::Tool(format!("port {port}: one listening process expected, found {others:?}")))
        }
    }
}

/// Sockets that listen on a port, as links in `/proc/PID/fd` name them.
fn listening(table: &str, port: u16) -> Vec<String> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let ours = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN;
        ours.then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
    };
    table.lines().skip(1).filter_map(inode).collect()
}

fn holds(pid: u32, inodes: &HashSet<String>) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let link = |path: &Path| Some(std::fs::read_link(path).ok()?.to_string_lossy().into_owned());
    files.flatten().any(|file| link(&file.path()).is_some_and(|link| inodes.contains(&link)))
}

fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// State of a socket.
const LISTEN: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str) -> String {
        let rest: Vec<String> = (4..53).map(|number| number.to_string()).collect();
        format!("17 ({name}) S {}", rest.join(" "))
    }

    #[test]
    fn names_may_hold_spaces_brackets_and_what_looks_like_fields() {
        let expected = Stat { state: 'S', parent: 4, cpu_ticks: 14 + 15, start: 22 };
        for name in ["nginx", "a) S b (c", "))((", " ", "", "1 2 3) R 9 9", "tête", "\u{fffd}\n"] {
            assert_eq!(Stat::parse(&line(name)), Some(expected), "{name:?}");
        }
    }

    #[test]
    fn what_is_cut_off_is_no_stat_and_damage_is_no_panic() {
        let whole = line("a (b)");
        for end in 0..whole.len() - 60 {
            let cut = &whole[..end];
            let fields = cut.rsplit_once(')').map_or(0, |(_, rest)| rest.split_whitespace().count());
            assert_eq!(Stat::parse(cut).is_some(), fields >= 20, "{cut:?}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let mut bytes = whole.clone().into_bytes();
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
            let _ = Stat::parse(&String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn this_process_is_found_with_its_time_and_memory() {
        let pid = std::process::id();
        assert!(family_of(pid).contains_key(&pid));
        assert!(resident_kib(pid).unwrap() > 100);
        let used = Used::by(pid);
        assert!(used.cpu_seconds >= 0.0 && used.pids.contains(&pid));
    }

    #[test]
    fn a_listener_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listener_of(port).unwrap(), std::process::id());
        drop(listener);
        assert!(listener_of(port).is_err());
    }

    #[test]
    fn memory_is_read_from_the_line_that_has_it() {
        assert_eq!(rss("0-1 ---p [rollup]\nRss:              1234 kB\nPss: 9 kB\n"), Some(1234));
        assert_eq!(rss("Rss: many kB\n"), None);
        assert_eq!(rss(""), None);
    }
}
