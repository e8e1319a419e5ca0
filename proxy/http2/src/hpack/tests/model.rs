//! The dynamic table against the simplest one there is, and the decoder against what nobody would send.

use super::super::table::{STATIC, Table, index_of_name};
use super::{Decoder, Encoder, Fields, dynamic, read};
use proptest::prelude::*;

/// A dynamic table as RFC 7541, section 4, describes it.
struct Model {
    entries: Fields,
    limit: usize,
}

impl Model {
    fn size(&self) -> usize {
        self.entries.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        self.entries.insert(0, (name.to_vec(), value.to_vec()));
        self.set_limit(self.limit);
    }

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        while self.size() > limit {
            self.entries.pop();
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add { name: Vec<u8>, value: Vec<u8> },
    Limit(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let octets = |length| prop::collection::vec(any::<u8>(), length);
    let step = prop_oneof![
        8 => (octets(0..30), octets(0..100)).prop_map(|(name, value)| Step::Add { name, value }),
        4 => (octets(0..3), octets(0..3)).prop_map(|(name, value)| Step::Add { name, value }),
        2 => (octets(0..600), octets(0..1500)).prop_map(|(name, value)| Step::Add { name, value }),
        1 => octets(3990..4140).prop_map(|value| Step::Add { name: Vec::new(), value }),
        1 => (0_usize..=4096).prop_map(Step::Limit),
        1 => Just(Step::Limit(4096)),
    ];
    prop::collection::vec(step, 0..200)
}

/// Entries of at least 32 octets, whose places are rounded up to a power of two, and the buffer.
const HELD_MAX: usize = 4096 + 128 * 6;

proptest! {
    #[test]
    fn the_table_does_as_the_model(steps in steps()) {
        let mut table = Table::new();
        let mut model = Model { entries: Fields::new(), limit: 4096 };
        for step in steps {
            match step {
                Step::Add { name, value } => {
                    table.add(&name, &value);
                    model.add(&name, &value);
                }
                Step::Limit(limit) => {
                    table.set_limit(limit).unwrap();
                    model.set_limit(limit);
                }
            }
            let (size, entries, held) = table.measures();
            prop_assert_eq!(size, model.size());
            prop_assert_eq!(entries, model.entries.len());
            prop_assert!(held <= HELD_MAX, "{} bytes", held);
            for (nth, (name, value)) in model.entries.iter().enumerate() {
                prop_assert_eq!(table.get(62 + nth), Some((&name[..], &value[..])));
            }
            prop_assert_eq!(table.get(62 + entries), None);
        }
    }

    /// A block of nothing but octets, in which each kind of field is as likely as it can be.
    #[test]
    fn nothing_that_comes_makes_it_panic_or_grow(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
    ) {
        let mut decoder = Decoder::new();
        for block in blocks {
            let _ = read(&mut decoder, &block);
            let (size, _, held) = decoder.table.measures();
            prop_assert!(size <= 4096 && held <= HELD_MAX);
        }
    }
}

/// Blocks that are right but for a few octets get further in than those that are all wrong.
#[test]
fn nothing_that_is_nearly_right_makes_it_panic_or_grow() {
    let mut random = fastrand::Rng::with_seed(7541);
    let (mut whole, mut broken) = (0, 0);
    for _ in 0..3000 {
        let mut decoder = Decoder::new();
        for _ in 0..random.usize(1..8) {
            let mut block = plausible(&mut random);
            for _ in 0..random.usize(0..3) {
                let at = random.usize(0..block.len());
                match random.u8(0..4) {
                    0 => block[at] = random.u8(..),
                    1 => block[at] ^= 1 << random.u8(0..8),
                    2 => block.insert(at, random.u8(..)),
                    _ => block.truncate(at.max(1)),
                }
            }
            let outcome = read(&mut decoder, &block);
            let (size, entries, held) = decoder.table.measures();
            assert!(size <= 4096 && held <= HELD_MAX);
            assert_eq!(entries, dynamic(&decoder).len());
            if outcome.is_err() {
                broken += 1;
                break;
            }
            whole += 1;
        }
    }
    assert!(whole > 1000 && broken > 1000, "{whole} blocks are right and {broken} are not");
}

/// A block of fields of all kinds, with indexes that are mostly there and strings that are mostly in the code.
fn plausible(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut block = Vec::new();
    if random.u8(0..8) == 0 {
        block.extend([0x3f, random.u8(..) | 0x80, random.u8(0..0x20)]);
    }
    for _ in 0..random.usize(1..12) {
        let first = match random.u8(0..4) {
            0 => {
                block.push(0x80 | random.u8(1..70));
                continue;
            }
            1 => 0x00,
            2 => 0x10,
            _ => 0x40,
        };
        match random.u8(0..3) {
            0 => {
                block.push(first);
                string(random, &mut block, 20);
            }
            _ => block.push(first | random.u8(1..15)),
        }
        string(random, &mut block, 120);
    }
    block
}

fn string(random: &mut fastrand::Rng, block: &mut Vec<u8>, longest: u8) {
    let length = random.u8(0..longest);
    let huffman = random.bool();
    block.push(if huffman { 0x80 | length } else { length });
    // Codes of five bits begin with a zero; the end is padding or, when it is not, wrong.
    block.extend((1..length).map(|_| if huffman { random.u8(..) & 0x77 } else { random.u8(..) }));
    if length > 0 {
        block.push(if huffman { 0x07 } else { b'x' });
    }
}

#[test]
fn every_static_name_is_found_in_any_case_and_no_other() {
    for (nth, (name, _)) in STATIC.iter().enumerate() {
        let first = STATIC.iter().position(|(other, _)| other == name).unwrap();
        assert_eq!(index_of_name(name), Some(first as u8 + 1), "row {nth}");
        assert_eq!(index_of_name(&name.to_ascii_uppercase()), Some(first as u8 + 1));
        for at in 0..name.len() {
            let mut other = name.to_vec();
            other[at] = b'_';
            assert_eq!(index_of_name(&other), None);
        }
        assert_eq!(index_of_name(&name[..name.len() - 1]), None);
        assert_eq!(index_of_name(&[name, &b"x"[..]].concat()), None);
    }
    assert_eq!(index_of_name(b""), None);
    assert_eq!(index_of_name(b"x-forwarded-for"), None);
    assert_eq!(index_of_name(&[b'x'; 1000]), None);
}

proptest! {
    #[test]
    fn any_field_comes_back_with_its_name_in_lower_case(
        fields in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..200), prop::collection::vec(any::<u8>(), 0..20_000)), 0..5
        ),
    ) {
        let mut encoder = Encoder::new();
        let mut block = Vec::new();
        encoder.begin(&mut block);
        for (name, value) in &fields {
            encoder.field(&mut block, name, value);
        }
        let expected: Fields =
            fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        prop_assert_eq!(read(&mut Decoder::new(), &block).unwrap(), expected);
    }
}
