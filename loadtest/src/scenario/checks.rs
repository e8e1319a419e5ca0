//! What the table cannot say: fields that must fit each other.

use super::mistake::Mistake;
use super::types::Behaviour;
use super::types::{Arrivals, Expectation, Identity, Oracle, Protocol, Scenario, Transport};
use super::value::{Network, Span};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::time::Duration;

/// Everything that does not fit.
pub(super) fn check(scenario: &Scenario) -> Vec<Mistake> {
    let mut all = Vec::new();
    classes(scenario, &mut all);
    phases(scenario, &mut all);
    expectations(scenario, &mut all);
    if scenario.spawn.is_none() && matches!(scenario.oracle, Oracle::Weir) {
        all.push(Mistake::missing("spawn", "manifests, for the oracle of kind weir reads them"));
    }
    if scenario.duration() > LONGEST {
        all.push(wrong("phases", &scenario.duration(), "at most an hour altogether"));
    }
    let planned = planned(scenario);
    if planned > MOST_REQUESTS {
        all.push(wrong("classes", &planned, "at most 10 million planned requests"));
    }
    all
}

fn classes(scenario: &Scenario, all: &mut Vec<Mistake>) {
    let mut names = BTreeSet::new();
    for (index, class) in scenario.classes.iter().enumerate() {
        let at = format!("classes[{index}]");
        if !names.insert(&class.name) {
            all.push(wrong(&format!("{at}.name"), &class.name, "a name that no other class has"));
        }
        let network = match &class.identity {
            Identity::Shared | Identity::ApiKey { .. } => None,
            Identity::Source { network } => {
                if !loopback(&network.0) {
                    let at = format!("{at}.identity.network");
                    all.push(wrong(&at, &network.0, "a network within 127.0.0.0/8"));
                }
                Some(network)
            }
            Identity::ForwardedFor { network } => Some(network),
            Identity::ProxyHeader { network } => {
                if class.request.transport == Transport::Tls && class.request.protocol == Protocol::Http2 {
                    all.push(wrong(&format!("{at}.identity"), &"proxy-header", "http1 with a PROXY header"));
                }
                Some(network)
            }
        };
        if let Some(network) = network
            && addresses(network) < class.clients
        {
            let expected = format!("at most {}, the addresses of the network", addresses(network));
            all.push(wrong(&format!("{at}.clients"), &class.clients, &expected));
        }
        arrivals(&format!("{at}.arrivals"), class.arrivals.as_ref(), all);
        if let Behaviour::SlowHead { every, .. }
        | Behaviour::SlowBody { every, .. }
        | Behaviour::SlowRead { every, .. } = class.behaviour
            && every.0.is_zero()
        {
            all.push(wrong(&format!("{at}.behaviour.every"), &"0ms", "more than nothing"));
        }
    }
}

fn phases(scenario: &Scenario, all: &mut Vec<Mistake>) {
    for (index, phase) in scenario.phases.iter().enumerate() {
        let at = format!("phases[{index}]");
        if phase.duration.0.is_zero() {
            all.push(wrong(&format!("{at}.duration"), &"0s", "more than nothing"));
        }
        for (name, of) in &phase.arrivals {
            class(scenario, &format!("{at}.arrivals"), name, all);
            arrivals(&format!("{at}.arrivals.{name}"), Some(of), all);
        }
        let spawns = phase.manifests.is_some() || phase.origin.is_some() || phase.restart.is_some();
        if spawns && scenario.spawn.is_none() {
            all.push(Mistake::missing("spawn", format!("what {at} changes")));
        }
        let replicas = scenario.spawn.as_ref().map_or(1, |spawn| spawn.replicas);
        if let Some(restart) = phase.restart.filter(|restart| *restart >= replicas) {
            all.push(wrong(
                &format!("{at}.restart"),
                &restart,
                &format!("less than {replicas}, the replicas"),
            ));
        }
    }
}

