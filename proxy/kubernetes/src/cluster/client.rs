//! How the API server is reached.

use super::Settings;
use http::Uri;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
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
    /// The address of the API server is none.
    #[error("cannot use the address of the API server {0:?}: expected a URL such as https://192.0.2.1:6443")]
    Host(String),
    /// The file with the authorities of the API server cannot be used.
    #[error("cannot use the certificates of authorities in {}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
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

/// Where the API server is: as the settings say, or as the environment does (a pod's service account, `KUBECONFIG`,
/// `~/.kube/config`).
pub(super) async fn config(settings: &Settings) -> Result<Config, ClientError> {
    let host = settings.apiserver_host.as_deref().map(url).transpose()?;
    let mut config = match (&settings.kubeconfig, &host) {
        (Some(file), _) => {
            let broken = |source| ClientError::Kubeconfig { file: file.clone(), source: Box::new(source) };
            let read = Kubeconfig::read_from(file).map_err(broken)?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(broken)?
        }
        // Whoever we are in a kubeconfig that nobody named is for the server that it names.
        (None, Some(host)) => Config::incluster().unwrap_or_else(|_| Config::new(host.clone())),
        (None, None) => match Config::incluster() {
            Ok(config) => config,
            Err(_) => Config::infer().await.map_err(|error| ClientError::Nowhere(Box::new(error)))?,
        },
    };
    if let Some(host) = host {
        config.cluster_url = host;
        if let Some(file) = &settings.certificate_authority {
            config.root_cert = Some(authorities(file)?);
            config.root_cert_file = None;
        }
    }
    config.connect_timeout = Some(CONNECT);
    // Watches are silent for long, and have their own deadlines.
    config.read_timeout = None;
    Ok(config)
}

fn url(text: &str) -> Result<Uri, ClientError> {
    let url = text.parse().ok().filter(|url: &Uri| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    });
    url.ok_or_else(|| ClientError::Host(text.to_owned()))
}

/// Certificates in a file (PEM) → DER.
fn authorities(file: &Path) -> Result<Vec<Vec<u8>>, ClientError> {
    let failed = |source| ClientError::Authorities { file: file.to_owned(), source };
    let text = std::fs::read(file).map_err(failed)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found.iter().map(|one| one.to_vec()).collect()),
        _ => {
            let why = "expected one certificate or more in PEM";
            Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, why)))
        }
    }
}

/// A client with connections of its own.
pub(super) fn client(config: &Config) -> Result<Client, ClientError> {
    Client::try_from(config.clone()).map_err(|error| ClientError::Client(Box::new(error)))
}

const CONNECT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Timing;
    use crate::publish::{self, AtTheEnd, Election, Events, Status};
    use crate::translate::Options;

    fn settings(host: &str, authorities: Option<&Path>) -> Settings {
        Settings {
            options: Options::cluster(),
            namespace_selector: None,
            kubeconfig: None,
            apiserver_host: Some(host.to_owned()),
            certificate_authority: authorities.map(Path::to_owned),
            node: None,
            timing: Timing::default(),
            publish: publish::Settings {
                status: Status::Keep,
                interval: Duration::from_secs(60),
                at_the_end: AtTheEnd::Keep,
                events: Events::Never,
                election: Election::Alone,
                identity: "weir-0".to_owned(),
                pod: None,
            },
        }
    }

    #[tokio::test]
    async fn a_host_needs_no_kubeconfig_and_is_verified_by_the_authorities_that_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("ca.crt"), folder.path().join("no.crt"));
        let signed = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
        std::fs::write(&good, signed.cert.pem()).unwrap();
        std::fs::write(&bad, "no certificate").unwrap();
        let url = "https://192.0.2.1:6443";
        let config = config(&settings(url, Some(&good))).await.unwrap();
        assert_eq!(config.cluster_url.to_string(), format!("{url}/"));
        assert_eq!(config.root_cert, Some(vec![signed.cert.der().to_vec()]));
        assert!(config.auth_info.token.is_none() && config.auth_info.username.is_none());
        let failed = |file: &Path| {
            let settings = settings(url, Some(file));
            async move { super::config(&settings).await.unwrap_err() }
        };
        assert!(matches!(failed(&bad).await, ClientError::Authorities { .. }));
        assert!(matches!(failed(&folder.path().join("none")).await, ClientError::Authorities { .. }));
        for host in ["", "localhost", "192.0.2.1:6443", "ftp://a", "https://"] {
            assert!(matches!(url_error(host).await, ClientError::Host(_)), "{host:?}");
        }
    }

    async fn url_error(host: &str) -> ClientError {
        config(&settings(host, None)).await.unwrap_err()
    }
}
