//! The `weir` binary.

use clap::Parser;
use std::process::ExitCode;
use weir::commands::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            // The chain on one line, from what was tried to what the system said.
            eprintln!("weir: {:#}", anyhow::Error::new(error));
            code
        }
    }
}
