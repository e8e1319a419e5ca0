//! The alert rules and dashboards of `deploy/`, and what can be seen of them without a Prometheus.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folder of everything that is deployed.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// The file of alert rules.
pub fn alerts_file() -> PathBuf {
    deploy().join("prometheus/alerts.yaml")
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All alert rules.
pub fn alerts() -> Vec<Value> {
    let file = yaml(&alerts_file());
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The dashboards, by file name.
pub fn dashboards() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(deploy().join("grafana")).unwrap().map(|entry| entry.unwrap());
    let mut all: Vec<_> = files
        .map(|file| {
            let text = std::fs::read_to_string(file.path()).unwrap();
            (file.file_name().into_string().unwrap(), serde_json::from_str(&text).unwrap())
        })
        .collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// The panels of a dashboard that show something.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// Every query of every dashboard: where it stands, and the expression with its variables as they are chosen at first.
pub fn dashboard_queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (file, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap() {
                let place = format!("{file}: {} {}", panel["title"], target["refId"]);
                queries.push((place, filled_in(target["expr"].as_str().unwrap())));
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let definition = variable["definition"].as_str().unwrap_or_default();
            if let Some(inner) = definition.strip_prefix("label_values(") {
                let (metric, label) = inner.trim_end_matches(')').rsplit_once(", ").unwrap();
                let place = format!("{file}: variable {}", variable["name"]);
                queries.push((place, format!("group by ({label}) ({})", filled_in(metric))));
            }
        }
    }
    queries
}

/// With all that can be chosen, and an interval that suits a test.
fn filled_in(expression: &str) -> String {
    let filled = expression.replace("$__rate_interval", "10s");
    ["$job", "$instance", "$namespace", "$ingress"].iter().fold(filled, |text, name| text.replace(name, ".*"))
}

/// Names of metrics in an expression: what is no word of the language, no label and in no quotes.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    // Every second part stands in quotes.
    let unquoted: String = expression.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let mut names = BTreeSet::new();
    let mut rest = unquoted.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let word = &rest[at..];
        let end =
            word.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(word.len());
        if word[..end].starts_with("weir_")
            || word[..end].starts_with("process_")
            || word[..end].contains(':')
        {
            names.insert(word[..end].to_owned());
        }
        rest = &word[end..];
    }
    names
}

/// Names of metrics that `docs/metrics.md` has, with their labels.
fn documented() -> Vec<(String, Vec<String>, String)> {
    let page = std::fs::read_to_string(deploy().join("../docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows = rows.filter_map(|(name, rest)| {
        let mut cells = rest.split(" | ");
        let (kind, labels) = (cells.next()?.to_owned(), cells.next()?);
        let labels = labels.split(", ").map(|label| label.trim_matches(['`', ' ']).to_owned()).collect();
        Some((name.to_owned(), labels, kind))
    });
    let rows: Vec<_> =
        rows.filter(|(.., kind)| ["counter", "gauge", "histogram"].contains(&kind.as_str())).collect();
    assert!(rows.len() > 40);
    rows
}

fn expressions() -> Vec<(String, String)> {
    let alert = |alert: Value| {
        (alert["alert"].as_str().unwrap().to_owned(), alert["expr"].as_str().unwrap().to_owned())
    };
    alerts().into_iter().map(alert).chain(dashboard_queries()).collect()
}

#[test]
fn queries_name_no_metric_that_the_page_does_not_have() {
    let known: BTreeSet<String> = documented()
        .into_iter()
        .flat_map(|(name, _, kind)| match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
            _ => vec![name],
        })
        .collect();
    for (place, expression) in expressions() {
        let named = metrics_of(&expression);
        assert!(!named.is_empty(), "{place} asks for nothing: {expression}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?}");
    }
    // The reader itself.
    let read =
        metrics_of(r#"sum by (weird) (rate(weir_a_total{x="weir_b"}[5m])) / weir_c_bucket or process_d"#);
    assert_eq!(read.into_iter().collect::<Vec<_>>(), ["process_d", "weir_a_total", "weir_c_bucket"]);
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let shown: BTreeSet<String> =
        dashboard_queries().iter().flat_map(|(_, query)| metrics_of(query)).collect();
    // What is there to be joined with, or for whoever computes something of his own.
    let spare = ["process_start_time_seconds"];
    for (name, _, kind) in documented() {
        let name = if kind == "histogram" { format!("{name}_bucket") } else { name };
        assert!(shown.contains(&name) || spare.contains(&name.as_str()), "{name} is on no dashboard");
    }
}

#[test]
fn dashboards_are_as_grafana_wants_them() {
    let mut ids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        let uid = dashboard["uid"].as_str().unwrap();
        assert_eq!(file, format!("{uid}.json"));
        assert!(ids.insert(uid.to_owned()) && uid.len() <= 40, "{uid}");
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39, "{file}");
        assert!(dashboard.get("id").is_none(), "{file}: the id is the server's to give");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert_eq!(variables[0]["type"], "datasource", "{file}");
        let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        let mut panel_ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(panel_ids.insert(panel["id"].as_u64().unwrap()), "{file}: {panel}");
            let place = &panel["gridPos"];
            assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{file}: {panel}");
            assert!(!panel["title"].as_str().unwrap().is_empty());
        }
        for panel in panels(&dashboard) {
            assert!(
                !panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(),
                "{file}: {panel}"
            );
            let mut refs = BTreeSet::new();
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{file}: {panel}");
                assert!(refs.insert(target["refId"].as_str().unwrap()), "{file}: {panel}");
                for variable in target["expr"].as_str().unwrap().split('$').skip(1) {
                    let end = variable.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                    let name = &variable[..end.unwrap_or(variable.len())];
                    assert!(name == "__rate_interval" || names.contains(&name), "{file}: ${name}");
                }
            }
        }
        // Dashboards go to everybody: they know no machine of ours.
        let text = dashboard.to_string();
        assert!(!text.contains("://") && !text.contains("localhost") && !text.contains(":9090"), "{file}");
    }
    assert_eq!(ids.len(), 4);
}

/// What each alert means stands in the page, and the page tells of no alert that is not there.
#[test]
fn every_alert_is_explained_and_tested() {
    let page = std::fs::read_to_string(deploy().join("../docs/operations.md")).unwrap();
    let told: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|name| name.starts_with("Weir"))
        .collect();
    let names: Vec<String> =
        alerts().iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, names, "in the order of the rules");
    let tests = yaml(&deploy().join("prometheus/alerts-test.yaml"));
    let cases: Vec<&Value> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().unwrap())
        .collect();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let of = cases.iter().filter(|case| case["alertname"] == name);
        let fires: Vec<bool> = of.map(|case| !case["exp_alerts"].as_array().unwrap().is_empty()).collect();
        assert!(fires.contains(&true) && fires.contains(&false), "{name} is not tested both ways: {fires:?}");
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}");
        assert!(alert["annotations"]["summary"].is_string(), "{name}");
        let runbook = format!("docs/operations.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook"], runbook, "{name}");
    }
}
