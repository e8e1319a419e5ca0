//! Metrics as operators meet them: scraped by a real Prometheus, asked for by the dashboards and alert rules of
//! `deploy/`, and judged by Prometheus's own tool.
//!
//! Where Prometheus is not installed its tests say so and pass, unless `WEIR_TEST_PEERS=required`.

mod files;
mod server;

use crate::cluster::support::{in_memory, start};
use crate::support::pki::Ca;
use crate::support::tls::trusting;
use crate::support::{
    Client, Origin, WITH_SETTINGS, Weir, burst, get, ingress, installed, ip, settings, until,
};
use crate::tls::tls_secret;
use serde_json::Value;
use server::{Prometheus, Series};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A bad day: limits that are met, enforced and observed; origins that refuse; a Service that is not there; a certificate
/// about to end; broken heads and handshakes.
struct Scene {
    weir: Arc<Weir>,
    _origin: Origin,
    stop: Sender<()>,
    load: Option<JoinHandle<()>>,
}

impl Scene {
    fn start() -> Self {
        let origin = Origin::echo();
        // Nobody listens there any more.
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let certificate = Ca::new("us").server_until(&["tls.test"], Duration::from_secs(2 * 86_400));
        let tls = "spec:\n  tls:\n  - hosts: [tls.test]\n    secretName: cert\n  rules:";
        let limit = [("limit-rps", "1"), ("limit-burst", "0")];
        let observed = [("limit-rpm", "1"), ("limit-burst", "0"), ("limit-mode", "observe")];
        let nowhere = ingress("nowhere", "nowhere.test", origin.address, &[]);
        let manifests = [
            ingress("shop", "shop.test", origin.address, &limit),
            ingress("watch", "watch.test", origin.address, &observed),
            ingress("tls", "tls.test", origin.address, &[]).replacen("spec:\n  rules:", tls, 1),
            ingress("dead", "dead.test", gone, &[]),
            ingress("spare", "spare.test", origin.address, &[]),
            // Only the Ingress of it.
            format!("{}---\n", nowhere.split("---").next().unwrap()),
            tls_secret("cert", &certificate),
            settings(&[("client-socket-rate", "0"), ("client-sockets", "1000"), ("socket-rate", "0")]),
        ];
        let spare = [gone, origin.address].map(|address| format!("default/spare:80={address}"));
        let flags = ["--https", "127.0.0.1:0", "--backend", &spare[0], "--backend", &spare[1]];
        let weir = Arc::new(Weir::start_with(&manifests.concat(), &[&flags[..], &WITH_SETTINGS].concat()));
        let (stop, stopped) = channel();
        let target = weir.clone();
        let load = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
                round(target.http, target.https());
            }
        });
        Self { weir, _origin: origin, stop, load: Some(load) }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        let _ = self.load.take().map(JoinHandle::join);
    }
}

/// A little of everything.
fn round(http: SocketAddr, https: SocketAddr) {
    let mut client = Client::connect_from(ip(7), http);
    burst(&mut client, "shop.test", "/cart", 10);
    burst(&mut client, "watch.test", "/", 2);
    for host in ["dead.test", "spare.test", "nowhere.test", "unknown.test"] {
        client.get(host, "/");
    }
    client.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    let _ = client.until_end();
    Client::connect_tls(https, "tls.test", trusting()).get("tls.test", "/");
    let mut stranger = TcpStream::connect(https).unwrap();
    let _ = stranger.write_all(b"this is no handshake\r\n");
    let _ = stranger.read_to_end(&mut Vec::new());
}

