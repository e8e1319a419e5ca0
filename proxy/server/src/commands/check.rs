//! `weir check`: what weir would make of manifests, without serving them.

mod report;

use crate::settings::{self, Environment, Mistake};
use report::Report;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use weir_kubernetes::manifests::{self, Input, MAX_FILE_BYTES, SourceError};

/// Why the check did not run, or what it found.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Settings are wrong.
    #[error("{}", super::serve::Listed(.0))]
    Settings(Vec<Mistake>),
    /// A file or folder cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The standard input cannot be read, or is no text of an acceptable size.
    #[error("cannot read the standard input")]
    Input(#[source] io::Error),
    /// The report cannot be written.
    #[error("cannot write to the standard output")]
    Output(#[source] io::Error),
    /// Something that an author asked for would not be in force.
    #[error("the manifests have errors: {0}")]
    Found(usize),
}

impl CheckError {
    /// 1 for what is wrong in the manifests, 2 for everything else: a pipeline tells the two apart.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Found(_) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}

/// How many of the objects that have one finding in common are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// A few of them.
    Some,
    /// All.
    All,
}

/// Checks the objects in `paths` under these settings of `weir serve`.
pub(super) fn run(paths: &[PathBuf], naming: Naming, settings: &[String]) -> Result<(), CheckError> {
    let named = settings.iter().any(|argument| argument.starts_with("--source"));
    let source = (!named).then(|| "--source=manifests=-".to_owned());
    let arguments: Vec<String> = source.into_iter().chain(settings.iter().cloned()).collect();
    // What the environment says of a proxy that runs here is about that one.
    let read = settings::read(&arguments, &Environment::default(), |path| std::fs::read_to_string(path));
    let settings::Read { settings, warnings } = read.map_err(CheckError::Settings)?;
    let inputs: Result<Vec<Input>, CheckError> = paths.iter().map(|path| input(path)).collect();
    let loaded = manifests::read(inputs?)?;
    let report = Report::new(&loaded, &settings.options(), warnings);
    super::print(&report.text(naming)).map_err(CheckError::Output)?;
    match report.errors() {
        0 => Ok(()),
        errors => Err(CheckError::Found(errors)),
    }
}

fn input(path: &Path) -> Result<Input, CheckError> {
    if path.as_os_str() != "-" {
        return Ok(Input::Path(path.to_owned()));
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(CheckError::Input)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("larger than {} MiB: write it to several files", MAX_FILE_BYTES >> 20);
        return Err(CheckError::Input(io::Error::other(message)));
    }
    let text = String::from_utf8(bytes).map_err(|error| CheckError::Input(io::Error::other(error)))?;
    Ok(Input::Text("standard input".into(), text))
}
