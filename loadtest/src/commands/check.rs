//! `weir-loadtest check`: reads scenarios and runs nothing.

use super::BAD_INPUT;
use std::path::PathBuf;
use std::process::ExitCode;
use weir_loadtest::scenario;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Files to read.
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
}

impl Check {
    /// 0 if all can be run, else 2.
    pub(crate) fn run(self) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        for path in self.scenarios {
            match scenario::load(&path) {
                Ok(scenario) => println!(
                    "{}: {} ({} classes, {} phases, {:?})",
                    path.display(),
                    scenario.name,
                    scenario.classes.len(),
                    scenario.phases.len(),
                    scenario.duration()
                ),
                Err(error) => {
                    eprintln!("{}: {error}", path.display());
                    code = ExitCode::from(BAD_INPUT);
                }
            }
        }
        code
    }
}
