//! What the system says of this process, under the names that Prometheus's client libraries agree on.

use std::fs;

/// What the system says of this process. What it does not say is `None`: `/proc` is Linux's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// User and system time used, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Descriptors in use.
    pub open_descriptors: Option<u64>,
    /// Descriptors that it may use.
    pub most_descriptors: Option<u64>,
}

/// Asks the system.
pub fn read() -> Process {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Process {
        cpu_seconds: cpu_seconds(&stat),
        resident_bytes: resident_bytes(&status),
        open_descriptors: open_descriptors(),
        most_descriptors: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
    }
}

/// The fields 14 and 15 of proc(5)'s `/proc/pid/stat`, of which the name in brackets is the second and may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Since Linux 6.2 the size of the folder is their number; before that they have to be counted.
fn open_descriptors() -> Option<u64> {
    let folder = "/proc/self/fd";
    match fs::metadata(folder).ok()?.len() {
        0 => Some(fs::read_dir(folder).ok()?.count() as u64),
        count => Some(count),
    }
}

/// Linux tells programs times in this unit, whatever it counts in itself (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_proc_has_them() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 2 0 0 0 150 50 0 0 20 0 9 0 5 100 200 1844 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    1000 kB\n"), Some(1_024_000));
        for nothing in ["", "7", "7 (x) S 1", "a b c"] {
            assert_eq!((cpu_seconds(nothing), resident_bytes(nothing)), (None, None));
        }
    }

    #[test]
    fn the_system_tells_of_this_process() {
        let process = read();
        assert!(process.cpu_seconds.is_some_and(|seconds| seconds >= 0.0), "{process:?}");
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
        assert!(process.open_descriptors.is_some_and(|count| count > 2), "{process:?}");
        assert!(process.most_descriptors >= process.open_descriptors, "{process:?}");
    }
}
