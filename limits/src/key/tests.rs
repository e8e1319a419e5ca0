use super::*;

fn seed() -> Seed {
    Seed::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677)
}

#[test]
fn parts_do_not_run_into_each_other() {
    let rule = seed().rule_id("rule");
    let lists: [&[&[u8]]; 15] = [
        &[],
        &[b""],
        &[b"", b""],
        &[b"ab", b"c"],
        &[b"a", b"bc"],
        &[b"abc"],
        &[b"ab", b"c", b""],
        &[b"abc\0"],
        &[b"abc\0\0\0\0\0"],
        &[b"\0\0\0\0\0\0\0\0"],
        // The words of this one part are those of a part and the length of another.
        &[b"abcdefgh\x08\0\0\0\0\0\0\xff"],
        &[b"abcdefgh", b""],
        &[b"a\0"],
        &[b"a"],
        &[b"abcdefgh", b"\0\0\0\0\0\0\0\0"],
    ];
    for (i, left) in lists.iter().enumerate() {
        for right in &lists[..i] {
            assert_ne!(seed().key(rule, left), seed().key(rule, right), "{left:?} and {right:?}");
        }
    }
}

#[test]
fn keys_depend_on_seed_and_rule() {
    let other = Seed::from_u128(1);
    let rule = seed().rule_id("rule");
    assert_ne!(seed().key(rule, &[b"a"]), other.key(rule, &[b"a"]));
    assert_ne!(seed().key(rule, &[b"a"]), seed().key(seed().rule_id("other rule"), &[b"a"]));
    assert_ne!(rule, other.rule_id("rule"));
}

#[test]
fn a_builder_gives_the_same_key() {
    let rule = seed().rule_id("rule");
    let built = seed().key_builder(rule).part(b"10.0.0.1").part(b"/login").finish();
    assert_eq!(built, seed().key(rule, &[b"10.0.0.1", b"/login"]));
}

#[test]
fn random_seeds_differ_and_stay_secret() {
    assert_ne!(Seed::random(), Seed::random());
    assert_eq!(format!("{:?}", seed()), "Seed(secret)");
}

#[test]
fn no_key_is_zero() {
    assert_ne!(Key::from_hash(0).as_u64(), 0);
}
