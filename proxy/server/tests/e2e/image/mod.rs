//! The image of `deploy/image/Dockerfile`, made of the static binary and run by podman as a hardened pod would be.
//!
//! `WEIR_STATIC_BINARY` names the binary; `deploy/image/build` makes it.

mod dns;
mod podman;

use crate::limits::slow_origin;
use crate::support::pki::Ca;
use crate::support::{Client, Origin, Reaction, get, ingress, installed, until};
use podman::{IMAGE, MEMORY, Podman};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// `weir serve` in a container.
const SERVE: [&str; 10] = [
    "serve",
    "--source=manifests=/manifests",
    "--http=127.0.0.1:0",
    "--admin=127.0.0.1:0",
    "--access-log=off",
    "--log-level=info",
    "--workers=1",
    // The table of clients is allocated at the start; that of a million takes more than these containers have.
    "--clients=100000",
    "--shutdown-delay=0s",
    "--shutdown-timeout=1h",
];

#[test]
fn the_image_holds_the_binary_and_nothing_else() {
    let Some(podman) = Podman::with_image() else { return };
    let inspect = |what: &str| podman.say(&["image", "inspect", "--format", what, IMAGE]);
    assert_eq!(inspect("{{.Config.User}}"), "65532:65532");
    assert_eq!(inspect("{{.Config.Entrypoint}}"), "[/weir]");
    assert_eq!(inspect("{{index .Labels \"org.opencontainers.image.version\"}}"), env!("CARGO_PKG_VERSION"));
    let size: u64 = inspect("{{.Size}}").parse().unwrap();
    println!("the image has {size} bytes");
    assert!(size < 25 << 20, "{size} bytes");

    let root = podman.say(&["image", "mount", IMAGE]);
    let names = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["weir"]);
    podman.say(&["image", "unmount", IMAGE]);

    let run = [
        "run",
        "--rm",
        "--network=none",
        "--ulimit=nofile=64:64",
        "--ulimit=nproc=64:64",
        IMAGE,
        "--version",
    ];
    let version = podman.say(&run);
    assert!(version.starts_with(concat!("weir ", env!("CARGO_PKG_VERSION"))), "{version}");

    // Equal folders make equal images, whoever builds them.
    let first = inspect("{{.Id}}");
    podman.build("localhost/weir-once-more", &podman.context());
    let second = podman.say(&["image", "inspect", "--format", "{{.Id}}", "localhost/weir-once-more"]);
    assert_eq!(first, second);
}

#[test]
fn a_container_runs_with_no_rights_at_all_and_enforces_limits() {
    let Some(podman) = Podman::with_image() else { return };
    let origin = Origin::echo();
    let folder = tempfile::tempdir().unwrap();
    let limits = [("limit-rpm", "1"), ("limit-burst", "4")];
    std::fs::write(folder.path().join("m.yaml"), ingress("web", "web.test", origin.address, &limits))
        .unwrap();
    let container = podman.run(folder, &[], &SERVE);
    let weir = &container.weir;

    let process = Path::new("/proc").join(container.pid());
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    let field = |name: &str| {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{status}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(field("Uid:"), "65532 65532 65532 65532");
    assert_eq!(field("Gid:"), "65532 65532 65532 65532");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), "2", "a filter");
    let mounts = std::fs::read_to_string(process.join("mountinfo")).unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");
    assert_eq!(memory_limit(&process), Some(MEMORY));

    // Limits hold through it, as others see them.
    if installed(&["curl"]) {
        let url = format!("http://{}/[1-8]", weir.http);
        let curl = ["--silent", "--noproxy", "*", "--max-time", "20", "--header", "Host: web.test"];
        let out = ["--output", "/dev/null", "--write-out", "%{http_code} ", &url];
        let output = Command::new("curl").args(curl).args(out).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "200 200 200 200 200 429 429 429 ");
    }
    assert_eq!(get(weir.admin, "admin", "/readyz").status, 200);
    let resident = status_bytes(&process, "VmHWM:");
    println!("the process took {resident} bytes at most");
    assert!(resident < MEMORY, "{resident}");
    assert_eq!(container.terminate(|_| {}), Some(0));
}

