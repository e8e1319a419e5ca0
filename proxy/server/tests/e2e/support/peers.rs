//! Programs of others that tests run as they come from Debian.

use super::PATIENCE;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Whether all of these can be run.
pub fn installed(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = std::env::split_paths(&path).collect();
        folders.push("/usr/sbin".into());
        !folders.iter().any(|folder| folder.join(program).is_file())
    });
    let Some(missing) = missing else { return true };
    let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
    assert!(!required, "{missing} is not installed");
    // Past the capture of a test that passes.
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("skipped: {missing} is not installed\n"),
    );
    false
}

/// Whether the system's own Python can import all of these.
pub fn installed_in_python(modules: &[&str]) -> bool {
    let imports = |module: &&str| {
        let output = Command::new(PYTHON).args(["-c", &format!("import {module}")]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(missing) = modules.iter().find(|module| !imports(module)) else { return true };
    let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
    assert!(!required, "{PYTHON} has no module {missing}");
    // Past the capture of a test that passes.
    let _ = std::io::Write::write_fmt(
        &mut std::io::stderr(),
        format_args!("skipped: {PYTHON} has no module {missing}\n"),
    );
    false
}

/// The system's own Python: Debian's packages of modules are for this one.
pub const PYTHON: &str = "/usr/bin/python3";

/// nginx with a folder of its own; ended when dropped.
pub struct Nginx {
    child: Child,
    pub address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// With what `prepare` says inside of `http { }`. It gets the folder and the address to listen on.
    pub fn start(prepare: impl FnOnce(&Path, SocketAddr) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // nginx cannot say which port the system chose, so one is chosen for it.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let root = folder.path();
        let http = prepare(root, address);
        let configuration = format!(
            "{user} daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{\n  client_max_body_size 0; keepalive_requests 1000000;\n\
             client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;\n\
             uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;\n{http}\n}}\n",
            root = root.display(),
            // Started by root its worker would be somebody who may not write here.
            user = if rustix::process::geteuid().is_root() { "user root root;" } else { "" },
        );
        let file = root.join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new("/usr/sbin/nginx")
            .arg("-p")
            .arg(root)
            .arg("-e")
            .arg(root.join("error.log"))
            .arg("-c")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < PATIENCE, "nginx does not listen");
            std::thread::yield_now();
        }
        Self { child, address, folder }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its worker; killed it could not.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}
