use super::*;
use crate::facts::Scheme;
use crate::policy::Trust;
use ipnet::IpNet;
use proptest::prelude::*;

fn settings(proxies: &[&str]) -> Settings {
    let proxies = proxies.iter().map(|net| net.parse().unwrap()).collect();
    let trust = Trust { address: TrustMode::Address, proxies, ..Trust::default() };
    Settings { trust, ..Settings::default() }
}

fn facts<'a>(peer: &str, headers: &'a dyn Headers) -> Facts<'a> {
    Facts {
        peer: peer.parse().unwrap(),
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
    }
}

struct Lines<'a>(&'a [&'a str]);

impl Headers for Lines<'_> {
    fn visit(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        if name.eq_ignore_ascii_case("x-forwarded-for") {
            self.0.iter().for_each(|line| visit(line.as_bytes()));
        }
    }
}

#[track_caller]
fn check(proxies: &[&str], peer: &str, lines: &[&str], expect: &str) {
    let lines = Lines(lines);
    let client = Identification::new(&settings(proxies)).identify(&facts(peer, &lines));
    assert_eq!(client.address, expect.parse::<IpAddr>().unwrap());
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    check(&["10.0.0.0/8"], "192.0.2.1", &["198.51.100.7"], "192.0.2.1");
    check(&[], "192.0.2.1", &["198.51.100.7"], "192.0.2.1");
    let ignore = Settings { trust: Trust::default(), ..settings(&["0.0.0.0/0"]) };
    let lines = Lines(&["198.51.100.7"]);
    let client = Identification::new(&ignore).identify(&facts("192.0.2.1", &lines));
    assert_eq!((client.address, client.trust), ("192.0.2.1".parse().unwrap(), TrustMode::Ignore));
}

#[test]
fn the_first_untrusted_address_from_the_right_is_the_client() {
    let own = &["10.0.0.0/8"];
    check(own, "10.1.1.1", &["203.0.113.5"], "203.0.113.5");
    check(own, "10.1.1.1", &["1.1.1.1, 203.0.113.5, 10.2.2.2"], "203.0.113.5");
    check(own, "10.1.1.1", &["1.1.1.1,203.0.113.5,10.2.2.2,10.3.3.3"], "203.0.113.5");
}

#[test]
fn when_all_are_trusted_the_leftmost_is_the_client() {
    check(&["10.0.0.0/8"], "10.1.1.1", &["10.9.9.9, 10.2.2.2"], "10.9.9.9");
    check(&["0.0.0.0/0"], "10.1.1.1", &["6.6.6.6, 203.0.113.5"], "6.6.6.6");
    check(&["10.0.0.0/8"], "10.1.1.1", &[], "10.1.1.1");
}

#[test]
fn later_lines_come_before_earlier_ones() {
    check(&["10.0.0.0/8"], "10.1.1.1", &["1.1.1.1", "203.0.113.5", "10.2.2.2"], "203.0.113.5");
    check(&["10.0.0.0/8"], "10.1.1.1", &["203.0.113.5, 10.4.4.4", "", "10.2.2.2"], "203.0.113.5");
}

#[test]
fn empty_elements_are_skipped_and_what_is_no_address_ends_the_walk() {
    let own = &["10.0.0.0/8"];
    check(own, "10.1.1.1", &[" , ,203.0.113.5 ,, \t"], "203.0.113.5");
    check(own, "10.1.1.1", &["203.0.113.5, unknown, 10.2.2.2"], "10.2.2.2");
    check(own, "10.1.1.1", &["203.0.113.5, unknown"], "10.1.1.1");
    check(own, "10.1.1.1", &["203.0.113.5", "_hidden"], "10.1.1.1");
    check(own, "10.1.1.1", &["203.0.113.5, 999.1.1.1"], "10.1.1.1");
    check(own, "10.1.1.1", &["203.0.113.5, fe80::1%eth0"], "10.1.1.1");
}

#[test]
fn ports_and_brackets_are_cut_off() {
    let own = &["10.0.0.0/8"];
    check(own, "10.1.1.1", &["203.0.113.5:4711"], "203.0.113.5");
    check(own, "10.1.1.1", &["[2001:db8::5]:4711"], "2001:db8::5");
    check(own, "10.1.1.1", &["[2001:db8::5]"], "2001:db8::5");
    check(own, "10.1.1.1", &["2001:db8::5"], "2001:db8::5");
    check(own, "10.1.1.1", &["203.0.113.5:"], "10.1.1.1");
    check(own, "10.1.1.1", &["[203.0.113.5]:1"], "10.1.1.1");
}

