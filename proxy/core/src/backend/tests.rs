use super::*;
use crate::declaration::PortName;

fn name() -> BackendName {
    BackendName::new("shop", "web", PortName::Number(80))
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn backend(count: u16) -> Arc<Backend> {
    let spec = BackendSpec::Addresses((1..=count).map(address).collect());
    Backend::new(&name(), Some(&spec), None)
}

fn at(seconds: f64) -> Instant {
    Instant::from_elapsed(Duration::from_secs_f64(seconds))
}

fn ports(backend: &Backend, now: Instant, count: usize) -> Vec<u16> {
    let pick = |_| backend.pick(now, Balance::RoundRobin, 0, &[]).unwrap().address.port();
    (0..count).map(pick).collect()
}

#[test]
fn round_robin_takes_turns() {
    assert_eq!(ports(&backend(3), Instant::START, 7), [1, 2, 3, 1, 2, 3, 1]);
}

#[test]
fn an_endpoint_is_tried_once_a_request() {
    let backend = backend(3);
    let mut tried = Vec::new();
    for balance in [Balance::RoundRobin, Balance::LeastInFlight] {
        tried.clear();
        for random in 0..3 {
            let pick = backend.pick(Instant::START, balance, random << 20 | random, &tried).unwrap();
            assert!(!tried.contains(&pick.address));
            tried.push(pick.address);
        }
        assert_eq!(backend.pick(Instant::START, balance, 0, &tried).err(), Some(NoEndpoint::AllTried));
    }
}

#[test]
fn without_endpoints_there_is_no_pick() {
    let backend = backend(0);
    assert!(!backend.is_present());
    for balance in [Balance::RoundRobin, Balance::LeastInFlight] {
        assert_eq!(backend.pick(Instant::START, balance, 1, &[]).err(), Some(NoEndpoint::Empty));
    }
}

#[test]
fn of_two_the_less_busy_is_taken() {
    let backend = backend(2);
    let mut random = 1_u64;
    let mut held = Vec::new();
    for _ in 0..100 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        held.push(backend.pick(Instant::START, Balance::LeastInFlight, random, &[]).unwrap());
    }
    let busy: Vec<_> = backend.endpoints().iter().map(|endpoint| endpoint.in_flight()).collect();
    assert_eq!(busy, [50, 50]);
    drop(held);
    assert!(backend.endpoints().iter().all(|endpoint| endpoint.in_flight() == 0));
}

#[test]
fn one_of_many_is_drawn_evenly() {
    let backend = backend(10);
    let mut counts = [0; 11];
    let mut random = 1_u64;
    for _ in 0..10_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = random ^ (random >> 29);
        let pick = backend.pick(Instant::START, Balance::LeastInFlight, mixed, &[]).unwrap();
        counts[usize::from(pick.address.port())] += 1;
    }
    assert!(counts[1..].iter().all(|count| (700..1_300).contains(count)), "{counts:?}");
}

#[test]
fn an_endpoint_that_refuses_is_left_out_for_longer_each_time() {
    let backend = backend(2);
    let bad = backend.pick(at(0.0), Balance::RoundRobin, 0, &[address(2)]).unwrap();
    let mut now = 0.0;
    for time_out in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        bad.failed(at(now));
        // Those that were on their way bring no news.
        bad.failed(at(now + 0.1));
        bad.failed(at(now + 0.2));
        assert!(ports(&backend, at(now + time_out - 0.01), 4).iter().all(|port| *port == 2));
        now += time_out;
        let probe = ports(&backend, at(now), 6);
        assert_eq!(probe.iter().filter(|port| **port == 1).count(), 1, "one request finds out: {probe:?}");
    }
    bad.succeeded();
    assert_eq!(ports(&backend, at(now), 4).iter().filter(|port| **port == 1).count(), 2);
    bad.failed(at(now));
    assert!(!backend.endpoints()[0].is_ejected(at(now + 1.0)), "forgiven is forgotten");
}

#[test]
fn a_probe_that_nobody_answers_for_is_followed_by_another() {
    let backend = backend(2);
    let bad = backend.pick(at(0.0), Balance::LeastInFlight, 0, &[address(2)]).unwrap();
    bad.failed(at(0.0));
    for now in [1.0, 2.0, 3.0] {
        assert_eq!(ports(&backend, at(now), 5).iter().filter(|port| **port == 1).count(), 1);
    }
}

#[test]
fn the_less_busy_policy_finds_out_whether_an_endpoint_is_well_again() {
    let backend = backend(2);
    let bad = backend.pick(at(0.0), Balance::RoundRobin, 0, &[address(2)]).unwrap();
    bad.failed(at(0.0));
    let pick = |now| backend.pick(at(now), Balance::LeastInFlight, 0, &[]).unwrap().address.port();
    assert_eq!((pick(0.5), pick(1.0), pick(1.0)), (2, 1, 2));
}

#[test]
fn when_all_are_left_out_they_are_used_all_the_same() {
    let backend = backend(2);
    for other in [1, 2] {
        backend.pick(at(0.0), Balance::RoundRobin, 0, &[address(other)]).unwrap().failed(at(0.0));
    }
    assert_eq!(ports(&backend, at(0.5), 4).iter().filter(|port| **port == 1).count(), 2);
    backend.pick(at(0.5), Balance::LeastInFlight, 7, &[]).unwrap();
}

#[test]
fn addresses_are_taken_once_and_keep_their_state() {
    let spec = BackendSpec::External { host: "far.example".to_owned(), port: 80 };
    let backend = Backend::new(&name(), Some(&spec), None);
    assert!(backend.is_present());
    assert_eq!(backend.pick(at(0.0), Balance::RoundRobin, 0, &[]).err(), Some(NoEndpoint::Empty));
    backend.set_addresses(&[address(1), address(2), address(1)]);
    let held = backend.pick(at(0.0), Balance::RoundRobin, 0, &[address(2)]).unwrap();
    backend.set_addresses(&[address(3), address(1)]);
    assert_eq!(backend.addresses(), [address(3), address(1)]);
    assert_eq!(backend.endpoints()[1].in_flight(), 1);
    drop(held);
}
