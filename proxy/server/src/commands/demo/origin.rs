//! The demo's backend: says what it was asked.

use axum::Router;
use axum::extract::Request;
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Starts it on a port that the system chooses; it runs as long as the runtime.
///
/// # Errors
/// When no socket can be bound.
pub(super) async fn start() -> io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    Ok(address)
}

/// Request line, fields and the size of the body. A path that ends in `/slow` takes its time.
async fn echo(request: Request) -> String {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MOST_BODY).await.map_or(0, |body| body.len());
    if head.uri.path().ends_with("/slow") {
        tokio::time::sleep(SLOW).await;
    }
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let _ = writeln!(text, "\n{body} bytes of body");
    text
}

/// How long a slow answer takes.
const SLOW: Duration = Duration::from_secs(1);
const MOST_BODY: usize = 64 << 20;
