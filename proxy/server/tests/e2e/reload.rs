//! Changes of the manifests, and mistakes in them.

use crate::limits::{open_request, slow_origin};
use crate::support::{Client, Origin, Weir, burst, count, get, ingress, until};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn finding<'a>(findings: &'a [serde_json::Value], name: &str, field: &str) -> Option<&'a serde_json::Value> {
    findings.iter().find(|finding| finding["name"] == name && finding["field"].as_str() == Some(field))
}

#[test]
fn edits_under_load_lose_no_request_and_a_slow_one_is_finished() {
    let (origin, gate) = slow_origin();
    let manifests = |rps: usize| {
        let limit = [("nginx.ingress.kubernetes.io/limit-rps", rps.to_string())];
        let limit: Vec<_> = limit.iter().map(|(key, value)| (*key, value.as_str())).collect();
        ingress("load", "load.example", origin.address, &limit)
            + &ingress("slow", "slow.example", origin.address, &[])
    };
    let weir = Weir::start(&manifests(50));
    let mut slow = open_request(weir.http, "slow.example", "/slow");
    gate.wait_for(1);
    let stop = AtomicBool::new(false);
    let statuses = std::thread::scope(|scope| {
        let hammer = scope.spawn(|| {
            let mut kept = Client::connect(weir.http);
            let mut statuses = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                statuses.push(kept.get("load.example", "/").status);
                statuses.push(get(weir.http, "load.example", "/").status);
            }
            statuses
        });
        for n in 1..=20 {
            weir.apply(&manifests(50 + n));
        }
        stop.store(true, Ordering::Relaxed);
        hammer.join().unwrap()
    });
    let of = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!(of(200) + of(429), statuses.len(), "{statuses:?}");
    assert!(of(200) > 20 && of(429) > 20, "{} passed, {} refused", of(200), of(429));
    gate.open(1);
    let reply = slow.read("GET");
    assert_eq!((reply.status, reply.text().as_str()), (200, "done"));
    assert!(weir.generation() >= 21);
}

#[test]
fn counters_outlive_edits() {
    let origin = Origin::echo();
    let spent = |rph: &str| ingress("spent", "spent.example", origin.address, &[("limit-rph", rph)]);
    let other = |host| ingress("other", host, origin.address, &[]);
    let weir = Weir::start(&(spent("2") + &other("one.example")));
    let mut client = Client::connect(weir.http);
    assert_eq!(count(&burst(&mut client, "spent.example", "/", 20).0, 200), 11);
    // Somebody else's edit, an edit of the number, and one of the path that is served.
    weir.apply(&(spent("2") + &other("two.example")));
    assert_eq!(client.get("two.example", "/").status, 200);
    assert_eq!(client.get("spent.example", "/").status, 429);
    weir.apply(&(spent("3") + &other("two.example")));
    assert_eq!(client.get("spent.example", "/").status, 429, "an edited number lets nobody in again");
    weir.apply(&spent("3").replace("pathType: Prefix", "pathType: ImplementationSpecific"));
    assert_eq!(client.get("spent.example", "/").status, 429);
    assert_eq!(client.get("two.example", "/").status, 404, "what was taken out is gone");
}

