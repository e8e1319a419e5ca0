//! Sound and damaged messages by the ten thousand, from a seed: `WEIR_WIRE_SEEDS=7..8` runs those seeds instead.

use std::borrow::Cow;

use super::*;

/// Every accepted request is read by the second parser to the same effect, and was `Partial` at every cut; every
/// declined one breaks a rule that the second parser knows too.
#[test]
fn damaged_requests_are_declined_or_read_alike() {
    let mut taken = 0;
    for seed in seeds() {
        let mut rng = fastrand::Rng::with_seed(seed);
        let data = request(&mut rng);
        let data = damaged(&mut rng, REQUEST_PARTS, data);
        taken += check_request(&data, &mut rng, seed);
    }
    assert_some(taken, seeds().end - seeds().start);
}

#[test]
fn arbitrary_bytes_do_no_harm() {
    for seed in seeds() {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut data = vec![0; rng.usize(..200)];
        rng.fill(&mut data);
        assert!(!matches!(read_request(&data), RequestReading::Complete(_)), "{}", data.escape_ascii());
        assert!(
            !matches!(read_response(&data, Method::Get), ResponseReading::Complete(_)),
            "{}",
            data.escape_ascii()
        );
        let _ = values(&data, "a").count();
        let _ = kind_of(&data);
    }
}

#[test]
fn sound_requests_are_taken() {
    for seed in seeds() {
        let data = request(&mut fastrand::Rng::with_seed(seed));
        taken(&data);
    }
}

/// As for requests; and what reaches the client is the head that the second parser builds anew.
#[test]
fn damaged_responses_are_refused_or_read_alike() {
    let mut passed_on = 0;
    for seed in seeds() {
        let mut rng = fastrand::Rng::with_seed(seed);
        let data = response(&mut rng);
        let data = damaged(&mut rng, RESPONSE_PARTS, data);
        passed_on += check_response(&data, &mut rng, seed);
    }
    assert_some(passed_on, seeds().end - seeds().start);
}

fn check_request(data: &[u8], rng: &mut fastrand::Rng, seed: u64) -> u64 {
    let expected = naive::request(data);
    let shown = || format!("seed {seed}: {}", data.escape_ascii());
    let RequestReading::Complete(head) = read_request(data) else {
        assert!(expected.is_none(), "declined without need, {}", shown());
        return 0;
    };
    let expected = expected.unwrap_or_else(|| panic!("taken, {}", shown()));
    assert_eq!(head.head, expected.head.len, "{}", shown());
    assert_eq!(head.method.name(), expected.method, "{}", shown());
    assert_eq!(head.target.text(data), expected.target, "{}", shown());
    assert_eq!(head.host.text(data), expected.host, "{}", shown());
    assert_eq!(head.content_length, expected.content_length, "{}", shown());
    assert_eq!(head.persistence == Persistence::Close, expected.close, "{}", shown());
    assert_eq!(head.fields, expected.head.fields.len(), "{}", shown());
    let path_and_query = expected.target.split_once('?').unwrap_or((&expected.target, ""));
    assert_eq!((head.path.text(data), head.query.text(data)), path_and_query, "{}", shown());
    // The core reads host and path as they stand, and refuses neither.
    let path = weir_core::canonical::path(head.path.of(data));
    assert!(matches!(path, Ok(Cow::Borrowed(path)) if path == head.path.text(data)), "{}", shown());
    assert!(weir_core::canonical::host(head.host.of(data)).is_ok(), "{}", shown());
    for (name, ..) in &expected.head.fields {
        let of_name = expected.head.fields.iter().filter(|field| field.0 == *name);
        assert!(head.values(data, name).eq(of_name.map(|field| &field.1[..])), "{name}, {}", shown());
    }
    for _ in 0..4 {
        let cut = &data[..rng.usize(..head.head)];
        assert!(matches!(read_request(cut), RequestReading::Partial), "cut at {}, {}", cut.len(), shown());
    }

    let mut buffer = buffer_of(data);
    let length = head.edits(|_| Treat::Cut).apply(&mut buffer, &[b"A: b\r\n"]).unwrap();
    let kept = expected.head.fields.iter().filter(|field| kind_of(field.0.as_bytes()).is_none());
    let kept: Vec<_> = kept.map(|field| &field.2[..]).collect();
    let first_line = format!("{}\r\nA: b\r\n", expected.head.first_line);
    let rebuilt = [first_line.as_bytes(), &kept.concat(), b"\r\n"].concat();
    assert_eq!(buffer.data()[..length].escape_ascii().to_string(), rebuilt.escape_ascii().to_string());
    assert_eq!(&buffer.data()[length..], &data[head.head..], "{}", shown());
    1
}

