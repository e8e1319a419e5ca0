//! `weir demo`: a backend, a policy and the proxy in front, to be tried by hand or by itself.

mod check;
mod client;
mod origin;

use super::serve::{self, Running, ServeError};
use crate::settings::{self, Environment};
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// Why the demo did not run, or found a claim broken.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder of its manifests cannot be made.
    #[error("cannot write the manifests of the demo")]
    Folder(#[source] io::Error),
    /// Its backend cannot be started.
    #[error("cannot start the backend of the demo")]
    Origin(#[source] io::Error),
    /// The proxy did.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The output cannot be written.
    #[error("cannot write to the standard output")]
    Output(#[source] io::Error),
    /// Not every claim held.
    #[error("{0} of the demo's checks failed")]
    Check(usize),
}

/// What the demo does once it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Tells what to try and waits for the signal to end.
    Wait,
    /// Tries it itself and ends.
    Check,
}

/// Runs it on `http` and `https`; a check without addresses takes free ports, since nobody else needs to know them.
pub(super) fn run(http: Option<SocketAddr>, https: Option<SocketAddr>, then: Then) -> Result<(), DemoError> {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, if then == Then::Check { 0 } else { port }));
    let http = http.unwrap_or_else(|| local(HTTP_PORT));
    let https = https.unwrap_or_else(|| local(HTTPS_PORT));
    let folder = tempfile::Builder::new().prefix("weir-demo-").tempdir().map_err(DemoError::Folder)?;
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, MANIFESTS).map_err(DemoError::Folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(DemoError::Origin)?;
    let origin = runtime.block_on(origin::start()).map_err(DemoError::Origin)?;
    let running = start([http, https], folder.path(), origin, then)?;
    let (Some(http), Some(https), Some(admin)) = (running.http(), running.https(), running.admin()) else {
        return Err(DemoError::Check(0));
    };
    match then {
        Then::Wait => {
            let signals = running.signals()?;
            super::print(&invitation(http, https, admin, &file)).map_err(DemoError::Output)?;
            Ok(running.wait(signals)?)
        }
        Then::Check => report(&running.during(move || check::run(http, https, admin))?),
    }
}

fn start(
    [http, https]: [SocketAddr; 2],
    folder: &Path,
    origin: SocketAddr,
    then: Then,
) -> Result<Running, ServeError> {
    let log = if then == Then::Check { "off" } else { "stdout" };
    let arguments = [
        format!("--source=manifests={}", folder.display()),
        format!("--http={http}"),
        format!("--https={https}"),
        "--admin=127.0.0.1:0".to_owned(),
        format!("--backend=demo/echo:80={origin}"),
        format!("--access-log={log}"),
        "--access-log-format=text".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    let read = settings::read(&arguments, &Environment::default(), |path| std::fs::read_to_string(path));
    let read = read.map_err(ServeError::Settings)?;
    serve::start(&read.settings)
}

/// Prints what came of every claim.
fn report(lines: &[check::Line]) -> Result<(), DemoError> {
    let mut text = String::new();
    for check::Line { claim, seen } in lines {
        // Writing to a string cannot fail.
        let _ = match seen {
            Ok(seen) => writeln!(text, "ok    {claim} ({seen})"),
            Err(seen) => writeln!(text, "FAIL  {claim} ({seen})"),
        };
    }
    super::print(&text).map_err(DemoError::Output)?;
    match lines.iter().filter(|line| line.seen.is_err()).count() {
        0 => Ok(()),
        failed => Err(DemoError::Check(failed)),
    }
}

fn invitation(http: SocketAddr, https: SocketAddr, admin: SocketAddr, file: &Path) -> String {
    let mut text = format!(
        "weir stands on http://{http} and https://{https} in front of a backend that says what it was asked.\n\
         Its policy is {}: edit it, and it is in force when you save.\n\n\
         Try:\n",
        file.display()
    );
    let tries = [
        (
            "five a second, 26 at once; then 429 with Retry-After",
            format!(
                "for i in $(seq 40); do curl -s -o /dev/null -w '%{{http_code}} ' -H 'Host: shop.localhost' http://{http}/; done"
            ),
        ),
        (
            "what a refusal says",
            format!("curl -i -H 'Host: shop.localhost' -H 'Accept: application/json' http://{http}/"),
        ),
        (
            "a forged address changes nothing",
            format!("curl -i -H 'Host: shop.localhost' -H 'X-Forwarded-For: 203.0.113.9' http://{http}/"),
        ),
        (
            "another client has a limit of its own",
            format!("curl -i --interface 127.0.0.2 -H 'Host: shop.localhost' http://{http}/"),
        ),
        (
            "more than 1 KiB is 413",
            format!(
                "head -c 2000 /dev/zero | curl -i -H 'Host: upload.localhost' --data-binary @- http://{http}/files"
            ),
        ),
        (
            "eight at once, the others get 429",
            format!(
                "for i in $(seq 20); do curl -s -o /dev/null -w '%{{http_code}} ' -H 'Host: upload.localhost' http://{http}/files/slow & done; wait"
            ),
        ),
        (
            "the same over TLS, with a certificate made for the occasion",
            format!("curl -k -i --connect-to ::{https} https://shop.localhost/"),
        ),
        (
            "what is in force, and what was refused",
            format!(
                "curl -s http://{admin}/api/config; curl -s http://{admin}/metrics | grep weir_refusals_total"
            ),
        ),
    ];
    for (what, how) in tries {
        let _ = writeln!(text, "  # {what}\n  {how}");
    }
    text.push_str("\nOr let it try by itself: weir demo --check\nCtrl-C ends it.\n\n");
    text
}

const MANIFESTS: &str = include_str!("manifests.yaml");
const HTTP_PORT: u16 = 8080;
const HTTPS_PORT: u16 = 8443;
