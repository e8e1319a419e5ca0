use super::*;
use expect_test::{Expect, expect};
use fastrand::Rng;

/// As `fieldpath.FormatMap` of Kubernetes with `%q` of Go writes it; written from their documentation, apart from the
/// parser.
fn format(annotations: &BTreeMap<String, String>) -> String {
    let lines: Vec<_> =
        annotations.iter().map(|(key, value)| format!("{key}=\"{}\"", quote(value))).collect();
    lines.join("\n")
}

fn quote(value: &str) -> String {
    let mut quoted = String::new();
    for letter in value.chars() {
        match letter {
            '\u{7}' => quoted += r"\a",
            '\u{8}' => quoted += r"\b",
            '\u{c}' => quoted += r"\f",
            '\n' => quoted += r"\n",
            '\r' => quoted += r"\r",
            '\t' => quoted += r"\t",
            '\u{b}' => quoted += r"\v",
            '\\' => quoted += r"\\",
            '"' => quoted += r#"\""#,
            '\0'..='\u{1f}' | '\u{7f}' => quoted += &format!(r"\x{:02x}", u32::from(letter)),
            // Some of those that Go does not print: the one that has four digits, and the one that has eight.
            '\u{80}'..='\u{a0}' | '\u{2028}' => quoted += &format!(r"\u{:04x}", u32::from(letter)),
            '\u{e0001}' => quoted += &format!(r"\U{:08x}", u32::from(letter)),
            _ => quoted.push(letter),
        }
    }
    quoted
}

