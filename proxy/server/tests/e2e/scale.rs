//! Ten thousand objects.

use crate::support::{Client, Origin, Weir, burst, count, ingress};
use std::time::{Duration, Instant};

#[test]
fn ten_thousand_ingresses_are_served_and_changed() {
    let (even, odd) = (
        Origin::start(|_| crate::support::Reaction::ok("even")),
        Origin::start(|_| crate::support::Reaction::ok("odd")),
    );
    let object = |n: usize, rph: &str| {
        let origin = if n.is_multiple_of(2) { even.address } else { odd.address };
        ingress(&format!("app-{n}"), &format!("app-{n}.example"), origin, &[("limit-rph", rph)])
    };
    let files: Vec<(String, String)> = (0..100)
        .map(|file| {
            let objects: String = (0..100).map(|n| object(file * 100 + n, "2")).collect();
            (format!("team-{file}.yaml"), objects)
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let began = Instant::now();
    let weir = Weir::start_in(&files, &[]);
    let started = began.elapsed();
    assert!(started < Duration::from_secs(60), "{started:?}");
    assert_eq!(weir.metric("weir_config_objects"), Some(10_000.0));
    assert!(weir.findings().is_empty());

    let mut client = Client::connect(weir.http);
    for n in (0..10_000).step_by(331).chain([9_999]) {
        let reply = client.get(&format!("app-{n}.example"), "/");
        assert_eq!(reply.text(), ["even", "odd"][n % 2], "app-{n}");
    }
    assert_eq!(client.get("app-10000.example", "/").status, 404);
    assert_eq!(count(&burst(&mut client, "app-77.example", "/", 20).0, 200), 11);

    // An edit of one file of a hundred, while the others stay.
    let edit = Instant::now();
    weir.apply_file("team-3.yaml", &(300..399).map(|n| object(n, "2")).collect::<String>());
    let changed = edit.elapsed();
    assert_eq!(client.get("app-399.example", "/").status, 404);
    assert_eq!(client.get("app-77.example", "/").status, 429, "its counters are kept");
    eprintln!(
        "10,000 objects: started in {started:?}, an edit took {changed:?}, {} MiB resident",
        weir.resident() >> 20
    );
}
