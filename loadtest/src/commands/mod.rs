//! The command line. Exit code 0: as expected. 1: an expectation failed. 2: bad input.

mod check;
mod compare;
mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Proves the limits of a proxy, for CI and for people.
#[derive(Debug, Parser)]
#[command(name = "weir-loadtest", version)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read scenarios and name all their mistakes.
    Check(check::Check),
    /// Measure weir beside nginx, HAProxy and Envoy: requests per CPU-second of the proxy.
    Compare(Box<compare::Compare>),
    /// Start a program for `compare`, on its cores and no longer than its parent lives.
    #[command(hide = true)]
    Launch(compare::Launch),
    /// Run scenarios against a proxy.
    Run(run::Run),
    /// Print the JSON schema of scenarios.
    Schema,
}

impl CommandLine {
    pub(crate) fn run(self) -> ExitCode {
        match self.command {
            Command::Check(check) => check.run(),
            Command::Compare(compare) => compare.run(),
            Command::Launch(launch) => launch.run(),
            Command::Run(run) => run.run(),
            Command::Schema => {
                print!("{}", weir_loadtest::scenario::schema::text());
                ExitCode::SUCCESS
            }
        }
    }
}

/// An expectation failed.
pub(crate) const FAILED: u8 = 1;
/// The input is bad.
pub(crate) const BAD_INPUT: u8 = 2;