fn check_mistakes(text: &[u8], expected: &Expect) {
    let lines: Vec<_> = parse(text).unwrap_err().iter().map(|mistake| format!("{mistake}\n")).collect();
    expected.assert_eq(&lines.concat());
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[test]
fn a_file_of_the_kubelet_is_read() {
    let text = br#"kubernetes.io/config.seen="2026-11-21T09:35:00.123456789Z"
kubernetes.io/config.source="api"
prometheus.io/scrape="true"
weir.dev/limit-overrides="- path: /login\n  rpm: 10\n- {path: \"/a\\\\b\", rps: 1}\n"
weir.dev/limit-rps="5""#;
    let expected = pairs([
        ("kubernetes.io/config.seen", "2026-11-21T09:35:00.123456789Z"),
        ("kubernetes.io/config.source", "api"),
        ("prometheus.io/scrape", "true"),
        ("weir.dev/limit-overrides", "- path: /login\n  rpm: 10\n- {path: \"/a\\\\b\", rps: 1}\n"),
        ("weir.dev/limit-rps", "5"),
    ]);
    assert_eq!(parse(text), Ok(expected));
}

#[test]
fn every_escape_is_read() {
    let text = br#"a="\a\b\f\n\r\t\v\\\"\x00\x7f\u00e9\u2028\U000e0001\U0001F600 \xff=x""#;
    let value = "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\"\0\u{7f}é\u{2028}\u{e0001}😀 \u{fffd}=x";
    assert_eq!(parse(text), Ok(pairs([("a", value)])));
    // Bytes that make a character together.
    assert_eq!(parse(br#"a="\xc3\xa9""#), Ok(pairs([("a", "é")])));
}

#[test]
fn a_pod_without_annotations_has_an_empty_file() {
    assert_eq!(parse(b""), Ok(BTreeMap::new()));
    assert_eq!(parse(b"\n"), Ok(BTreeMap::new()));
    assert_eq!(parse(b"a=\"\"\n"), Ok(pairs([("a", "")])));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    check_mistakes(
        b"weir.dev/limit-rps=5\nok=\"1\"\nok=\"2\"\n\n=\"x\"\na b=\"x\"\nc=\"x\" \nd=\"x\ne=\"\\q\"\nf=\"\\x4\"\ng=\"\\ud800\"\n\
          h=\"\\U00110000\"\ni=\"\\u+123\"\nj=\"\t\"\nk=\"\xff\"\nl: x\nm=\"\\'\"\nn=\"x\\",
        &expect![[r#"
            line 1: expected key="value"
            line 3: expected each key once, found one that was there before
            line 4: expected key="value"
            line 5: expected the key of an annotation before `=`
            line 6: expected the key of an annotation before `=`
            line 7: expected the end of the line behind the second quote (in c)
            line 8: expected a quote at the end of the value, found the end of the line (in d)
            line 9: expected one of a, b, f, n, r, t, v, x, u, U, \ and " behind a backslash (in e)
            line 10: expected \xNN, \uNNNN or \UNNNNNNNN with the number of a character in hexadecimal digits (in f)
            line 11: expected \xNN, \uNNNN or \UNNNNNNNN with the number of a character in hexadecimal digits (in g)
            line 12: expected \xNN, \uNNNN or \UNNNNNNNN with the number of a character in hexadecimal digits (in h)
            line 13: expected \xNN, \uNNNN or \UNNNNNNNN with the number of a character in hexadecimal digits (in i)
            line 14: expected an escape, found the character U+0009 (in j)
            line 15: expected UTF-8, found another byte at column 4
            line 16: expected key="value"
            line 17: expected one of a, b, f, n, r, t, v, x, u, U, \ and " behind a backslash (in m)
            line 18: expected one of a, b, f, n, r, t, v, x, u, U, \ and " behind a backslash (in n)
        "#]],
    );
}

#[test]
fn half_a_file_is_a_mistake_unless_it_ends_with_a_line() {
    let text = format(&pairs([("a.test/x", "1 \"2\" \n"), ("weir.dev/limit-rps", "5")]));
    for end in 1..text.len() {
        let lines = text[..end].ends_with('"') && !text[..end].ends_with("\\\"");
        let whole = lines && !text[..end].ends_with("=\"") || text[..end].ends_with('\n');
        assert_eq!(parse(&text.as_bytes()[..end]).is_ok(), whole, "{}", &text[..end]);
    }
}

#[test]
fn only_so_many_mistakes_are_told() {
    assert_eq!(parse("x\n".repeat(100_000).as_bytes()).unwrap_err().len(), MOST_MISTAKES);
}

fn letter(random: &mut Rng) -> char {
    let letter = match random.u8(..4) {
        0 => LETTERS[random.usize(..LETTERS.len())],
        1 => random.char(..),
        _ => char::from(random.u8(..0x80)),
    };
    // Which others Go escapes does not matter: what it does not escape is read as it is.
    if letter.is_control() && !letter.is_ascii() && !('\u{80}'..='\u{a0}').contains(&letter) {
        'x'
    } else {
        letter
    }
}

fn seed() -> u64 {
    std::env::var("WEIR_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

#[test]
fn whatever_is_written_is_read_back() {
    let mut random = Rng::with_seed(seed());
    for round in 0..3_000 {
        let annotations: BTreeMap<String, String> = (0..random.usize(..6))
            .map(|n| {
                let value = (0..random.usize(..40)).map(|_| letter(&mut random)).collect();
                (format!("{}/{n}", KEYS[random.usize(..KEYS.len())]), value)
            })
            .collect();
        let text = format(&annotations);
        assert_eq!(parse(text.as_bytes()), Ok(annotations), "seed {}, round {round}: {text}", seed());
    }
}

/// Bytes are changed, and whatever can still be read has one line for each annotation.
#[test]
fn garbage_does_no_harm() {
    let mut random = Rng::with_seed(seed());
    let good = format(&pairs([
        ("a.test/x", "\n\t\u{7f}\u{2028}\u{e0001} é"),
        ("nginx.ingress.kubernetes.io/limit-rpm", "300"),
        ("weir.dev/limit-overrides", "- {path: \"/login\", rpm: 1}\n"),
        ("weir.dev/limit-rps", "5"),
    ]));
    let mut read = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..=random.usize(..3) {
            let at = random.usize(..bytes.len());
            match random.usize(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes.insert(at, br#""\=xuU0n"#[random.usize(..8)]),
                _ => drop(bytes.remove(at)),
            }
        }
        match parse(&bytes) {
            Ok(annotations) => {
                read += 1;
                assert!(annotations.len() <= bytes.split(|byte| *byte == b'\n').count());
            }
            Err(mistakes) => assert!(!mistakes.is_empty() && mistakes.iter().all(|mistake| mistake.line > 0)),
        }
    }
    assert!((1_000..19_000).contains(&read), "{read} could be read");
}

const LETTERS: [char; 10] = ['"', '\\', '\n', '=', '\u{2028}', '\u{e0001}', 'é', '😀', '\u{fffd}', '\0'];
const KEYS: [&str; 3] = ["weir.dev", "nginx.ingress.kubernetes.io", "a-b.example.com"];