#[test]
fn mapped_addresses_are_ipv4() {
    check(&["10.0.0.0/8"], "::ffff:10.1.1.1", &["::ffff:203.0.113.5"], "203.0.113.5");
    check(&["::ffff:10.0.0.0/104"], "10.1.1.1", &["203.0.113.5"], "203.0.113.5");
    check(&[], "::ffff:192.0.2.1", &[], "192.0.2.1");
}

/// ingress-nginx's default trusts all of IPv4 and none of IPv6.
#[test]
fn all_of_ipv4_is_not_all() {
    check(&["0.0.0.0/0"], "2001:db8::1", &["6.6.6.6"], "2001:db8::1");
}

#[test]
fn another_header_can_be_named_and_under_the_parity_profile_only_its_first_line_counts() {
    let headers: &[(&str, &str)] =
        &[("Client-Ip", "198.51.100.1"), ("client-ip", "198.51.100.2"), ("X-Forwarded-For", "6.6.6.6")];
    let mut settings = settings(&["10.0.0.0/8"]);
    settings.trust.header = "CLIENT-IP".to_owned();
    let facts = facts("10.1.1.1", &headers);
    assert_eq!(Identification::new(&settings).identify(&facts).address.to_string(), "198.51.100.2");
    settings.profile = Profile::IngressNginx;
    assert_eq!(Identification::new(&settings).identify(&facts).address.to_string(), "198.51.100.1");
}

#[test]
fn a_walk_looks_at_a_bounded_number_of_elements() {
    let long = "10.2.2.2,".repeat(100_000);
    check(&["10.0.0.0/8"], "10.1.1.1", &["203.0.113.5", &long], "10.2.2.2");
    let commas = ",".repeat(100_000);
    check(&["10.0.0.0/8"], "10.1.1.1", &["203.0.113.5", &commas], "10.1.1.1");
    let lines = vec!["10.3.3.3"; 1_000];
    check(&["10.0.0.0/8"], "10.1.1.1", &lines, "10.3.3.3");
}

/// The walk as one would write it without a thought for cost.
fn naive(proxies: &[IpNet], peer: IpAddr, lines: &[String]) -> IpAddr {
    let trusted = |address: &IpAddr| proxies.iter().any(|net| net.contains(address));
    let all = lines.join(",");
    let mut client = peer;
    for element in all.split(',').map(str::trim).filter(|element| !element.is_empty()).rev() {
        if !trusted(&client) {
            break;
        }
        let Ok(address) = element.parse() else { break };
        client = address;
    }
    client
}

