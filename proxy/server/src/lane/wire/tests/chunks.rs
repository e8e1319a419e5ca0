use proptest::prelude::*;

use super::*;

/// Feeds `pieces` one after the other; the end counts from the first byte of all.
fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Progress, BadChunk> {
    let mut chunks = Chunks::new();
    let mut before = 0;
    for piece in pieces {
        match chunks.feed(piece)? {
            Progress::More => before += piece.len(),
            Progress::End(at) => return Ok(Progress::End(before + at)),
        }
    }
    Ok(Progress::More)
}

#[test]
fn finds_the_end() {
    for body in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "A\r\n0123456789\r\na\r\n\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n",
        "0000000000000005\r\nhello\r\n0000\r\n\r\n",
        "5;name=\"va;lue\"\r\nhello\r\n0;x\r\n\r\n",
        "5 \t;a\r\nhello\r\n0\r\n\r\n",
        "5  \r\nhello\r\n0\r\n\r\n",
        "0\r\nX-Sum: 1\r\nY:\r\n\r\n",
    ] {
        let whole = [body, "GET / HTTP/1.1\r\n"].concat();
        // The third one ends at its first zero chunk that is not data.
        let expected = naive::chunked_end(whole.as_bytes());
        assert!(expected.is_some(), "{}", body.escape_debug());
        assert_eq!(feed([whole.as_bytes()]), Ok(Progress::End(expected.unwrap())), "{}", body.escape_debug());
    }
    assert_eq!(feed([&b"5\r\nhello\r\n0\r\n\r\nx"[..]]), Ok(Progress::End(15)));
}

#[test]
fn refuses_what_two_readers_could_see_differently() {
    let bound = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(257));
    let trailers = format!("0\r\n{}\r\n", "A: bcdef\r\n".repeat(1025));
    for body in [
        "\r\n",
        "\n",
        ";\r\n",
        " 5\r\nhello\r\n",
        "+5\r\n",
        "-5\r\n",
        "0x5\r\n",
        "5h\r\n",
        "5 5\r\nhello\r\n",
        "5 a=b\r\nhello\r\n",
        "5\nhello\r\n",
        "5\r\r\nhello",
        "5\rhello",
        "5;a\nhello\r\n",
        "5;a\rb\r\n",
        "5;\0\r\n",
        "5;\x7f\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n",
        "5\r\nhello!\r\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\r\nA\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\nA: b\0\r\n\r\n",
        "00000000000000005\r\nhello\r\n",
        "10000000000000000\r\n",
        &bound,
        &trailers,
    ] {
        assert_eq!(feed([body.as_bytes()]), Err(BadChunk), "{}", body.escape_debug());
        assert_eq!(feed(body.as_bytes().chunks(1)), Err(BadChunk), "{}", body.escape_debug());
    }
}

#[test]
fn the_bounds_are_exact() {
    let extension = format!("5;{}\r\nhello\r\n", "x".repeat(256));
    assert_eq!(feed([extension.repeat(100).as_bytes()]), Ok(Progress::More), "bounded a chunk, not a body");
    let trailers = format!("0\r\n{}\r\n", "A: bcdef\r\n".repeat(1024));
    assert_eq!(feed([trailers.as_bytes()]), Ok(Progress::End(trailers.len())));
}

#[test]
fn the_largest_chunk_does_not_overflow() {
    for size in ["FFFFFFFFFFFFFFF", "0FFFFFFFFFFFFFFF"] {
        let mut chunks = Chunks::new();
        assert_eq!(chunks.feed(format!("{size}\r\n").as_bytes()), Ok(Progress::More));
        assert_eq!(chunks.feed(&[b'x'; 100_000]), Ok(Progress::More));
    }
    for size in ["1000000000000000", "8000000000000000", "FFFFFFFFFFFFFFFF"] {
        assert_eq!(Chunks::new().feed(size.as_bytes()), Err(BadChunk), "{size}");
    }
}

#[test]
fn the_end_and_an_error_stay() {
    let mut chunks = Chunks::new();
    assert_eq!(chunks.feed(b"0\r\n\r\nrest"), Ok(Progress::End(5)));
    assert_eq!(chunks.feed(b"rest"), Ok(Progress::End(0)));
    let mut chunks = Chunks::new();
    assert_eq!(chunks.feed(b"x"), Err(BadChunk));
    assert_eq!(chunks.feed(b""), Err(BadChunk));
    assert_eq!(chunks.feed(b"0\r\n\r\n"), Err(BadChunk));
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), 1..40), prop_oneof![Just(""), Just(";a"), Just(" ; a=\"b\"")])
        .prop_map(|(data, extension)| {
            [format!("{:x}{extension}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()
        })
}

/// Mostly sound bodies, with up to two bytes replaced.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let last = prop_oneof![Just("0\r\n\r\n"), Just("0\r\nA: b\r\n\r\n"), Just("")];
    let odd = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b';'), Just(b' '), any::<u8>()];
    let harm = prop::collection::vec((any::<prop::sample::Index>(), odd), 0..3);
    (prop::collection::vec(chunk(), 0..6), last, harm).prop_map(|(chunks, last, harm)| {
        let mut body = [&chunks.concat(), last.as_bytes(), b"next"].concat();
        for (at, byte) in harm {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_naive_reader(body in body()) {
        let end = match feed([&body[..]]) {
            Ok(Progress::End(at)) => Some(at),
            _ => None,
        };
        prop_assert_eq!(end, naive::chunked_end(&body));
    }

    #[test]
    fn pieces_make_no_difference(body in body(), size in 1..20usize) {
        let whole = feed([&body[..]]);
        for at in 0..=body.len() {
            let (a, b) = body.split_at(at);
            prop_assert_eq!(feed([a, b]), whole);
        }
        prop_assert_eq!(feed(body.chunks(size)), whole);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
        let _ = feed(pieces.iter().map(|piece| &piece[..]));
    }
}

/// Passes a body on as the relay does: what is kept of each piece, and an empty line for dropped trailers.
fn pass<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut chunks = Chunks::new();
    let mut passed = Vec::new();
    for piece in pieces {
        let progress = chunks.feed(piece).unwrap();
        passed.extend_from_slice(&piece[..chunks.kept(piece.len())]);
        if progress != Progress::More && chunks.has_trailers() {
            passed.extend_from_slice(b"\r\n");
        }
    }
    passed
}

#[test]
fn trailer_fields_are_dropped_wherever_the_pieces_end() {
    let body = b"3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n";
    let plain = b"3\r\nabc\r\n0\r\n\r\n";
    for size in 1..=body.len() {
        assert_eq!(pass(body.chunks(size)), plain, "in pieces of {size}");
        assert_eq!(pass(plain.chunks(size)), plain, "in pieces of {size}");
    }
}
