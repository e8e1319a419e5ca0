//! What the parts of this module promise together; `examples` and `peers` have what others say.

mod examples;
mod model;
mod peers;
mod strings;

use super::{Broken, Decoder, Encoder};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The fields of a block.
fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, Broken> {
    let mut fields = Fields::new();
    decoder.decode(block, |name, value| fields.push((name.to_vec(), value.to_vec())))?;
    Ok(fields)
}

/// The fields of a block that is the first of a connection.
fn read_first(block: &[u8]) -> Result<Fields, Broken> {
    read(&mut Decoder::new(), block)
}

fn fields(texts: &[(&str, &str)]) -> Fields {
    texts.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// Octets from hexadecimal digits with spaces between them.
fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// The dynamic entries, the newest first.
fn dynamic(decoder: &Decoder) -> Fields {
    (62..)
        .map_while(|index| decoder.table.get(index))
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

#[test]
fn there_is_nothing_at_index_zero_nor_beyond_the_tables() {
    assert_eq!(read_first(&[0x80]), Err(Broken::BadIndex));
    assert_eq!(read_first(&[0x80 | 62]), Err(Broken::BadIndex));
    // The same where the index is that of a name.
    assert_eq!(read_first(&[0x40 | 62, 0]), Err(Broken::BadIndex));
    assert_eq!(read_first(&[0x0f, 62 - 15, 0]), Err(Broken::BadIndex));
    assert_eq!(read_first(&[0x80 | 61]).unwrap(), fields(&[("www-authenticate", "")]));

    let mut decoder = Decoder::new();
    let added = octets("40 01 61 01 62");
    assert_eq!(read(&mut decoder, &added).unwrap(), fields(&[("a", "b")]));
    assert_eq!(read(&mut decoder, &[0x80 | 62]).unwrap(), fields(&[("a", "b")]));
    assert_eq!(read(&mut decoder, &[0x80 | 63]), Err(Broken::BadIndex));
}

#[test]
fn fields_before_a_fault_are_given() {
    let mut seen = 0;
    assert_eq!(Decoder::new().decode(&[0x82, 0x84, 0x80], |_, _| seen += 1), Err(Broken::BadIndex));
    assert_eq!(seen, 2);
}

#[test]
fn a_block_that_ends_within_a_field_is_truncated() {
    // A size update, an index of two octets, literals of each kind with and without a name.
    let whole = octets(
        "3f e1 1f  ff 00  40 02 61 62 01 63  44 01 2f  00 01 61 81 1f  10 01 61 00  0f 20 03 61 62 63",
    );
    let mut decoder = Decoder::new();
    // Index 127 has to be there.
    read(&mut decoder, &[0x40, 0, 0].repeat(66)).unwrap();
    read(&mut decoder, &whole).unwrap();
    let mut ends = vec![3, 5, 11, 14, 19, 23, 29];
    assert_eq!(whole.len(), ends.pop().unwrap());
    for length in 1..whole.len() {
        let mut decoder = Decoder::new();
        read(&mut decoder, &[0x40, 0, 0].repeat(66)).unwrap();
        let outcome = read(&mut decoder, &whole[..length]);
        if ends.contains(&length) {
            outcome.unwrap();
        } else {
            assert_eq!(outcome, Err(Broken::Truncated), "{length} octets");
        }
    }
}

#[test]
fn size_updates_come_first_and_at_most_twice_and_within_what_was_granted() {
    let to_4096 = octets("3f e1 1f");
    let to_4097 = octets("3f e2 1f");
    assert_eq!(read_first(&to_4096), Ok(vec![]));
    assert_eq!(read_first(&to_4097), Err(Broken::BadTableSize));
    assert_eq!(read_first(&[0x20]), Ok(vec![]));
    assert_eq!(read_first(&[0x20, 0x3f, 0xe1, 0x1f, 0x82]).unwrap().len(), 1);
    assert_eq!(read_first(&[0x20, 0x20, 0x20]), Err(Broken::BadTableSize));
    assert_eq!(read_first(&[0x82, 0x20]), Err(Broken::BadTableSize));
    assert_eq!(read_first(&[0x20, 0x82, 0x20]), Err(Broken::BadTableSize));
}

#[test]
fn a_size_update_drops_what_no_longer_fits_at_once() {
    let mut decoder = Decoder::new();
    read(&mut decoder, &octets("40 01 61 01 62  40 01 63 01 64")).unwrap();
    assert_eq!(decoder.table.measures().0, 68);
    // To 67, and back: the older one is gone.
    read(&mut decoder, &octets("3f 24 3f e1 1f")).unwrap();
    assert_eq!(dynamic(&decoder), fields(&[("c", "d")]));
    // To 34, which is just its size, and to 33.
    read(&mut decoder, &octets("3f 03")).unwrap();
    assert_eq!(dynamic(&decoder), fields(&[("c", "d")]));
    read(&mut decoder, &octets("3f 02")).unwrap();
    assert_eq!(dynamic(&decoder), fields(&[]));
}

/// RFC 7541, section 4.4: the name may be that of an entry which goes.
#[test]
fn an_entry_that_takes_its_name_from_the_one_it_displaces_has_it() {
    let mut decoder = Decoder::new();
    let mut block = octets("40 04 6e 61 6d 65 7f f1 1e");
    block.extend([b'x'; 4080]);
    assert_eq!(read(&mut decoder, &block).unwrap()[0].1.len(), 4080);
    assert_eq!(dynamic(&decoder), fields(&[]), "larger than the table");

    let mut block = octets("40 04 6e 61 6d 65 7f d1 1e");
    block.extend([b'x'; 4048]);
    read(&mut decoder, &block).unwrap();
    assert_eq!(dynamic(&decoder).len(), 1);
    let mut block = octets("7e 7f d1 1e");
    block.extend([b'y'; 4048]);
    let read = read(&mut decoder, &block).unwrap();
    assert_eq!(read, [(b"name".to_vec(), vec![b'y'; 4048])]);
    assert_eq!(dynamic(&decoder), read);
}

#[test]
fn what_the_encoder_writes_is_read() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new();
    for status in 100..=999 {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        encoder.status(&mut block, status);
        encoder.field(&mut block, b"Content-Type", b"text/html");
        encoder.field(&mut block, b"X-Request-ID", &vec![b'7'; usize::from(status)]);
        encoder.field(&mut block, b"Set-Cookie", b"a=b");
        encoder.field(&mut block, b"", b"");
        let expected = fields(&[
            (":status", &status.to_string()),
            ("content-type", "text/html"),
            ("x-request-id", &"7".repeat(status.into())),
            ("set-cookie", "a=b"),
            ("", ""),
        ]);
        assert_eq!(read(&mut decoder, &block).unwrap(), expected);
        assert_eq!(decoder.table.measures(), (0, 0, 0), "no field is added");
    }
}

#[test]
fn the_encoder_writes_the_shortest_form_without_a_table() {
    let mut encoder = Encoder::new();
    let mut written = |what: &dyn Fn(&Encoder, &mut Vec<u8>)| {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        what(&encoder, &mut block);
        block
    };
    // Only the first block says that there is no table.
    assert_eq!(written(&|encoder, out| encoder.status(out, 200)), [0x20, 0x88]);
    for (status, octet) in
        [(200, 0x88), (204, 0x89), (206, 0x8a), (304, 0x8b), (400, 0x8c), (404, 0x8d), (500, 0x8e)]
    {
        assert_eq!(written(&|encoder, out| encoder.status(out, status)), [octet]);
    }
    assert_eq!(written(&|encoder, out| encoder.status(out, 503)), *b"\x08\x03503");
    assert_eq!(written(&|encoder, out| encoder.field(out, b"Date", b"now")), *b"\x0f\x12\x03now");
    assert_eq!(written(&|encoder, out| encoder.field(out, b"X-A", b"")), *b"\x00\x03x-a\x00");
    let secrets = [
        "Authorization",
        "cookie",
        "Set-Cookie",
        "WWW-Authenticate",
        "Proxy-Authenticate",
        "X-API-Key",
        "x-auth-token",
    ];
    for name in secrets {
        let block = written(&|encoder, out| encoder.field(out, name.as_bytes(), b"s"));
        assert_eq!(block[0] & 0xf0, 0x10, "{name}");
        assert_eq!(read_first(&block).unwrap(), fields(&[(&name.to_ascii_lowercase(), "s")]));
    }
}

#[test]
fn errors_say_what_is_wrong_and_nothing_of_what_was_sent() {
    use std::error::Error as _;
    let all =
        [Broken::BadIndex, Broken::BadInteger, Broken::BadHuffman, Broken::BadTableSize, Broken::Truncated];
    for broken in all {
        assert!(broken.to_string().starts_with("header block: "));
        assert!(broken.source().is_none());
    }
}