proptest! {
    #[test]
    fn the_walk_agrees_with_the_naive_one(
        peer in 0_u8..4,
        lines in prop::collection::vec(
            prop::collection::vec(prop_oneof![
                4 => (0_u8..6).prop_map(|last| format!("10.0.0.{last}")),
                1 => Just("x".to_owned()),
                1 => Just(String::new()),
            ], 0..4).prop_map(|elements| elements.join(", ")),
            0..4,
        ),
        trusted in prop::collection::vec(0_u8..6, 0..4),
    ) {
        let nets: Vec<String> = trusted.iter().map(|last| format!("10.0.0.{last}/32")).collect();
        let nets: Vec<&str> = nets.iter().map(String::as_str).collect();
        let settings = settings(&nets);
        let peer: IpAddr = format!("10.0.0.{peer}").parse().unwrap();
        let refs: Vec<&str> = lines.iter().map(String::as_str).collect();
        let lines_header = Lines(&refs);
        let mut facts = facts("1.1.1.1", &lines_header);
        facts.peer = peer;
        let expect = naive(&settings.trust.proxies, peer, &lines);
        prop_assert_eq!(Identification::new(&settings).identify(&facts).address, expect);
    }

    /// As above, in the words of `Forwarded`.
    #[test]
    fn the_walk_through_forwarded_agrees_with_the_naive_one(
        lines in prop::collection::vec(
            prop::collection::vec(prop_oneof![
                4 => (0_u8..6).prop_map(|last| (format!("10.0.0.{last}"), format!("For=\"10.0.0.{last}:80\""))),
                1 => Just(("x".to_owned(), "for=unknown;proto=https".to_owned())),
                1 => Just(("x".to_owned(), "for=\"10.0.0.1".to_owned() + "\"\"")),
                1 => Just((String::new(), String::new())),
            ], 0..4),
            0..4,
        ),
        trusted in prop::collection::vec(0_u8..6, 0..4),
    ) {
        let nets: Vec<String> = trusted.iter().map(|last| format!("10.0.0.{last}/32")).collect();
        let mut nets: Vec<&str> = nets.iter().map(String::as_str).collect();
        nets.push("10.1.1.1/32");
        let [plain, words] = [0, 1].map(|which| {
            let line = |line: &Vec<(String, String)>| {
                let texts: Vec<&str> =
                    line.iter().map(|(plain, words)| [plain.as_str(), words][which]).collect();
                texts.join(", ")
            };
            lines.iter().map(line).collect::<Vec<String>>()
        });
        let settings = forwarded(&nets);
        let expect = naive(&settings.trust.proxies, "10.1.1.1".parse().unwrap(), &plain);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        prop_assert_eq!(client_by_forwarded(&settings, &words).0, expect.to_string());
    }

    #[test]
    fn a_set_holds_what_its_blocks_hold(
        blocks in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..20),
        address in any::<u32>(),
        pick in any::<prop::sample::Index>(),
    ) {
        let blocks: Vec<IpNet> = blocks.into_iter()
            .map(|(bits, length)| IpNet::new(std::net::Ipv4Addr::from_bits(bits).into(), length).unwrap())
            .collect();
        let set = AddressSet::new(&blocks);
        let mut addresses = vec![IpAddr::from(std::net::Ipv4Addr::from_bits(address))];
        if !blocks.is_empty() {
            addresses.push(blocks[pick.index(blocks.len())].addr());
        }
        for address in addresses {
            prop_assert_eq!(set.contains(address), blocks.iter().any(|block| block.contains(&address)));
        }
    }
}

fn forwarded(proxies: &[&str]) -> Settings {
    let mut settings = settings(proxies);
    settings.trust.address = TrustMode::All;
    settings.trust.header = "forwarded".to_owned();
    settings
}

/// The client of a request from 10.1.1.1 with these fields, and how many elements were believed.
fn client_by_forwarded(settings: &Settings, lines: &[&str]) -> (String, u8) {
    let headers: Vec<(&str, &str)> = lines.iter().map(|line| ("Forwarded", *line)).collect();
    let headers = headers.as_slice();
    let client = Identification::new(settings).identify(&facts("10.1.1.1", &headers));
    let Words::Forwarded { believed } = client.words else { panic!("{client:?}") };
    (client.address.to_string(), believed)
}

#[test]
fn forwarded_is_walked_as_lists_of_addresses_are() {
    let own = forwarded(&["10.0.0.0/8", "2001:db8:ffff::/48"]);
    for (lines, client, believed) in [
        (&["for=203.0.113.5"][..], "203.0.113.5", 1),
        (&["for=1.1.1.1, for=203.0.113.5"], "203.0.113.5", 1),
        (&["for=1.1.1.1, for=\"203.0.113.5:1\", for=10.2.2.2;proto=https"], "203.0.113.5", 2),
        (&["for=\"[2001:db8::5]:1\", for=\"[2001:db8:ffff::1]\""], "2001:db8::5", 2),
        (&["for=1.1.1.1", "for=203.0.113.5", "for=10.2.2.2"], "203.0.113.5", 2),
        (&["for=10.9.9.9, for=10.2.2.2"], "10.9.9.9", 2),
        (&[], "10.1.1.1", 0),
        (&["", " ,, "], "10.1.1.1", 0),
        // What is no address ends the walk at the last trusted one.
        (&["for=203.0.113.5, for=unknown, for=10.2.2.2"], "10.2.2.2", 2),
        (&["for=203.0.113.5, for=_hidden"], "10.1.1.1", 1),
        (&["for=203.0.113.5, proto=https"], "10.1.1.1", 1),
        // So does what is malformed, and takes only what is left of it along.
        (&["for=203.0.113.5, nonsense, for=10.2.2.2"], "10.2.2.2", 1),
        (&["for=203.0.113.5;for=203.0.113.6"], "10.1.1.1", 0),
        (&["for=\"1.1.1.1, for=203.0.113.5"], "203.0.113.5", 1),
        (&["for=\"1.1.1.1", "for=203.0.113.5\"", "for=10.2.2.2"], "10.2.2.2", 1),
    ] {
        assert_eq!(client_by_forwarded(&own, lines), (client.to_owned(), believed), "{lines:?}");
        // A profile changes nothing: ingress-nginx cannot read this field.
        let parity = Settings { profile: Profile::IngressNginx, ..own.clone() };
        assert_eq!(client_by_forwarded(&parity, lines), (client.to_owned(), believed), "{lines:?}");
    }
    // A stranger is the client, whatever it says.
    assert_eq!(client_by_forwarded(&forwarded(&[]), &["for=1.1.1.1"]), ("10.1.1.1".to_owned(), 0));
    // And other fields are not read.
    let headers = [("X-Forwarded-For", "6.6.6.6")];
    let client = Identification::new(&own).identify(&facts("10.1.1.1", &headers));
    assert_eq!(client.address, client.peer);
}

