//! What the process weighs where it is one of many.

use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};
use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Begins again with memory in small pages. Called before anything else is begun; it comes back the second time, or where
/// the system cannot do it, and then nothing but that is lost.
///
/// With huge pages the first byte that is written in each 2 MiB makes all of it resident. That is good for tables of a
/// million clients, and a waste for a sidecar, whose whole memory is one or two of such pages. The allocator takes its
/// first ones before `main`; but what a process has decided about them holds for what it becomes (`PR_SET_THP_DISABLE` in
/// prctl(2)).
pub fn take_small_pages() {
    if transparent_huge_pages_are_disabled().unwrap_or(true) || disable_transparent_huge_pages(true).is_err()
    {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // An error is all that can come back.
    let _ = command.args(arguments).exec();
}
