use super::*;
use proptest::prelude::*;

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn proxied(source: &str, destination: &str) -> Ends {
    Ends::Proxied { source: socket(source), destination: socket(destination) }
}

/// Version 1 as a load balancer writes it.
fn v1(ends: Ends) -> Vec<u8> {
    match ends {
        Ends::Local => b"PROXY UNKNOWN\r\n".to_vec(),
        Ends::Proxied { source, destination } => {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.ip(), destination.ip());
            format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
        }
    }
}

/// Version 2 as a load balancer writes it, with extensions.
fn v2(ends: Ends, extensions: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    let (command, family) = match ends {
        Ends::Local => (0x20, 0x00),
        Ends::Proxied { source, destination } => {
            for end in [source, destination] {
                match end.ip() {
                    IpAddr::V4(address) => block.extend(address.octets()),
                    IpAddr::V6(address) => block.extend(address.octets()),
                }
            }
            block.extend(source.port().to_be_bytes());
            block.extend(destination.port().to_be_bytes());
            (0x21, if source.is_ipv4() { 0x11 } else { 0x21 })
        }
    };
    block.extend_from_slice(extensions);
    let len = u16::try_from(block.len()).unwrap().to_be_bytes();
    [V2, &[command, family, len[0], len[1]], &block].concat()
}

#[track_caller]
fn refused(data: &[u8], fault: Fault) {
    assert_eq!(read(data), Reading::Malformed(fault), "{:?}", data.escape_ascii().to_string());
}

#[test]
fn both_versions_are_read() {
    for (header, ends) in [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n", proxied("192.0.2.7:4711", "198.51.100.1:443")),
        ("PROXY TCP6 2001:db8::7 2001:db8::1 1 0\r\n", proxied("[2001:db8::7]:1", "[2001:db8::1]:0")),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", proxied("192.0.2.7:1", "[::1]:2")),
        ("PROXY UNKNOWN\r\n", Ends::Local),
        ("PROXY UNKNOWN whatever it says 1\r\n", Ends::Local),
    ] {
        assert_eq!(read(header.as_bytes()), Reading::Done { ends, len: header.len() }, "{header:?}");
    }
    let ends = proxied("192.0.2.7:4711", "198.51.100.1:443");
    // What v2() writes is checked here against the bytes of the specification, written out.
    let bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb";
    assert_eq!(v2(ends, b""), bytes);
    assert_eq!(read(bytes), Reading::Done { ends, len: 28 });
}

#[test]
fn extensions_are_skipped_and_what_follows_is_the_clients() {
    let ends = proxied("192.0.2.7:1", "198.51.100.1:2");
    let header = v2(ends, b"\x02\x00\x03abc\x04\x00\x01\0");
    let data = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(read(&data), Reading::Done { ends, len: header.len() });
}

#[test]
fn a_local_connection_speaks_for_itself() {
    assert_eq!(read(&v2(Ends::Local, b"")), Reading::Done { ends: Ends::Local, len: 16 });
    // Whatever the rest says: a family that would be refused, addresses, extensions.
    let mut header = v2(proxied("192.0.2.7:1", "198.51.100.1:2"), b"more");
    (header[12], header[13]) = (0x20, 0x31);
    assert_eq!(read(&header), Reading::Done { ends: Ends::Local, len: header.len() });
    // And a proxied connection of unknown kind.
    let mut header = v2(Ends::Local, b"");
    header[12] = 0x21;
    assert_eq!(read(&header), Reading::Done { ends: Ends::Local, len: 16 });
}

#[test]
fn what_is_no_header_is_refused_at_its_first_byte() {
    refused(b"GET / HTTP/1.1\r\n", Fault::Signature);
    refused(b"\x16\x03\x01", Fault::Signature);
    refused(b"PROXX", Fault::Signature);
    refused(b"proxy ", Fault::Signature);
    refused(b"\r\n\r\n\0\r\nQUIT\r", Fault::Signature);
}

