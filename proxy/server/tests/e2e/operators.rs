//! What operators see: metrics, health, the configuration, the access log, and the end.

use crate::limits::{open_request, slow_origin};
use crate::support::{Client, Origin, WITH_SETTINGS, Weir, burst, get, ingress, settings, until};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Asserts that a page of metrics is well-formed, and returns the names of its families.
fn check_metrics(text: &str) -> BTreeSet<String> {
    let mut families = BTreeSet::new();
    let mut series = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned()), "a family comes twice: {line}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(series.insert(name.to_owned()), "a series comes twice: {line}");
        let (bare, labels) = name.split_once('{').unwrap_or((name, "}"));
        assert!(bare.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{line}");
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
            assert!(!value.trim_end_matches('"').contains(['\n', '"']), "{line}");
        }
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| bare.strip_suffix(end));
        let known = families.contains(bare) || family.is_some_and(|family| families.contains(family));
        assert!(known, "a series without a family: {line}");
    }
    families
}

#[test]
fn every_line_of_the_metrics_can_be_read_and_no_label_comes_from_a_request() {
    let origin = Origin::echo();
    let limits = [("limit-rph", "1"), ("allow-paths", "/ok")];
    let weir = Weir::start(&ingress("shop", "shop.example", origin.address, &limits));
    let mut client = Client::connect(weir.http);
    burst(&mut client, "shop.example", "/ok/marker-path", 9);
    burst(&mut client, "shop.example", "/marker-path", 3);
    client.get_with("marker-host.example", "/", "X-Marker: marker-field\r\nUser-Agent: marker-agent\r\n");
    client.send("MARKER /ok HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    client.read("MARKER");
    // A request is counted when its answer has gone out, and a client may be quicker than that.
    let shop = r#"namespace="default",ingress="shop""#;
    let limited = format!("weir_requests_total{{{shop},code=\"429\"}}");
    weir.until("the last request is counted", || weir.metric(&limited) == Some(4.0));

    let page = get(weir.admin, "admin", "/metrics");
    assert!(page.header("content-type").unwrap().starts_with("text/plain"), "{page:?}");
    let text = page.text();
    let families = check_metrics(&text);
    for family in [
        "weir_requests_total",
        "weir_refusals_total",
        "weir_requests_in_flight",
        "weir_request_duration_seconds",
        "weir_upstream_results_total",
        "weir_upstream_latency_seconds",
        "weir_limiter_cells",
        "weir_limiter_evictions_total",
        "weir_config_findings",
        "weir_snapshot_generation",
        "weir_build_info",
    ] {
        assert!(families.contains(family), "{family} is not in {families:?}");
    }
    assert!(!text.to_lowercase().contains("marker"), "{text}");
    let series = |rest: &str| weir.metric(rest);
    assert_eq!(series(&format!("weir_requests_total{{{shop},code=\"200\"}}")), Some(6.0));
    assert_eq!(series(&limited), Some(4.0));
    assert_eq!(series(&format!("weir_requests_total{{{shop},code=\"404\"}}")), Some(3.0));
    let refusals = |rule: &str, reason: &str| {
        series(&format!("weir_refusals_total{{{shop},rule=\"{rule}\",reason=\"{reason}\",mode=\"enforce\"}}"))
    };
    assert_eq!(refusals("limit-rph", "rate"), Some(4.0));
    assert_eq!(refusals("allow-paths", "path"), Some(3.0));
    assert_eq!(series(&format!("weir_upstream_results_total{{{shop},result=\"respond\"}}")), Some(6.0));
    assert_eq!(series(&format!("weir_requests_in_flight{{{shop}}}")), Some(0.0));
}

#[test]
fn requests_in_flight_are_counted_while_they_are() {
    let (origin, gate) = slow_origin();
    let weir = Weir::start(&ingress("slow", "slow.example", origin.address, &[("limit-connections", "9")]));
    let mut clients: Vec<_> = (0..3).map(|_| open_request(weir.http, "slow.example", "/slow")).collect();
    gate.wait_for(3);
    let in_flight = r#"weir_requests_in_flight{namespace="default",ingress="slow"}"#;
    assert_eq!(weir.metric(in_flight), Some(3.0));
    assert_eq!(weir.metric(r#"weir_limiter_cells{table="in_flight"}"#), Some(1.0));
    gate.open(3);
    clients.iter_mut().for_each(|client| assert_eq!(client.read("GET").status, 200));
    until("all have ended", || weir.metric(in_flight) == Some(0.0));
    until("no client is in flight", || weir.metric(r#"weir_limiter_cells{table="in_flight"}"#) == Some(0.0));
}

#[test]
fn the_configuration_is_shown_and_secrets_are_nowhere() {
    let origin = Origin::echo();
    let known = "hunter2-open-sesame";
    // `stringData` as it is, `data` in base64, and one that cannot be read.
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: users, namespace: default}}\nstringData:\n  auth: {known}\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {{name: coded, namespace: default}}\ndata:\n  auth: aHVudGVyMi1vcGVuLXNlc2FtZQ==\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {{name: odd, namespace: default}}\ndata:\n  auth: '{known} is no base64'\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {{name: odder, namespace: default}}\ndata: '{known}'\n---\n"
    );
    let limits =
        [("limit-rps", "7"), ("auth-secret", "users"), ("nginx.ingress.kubernetes.io/auth-type", "basic")];
    let manifests = ingress("closed", "closed.example", origin.address, &limits)
        + &ingress(
            "shop",
            "shop.example",
            origin.address,
            &[("limit-rpm", "70"), ("denylist-source-range", "192.0.2.0/24")],
        )
        + &settings(&[("limit-req-status-code", "430")])
        + &secret;
    let flags: Vec<&str> =
        WITH_SETTINGS.into_iter().chain(["--log-level", "trace", "--access-log", "-"]).collect();
    let weir = Weir::start_with(&manifests, &flags);
    assert_eq!(get(weir.http, "shop.example", "/").status, 200);
    assert_eq!(
        get(weir.http, "closed.example", "/").status,
        503,
        "what asks for a password must not be open"
    );

    let config = weir.config();
    assert_eq!((&config["profile"], &config["generation"]), (&"weir".into(), &1.into()));
    let shop = config["objects"].as_array().unwrap().iter().find(|o| o["object"] == "Ingress default/shop");
    let shop = shop.unwrap_or_else(|| panic!("{config}"));
    assert_eq!(shop["limits"]["numbers"]["limit-rpm"], 70);
    assert_eq!(shop["deny"][0], "192.0.2.0/24");
    assert!(config["hosts"]["shop.example"]["paths"][0]["backend"].as_str().unwrap().contains("shop:80"));
    let shown = config["backends"].to_string();
    assert!(shown.contains(&origin.address.to_string()), "{shown}");

    weir.apply_file("more.yaml", &secret.replace("name: users", "name: others"));
    let pages = ["/", "/metrics", "/api/config", "/api/findings", "/healthz", "/readyz"];
    let mut said: Vec<_> = pages.map(|page| get(weir.admin, "admin", page).text()).into();
    weir.signal();
    until("it says that it has ended", || weir.stderr().contains("drained"));
    said.extend([weir.stderr(), weir.stdout()]);
    for (place, text) in pages.iter().chain(&["stderr", "stdout"]).zip(&said) {
        for form in [known, "hunter2", "aHVudGVyMi"] {
            assert!(!text.contains(form), "a secret is in {place}: {text}");
        }
    }
    assert!(weir.ended().success());
}

#[test]
fn health_and_readiness() {
    let (origin, gate) = slow_origin();
    let weir = Weir::start(&ingress("slow", "slow.example", origin.address, &[]));
    assert_eq!((get(weir.admin, "a", "/healthz").status, get(weir.admin, "a", "/readyz").status), (200, 200));
    assert_eq!(get(weir.admin, "a", "/api/nothing").status, 404);
    assert_eq!(Client::connect(weir.admin).post("a", "/api/config", b"{}").status, 405);

    // A request in flight is finished after the signal, and nobody is sent here meanwhile.
    let mut slow = open_request(weir.http, "slow.example", "/slow");
    gate.wait_for(1);
    weir.signal();
    until("it is not ready any more", || get(weir.admin, "a", "/readyz").status == 503);
    assert_eq!(get(weir.admin, "a", "/healthz").status, 200);
    gate.open(1);
    let reply = slow.read("GET");
    assert_eq!((reply.status, reply.text().as_str()), (200, "done"));
    assert_eq!(weir.ended().code(), Some(0));
}

#[test]
fn each_request_has_a_line_in_the_access_log() {
    let origin = Origin::echo();
    let limits = [("limit-rph", "1"), ("limit-burst", "2")];
    let manifests = ingress("shop", "shop.example", origin.address, &limits)
        + &ingress(
            "watch",
            "watch.example",
            origin.address,
            &[("limit-rph", "1"), ("limit-burst", "0"), ("limit-mode", "observe")],
        );
    let weir = Weir::start_with(&manifests, &["--access-log", "-"]);
    let mut client = Client::connect(weir.http);
    burst(&mut client, "shop.example", "/a\"b?secret=query", 5);
    burst(&mut client, "watch.example", "/", 2);
    client.get_with("nowhere.example", "/", "X-Request-ID: my-own-id\r\n");
    weir.signal();
    until("it has ended", || weir.stderr().contains("drained"));
    until("all lines are there", || weir.stdout().lines().count() >= 10);
    let lines: Vec<serde_json::Value> = weir
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    // Two of them say where it listens.
    let of = |ingress: &str| lines.iter().filter(|line| line["ingress"] == ingress).collect::<Vec<_>>();
    let (shop, watch) = (of("shop"), of("watch"));
    assert_eq!(
        shop.iter().map(|line| line["status"].as_u64().unwrap()).collect::<Vec<_>>(),
        [200, 200, 200, 429, 429]
    );
    for line in &shop[..3] {
        assert_eq!(line["upstream"], origin.address.to_string());
        assert_eq!((&line["upstream_status"], &line["upstream_tries"]), (&200.into(), &1.into()));
        assert!(line.get("rule").is_none() && line.get("reason").is_none(), "{line}");
    }
    for line in &shop[3..] {
        assert_eq!(
            (&line["rule"], &line["reason"], &line["mode"]),
            (&"limit-rph".into(), &"rate".into(), &"enforce".into())
        );
        assert!(line.get("upstream").is_none(), "{line}");
    }
    for line in &shop {
        assert_eq!((&line["client"], &line["path"]), (&"127.0.0.1".into(), &"/a\"b".into()), "{line}");
        assert_eq!((&line["host"], &line["service"]), (&"shop.example".into(), &"shop:80".into()));
        assert!(line["bytes_in"].as_u64().unwrap() > 0 && line["bytes_out"].as_u64().unwrap() > 0, "{line}");
    }
    assert_eq!((&watch[1]["status"], &watch[1]["mode"]), (&200.into(), &"observe".into()), "{}", watch[1]);
    let nowhere = lines.iter().find(|line| line["reason"] == "no-route").unwrap();
    assert_eq!((&nowhere["status"], &nowhere["request_id"]), (&404.into(), &"my-own-id".into()), "{nowhere}");
    let ids: BTreeSet<_> = lines.iter().filter_map(|line| line["request_id"].as_str()).collect();
    assert_eq!(ids.len(), 8, "every request has an id of its own");
}

#[test]
fn a_flood_writes_no_more_than_its_ration_and_says_so() {
    let origin = Origin::echo();
    let limits = [("limit-rph", "1"), ("limit-burst", "4")];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let path = file.to_str().unwrap();
    let manifests = ingress("shop", "shop.example", origin.address, &limits);
    let flags = ["--access-log", path, "--access-log-refusals-per-second", "5", "--workers", "2"];
    let weir = Weir::start_with(&manifests, &flags);
    let began = Instant::now();
    let mut asked = 0;
    let mut connections = 0;
    // Long enough for some seconds to pass.
    while began.elapsed() < Duration::from_millis(2500) {
        let mut client = Client::connect(weir.http);
        burst(&mut client, "shop.example", "/", 100);
        client.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
        let _ = client.until_end();
        asked += 100;
        connections += 1;
    }
    let withheld = weir.metric(r#"weir_access_log_lines_total{result="withheld"}"#).unwrap();
    weir.signal();
    until("it has ended", || weir.stderr().contains("drained"));
    assert!(weir.ended().success());
    let seconds = began.elapsed().as_secs() + 2;
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |key: &str, value: &str| lines.iter().filter(|line| line[key] == value).collect::<Vec<_>>();
    let told = |reason: &str| {
        let told = lines.iter().filter(|line| line["reason"] == reason && line.get("withheld").is_some());
        told.map(|line| line["lines"].as_u64().unwrap()).sum::<u64>()
    };
    assert!(asked > 500, "{asked} is no flood");
    for (status, reason, count) in [(429, "rate", asked - 5), (400, "malformed-request", connections)] {
        let written = of("reason", reason).into_iter().filter(|line| line["status"] == status).count() as u64;
        assert!(written >= 5 && written <= 5 * seconds, "{reason}: {written} lines in {seconds} s");
        assert_eq!(written + told(reason), count, "{reason}: all that was left out is told");
    }
    assert_eq!(withheld as u64, told("rate") + told("malformed-request"));
    // What was served has its lines, and nothing else is there: some lines a second.
    assert_eq!(lines.iter().filter(|line| line["status"] == 200).count(), 5);
    assert!(lines.len() as u64 <= 5 + 2 * 6 * seconds, "{} lines in {seconds} s", lines.len());
}

#[test]
fn the_configmap_says_which_requests_have_no_line() {
    let origin = Origin::echo();
    let manifests = ingress("shop", "shop.example", origin.address, &[("allow-paths", "/healthz,/cart")]);
    let with = |keys: &[(&str, &str)]| format!("{manifests}{}", settings(keys));
    let flags: Vec<&str> = WITH_SETTINGS.into_iter().chain(["--access-log", "-"]).collect();
    let weir = Weir::start_with(&with(&[("skip-access-log-urls", "/healthz,/admin")]), &flags);
    let ask = |path: &str| get(weir.http, "shop.example", path).status;
    assert_eq!((ask("/healthz?deep=1"), ask("/cart"), ask("/admin")), (200, 200, 404));
    let has = |path: &str| weir.stdout().contains(&format!("\"path\":\"{path}\""));
    until("what was refused has a line", || has("/admin"));
    until("what is not named has a line", || has("/cart"));
    assert!(!has("/healthz"), "{}", weir.stdout());
    weir.apply(&with(&[("disable-access-log", "true")]));
    assert_eq!((ask("/cart/second"), ask("/admin/second")), (200, 404));
    let mut broken = Client::connect(weir.http);
    broken.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    let _ = broken.until_end();
    weir.apply(&with(&[]));
    assert_eq!(ask("/cart/third"), 200);
    until("there is a log again", || has("/cart/third"));
    assert!(!has("/cart/second") && !has("/admin/second") && !weir.stdout().contains("malformed"));
}
