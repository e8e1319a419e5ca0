//! What a sidecar weighs. Figures are in `benches/sidecar.rs`; here is what holds in every build.

use super::{Pod, passed};
use crate::support::{Origin, get, until};

/// The value of a line of `/proc/PID/status`.
fn status(pod: &Pod, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{}/status", pod.weir.pid())).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

#[test]
fn a_sidecar_is_small() {
    let origin = Origin::echo();
    let pod = Pod::start(origin.address, &[("limit-rps", "1000")], &[]);
    assert_eq!(passed(&pod), 10);
    // Two workers at most, the control thread, those that look at files and write the log, and the one that waits for
    // signals: not one for each core of a node.
    let threads: usize = status(&pod, "Threads").parse().unwrap();
    assert!(threads <= 8, "{threads} threads");
    // Memory comes in small pages. Kernels that do not say so have no huge ones.
    assert_ne!(status(&pod, "THP_enabled"), "1");
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", pod.weir.pid())).unwrap();
    let huge = rollup.lines().find_map(|line| line.strip_prefix("AnonHugePages:")).unwrap();
    assert_eq!(huge.trim(), "0 kB", "none is left of before");
    // What it takes beside the program itself, whose pages are the page cache's.
    let allocated = pod.weir.allocated();
    assert!(allocated < 12 << 20, "{allocated} bytes");
}

#[test]
fn a_sidecar_at_rest_does_nothing() {
    let origin = Origin::echo();
    let pod = Pod::start(origin.address, &[("limit-rps", "1000")], &["--access-log", "stdout"]);
    pod.weir.until_at_rest();
    // It is awake in time for what comes, and rests again: the client is gone, and its line is written.
    pod.annotate(&[("limit-rps", "2000")]);
    assert_eq!(passed(&pod), 10);
    until("what passed is logged", || pod.weir.stdout().matches("any.example").count() == 10);
}

/// Ten thousand clients fill the tables as far as they go, and no further.
#[test]
fn many_clients_do_not_make_it_large() {
    let origin = Origin::echo();
    let pod = Pod::with(origin.address, &[("limit-rph", "1")], |folder, command| {
        let settings = crate::support::volume::Volume::new(folder.join("settings"));
        let open = [
            ("use-forwarded-headers", "true"),
            ("proxy-real-ip-cidr", "127.0.0.0/8"),
            ("keep-alive-requests", "1000000"),
        ];
        settings.swap(&open);
        command.arg("--configmap-dir").arg(settings.folder());
    });
    let mut client = crate::support::Client::connect(pod.weir.http);
    for n in 0..10_000_u32 {
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + n);
        assert_eq!(client.get_with("a.test", "/", &format!("X-Forwarded-For: {address}\r\n")).status, 200);
    }
    let cells = pod.weir.metric(r#"weir_limiter_cells{table="rates"}"#).unwrap();
    assert!(cells >= 10_000.0, "{cells}");
    let allocated = pod.weir.allocated();
    assert!(allocated < 24 << 20, "{allocated} bytes");
}
