//! podman without a daemon: a store of its own, and containers that end with the value that started them.

use crate::support::{Weir, installed};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A store with the image made of `deploy/image/Dockerfile` and a static binary.
pub(super) struct Podman {
    folder: tempfile::TempDir,
}

impl Podman {
    /// With the image in it. `None` where there is no podman or no static binary, which it says.
    pub(super) fn with_image() -> Option<Self> {
        if !installed(&["podman", "runc"]) {
            return None;
        }
        let Some(binary) = std::env::var_os(BINARY).map(PathBuf::from) else {
            // Past the capture of a test that passes.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("skipped: {BINARY} names no static binary (deploy/image/build makes one)\n"),
            );
            return None;
        };
        let podman = Self { folder: tempfile::tempdir().unwrap() };
        let context = podman.folder.path().join("context");
        std::fs::create_dir(&context).unwrap();
        std::fs::copy(&binary, context.join("weir")).unwrap();
        podman.build(IMAGE, &context);
        Some(podman)
    }

    /// Builds the image from a folder with the binary. Its time is given, so that equal folders make equal images.
    pub(super) fn build(&self, image: &str, context: &Path) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/image/Dockerfile");
        let mut command = self.command(&["build", "--quiet", "--target", "prebuilt", "--timestamp", "0"]);
        command.args(["--tag", image, "--file"]).arg(file).arg(context);
        said(command);
    }

    /// The folder with the binary that the image was built from.
    pub(super) fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    /// What podman prints.
    pub(super) fn say(&self, arguments: &[&str]) -> String {
        said(self.command(arguments))
    }

    /// Runs a container as a hardened pod would be run, with these flags of podman, and in it weir with these arguments.
    /// `folder` is at `/manifests`.
    pub(super) fn run(&self, folder: tempfile::TempDir, flags: &[&str], arguments: &[&str]) -> Container<'_> {
        open(folder.path());
        let name = format!("weir-{}-{}", std::process::id(), number());
        let mut command = self.command(&["run", "--name", &name, "--pull", "never", "--timeout", "120"]);
        command.args(HARDENED).args(flags);
        command.arg("--volume").arg(format!("{}:/manifests:ro", folder.path().display()));
        command.arg(IMAGE).args(arguments);
        // Before it starts, so that it is removed even if it never says where it listens.
        let guard = Remove { podman: self, name };
        let weir = Weir::run(folder, command);
        Container { weir, guard }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // Nothing that waits for podman waits for ever; a container has a time limit of its own.
        let mut command = match arguments.first() {
            Some(&"run") => Command::new("podman"),
            _ => {
                let mut command = Command::new("timeout");
                command.args(["--signal=KILL", "120", "podman"]);
                command
            }
        };
        command.arg("--root").arg(self.folder.path().join("root"));
        command.arg("--runroot").arg(self.folder.path().join("run"));
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
        command.args(["--events-backend", "none"]).args(arguments);
        // Where a container dies for want of memory, a file that says so is written where it was started.
        command.current_dir(self.folder.path());
        command
    }
}

/// A weir in a container, which is removed with it.
pub(super) struct Container<'a> {
    pub(super) weir: Weir,
    guard: Remove<'a>,
}

impl Container<'_> {
    /// The process in it, as the host numbers it.
    pub(super) fn pid(&self) -> String {
        self.guard.podman.say(&["inspect", "--format", "{{.State.Pid}}", &self.guard.name])
    }

    /// Ends it as Kubernetes does, and says with which exit code it did.
    pub(super) fn terminate(self, while_draining: impl FnOnce(&Weir)) -> Option<i32> {
        let Self { weir, guard } = self;
        // podman passes the signal on.
        weir.signal();
        while_draining(&weir);
        let ended = weir.ended();
        drop(guard);
        ended.code()
    }
}

struct Remove<'a> {
    podman: &'a Podman,
    name: String,
}

impl Drop for Remove<'_> {
    fn drop(&mut self) {
        let mut command = self.podman.command(&["rm", "--force", "--ignore", "--time", "0", &self.name]);
        let _ = command.stdout(Stdio::null()).status();
    }
}

#[track_caller]
fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Lets every user read what tests write for themselves.
fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// A number that no other container of this process has.
fn number() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Variable with the static binary that the image is made of.
pub(super) const BINARY: &str = "WEIR_STATIC_BINARY";
/// The image.
pub(super) const IMAGE: &str = "localhost/weir-under-test:latest";
/// Most memory of a container.
pub(super) const MEMORY: u64 = 64 << 20;
/// As `deploy/` runs pods: no user but a number (the image's), nothing written, nothing allowed, nothing gained. The network
/// is the host's, for tests use loopback only.
const HARDENED: [&str; 11] = [
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=64m",
    "--memory-swap=64m",
    "--pids-limit=64",
    "--network=host",
    // Where podman may not raise them it would try to.
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024",
    "--log-driver=none",
];
