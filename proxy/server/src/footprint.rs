//! What the process weighs where it is one of many.

/// Takes memory in small pages from now on. Called before much was taken.
///
/// With huge pages the first byte that is written in each 2 MiB makes all of it resident. That is good for tables of a
/// million clients, and a waste for a sidecar, whose whole memory is a few of such pages. Where the system cannot do it,
/// nothing but that is lost.
pub fn take_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay on");
    }
}
