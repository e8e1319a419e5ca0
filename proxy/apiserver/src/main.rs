//! `weir-apiserver`: an API server to play with.

use anyhow::{Context, Result};
use clap::Parser;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use weir_apiserver::{ApiServer, Cluster, EndpointAddresses, Identity, Options, Transport};

/// An API server of Kubernetes in memory. Prints its address and runs until it is interrupted.
#[derive(Debug, Parser)]
#[command(name = "weir-apiserver", version)]
struct Arguments {
    /// Where to write a kubeconfig.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speak TLS, with a certificate made for the purpose.
    #[arg(long)]
    tls: bool,
    /// Speak TLS with this certificate.
    #[arg(long, value_name = "PEM", requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of the certificate.
    #[arg(long, value_name = "PEM", requires = "certificate")]
    key: Option<PathBuf>,
    /// Whoever shows a certificate of this authority may do everything.
    #[arg(long, value_name = "PEM", requires = "certificate")]
    client_authority: Option<PathBuf>,
    /// Ask for this bearer token.
    #[arg(long)]
    token: Option<String>,
    /// Take loopback addresses as endpoints.
    #[arg(long)]
    any_endpoint: bool,
}

impl Arguments {
    fn transport(&self) -> Result<Transport> {
        let read =
            |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
        Ok(match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let certificate = read(certificate)?;
                let client_authority = self.client_authority.as_deref().map(read).transpose()?;
                Transport::TlsAs(Identity {
                    authority: certificate.clone(),
                    certificate,
                    key: read(key)?,
                    client_authority,
                })
            }
            _ if self.tls => Transport::Tls,
            _ => Transport::Plain,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let options = Options {
        listen: arguments.listen,
        transport: arguments.transport()?,
        tokens: arguments.token.iter().map(|token| (token.clone(), "somebody".to_owned())).collect(),
        endpoint_addresses: if arguments.any_endpoint {
            EndpointAddresses::Any
        } else {
            EndpointAddresses::Routable
        },
        ..Options::default()
    };
    let server = ApiServer::start(options).await.context("cannot start")?;
    if let Some(path) = arguments.kubeconfig {
        fs::write(&path, server.kubeconfig()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}", server.url());
    tokio::signal::ctrl_c().await.context("cannot wait for the end")
}
