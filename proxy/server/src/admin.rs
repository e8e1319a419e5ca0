//! The admin listener: metrics, health, the configuration as it is understood, and a page for people.
//!
//! Everything is `GET`, so nobody can change anything here. It listens apart from traffic, on the control thread, with
//! bounds of its own.

mod listener;
mod page;

use crate::listen::{self, ListenError};
use crate::metrics;
use crate::state::{Readiness, State};
use axum::extract::State as Of;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, middleware};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use weir_core::Finding;
use weir_core::snapshot::SnapshotView;

/// Why the admin listener did not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The socket cannot be used.
    #[error("the socket cannot be used")]
    Socket(#[source] io::Error),
}

/// Binds the address and serves it on this runtime for as long as that runs. Returns the bound address.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn start(address: SocketAddr, state: Arc<State>) -> Result<SocketAddr, AdminError> {
    let (bound, socket) = listen::bind_one(address)?;
    let listener = listener::Bounded::new(socket).map_err(AdminError::Socket)?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router(state)).await {
            tracing::error!(%error, "the admin listener has stopped");
        }
    });
    Ok(bound)
}

/// All routes.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/config", get(config))
        .route("/api/findings", get(findings))
        .layer(middleware::map_response(harden))
        .with_state(state)
}

async fn status_page(Of(state): Of<Arc<State>>) -> Html<String> {
    Html(page::render(&state))
}

async fn metrics_text(Of(state): Of<Arc<State>>) -> Response {
    match metrics::render(&state) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Whether the process is alive: it answers, so it is.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests should be sent here.
async fn readyz(Of(state): Of<Arc<State>>) -> (StatusCode, &'static str) {
    match state.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::NoConfiguration => {
            (StatusCode::SERVICE_UNAVAILABLE, "nothing was read from the source yet\n")
        }
        Readiness::NotListening => (StatusCode::SERVICE_UNAVAILABLE, "not listening yet\n"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

#[derive(Serialize)]
struct ConfigView {
    /// How many configurations came into force since the start.
    generation: u64,
    /// When this one did.
    at: Option<String>,
    /// What it says.
    #[serde(flatten)]
    snapshot: SnapshotView,
}

async fn config(Of(state): Of<Arc<State>>) -> Json<ConfigView> {
    let loaded = state.loaded();
    Json(ConfigView {
        generation: loaded.generation,
        at: (loaded.generation > 0).then(|| loaded.at.to_string()),
        snapshot: state.engine.snapshot().describe(),
    })
}

#[derive(Serialize)]
struct FindingView<'a> {
    severity: &'static str,
    code: &'static str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    field: &'a str,
    value: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Finding> for FindingView<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            severity: finding.severity.as_str(),
            code: finding.code,
            kind: &finding.object.kind,
            namespace: &finding.object.namespace,
            name: &finding.object.name,
            field: &finding.field,
            value: &finding.value,
            message: &finding.message,
        }
    }
}

async fn findings(Of(state): Of<Arc<State>>) -> Response {
    let loaded = state.loaded();
    let views: Vec<FindingView<'_>> = loaded.findings.iter().map(FindingView::from).collect();
    Json(views).into_response()
}

/// What every answer carries: it is not to be stored, and a browser takes it for nothing but what it is.
async fn harden(mut response: Response) -> Response {
    for (name, value) in FIELDS {
        response.headers_mut().insert(name, value);
    }
    response
}

const FIELDS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
        ),
    ),
];

#[cfg(test)]
mod tests;