fn check_response(data: &[u8], rng: &mut fastrand::Rng, seed: u64) -> u64 {
    let asked = if rng.bool() { Method::Head } else { Method::Get };
    let expected = naive::response(data, asked.is_head());
    let shown = || format!("seed {seed}: {}", data.escape_ascii());
    let ResponseReading::Complete(head) = read_response(data, asked) else {
        assert!(expected.is_none(), "refused without need, {}", shown());
        return 0;
    };
    let expected = expected.unwrap_or_else(|| panic!("passed on, {}", shown()));
    let framing = match head.framing {
        Framing::None => "none".to_string(),
        Framing::Length(length) => length.to_string(),
        Framing::Chunked => "chunked".to_string(),
        Framing::Close => "close".to_string(),
    };
    assert_eq!((head.head, head.status), (expected.len, expected.status), "{}", shown());
    assert_eq!(framing, expected.framing, "{}", shown());
    assert_eq!(head.persistence == Persistence::Close, expected.close, "{}", shown());
    for _ in 0..4 {
        let cut = &data[..rng.usize(..head.head)];
        assert!(matches!(read_response(cut, asked), ResponseReading::Partial), "cut, {}", shown());
    }
    let mut buffer = buffer_of(data);
    let length = head.edits().apply(&mut buffer, &[]).unwrap();
    let rebuilt = expected.rebuilt.escape_ascii().to_string();
    assert_eq!(buffer.data()[..length].escape_ascii().to_string(), rebuilt, "{}", shown());
    assert_eq!(&buffer.data()[length..], &data[head.head..], "{}", shown());
    1
}

pub(super) fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("WEIR_WIRE_SEEDS").unwrap_or_default();
    let ends = given.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    ends.unwrap_or(0..20_000)
}

/// Among enough messages the damage must not be so great that nothing is left to compare.
pub(super) fn assert_some(compared: u64, of: u64) {
    assert!(compared * 10 > of || of < 100, "{compared} of {of} compared");
}

