//! The harness is run against an origin that lies, and must notice each lie.

use crate::support::{against, failed, steady};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use weir_loadtest::expect::Result;
use weir_loadtest::origin::Origin;
use weir_loadtest::report::Report;
use weir_loadtest::scenario::value::{Share, Span};
use weir_loadtest::scenario::{Arrivals, Fault, OriginBehaviour, parse};

const EXPECT: &str = "{kind: admitted, class: a, within: 1%}, {kind: errors, class: a}, \
    {kind: latency, class: a, percentile: 99, at-most: 500ms}, {kind: status, class: a, status: 200, at-least: 99%}";

fn lie(fault: Fault, faulty: f64) -> Report {
    let behaviour = OriginBehaviour { fault, faulty: Some(Share(faulty)), ..OriginBehaviour::default() };
    let origin = Origin::start(behaviour).unwrap();
    against(steady(EXPECT, ""), format!("http://{}", origin.address))
}

#[test]
fn an_honest_origin_passes() {
    let report = lie(Fault::None, 0.0);
    assert_eq!((failed(&report), report.invalid), (vec![], None));
    assert_eq!((report.result, report.classes[0].done), (Result::Passed, 80));
}

/// The first moment of a plan is a moment like others: what is planned for it is not sent before, or it would have no
/// latency at all.
#[test]
fn nothing_is_sent_before_the_plan_begins() {
    let behaviour =
        OriginBehaviour { delay: Some(Span(Duration::from_millis(20))), ..OriginBehaviour::default() };
    let origin = Origin::start(behaviour).unwrap();
    let mut scenario = steady(EXPECT, "");
    scenario.classes[0].arrivals = Some(Arrivals::Burst { size: 50, every: Span(Duration::from_secs(5)) });
    let report = against(scenario, format!("http://{}", origin.address));
    let (_, least) = report.classes[0].distribution[0];
    assert!(least >= 19.0, "{least} ms");
}

#[test]
fn an_origin_that_drops_requests_is_noticed() {
    let report = lie(Fault::Drop, 0.1);
    let failed = failed(&report);
    assert!(failed.iter().any(|line| line.contains("8 errors 8 Timeout")), "{failed:?}");
    assert!(failed.iter().any(|line| line.contains("wire and oracle part in second 0")), "{failed:?}");
}

#[test]
fn an_origin_that_delays_is_noticed_and_nothing_hides_behind_it() {
    let behaviour =
        OriginBehaviour { fault: Fault::Delay, faulty: Some(Share(0.05)), ..OriginBehaviour::default() };
    let origin = Origin::start(behaviour).unwrap();
    let scenario = steady(EXPECT, "").generator;
    let mut slow = steady(EXPECT, "");
    slow.generator = weir_loadtest::scenario::Generator { timeout: Span(Duration::from_secs(5)), ..scenario };
    // One connection for all: whoever waits behind a slow answer has waited since its planned moment.
    slow.generator.connections = 1;
    let report = against(slow, format!("http://{}", origin.address));
    let failed = failed(&report);
    assert!(failed.iter().any(|line| line.contains("p99 at most 500ms")), "{failed:?}");
    // A closed loop would have seen 4 slow answers of 80, and a median of nothing.
    assert!(report.classes[0].latency.unwrap().p50 > 500.0, "{:?}", report.classes[0].latency);
    assert_eq!((report.classes[0].done, report.classes[0].failed), (80, 0));
}

#[test]
fn an_origin_that_answers_with_wrong_statuses_is_noticed() {
    let failed = failed(&lie(Fault::Status, 0.1));
    assert!(failed.iter().any(|line| line.contains("8 errors 8 of status 500")), "{failed:?}");
    assert!(failed.iter().any(|line| line.contains("status 200") && line.contains("90%")), "{failed:?}");
}

#[test]
fn an_origin_that_cuts_answers_short_is_noticed() {
    let failed = failed(&lie(Fault::EarlyClose, 0.1));
    assert!(failed.iter().any(|line| line.contains("8 errors 8 EarlyClose")), "{failed:?}");
}

#[test]
fn an_origin_that_closes_without_a_word_is_noticed() {
    // On a connection that was idle a request is sent once more: the rest is the origin's doing.
    let report = lie(Fault::Refuse, 1.0);
    let failed = failed(&report);
    assert!(failed.iter().any(|line| line.contains("80 errors 80 Closed")), "{failed:?}");
}

#[test]
fn an_answer_that_never_ends_is_noticed() {
    let failed = failed(&lie(Fault::Stall, 0.1));
    assert!(failed.iter().any(|line| line.contains("8 errors 8 Timeout")), "{failed:?}");
}

