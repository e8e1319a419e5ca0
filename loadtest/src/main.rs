//! `weir-loadtest`: scenario, plan, oracle, wire, verdict.

mod commands;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    commands::CommandLine::parse().run()
}