/// A request that the express lane must take.
pub(super) fn request(rng: &mut fastrand::Rng) -> Vec<u8> {
    let pick = |rng: &mut fastrand::Rng, from: &[&str]| from[rng.usize(..from.len())].to_string();
    let method = pick(rng, &["GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
    let target =
        pick(rng, &["/", "/a", "/a/b.c/", "/a?b=%20&c", "/...", "/a;b", "/a%20b", "/?", "/a/b?/../x"]);
    let body = if method.starts_with('P') { vec![b'x'; rng.usize(..20)] } else { Vec::new() };
    let mut fields = vec![format!("Host: {}", pick(rng, &["a", "a.b:80", "[::1]:8080", "A_b-c.example"]))];
    match body.len() {
        0..5 => {}
        length => fields.push(format!("{}: {length}", pick(rng, &["Content-Length", "content-LENGTH"]))),
    }
    if rng.bool() {
        fields.push(format!("Connection:{}", pick(rng, &["close", " Keep-Alive", "\tkeep-alive "])));
    }
    for _ in 0..rng.usize(..6) {
        fields.push(pick(rng, ORDINARY_FIELDS));
    }
    rng.shuffle(&mut fields);
    let head = format!("{method} {target} HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"));
    [head.as_bytes(), &body].concat()
}

fn response(rng: &mut fastrand::Rng) -> Vec<u8> {
    let pick = |rng: &mut fastrand::Rng, from: &[&str]| from[rng.usize(..from.len())].to_string();
    let version = pick(rng, &["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]);
    let status =
        pick(rng, &["200 OK", "204 No Content", "304 Not Modified", "100 Continue", "503", "404 Not \u{e4}"]);
    let mut fields = vec!["Server: a".to_string()];
    if rng.bool() {
        fields
            .push(pick(rng, &["Content-Length: 5", "Transfer-Encoding: chunked", "Connection: x-a, close"]));
    }
    for _ in 0..rng.usize(..6) {
        fields.push(pick(rng, ORDINARY_FIELDS));
    }
    rng.shuffle(&mut fields);
    format!("{version} {status}\r\n{}\r\n\r\nhello", fields.join("\r\n")).into_bytes()
}

/// Up to three changes of the kind that parsers have been known to disagree on.
pub(super) fn damaged(rng: &mut fastrand::Rng, parts: &[&str], mut data: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.usize(..4) {
        let at = rng.usize(..data.len());
        let odd = ODD_BYTES[rng.usize(..ODD_BYTES.len())];
        // Parts go where lines start, bytes anywhere.
        let line = data[..at].windows(2).rposition(|two| two == b"\r\n").map_or(0, |end| end + 2);
        let part = parts[rng.usize(..parts.len())].as_bytes();
        match rng.u8(..8) {
            0 => data[at] = odd,
            1 => data[at] ^= 1 << rng.u8(..8),
            2 => data.insert(at, odd),
            3 => drop(data.remove(at)),
            4 => drop(data.splice(at..at, part.iter().copied())),
            5 => {
                let copy = data[line..at].to_vec();
                drop(data.splice(line..line, copy));
            }
            _ => drop(data.splice(line..line, part.iter().copied())),
        }
        if data.is_empty() {
            break;
        }
    }
    data
}

const ODD_BYTES: &[u8] = b"\r\n\0 \t:,;/.%+-_#?@[]\\\"0A\x0b\x7f\x80\xff";

const ORDINARY_FIELDS: &[&str] = &[
    "Accept: */*",
    "User-Agent: a (b; c) d/1.0",
    "Cookie: a=b; c=d",
    "X-Empty:",
    "X-Blank: \t ",
    "X-Forwarded-For: 192.0.2.1, 192.0.2.2",
    "X-Forwarded-Proto: https",
    "X_Real_IP: 192.0.2.1",
    "Proxy: http://192.0.2.1/",
    "Keep-Alive: timeout=5",
    "x-request-id: 7",
    "X-A:1",
    "X-B:  two words\t",
    "X-C: \u{e4}\u{f6}",
    "!#$%&'*+-.^`|~: token",
];

pub(super) const REQUEST_PARTS: &[&str] = &[
    "Host: b\r\n",
    "host:c\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 0x3\r\n",
    "Content-Length:+3\r\n",
    "Content-Length: 16000\r\n",
    "Content-Length: 16384\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "TE: trailers\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: h2c\r\n",
    "Trailer: a\r\n",
    "HTTP2-Settings: AA\r\n",
    "Connection: close\r\n",
    "Connection: close, x\r\n",
    "Keep-Alive: 5\r\n",
    "X_Y: z\r\n",
    "X-Request-ID: 5\r\n",
    " folded\r\n",
    "A: b\n",
    "A: b\r",
    "\r\n",
    "\n",
    "GET / HTTP/1.1\r\n",
    " HTTP/1.1",
    "//",
    "/../",
    "/./",
    "%2e",
    "%2F",
    "%20",
    "..%2F",
    ";",
    "..",
    "[",
    "?",
    "http://a",
    ":80",
];

const RESPONSE_PARTS: &[&str] = &[
    "Content-Length: 5\r\n",
    "Content-Length: 05\r\n",
    "Content-Length: 7\r\n",
    "Content-Length: 5, 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, x-a, Server\r\n",
    "Connection: Content-Length\r\n",
    "X-A: b\r\n",
    "Keep-Alive: 5\r\n",
    "Upgrade: h2\r\n",
    "TE: a\r\n",
    "Proxy-Connection: a\r\n",
    "Trailer: a\r\n",
    " folded\r\n",
    "A: b\n",
    "A: b\r",
    "\r\n",
    "\n",
    "HTTP/1.1 200 OK\r\n",
    "101",
    "204",
    " ",
];
