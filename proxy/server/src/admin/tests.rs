use super::*;
use crate::clock::Clock;
use crate::shared::{Connections, Phase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use weir_core::declaration::Declaration;
use weir_core::finding::{ObjectRef, Severity};

fn state() -> Arc<State> {
    Arc::new(State::new(Arc::default(), Arc::default(), Clock::start()))
}

fn finding() -> Finding {
    Finding {
        object: ObjectRef::new("Ingress", "shop", "<b>front</b>"),
        field: "metadata.annotations[weir.dev/limit-rps]".to_owned(),
        value: "<script>".to_owned(),
        severity: Severity::Fail,
        code: "invalid-value",
        message: "expected a whole number & nothing else".to_owned(),
    }
}

/// One request over a real socket; the status and everything behind it.
async fn ask(state: &Arc<State>, method: &str, path: &str) -> (u16, String) {
    let address = start(([127, 0, 0, 1], 0).into(), state.clone()).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text)
}

async fn get_body(state: &Arc<State>, path: &str) -> String {
    let (status, text) = ask(state, "GET", path).await;
    assert_eq!(status, 200, "{text}");
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn health_is_life_and_readiness_is_more() {
    let state = state();
    assert_eq!(ask(&state, "GET", "/healthz").await.0, 200);
    assert_eq!(ask(&state, "GET", "/readyz").await.0, 503);
    state.apply(Declaration::default(), Vec::new());
    let (sender, phase) = watch::channel(Phase::Run);
    state.serve(Connections::new(1), phase);
    assert_eq!(get_body(&state, "/readyz").await, "ready\n");
    sender.send(Phase::Drain).unwrap();
    let (status, text) = ask(&state, "GET", "/readyz").await;
    assert_eq!(status, 503);
    assert!(text.ends_with("draining\n"));
    assert_eq!(ask(&state, "GET", "/healthz").await.0, 200);
}

#[tokio::test]
async fn nothing_can_be_changed() {
    for path in ["/", "/metrics", "/healthz", "/readyz", "/api/config", "/api/findings"] {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            assert_eq!(ask(&state(), method, path).await.0, 405, "{method} {path}");
        }
    }
    assert_eq!(ask(&state(), "GET", "/api").await.0, 404);
}

#[tokio::test]
async fn findings_and_configuration_are_json() {
    let state = state();
    state.apply(Declaration::default(), vec![finding()]);
    let findings: serde_json::Value = serde_json::from_str(&get_body(&state, "/api/findings").await).unwrap();
    assert_eq!(findings[0]["severity"], "error");
    assert_eq!(findings[0]["namespace"], "shop");
    assert_eq!(findings[0]["value"], "<script>");
    let config: serde_json::Value = serde_json::from_str(&get_body(&state, "/api/config").await).unwrap();
    assert_eq!(config["generation"], 1);
    assert_eq!(config["profile"], "weir");
    let metrics = get_body(&state, "/metrics").await;
    assert!(metrics.contains("weir_config_findings{severity=\"error\"} 1"), "{metrics}");
}

#[tokio::test]
async fn the_page_escapes_what_authors_wrote_and_loads_nothing() {
    let state = state();
    state.apply(Declaration::default(), vec![finding()]);
    let (status, text) = ask(&state, "GET", "/").await;
    assert_eq!(status, 200);
    assert!(text.contains("content-security-policy: default-src 'none'"), "{text}");
    assert!(text.contains("&lt;b&gt;front&lt;/b&gt;") && text.contains("&amp; nothing else"), "{text}");
    assert!(!text.contains("<script") && !text.contains("<b>"), "{text}");
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src="), "{text}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let state = state();
    let address = start(([127, 0, 0, 1], 0).into(), state.clone()).await.unwrap();
    let error = start(address, state).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
