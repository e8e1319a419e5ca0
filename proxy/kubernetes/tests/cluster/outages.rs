//! An API server that goes wrong.

use crate::support::{Follower, ingress, put_all, put_endpoints, put_ingress, server, until};
use serde_json::json;
use std::time::{Duration, Instant};
use weir_apiserver::{Cluster as _, Disturbance, Failure, History, Matching, Pace, Verb};
use weir_kubernetes::objects::Kind;

/// What happens to the watches, and whether it happens to what is listed again too.
#[track_caller]
fn survives(disturb: impl FnOnce(&mut weir_apiserver::ApiServer)) {
    let mut server = server();
    put_all(&server, "shop", "stays", &["192.0.2.1"]);
    put_all(&server, "shop", "goes", &["192.0.2.2"]);
    let follower = Follower::start(&server);
    follower.until_hosts(&["goes.example", "stays.example"]);
    disturb(&mut server);
    // What went and came meanwhile and after is known.
    server.delete("ingresses", "shop", "goes").unwrap();
    put_ingress(&server, "shop", "new", &json!({}));
    follower.until_hosts(&["new.example", "stays.example"]);
    until("all is well again", || follower.cluster.health().age(Instant::now()) == Duration::ZERO);
}

#[test]
fn watches_that_end_break_hang_or_talk_nonsense_are_begun_again() {
    for disturbance in [
        Disturbance::End,
        Disturbance::Reset,
        Disturbance::Garbage,
        Disturbance::CutOff,
        Disturbance::Error(410),
        Disturbance::Error(500),
        Disturbance::Hang,
    ] {
        survives(|server| {
            server.faults().disturb(Matching::all(), disturbance);
        });
    }
}

#[test]
fn a_version_that_the_server_has_forgotten_means_listing_again() {
    survives(|server| {
        put_ingress(server, "shop", "stays", &json!({"a": "b"}));
        server.faults().compact();
        server.faults().disturb(Matching::all(), Disturbance::Reset);
    });
}

#[test]
fn a_server_that_was_away_is_heard_again() {
    for history in [History::Keep, History::Lose] {
        survives(|server| server.restart_with(history).unwrap());
    }
}

#[test]
fn answers_that_fail_or_hang_are_asked_for_again() {
    survives(|server| {
        for failure in [Failure::Answer(500, None), Failure::Answer(503, None), Failure::Reset] {
            server.faults().fail_next(3, Matching::all().verb(Verb::Watch), failure);
            server.faults().fail_next(3, Matching::all().verb(Verb::List), failure);
        }
        server.faults().compact();
        server.faults().disturb(Matching::all(), Disturbance::Reset);
    });
}

/// One namespace, with an Ingress that is ours only because of the class that an IngressClass makes ours.
fn with_a_class_of_another_name() -> weir_apiserver::ApiServer {
    let server = server();
    server
        .put_value(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "second"},
            "spec": {"controller": "weir.dev/ingress-controller"},
        }))
        .unwrap();
    let mut object = ingress("shop", "a", &json!({}));
    object["spec"]["ingressClassName"] = json!("second");
    server.put_value(object).unwrap();
    server
}

fn in_one_namespace(settings: &mut weir_kubernetes::cluster::Settings) {
    settings.options.watch_namespace = Some("shop".to_owned());
    settings.options.class_by_name = weir_kubernetes::translate::ClassByName::WithoutClassObjects;
}

/// An API server that has just started denies everything until it has read the roles.
#[test]
fn classes_that_were_seen_are_not_gone_because_they_may_not_be_seen_for_a_moment() {
    let server = with_a_class_of_another_name();
    let follower = Follower::start_with(&server, in_one_namespace);
    follower.until_hosts(&["a.example"]);
    let classes = Matching::all().resource("ingressclasses");
    server.faults().fail_next(1_000_000, classes.clone().verb(Verb::List), Failure::Answer(403, None));
    put_all(&server, "shop", "b", &["192.0.2.1"]);
    follower.until_hosts(&["a.example", "b.example"]);
    server.faults().compact();
    server.faults().disturb(classes, Disturbance::Error(410));
    until("it was denied again and again", || {
        let failures = follower.cluster.health().failures();
        failures.iter().any(|(kind, count)| *kind == Kind::IngressClass && *count >= 3)
    });
    assert!(follower.is_silent(), "nothing is taken back");
    server.faults().clear();
    until("all is well again", || follower.cluster.health().age(Instant::now()) == Duration::ZERO);
    assert!(follower.is_silent());
}

#[test]
fn classes_that_may_soon_be_seen_are_asked_for_again_soon() {
    let server = with_a_class_of_another_name();
    let classes = Matching::all().verb(Verb::List).resource("ingressclasses");
    server.faults().fail_next(3, classes, Failure::Answer(403, None));
    let follower = Follower::start_with(&server, |settings| {
        in_one_namespace(settings);
        settings.timing.watch = Duration::from_secs(3600);
    });
    follower.until_hosts(&["a.example"]);
}

#[test]
fn slow_streams_are_heard_to_their_end() {
    survives(|server| {
        server.faults().slow(Some(Pace { bytes: 64, every: Duration::from_millis(1) }));
    });
}

#[test]
fn what_is_known_stays_in_force_while_nobody_answers_and_its_age_is_told() {
    let mut server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let follower = Follower::start(&server);
    follower.until_hosts(&["a.example"]);
    let health = follower.cluster.health().clone();
    server.pause();
    let tried = |times| move |(_, count): &(_, u64)| *count >= times;
    until("every watch was tried again", || {
        let failures = health.failures();
        failures.len() == 5 && failures.iter().all(tried(3))
    });
    assert!(health.age(Instant::now()) > Duration::ZERO);
    assert!(follower.is_silent(), "nothing is taken back");
    put_endpoints(&server, "shop", "a", &["192.0.2.5"]);
    server.resume().unwrap();
    follower.endpoints();
    until("it is over", || health.age(Instant::now()) == Duration::ZERO);
}

#[test]
fn a_server_that_comes_after_us_is_waited_for() {
    let mut server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    server.pause();
    let follower = Follower::start(&server);
    until("it was tried", || !follower.cluster.health().failures().is_empty());
    server.resume().unwrap();
    follower.until_hosts(&["a.example"]);
}

#[test]
fn half_a_list_is_none() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let services = Matching::all().verb(Verb::List).resource("services");
    server.faults().fail_next(1_000_000, services, Failure::Answer(500, None));
    let follower = Follower::start(&server);
    until("it was tried again", || follower.cluster.health().failures().iter().any(|(_, count)| *count >= 3));
    assert!(follower.is_silent(), "without Services nothing can be served");
    server.faults().clear();
    follower.until_hosts(&["a.example"]);
}

#[test]
fn a_server_that_ends_every_watch_at_once_is_not_asked_without_pause() {
    let server = server();
    put_all(&server, "shop", "a", &["192.0.2.1"]);
    let follower = Follower::start(&server);
    follower.until_hosts(&["a.example"]);
    let began = Instant::now();
    let before = server.requests().len();
    while began.elapsed() < Duration::from_millis(500) {
        server.faults().disturb(Matching::all(), Disturbance::End);
        std::thread::yield_now();
    }
    // Five watches, and pauses that grow to 25 ms at least.
    let asked = server.requests().len() - before;
    assert!(asked < 5 * 60, "{asked} requests");
}
