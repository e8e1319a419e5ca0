//! How the API server is reached.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the API server cannot be reached, as far as that is known before it is asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file that was named cannot be used.
    #[error("cannot use the kubeconfig {}", file.display())]
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: Box<kube::config::KubeconfigError>,
    },
    /// Neither a pod's service account nor a kubeconfig was found.
    #[error(
        "found neither the service account of a pod nor a kubeconfig (--kubeconfig, KUBECONFIG, ~/.kube/config)"
    )]
    Nowhere(#[source] Box<kube::config::InferConfigError>),
    /// The client cannot be built, e.g. for a certificate that cannot be read.
    #[error("cannot prepare the connection to the API server")]
    Client(#[source] Box<kube::Error>),
}

/// Where the API server is: as `kubeconfig` says, or as the environment does (a pod's service account, `KUBECONFIG`,
/// `~/.kube/config`).
pub(super) async fn config(kubeconfig: Option<&Path>) -> Result<Config, ClientError> {
    let mut config = match kubeconfig {
        Some(file) => {
            let broken = |source| ClientError::Kubeconfig { file: file.to_owned(), source: Box::new(source) };
            let read = Kubeconfig::read_from(file).map_err(broken)?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(broken)?
        }
        None => match Config::incluster() {
            Ok(config) => config,
            Err(_) => Config::infer().await.map_err(|error| ClientError::Nowhere(Box::new(error)))?,
        },
    };
    config.connect_timeout = Some(CONNECT);
    // Watches are silent for long, and have their own deadlines.
    config.read_timeout = None;
    Ok(config)
}

/// A client with connections of its own.
pub(super) fn client(config: &Config) -> Result<Client, ClientError> {
    Client::try_from(config.clone()).map_err(|error| ClientError::Client(Box::new(error)))
}

const CONNECT: Duration = Duration::from_secs(5);
