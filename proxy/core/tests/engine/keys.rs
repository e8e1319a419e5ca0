//! What tells clients apart.

use crate::support::*;
use weir_core::Engine;
use weir_core::policy::KeyPart;

fn keyed(parts: Vec<KeyPart>) -> Engine {
    engine_with(|policy| {
        policy.limits.per_second = n64(1);
        policy.limits.key = parts;
    })
}

/// How many pass with these headers from this peer.
fn burst(engine: &Engine, peer: &str, headers: &[(&str, &str)]) -> usize {
    Request { peer, headers, ..Request::default() }.burst(engine, at(0.0))
}

#[test]
fn by_header() {
    let engine = keyed(vec![KeyPart::Header("X-Api-Key".to_owned())]);
    assert_eq!(burst(&engine, "192.0.2.1", &[("x-api-key", "a")]), 6);
    assert_eq!(burst(&engine, "192.0.2.2", &[("X-API-Key", " a ")]), 0, "the same client elsewhere");
    assert_eq!(burst(&engine, "192.0.2.1", &[("x-api-key", "b")]), 6);
}

#[test]
fn a_part_that_is_missing_empty_doubled_or_too_long_falls_back_to_the_address() {
    let long = "k".repeat(9_000);
    let cases: [&[(&str, &str)]; 4] =
        [&[], &[("x-api-key", "")], &[("x-api-key", "a"), ("x-api-key", "b")], &[("x-api-key", &long)]];
    let engine = keyed(vec![KeyPart::Header("x-api-key".to_owned())]);
    assert_eq!(burst(&engine, "192.0.2.1", cases[0]), 6);
    for case in cases {
        assert_eq!(burst(&engine, "192.0.2.1", case), 0, "{}", case.len());
        assert!(burst(&engine, "192.0.2.2", case) <= 6);
    }
    // A header that looks like the bytes of an address is no address.
    assert_eq!(burst(&engine, "192.0.2.1", &[("x-api-key", "192.0.2.1")]), 6);
}

#[test]
fn by_cookie() {
    let engine = keyed(vec![KeyPart::Cookie("sid".to_owned())]);
    assert_eq!(burst(&engine, "192.0.2.1", &[("cookie", "a=1; sid=x; sidx=3")]), 6);
    assert_eq!(burst(&engine, "192.0.2.2", &[("cookie", "b=2"), ("Cookie", "sid=x")]), 0);
    assert_eq!(burst(&engine, "192.0.2.1", &[("cookie", "sid=y")]), 6);
    assert_eq!(burst(&engine, "192.0.2.3", &[("cookie", "xsid=y; sid")]), 6, "by address");
    assert_eq!(burst(&engine, "192.0.2.3", &[("cookie", "sid=1; sid=2")]), 0, "by address");
}

/// `{"sub":"alice","n":7,"roles":["a"],"e":""}` and a signature that is none.
const ALICE: &str =
    "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsIm4iOjcsInJvbGVzIjpbImEiXSwiZSI6IiJ9.c2ln";
/// `{"sub":"bob"}`
const BOB: &str = "bearer e30.eyJzdWIiOiJib2IifQ.";

#[test]
fn by_claim() {
    let engine = keyed(vec![KeyPart::JwtClaim("sub".to_owned())]);
    assert_eq!(burst(&engine, "192.0.2.1", &[("authorization", ALICE)]), 6);
    assert_eq!(burst(&engine, "192.0.2.2", &[("Authorization", ALICE)]), 0);
    assert_eq!(burst(&engine, "192.0.2.2", &[("Authorization", BOB)]), 6);
    for (peer, nonsense) in (0..).zip([
        "",
        "Basic YTpi",
        "Bearer",
        "Bearer a.b",
        "Bearer a.!!.c",
        "Bearer a.e30.c",
        "Bearer a.b.c.d",
    ]) {
        let peer = format!("198.51.100.{peer}");
        assert_eq!(burst(&engine, &peer, &[("authorization", nonsense)]), 6, "{nonsense}");
        assert_eq!(burst(&engine, &peer, &[]), 0, "{nonsense} falls back to the address");
    }
}

#[test]
fn claims_are_strings_that_are_not_empty_or_numbers() {
    for (claim, falls_back) in [("n", false), ("roles", true), ("e", true), ("none", true)] {
        let engine = keyed(vec![KeyPart::JwtClaim(claim.to_owned())]);
        assert_eq!(burst(&engine, "192.0.2.1", &[("authorization", ALICE)]), 6);
        let elsewhere = burst(&engine, "192.0.2.2", &[("authorization", ALICE)]);
        assert_eq!(elsewhere == 6, falls_back, "{claim}");
    }
}

#[test]
fn by_several_parts() {
    let engine = keyed(vec![KeyPart::Ip, KeyPart::Header("a".to_owned()), KeyPart::Path]);
    let ask = |peer, header, path| {
        let headers = [("a", header)];
        Request { peer, path, headers: &headers, ..Request::default() }.burst(&engine, at(0.0))
    };
    assert_eq!(ask("192.0.2.1", "x", "/p"), 6);
    assert_eq!(ask("192.0.2.1", "x", "/p"), 0);
    assert_eq!(ask("192.0.2.1", "x", "/./%70"), 0, "paths are canonical");
    assert_eq!(ask("192.0.2.2", "x", "/p"), 6);
    assert_eq!(ask("192.0.2.1", "y", "/p"), 6);
    assert_eq!(ask("192.0.2.1", "x", "/q"), 6);
}

#[test]
fn by_host() {
    let mut web = with("web", |policy| {
        policy.limits.per_second = n64(1);
        policy.limits.key = vec![KeyPart::Host];
    });
    web.rules[0].host = String::new();
    let engine = engine(declare([web]));
    let ask = |peer, host| Request { peer, host, ..Request::default() }.burst(&engine, at(0.0));
    assert_eq!(ask("192.0.2.1", "a.example"), 6);
    assert_eq!(ask("192.0.2.2", "A.example.:8080"), 0, "hosts are canonical");
    assert_eq!(ask("192.0.2.1", "b.example"), 6);
}

/// The address is the derived one: only a trusted peer can name another.
#[test]
fn forged_headers_change_nothing() {
    let engine = engine_with(|policy| policy.limits.per_second = n64(1));
    assert_eq!(burst(&engine, "192.0.2.1", &[]), 6);
    for forged in ["198.51.100.1", "198.51.100.2", "127.0.0.1"] {
        let headers = [("x-forwarded-for", forged), ("x-real-ip", forged), ("forwarded", "for=198.51.100.1")];
        assert_eq!(burst(&engine, "192.0.2.1", &headers), 0);
    }
}
