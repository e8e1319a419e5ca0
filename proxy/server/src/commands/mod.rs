//! What `weir` can be told to do.

mod check;
mod demo;
mod serve;

pub use check::CheckError;
pub use demo::DemoError;
pub use serve::ServeError;

use clap::Parser;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version = VERSION.as_str(),
    about = "A reverse proxy that keeps every client inside its limits",
    max_term_width = 100
)]
pub enum Command {
    /// Serve the objects of a source. `weir serve --help` lists the settings.
    #[command(disable_help_flag = true)]
    Serve {
        /// Settings; see `weir serve --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        settings: Vec<String>,
    },
    /// Say what would become of manifests, and serve nothing: exit code 1 if something that they ask for would not be in
    /// force
    Check {
        /// Files and folders; `-` is the standard input
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Name every object that has a finding, not the first five
        #[arg(long)]
        all: bool,
        /// Settings as `weir serve` takes them, such as `-- --configmap=NAMESPACE/NAME`; flags of ingress-nginx too
        #[arg(last = true)]
        settings: Vec<String>,
    },
    /// Print the table of annotations.
    Annotations,
    /// Run a backend, a policy and the proxy in front of it, and say what to try.
    Demo {
        /// Where to listen [default: 127.0.0.1:8080, with --check any free port]
        #[arg(long, value_name = "ADDRESS")]
        http: Option<SocketAddr>,
        /// Where to listen for TLS, with a certificate made for the occasion [default: 127.0.0.1:8443, with --check any
        /// free port]
        #[arg(long, value_name = "ADDRESS")]
        https: Option<SocketAddr>,
        /// Try it, print each claim with its result, and end: exit code 0 when all hold, 1 when not
        #[arg(long)]
        check: bool,
    },
}

/// The version, and the commit that it was built from where the build was told (`WEIR_COMMIT`): nothing that differs between
/// two builds of the same sources.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("WEIR_COMMIT") {
        Some(commit) if !commit.is_empty() => format!("{version} ({commit})"),
        _ => version.to_owned(),
    }
});

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// `serve` did.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// `check` did, or found something.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// `demo` did.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// Its output cannot be written.
    #[error("cannot write to the standard output")]
    Output(#[source] io::Error),
}

impl CommandError {
    /// 2 for bad usage or configuration, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Serve(error) => error.exit_code(),
            Self::Check(error) => error.exit_code(),
            Self::Demo(_) => ExitCode::FAILURE,
            Self::Output(_) => ExitCode::FAILURE,
        }
    }
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn run(self) -> Result<(), CommandError> {
        match self {
            Self::Serve { settings } => Ok(serve::run(&settings)?),
            Self::Check { paths, all, settings } => {
                let naming = if all { check::Naming::All } else { check::Naming::Some };
                Ok(check::run(&paths, naming, &settings)?)
            }
            Self::Demo { http, https, check } => {
                let then = if check { demo::Then::Check } else { demo::Then::Wait };
                Ok(demo::run(http, https, then)?)
            }
            Self::Annotations => print(&weir_core::policy::pages::text()).map_err(CommandError::Output),
        }
    }
}

/// Prints to the standard output. A reader that went away early is no error.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Command::command().debug_assert();
    }

    #[test]
    fn flags_behind_serve_are_read_by_the_table() {
        let command = Command::try_parse_from(["weir", "serve", "--source", "x", "--help", "-v=2"]).unwrap();
        let Command::Serve { settings } = command else { panic!("{command:?}") };
        assert_eq!(settings, ["--source", "x", "--help", "-v=2"]);
    }
}