#[test]
fn a_container_that_is_told_to_end_answers_what_it_has_begun() {
    let Some(podman) = Podman::with_image() else { return };
    let (origin, gate) = slow_origin();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.yaml"), ingress("slow", "slow.test", origin.address, &[])).unwrap();
    let container = podman.run(folder, &[], &SERVE);
    let mut client = Client::connect(container.weir.http);
    client.send("GET /slow HTTP/1.1\r\nHost: slow.test\r\n\r\n");
    gate.wait_for(1);
    let code = container.terminate(|weir| {
        let refused = || TcpStream::connect_timeout(&weir.http, Duration::from_millis(50)).is_err();
        until("accepting ends", refused);
        gate.open(1);
        let reply = client.read("GET");
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    });
    assert_eq!(code, Some(0));
}

/// In an image without libraries a static glibc has no modules to look names up with but those that it was built with.
#[test]
fn names_are_resolved_in_a_container() {
    let Some(podman) = Podman::with_image() else { return };
    let Some(server) = dns::start() else { return };
    let dns = format!("--dns={server}");
    let origin = Origin::echo();
    let port = origin.address.port();

    // Names of origins: from /etc/hosts, and from the server that /etc/resolv.conf names.
    let folder = tempfile::tempdir().unwrap();
    for (name, target) in [("hosts", "localhost"), ("dns", "origin.example.test")] {
        let host = format!("{name}.test");
        let text =
            ingress(name, &host, origin.address, &[]).replace("number: 80", &format!("number: {port}"));
        let ingress = text.split("---\n").next().unwrap();
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: default\nspec:\n  \
             type: ExternalName\n  externalName: {target}\n"
        );
        std::fs::write(folder.path().join(format!("{name}.yaml")), format!("{ingress}---\n{service}"))
            .unwrap();
    }
    let container = podman.run(folder, &[&dns], &SERVE);
    for host in ["hosts.test", "dns.test"] {
        until(&format!("the name behind {host} is resolved"), || {
            get(container.weir.http, host, "/").status == 200
        });
    }
    assert_eq!(container.terminate(|_| {}), Some(0));

    // The name of the API server, which the system's resolver looks up.
    let server = Origin::start(|_| Reaction::WriteAndClose(Vec::new()));
    let folder = tempfile::tempdir().unwrap();
    // The image has no authorities of its own.
    std::fs::write(folder.path().join("ca.pem"), Ca::new("cluster").pem()).unwrap();
    let authority = "--certificate-authority=/manifests/ca.pem";
    let host = format!("--apiserver-host=http://api.example.test:{}", server.address.port());
    let arguments = [
        "serve",
        "--source=kubernetes",
        "--clients=100000",
        &host,
        authority,
        "--http=127.0.0.1:0",
        "--admin=127.0.0.1:0",
    ];
    let container = podman.run(folder, &[&dns], &arguments);
    until("the API server is asked", || {
        server.seen().iter().any(|request| request.target.starts_with("/api"))
    });
    drop(container);
}

/// The memory limit that the kernel holds a process to, by the control groups of either version.
fn memory_limit(process: &Path) -> Option<u64> {
    let groups = std::fs::read_to_string(process.join("cgroup")).unwrap();
    let file = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next()?, parts.next()?.trim_start_matches('/')) {
            ("memory", path) => Some(format!("/sys/fs/cgroup/memory/{path}/memory.limit_in_bytes")),
            _ => None,
        }
    });
    let unified = || {
        let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        Some(format!("/sys/fs/cgroup/{path}/memory.max"))
    };
    let file = file.or_else(unified)?;
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.trim().parse().ok()
}

fn status_bytes(process: &Path, field: &str) -> u64 {
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
