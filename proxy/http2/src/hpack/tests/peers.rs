//! The same blocks as another implementation writes and reads them: Debian's python3-hpack.
//!
//! Where it is not installed these tests say so and pass, unless `WEIR_TEST_PEERS=required`.

use super::super::table::STATIC;
use super::{Decoder, Encoder, Fields, octets, read};
use std::io::Write as _;
use std::process::{Command, Stdio};

#[test]
fn what_python_writes_is_read() {
    let mut random = fastrand::Rng::with_seed(2026);
    let mut orders = String::new();
    let mut expected = Vec::new();
    for _ in 0..400 {
        let fields: Fields = (0..random.usize(1..20)).map(|_| field(&mut random)).collect();
        // A new size of the table now and then, twice for one block too.
        let sizes = if random.u8(0..10) == 0 { random.usize(1..=2) } else { 0 };
        let sizes: Vec<_> = (0..sizes).map(|_| random.usize(0..=4096).to_string()).collect();
        let huffman = u8::from(random.u8(0..4) > 0);
        orders += &format!("{huffman} {} {}\n", or_dash(&sizes.join(",")), line(&fields));
        expected.push(fields);
    }
    let Some(blocks) = python(WRITE, &orders) else { return };
    let blocks: Vec<_> = blocks.lines().map(octets).collect();
    assert_eq!(blocks.len(), expected.len());
    let mut decoder = Decoder::new();
    for (block, fields) in blocks.iter().zip(&expected) {
        assert_eq!(&read(&mut decoder, block).unwrap(), fields);
    }
}

#[test]
fn every_octet_is_read_as_python_writes_it() {
    let values = || (0..=255_u8).map(|octet| vec![b'a', octet, octet, octet, octet, octet]);
    let orders: String =
        values().map(|value| format!("1 - {}\n", line(&vec![(b"x".to_vec(), value)]))).collect();
    let Some(blocks) = python(WRITE, &orders) else { return };
    let mut decoder = Decoder::new();
    for (block, value) in blocks.lines().zip(values()) {
        assert_eq!(read(&mut decoder, &octets(block)).unwrap(), [(b"x".to_vec(), value)]);
    }
    assert_eq!(blocks.lines().count(), 256);
}

#[test]
fn python_reads_what_is_written_here() {
    let mut random = fastrand::Rng::with_seed(7541);
    let mut encoder = Encoder::new();
    let mut orders = String::new();
    let mut expected = String::new();
    for _ in 0..400 {
        let status = random.u16(100..=999);
        let mut fields = vec![(b":status".to_vec(), status.to_string().into_bytes())];
        let mut block = Vec::new();
        encoder.begin(&mut block);
        encoder.status(&mut block, status);
        for _ in 0..random.usize(0..20) {
            let (name, value) = field(&mut random);
            encoder.field(&mut block, &name.to_ascii_uppercase(), &value);
            fields.push((name, value));
        }
        orders += &format!("{}\n", hex(&block));
        expected += &format!("{}\n", line(&fields));
    }
    let Some(seen) = python(READ, &orders) else { return };
    assert!(seen == expected, "python reads other fields");
}

/// A field as they come: names from a few, so that tables have something to find, and values that return or not.
fn field(random: &mut fastrand::Rng) -> (Vec<u8>, Vec<u8>) {
    let name = match random.u8(0..3) {
        0 => format!("x-{}", random.u8(0..20)).into_bytes(),
        _ => STATIC[random.usize(0..STATIC.len())].0.to_vec(),
    };
    let value = match random.u8(0..8) {
        0 => Vec::new(),
        1 => STATIC[random.usize(0..STATIC.len())].1.to_vec(),
        2..5 => format!("value-{}", random.u8(0..10)).into_bytes(),
        5 => (0..random.usize(0..20)).map(|_| random.u8(..)).collect(),
        6 => (0..random.usize(0..300)).map(|_| random.u8(b' '..=b'~')).collect(),
        _ => (0..random.usize(0..2) * 5000).map(|_| random.u8(b'a'..=b'z')).collect(),
    };
    (name, value)
}

/// Fields as the programs below have them: in hexadecimal, a space behind each part but the last.
fn line(fields: &Fields) -> String {
    let parts: Vec<_> = fields.iter().map(|(name, value)| format!("{}:{}", hex(name), hex(value))).collect();
    parts.join(" ")
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// What the program prints when it is given `input`, if there is a Python with this module.
fn python(program: &str, input: &str) -> Option<String> {
    let found = Command::new(PYTHON).args(["-c", "import hpack"]).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        let required = std::env::var("WEIR_TEST_PEERS").is_ok_and(|value| value == "required");
        assert!(!required, "{PYTHON} has no module hpack");
        // Past the capture of a test that passes.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: {PYTHON} has no module hpack\n"),
        );
        return None;
    }
    let mut command = Command::new(PYTHON);
    command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Both programs read all before they write.
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Debian's packages of modules are for this one.
const PYTHON: &str = "/usr/bin/python3";

const WRITE: &str = r#"
import sys, hpack
encoder = hpack.Encoder()
for line in sys.stdin.readlines():
    huffman, sizes, *fields = line.split()
    for size in sizes.split(",") if sizes != "-" else []:
        encoder.header_table_size = int(size)
    fields = [tuple(bytes.fromhex(part) for part in field.split(":")) for field in fields]
    print(encoder.encode(fields, huffman=huffman == "1").hex())
"#;

const READ: &str = r#"
import sys, hpack
decoder = hpack.Decoder(max_header_list_size=1 << 20)
for line in sys.stdin.readlines():
    fields = decoder.decode(bytes.fromhex(line.strip()), raw=True)
    print(" ".join(name.hex() + ":" + value.hex() for name, value in fields))
"#;
