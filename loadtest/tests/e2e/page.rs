//! The page in a real browser, and the XML.

use crate::support::{against, steady};
use std::path::PathBuf;
use std::process::Command;
use weir_loadtest::origin::Origin;
use weir_loadtest::report::{Report, junit, page};
use weir_loadtest::scenario::OriginBehaviour;
use weir_loadtest::watch::Sample;

fn report() -> Report {
    let origin = Origin::start(OriginBehaviour::default()).unwrap();
    let expect =
        "{kind: admitted, class: a, within: 1%}, {kind: status, class: a, status: 404, at-least: 1%}";
    let mut report = against(steady(expect, ""), format!("http://{}", origin.address));
    // As long as a name may be.
    report.classes[0].name = "a-class-whose-name-has-forty-letters-yes".to_owned();
    report.scenario = "<b>steady</b> & \"quoted\"".to_owned();
    let sample = |at: f64| Sample { at, resident: 50 << 20, cpu: at / 2.0 };
    report.process = vec![sample(0.5), sample(1.0), sample(1.5)];
    report
}

#[test]
fn junit_has_a_case_for_each_expectation_and_one_for_the_generator() {
    let xml = junit(&[report()]);
    assert_eq!(xml.matches("<testcase ").count(), 3, "{xml}");
    assert_eq!(xml.matches("<failure ").count(), 1, "{xml}");
    assert!(xml.contains("tests=\"3\" failures=\"1\""), "{xml}");
    assert!(xml.contains("&lt;b&gt;steady&lt;/b&gt; &amp; &quot;quoted&quot;"), "{xml}");
}

/// Chromium says what it has drawn: every chart has a size, and every line goes where its numbers say.
#[test]
fn a_browser_draws_every_chart_of_the_page_and_fetches_nothing() {
    let html = page(&[report()]);
    for outside in ["http://", "https://", "src=", "href=", "url(", "<script", "@import", "<b>steady"] {
        let ours = html.replace(&report_target(&html), "");
        assert!(!ours.contains(outside), "the page has {outside:?}");
    }
    let Some(chromium) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    std::fs::write(&path, html + PROBE).unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let drawn = dom.split("id=\"drawn\">").nth(1).and_then(|rest| rest.split('<').next());
    let drawn =
        drawn.unwrap_or_else(|| panic!("no answer: {dom} {}", String::from_utf8_lossy(&output.stderr)));
    // Requests with a prediction, latency, percentiles, memory, processor time.
    let expected = "5 charts; admitted,refused,failed,admitted as predicted,refused as predicted,p50,p99,p99.9,\
        a-class-whose-name-has-forty-letters-yes,resident,cpu; \
        none empty; none outside; none overlap";
    assert_eq!(drawn, expected);
}

/// The target is shown as text, and is the only thing on the page that looks like an address.
fn report_target(html: &str) -> String {
    let rest = html.split("Target: ").nth(1).unwrap();
    rest.split(". Seed").next().unwrap().to_owned()
}

fn chromium() -> Option<PathBuf> {
    let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        names.iter().find_map(|name| folders.iter().map(|f| f.join(name)).find(|path| path.is_file()));
    if found.is_none() {
        assert!(std::env::var_os("WEIR_TEST_PEERS").is_none(), "Chromium is required and not installed");
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: Chromium is not installed, so nobody has looked at the page\n"),
        );
    }
    found
}

const PROBE: &str = r#"<p id="drawn"></p><script>
const charts = [...document.querySelectorAll("svg.chart")];
const lines = charts.flatMap(chart => [...chart.querySelectorAll("path.line")]);
const empty = lines.filter(line => line.getTotalLength() < 1).map(line => line.dataset.name);
const outside = charts.filter(chart => {
    const box = chart.getBoundingClientRect();
    return box.width < 300 || box.height < 80 || [...chart.querySelectorAll("path, text")].some(part => {
        const inner = part.getBoundingClientRect();
        return inner.left < box.left - 1 || inner.right > box.right + 1 || inner.bottom > box.bottom + 1
            || inner.top < box.top - 1;
    });
}).map(chart => chart.getAttribute("aria-label"));
// Texts of a chart that lie over each other.
const overlaps = charts.flatMap(chart => {
    const texts = [...chart.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
    return texts.flatMap(([name, a], at) => texts.slice(at + 1).filter(([, b]) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3
    ).map(([other]) => name + " and " + other));
});
document.getElementById("drawn").textContent = charts.length + " charts; "
    + lines.map(line => line.dataset.name).join(",") + "; " + (empty.join(" ") || "none") + " empty; "
    + (outside.join(", ") || "none") + " outside; " + (overlaps.join(", ") || "none") + " overlap";
</script>"#;
