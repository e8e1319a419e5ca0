//! The command line. Exit code 0: as expected. 1: an expectation failed. 2: bad input.

mod check;
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
    /// Run scenarios against a proxy.
    Run(run::Run),
    /// Print the JSON schema of scenarios.
    Schema,
}

impl CommandLine {
    pub(crate) fn run(self) -> ExitCode {
        match self.command {
            Command::Check(check) => check.run(),
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
