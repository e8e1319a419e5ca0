use super::*;
use crate::facts::{Facts, Headers, Scheme};
use crate::policy::{Settings, Trust};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(seconds: u64) -> Instant {
    Instant::from_elapsed(Duration::from_secs(seconds))
}

/// The sights of so many requests each.
fn seen(requests: &[(&str, u64)]) -> Sightings {
    let mut seen = Sightings::new();
    for (address, times) in requests {
        let sight = if is_private(ip(address)) { Sight::Balancer(ip(address)) } else { Sight::Client };
        (0..*times).for_each(|_| seen.see(sight));
    }
    seen
}

/// A lookout to which the same happens each second.
struct Watched {
    lookout: Lookout,
    second: u64,
}

impl Watched {
    fn new() -> Self {
        Self { lookout: Lookout::new(), second: 100 }
    }

    /// What is said in so many seconds, and when, counted from their beginning.
    fn pass(&mut self, seconds: u64, each: &[(&str, u64)]) -> Vec<(u64, Change)> {
        let each = seen(each);
        let began = self.second;
        let mut said = Vec::new();
        for _ in 0..seconds {
            said.extend(
                self.lookout.look(at(self.second), &each).map(|change| (self.second - began, change)),
            );
            self.second += 1;
        }
        said
    }
}

#[test]
fn all_requests_from_a_few_private_addresses_are_a_balancer_in_between() {
    let mut watched = Watched::new();
    let said = watched.pass(600, &[("10.0.0.2", 30), ("10.0.0.1", 70)]);
    // Two windows, of 4 and of 8 seconds, and a second in which the next begins; and then never again.
    assert_eq!(said, [(13, Change::Warn(vec![ip("10.0.0.1"), ip("10.0.0.2")]))]);
}

#[test]
fn clients_of_the_internet_are_none() {
    assert_eq!(Watched::new().pass(600, &[("203.0.113.5", 100)]), []);
    // Nor are some probes, or colleagues beside them.
    assert_eq!(Watched::new().pass(600, &[("203.0.113.5", 6), ("10.0.0.1", 94)]), []);
    assert_eq!(Watched::new().pass(600, &[("203.0.113.5", 5), ("10.0.0.1", 95)]).len(), 1);
}

#[test]
fn what_is_said_is_taken_back_when_it_is_clearly_over() {
    let mut watched = Watched::new();
    assert_eq!(watched.pass(60, &[("10.0.0.1", 100)]).len(), 1);
    // At the edge nothing changes.
    assert_eq!(watched.pass(1000, &[("10.0.0.1", 80), ("203.0.113.5", 20)]), []);
    // One window of another kind is not enough.
    assert_eq!(watched.pass(200, &[("10.0.0.1", 94), ("203.0.113.5", 6)]), []);
    assert_eq!(watched.pass(20, &[("10.0.0.1", 10), ("203.0.113.5", 90)]), []);
    assert_eq!(watched.pass(1000, &[("10.0.0.1", 85), ("203.0.113.5", 15)]), []);
    let said = watched.pass(300, &[("10.0.0.1", 79), ("203.0.113.5", 21)]);
    assert!(matches!(said[..], [(64..=260, Change::Relent)]), "{said:?}");
    assert_eq!(watched.pass(1000, &[("10.0.0.1", 94), ("203.0.113.5", 6)]), []);
    let said = watched.pass(300, &[("10.0.0.1", 95), ("203.0.113.5", 5)]);
    assert!(matches!(said[..], [(64..=260, Change::Warn(_))]), "{said:?}");
}

#[test]
fn a_few_requests_say_nothing() {
    let mut watched = Watched::new();
    assert_eq!(watched.pass(10_000, &[("10.0.0.1", 4)]), []);
    // And so nothing is taken back at night.
    assert_eq!(watched.pass(60, &[("10.0.0.1", 100)]).len(), 1);
    assert_eq!(watched.pass(10_000, &[("203.0.113.5", 4)]), []);
    assert_eq!(watched.pass(10_000, &[]), []);
    // The first requests are judged soon, whenever they come.
    let mut late = Watched::new();
    late.pass(100_000, &[("10.0.0.1", 1)]);
    assert!(matches!(late.pass(60, &[("10.0.0.1", 100)])[..], [(0..=20, Change::Warn(_))]));
}

#[test]
fn a_change_of_who_is_trusted_begins_anew() {
    let mut watched = Watched::new();
    assert_eq!(watched.lookout.forget(), None);
    assert_eq!(watched.pass(600, &[("10.0.0.1", 100)]).len(), 1);
    assert_eq!(watched.lookout.forget(), Some(Change::Relent));
    assert_eq!(watched.lookout.forget(), None);
    assert_eq!(watched.pass(600, &[("203.0.113.5", 100)]), []);
    watched.lookout.forget();
    assert!(matches!(watched.pass(600, &[("10.0.0.1", 100)])[..], [(13, Change::Warn(_))]));
}