#[test]
fn a_walk_through_forwarded_is_bounded() {
    let own = forwarded(&["10.0.0.0/8"]);
    let most = u8::try_from(ELEMENTS_MAX).unwrap();
    let long = "for=10.2.2.2,".repeat(10_000);
    let walked = client_by_forwarded(&own, &["for=203.0.113.5", &long]);
    assert_eq!(walked, ("10.2.2.2".to_owned(), most - 1));
    let commas = ",".repeat(10_000);
    assert_eq!(client_by_forwarded(&own, &["for=203.0.113.5", &commas]).1, 0);
    let lines = vec!["for=10.3.3.3"; 1_000];
    assert_eq!(client_by_forwarded(&own, &lines), ("10.3.3.3".to_owned(), 16));
}

#[test]
fn the_outermost_trusted_proxy_says_what_the_client_asked_for() {
    let headers = [(
        "Forwarded",
        "for=1.1.1.1;host=evil, for=203.0.113.5;host=\"shop:1\";proto=https, for=10.2.2.2;host=inner;proto=http",
    )];
    let hosts = |settings: &Settings| {
        let client = Identification::new(settings).identify(&facts("10.1.1.1", &headers));
        let (mut believed, mut outermost) = (Vec::new(), Vec::new());
        let host = |element: &Element<'_>| -> Vec<u8> { element.host.unwrap().bytes().collect() };
        client.visit_believed(&headers, &mut |element| believed.push(host(element)));
        client.outermost(&headers, &mut |element| outermost.push(host(element)));
        [believed, outermost].map(|hosts| String::from_utf8(hosts.join(&b' ')).unwrap())
    };
    let mut own = forwarded(&["10.0.0.0/8"]);
    assert_eq!(hosts(&own), ["inner shop:1", "shop:1"]);
    own.trust.address = TrustMode::Address;
    assert_eq!(hosts(&own), ["inner shop:1", ""]);
    assert_eq!(hosts(&forwarded(&[])), ["", ""]);
    own.trust.header = "X-Forwarded-For".to_owned();
    assert_eq!(hosts(&own), ["", ""]);
}

#[test]
fn a_connection_is_greeted_by_who_its_peer_is() {
    let greet = |settings: &Settings, peer: &str| Identification::new(settings).greet(peer.parse().unwrap());
    let plain = Settings::default();
    assert_eq!(greet(&plain, "10.1.1.1"), Greeting::TakeAsClient);
    let mut headers = settings(&["10.0.0.0/8"]);
    assert_eq!(greet(&headers, "::ffff:10.1.1.1"), Greeting::TrustProxy);
    assert_eq!(greet(&headers, "192.0.2.1"), Greeting::TakeAsClient);
    // Who believes everybody has named nobody.
    assert_eq!(greet(&settings(&["10.0.0.0/8", "0.0.0.0/0"]), "10.1.1.1"), Greeting::TakeAsClient);
    // One list of peers for headers and for the PROXY protocol.
    headers.edge.proxy_protocol.required = true;
    for mode in [TrustMode::Ignore, TrustMode::Address, TrustMode::All] {
        headers.trust.address = mode;
        assert_eq!(greet(&headers, "::ffff:10.1.1.1"), Greeting::ExpectHeader);
        assert_eq!(greet(&headers, "192.0.2.1"), Greeting::RefuseHeader);
    }
}
