use super::jwt::claim;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

fn token(payload: &str) -> Vec<u8> {
    format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)).into_bytes()
}

#[track_caller]
fn check(payload: &str, expect: Option<&str>) {
    assert_eq!(
        claim(&token(payload), "sub").map(|value| String::from_utf8(value).unwrap()).as_deref(),
        expect
    );
}

#[test]
fn strings_and_numbers_are_told_apart() {
    check(r#"{"sub":"7"}"#, Some("s7"));
    check(r#"{"sub":7}"#, Some("n7"));
    check(r#"{"a":{"sub":1},"sub":"é","b":[1,2]}"#, Some("sé"));
    check(r#"{"s\u0075b":"x"}"#, Some("sx"));
}

#[test]
fn other_claims_are_skipped_however_deep_they_are() {
    let deep = format!(r#"{{"a":{}{},"sub":"x"}}"#, "[".repeat(5_000), "]".repeat(5_000));
    check(&deep, Some("sx"));
}

#[test]
fn what_is_no_single_claim_is_missing() {
    let deep = format!(r#"{{"sub":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    for payload in [
        "",
        "null",
        "[]",
        r#""sub""#,
        "{}",
        r#"{"sub":null}"#,
        r#"{"sub":true}"#,
        r#"{"sub":""}"#,
        r#"{"sub":{"a":1}}"#,
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"sub":"a"} x"#,
        r#"{"sub":"a""#,
        &deep,
    ] {
        check(payload, None);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..200), json in "\\PC{0,60}") {
        let _ = claim(&raw, "sub");
        let _ = claim(&[b"Bearer ", raw.as_slice()].concat(), "sub");
        let _ = claim(&token(&json), "sub");
    }
}