#[test]
fn headers_that_say_something_else_are_refused() {
    for line in [
        "TCP4 192.0.2.7 198.51.100.1 4711\r\n",
        "TCP4 192.0.2.7 198.51.100.1 4711 443 1\r\n",
        "TCP4 192.0.2.7  198.51.100.1 4711 443\r\n",
        "TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n",
        "TCP4 192.0.2.7 198.51.100.1 +4711 443\r\n",
        "TCP4 192.0.2.7 198.51.100.1 04711 443\r\n",
        "TCP4 192.0.2.7 198.51.100.1 4711 443\n",
        "TCP4 192.0.2.007 198.51.100.1 4711 443\r\n",
        "TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
        "TCP6 192.0.2.7 198.51.100.1 4711 443\r\n",
        "TCP6 fe80::1%eth0 2001:db8::1 4711 443\r\n",
        "TCP4\r\n",
        "TCP4 192.0.2.7 198.51.100.1 4711 443\r\r\n",
    ] {
        refused(format!("PROXY {line}").as_bytes(), Fault::Syntax);
    }
    refused(b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n", Fault::Unsupported);
    refused(b"PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n", Fault::Unsupported);
    refused(b"PROXY \r\n", Fault::Unsupported);
    let with = |at: usize, byte: u8| {
        let mut header = v2(proxied("192.0.2.7:1", "198.51.100.1:2"), b"");
        header[at] = byte;
        header
    };
    refused(&with(12, 0x11), Fault::Unsupported);
    refused(&with(12, 0x22), Fault::Unsupported);
    refused(&with(12, 0x22)[..13], Fault::Unsupported);
    // Datagrams and Unix sockets.
    refused(&with(13, 0x12), Fault::Unsupported);
    refused(&with(13, 0x31), Fault::Unsupported);
    refused(&with(15, 11), Fault::Syntax);
    refused(&with(13, 0x21), Fault::Syntax);
}

#[test]
fn a_header_has_a_bound() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(longest.len(), 107);
    assert_eq!(read(longest.as_bytes()), Reading::Done { ends: Ends::Local, len: 107 });
    refused(format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)).as_bytes(), Fault::TooLong);
    refused(format!("PROXY UNKNOWN {}", "x".repeat(93)).as_bytes(), Fault::TooLong);
    let ends = proxied("192.0.2.7:1", "198.51.100.1:2");
    let longest = v2(ends, &vec![0; MAX_HEADER - 28]);
    assert_eq!(read(&longest), Reading::Done { ends, len: MAX_HEADER });
    // Known from the first sixteen bytes.
    refused(&v2(ends, &vec![0; MAX_HEADER - 27])[..16], Fault::TooLong);
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from),
    ]
}

fn ends() -> impl Strategy<Value = Ends> {
    let pair = (address(), address());
    let same = |(source, destination): &(SocketAddr, SocketAddr)| source.is_ipv4() == destination.is_ipv4();
    prop_oneof![
        1 => Just(Ends::Local),
        4 => pair.prop_filter("one family", same).prop_map(|(source, destination)| Ends::Proxied { source, destination }),
    ]
}

/// As [`Ends`], with mapped addresses as IPv4.
fn canonical(ends: Ends) -> Ends {
    let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    match ends {
        Ends::Proxied { source, destination } => {
            Ends::Proxied { source: plain(source), destination: plain(destination) }
        }
        Ends::Local => Ends::Local,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_however_it_is_cut(
        ends in ends(),
        second in any::<bool>(),
        extensions in prop::collection::vec(any::<u8>(), 0..200),
        rest in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let header = if second { v2(ends, &extensions) } else { v1(ends) };
        let data = [&header[..], &rest].concat();
        let done = Reading::Done { ends: canonical(ends), len: header.len() };
        for cut in 0..=data.len() {
            let expect = if cut < header.len() { Reading::More } else { done };
            prop_assert_eq!(read(&data[..cut]), expect, "{} of {}", cut, data.len());
        }
    }

    #[test]
    fn garbage_does_no_harm_and_a_verdict_never_changes(
        start in prop_oneof![Just(Vec::new()), Just(V1.to_vec()), Just(V2.to_vec()),
            Just(b"PROXY TCP4 1.2.3.4 ".to_vec()), Just([V2, b"\x21\x11"].concat())],
        noise in prop::collection::vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'\n'), Just(b'\r'), Just(b'1')], 0..300),
    ) {
        let data = [start, noise].concat();
        let whole = read(&data);
        for cut in 0..=data.len() {
            match read(&data[..cut]) {
                // More is only asked for while it can change something, and never beyond the bound.
                Reading::More => prop_assert!(cut < MAX_HEADER),
                verdict => prop_assert_eq!(verdict, whole, "at {}", cut),
            }
        }
    }
}