#[test]
fn many_private_clients_are_no_balancers() {
    let all: Vec<String> = (0..200).map(|n| format!("10.0.{n}.1")).collect();
    let each: Vec<(&str, u64)> = all.iter().map(|address| (address.as_str(), 1)).collect();
    assert_eq!(Watched::new().pass(600, &each), []);
    // As many as are kept are told, with the busiest first.
    let said = Watched::new().pass(60, &each[..MOST_BALANCERS]);
    assert!(
        matches!(&said[..], [(_, Change::Warn(addresses))] if addresses.len() == MOST_BALANCERS),
        "{said:?}"
    );
}

/// A few large ones are found among many small ones, whoever comes first.
#[test]
fn the_busy_ones_are_kept() {
    let mut sightings = Sightings::new();
    for round in 0..1000_u32 {
        let stray = IpAddr::from((0x0a00_0000 + round).to_be_bytes());
        sightings.see(Sight::Balancer(stray));
        for _ in 0..49 {
            sightings.see(Sight::Balancer(ip("192.168.0.1")));
            sightings.see(Sight::Balancer(ip("192.168.0.2")));
        }
    }
    let (addresses, counted) = sightings.balancers();
    assert_eq!(&addresses[..2], [ip("192.168.0.1"), ip("192.168.0.2")]);
    assert!((97_000..=99_000).contains(&counted), "{counted}");
    assert_eq!(sightings.total(), 99_000);
}

/// What each worker has seen by itself is worth as much as if one had seen it all.
#[test]
fn sightings_add_up() {
    let all = seen(&[("10.0.0.1", 500), ("10.0.0.2", 300), ("203.0.113.5", 7)]);
    let mut sum = Sightings::new();
    sum.add(&seen(&[("10.0.0.2", 300), ("10.0.0.1", 1)]));
    sum.add(&seen(&[("203.0.113.5", 7), ("10.0.0.1", 499)]));
    assert_eq!((sum.balancers(), sum.total()), (all.balancers(), all.total()));
    // And with more addresses than there is room for, the memory is the same, and a large one is never lost.
    for worker in 0..100_u8 {
        let mut other = Sightings::new();
        for last in 0..20 {
            other.see(Sight::Balancer(IpAddr::from([172, 16, worker, last])));
        }
        (0..40).for_each(|_| other.see(Sight::Balancer(ip("fd00::1"))));
        sum.add(&other);
    }
    assert_eq!(sum.total(), all.total() + 6000);
    let (addresses, counted) = sum.balancers();
    assert_eq!(addresses[0], ip("fd00::1"));
    assert!(addresses.len() <= MOST_BALANCERS && counted <= 6800);
}

#[test]
fn time_that_goes_back_is_no_window() {
    let mut lookout = Lookout::new();
    let each = seen(&[("10.0.0.1", 1000)]);
    assert_eq!(lookout.look(at(1000), &each), None);
    for second in [0, 500, 1001, 999] {
        assert_eq!(lookout.look(at(second), &each), None);
    }
}

#[test]
fn addresses_look_like_what_they_are() {
    let settings = |address: TrustMode, proxies: &[&str]| {
        let proxies = proxies.iter().map(|net| net.parse().unwrap()).collect();
        Settings { trust: Trust { address, proxies, ..Trust::default() }, ..Settings::default() }
    };
    let sight = |settings: &Settings, peer: &str, headers: &dyn Headers| {
        let identification = Identification::new(settings);
        let facts = Facts {
            peer: ip(peer),
            port: 80,
            scheme: Scheme::Http,
            tls: None,
            method: "GET",
            host: b"h",
            path: b"/",
            query: b"",
            content_length: None,
            head_bytes: 0,
            headers,
        };
        identification.sight(&identification.identify(&facts))
    };
    let nobody = settings(TrustMode::Ignore, &[]);
    for private in [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "::ffff:10.0.0.1",
        "fd00::1",
        "fe80::1",
    ] {
        assert_eq!(sight(&nobody, private, &()), Sight::Balancer(ip(private).to_canonical()), "{private}");
    }
    for public in ["203.0.113.5", "172.32.0.1", "100.63.0.1", "100.128.0.1", "11.0.0.1", "2001:db8::1"] {
        assert_eq!(sight(&nobody, public, &()), Sight::Client, "{public}");
    }
    for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(sight(&nobody, own, &()), Sight::Own, "{own}");
    }
    // A trusted peer that names nobody is counted for itself, wherever it stands; one that does is not.
    let some = settings(TrustMode::Address, &["127.0.0.2/32", "203.0.113.0/24"]);
    let named = [("X-Forwarded-For", "198.51.100.1")];
    for peer in ["127.0.0.2", "203.0.113.5"] {
        assert_eq!(sight(&some, peer, &()), Sight::Balancer(ip(peer)));
        assert_eq!(sight(&some, peer, &named), Sight::Client);
    }
    assert_eq!(
        sight(&some, "127.0.0.2", &[("X-Forwarded-For", "10.0.0.9")]),
        Sight::Balancer(ip("10.0.0.9"))
    );
    assert_eq!(sight(&some, "198.51.100.7", &()), Sight::Client);
    // Who trusts everybody has named nobody, and sees clients of the internet as they come.
    let everybody = settings(TrustMode::All, &["0.0.0.0/0"]);
    assert_eq!(sight(&everybody, "203.0.113.5", &()), Sight::Client);
}