#[test]
fn a_file_that_does_not_parse_keeps_what_it_said_and_is_named() {
    let origin = Origin::echo();
    let good = ingress("good", "good.example", origin.address, &[("limit-rph", "2")]);
    let neighbour = ingress("near", "near.example", origin.address, &[]);
    let weir = Weir::start_in(&[("good.yaml", &good), ("near.yaml", &neighbour)], &[]);
    let mut client = Client::connect(weir.http);
    assert_eq!(count(&burst(&mut client, "good.example", "/", 20).0, 200), 11);

    let broken = "kind: Service\napiVersion: v1\nmetadata: {name: x}\n---\nkind: Ingress\nmetadata:\n  name: [unclosed\n";
    weir.apply_file("good.yaml", broken);
    assert_eq!(
        client.get("good.example", "/").status,
        429,
        "the last good version is in force, counters included"
    );
    assert_eq!(client.get("near.example", "/").status, 200);
    let findings = weir.findings();
    let told = findings.iter().find(|finding| finding["code"] == "unreadable-manifest").unwrap();
    assert_eq!((&told["kind"], &told["name"]), (&"File".into(), &"good.yaml".into()), "{told}");
    let place = told["field"].as_str().unwrap();
    assert!(place.starts_with("document 2, line "), "{place}");
    let line: u32 = place.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((5..=8).contains(&line), "{place}");
    assert!(findings.iter().any(|finding| finding["code"] == "last-good"), "{findings:?}");
    // It is in the log too, and the metric counts it.
    until("the log tells it", || weir.stderr().contains("good.yaml"));
    assert!(weir.metric(r#"weir_config_findings{severity="error"}"#) >= Some(1.0));

    weir.apply_file("good.yaml", &good.replace("good.example", "mended.example"));
    assert_eq!(client.get("good.example", "/").status, 404);
    assert_eq!(client.get("mended.example", "/").status, 429, "still the same object");
    assert!(weir.findings().is_empty(), "{:?}", weir.findings());
}

#[test]
fn new_objects_appear_within_a_second_and_removed_ones_go() {
    let origin = Origin::echo();
    let weir = Weir::start(&ingress("first", "first.example", origin.address, &[]));
    std::fs::create_dir(weir.folder().join("team")).unwrap();
    for round in 0..3 {
        let host = format!("new{round}.example");
        assert_eq!(get(weir.http, &host, "/").status, 404);
        let object = ingress(&format!("new{round}"), &host, origin.address, &[]);
        let before = weir.generation();
        std::fs::write(weir.folder().join(format!("team/new{round}.yml")), object).unwrap();
        let written = Instant::now();
        until("the new object is served", || get(weir.http, &host, "/").status == 200);
        let took = written.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
        // It is served a moment before it is counted, and the next change is waited for by its number.
        until("the change is counted", || weir.generation() > before);
    }
    weir.remove_file("team/new1.yml");
    let status = |host| get(weir.http, host, "/").status;
    assert_eq!(
        ["new0.example", "new1.example", "new2.example", "first.example"].map(status),
        [200, 404, 200, 200]
    );
}

#[test]
fn of_an_object_in_two_files_the_first_is_in_force_and_the_other_is_reported() {
    let origin = Origin::echo();
    let twice = |host| ingress("twice", host, origin.address, &[]);
    let only = |text: &str| text.split("---\n").next().unwrap().to_owned();
    let (first, second) = (twice("first.example"), only(&twice("second.example")));
    let weir = Weir::start_in(&[("b.yaml", &second), ("a.yaml", &first)], &[]);
    let status = |host| get(weir.http, host, "/").status;
    assert_eq!(["first.example", "second.example"].map(status), [200, 404]);
    let findings = weir.findings();
    let told = findings.iter().find(|finding| finding["code"] == "duplicate-object").unwrap();
    assert_eq!((&told["kind"], &told["name"]), (&"Ingress".into(), &"twice".into()));
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("a.yaml") && message.contains("b.yaml"), "{message}");
    // The first goes with its Service, so the second needs one of its own.
    weir.apply_file("a.yaml", first.split_once("---\n").unwrap().1);
    assert_eq!(["first.example", "second.example"].map(status), [404, 200]);
}

#[test]
fn nonsense_closes_its_object_and_leaves_the_neighbour_alone() {
    let origin = Origin::echo();
    let nginx = "nginx.ingress.kubernetes.io";
    for (annotation, value) in [
        (format!("{nginx}/limit-rps"), "ten"),
        (format!("{nginx}/limit-connections"), "8 clients"),
        ("weir.dev/limit-window".to_owned(), "5 per minute"),
        (format!("{nginx}/whitelist-source-range"), "10.0.0.0/40"),
        ("weir.dev/allow-paths".to_owned(), "api"),
        ("weir.dev/limit-overrides".to_owned(), "{path: /x"),
    ] {
        let broken = [(annotation.as_str(), value), ("weir.dev/limit-headers", "loud")];
        let manifests = ingress("broken", "broken.example", origin.address, &broken)
            + &ingress("sound", "sound.example", origin.address, &[("limit-rph", "5")]);
        let weir = Weir::start(&manifests);
        assert_eq!(
            get(weir.http, "broken.example", "/api/x").status,
            503,
            "{annotation} = {value} opened the gate"
        );
        let replies = burst(&mut Client::connect(weir.http), "sound.example", "/", 40).0;
        assert_eq!((count(&replies, 200), count(&replies, 429)), (26, 14), "{annotation}");
        let findings = weir.findings();
        // All mistakes of the object at once.
        for (annotation, value) in [(annotation.as_str(), value), ("weir.dev/limit-headers", "loud")] {
            let told = finding(&findings, "broken", &format!("metadata.annotations[{annotation}]"));
            let told = told.unwrap_or_else(|| panic!("{annotation} is not in {findings:?}"));
            assert_eq!((&told["kind"], &told["namespace"]), (&"Ingress".into(), &"default".into()));
            assert_eq!(told["value"], value);
            assert!(told["message"].as_str().unwrap().contains("xpected"), "{told}");
        }
        assert!(findings.iter().all(|finding| finding["name"] == "broken"), "{findings:?}");
    }
    assert!(origin.seen().iter().all(|request| request.header("host") == Some("sound.example")));
}

#[test]
fn nonsense_with_a_class_default_gets_the_default() {
    use crate::support::{WITH_SETTINGS, settings};
    let origin = Origin::echo();
    let manifests = ingress("broken", "broken.example", origin.address, &[("limit-rph", "many")])
        + &settings(&[("limit-rph", "2")]);
    let weir = Weir::start_with(&manifests, &WITH_SETTINGS);
    let replies = burst(&mut Client::connect(weir.http), "broken.example", "/", 30).0;
    assert_eq!((count(&replies, 200), count(&replies, 429)), (11, 19));
}

#[test]
fn an_edit_to_nonsense_closes_what_was_open_and_mending_it_opens_it() {
    let origin = Origin::echo();
    let object = |rph| ingress("edit", "edit.example", origin.address, &[("limit-rph", rph)]);
    let weir = Weir::start(&object("20"));
    assert_eq!(get(weir.http, "edit.example", "/").status, 200);
    weir.apply(&object("20x"));
    assert_eq!(get(weir.http, "edit.example", "/").status, 503);
    weir.apply(&object("20"));
    assert_eq!(get(weir.http, "edit.example", "/").status, 200);
}
