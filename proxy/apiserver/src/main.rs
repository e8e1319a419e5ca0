//! `weir-apiserver`: an API server to play with.

use anyhow::{Context, Result};
use clap::Parser;
use std::path::PathBuf;
use weir_apiserver::{ApiServer, Cluster, EndpointAddresses, Options, Transport};

/// An API server of Kubernetes in memory. Prints its address and runs until it is interrupted.
#[derive(Debug, Parser)]
#[command(name = "weir-apiserver", version)]
struct Arguments {
    /// Where to write a kubeconfig.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Speak TLS.
    #[arg(long)]
    tls: bool,
    /// Ask for this bearer token.
    #[arg(long)]
    token: Option<String>,
    /// Take loopback addresses as endpoints.
    #[arg(long)]
    any_endpoint: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let options = Options {
        transport: if arguments.tls { Transport::Tls } else { Transport::Plain },
        tokens: arguments.token.map(|token| (token, "somebody".to_owned())).into_iter().collect(),
        endpoint_addresses: if arguments.any_endpoint {
            EndpointAddresses::Any
        } else {
            EndpointAddresses::Routable
        },
        ..Options::default()
    };
    let server = ApiServer::start(options).await.context("cannot start")?;
    if let Some(path) = arguments.kubeconfig {
        std::fs::write(&path, server.kubeconfig())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}", server.url());
    tokio::signal::ctrl_c().await.context("cannot wait for the end")
}