/// The tool's verdict on some input.
fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(files::deploy().join("prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have seen enough before the end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.success(), said.concat())
}

#[test]
fn the_alert_rules_pass_their_own_tests() {
    if !installed(&["promtool"]) {
        return;
    }
    let (passed, said) = promtool(&["check", "rules", "alerts.yaml"], "");
    assert!(passed && said.contains("SUCCESS"), "{said}");
    let (passed, said) = promtool(&["test", "rules", "alerts-test.yaml"], "");
    assert!(passed && said.contains("SUCCESS"), "{said}");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    if !installed(&["promtool"]) {
        return;
    }
    let scene = Scene::start();
    let cluster = in_memory();
    let following = start(&cluster, &[]);
    // Of everything there is something to see.
    let has = |text: &str| get(scene.weir.admin, "admin", "/metrics").text().contains(text);
    for series in [
        "weir_refusals_total{namespace=\"default\",ingress=\"shop\",rule=\"limit-rps\",reason=\"rate\",mode=\"enforce\"}",
        "weir_upstream_retries_total{",
        "weir_route_request_duration_seconds_bucket{",
        "weir_certificate_not_after_seconds{namespace=\"default\",secret=\"cert\"}",
    ] {
        until(series, || has(series));
    }
    for weir in [&*scene.weir, &following] {
        let text = get(weir.admin, "admin", "/metrics").text();
        assert_eq!(promtool(&["check", "metrics"], &text), (true, String::new()));
    }
    // The tool would speak.
    let (passed, said) = promtool(&["check", "metrics"], "# TYPE a_milliseconds counter\na_milliseconds 1\n");
    assert!(!passed && said.contains("a_milliseconds"), "{said}");
}

#[test]
fn a_real_prometheus_answers_every_query_of_the_dashboards_and_alerts() {
    if !installed(&["prometheus"]) {
        return;
    }
    let scene = Scene::start();
    let cluster = in_memory();
    let following = start(&cluster, &[]);
    let prometheus = Prometheus::start(&[scene.weir.admin, following.admin], &files::alerts_file());
    let ask = |place: &str, expression: &str| {
        prometheus.query(expression).unwrap_or_else(|error| panic!("{place}: {expression}: {error}"))
    };
    let is = |expression: &str, holds: fn(f64) -> bool| {
        until(expression, || ask("", expression).iter().map(Series::value).any(holds));
    };
    is("count(weir_build_info)", |count| count == 2.0);

    let queries = files::dashboard_queries();
    assert!(queries.len() > 80, "{}", queries.len());
    for (place, expression) in &queries {
        until(&format!("{place} shows something: {expression}"), || {
            ask(place, expression).iter().any(|series| series.value().is_finite())
        });
    }

    // Numbers that this scene must give.
    let positive: fn(f64) -> bool = |value| value > 0.0;
    for expression in [
        r#"rate(weir_refusals_total{ingress="shop", rule="limit-rps", reason="rate", mode="enforce"}[10s])"#,
        r#"rate(weir_refusals_total{ingress="watch", rule="limit-rpm", reason="rate", mode="observe"}[10s])"#,
        r#"rate(weir_route_requests_total{host="shop.test", path="/", code="4xx"}[10s])"#,
        r#"rate(weir_route_requests_total{host="dead.test", code="5xx"}[10s])"#,
        r#"rate(weir_tls_handshakes_total{result="not-tls"}[10s])"#,
        r#"rate(weir_tls_handshakes_total{result="completed"}[10s])"#,
        r#"rate(weir_malformed_requests_total{fault="host"}[10s])"#,
        r#"rate(weir_upstream_results_total{ingress="dead", result="refuse-connect"}[10s])"#,
        r#"weir_upstream_endpoints{service="dead", state="ejected"}"#,
        r#"rate(weir_decision_duration_seconds_count[10s])"#,
        r#"rate(weir_upstream_connections_total{result="reused"}[10s])"#,
        r#"weir_upstream_idle_connections"#,
        r#"weir_limiter_cells{table="sockets"}"#,
        r#"weir_leader"#,
    ] {
        is(expression, positive);
    }
    is(r#"rate(weir_refusals_total{ingress="watch", mode="enforce"}[10s]) or vector(0)"#, |value| {
        value == 0.0
    });
    is("(weir_certificate_not_after_seconds - time()) / 86400", |days| days > 1.0 && days < 2.1);

    // Prometheus runs the rules by itself, and finds nothing wrong with them.
    let well = |rule: &Value| rule["health"] == "ok";
    let all = files::alerts().len();
    until("all rules were evaluated", || prometheus.rules().iter().filter(|rule| well(rule)).count() == all);
    let stirring = [
        "WeirErrorsHigh",
        "WeirRefusalsHigh",
        "WeirObservedLimitExceeded",
        "WeirHandshakesFailing",
        "WeirMalformedRequests",
        "WeirUpstreamFailing",
        "WeirServiceWithoutEndpoints",
        "WeirEndpointsEjected",
        "WeirConfigurationErrors",
        "WeirReplicasDiffer",
        "WeirCertificateExpiresSoon",
    ];
    let state = |name: &str| {
        let rules = prometheus.rules();
        rules.iter().find(|rule| rule["name"] == name).map(|rule| rule["state"].clone()).unwrap_or_default()
    };
    for name in stirring {
        until(&format!("{name} stirs"), || state(name) == "pending" || state(name) == "firing");
    }
    for name in
        ["WeirAbsent", "WeirConfigurationStale", "WeirLimiterTableFull", "WeirNoLeader", "WeirAccessLogLost"]
    {
        assert_eq!(state(name), "inactive", "{name}");
    }
}
