use super::*;

/// Seeds with few bits set, which a poor expansion would show.
const SEEDS: [[u64; 2]; 4] = [[0, 0], [0, 1], [1 << 63, 0], [0x0123_4567_89ab_cdef, 0x0f1e_2d3c_4b5a_6978]];

fn hash(seed: [u64; 2], parts: &[&[u8]]) -> u64 {
    let mut hasher = Secrets::new(seed).hasher();
    hasher.word(7);
    parts.iter().for_each(|part| hasher.part(part));
    hasher.finish()
}

/// How many hashes occur more than once.
fn collisions(mut hashes: Vec<u64>) -> usize {
    hashes.sort_unstable();
    hashes.array_windows().filter(|[a, b]| a == b).count()
}

/// The largest share of a bucket over the mean, for the bits that the table uses: the low and the high ones.
fn unevenness(hashes: &[u64]) -> f64 {
    let mut worst = 0.0_f64;
    for bits in [0, 56] {
        let mut counts = [0_u32; 256];
        hashes.iter().for_each(|hash| counts[(hash >> bits) as usize & 0xff] += 1);
        let mean = hashes.len() as f64 / 256.0;
        worst = counts
            .iter()
            .fold(worst, |worst, &count| worst.max((f64::from(count) - mean).abs() / mean.sqrt()));
    }
    worst
}

#[test]
fn ten_million_addresses_do_not_collide_and_spread_evenly() {
    let hashes: Vec<u64> =
        (0..10_000_000_u32).map(|v4| hash(SEEDS[3], &[&(0x0a00_0000 + v4).to_be_bytes()])).collect();
    // A random function would have one collision in 370,000 such runs.
    assert!(unevenness(&hashes) < 6.0, "{}", unevenness(&hashes));
    assert_eq!(collisions(hashes), 0);
}

#[test]
fn structured_inputs_do_not_collide_and_spread_evenly_under_any_seed() {
    for seed in SEEDS {
        let counters = (0..300_000_u64).map(|n| hash(seed, &[&n.to_le_bytes()])).collect();
        let swapped = (0..300_000_u32).map(|n| hash(seed, &[&n.to_le_bytes()])).collect();
        let networks =
            (0..300_000_u64).map(|n| hash(seed, &[&(0x2001_0db8 << 32 | n).to_be_bytes()])).collect();
        let hosts =
            (0..300_000_u128).map(|n| hash(seed, &[&(0x2001_0db8 << 96 | n).to_be_bytes()])).collect();
        let multiples = (0..300_000_u64).map(|n| hash(seed, &[&(n << 40).to_le_bytes()])).collect();
        let texts = (0..300_000).map(|n| hash(seed, &[format!("user-{n}").as_bytes(), b"/login"])).collect();
        let pairs = (0..300_000_u32)
            .map(|n| hash(seed, &[&(n >> 9).to_be_bytes(), &(n & 511).to_be_bytes()]))
            .collect();
        let sparse = (0..64_u32)
            .flat_map(|a| (0..a).flat_map(move |b| (0..b).map(move |c| 1_u64 << a | 1 << b | 1 << c)))
            .map(|bits| hash(seed, &[&bits.to_le_bytes()]))
            .collect();
        let inputs: [Vec<u64>; 8] = [counters, swapped, networks, hosts, multiples, texts, pairs, sparse];
        for (which, hashes) in inputs.into_iter().enumerate() {
            assert!(unevenness(&hashes) < 6.0, "inputs {which}: {}", unevenness(&hashes));
            assert_eq!(collisions(hashes), 0, "inputs {which}");
        }
    }
}

/// Whatever bit of the input changes, each bit of the hash changes in about half of all cases.
#[test]
fn each_bit_of_the_input_changes_each_bit_of_the_hash_half_the_time() {
    const TRIES: u32 = 20_000;
    for seed in SEEDS {
        for bit in 0..64 {
            let mut flips = [0_u32; 64];
            for turn in 0..u64::from(TRIES) {
                let word = turn.wrapping_mul(GOLDEN);
                let changed =
                    hash(seed, &[&word.to_le_bytes()]) ^ hash(seed, &[&(word ^ 1 << bit).to_le_bytes()]);
                for (at, flips) in flips.iter_mut().enumerate() {
                    *flips += (changed >> at) as u32 & 1;
                }
            }
            for (at, flips) in flips.into_iter().enumerate() {
                let share = f64::from(flips) / f64::from(TRIES);
                assert!((0.45..0.55).contains(&share), "{seed:x?}: bit {bit} changes bit {at} with {share}");
            }
        }
    }
}

#[test]
fn each_bit_of_the_seed_changes_all_secrets() {
    let plain = Secrets::new([3, 5]);
    for bit in 0..128_u32 {
        let flipped = (3_u128 << 64 | 5) ^ 1 << bit;
        let other = Secrets::new([(flipped >> 64) as u64, flipped as u64]);
        for (a, b) in [(plain.start, other.start), (plain.each, other.each), (plain.last, other.last)] {
            assert!((10..=54).contains(&(a ^ b).count_ones()), "bit {bit}: {:x}", a ^ b);
        }
    }
}
