use super::*;
use proptest::prelude::*;
use regex::bytes::Regex;

/// What is read of a value: an address or nothing for each element from the right, and whether its left end was reached.
fn addresses(value: &[u8]) -> (Vec<Option<IpAddr>>, bool) {
    let mut found = Vec::new();
    for element in Elements::new(value, usize::MAX) {
        match element {
            Ok(element) => found.push(element.address),
            Err(Malformed) => return (found, false),
        }
    }
    (found, true)
}

#[track_caller]
fn one(value: &str) -> Option<String> {
    let (found, whole) = addresses(value.as_bytes());
    assert!(whole && found.len() == 1, "{value}: {found:?}, {whole}");
    found[0].map(|address| address.to_string())
}

#[track_caller]
fn check_malformed(value: &str) {
    assert_eq!(addresses(value.as_bytes()), (Vec::new(), false), "{value}");
}

/// The examples of RFC 7239 sections 4 and 6, and their like.
#[test]
fn nodes_are_addresses_with_and_without_ports() {
    for (value, address) in [
        ("for=192.0.2.43", "192.0.2.43"),
        ("For=192.0.2.43", "192.0.2.43"),
        (r#"FOR="192.0.2.43""#, "192.0.2.43"),
        (r#"for="192.0.2.43:47011""#, "192.0.2.43"),
        ("for=192.0.2.43:47011", "192.0.2.43"),
        (r#"for="192.0.2.43:_gazonk""#, "192.0.2.43"),
        (r#"for="[2001:db8:cafe::17]:4711""#, "2001:db8:cafe::17"),
        (r#"For="[2001:db8:cafe::17]""#, "2001:db8:cafe::17"),
        ("for=[2001:db8:cafe::17]:4711", "2001:db8:cafe::17"),
        (r#"for="[2001:db8::1]:_x.y-z""#, "2001:db8::1"),
        (r#"for="\[2001:db8::\1\]:1""#, "2001:db8::1"),
        (r#"for="[::ffff:192.0.2.43]:1""#, "192.0.2.43"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("by=203.0.113.43 ; for=192.0.2.60 ;\tproto=http;", "192.0.2.60"),
        (";;for=192.0.2.60", "192.0.2.60"),
        (r#"ext="a, for=6.6.6.6;for=7.7.7.7\", for=8.8.8.8";for=192.0.2.60"#, "192.0.2.60"),
    ] {
        assert_eq!(one(value).as_deref(), Some(address), "{value}");
    }
}

#[test]
fn what_is_no_address_is_none() {
    for value in [
        "for=unknown",
        "for=_gazonk",
        r#"for="_mdn""#,
        r#"for="""#,
        "proto=http",
        ";",
        "by=192.0.2.1",
        "for=192.0.2.256",
        "for=192.0.2.043",
        "for=192.0.2",
        "for=2001:db8::1",
        r#"for="2001:db8::1""#,
        r#"for="[2001:db8::1""#,
        r#"for="[192.0.2.1]""#,
        r#"for="[fe80::1%eth0]""#,
        r#"for="192.0.2.1:""#,
        r#"for="192.0.2.1:123456""#,
        r#"for="192.0.2.1:_""#,
        r#"for="192.0.2.1:x""#,
        r#"for="192.0.2.1 ""#,
        r#"for="[2001:db8::1]4711""#,
        r#"for="192.0.2.1, 192.0.2.2""#,
        "xfor=192.0.2.1",
    ] {
        assert_eq!(one(value), None, "{value}");
    }
    let long = format!("for=\"192.0.2.1:_{}\"", "x".repeat(100));
    assert_eq!(one(&long), None);
}

#[test]
fn what_breaks_the_grammar_is_malformed() {
    for value in [
        "192.0.2.1",
        "for",
        "for=",
        "=192.0.2.1",
        "for =192.0.2.1",
        "for= 192.0.2.1",
        "for=192.0.2.1 proto=http",
        r#"for="192.0.2.1"x"#,
        r#"for="192.0.2.1" "x""#,
        r#"for=192.0.2.1""#,
        r#"for="192.0.2.1"#,
        r#"for="192.0.2.1\""#,
        r#"for=192.0.2.1;ext=a"b"#,
        "for=192.0.2.1;FOR=192.0.2.2",
        "for=192.0.2.1;for=192.0.2.1",
        "proto=http;for=192.0.2.1;Proto=https",
        "host=a;host=b;for=192.0.2.1",
        "by=a;by=b;for=192.0.2.1",
        "for=192.0.2.1;a=\u{e9}",
        "for=192.0.2.1;a=\"\u{1}\"",
        "for=192.0.2.1;a=b/c",
        "{for=192.0.2.1}",
    ] {
        check_malformed(value);
    }
}

#[test]
fn elements_come_from_the_right_until_one_is_malformed() {
    let read = |value: &str| {
        let (found, whole) = addresses(value.as_bytes());
        let found: Vec<_> =
            found.iter().map(|found| found.map_or("-".to_owned(), |ip| ip.to_string())).collect();
        (found.join(" "), whole)
    };
    assert_eq!(read(""), (String::new(), true));
    assert_eq!(read(" , ,\t"), (String::new(), true));
    assert_eq!(read("for=1.1.1.1, for=unknown,, for=2.2.2.2"), ("2.2.2.2 - 1.1.1.1".to_owned(), true));
    assert_eq!(read("for=1.1.1.1, nonsense, for=2.2.2.2"), ("2.2.2.2".to_owned(), false));
    // What a client has left open takes nothing with it that a proxy has appended.
    assert_eq!(read(r#"for="1.1.1.1, for=2.2.2.2"#), ("2.2.2.2".to_owned(), false));
    assert_eq!(read(r#"for=1.1.1.1;x="\, for=2.2.2.2"#), ("2.2.2.2".to_owned(), false));
    // What is between quotation marks is nothing else, whatever it looks like.
    assert_eq!(
        read(r#"for=3.3.3.3, x="1, for=1.1.1.1, ";for=2.2.2.2"#),
        ("2.2.2.2 3.3.3.3".to_owned(), true)
    );
    assert_eq!(read(r#"for=3.3.3.3, x="\\", for=2.2.2.2"#), ("2.2.2.2 - 3.3.3.3".to_owned(), true));
}

#[test]
fn values_are_read_without_their_escapes() {
    let element = Elements::new(br#"for=1.1.1.1;host="a\.b:\80\"";proto=https"#, 1).next().unwrap().unwrap();
    let bytes = |value: Option<Value<'_>>| String::from_utf8(value.unwrap().bytes().collect()).unwrap();
    assert_eq!(bytes(element.host), r#"a.b:80""#);
    assert_eq!(bytes(element.proto), "https");
    let mut room = [0; 7];
    assert_eq!(element.host.unwrap().copy(&mut room), Some(&br#"a.b:80""#[..]));
    assert_eq!(element.host.unwrap().copy(&mut room[..6]), None);
}

#[test]
fn no_more_elements_are_looked_at_than_asked_for() {
    let long = "for=1.1.1.1,".repeat(1000);
    assert_eq!(Elements::new(long.as_bytes(), 10).count(), 9, "the empty one counts");
    let commas = ",".repeat(1000);
    let mut elements = Elements::new(commas.as_bytes(), 10);
    assert_eq!((elements.next().is_none(), elements.left()), (true, 0));
}

/// The grammar of RFC 7239 section 4 as it stands there, with what we read beyond it.
struct Model {
    element: Regex,
    pair: Regex,
    node: Regex,
}

impl Model {
    fn new() -> Self {
        let token = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+";
        let value = r#"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z:\[\]]+|"(?:[\t !#-\[\]-~]|\\[\t -~])*")"#;
        let pair = format!("{token}={value}");
        let port = "(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?";
        let new = |text: String| Regex::new(&text).unwrap();
        Self {
            element: new(format!(r"(?s-u)\A[ \t]*(?:{pair})?(?:[ \t]*;[ \t]*(?:{pair})?)*[ \t]*\z")),
            pair: new(format!(r"(?s-u)(?:\A|;)[ \t]*({token})=({value})")),
            node: new(format!(r"(?s-u)\A(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]){port}\z")),
        }
    }

    /// As [`addresses`]: the shortest right end behind a comma that is one element, and so on to the left.
    fn addresses(&self, value: &[u8]) -> (Vec<Option<IpAddr>>, bool) {
        let mut found = Vec::new();
        let mut rest = value;
        loop {
            let commas = (0..rest.len()).rev().filter(|at| rest[*at] == b',').map(|at| at + 1).chain([0]);
            let Some(start) = commas.into_iter().find(|start| self.element.is_match(&rest[*start..])) else {
                return (found, false);
            };
            let text = &rest[start..];
            if !text.iter().all(|byte| b" \t".contains(byte)) {
                match self.read(text) {
                    Some(address) => found.push(address),
                    None => return (found, false),
                }
            }
            if start == 0 {
                return (found, true);
            }
            rest = &rest[..start - 1];
        }
    }

    fn read(&self, element: &[u8]) -> Option<Option<IpAddr>> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in self.pair.captures_iter(element) {
            let [name, value] = [1, 2].map(|at| String::from_utf8(pair[at].to_vec()).unwrap());
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let mut plain = String::new();
            let mut letters = inner.unwrap_or(&value).chars();
            while let Some(letter) = letters.next() {
                plain.push(if letter == '\\' { letters.next().unwrap() } else { letter });
            }
            pairs.push((name.to_lowercase(), plain));
        }
        let known = ["for", "by", "host", "proto"];
        if known.iter().any(|known| pairs.iter().filter(|(name, _)| name == known).count() > 1) {
            return None;
        }
        let node = pairs.iter().find(|(name, _)| name == "for").filter(|(_, node)| node.len() <= 64);
        Some(node.and_then(|(_, node)| {
            let node = self.node.captures(node.as_bytes())?;
            let text = |at| node.get(at).map(|part| std::str::from_utf8(part.as_bytes()).unwrap());
            let v4 = text(1).and_then(|v4| v4.parse().ok().map(IpAddr::V4));
            let v6 = || text(2).and_then(|v6| v6.parse().ok().map(IpAddr::V6));
            v4.or_else(v6).map(|address| address.to_canonical())
        }))
    }
}

thread_local! {
    static MODEL: Model = Model::new();
}

fn model(value: &[u8]) -> (Vec<Option<IpAddr>>, bool) {
    MODEL.with(|model| model.addresses(value))
}

/// Pieces of fields, whole ones and broken ones.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec());
    let byte = any::<u8>().prop_map(|byte| vec![byte]);
    prop::collection::vec(prop_oneof![12 => piece, 1 => byte], 0..14).prop_map(|parts| parts.concat())
}

const PIECES: &[&str] = &[
    "for=192.0.2.1",
    "for=\"[2001:db8::1]:4711\"",
    "FOR=\"192.0.2.2:80\"",
    "for=unknown",
    "for=_x",
    "for=",
    "proto=https",
    "host=\"a.b:1\"",
    "by=x",
    "ext=\"a, b; c\"",
    "ext=\"a\\\"b\\\\\"",
    ",",
    ", ",
    ";",
    "; ",
    " ",
    "\t",
    "\"",
    "\\",
    "\\\"",
    "=",
    "x",
    "192.0.2.3",
    "[",
    ":",
];

/// What a client can put into a field value.
fn field_value() -> impl Strategy<Value = Vec<u8>> {
    pieces().prop_map(|bytes| bytes.into_iter().filter(|byte| matches!(byte, b'\t' | b' '..=b'~')).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn reads_as_the_naive_reader_does(value in pieces()) {
        prop_assert_eq!(addresses(&value), model(&value), "{:?}", String::from_utf8_lossy(&value));
    }

    /// The reason for reading from the right: there is nothing that a client could write in front of what a trusted
    /// proxy appends that would change how that is read.
    #[test]
    fn nothing_in_front_changes_what_was_appended(client in field_value(), blank in "[ \t]{0,2}") {
        for (own, address) in [
            ("for=203.0.113.5", "203.0.113.5"),
            ("for=\"[2001:db8::5]:4711\";proto=https;host=\"a.b:1\"", "2001:db8::5"),
            ("by=x;ext=\"a, for=6.6.6.6\";for=203.0.113.5", "203.0.113.5"),
        ] {
            let value = [&client[..], b",", blank.as_bytes(), own.as_bytes()].concat();
            let first = Elements::new(&value, 1).next();
            let read = first.unwrap().unwrap();
            prop_assert_eq!(read.text, own.as_bytes());
            prop_assert_eq!(read.address, Some(address.parse().unwrap()));
        }
    }

    /// Any element that can be written is read as it was meant.
    #[test]
    fn elements_are_read_as_they_were_meant(
        nodes in prop::collection::vec(prop::option::of((any::<IpAddr>(), prop::option::of(any::<u16>()))), 1..6),
        noise in "[ -~]{0,12}",
        style in any::<u64>(),
    ) {
        let escaped: String = noise.chars().flat_map(|c| ['\\', c]).collect();
        let one = |(number, node): (usize, &Option<(IpAddr, Option<u16>)>)| {
            let address = match node {
                None => "unknown".to_owned(),
                Some((IpAddr::V4(v4), None)) => v4.to_string(),
                Some((IpAddr::V6(v6), None)) => format!("[{v6}]"),
                Some((ip, Some(port))) => std::net::SocketAddr::new(*ip, *port).to_string(),
            };
            match style.rotate_right(2 * u32::try_from(number).unwrap()) % 4 {
                0 => format!("for=\"{address}\""),
                1 => format!("ext=\"{escaped}\";For=\"{address}\""),
                2 => format!("fOR={address} ;ext=\"{escaped}\""),
                _ => format!("by=\"{escaped}\"; for=\"{address}\";proto=http"),
            }
        };
        let value = nodes.iter().enumerate().map(one).collect::<Vec<_>>().join(", ");
        let expect: Vec<_> =
            nodes.iter().rev().map(|node| node.map(|(ip, _)| ip.to_canonical())).collect();
        prop_assert_eq!(addresses(value.as_bytes()), (expect, true), "{}", value);
    }
}

/// Well-formed fields, damaged at places that a seed chooses: never a panic, always as the naive reader.
#[test]
fn damaged_fields_are_read_as_the_naive_reader_does() {
    const SEEDS: [&str; 4] = [
        r#"for="_gazonk", For="[2001:db8:cafe::17]:4711", for=192.0.2.60;proto=http;by=203.0.113.43"#,
        r#"for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com"#,
        r#"for=12.34.56.78;ext="a,b;c\"d\\";host="x:1", for="[::ffff:1.2.3.4]" ; proto=https , for=unknown"#,
        r#",,;for=1.1.1.1;,"",for="1.1.1.1:_p",x="\\\"","#,
    ];
    const BYTES: &[u8] = b"\",;=\\ \t[]:._x1f\x00\xff";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for round in 0..30_000 {
        let mut value = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=random(4) {
            let at = random(value.len());
            let byte = BYTES[random(BYTES.len())];
            match random(4) {
                0 => value[at] = byte,
                1 => value.insert(at, byte),
                2 => drop(value.remove(at)),
                _ => value.truncate(at.max(1)),
            }
            if value.is_empty() {
                value.push(byte);
            }
        }
        assert_eq!(addresses(&value), model(&value), "{:?}", String::from_utf8_lossy(&value));
    }
}
