use super::*;
use crate::scenario::{Identity, parse};
use proptest::prelude::*;

fn scenario(arrivals: &str, seed: u64) -> Scenario {
    let text = format!(
        "
name: plan
seed: {seed}
classes: [{{name: a, clients: 7, arrivals: {arrivals}}}, {{name: b, arrivals: {{kind: poisson, rate: 40}}}}]
phases: [{{name: one, duration: 3s}}, {{name: two, duration: 1s, arrivals: {{a: {{kind: none}}}}}}]
expect: [{{kind: errors, class: a}}]
"
    );
    parse(&text).unwrap()
}

fn of_a(plan: &Plan) -> Vec<u64> {
    plan.requests.iter().filter(|planned| planned.class == 0).map(|planned| planned.at).collect()
}

#[test]
fn equal_seeds_give_equal_plans_and_others_do_not() {
    let plan = |seed| Plan::new(&scenario("{kind: poisson, rate: 100}", seed));
    assert_eq!(plan(3), plan(3));
    assert_ne!(plan(3), plan(4));
}

#[test]
fn constant_arrivals_are_evenly_apart_and_take_turns() {
    let plan = Plan::new(&scenario("{kind: constant, rate: 4}", 1));
    let expected: Vec<u64> = (0..12).map(|n| n * SECOND / 4).collect();
    assert_eq!(of_a(&plan), expected);
    let turns: Vec<_> = plan.requests.iter().filter(|planned| planned.class == 0).map(|p| p.client).collect();
    assert_eq!(turns, [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4]);
}

#[test]
fn bursts_steps_and_ramps_come_when_they_should() {
    let burst = of_a(&Plan::new(&scenario("{kind: burst, size: 3, every: 2s}", 1)));
    assert_eq!(burst, [0, 0, 0, 2 * SECOND, 2 * SECOND, 2 * SECOND]);

    let step = of_a(&Plan::new(&scenario("{kind: step, rates: [1, 0, 3]}", 1)));
    assert_eq!(step.iter().map(|at| second(*at)).collect::<Vec<_>>(), [0, 2, 2, 2]);

    // 0 to 6 a second in 3 seconds: 1, 3 and 5 requests in each; the n-th comes at the square root of n.
    let ramp = of_a(&Plan::new(&scenario("{kind: ramp, from: 0, to: 6}", 1)));
    let expected: Vec<u64> = (0..9).map(|n| (f64::from(n).sqrt() * SECOND as f64).round() as u64).collect();
    assert_eq!(ramp, expected);
    let down = of_a(&Plan::new(&scenario("{kind: ramp, from: 6, to: 0}", 1)));
    assert_eq!(down.len(), 9);
}

#[test]
fn each_client_asks_every_host_for_every_path_in_turn() {
    let text = "
name: asks
classes:
  - {name: a, clients: 2, arrivals: {kind: constant, rate: 12}, request: {host: [x.test, y.test], path: [/a, /b, /c]}}
  - {name: b, arrivals: {kind: poisson, rate: 900}, request: {path: [/a, /b, /c]}}
phases: [{name: only, duration: 1s}]
expect: [{kind: errors, class: a}]
";
    let scenario = parse(text).unwrap();
    let plan = Plan::new(&scenario);
    let of = |client| -> Vec<_> {
        let own = plan.requests.iter().filter(|planned| (planned.class, planned.client) == (0, client));
        own.map(|planned| scenario.classes[0].request.ask(planned.ask)).collect()
    };
    let all = [
        ("x.test", "/a"),
        ("x.test", "/b"),
        ("x.test", "/c"),
        ("y.test", "/a"),
        ("y.test", "/b"),
        ("y.test", "/c"),
    ];
    assert_eq!(of(0), all);
    // The second client begins with the next pair, so that few requests do not all ask for the same.
    assert_eq!(of(1), [&all[1..], &all[..1]].concat());
    for ask in 0..3 {
        let count = plan.requests.iter().filter(|planned| (planned.class, planned.ask) == (1, ask)).count();
        assert!((200..400).contains(&count), "{count} of about 300 ask for {ask}");
    }
}

#[test]
fn poisson_arrivals_are_as_many_and_as_scattered_as_they_should_be() {
    let plan = Plan::new(&scenario("{kind: poisson, rate: 2000}", 9));
    let at = of_a(&plan);
    // Mean 6000, standard deviation 77: five of them.
    assert!((5613..6387).contains(&at.len()), "{}", at.len());
    let gaps: Vec<f64> = at.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    // Exponential: the standard deviation is the mean.
    assert!((variance.sqrt() / mean - 1.0).abs() < 0.1, "{} of {mean}", variance.sqrt());
}

#[test]
fn clients_are_told_apart_as_the_scenario_says() {
    let network = crate::scenario::value::Network("127.3.0.0/16".parse().unwrap());
    assert_eq!(client(&Identity::Source { network }, 0).source.to_string(), "127.3.0.1");
    assert_eq!(client(&Identity::Source { network }, 300).source.to_string(), "127.3.1.45");
    assert_eq!(client(&Identity::ForwardedFor { network }, 1).says.unwrap().to_string(), "127.3.0.2");
    let proxied = client(&Identity::ProxyHeader { network }, 1);
    assert_eq!(proxied.preamble(), "PROXY TCP4 127.3.0.2 127.0.0.1 40000 80\r\n");
    assert_eq!((proxied.source, proxied.peer().to_string()), (Ipv4Addr::LOCALHOST, "127.3.0.2".to_owned()));
    let key = Identity::ApiKey { header: "X-Key".to_owned(), prefix: "k-".to_owned() };
    assert_eq!(client(&key, 12).field(&key), Some(("X-Key".to_owned(), "k-12".to_owned())));
}

use std::net::Ipv4Addr;

proptest! {
    /// Whatever the arrivals: in order, within the phases, nobody who is not there, and as many as the rate says.
    #[test]
    fn a_plan_is_in_order_and_within_its_bounds(
        from in 0.0_f64..500.0, to in 0.0_f64..500.0, seed in 0_u64..1000,
    ) {
        let plan = Plan::new(&scenario(&format!("{{kind: ramp, from: {from:.3}, to: {to:.3}}}"), seed));
        prop_assert!(plan.requests.is_sorted_by_key(|planned| planned.at));
        prop_assert!(plan.requests.iter().all(|planned| planned.client < 7));
        let at = of_a(&plan);
        prop_assert!(at.iter().all(|at| *at < 3 * SECOND));
        let expected = (from + to) / 2.0 * 3.0;
        prop_assert!((at.len() as f64 - expected).abs() <= 2.0, "{} of {expected}", at.len());
    }

    /// No two clients are one.
    #[test]
    fn clients_of_a_network_differ(prefix in 8_u8..30, a in 0_u32..1_000_000, b in 0_u32..1_000_000) {
        let network: ipnet::IpNet = format!("127.0.0.0/{prefix}").parse().unwrap();
        let size = 1_u64 << (32 - prefix);
        let network = Identity::Source { network: crate::scenario::value::Network(network) };
        let (a, b) = ((u64::from(a) % size) as u32, (u64::from(b) % size) as u32);
        prop_assert_eq!(a == b, client(&network, a) == client(&network, b));
    }
}