#[test]
fn a_reset_within_an_answer_is_noticed() {
    let failed = failed(&lie(Fault::Reset, 0.1));
    assert!(failed.iter().any(|line| line.contains("8 errors 8 Reset")), "{failed:?}");
}

#[test]
fn what_is_no_answer_is_noticed() {
    let failed = failed(&lie(Fault::Malformed, 0.1));
    assert!(failed.iter().any(|line| line.contains("8 errors 8 Malformed")), "{failed:?}");
}

#[test]
fn two_answers_to_one_request_are_noticed_and_none_is_taken_for_the_next_one() {
    let report = lie(Fault::Duplicate, 0.1);
    let failed = failed(&report);
    assert!(failed.iter().any(|line| line.contains("8 errors 8 that nobody had asked for")), "{failed:?}");
    assert_eq!((report.classes[0].statuses[&200], report.classes[0].unasked), (80, 8));
}

/// The second answer comes while its connection is idle: when somebody else asks, half a second later.
#[test]
fn an_answer_that_comes_late_and_unasked_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let origin = std::thread::spawn(move || {
        let accept = || {
            let (mut socket, _) = listener.accept().unwrap();
            assert!(socket.read(&mut [0; 4096]).unwrap() > 0);
            socket
        };
        let answer = |socket: &mut TcpStream| {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        };
        let mut first = accept();
        answer(&mut first);
        let mut other = accept();
        answer(&mut first);
        answer(&mut other);
        // The connection is given up, and the next request comes on another.
        assert_eq!(first.read(&mut [0; 4096]).unwrap(), 0);
        answer(&mut accept());
    });
    let text = "
name: unasked
classes: [{name: a}, {name: b}]
phases:
  - {name: first, duration: 500ms, arrivals: {a: {kind: constant, rate: 2}}}
  - {name: other, duration: 500ms, arrivals: {b: {kind: constant, rate: 2}}}
  - {name: again, duration: 500ms, arrivals: {a: {kind: constant, rate: 2}}}
expect: [{kind: errors, class: a}]
";
    let report = against(parse(text).unwrap(), url);
    origin.join().unwrap();
    let [a, b] = &report.classes[..] else { panic!("two classes") };
    assert_eq!((a.statuses[&200], a.unasked, b.statuses[&200], b.unasked), (2, 1, 1, 0));
    assert!(failed(&report)[0].contains("1 errors 1 that nobody had asked for"));
}

#[test]
fn a_target_that_is_not_there_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let report = against(steady(EXPECT, ""), format!("http://{address}"));
    let failed = failed(&report);
    assert!(failed.iter().any(|line| line.contains("80 errors 80 Connect")), "{failed:?}");
}

#[test]
fn a_limit_that_is_not_kept_is_noticed_with_the_second_in_which_it_broke() {
    let origin = Origin::start(OriginBehaviour::default()).unwrap();
    let mut scenario = steady("{kind: admitted, class: a, within: 5%}", "");
    scenario.classes[0].arrivals = Some(Arrivals::Constant { rate: 40.0 });
    scenario.phases[0].duration = Span(Duration::from_secs(2));
    // The origin admits all; five a second and client are 20 a second, and a window begins with each second.
    scenario.oracle = weir_loadtest::scenario::Oracle::FixedWindow {
        limit: 10,
        window: Span(Duration::from_secs(1)),
        per: weir_loadtest::scenario::Per::Client,
    };
    assert_eq!(failed(&against(scenario.clone(), format!("http://{}", origin.address))), [""; 0]);
    scenario.oracle = weir_loadtest::scenario::Oracle::FixedWindow {
        limit: 10,
        window: Span(Duration::from_secs(2)),
        per: weir_loadtest::scenario::Per::Client,
    };
    let failed = failed(&against(scenario, format!("http://{}", origin.address)));
    assert!(failed[0].contains("part in second 1: 80 admitted up to its end, 40 predicted"), "{failed:?}");
}

#[test]
fn a_generator_that_cannot_keep_its_plan_says_that_the_run_is_invalid() {
    let origin = Origin::start(OriginBehaviour::default()).unwrap();
    let mut scenario = steady(EXPECT, "");
    scenario.generator.lag = Some(Span(Duration::ZERO));
    let report = against(scenario, format!("http://{}", origin.address));
    assert_eq!((failed(&report), report.result), (vec![], Result::Failed));
    assert!(report.invalid.unwrap().contains("late at the 99th percentile"));
}
