//! A load balancer in between that nobody has told weir of, or that does not say for whom it asks.

use crate::support::{Client, Origin, PATIENCE, WITH_SETTINGS, Weir, get, ingress, ip, settings};
use std::time::Instant;

const SERIES: &str = "weir_balancer_in_between";
const CODE: &str = "balancer-in-between";

fn manifests(origin: &Origin, keys: &[(&str, &str)]) -> String {
    let open = [("client-sockets", "0"), ("client-socket-rate", "0"), ("keep-alive-requests", "1000000000")];
    ingress("web", "", origin.address, &[]) + &settings(&[&open[..], keys].concat())
}

/// Asks until `done`.
fn ask_until(done: impl Fn() -> bool, mut ask: impl FnMut()) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < 3 * PATIENCE);
        (0..20).for_each(|_| ask());
    }
}

#[test]
fn a_balancer_in_between_is_found_and_told_once() {
    let origin = Origin::echo();
    let trusting = |key| [(key, "true"), ("proxy-real-ip-cidr", "127.0.0.2")];
    let weir = Weir::start_with(&manifests(&origin, &trusting("use-forwarded-headers")), &WITH_SETTINGS);
    // Where all is tried out on one machine, nothing is said.
    let plain = Weir::start_with(&manifests(&origin, &[]), &WITH_SETTINGS);
    // Nor where the balancer says for whom it asks.
    let speaking = Weir::start_with(&manifests(&origin, &trusting("enable-real-ip")), &WITH_SETTINGS);
    let mut silent = Client::connect_from(ip(2), weir.http);
    let mut own = Client::connect_from(ip(3), plain.http);
    let mut named = Client::connect_from(ip(2), speaking.http);
    let found = |weir: &Weir| weir.metric(SERIES) == Some(1.0);
    assert!(!found(&weir));
    let mut n = 0;
    ask_until(
        || found(&weir),
        || {
            n += 1;
            assert_eq!(silent.get("a.test", "/").status, 200);
            assert_eq!(own.get("a.test", "/").status, 200);
            let field = format!("X-Forwarded-For: 198.51.100.{}\r\n", n % 250);
            assert_eq!(named.get_with("a.test", "/", &field).status, 200);
        },
    );
    let about = |weir: &Weir| {
        let findings = weir.findings();
        findings.into_iter().filter(|finding| finding["code"] == CODE).collect::<Vec<_>>()
    };
    let [finding] = &about(&weir)[..] else { panic!("{:?}", weir.findings()) };
    assert_eq!((&finding["kind"], &finding["name"]), (&"ConfigMap".into(), &"settings".into()));
    assert_eq!(
        (&finding["severity"], &finding["field"]),
        (&"warning".into(), &"data[proxy-real-ip-cidr]".into())
    );
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("(127.0.0.2):") && message.contains("their requests name nobody"), "{message}");
    assert!(get(weir.admin, "admin", "/").text().contains("127.0.0.2): limits and lists see"));
    for weir in [&plain, &speaking] {
        assert_eq!((weir.metric(SERIES), about(weir).len()), (Some(0.0), 0));
    }
    // A change of something else leaves it.
    weir.apply(
        &(manifests(&origin, &trusting("use-forwarded-headers")) + &ingress("b", "b", origin.address, &[])),
    );
    assert_eq!(about(&weir).len(), 1);
    // Mended, and told once.
    weir.apply(&manifests(&origin, &trusting("enable-real-ip")));
    ask_until(
        || !found(&weir),
        || {
            let _ = silent.get_with("a.test", "/", "X-Forwarded-For: 198.51.100.1\r\n");
        },
    );
    assert_eq!(about(&weir).len(), 0);
    // What was written to the log before may still be on its way through the pipe.
    let told = |what: &str| weir.stderr().matches(what).count();
    weir.until("it is told that all is well", || told("limits no longer count a load balancer") > 0);
    assert_eq!(told("their requests name nobody"), 1, "{}", weir.stderr());
    assert_eq!(told("limits no longer count a load balancer"), 1, "{}", weir.stderr());
    assert!(!plain.stderr().contains(CODE) && !speaking.stderr().contains(CODE));
}

/// Addresses that the PROXY protocol names are those of another balancer, if they are few and private.
#[test]
fn a_balancer_behind_a_balancer_is_found() {
    let origin = Origin::echo();
    let keys = [("use-proxy-protocol", "true"), ("proxy-real-ip-cidr", "127.0.0.2")];
    let weir = Weir::start_with(&manifests(&origin, &keys), &WITH_SETTINGS);
    let mut client = Client::connect_from(ip(2), weir.http);
    client.send("PROXY TCP4 10.1.2.3 198.51.100.1 4711 80\r\n");
    ask_until(|| weir.metric(SERIES) == Some(1.0), || assert_eq!(client.get("a.test", "/").status, 200));
    let findings = weir.findings();
    let finding = findings.iter().find(|finding| finding["code"] == CODE).unwrap();
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("(10.1.2.3):") && message.contains("name them here"), "{message}");
}