fn expectations(scenario: &Scenario, all: &mut Vec<Mistake>) {
    for (index, expectation) in scenario.expect.iter().enumerate() {
        let at = format!("expect[{index}]");
        match expectation {
            Expectation::Admitted { class: name, .. } => {
                class(scenario, &format!("{at}.class"), name, all);
                let known = |class: &super::Class| class.behaviour.is_predictable();
                if scenario.classes.iter().any(|class| class.name == *name && !known(class)) {
                    let expected = "a class of requests, connection-flood or handshake-flood";
                    all.push(wrong(&format!("{at}.class"), name, expected));
                }
                if matches!(scenario.oracle, Oracle::None) {
                    all.push(Mistake::missing("oracle", format!("what predicts for {at}")));
                }
            }
            Expectation::Status { class: name, at_least, at_most, .. } => {
                class(scenario, &format!("{at}.class"), name, all);
                bounds(&at, at_least.is_some() || at_most.is_some(), all);
            }
            Expectation::Metric { at_least, at_most, .. } => {
                bounds(&at, at_least.is_some() || at_most.is_some(), all);
            }
            Expectation::Latency { class: name, .. } | Expectation::Errors { class: name, .. } => {
                class(scenario, &format!("{at}.class"), name, all);
            }
            Expectation::Ended { class: name, .. } => {
                class(scenario, &format!("{at}.class"), name, all);
                let hostile = |class: &super::Class| class.behaviour != Behaviour::Request;
                if scenario.classes.iter().any(|class| class.name == *name && !hostile(class)) {
                    all.push(wrong(&format!("{at}.class"), name, "a class with a hostile behaviour"));
                }
            }
            Expectation::Retried { .. } | Expectation::Memory { .. } | Expectation::Cpu { .. } => {}
        }
    }
}

fn bounds(at: &str, any: bool, all: &mut Vec<Mistake>) {
    if !any {
        all.push(Mistake::missing(&format!("{at}.at-least"), "at-least, at-most or both"));
    }
}

fn class(scenario: &Scenario, at: &str, name: &str, all: &mut Vec<Mistake>) {
    if !scenario.classes.iter().any(|class| class.name == name) {
        let names: Vec<_> = scenario.classes.iter().map(|class| class.name.as_str()).collect();
        all.push(wrong(at, &name, &format!("one of the classes {}", names.join(", "))));
    }
}

fn arrivals(at: &str, arrivals: Option<&Arrivals>, all: &mut Vec<Mistake>) {
    if let Some(Arrivals::Burst { every: Span(Duration::ZERO), .. }) = arrivals {
        all.push(wrong(&format!("{at}.every"), &"0s", "more than nothing"));
    }
}

/// About how many requests the plan will have.
fn planned(scenario: &Scenario) -> u64 {
    let of = |arrivals: &Arrivals, seconds: f64| match arrivals {
        Arrivals::None => 0.0,
        Arrivals::Constant { rate } | Arrivals::Poisson { rate } => rate * seconds,
        Arrivals::Burst { size, every } => *size as f64 * (seconds / every.0.as_secs_f64().max(1e-3)).ceil(),
        Arrivals::Ramp { from, to } => from.max(*to) * seconds,
        Arrivals::Step { rates } => rates.iter().sum::<f64>() / rates.len().max(1) as f64 * seconds,
    };
    let each = scenario.phases.iter().flat_map(|phase| {
        let seconds = phase.duration.0.as_secs_f64();
        scenario.classes.iter().map(move |class| {
            let arrivals = phase.arrivals.get(&class.name).or(class.arrivals.as_ref());
            arrivals.map_or(0.0, |arrivals| of(arrivals, seconds))
        })
    });
    each.sum::<f64>() as u64
}

/// Addresses of a network that clients may have.
fn addresses(network: &Network) -> u64 {
    let free = u32::from(network.0.max_prefix_len() - network.0.prefix_len());
    1_u64.checked_shl(free).unwrap_or(u64::MAX)
}

fn loopback(network: &IpNet) -> bool {
    network.network().is_loopback() && network.prefix_len() >= 8 && network.addr().is_ipv4()
}

fn wrong(at: &str, value: &impl std::fmt::Debug, expected: &str) -> Mistake {
    Mistake { field: at.to_owned(), value: Some(format!("{value:?}")), expected: expected.to_owned() }
}

const LONGEST: Duration = Duration::from_secs(3600);
const MOST_REQUESTS: u64 = 10_000_000;
