//! Websockets with a client and a server that know nothing of us, over http and over https.

use crate::support::{LANES, PYTHON, ingress, installed_in_python};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

const SCRIPT: &str = include_str!("websocket.py");

/// Python's server; ended when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut child =
            Command::new(PYTHON).args(["-c", SCRIPT, "serve"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().parse().unwrap();
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_websocket_client_talks_through_http_and_https() {
    if !installed_in_python(&["websockets"]) {
        return;
    }
    let server = Server::start();
    for lane in LANES {
        let weir = lane.start(&ingress("web", "", server.address, &[]), &["--https", "127.0.0.1:0"]);
        for url in [format!("ws://{}/chat?a=b", weir.http), format!("wss://{}/chat?a=b", weir.https())] {
            let output = Command::new(PYTHON).args(["-c", SCRIPT, "talk", &url]).output().unwrap();
            let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
            assert!(output.status.success(), "{lane:?}, {url}: {err}");
            assert_eq!(out, "all is well\n", "{lane:?}, {url}");
        }
        assert_eq!(weir.metric("weir_connections_open"), Some(0.0), "{lane:?}");
    }
}
